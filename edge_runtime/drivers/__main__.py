"""``python -m edge_runtime.drivers``: starts the driver that `robot.toml` names."""

from __future__ import annotations

import runpy
import sys

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.text import printable_lines
from edge_runtime.drivers.declaration import declaration_of
from edge_runtime.service import argument_parser


def main() -> None:
    """Hand all arguments on to ``edge_runtime.drivers.<robot.driver>``."""
    options, _ = argument_parser("Start the driver that robot.toml names.").parse_known_args()
    try:
        driver = load_config(options.config).robot.driver
        declaration_of(driver)
    except ConfigError as error:
        print(f"error: {printable_lines(error)}", file=sys.stderr)
        sys.exit(2)
    runpy.run_module(f"edge_runtime.drivers.{driver}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
