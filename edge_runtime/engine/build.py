"""Builds what this robot's engine needs of a bundle: `python -m edge_runtime.engine.build --config F DIR`

Prints a `BuildReport` as JSON, and how far it is on stderr. Guarantees that the engines which the report names are
whole in the cache and load; a second time it finds them there. A process of its own, so that a bundle that crashes the
builder takes nobody along.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from edge_runtime.bundles.installed import require_ours
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.engines import BuildReport
from edge_runtime.contracts.errors import EdgeError, StorageError
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.engine.engines import Engines


def build(folder: Path, config: RobotConfig) -> BuildReport:
    """Build the bundle in `folder` as far as that is not done yet.

    Raises:
        BundleError: altered.
        HandshakeError: trained for another robot.
        EngineError: it cannot be built here.
    """
    manifest = verify_bundle(folder)
    require_ours(manifest, config)
    engines, graphs = Engines.of(config), manifest.policy.graphs
    report = BuildReport(bundle=manifest.digest, backend=engines.backend.name, device=engines.backend.device)
    try:
        built = [engines.build(manifest.digest, folder, graph.path, _say, graph.external_data) for graph in graphs]
    except StorageError as error:
        return msgspec.structs.replace(report, fault=error.fault, detail=str(error))
    return msgspec.structs.replace(report, engines=tuple(built))


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Print the report; 0 if there is one, also if the disk is full, 1 if the bundle cannot be built here."""
    parser = argparse.ArgumentParser(prog="python -m edge_runtime.engine.build", description="Build engines.")
    parser.add_argument("--config", type=Path, required=True, help="robot.toml of the robot it is for")
    parser.add_argument("bundle", type=Path, metavar="DIR", help="folder of the bundle")
    options = parser.parse_args(arguments)
    try:
        report = build(options.bundle, load_config(options.config))
    except EdgeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(report).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
