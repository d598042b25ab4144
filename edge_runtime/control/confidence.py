"""The confidence gate: how sure the policy says it is decides whether its chunk moves the robot, and how fast.

Guarantees that nothing it decides ever arms a robot or loosens a limit: it can only withhold a chunk, slow it down, or
ask for the robot to be disarmed. A policy that has been unsure for too long stays disarmed until a person has answered.
Pure: no clock, no socket. Trusts the engine for the score and nobody for what it means; a score that a wrong but
self-consistent policy gives is high, and passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_runtime.config.robot_file import ConfidenceSection
from edge_runtime.contracts.messages import GateState


class GateEvent(Enum):
    """What can happen to the gate."""

    HIGH = "high"
    MIDDLE = "middle"
    LOW = "low"
    RECOVERED = "recovered"
    LOW_TOO_OFTEN = "low_too_often"
    ANSWERED = "answered"


TRANSITIONS: dict[tuple[GateState, GateEvent], GateState] = {
    (GateState.SURE, GateEvent.HIGH): GateState.SURE,
    (GateState.SURE, GateEvent.MIDDLE): GateState.CAUTIOUS,
    (GateState.SURE, GateEvent.LOW): GateState.ASKING,
    (GateState.SURE, GateEvent.LOW_TOO_OFTEN): GateState.ESCALATED,
    (GateState.SURE, GateEvent.ANSWERED): GateState.SURE,
    (GateState.CAUTIOUS, GateEvent.HIGH): GateState.SURE,
    (GateState.CAUTIOUS, GateEvent.MIDDLE): GateState.CAUTIOUS,
    (GateState.CAUTIOUS, GateEvent.LOW): GateState.ASKING,
    (GateState.CAUTIOUS, GateEvent.LOW_TOO_OFTEN): GateState.ESCALATED,
    (GateState.CAUTIOUS, GateEvent.ANSWERED): GateState.SURE,
    (GateState.ASKING, GateEvent.HIGH): GateState.ASKING,
    (GateState.ASKING, GateEvent.MIDDLE): GateState.ASKING,
    (GateState.ASKING, GateEvent.LOW): GateState.ASKING,
    (GateState.ASKING, GateEvent.RECOVERED): GateState.CAUTIOUS,
    (GateState.ASKING, GateEvent.LOW_TOO_OFTEN): GateState.ESCALATED,
    (GateState.ASKING, GateEvent.ANSWERED): GateState.SURE,
    (GateState.ESCALATED, GateEvent.HIGH): GateState.ESCALATED,
    (GateState.ESCALATED, GateEvent.MIDDLE): GateState.ESCALATED,
    (GateState.ESCALATED, GateEvent.LOW): GateState.ESCALATED,
    (GateState.ESCALATED, GateEvent.LOW_TOO_OFTEN): GateState.ESCALATED,
    (GateState.ESCALATED, GateEvent.ANSWERED): GateState.SURE,
}
"""A gate that is off is in no row: it takes no event. Nothing but an answer leads out of ESCALATED."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one chunk.

    Attributes:
        admits: it may be handed over; if not, the robot plays out what it has and holds.
        speed_scale: of the velocity limits while it is followed, above 0, at most 1.
        escalates: the robot is to be disarmed now; true once for each escalation.
    """

    admits: bool
    speed_scale: float
    escalates: bool


class ConfidenceGate:
    """One policy's gate.

    Args:
        settings: thresholds; `enabled` false lets everything pass.
    """

    def __init__(self, settings: ConfidenceSection) -> None:
        self._settings = settings
        self._state = GateState.SURE if settings.enabled else GateState.OFF
        self._grade = GateEvent.HIGH
        self._low_in_a_row = 0
        self._good_in_a_row = 0

    @property
    def state(self) -> GateState:
        """Where the gate stands."""
        return self._state

    def judge(self, score: float | None) -> Decision:
        """What becomes of a chunk of a policy that is `score` sure, 0 to 1; None if it does not say."""
        if self._state is GateState.OFF:
            return Decision(admits=True, speed_scale=1.0, escalates=False)
        before = self._state
        self._take(self._event(score))
        return Decision(
            admits=self._state in (GateState.SURE, GateState.CAUTIOUS),
            speed_scale=self._settings.slow_speed_scale if self._state is GateState.CAUTIOUS else 1.0,
            escalates=self._state is GateState.ESCALATED and before is not GateState.ESCALATED,
        )

    def answer(self) -> None:
        """A person has answered: told it to go on, or given another instruction."""
        self._low_in_a_row = self._good_in_a_row = 0
        self._grade = GateEvent.HIGH
        if self._state is not GateState.OFF:
            self._take(GateEvent.ANSWERED)

    def _take(self, event: GateEvent) -> None:
        self._state = TRANSITIONS[self._state, event]

    def _event(self, score: float | None) -> GateEvent:
        grade = self._graded(score)
        self._grade = grade
        is_low = grade is GateEvent.LOW
        self._low_in_a_row = self._low_in_a_row + 1 if is_low else 0
        self._good_in_a_row = 0 if is_low else self._good_in_a_row + 1
        settings = self._settings
        if self._low_in_a_row >= settings.escalate_after:
            return GateEvent.LOW_TOO_OFTEN
        if self._state is GateState.ASKING and 0 < settings.recover_after <= self._good_in_a_row:
            return GateEvent.RECOVERED
        return grade

    def _graded(self, score: float | None) -> GateEvent:
        """A grade is left upwards only by more than the hysteresis, so that a score on the line does not flutter."""
        settings = self._settings
        if score is None:
            return {"allow": GateEvent.HIGH, "slow": GateEvent.MIDDLE, "pause": GateEvent.LOW}[settings.without_score]
        was_low, was_high = self._grade is GateEvent.LOW, self._grade is GateEvent.HIGH
        # A score that is not a number compares as low.
        if not score >= settings.pause_below + (settings.hysteresis if was_low else 0.0):
            return GateEvent.LOW
        if not score >= settings.slow_below + (0.0 if was_high else settings.hysteresis):
            return GateEvent.MIDDLE
        return GateEvent.HIGH
