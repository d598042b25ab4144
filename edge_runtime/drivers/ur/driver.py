"""The driver of a UR arm: what the controller measures, and orders for the hand that has hold of it.

Guarantees: a sample is one package of the controller, stamped when it was measured; a controller that no longer sends,
or sends the same again, ends the driver; while no program of ours runs on the controller, samples say that no command
is followed. Payload, tool, installation and safety settings are the pendant's: nothing of them is set here.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.sdk import Driver, Sample
from edge_runtime.drivers.sdk.driver import serve
from edge_runtime.drivers.sdk.foreign_clock import ForeignClock
from edge_runtime.drivers.sdk.settings import driver_settings
from edge_runtime.drivers.ur.declaration import WATCHDOG_NS
from edge_runtime.drivers.ur.greeting import greet
from edge_runtime.drivers.ur.hand import Hand, HandState
from edge_runtime.drivers.ur.settings import UrSettings
from edge_runtime.drivers.ur.status import Runtime, Status, status_of
from edge_runtime.service import Arguments, StopSignal

VARIABLES = (
    "timestamp",
    "actual_q",
    "actual_qd",
    "actual_TCP_force",
    "robot_mode",
    "safety_status_bits",
    "runtime_state",
)
_POLL_S = 0.0002
_AGAIN_S = 1.0
_HAND_MAX_S = 5.0
_READS = 5
_MOST_HZ = 500.0


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the driver until `stop`.

    Raises:
        EdgeError: what can't be had, or what the controller does not do.
    """
    if arguments.lockstep:
        raise ConfigError("--lockstep", "this driver runs in real time only; virtual time is for simulators")
    serve(UrDriver, arguments, stop, rate_hz=_MOST_HZ, watchdog_ns=WATCHDOG_NS)


class UrDriver(Driver):
    """A `Driver` of one UR arm.

    Raises:
        ConfigError: the settings are not such.
        DriverError: the controller can't be reached, or is not such.
    """

    def __init__(self, config: RobotConfig) -> None:
        import rtde_receive

        self._settings = settings = driver_settings(config, UrSettings)
        controller = greet(settings.host)
        self.rate_hz = settings.rate_hz or controller.rate_hz
        self._has_wrench = not controller.is_cb3 if settings.wrench is None else settings.wrench
        try:
            self._receive: Any = rtde_receive.RTDEReceiveInterface(settings.host, self.rate_hz, list(VARIABLES))
        except Exception as error:  # boost's errors have no class of their own in Python
            raise DriverError("the controller", f"at {settings.host}: {error}") from error
        self._clock = ForeignClock("the controller's clock")
        self._seen_s = -1.0
        self._hand: Hand | None = None
        self._hand_due_s = self._seen_at_s = time.monotonic()
        # An arm that is well follows from the first sample on that control sees.
        end_s = time.monotonic() + _HAND_MAX_S
        while time.monotonic() < end_s:
            if not self.read().fault or not self._has_hand:
                break

    @property
    def _has_hand(self) -> bool:
        return self._hand is not None

    def read(self) -> Sample:
        """The next package.

        Raises:
            DriverError: none comes, or the connection is lost.
        """
        stamp_s = self._await_package()
        for _ in range(_READS):
            q, dq = self._receive.getActualQ(), self._receive.getActualQd()
            wrench = self._receive.getActualTCPForce() if self._has_wrench else None
            mode, bits = self._receive.getRobotMode(), self._receive.getSafetyStatusBits()
            runtime = self._receive.getRuntimeState()
            now_s = self._receive.getTimestamp()
            if now_s == stamp_s:
                break
            # The next package came in between: all of one, or none of it.
            stamp_s = now_s
        self._seen_s = stamp_s
        stamp_ns = self._clock.local_ns(round(stamp_s * 1e9), time.monotonic_ns())
        status = status_of(mode, bits)
        follows = self._tend(status, runtime)
        return Sample(stamp_ns, q, dq, wrench=wrench, stop_line=status.stop_line, fault=status.fault or not follows)

    def follow(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> None:
        """Pass a target on."""
        if self._hand is not None:
            self._hand.follow(q, dq)

    def hold(self) -> None:
        """Brake and stand."""
        if self._hand is not None:
            self._hand.hold()

    def close(self) -> None:
        """Let go: the program on the controller ends, and the arm stands on its own."""
        if self._hand is not None:
            self._hand.end()
        self._receive.disconnect()

    def _await_package(self) -> float:
        while True:
            stamp_s = float(self._receive.getTimestamp())
            now_s = time.monotonic()
            if stamp_s != self._seen_s:
                self._seen_at_s = now_s
                return stamp_s
            if not self._receive.isConnected():
                self._lose("the connection is lost")
            if now_s - self._seen_at_s > self._settings.silence_s:
                self._lose(f"no new package for {self._settings.silence_s:g} s")
            time.sleep(_POLL_S)

    def _lose(self, what: str) -> None:
        # Before ur_rtde can connect again and repeat itself.
        if self._hand is not None:
            self._hand.kill(what)
        ends = "the controller's own watchdog has stopped the arm, which holds"
        raise DriverError("the controller", f"at {self._settings.host}: {what}; {ends}")

    def _tend(self, status: Status, runtime: int) -> bool:
        """Have a hand on the arm while it is well; whether there is one that follows."""
        hand, now_s = self._hand, time.monotonic()
        if hand is not None:
            hand.look()
            if hand.state is HandState.GONE:
                self._say(f"no hand on the arm: {hand.words}")
                self._hand, self._hand_due_s = None, now_s + _AGAIN_S
        elif not (status.fault or status.stop_line) and now_s >= self._hand_due_s:
            if runtime == Runtime.PLAYING:
                self._say("another program runs on the controller: stop it on the pendant")
            else:
                self._hand = Hand(self._settings, self.rate_hz or _MOST_HZ)
        follows = self._hand is not None and self._hand.state is HandState.READY
        if status.words:
            self._say(status.words)
        elif follows:
            self._say("")
        return follows

    def _say(self, words: str) -> None:
        if words != self.note:
            self.note = words
            if words:
                print(f"ur: {words}", file=sys.stderr, flush=True)
