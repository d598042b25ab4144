"""Is this bundle what its manifest says, and does it do what it was trained to? The robot's own check, anywhere."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, ConfigError
from edge_runtime.contracts.golden import GOLDEN_NAME, GoldenReport
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.policies.golden import read_pairs, run_pairs
from edge_runtime.policies.runner import PolicyRunner
from edge_runtime.policies.tokenizers.seam import open_tokenizer
from export_tools.sessions import exported_sessions


def read_embodiment(path: Path) -> Embodiment:
    """The robot type that an `embodiment.toml` declares.

    Raises:
        ConfigError: it can't be read, or is none.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Embodiment)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error)) from error


def check_bundle(folder: Path, embodiment: Embodiment) -> GoldenReport:
    """Verify digests and contract, and run the golden pairs through the graphs as a robot of this type would.

    Raises:
        BundleError: the bundle is altered, contradicts itself, carries no golden pairs, could not read one of their
            sentences, or is further from the trained policy than its own bound allows.
        HandshakeError: it was trained for another robot type.
        EngineError: a graph that cannot be run.
    """
    manifest = verify_bundle(folder)
    manifest.require_fit(embodiment)
    contract = manifest.policy
    sessions = exported_sessions(folder, contract.graphs)
    text = contract.inputs.text
    tokenizer = None if text is None else open_tokenizer(text, folder)
    runner = PolicyRunner(manifest.name, contract, sessions, tokenizer, embodiment, time.monotonic_ns)
    report = run_pairs(runner, manifest, folder, embodiment)
    if report.verdict == "no_data":
        raise BundleError(
            f"{folder}: it carries no golden pairs ({GOLDEN_NAME}), so it can't be checked whether it does what it was "
            "trained to: let the exporter write them"
        )
    for sentence in map(str, read_pairs(folder / GOLDEN_NAME, contract).get("instruction", ())):
        reading = runner.read(sentence)
        if not reading.is_readable:
            raise BundleError(f"{folder}: a robot would refuse its own golden sentence {sentence!r}: {reading.detail}")
    if report.verdict == "differs":
        raise BundleError(f"{folder}: it does not do what it was trained to: {report.worst}")
    return report
