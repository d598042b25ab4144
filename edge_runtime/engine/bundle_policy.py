"""A policy from a verified bundle of two graphs, *encode* and *denoise*: frames in, joint positions out.

Refuses, at load, a bundle that is altered, that was trained for another robot, or whose graphs don't have the tensors
its manifest names. Runs the graphs a few times then, so that the first chunk is not slower than the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, EngineError
from edge_runtime.contracts.golden import Proof
from edge_runtime.contracts.manifest import Manifest, PolicyContract, verify_bundle
from edge_runtime.contracts.messages import Observation
from edge_runtime.contracts.sentences import Reading
from edge_runtime.contracts.tokenizer import read_tokenizer
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.out_of_distribution import figures_of, strangeness
from edge_runtime.engine.policy import Actions
from edge_runtime.engine.sampler import initial_noise, integrate_flow
from edge_runtime.engine.transforms import ActionTransform, ImageTransform, InstructionTransform, Normalizer, state_of
from edge_runtime.ipc.clock import Clock, MonotonicClock
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.policies.session import Session, TensorSpec

_WARM_UP_RUNS = 3
_TRIAL_NS = 10_000_000_000
_TRIAL_HORIZONS = 4
"""A first run may take long. One that takes longer than both of these together is of a policy that can never act."""
_GREY = 127
_CHUNK_MAX_S = 3.0
"""Time that a chunk may take at least, however short its plan is: a machine may be busy while a bundle is loaded."""

Float32 = NDArray[np.float32]


class BundlePolicy:
    """See `edge_runtime.engine.policy.Policy`. Made with `load`.

    Durations are read from the monotonic clock also where stamps are virtual: they say what this machine needed.

    Attributes:
        engine_digests: SHA-256 of what each graph really runs as, by the graph's name.
        proof: that it does here what it was trained to, once somebody has looked.
    """

    def __init__(
        self, manifest: Manifest, encode: Session, denoise: Session, folder: Path, embodiment: Embodiment
    ) -> None:
        contract = manifest.policy
        self._manifest, self._contract = manifest, contract
        self._encode, self._denoise = encode, denoise
        self._digest = manifest.digest
        self.engine_digests: Mapping[str, str] = {}
        self.proof = Proof()
        self._frames = FrameReader()
        self._stopwatch: Clock = MonotonicClock()
        self._images = {image.camera: ImageTransform(image) for image in contract.images}
        self._state = Normalizer(contract.state_normalization)
        self._tokenizer = read_tokenizer(folder / contract.tokenizer.path)
        self._instruction = InstructionTransform(self._tokenizer, contract.tokenizer.max_tokens, contract.sentences)
        self._trial_ns = 0
        self._actions = ActionTransform(contract, embodiment.gripper.opening_max_m)
        self._chunk_shape = (1, contract.horizon, len(contract.joint_names) + 1)

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
        engines, graphs = engines or Engines(), manifest.policy.graphs
        encode, encode_digest = engines.loaded(manifest.digest, folder, graphs.encode, threads=threads)
        denoise, denoise_digest = engines.loaded(manifest.digest, folder, graphs.denoise, threads=threads)
        _require_signature(manifest.policy, encode, denoise)
        policy = cls(manifest, encode, denoise, folder, embodiment)
        policy.engine_digests = {graphs.encode: encode_digest, graphs.denoise: denoise_digest}
        policy._warm_up(embodiment)
        return policy

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
        return self._contract.action_dt_ns

    @property
    def horizon(self) -> int:
        """Number of actions of a chunk."""
        return self._contract.horizon

    @property
    def _horizon_ns(self) -> int:
        return self._contract.horizon * self._contract.action_dt_ns

    @property
    def trial_ns(self) -> int:
        """What a chunk took when it was loaded, without reading frames, median of some."""
        return self._trial_ns

    @property
    def action_scale_rad(self) -> NDArray[np.float64]:
        """Standard deviation of the actions it was trained on."""
        return np.array(self._contract.action_normalization.std[:-1], dtype=np.float64)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras it looks at."""
        return tuple(self._images)

    @property
    def counters(self) -> Mapping[str, int]:
        """Words of instructions that the vocabulary lacks, and that did not fit."""
        return {
            "words_unknown": self._instruction.unknown_words,
            "words_truncated": self._instruction.truncated_words,
        }

    def read(self, sentence: str) -> Reading:
        """See `Policy.read`."""
        return self._instruction.read(sentence)

    def infer(self, observation: Observation, instruction: str, chunk_sequence: int) -> Actions:
        """See `Policy.infer`. Looks at the frames only while it resizes them, never during the model."""
        started_ns = self._stopwatch.now_ns()
        refs = {ref.camera: ref for ref in observation.frames}
        for camera, image in self._images.items():
            with self._frames.view(refs[camera]) as pixels:
                image.fill(pixels)
        inputs = self._inputs(instruction, self._state.normalize(state_of(observation)))
        strange = self._strangeness()
        prepared_ns = self._stopwatch.now_ns()
        normalized, model_ns = self._run(inputs, chunk_sequence)
        position_rad, gripper_opening_m = self._actions.to_physical(normalized, observation.position_rad)
        total_ns = self._stopwatch.now_ns() - started_ns
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
        """Positions (horizon, joints) and openings (horizon,) of the first chunk, for stored `pictures` by camera.

        As `infer` gives them, only that the frames which `observation` refers to are not looked at.
        """
        for camera, image in self._images.items():
            image.fill(pictures[camera])
        inputs = self._inputs(instruction, self._state.normalize(state_of(observation)))
        normalized, _ = self._run(inputs, 0)
        return self._actions.to_physical(normalized, observation.position_rad)

    def _strangeness(self) -> float | None:
        """Of the strangest picture that is about to be fed; None if the bundle does not say what it was trained on."""
        known = [(image.camera, image.trained_on) for image in self._contract.images if image.trained_on is not None]
        return max(
            (strangeness(figures_of(self._images[camera].tensor[0]), trained_on) for camera, trained_on in known),
            default=None,
        )

    def _inputs(self, instruction: str, state: Float32) -> dict[str, NDArray[Any]]:
        graphs = self._contract.graphs
        return {
            **{image.tensor: self._images[image.camera].tensor for image in self._contract.images},
            graphs.tokens: self._instruction.token_ids(instruction),
            graphs.state: state[np.newaxis],
        }

    def _run(
        self, inputs: Mapping[str, NDArray[Any]], chunk_sequence: int, at_most_ns: int | None = None
    ) -> tuple[Float32, int]:
        """Normalized actions, (horizon, joints + 1), and the nanoseconds spent inside the sessions.

        Raises:
            EngineError: the inference library failed, or no end was to be seen after `at_most_ns`.
        """
        graphs, sampler = self._contract.graphs, self._contract.sampler
        noise = initial_noise(sampler, chunk_sequence, self._chunk_shape)
        begun_ns = started_ns = self._stopwatch.now_ns()
        prefix = self._encode.run(inputs)
        model_ns = self._stopwatch.now_ns() - started_ns

        def velocity(x: Float32, time: float) -> Float32:
            nonlocal model_ns
            if at_most_ns is not None and (took_ns := self._stopwatch.now_ns() - begun_ns) > at_most_ns:
                raise EngineError(
                    f"{self._manifest.name}: a chunk takes more than {took_ns * 1e-9:.0f} s here, after {time:.1%} of "
                    f"its {sampler.steps} steps, and its actions reach {self._horizon_ns * 1e-9:.2f} s: it can't act. "
                    "A bundle with fewer sampler steps, a smaller policy, or a faster machine"
                )
            started_ns = self._stopwatch.now_ns()
            outputs = self._denoise.run({**prefix, graphs.x: x, graphs.time: np.array([time], dtype=np.float32)})
            model_ns += self._stopwatch.now_ns() - started_ns
            return outputs[graphs.velocity]

        return integrate_flow(velocity, noise, sampler.steps)[0], model_ns

    def _warm_up(self, embodiment: Embodiment) -> None:
        for image in self._images.values():
            image.tensor[:] = _GREY
        state = self._state.normalize(np.array((*embodiment.home_rad, embodiment.gripper.opening_max_m)))
        inputs = self._inputs("", state)
        self._require_every_word(inputs)
        self._require_affordable(inputs)
        took_ns = []
        for _ in range(_WARM_UP_RUNS):
            started_ns = self._stopwatch.now_ns()
            normalized, _ = self._run(inputs, 0, _TRIAL_NS + _TRIAL_HORIZONS * self._horizon_ns)
            took_ns.append(self._stopwatch.now_ns() - started_ns)
        self._trial_ns = sorted(took_ns)[len(took_ns) // 2]
        if not np.isfinite(normalized).all():
            raise BundleError(f"{self._manifest.name}: the graphs give values that are not finite at the home position")

    def _require_every_word(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """A number beyond the table that the graph looks words up in would end the engine in the middle of its work."""
        words, highest = self._tokenizer, self._tokenizer.size - 1
        ids = np.full((1, self._contract.tokenizer.max_tokens), highest, dtype=np.int64)
        try:
            self._encode.run({**inputs, self._contract.graphs.tokens: ids})
        except EngineError as error:
            names = [word for word, number in words.words.items() if number == highest] or ["pad or unknown"]
            raise BundleError(
                f"{self._contract.tokenizer.path}: {', '.join(names)} has the number {highest}, with which "
                f"{self._contract.graphs.encode} cannot be run: {error}"
            ) from error

    def _require_affordable(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """A policy whose chunk is over before it is there can never act, and would be waited for at every check."""
        graphs, sampler = self._contract.graphs, self._contract.sampler
        x = initial_noise(sampler, 0, self._chunk_shape)
        feed = {**self._encode.run(inputs), graphs.x: x, graphs.time: np.zeros(1, dtype=np.float32)}
        took_s = []
        for _ in range(2):
            started_ns = self._stopwatch.now_ns()
            self._denoise.run(feed)
            took_s.append((self._stopwatch.now_ns() - started_ns) / 1e9)
        plan_s = self._contract.horizon * self._contract.action_dt_ns / 1e9
        chunk_s, most_s = sampler.steps * min(took_s), max(_CHUNK_MAX_S, plan_s)
        if chunk_s > most_s:
            raise BundleError(
                f"policy.sampler.steps: {sampler.steps} steps of {min(took_s) * 1e3:.0f} ms take {chunk_s:.1f} s here, "
                f"and a plan of {plan_s:g} s may take {most_s:g} s: fewer steps, or a faster backend"
            )


def _require_signature(contract: PolicyContract, encode: Session, denoise: Session) -> None:
    graphs = contract.graphs
    width = len(contract.joint_names) + 1
    float32, int64, uint8 = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.uint8)
    chunk = TensorSpec(float32, (1, contract.horizon, width))
    encode_inputs = {
        **{image.tensor: TensorSpec(uint8, (1, image.height_px, image.width_px, 3)) for image in contract.images},
        graphs.tokens: TensorSpec(int64, (1, contract.tokenizer.max_tokens)),
        graphs.state: TensorSpec(float32, (1, width)),
    }
    denoise_inputs = {**encode.outputs, graphs.x: chunk, graphs.time: TensorSpec(float32, (1,))}
    for graph, actual, expected in (
        (graphs.encode, encode.inputs, encode_inputs),
        (graphs.denoise, denoise.inputs, denoise_inputs),
        (graphs.denoise, denoise.outputs, {graphs.velocity: chunk}),
    ):
        for name in sorted(actual.keys() | expected.keys()):
            if actual.get(name) != expected.get(name):
                raise BundleError(f"{graph}: tensor {name}: expected {expected.get(name)}, found {actual.get(name)}")
