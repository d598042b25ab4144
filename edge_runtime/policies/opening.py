"""Opening a bundle: the one way from its folder to a policy that can be run, for robot and exporter alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import Graph, Manifest, verify_bundle
from edge_runtime.policies.runner import PolicyRunner, Stopwatch
from edge_runtime.policies.session import Session
from edge_runtime.policies.tokenizers.seam import open_tokenizer


def open_policy(
    folder: Path,
    embodiment: Embodiment,
    session_of: Callable[[Manifest, Graph], Session],
    stopwatch: Stopwatch,
) -> tuple[Manifest, PolicyRunner]:
    """Verify the bundle in `folder` and check that it fits `embodiment`; its manifest, and what runs it.

    Args:
        session_of: what runs one of its graphs.

    Raises:
        BundleError: incomplete, altered, contradicts itself, or its graphs are not what its manifest says.
        HandshakeError: trained for another robot; names the field.
        EngineError: a graph that cannot be run.
    """
    manifest = verify_bundle(folder)
    manifest.require_fit(embodiment)
    contract = manifest.policy
    sessions = {graph.path: session_of(manifest, graph) for graph in contract.graphs}
    text = contract.inputs.text
    tokenizer = None if text is None else open_tokenizer(text, folder)
    runner = PolicyRunner(manifest.name, contract, sessions, tokenizer, embodiment, stopwatch)
    return manifest, runner
