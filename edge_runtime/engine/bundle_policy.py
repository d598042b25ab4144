"""A policy from a verified bundle: frames in, joint positions out.

Refuses, at load, a bundle that is altered, that was trained for another robot, or whose graphs don't have the tensors
its manifest names. Runs the graphs a few times then, so that the first chunk is not slower than the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.golden import Proof
from edge_runtime.contracts.manifest import Graph, Manifest
from edge_runtime.contracts.messages import ActionChunk, Observation
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.policy import Actions
from edge_runtime.ipc.clock import MonotonicClock
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.policies.context import Context, actions_at
from edge_runtime.policies.opening import open_policy
from edge_runtime.policies.past import Moment, Past
from edge_runtime.policies.runner import PolicyRunner
from edge_runtime.policies.sentences import Reading
from edge_runtime.policies.session import Session


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
        self._frames, self._now_ns = FrameReader(), MonotonicClock().now_ns
        self._trial_ns = runner.warm_up()
        history = manifest.policy.inputs.history
        self._past = None if history is None else Past(history, manifest.policy.action_dt_ns)
        # Its own: a frame may be kept for later while another one is looked at.
        self._frames_of_past = FrameReader()

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
        engines = engines or Engines()
        digests: dict[str, str] = {}

        def session_of(manifest: Manifest, graph: Graph) -> Session:
            session, digests[graph.path] = engines.loaded(
                manifest.digest, folder, graph.path, threads=threads, external_data=graph.external_data
            )
            return session

        return cls(*open_policy(folder, embodiment, session_of, MonotonicClock().now_ns), digests)

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
        return self._manifest.policy.rows

    @property
    def trial_ns(self) -> int:
        """What a chunk took when it was loaded, without reading frames, median of some."""
        return self._trial_ns

    @property
    def action_scale(self) -> NDArray[np.float64]:
        """See `Policy.action_scale`."""
        return self.runner.action_scale

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

    def begin_anew(self) -> None:
        """See `Policy.begin_anew`."""
        if self._past is not None:
            self._past.forget()

    def remember(self, observation: Observation) -> None:
        """See `Policy.remember`. Pictures are resized at once: their frames are written anew before they are needed."""
        if self._past is not None:
            self._past.keep(self._moment(observation, self._frames_of_past))

    def context_of(self, observation: Observation, under_way: ActionChunk | None) -> Context | None:
        """See `Policy.context_of`."""
        moments = () if self._past is None else self._past.of_newest()
        if moments is None:
            return None
        outputs = self._manifest.policy.outputs
        rows = None
        if under_way is not None and outputs.trained_delay:
            steps = np.arange(1, outputs.trained_delay + 1, dtype=np.int64)
            rows = actions_at(under_way, observation.exposure_ns + outputs.action_dt_ns * steps)
        return self.runner.context(observation, moments, rows)

    def infer(
        self, observation: Observation, instruction: str, chunk_sequence: int, context: Context | None = None
    ) -> Actions:
        """See `Policy.infer`. Looks at the frames only while it resizes them, never during the model."""
        started_ns = self._now_ns()
        runner = self.runner
        if context is None:
            moments = (self._moment(observation, self._frames),) if runner.looks_back else ()
            context = runner.context(observation, moments)
        refs = {ref.camera: ref for ref in observation.frames}
        for camera in self.cameras:
            if camera not in runner.past_cameras:
                with self._frames.view(refs[camera]) as pixels:
                    runner.look(camera, pixels)
        inputs, begins_with = runner.inputs(observation, instruction, context), runner.begins_with(observation, context)
        strange = runner.strangeness(context)
        prepared_ns = self._now_ns()
        normalized, model_ns = runner.run(inputs, chunk_sequence, begins_with=begins_with)
        position = runner.to_physical(normalized, observation, context)
        total_ns = self._now_ns() - started_ns
        return Actions(
            position=position,
            preprocess_ns=prepared_ns - started_ns,
            model_ns=model_ns,
            postprocess_ns=total_ns - (prepared_ns - started_ns) - model_ns,
            strangeness=strange,
            under_way=0 if context.under_way is None else len(context.under_way),
        )

    def _moment(self, observation: Observation, frames: FrameReader) -> Moment:
        refs = {ref.camera: ref for ref in observation.frames}
        with ExitStack() as stack:
            pictures = {name: stack.enter_context(frames.view(refs[name])) for name in self.runner.past_cameras}
            return self.runner.moment(observation, pictures)

    @property
    def past_cameras(self) -> tuple[str, ...]:
        """See `PolicyRunner.past_cameras`."""
        return self.runner.past_cameras

    def answer_pictures(
        self,
        observation: Observation,
        pictures: Mapping[str, NDArray[np.uint8]],
        instruction: str,
        before: Sequence[tuple[Observation, Mapping[str, NDArray[np.uint8]]]] = (),
        under_way: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """See `PolicyRunner.answer_pictures`."""
        return self.runner.answer_pictures(observation, pictures, instruction, before, under_way)
