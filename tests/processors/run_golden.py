"""`python -m tests.processors.run_golden [--saturating]`: the shipped bundle's golden pairs, as the robot runs them.

Prints the instruction set and the version of ONNX Runtime in one line, and the report as JSON in the next.
`--saturating` leaves out what makes products of integers exact.
"""

from __future__ import annotations

import sys

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.engine import golden
from edge_runtime.policies import session
from edge_runtime.policies.processor import describe


def main() -> int:
    """The exit code of the golden check."""
    if "--saturating" in sys.argv[1:]:
        session.exact_entries = dict
    print(f"{describe().instruction_set}; {session.VERSION}")
    return golden.main(["--config", str(SIM_CONFIG), str(load_config(SIM_CONFIG).bundle_dir)])


if __name__ == "__main__":
    sys.exit(main())
