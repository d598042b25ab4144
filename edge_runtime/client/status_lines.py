"""A `Status` in sentences, one for each thing that a person wants to know: for the live display, the page and the
operator's command alike. Pure; all words of states, faults and refusals come from `edge_runtime.client.explanations`.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.client.explanations import (
    GATES,
    HOLDS,
    JOGGED,
    MESSAGES,
    NO_TASK,
    REASONS,
    STATES,
    STOPS,
    Explanation,
    explain,
    in_full,
)
from edge_runtime.client.status import Status
from edge_runtime.contracts.messages import Authority, ControlState, GateState, KernelReason, PolicyState

_SHOWN = 3
LOST = {
    PolicyState.DEAD: KernelReason.POLICY_DEAD,
    PolicyState.STALLED: KernelReason.POLICY_STALLED,
    PolicyState.STUCK: KernelReason.POLICY_STUCK,
}
"""What a lost policy is called among the kernel's reasons."""
_NO_MEANING = Explanation("")


def number(value: float | None, unit: str, digits: int = 0) -> str:
    """A value with its unit, a dash for one that is not known."""
    return "–" if value is None else f"{value:.{digits}f} {unit}"


def pair(first: float | None, second: float | None, unit: str, digits: int = 0) -> str:
    """Two percentiles with one unit."""
    return "–" if first is None or second is None else f"{first:.{digits}f} / {second:.{digits}f} {unit}"


def state_line(status: Status) -> str:
    """The state, with why the robot is stopped if it is: ``fault (operator_stop: stopped by an operator)``."""
    if _is_starting(status):
        return "unknown: no message from control yet"
    causes = [explain(fault, REASONS) for fault in status.faults]
    if not status.state.is_known:
        causes = []
    elif not causes and status.stopped_by is not None:
        causes = [f"{status.stopped_by.value}: {STOPS[status.stopped_by].meaning}"]
    if causes:
        return f"{status.state} ({'; '.join(causes)})"
    return f"{status.state}: {state_words(status)}"


def state_words(status: Status) -> str:
    """What the state means now, without its name and without why it is so."""
    if _is_starting(status):
        return "no message from control yet"
    if _is_jogged(status):
        return JOGGED.meaning
    if status.without_policy and status.state is ControlState.HOLDING:
        return HOLDS.meaning
    if _has_no_task(status):
        return NO_TASK.meaning
    return STATES[status.state].meaning


def _is_jogged(status: Status) -> bool:
    return status.authority is Authority.JOG and status.state.follows


def _has_no_task(status: Status) -> bool:
    """Whether it would move, and nobody has told it what to do, or in words that it can't read."""
    if _is_jogged(status):
        return False
    return status.state is ControlState.HOLDING and not status.instruction and status.alive.get("engine", False)


def _cannot_be_armed(status: Status) -> bool:
    """Whether a person who armed it now would be refused for its policy's sake."""
    return status.state.may_be_armed and bool(status.cannot_act)


def why_interrupted(status: Status) -> str:
    """The state of a robot that has just ceased to be armed, with what the kernel or the gate gave as a reason."""
    if status.faults or status.stopped_by is not None:
        return state_line(status)
    if status.gate is GateState.ESCALATED:
        return f"{status.state} (policy {GATES[status.gate].meaning})"
    causes = [
        explain(name, REASONS) for name in status.verdicts if name is KernelReason.HOLD_TIMEOUT or _is_alarming(name)
    ]
    return f"{status.state} ({'; '.join(causes)})" if causes else state_line(status)


def next_step(status: Status, run_dir: Path | None = None) -> str:
    """What a person can do now; empty where the robot is at work, or on its way, and wants nothing."""
    return in_full(next_step_by_name(status), run_dir)


def next_step_by_name(status: Status) -> str:
    """The same, with requests as [name]: for who shows something else than a command to type."""
    if _is_starting(status):
        return ""
    if status.state.is_latched:
        step = _step_of_faults(status)
    elif _cannot_be_armed(status):
        step = f"It can't be armed: {status.cannot_act}. `edge-runtime check` says what to change."
    elif status.stopped_by is not None and status.state.may_be_armed:
        step = "To continue: [arm]."
    elif status.gate in GATES and GATES[status.gate].next_step:
        step = GATES[status.gate].next_step
    elif _is_jogged(status):
        step = JOGGED.next_step
    elif _has_no_task(status):
        step = NO_TASK.next_step
    else:
        step = STATES[status.state].next_step
    return step


def _step_of_faults(status: Status) -> str:
    """Of several faults that which asks for more than a reset."""
    steps = [REASONS[fault].next_step for fault in status.faults]
    if status.stopped_by is not None:
        steps.append(STOPS[status.stopped_by].next_step)
    go_on = STATES[ControlState.FAULT].next_step
    return next((step for step in steps if step not in ("", go_on)), go_on)


def wants_a_person(status: Status) -> bool:
    """Whether the robot does nothing before a person has done something: what a display must not hide."""
    waits = status.stopped_by is not None or _cannot_be_armed(status) or status.gate.waits_for_person
    return waits or (STATES[status.state].is_alarming and not _is_starting(status))


def _is_starting(status: Status) -> bool:
    return not status.state.is_known and not status.ticks


def plan_line(status: Status) -> str:
    """How fresh the plan is that is followed, and how far it reaches."""
    if status.chunk_age_ms is None:
        return "none is followed"
    reaches = number(status.plan_left_ms, "ms")
    return f"made from what was seen {number(status.chunk_age_ms, 'ms')} ago, reaches another {reaches}"


def is_capped(status: Status) -> bool:
    """Whether the robot may not go as fast as its limits say."""
    return status.reduced is not None or (status.speed_scale is not None and status.speed_scale < 1.0)


def speed_line(status: Status) -> str:
    """How fast the robot may go, and everything that makes it slower."""
    causes = []
    if status.reduced is not None:
        tool_m_s = status.reduced.tool_speed_max_m_s
        limit = f"{status.reduced.speed_scale:.0%}" if tool_m_s is None else f"{tool_m_s:g} m/s at the tool"
        causes.append(f"reduced to {limit} by an operator")
    if status.gate is GateState.CAUTIOUS:
        causes.append("slower while the policy is not sure")
    if status.grade:
        allows = "" if status.grade_speed_scale >= 1.0 else f" allows {status.grade_speed_scale:.0%}"
        causes.append(f"timing grade {status.grade}{allows}")
    share = "–" if status.speed_scale is None else f"{status.speed_scale:.0%} of the joints' limits"
    return ", ".join([share, *causes])


def policy_line(status: Status) -> str:
    """How sure the policy is, and what that means for the robot."""
    confidence = f"confidence of its newest plan {number(status.confidence, '', 2).strip()}"
    if status.without_policy:
        return "none is run"
    if status.policy.is_lost:
        return f"{REASONS[LOST[status.policy]].meaning}; {confidence}"
    if status.cannot_act:
        return f"can't act here: {status.cannot_act}; {confidence}"
    gate = GATES.get(status.gate)
    return f"{gate.meaning if gate is not None else status.policy}; {confidence}"


def verdicts_line(status: Status) -> str:
    """What the safety kernel changed in the last two seconds, in words."""
    names = [name for name in status.verdicts if name is not KernelReason.SETPOINT_NONE] or status.verdicts
    words = [REASONS[name].meaning for name in names]
    return ", ".join(words) or "nothing"


def is_alarmed(status: Status) -> bool:
    """Whether one of the verdicts is no part of ordinary work; a robot that is not armed works at nothing."""
    is_at_work = status.state.is_armed or status.state.is_latched
    return is_at_work and any(map(_is_alarming, status.verdicts))


def _is_alarming(reason: KernelReason) -> bool:
    return REASONS[reason].is_alarming


def interventions_line(status: Status) -> str:
    """In how many ticks the kernel changed what was asked for, and of how many."""
    if not status.ticks_watched:
        return "none yet"
    share = status.interventions / status.ticks_watched
    return f"{status.interventions:,} of {status.ticks_watched:,} ticks smoothed or held ({share:.0%})"


def timing_line(status: Status) -> str:
    """How punctual the control loop is."""
    slots = status.ticks + status.overruns
    missed = f"{status.overruns:,} of {slots:,} ticks missed" + (f" ({status.overruns / slots:.1%})" if slots else "")
    priority = "" if status.realtime_priority else ", without real-time priority"
    return f"{pair(status.lateness_p50_us, status.lateness_p99_us, 'µs')} late p50 / p99, {missed}{priority}"


def unexpected_refusals(status: Status) -> int:
    """Messages that were refused although nothing ordinary explains it."""
    return sum(count for name, count in status.refusals.items() if _refusal(name).is_alarming)


def refusals_line(status: Status) -> str:
    """How many messages were refused, of which kinds, and beside how many plans that were taken."""
    if not status.refused:
        return f"none, {status.plans_taken:,} plans taken"
    unexpected = unexpected_refusals(status)
    kind = f"{unexpected:,} unexpected" if unexpected else "all routine"
    most = sorted(status.refusals.items(), key=lambda item: (not _refusal(item[0]).is_alarming, -item[1]))[:_SHOWN]
    words = ", ".join(f"{_refused_words(name)} {count:,}" for name, count in most)
    return f"{status.refused:,} ({kind}) beside {status.plans_taken:,} plans taken: {words}"


def _refused_words(name: str) -> str:
    known = _refusal(name)
    return f"{name} ({known.meaning})" if known.is_alarming else known.meaning


def _refusal(name: str) -> Explanation:
    """Of a count's name, ``process.topic.kind``; a kind that the table lacks is no routine."""
    kind = name.rpartition(".")[2]
    return MESSAGES.get(kind, Explanation(kind.replace("_", " "), is_alarming=True))
