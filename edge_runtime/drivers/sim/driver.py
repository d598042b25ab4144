"""The simulated arm as a robot driver: the plant on one side, the driver port, frame rings and the bus on the other.

One `tick` is one millisecond of the plant, whoever moves time: `real_time` runs it against CLOCK_MONOTONIC, `lockstep`
moves the virtual clock itself. Control is not trusted to live: without fresh commands the arm stops by its own means.
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import ExitStack
from types import TracebackType

import numpy as np

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import SceneAnswer, SceneCommand, SceneStatus
from edge_runtime.contracts.topics import SCENE_COMMAND, SCENE_STATUS
from edge_runtime.drivers.sdk.link import DriverLink
from edge_runtime.drivers.sdk.lockstep import IDLE_TICK_S, START_NS, TICK_NS, Lockstep
from edge_runtime.drivers.sdk.pacing import Pacer, become_realtime
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.drivers.sim.declaration import WATCHDOG_NS, require_simulated
from edge_runtime.drivers.sim.observations import Cameras, Exposure, Observer
from edge_runtime.drivers.sim.plant import STEP_S, Plant
from edge_runtime.drivers.sim.servo import Mode, Servo
from edge_runtime.drivers.sim.task import Outcome, Split, Status
from edge_runtime.ipc.bus import Publisher, Subscriber
from edge_runtime.service import Arguments, StopSignal

MAX_CATCH_UP_TICKS = 20
"""A driver that was away for longer lets that time pass, as a robot whose brakes were on."""

_SERVICE_INTERVAL_NS = 10_000_000
_STATUS_INTERVAL_NS = 50_000_000


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the simulated arm until `stop`; leaves no shared memory behind."""
    with SimDriver(arguments) as driver:
        if arguments.lockstep:
            driver.lockstep(stop)
        else:
            driver.real_time(stop)


class SimDriver:
    """Everything the driver process owns; use it as a context manager, then run one of its two loops."""

    def __init__(self, arguments: Arguments) -> None:
        config, run_dir = arguments.config, arguments.run_dir
        embodiment = config.embodiment
        require_simulated(embodiment)
        self._lockstep_settings = config.lockstep
        self._realtime_priority = config.control.realtime_priority
        self._split: Split = "train"
        self._plant = Plant()
        self._plant.reset(0, self._split)
        acceleration_max = [config.safety.axes[name].acceleration_max for name in embodiment.joint_names]
        self._servo = Servo(np.array(acceleration_max, dtype=np.float64), WATCHDOG_NS)
        with ExitStack() as stack:
            stack.callback(self._plant.close)
            self._link = stack.enter_context(
                DriverLink(config, run_dir, watchdog_ns=WATCHDOG_NS, virtual_clock=arguments.lockstep)
            )
            self._port = self._link.port
            self._subscriber = stack.enter_context(
                Subscriber((SCENE_COMMAND,), run_dir, self._link.telemetry.refusals, process="driver")
            )
            self._statuses = stack.enter_context(Publisher(SCENE_STATUS, run_dir))
            self._observer = Observer(Cameras(self._link.rings), self._link.telemetry)
            stack.callback(self._observer.close)
            self._resources = stack.pop_all()
        self._observation_interval_ns = round(1e9 / max(camera.rate_hz for camera in embodiment.cameras))
        self._answered_id = 0
        self._answer = SceneAnswer.NONE
        self._sent_status: tuple[int, Outcome] | None = None
        self._status_due_ns = 0
        self._service_due_ns = 0
        self._ticks = 0
        self._pacer = Pacer(TICK_NS)
        self._elapsed_s = 0.0
        self._trace = hashlib.sha256()

    def __enter__(self) -> SimDriver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._resources.close()

    # ---- real time ---------------------------------------------------------------------------------------------------

    def real_time(self, stop: StopSignal) -> None:
        """Run at 1 kHz of CLOCK_MONOTONIC until `stop`.

        Woken late, it steps as many milliseconds as have passed; drawing has its own thread.
        """
        # The thread that draws gives the interpreter back within this time, not within the default 5 ms.
        sys.setswitchinterval(0.0002)
        become_realtime(self._realtime_priority)
        self._observer.start(self._exposure(time.monotonic_ns()))
        self._pacer = Pacer(TICK_NS)
        observation_due_ns = time.monotonic_ns()
        while not stop:
            missed = self._pacer.wait()
            now_ns = time.monotonic_ns()
            self._servo.update(self._link.newest_command(), now_ns)
            self._step(1 + min(missed, MAX_CATCH_UP_TICKS))
            self._write_feedback(now_ns)
            if now_ns >= observation_due_ns:
                observation_due_ns = max(observation_due_ns, now_ns - self._observation_interval_ns)
                observation_due_ns += self._observation_interval_ns
                self._observer.post(self._exposure(now_ns))
            self._service(now_ns)

    # ---- lockstep ----------------------------------------------------------------------------------------------------

    def lockstep(self, stop: StopSignal) -> None:
        """Move the virtual clock, one tick of control for each millisecond, until `stop`.

        Raises:
            LockstepError: control, or the engine behind it, did not answer in time.
        """
        waiting, now_ns = Lockstep(self._port, self._service), START_NS
        interval_ns = round(self._lockstep_settings.observation_interval_s * 1e9)
        observation_due_ns: int | None = None
        while not stop:
            now_ns += TICK_NS
            self._write_feedback(now_ns)
            self._port.advance_clock(now_ns)
            self._servo.update(waiting.command_of(now_ns, stop, lambda: self._servo.moves), now_ns)
            running = self._servo.mode is Mode.FOLLOWING and self._plant.outcome().status is Status.RUNNING
            if not running:
                observation_due_ns = None
            elif observation_due_ns is None or now_ns >= observation_due_ns:
                if observation_due_ns is None:
                    self._trace = hashlib.sha256()
                observation_due_ns = now_ns + interval_ns
                self._observer.observe(self._exposure(now_ns))
                waiting.wait_for_chunk(now_ns, stop)
            self._step(1)
            self._service(time.monotonic_ns())
            if not running:
                time.sleep(IDLE_TICK_S)

    # ---- both --------------------------------------------------------------------------------------------------------

    def _step(self, ticks: int) -> None:
        self._ticks += ticks
        if not self._servo.moves:
            return
        for _ in range(ticks):
            target_rad = self._servo.target_rad(STEP_S)
            undecided = self._plant.outcome().status is Status.RUNNING
            if undecided and self._port.virtual_clock:
                self._trace.update(target_rad.tobytes())
            self._plant.step(target_rad, self._servo.gripper_m)
            if undecided:
                self._elapsed_s = self._plant.time_s

    def _write_feedback(self, now_ns: int) -> None:
        plant = self._plant
        # On its brakes the arm neither moves nor is driven.
        still = np.zeros(self._port.n_axes)
        q = np.append(plant.q, plant.gripper_opening_m)
        dq, tau = still, still
        if self._servo.moves:
            dq = np.append(plant.dq, plant.gripper_speed_m_s)
            tau = np.append(plant.tau, plant.gripper_force_n)
        self._link.write(Sample(now_ns, q, dq, tau=tau, fault=self._servo.faulted))

    def _exposure(self, now_ns: int) -> Exposure:
        plant = self._plant
        moves = self._servo.moves
        return Exposure(
            exposure_ns=now_ns,
            seed=plant.task.seed,
            split=self._split,
            configuration=plant.configuration,
            position=(*plant.q.tolist(), plant.gripper_opening_m),
            velocity=(*plant.dq.tolist(), plant.gripper_speed_m_s) if moves else (0.0,) * self._port.n_axes,
        )

    def _service(self, real_ns: int) -> None:
        """Everything that need not happen every millisecond; `real_ns` is never virtual."""
        if real_ns < self._service_due_ns:
            return
        self._service_due_ns = real_ns + _SERVICE_INTERVAL_NS
        outcome = self._plant.outcome()
        if real_ns >= self._status_due_ns or self._sent_status != (self._answered_id, outcome):
            self._status_due_ns = real_ns + _STATUS_INTERVAL_NS
            self._sent_status = (self._answered_id, outcome)
            self._statuses.send(self._status(outcome))
        # Answered at the next turn: by then control has seen feedback of the new scene.
        for message in self._subscriber.receive(0.0):
            if isinstance(message, SceneCommand):
                self._take(message)
        if self._link.telemetry.beat_is_due():
            self._beat()

    def _take(self, command: SceneCommand) -> None:
        if command.id == self._answered_id:
            return
        if command.id < self._answered_id:
            self._subscriber.refusals.count(SCENE_COMMAND.name, Refusal.OUT_OF_ORDER)
            return
        self._answered_id = command.id
        if self._servo.mode is not Mode.BRAKED:
            self._subscriber.refusals.count(SCENE_COMMAND.name, Refusal.NOT_ALLOWED_NOW)
            self._answer = SceneAnswer.NOT_ALLOWED_NOW
            return
        self._split = "eval" if command.split == "eval" else "train"
        self._plant.reset(command.seed, self._split)
        self._trace = hashlib.sha256()
        self._elapsed_s = 0.0
        self._answer = SceneAnswer.OK

    def _status(self, outcome: Outcome) -> SceneStatus:
        task = self._plant.task
        return SceneStatus(
            stamp_ns=self._port.now_ns(),
            answered_id=self._answered_id,
            answer=self._answer,
            seed=task.seed,
            split=self._split,
            instruction=task.instruction,
            swapped_instruction=task.swapped_instruction,
            outcome=outcome.status,
            reason=outcome.reason,
            elapsed_s=self._elapsed_s,
            trace_digest=self._trace.hexdigest() if self._port.virtual_clock else "",
            kind=task.verb,
        )

    def _beat(self) -> None:
        counters = {
            "ticks": self._ticks,
            "overruns": self._pacer.missed,
            "observations": self._link.telemetry.observations,
            "observations_skipped": self._observer.skipped,
            "watchdog_stops": self._servo.watchdog_stops,
        }
        gauges = {"lateness_max_ms": self._pacer.take_lateness_max_ns() / 1e6, "draw_ms": self._observer.draw_ms}
        self._link.telemetry.beat(counters, gauges, self._servo.mode.value)
