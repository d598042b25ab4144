"""What a bundle's manifest describes, as a function: pictures, posture and an instruction in, joint positions out.

The one place where a policy is run: by the engine on the robot and by the exporter, over whatever sessions they give
it. Guarantees that the graphs have the tensors that the contract names. Reads no frame, no clock of its own and, the
vocabulary aside, no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, EngineError
from edge_runtime.contracts.manifest import PolicyContract
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.decoders.flow import initial_noise, integrate_flow
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.out_of_distribution import figures_of, strangeness
from edge_runtime.policies.sentences import Reading
from edge_runtime.policies.session import Session, TensorSpec
from edge_runtime.policies.tokenizers import WordTokenizer
from edge_runtime.policies.transforms import ActionTransform, ImageTransform, InstructionTransform, Normalizer, state_of

_WARM_UP_RUNS = 3
_TRIAL_NS = 10_000_000_000
_TRIAL_HORIZONS = 4
"""A first run may take long. One that takes longer than both of these together is of a policy that can never act."""
_GREY = 127
_CHUNK_MAX_S = 3.0
"""Time that a chunk may take at least, however short its plan is: a machine may be busy while a bundle is loaded."""

Float32 = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]
Stopwatch = Callable[[], int]
"""Nanoseconds on a clock that goes on."""


class PolicyRunner:
    """One policy for one robot.

    Args:
        name: what errors call it.
        sessions: of the contract's graphs, by path.
        stopwatch: what durations are read from.

    Raises:
        BundleError: the graphs are not what the contract says.
    """

    def __init__(
        self,
        name: str,
        contract: PolicyContract,
        sessions: Mapping[str, Session],
        tokenizer: WordTokenizer,
        embodiment: Embodiment,
        stopwatch: Stopwatch,
    ) -> None:
        self._name, self._contract = name, contract
        self._encode, self._denoise = sessions[contract.graphs.encode], sessions[contract.graphs.denoise]
        _require_signature(contract, self._encode, self._denoise)
        self._embodiment = embodiment
        self._stopwatch = stopwatch
        self._images = {image.camera: ImageTransform(image) for image in contract.images}
        self._state = Normalizer(contract.state_normalization)
        self._tokenizer = tokenizer
        self._instruction = InstructionTransform(tokenizer, contract.tokenizer.max_tokens, contract.sentences)
        self._actions = ActionTransform(contract, embodiment.gripper.opening_max_m)
        self._chunk_shape = (1, contract.horizon, len(contract.joint_names) + 1)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras it looks at."""
        return tuple(self._images)

    @property
    def action_scale_rad(self) -> NDArray[np.float64]:
        """Standard deviation of the actions it was trained on."""
        return np.array(self._contract.action_normalization.std[:-1], dtype=np.float64)

    @property
    def counters(self) -> Mapping[str, int]:
        """Words of instructions that the vocabulary lacks, and that did not fit."""
        return {
            "words_unknown": self._instruction.unknown_words,
            "words_truncated": self._instruction.truncated_words,
        }

    def read(self, sentence: str) -> Reading:
        """What it can make of `sentence`; only one that is readable may be given to `inputs`."""
        return self._instruction.read(sentence)

    def look(self, camera: str, pixels: NDArray[np.uint8]) -> None:
        """Take a picture of `camera`, (height, width, 3) RGB, in: it is not needed any more after this."""
        self._images[camera].fill(pixels)

    def strangeness(self) -> float | None:
        """Of the strangest picture that is about to be fed; None if the bundle does not say what it was trained on."""
        known = [(image.camera, image.trained_on) for image in self._contract.images if image.trained_on is not None]
        return max(
            (strangeness(figures_of(self._images[camera].tensor[0]), trained_on) for camera, trained_on in known),
            default=None,
        )

    def inputs(self, observation: Observation, instruction: str) -> Tensors:
        """What the first graph is fed, with the pictures that it looked at last."""
        graphs = self._contract.graphs
        return {
            **{image.tensor: self._images[image.camera].tensor for image in self._contract.images},
            graphs.tokens: self._instruction.token_ids(instruction),
            graphs.state: self._state.normalize(state_of(observation))[np.newaxis],
        }

    def run(
        self, inputs: Mapping[str, NDArray[Any]], chunk_sequence: int, at_most_ns: int | None = None
    ) -> tuple[Float32, int]:
        """Normalized actions, (horizon, joints + 1), and the nanoseconds spent inside the sessions.

        Raises:
            EngineError: the inference library failed, or no end was to be seen after `at_most_ns`.
        """
        graphs, sampler = self._contract.graphs, self._contract.sampler
        noise = initial_noise(sampler, chunk_sequence, self._chunk_shape)
        begun_ns = started_ns = self._stopwatch()
        prefix = self._encode.run(inputs)
        model_ns = self._stopwatch() - started_ns

        def velocity(x: Float32, time: float) -> Float32:
            nonlocal model_ns
            if at_most_ns is not None and (took_ns := self._stopwatch() - begun_ns) > at_most_ns:
                raise EngineError(
                    f"{self._name}: a chunk takes more than {took_ns * 1e-9:.0f} s here, after {time:.1%} of "
                    f"its {sampler.steps} steps, and its actions reach {self._horizon_ns * 1e-9:.2f} s: it can't act. "
                    "A bundle with fewer sampler steps, a smaller policy, or a faster machine"
                )
            started_ns = self._stopwatch()
            outputs = self._denoise.run({**prefix, graphs.x: x, graphs.time: np.array([time], dtype=np.float32)})
            model_ns += self._stopwatch() - started_ns
            return outputs[graphs.velocity]

        return integrate_flow(velocity, noise, sampler.steps)[0], model_ns

    def to_physical(
        self, normalized: Float32, observation: Observation
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (horizon, joints) in rad and openings (horizon,) in m of what `run` gave for `observation`."""
        return self._actions.to_physical(normalized, observation.position_rad)

    def answer_pictures(
        self, observation: Observation, pictures: Mapping[str, NDArray[np.uint8]], instruction: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (horizon, joints) and openings (horizon,) of the first chunk, for stored `pictures` by camera.

        The frames which `observation` refers to are not looked at.
        """
        for camera in self._images:
            self.look(camera, pictures[camera])
        normalized, _ = self.run(self.inputs(observation, instruction), 0)
        return self.to_physical(normalized, observation)

    def warm_up(self) -> int:
        """Run it a few times, so that the first chunk is not slower than others; what one took, in ns, the median.

        Raises:
            BundleError: a word or a chunk of it cannot be run, or what comes of it is not finite.
            EngineError: as `run`.
        """
        for image in self._images.values():
            image.tensor[:] = _GREY
        embodiment = self._embodiment
        home = np.array((*embodiment.home_rad, embodiment.gripper.opening_max_m))
        inputs = self.inputs(observation_of(embodiment, home), "")
        self._require_every_word(inputs)
        self._require_affordable(inputs)
        took_ns = []
        for _ in range(_WARM_UP_RUNS):
            started_ns = self._stopwatch()
            normalized, _ = self.run(inputs, 0, _TRIAL_NS + _TRIAL_HORIZONS * self._horizon_ns)
            took_ns.append(self._stopwatch() - started_ns)
        if not np.isfinite(normalized).all():
            raise BundleError(f"{self._name}: the graphs give values that are not finite at the home position")
        return sorted(took_ns)[len(took_ns) // 2]

    @property
    def _horizon_ns(self) -> int:
        return self._contract.horizon * self._contract.action_dt_ns

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
            started_ns = self._stopwatch()
            self._denoise.run(feed)
            took_s.append((self._stopwatch() - started_ns) / 1e9)
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
