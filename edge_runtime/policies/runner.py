"""What a bundle's manifest describes, as a function: pictures, posture and an instruction in, positions of axes out.

The one place where a policy is run: by the engine on the robot and by the exporter, over whatever sessions they give
it. Guarantees that the graphs have the tensors that the contract names. Reads no frame and no clock of its own.
`moment` may be called while another thread is in any other method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, EngineError
from edge_runtime.contracts.manifest import AsTensor, GraphRole, InDecoder, PolicyContract
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.context import Context
from edge_runtime.policies.decoders import decoding_of
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.out_of_distribution import figures_of, strangeness
from edge_runtime.policies.past import Moment
from edge_runtime.policies.sentences import Reading
from edge_runtime.policies.session import Session
from edge_runtime.policies.signature import require_signature
from edge_runtime.policies.tokenizers.seam import Tokenizer
from edge_runtime.policies.transforms import ActionTransform, ImageTransform, InstructionTransform, StateTransform

_WARM_UP_RUNS = 3
_TRIAL_NS = 10_000_000_000
_TRIAL_HORIZONS = 4
"""A first run may take long. One that takes longer than both of these together is of a policy that can never act."""
_GREY = 127
_CHUNK_MAX_S = 3.0
"""Time that a chunk may take at least, however short its plan is: a machine may be busy while a bundle is loaded."""

Float32 = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]
_NOTHING = Context()
Stopwatch = Callable[[], int]
"""Nanoseconds on a clock that goes on."""


class PolicyRunner:
    """One policy for one robot.

    Args:
        name: what errors call it.
        sessions: of the contract's graphs, by path.
        tokenizer: None where the contract has no text.
        embodiment: a robot that the contract fits.
        stopwatch: what durations are read from.

    Raises:
        BundleError: the graphs are not what the contract says.
    """

    def __init__(
        self,
        name: str,
        contract: PolicyContract,
        sessions: Mapping[str, Session],
        tokenizer: Tokenizer | None,
        embodiment: Embodiment,
        stopwatch: Stopwatch,
    ) -> None:
        require_signature(contract, sessions)
        self._name, self._contract = name, contract
        self._embodiment = embodiment
        inputs = contract.inputs
        self._stopwatch = stopwatch
        self._timed = {graph.path: _Timed(sessions[graph.path], stopwatch) for graph in contract.graphs}
        delay = contract.outputs.delay
        self._tells_decoder = delay is not None and isinstance(delay.told, InDecoder)
        self._encode = [self._timed[graph.path] for graph in contract.graphs if graph.role is GraphRole.ENCODE]
        step = next((graph for graph in contract.graphs if graph.role is GraphRole.STEP), None)
        self._decoding = decoding_of(
            contract.decoder,
            None if step is None else self._timed[step.path].run,
            () if step is None else step.cache,
            (1, contract.horizon, contract.outputs.width),
            time_each=self._tells_decoder,
        )
        # By tensor: a camera that the robot does not have has no name.
        self._images = {camera.tensor: ImageTransform(camera) for camera in inputs.cameras}
        self._seen = {camera.camera: camera.tensor for camera in inputs.cameras if camera.camera is not None}
        for camera in inputs.cameras:
            if camera.camera is None:
                image = self._images[camera.tensor]
                image.fill(np.zeros_like(image.picture))
        # Of their own: a picture of later is made ready while the graphs still look at the last one.
        self._past_images = {
            camera.camera: (camera.tensor, ImageTransform(camera))
            for camera in inputs.cameras
            if camera.camera in inputs.past_cameras
        }
        self._state = (
            None if inputs.state is None else StateTransform(inputs.state.groups, embodiment, inputs.state.padded_to)
        )
        self._tokenizer = tokenizer
        self._instruction: InstructionTransform | None = None
        if inputs.text is not None:
            if tokenizer is None:
                raise BundleError(f"{name}: its text needs a tokenizer")
            self._instruction = InstructionTransform(inputs.text, tokenizer, embodiment)
        self._actions = ActionTransform(contract.outputs, embodiment)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras it looks at."""
        return self._contract.cameras

    @property
    def past_cameras(self) -> tuple[str, ...]:
        """Those whose pictures it is given in `moment`, and does not `look` at."""
        return self._contract.inputs.past_cameras

    @property
    def looks_back(self) -> bool:
        """Whether it is fed what it saw before."""
        return self._contract.inputs.history is not None

    @property
    def reads_instructions(self) -> bool:
        """Whether it is told what to do; one that is not does what it was trained for whenever it may."""
        return self._instruction is not None

    @property
    def action_scale(self) -> NDArray[np.float64]:
        """(joints,) how far the actions that it was trained on usually reach, above zero."""
        return self._actions.scale

    @property
    def counters(self) -> Mapping[str, int]:
        """Words of instructions that the vocabulary lacks, and that did not fit."""
        read = self._instruction
        return {
            "words_unknown": 0 if read is None else read.unknown_words,
            "words_truncated": 0 if read is None else read.truncated_words,
        }

    def read(self, sentence: str) -> Reading:
        """What it can make of `sentence`; only one that is readable may be given to `inputs`.

        One that reads no instructions makes of any what it makes of none.
        """
        return Reading(()) if self._instruction is None else self._instruction.read(sentence)

    def look(self, camera: str, pixels: NDArray[np.uint8]) -> None:
        """Take a picture of `camera`, (height, width, 3) RGB, in: it is not needed any more after this."""
        self._images[self._seen[camera]].fill(pixels)

    def moment(self, observation: Observation, pictures: Mapping[str, NDArray[np.uint8]]) -> Moment:
        """What later observations, and this one, need of `observation` where the policy looks back.

        Args:
            pictures: of its `past_cameras`, by name, (height, width, 3) RGB; not needed any more after this.
        """
        contract, kept = self._contract.inputs, {}
        for camera, (tensor, image) in self._past_images.items():
            assert camera is not None
            image.fill(pictures[camera])
            kept[tensor] = image.picture.copy()
        has_state = contract.state is not None and contract.has_past(contract.state.tensor)
        state = self._state(observation) if self._state is not None and has_state else None
        return Moment(observation.exposure_ns, kept, state)

    def context(
        self, observation: Observation, moments: Sequence[Moment] = (), under_way: NDArray[np.float64] | None = None
    ) -> Context:
        """What it is given beside `observation`.

        Args:
            moments: as many as its history has, oldest first; one, where there is none but the newest.
            under_way: (trained_delay, axes); None: nothing is, which is as the contract says for then.
        """
        history, outputs = self._contract.inputs.history, self._contract.outputs
        if history is not None and len(moments) == 1:
            moments = (*moments,) * history.observations
        if outputs.delay is None:
            under_way = None
        elif under_way is None and outputs.delay.at_start == "hold":
            held = np.array(observation.position, dtype=np.float64)
            held[list(self._embodiment.base_indices)] = 0.0
            under_way = np.tile(held, (outputs.trained_delay, 1))
        return Context(tuple(moments), under_way)

    def strangeness(self, context: Context = _NOTHING) -> float | None:
        """Of the strangest picture that is about to be fed; None if the bundle does not say what it was trained on."""
        worst: float | None = None
        newest = context.moments[-1].pictures if context.moments else {}
        for camera in self._contract.inputs.cameras:
            if camera.trained_on is not None and camera.camera is not None:
                picture = newest.get(camera.tensor, self._images[camera.tensor].picture)
                worst = max(worst or 0.0, strangeness(figures_of(picture), camera.trained_on))
        return worst

    def inputs(self, observation: Observation, instruction: str, context: Context = _NOTHING) -> Tensors:
        """All that the graphs are fed, by name, with the pictures that it looked at last."""
        contract, fed = self._contract.inputs, {}
        for camera in contract.cameras:
            image = self._images[camera.tensor]
            if not contract.has_past(camera.tensor):
                fed[camera.tensor] = image.tensor
            else:
                pictures = [moment.pictures.get(camera.tensor, image.picture) for moment in context.moments]
                axis = 2 if camera.layout == "hwc" else 0
                fed[camera.tensor] = self._stacked([image.fed(picture) for picture in pictures], axis)
            if camera.mask is not None:
                fed[camera.mask] = np.array([camera.camera is not None])
        if contract.text is not None and self._instruction is not None:
            prompt = self._instruction.prompt(instruction, observation)
            fed[contract.text.tensor] = prompt.ids
            if contract.text.mask is not None:
                fed[contract.text.mask] = prompt.mask
        if contract.state is not None and self._state is not None:
            if contract.has_past(contract.state.tensor):
                states = [moment.state for moment in context.moments if moment.state is not None]
                fed[contract.state.tensor] = self._stacked(states, 0)
            else:
                fed[contract.state.tensor] = self._state(observation)[np.newaxis]
        if contract.embodiment is not None:
            fed[contract.embodiment.tensor] = np.array([contract.embodiment.value], dtype=np.int64)
        outputs = self._contract.outputs
        if outputs.delay is not None and isinstance(outputs.delay.told, AsTensor):
            told, begins_with = outputs.delay.told, self._normalized(observation, context)
            none = np.zeros((outputs.trained_delay, outputs.width), dtype=np.float32)
            fed[told.tensor] = (none if begins_with is None else begins_with)[np.newaxis]
            if told.mask is not None:
                fed[told.mask] = np.full((1, outputs.trained_delay), begins_with is not None)
        return fed

    def begins_with(self, observation: Observation, context: Context) -> Float32 | None:
        """What `run` is given of the actions under way, normalized; None where the decoder is not told of any."""
        return self._normalized(observation, context) if self._tells_decoder else None

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        chunk_sequence: int,
        at_most_ns: int | None = None,
        begins_with: Float32 | None = None,
    ) -> tuple[Float32, int]:
        """Normalized actions, (horizon, width), and the nanoseconds spent inside the sessions.

        Raises:
            EngineError: the inference library failed, or no end was to be seen after `at_most_ns`.
        """
        begun_ns, before_ns = self._stopwatch(), self._spent_ns()

        def progress(done: float) -> None:
            if at_most_ns is not None and (took_ns := self._stopwatch() - begun_ns) > at_most_ns:
                raise EngineError(
                    f"{self._name}: a chunk takes more than {took_ns * 1e-9:.0f} s here, after {done:.1%} of "
                    f"its {self._decoding.steps} steps, and its actions reach {self._horizon_ns * 1e-9:.2f} s: it "
                    "can't act. A bundle with fewer sampler steps, a smaller policy, or a faster machine"
                )

        actions = self._decoding.decode(self._encoded(inputs), chunk_sequence, progress, begins_with)
        return actions[0], self._spent_ns() - before_ns

    def to_physical(
        self, normalized: Float32, observation: Observation, context: Context = _NOTHING
    ) -> NDArray[np.float64]:
        """What each axis is asked for, (rows, axes), by what `run` gave for `observation`.

        The rows begin with the actions under way, if there are any.
        """
        outputs, under_way = self._contract.outputs, context.under_way
        if outputs.delay is None or under_way is None:
            return self._actions.to_physical(normalized, observation)
        own = normalized[outputs.trained_delay :] if outputs.delay.rows == "included" else normalized
        return np.vstack((under_way, self._actions.to_physical(own, observation, under_way[-1])))

    def answer_pictures(
        self,
        observation: Observation,
        pictures: Mapping[str, NDArray[np.uint8]],
        instruction: str,
        before: Sequence[tuple[Observation, Mapping[str, NDArray[np.uint8]]]] = (),
        under_way: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """What each axis is asked for in the first chunk, (rows, axes), for stored `pictures` by camera.

        The frames which `observation` refers to are not looked at.

        Args:
            before: the observations of its history before this one, oldest first, each with its pictures; without any,
                this one stands for all of them.
            under_way: as of `context`.
        """
        for camera in self.cameras:
            if camera not in self.past_cameras:
                self.look(camera, pictures[camera])
        seen = (*before, (observation, pictures)) if self.looks_back else ()
        context = self.context(observation, [self.moment(*each) for each in seen], under_way)
        inputs, begins_with = self.inputs(observation, instruction, context), self.begins_with(observation, context)
        normalized, _ = self.run(inputs, 0, begins_with=begins_with)
        return self.to_physical(normalized, observation, context)

    def warm_up(self) -> int:
        """Run it a few times, so that the first chunk is not slower than others; what one took, in ns, the median.

        Raises:
            BundleError: a word or a chunk of it cannot be run, or what comes of it is not finite.
            EngineError: as `run`.
        """
        grey = {camera: np.full_like(self._images[tensor].picture, _GREY) for camera, tensor in self._seen.items()}
        for camera, picture in grey.items():
            self.look(camera, picture)
        embodiment = self._embodiment
        home = observation_of(embodiment, np.array(embodiment.home))
        context = self.context(home, [self.moment(home, grey)] if self.looks_back else ())
        inputs, begins_with = self.inputs(home, "", context), self.begins_with(home, context)
        self._require_every_word(inputs)
        self._require_affordable(inputs)
        took_ns = []
        for _ in range(_WARM_UP_RUNS):
            started_ns = self._stopwatch()
            normalized, _ = self.run(inputs, 0, _TRIAL_NS + _TRIAL_HORIZONS * self._horizon_ns, begins_with)
            took_ns.append(self._stopwatch() - started_ns)
        if not np.isfinite(normalized).all():
            raise BundleError(f"{self._name}: the graphs give values that are not finite at the home position")
        return sorted(took_ns)[len(took_ns) // 2]

    @property
    def _horizon_ns(self) -> int:
        return self._contract.rows * self._contract.action_dt_ns

    def _stacked(self, parts: list[NDArray[Any]], features: int) -> NDArray[Any]:
        """What was observed at several instants as one tensor; `features` is the axis of a part's own features."""
        history = self._contract.inputs.history
        assert history is not None
        joined = np.stack(parts) if history.axis == "time" else np.concatenate(parts, axis=features)
        return joined[np.newaxis]

    def _normalized(self, observation: Observation, context: Context) -> Float32 | None:
        rows = context.under_way
        return None if rows is None else self._actions.to_normalized(rows, observation)

    def _encoded(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        """What is fed and what the encoding graphs make of it, by name."""
        pool = dict(inputs)
        for session in self._encode:
            pool |= session.run(pool)
        return pool

    def _spent_ns(self) -> int:
        return sum(session.spent_ns for session in self._timed.values())

    def _require_every_word(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """A number beyond the table that the graph looks words up in would end the engine in the middle of its work."""
        text, tokenizer = self._contract.inputs.text, self._tokenizer
        if text is None or tokenizer is None:
            return
        ids = np.full((1, text.max_tokens), tokenizer.highest, dtype=np.int64)
        try:
            self._encoded({**inputs, text.tensor: ids})
        except EngineError as error:
            raise BundleError(
                f"{text.tokenizer.path}: {tokenizer.name_of(tokenizer.highest)} has the number {tokenizer.highest}, "
                f"with which {self._contract.graphs[0].path} cannot be run: {error}"
            ) from error

    def _require_affordable(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """A policy whose chunk is over before it is there can never act, and would be waited for at every check."""
        steps = self._decoding.steps
        if not steps:
            return
        pool = self._encoded(inputs)
        took_s = []
        for _ in range(2):
            started_ns = self._stopwatch()
            self._decoding.try_step(pool)
            took_s.append((self._stopwatch() - started_ns) / 1e9)
        plan_s = self._horizon_ns / 1e9
        chunk_s, most_s = steps * min(took_s), max(_CHUNK_MAX_S, plan_s)
        if chunk_s > most_s:
            raise BundleError(
                f"{self._name}: {steps} steps of {min(took_s) * 1e3:.0f} ms take {chunk_s:.1f} s here, "
                f"and a plan of {plan_s:g} s may take {most_s:g} s: fewer steps, or a faster backend"
            )


class _Timed:
    """A session that is fed what it asks for, in the element types that it takes, and that says how long it took."""

    def __init__(self, session: Session, stopwatch: Stopwatch) -> None:
        self._session, self._stopwatch = session, stopwatch
        self.spent_ns = 0

    def run(self, pool: Tensors) -> Tensors:
        fed = {name: pool[name].astype(spec.dtype, copy=False) for name, spec in self._session.inputs.items()}
        started_ns = self._stopwatch()
        outputs = self._session.run(fed)
        self.spent_ns += self._stopwatch() - started_ns
        return outputs
