"""``python -m edge_runtime.robots``: starts the driver that `robot.toml` names."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from contracts.errors import ConfigError
from edge_runtime.config import load_config


def main() -> None:
    """Hand all arguments on to ``edge_runtime.robots.<robot.driver>``."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path, required=True)
    known, _ = parser.parse_known_args()
    try:
        driver = load_config(known.config).robot.driver
        if not driver.isidentifier() or not (Path(__file__).parent / driver / "__main__.py").exists():
            raise ConfigError("robot.driver", f"there is no driver {driver!r} in edge_runtime.robots")
    except ConfigError as error:
        sys.exit(f"error: {error}")
    runpy.run_module(f"edge_runtime.robots.{driver}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
