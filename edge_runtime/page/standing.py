"""The state tile: how the robot stands, why, what a person can do next, and which requests control would take now.

Pure: from a `Status` to words, all of which come from `edge_runtime.client.explanations`. What is not known is said to
be unknown: no state of before is shown as one of now.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge_runtime.client.explanations import GATES, IN_STATE, MOVED_BY, REASONS, STATES, STOPS, Explanation
from edge_runtime.client.status import Status
from edge_runtime.client.status_lines import LOST, next_step_by_name, state_words, wants_a_person
from edge_runtime.contracts.messages import ControlState, KernelReason, PolicyState
from edge_runtime.page.shown import RequestShown, Sentence, Standing, Tone

ARMING = ("arm", "resume")
"""Requests after which the robot may move."""
REQUESTS = ("stop", "disarm", "reset", "reset_moved", "arm", "resume", "reduce", "restore", "instruct", "record")
"""All that the page can ask for."""

_TONES: dict[ControlState, Tone] = {
    ControlState.UNKNOWN: "unknown",
    ControlState.SILENT: "bad",
    ControlState.READY: "wait",
    ControlState.ACTIVE: "good",
    ControlState.HOLDING: "busy",
    ControlState.STOPPING: "wait",
    ControlState.RETRACTING: "busy",
    ControlState.FAULT: "bad",
}
_ENDS = (KernelReason.HOLD_TIMEOUT, KernelReason.RETRACT_TIMEOUT)
"""Reasons for which the robot disarms by itself: they act for a tick, and explain what follows."""
_ORDINARY = (KernelReason.SETPOINT_NONE, KernelReason.FEEDBACK_TORN)


def sentence(name: str, known: Explanation) -> Sentence:
    """A name with what the table says of it."""
    words = known.meaning[:1].upper() + known.meaning[1:] + "."
    return Sentence(name=name, words=words, next_step=known.next_step, is_alarming=known.is_alarming)


def reason_sentences(reasons: Iterable[KernelReason]) -> tuple[Sentence, ...]:
    """Reasons of the kernel in words."""
    return tuple(sentence(reason.value, REASONS[reason]) for reason in reasons)


def ended_by(reasons: Iterable[KernelReason]) -> tuple[KernelReason, ...]:
    """Those of them that disarm the robot by themselves."""
    return tuple(reason for reason in reasons if reason in _ENDS)


def standing(status: Status, ended: tuple[KernelReason, ...]) -> Standing:
    """The tile.

    Args:
        ended: why it was disarmed by itself the last time, empty once it was armed again.
    """
    state = status.state
    tone = _TONES[state]
    if wants_a_person(status) and tone in ("good", "busy"):
        tone = "wait"
    changes = [reason for reason in status.verdicts if reason not in _ORDINARY]
    why = _why(status, ended)
    named = {one.name for one in why}
    return Standing(
        state=state.value,
        tone=tone,
        words=state_words(status),
        why=tuple(why),
        next_step=next_step_by_name(status) or _first_step(why),
        moved_by=MOVED_BY[status.authority] if state.is_known else "",
        changes=tuple(one for one in reason_sentences(changes) if one.name not in named),
    )


def _first_step(why: list[Sentence]) -> str:
    return next((one.next_step for one in why if one.next_step and one.is_alarming), "")


def _why(status: Status, ended: tuple[KernelReason, ...]) -> list[Sentence]:
    state = status.state
    if not state.is_known:
        return []
    why = list(reason_sentences(status.faults))
    if status.stopped_by is not None and status.stopped_by.value not in {one.name for one in why}:
        why.append(sentence(status.stopped_by.value, STOPS[status.stopped_by]))
    if not state.is_armed and not why:
        why += reason_sentences(ended)
    if status.gate in GATES:
        why.append(sentence(status.gate.value, GATES[status.gate]))
    if status.policy.is_lost and not state.is_latched:
        why += reason_sentences((LOST[status.policy],))
    if status.cannot_act:
        why.append(
            Sentence(name="cannot_act", words=f"The policy can't act here: {status.cannot_act}.", is_alarming=True)
        )
    if state is ControlState.SILENT or (state is ControlState.UNKNOWN):
        why.append(sentence(state.value, STATES[state]))
    if state is ControlState.HOLDING:
        known = {one.name for one in why}
        why += [one for one in reason_sentences(status.verdicts) if one.is_alarming and one.name not in known]
    return why


def possible_requests(status: Status, *, takes_arming: bool, is_run: bool) -> tuple[RequestShown, ...]:
    """Each request, and why control would not take it now.

    Args:
        takes_arming: whether this page asks for what lets the robot move.
        is_run: whether a run gives the instructions.
    """
    return tuple(
        RequestShown(name=name, is_possible=not why_not, why_not=why_not)
        for name in REQUESTS
        for why_not in (_why_not(name, status, takes_arming=takes_arming, is_run=is_run),)
    )


def _why_not(name: str, status: Status, *, takes_arming: bool, is_run: bool) -> str:
    state = status.state
    if name == "stop":
        return ""
    if not state.is_known:
        return "Control says nothing."
    if name in ARMING and not takes_arming:
        return ELSEWHERE
    without_policy = status.policy is PolicyState.NONE
    if name in ("reset", "reset_moved"):
        return "" if state.is_latched else IN_STATE.get(("reset", state), "There is nothing to reset.")
    if name == "arm":
        if status.cannot_act:
            return "Its policy can't act here."
        return "" if state.may_be_armed else IN_STATE.get((name, state), "Not possible from the state it is in.")
    if name == "resume":
        return "" if status.gate.waits_for_person else "Its policy does not ask for help."
    if name == "reduce":
        return "Speed is reduced already." if status.reduced is not None else ""
    if name == "restore":
        if status.reduced is None:
            return "Speed is not reduced."
        return "Speed can be restored only while the robot is not armed." if state.is_armed else ""
    if name == "instruct":
        if without_policy:
            return "No policy is run."
        return "A run gives the instructions itself." if is_run else ""
    if name == "disarm":
        return "" if state.is_armed else "It is not armed."
    return ""


ELSEWHERE = (
    "This page can be opened from another room: arm where you see the robot, with `edge-runtime operator arm`, or "
    "start the page with --arming."
)
"""Why what lets the robot move is not taken by a page that is served to other machines."""
