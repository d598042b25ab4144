"""Does the engine of this machine do what the trained policy did? `python -m edge_runtime.engine.golden --config F DIR`

Runs the golden pairs of the bundle in DIR and prints a `GoldenReport` as JSON; what was shown before, under all that it
depends on, is printed as it was kept. A process of its own, so that a bundle that crashes its engine, or hangs in it,
takes nobody along. Engines that were built ahead are those that are checked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from edge_runtime.bundles.installed import require_ours
from edge_runtime.bundles.kept_proofs import KeptProofs
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.proof import report_of
from edge_runtime.policies.golden import run_pairs


def check(folder: Path, embodiment: Embodiment, *, threads: int, engines: Engines | None = None) -> GoldenReport:
    """Load the bundle in `folder` and run its golden pairs.

    Raises:
        BundleError: altered, or its golden pairs are not of its own shape.
        HandshakeError: trained for another robot.
        EngineError: a graph that cannot be run.
    """
    policy = BundlePolicy.load(folder, embodiment, threads=threads, engines=engines)
    return run_pairs(policy, policy.manifest, folder, embodiment)


def main(arguments: list[str] | None = None) -> int:
    """Print the report; 0 if there is one, whatever it says, 1 if the bundle cannot even be run."""
    parser = argparse.ArgumentParser(prog="python -m edge_runtime.engine.golden", description="Run golden pairs.")
    parser.add_argument("--config", type=Path, required=True, help="robot.toml of the robot it is for")
    parser.add_argument("bundle", type=Path, metavar="DIR", help="folder of the bundle")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        engines, folder = Engines.of(config), options.bundle
        require_ours(read_manifest(folder), config)
        policy = BundlePolicy.load(folder, config.embodiment, threads=config.engine.threads, engines=engines)
        report = report_of(policy, folder, config, engines, KeptProofs.of(config))
    except EdgeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(report).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
