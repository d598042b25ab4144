"""Is this bundle what its manifest says, and does it do what it was trained to? The robot's own check, anywhere."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from edge_runtime.contracts.embodiment import Embodiment, embodiment_of
from edge_runtime.contracts.errors import BundleError, ConfigError
from edge_runtime.contracts.golden import GOLDEN_NAME, GoldenReport
from edge_runtime.policies.golden import run_pairs
from edge_runtime.policies.opening import open_policy
from export_tools.sessions import exported_session


def read_embodiment(path: Path) -> Embodiment:
    """The robot type that an `embodiment.toml` declares.

    Raises:
        ConfigError: it can't be read, or is none.
    """
    try:
        return embodiment_of(msgspec.toml.decode(path.read_bytes()))
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error)) from error


def report_on(folder: Path, embodiment: Embodiment) -> GoldenReport:
    """Verify digests and contract, load it and run its golden pairs, all as a robot of this type would.

    Raises:
        BundleError: the bundle is altered, contradicts itself, can't be run as it is, or could not read one of its
            golden sentences.
        HandshakeError: it was trained for another robot type.
        EngineError: a graph that cannot be run.
    """
    manifest, runner = open_policy(
        folder, embodiment, lambda _, graph: exported_session(folder, graph), time.monotonic_ns
    )
    runner.warm_up()
    return run_pairs(runner, manifest, folder, embodiment)


def require_matched(report: GoldenReport, folder: Path) -> None:
    """Check that somebody has shown what the bundle in `folder` does, and that it does it.

    Raises:
        BundleError: it carries no golden pairs, or is further from the trained policy than its own bound allows.
    """
    if report.verdict == "no_data":
        raise BundleError(
            f"{folder}: it carries no golden pairs ({GOLDEN_NAME}), so it can't be checked whether it does what it was "
            "trained to: let the exporter write them"
        )
    if report.verdict == "differs":
        raise BundleError(f"{folder}: it does not do what it was trained to: {report.worst}")


def check_bundle(folder: Path, embodiment: Embodiment) -> GoldenReport:
    """Check the bundle in `folder`, and that its golden pairs match.

    Raises:
        BundleError, HandshakeError, EngineError: as `report_on` and `require_matched`.
    """
    report = report_on(folder, embodiment)
    require_matched(report, folder)
    return report
