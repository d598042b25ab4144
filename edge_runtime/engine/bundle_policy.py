"""A policy from a verified bundle: frames in, joint positions out.

Refuses, at load, a bundle that is altered, that was trained for another robot, or whose graphs don't have the tensors
its manifest names. Runs the graphs a few times then, so that the first chunk is not slower than the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.golden import Proof
from edge_runtime.contracts.manifest import Manifest, verify_bundle
from edge_runtime.contracts.messages import Observation
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.policy import Actions
from edge_runtime.ipc.clock import MonotonicClock
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.policies.runner import PolicyRunner
from edge_runtime.policies.sentences import Reading
from edge_runtime.policies.tokenizers.seam import open_tokenizer


class BundlePolicy:
    """See `edge_runtime.engine.policy.Policy`. Made with `load`.

    Durations are read from the monotonic clock also where stamps are virtual: they say what this machine needed.

    Attributes:
        runner: what turns pictures into actions.
        engine_digests: SHA-256 of what each graph really runs as, by the graph's name.
        proof: that it does here what it was trained to, once somebody has looked.
    """

    def __init__(self, manifest: Manifest, runner: PolicyRunner, engine_digests: Mapping[str, str]) -> None:
        self._manifest, self._digest = manifest, manifest.digest
        self.runner = runner
        self.engine_digests = engine_digests
        self.proof = Proof()
        self._frames = FrameReader()
        self._now_ns = MonotonicClock().now_ns
        self._trial_ns = runner.warm_up()

    @classmethod
    def load(
        cls, folder: Path, embodiment: Embodiment, *, threads: int, engines: Engines | None = None
    ) -> BundlePolicy:
        """Verify the bundle in `folder`, check that it fits `embodiment`, and run it until it is warm.

        Its graphs run as `engines` has them; without, in ONNX Runtime, from the bundle itself.

        Raises:
            BundleError: incomplete, altered, or its graphs are not what its manifest says.
            HandshakeError: trained for another robot; names the field.
            EngineError: a graph that cannot be run.
        """
        manifest = verify_bundle(folder)
        manifest.require_fit(embodiment)
        engines, contract = engines or Engines(), manifest.policy
        sessions, digests = {}, {}
        for graph in contract.graphs:
            sessions[graph.path], digests[graph.path] = engines.loaded(
                manifest.digest, folder, graph.path, threads=threads, external_data=graph.external_data
            )
        text = contract.inputs.text
        tokenizer = None if text is None else open_tokenizer(text, folder)
        runner = PolicyRunner(manifest.name, contract, sessions, tokenizer, embodiment, MonotonicClock().now_ns)
        return cls(manifest, runner, digests)

    @property
    def manifest(self) -> Manifest:
        """Manifest of the bundle."""
        return self._manifest

    @property
    def digest(self) -> str:
        """Digest of the bundle."""
        return self._digest

    @property
    def action_dt_ns(self) -> int:
        """Time between two actions."""
        return self._manifest.policy.action_dt_ns

    @property
    def horizon(self) -> int:
        """Number of actions of a chunk."""
        return self._manifest.policy.horizon

    @property
    def trial_ns(self) -> int:
        """What a chunk took when it was loaded, without reading frames, median of some."""
        return self._trial_ns

    @property
    def action_scale_rad(self) -> NDArray[np.float64]:
        """See `Policy.action_scale_rad`."""
        return self.runner.action_scale_rad

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras it looks at."""
        return self.runner.cameras

    @property
    def reads_instructions(self) -> bool:
        """See `Policy.reads_instructions`."""
        return self.runner.reads_instructions

    @property
    def counters(self) -> Mapping[str, int]:
        """See `PolicyRunner.counters`."""
        return self.runner.counters

    def read(self, sentence: str) -> Reading:
        """See `Policy.read`."""
        return self.runner.read(sentence)

    def infer(self, observation: Observation, instruction: str, chunk_sequence: int) -> Actions:
        """See `Policy.infer`. Looks at the frames only while it resizes them, never during the model."""
        started_ns = self._now_ns()
        refs = {ref.camera: ref for ref in observation.frames}
        for camera in self.cameras:
            with self._frames.view(refs[camera]) as pixels:
                self.runner.look(camera, pixels)
        inputs = self.runner.inputs(observation, instruction)
        strange = self.runner.strangeness()
        prepared_ns = self._now_ns()
        normalized, model_ns = self.runner.run(inputs, chunk_sequence)
        position_rad, gripper_opening_m = self.runner.to_physical(normalized, observation)
        total_ns = self._now_ns() - started_ns
        return Actions(
            position_rad=position_rad,
            gripper_opening_m=gripper_opening_m,
            preprocess_ns=prepared_ns - started_ns,
            model_ns=model_ns,
            postprocess_ns=total_ns - (prepared_ns - started_ns) - model_ns,
            strangeness=strange,
        )

    def answer_pictures(
        self, observation: Observation, pictures: Mapping[str, NDArray[np.uint8]], instruction: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `PolicyRunner.answer_pictures`."""
        return self.runner.answer_pictures(observation, pictures, instruction)
