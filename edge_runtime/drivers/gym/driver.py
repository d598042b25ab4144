"""A Gymnasium environment as a robot driver: its steps on one side, port, frame rings and the bus on the other.

An environment takes a step for each tenth or fiftieth of a second, control ticks a thousand times. A step is taken at
its beginning, with the command of that instant; until its end the axes are told on the straight line between both
states, so that no sample shows what has not happened yet. Pictures and observations are of the instants between two
steps.

Control is not trusted to live: without fresh commands the targets run down to rest, and the environment stands still.
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import ExitStack
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import SceneAnswer, SceneCommand, SceneOutcome, SceneStatus
from edge_runtime.contracts.topics import SCENE_COMMAND, SCENE_STATUS
from edge_runtime.drivers.gym.declaration import WATCHDOG_NS
from edge_runtime.drivers.gym.environment import Environment
from edge_runtime.drivers.gym.settings import settings_of
from edge_runtime.drivers.sdk.link import DriverLink
from edge_runtime.drivers.sdk.lockstep import IDLE_TICK_S, START_NS, TICK_NS, Lockstep
from edge_runtime.drivers.sdk.pacing import Pacer, become_realtime
from edge_runtime.drivers.sdk.rest import RampToRest
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.bus import Publisher, Subscriber
from edge_runtime.ipc.port import Command
from edge_runtime.service import Arguments, StopSignal

Vector = NDArray[np.float64]

REAL_TICK_NS = 5_000_000
_SERVICE_INTERVAL_NS = 10_000_000
_STATUS_INTERVAL_NS = 50_000_000
_STILL_PER_S = 1e-3
_SETTLES_NS = 2_000_000_000
"""An environment that still moves so long after its targets came to rest is left standing as it is."""


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the environment until `stop`; leaves no shared memory behind.

    Raises:
        ConfigError: settings that the environment or the embodiment doesn't take.
    """
    with GymDriver(arguments) as driver:
        if arguments.lockstep:
            driver.lockstep(stop)
        else:
            driver.real_time(stop)


class GymDriver:
    """Everything the driver process owns; use it as a context manager, then run one of its two loops."""

    def __init__(self, arguments: Arguments) -> None:
        config = arguments.config
        self._embodiment, self._settings = config.embodiment, settings_of(config)
        self._lockstep = config.lockstep
        self._realtime_priority = config.control.realtime_priority
        with ExitStack() as stack:
            self._link = stack.enter_context(
                DriverLink(config, arguments.run_dir, watchdog_ns=WATCHDOG_NS, virtual_clock=arguments.lockstep)
            )
            self._environment = Environment(self._settings, config.embodiment)
            stack.callback(self._environment.close)
            self._port = self._link.port
            self._subscriber = stack.enter_context(
                Subscriber((SCENE_COMMAND,), arguments.run_dir, self._link.telemetry.refusals, process="driver")
            )
            self._statuses = stack.enter_context(Publisher(SCENE_STATUS, arguments.run_dir))
            self._resources = stack.pop_all()
        self._step_ns = round(self._environment.step_s * 1e9)
        self._is_velocity = np.array([axis.is_velocity for axis in self._embodiment.axes])
        self._before = self._after = self._environment.values
        self._begun_ns = self._ends_ns = 0
        self._command: Command | None = None
        self._following = False
        self._ramp: RampToRest | None = None
        self._settled_ns = 0
        self._pacer = Pacer(REAL_TICK_NS)
        self._seed, self._split = 0, "train"
        self._answered_id, self._answer = 0, SceneAnswer.NONE
        self._sent_status: tuple[int, SceneOutcome] | None = None
        self._status_due_ns = self._service_due_ns = 0
        self._steps = self._steps_late = 0
        self._trace = hashlib.sha256()

    def __enter__(self) -> GymDriver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._resources.close()

    # ---- real time ---------------------------------------------------------------------------------------------------

    def real_time(self, stop: StopSignal) -> None:
        """Take each step when its time has come, until `stop`. An environment that is slower than real time is late,
        and counted; between its samples control waits as for any slow robot."""
        sys.setswitchinterval(0.0005)
        become_realtime(self._realtime_priority)
        cameras = self._embodiment.cameras
        interval_ns = round(1e9 / min((camera.rate_hz for camera in cameras), default=1e9 / self._step_ns))
        observation_due_ns = 0
        while not stop:
            now_ns = time.monotonic_ns()
            self._write_feedback(now_ns)
            self._drive(self._link.command(), now_ns)
            if now_ns >= self._ends_ns:
                if now_ns >= observation_due_ns:
                    observation_due_ns = max(observation_due_ns, now_ns - interval_ns) + interval_ns
                    self._observe(now_ns)
                self._step_on(now_ns)
                self._steps_late += time.monotonic_ns() > now_ns + self._step_ns
            self._service(time.monotonic_ns())
            self._pacer.wait()

    # ---- lockstep ----------------------------------------------------------------------------------------------------

    def lockstep(self, stop: StopSignal) -> None:
        """Move the virtual clock, one tick of control for each millisecond, until `stop`.

        Raises:
            LockstepError: control, or the engine behind it, did not answer in time.
        """
        waiting, now_ns = Lockstep(self._port, self._service), START_NS
        interval_ns = round(self._lockstep.observation_interval_s * 1e9)
        observation_due_ns: int | None = None
        while not stop:
            now_ns += TICK_NS
            self._write_feedback(now_ns)
            self._port.advance_clock(now_ns)
            command = waiting.command_of(now_ns, stop, self._moves)
            self._drive(command if self._link.gate.admit(command, now_ns) else None, now_ns)
            running = self._following and self._environment.outcome is SceneOutcome.RUNNING
            if now_ns >= self._ends_ns:
                if not running:
                    observation_due_ns = None
                elif observation_due_ns is None or now_ns >= observation_due_ns:
                    if observation_due_ns is None:
                        self._trace = hashlib.sha256()
                    observation_due_ns = now_ns + interval_ns
                    self._observe(now_ns)
                    waiting.wait_for_chunk(now_ns, stop)
                self._step_on(now_ns)
            self._service(time.monotonic_ns())
            if not running:
                time.sleep(IDLE_TICK_S)

    # ---- both --------------------------------------------------------------------------------------------------------

    def _moves(self) -> bool:
        return self._following or self._ramp is not None

    def _drive(self, command: Command | None, now_ns: int) -> None:
        """What is followed from now on: a fresh command, a ramp to rest, or nothing."""
        if command is not None:
            self._command, self._following, self._ramp = command, True, None
        elif self._following:
            assert self._command is not None
            self._following, self._settled_ns = False, 0
            self._ramp = RampToRest(self._embodiment, self._command.q, self._command.dq, now_ns)

    def _step_on(self, now_ns: int) -> None:
        """Begin the next step, where anything is to move; its end becomes the state that samples lead to."""
        if self._following:
            assert self._command is not None
            q, dq = self._command.q, self._command.dq
        elif self._ramp is not None:
            q, dq = self._ramp.at(now_ns)
        else:
            self._before = self._after = self._environment.values
            return
        undecided = self._environment.outcome is SceneOutcome.RUNNING
        self._before = self._environment.values
        action = self._environment.step(np.where(self._is_velocity, dq, q))
        self._after = self._environment.values
        self._begun_ns, self._ends_ns = now_ns, now_ns + self._step_ns
        self._steps += 1
        if undecided and self._port.virtual_clock:
            self._trace.update(action.tobytes())
        if self._ramp is not None and self._ramp.is_over:
            self._settled_ns = self._settled_ns or now_ns
            still = bool(np.max(np.abs(self._after - self._before)) <= _STILL_PER_S * self._environment.step_s)
            if still or now_ns - self._settled_ns >= _SETTLES_NS:
                self._ramp = None

    def _sample(self, now_ns: int) -> Sample:
        share = 1.0 if now_ns >= self._ends_ns else (now_ns - self._begun_ns) / self._step_ns
        value = self._before + share * (self._after - self._before)
        moving = self._moves() and now_ns <= self._ends_ns
        speed = (self._after - self._before) / (self._step_ns / 1e9) if moving else np.zeros_like(value)
        q, dq = np.where(self._is_velocity, 0.0, value), np.where(self._is_velocity, value, speed)
        return Sample(now_ns, q, dq)

    def _write_feedback(self, now_ns: int) -> None:
        self._link.write(self._sample(now_ns))

    def _observe(self, now_ns: int) -> None:
        frames = []
        for camera in self._embodiment.cameras:
            ring = self._link.rings[camera.name]
            self._environment.draw(camera.name, ring.slot())
            frames.append(ring.commit(now_ns))
        self._link.telemetry.observe(now_ns, self._sample(now_ns), frames)

    def _service(self, real_ns: int) -> None:
        """Everything that need not happen in every tick; `real_ns` is never virtual."""
        if real_ns < self._service_due_ns:
            return
        self._service_due_ns = real_ns + _SERVICE_INTERVAL_NS
        standing = (self._answered_id, self._environment.outcome)
        if real_ns >= self._status_due_ns or self._sent_status != standing:
            self._status_due_ns = real_ns + _STATUS_INTERVAL_NS
            self._sent_status = standing
            self._statuses.send(self._status())
        # Answered at the next turn: by then control has seen feedback of the new scene.
        for message in self._subscriber.receive(0.0):
            if isinstance(message, SceneCommand):
                self._lay_out(message)
        if self._link.telemetry.beat_is_due():
            self._beat()

    def _lay_out(self, command: SceneCommand) -> None:
        if command.id == self._answered_id:
            return
        if command.id < self._answered_id:
            self._subscriber.refusals.count(SCENE_COMMAND.name, Refusal.OUT_OF_ORDER)
            return
        self._answered_id = command.id
        # What the environment itself still does after its targets came to rest is no motion of the robot's.
        running_down = self._ramp is not None and not self._ramp.is_over
        if self._following or running_down or self._link.gate.lapsed:
            self._subscriber.refusals.count(SCENE_COMMAND.name, Refusal.NOT_ALLOWED_NOW)
            self._answer = SceneAnswer.NOT_ALLOWED_NOW
            return
        self._seed, self._split = command.seed, command.split
        self._environment.reset(command.seed, command.split)
        self._ramp, self._ends_ns = None, 0
        self._before = self._after = self._environment.values
        self._trace = hashlib.sha256()
        self._answer = SceneAnswer.OK

    def _status(self) -> SceneStatus:
        environment = self._environment
        return SceneStatus(
            stamp_ns=self._port.now_ns(),
            answered_id=self._answered_id,
            answer=self._answer,
            seed=self._seed,
            split=self._split,
            instruction=self._settings.instruction,
            swapped_instruction="",
            outcome=environment.outcome,
            reason=environment.reason,
            elapsed_s=environment.elapsed_s,
            trace_digest=self._trace.hexdigest() if self._port.virtual_clock else "",
        )

    def _beat(self) -> None:
        counters = {
            "steps": self._steps,
            "steps_late": self._steps_late,
            "actions_clipped": self._environment.clipped,
            "observations": self._link.telemetry.observations,
            "watchdog_stops": self._link.gate.lapses,
        }
        note = "commands ceased: stands until control lets go of the robot" if self._link.gate.lapsed else ""
        self._link.telemetry.beat(counters, {"lateness_max_ms": self._pacer.take_lateness_max_ns() / 1e6}, note)
