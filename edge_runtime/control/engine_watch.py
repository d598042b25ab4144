"""What control knows of its policy's engine: that it lives, that its policy is proved, how fast it is, what it follows.

Knows nothing of motion. Trusts an engine to say the truth about itself, and only for as long as it is heard.
"""

from __future__ import annotations

import math
import time

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.messages import Heartbeat, OperatorCommand, PolicySign, PolicyState
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.policy_watch import PolicyWatch
from edge_runtime.control.proof_watch import PATIENCE_NS, ProofWatch, Word
from edge_runtime.control.without_policy import NoProof
from edge_runtime.ipc.lifeline import lifeline_path
from edge_runtime.pace import Pace, pace_of
from edge_runtime.safety import Policy

_ENGINE_HEARD_S = 0.5
"""An engine speaks ten times a second: one that is taken for stalled earlier may still be armed for."""

_PACE_HEARD_S = 1.0
"""Each topic has a connection of its own, and they are made one after the other."""


class EngineWatch:
    """Listens to one engine after the other.

    Args:
        config: of this robot.
        loop: that watches the engine's process.
        port_name: of the driver port, which the engine's lifeline is named after.
        follows: whether this control follows a policy at all.
        virtual: on virtual time, where a policy is as fast as it was told to be.
    """

    def __init__(self, config: RobotConfig, loop: ControlLoop, port_name: str, *, follows: bool, virtual: bool) -> None:
        self._config = config
        self._follows = follows
        self._virtual = virtual
        self._status: EngineStatus | None = None
        self._seen_s: float | None = None
        self._first_s: float | None = None
        self._policy = PolicyWatch(loop, lifeline_path(port_name))
        silent_ns = round(max(config.control.engine_timeout_s, _ENGINE_HEARD_S) * 1e9)
        self._proof: ProofWatch | NoProof = ProofWatch(silent_ns) if follows else NoProof()
        # Until the engine says how fast its policy is.
        self.pace: Pace = pace_of(config.lockstep.inference_latency_s if virtual else 0.0, math.inf, config)
        """That the policy has here."""

    def hear(self, message: Heartbeat | PolicyStatus) -> None:
        """A sign of life, or what the engine says of its bundles."""
        if isinstance(message, Heartbeat):
            self._seen_s = time.monotonic()
            self._first_s = self._first_s or self._seen_s
            self._policy.take(message)
        self._proof.hear(message, time.monotonic_ns())

    def hear_status(self, status: EngineStatus) -> bool:
        """What became of an instruction, and how fast the policy is; whether it has just refused an instruction."""
        before, self._status = self._status, status
        is_news = before is None or (before.instruction_id, before.answer) != (status.instruction_id, status.answer)
        if not self._virtual:
            self.pace = pace_of(status.latency_ns * 1e-9, status.horizon_ns * 1e-9, self._config)
        return is_news and status.answer is InstructionAnswer.REFUSED_UNREADABLE

    def refuses(self, instruction_id: int) -> bool:
        """Whether the engine follows nothing that was made for this instruction."""
        status = self._status
        return (
            status is not None
            and status.answer is InstructionAnswer.REFUSED_UNREADABLE
            and instruction_id <= status.instruction_id
        )

    def word(self) -> Word:
        """Whether the robot may be armed as far as its policy goes."""
        return self._proof.word(time.monotonic_ns())

    def may_be_about_to_speak(self, arm: OperatorCommand) -> bool:
        """Whether what arming depends on is not known yet, and may be in a moment."""
        if self.word().may_change and time.monotonic_ns() - arm.stamp_ns < PATIENCE_NS:
            return True
        if self._virtual or self._status is not None or not self._follows:
            return False
        if self._first_s is None:
            return time.monotonic_ns() - arm.stamp_ns < round(_PACE_HEARD_S * 1e9)
        return time.monotonic() - self._first_s < _PACE_HEARD_S

    @property
    def is_alive(self) -> bool:
        """Whether it has been heard as lately as control waits for one."""
        return self._seen_s is not None and time.monotonic() - self._seen_s <= self._config.control.engine_timeout_s

    @property
    def watched_by(self) -> PolicySign:
        """What tells that it died, see `SafetyReport.policy_watch`."""
        return self._policy.how

    @property
    def too_slow(self) -> str:
        """Why the policy can't act at the pace that it has here; empty while it can."""
        return "" if self._virtual else self.pace.detail

    def policy(self, seen_by_loop: Policy) -> PolicyState:
        """The policy's state, see `SafetyReport.policy`."""
        return self._policy.state(seen_by_loop) if self._follows else PolicyState.NONE
