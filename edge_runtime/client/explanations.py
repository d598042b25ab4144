"""What every state, fault, reason and refusal means to a person, and what she can do next: the one table of it.

The status, the live display, the page, a run and the answers to operators all take their words from here. Keys are the
stable names that travel on the bus. A next step writes a request to the operator's command as [name]; `in_full` turns
it into what is typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.client.run_dir import LOCAL_RUN_DIR
from edge_runtime.contracts.messages import Authority, ControlState, GateState, KernelReason, RequestResult, StopCause


@dataclass(frozen=True)
class Explanation:
    """What a name means.

    Attributes:
        meaning: half a sentence, as it stands after the name and a colon.
        next_step: what a person can do; empty where nothing has to be done.
        is_alarming: not part of ordinary work.
    """

    meaning: str
    next_step: str = ""
    is_alarming: bool = False


_GO_ON = "To continue: [reset], then [arm]."
_ONCE_MENDED = "Once that is mended: [reset], then [arm]."
_TIMING = "If it goes on: `edge-runtime check` says how well this machine keeps time."
_OTHER_BUNDLE = "If it goes on: run another bundle, and see the engine's log."


def _driver(what: str) -> str:
    return f"See the driver's log: {what} {_ONCE_MENDED}"


def _fault(meaning: str, next_step: str = _ONCE_MENDED) -> Explanation:
    return Explanation(meaning, next_step, is_alarming=True)


def _wrong(meaning: str, next_step: str = "") -> Explanation:
    return Explanation(meaning, next_step, is_alarming=True)


STATES: dict[ControlState, Explanation] = {
    ControlState.UNKNOWN: _wrong(
        "no message from control for a second", "Is the robot's software running? See control's log."
    ),
    ControlState.SILENT: _wrong("control gets no usable feedback from the robot's driver", "Look at the driver's log."),
    ControlState.READY: Explanation("not armed: follows no commands", "To start: [arm]."),
    ControlState.ACTIVE: Explanation("armed, following the policy"),
    ControlState.HOLDING: Explanation("armed, standing still, waiting for a plan of the policy"),
    ControlState.STOPPING: Explanation("braking to rest"),
    ControlState.RETRACTING: Explanation("armed, moving back to its home posture"),
    ControlState.FAULT: _wrong("stopped; a fault is latched", _GO_ON),
}
NO_TASK = Explanation(
    "armed, standing still without an instruction",
    "To let it move: [instruct], with a sentence. To end this: [disarm].",
)
"""In the place of "holding", where there is nothing to wait for."""

JOGGED = Explanation("armed, jogged by a person", "To end that: [disarm].")
"""Of "active" and "holding" while a person jogs."""

MOVED_BY: dict[Authority, str] = {
    Authority.NONE: "nothing: it is not armed",
    Authority.POLICY: "its policy",
    Authority.HOLD: "nothing: it holds its posture",
    Authority.JOG: "a person who jogs it; the policy's plans are refused",
}
"""Who moves the robot."""

HOLDS = Explanation("armed, holding its posture; no policy is run", "To end that: [disarm].")
"""Of "holding", where control follows no policy."""

STOPS: dict[StopCause, Explanation] = {
    StopCause.OPERATOR_STOP: _wrong("stopped by an operator", _GO_ON),
    StopCause.OPERATOR_DISARM: _wrong("disarmed by an operator", "To continue: [arm]."),
    StopCause.STOP_LINE: _wrong(
        "stopped by an open stop line", "To continue: close the line, then [reset], then [arm]."
    ),
}
"""Stops that only a person ends. Until then programs such as `edge-runtime run` wait."""

REASONS: dict[KernelReason, Explanation] = {
    KernelReason.SETPOINT_NONE: Explanation("no plan to follow"),
    KernelReason.SETPOINT_SHAPE: _wrong(
        "a setpoint for another number of axes was refused",
        "Is its bundle made for this robot? `edge-runtime check` says.",
    ),
    KernelReason.SETPOINT_NOT_FINITE: _wrong("a setpoint that is no number was refused", _OTHER_BUNDLE),
    KernelReason.SETPOINT_STALE: _wrong("a setpoint that was computed too long ago was refused", _TIMING),
    KernelReason.SETPOINT_FUTURE: _wrong("a setpoint from the future was refused", _TIMING),
    KernelReason.SETPOINT_SEQUENCE: _wrong("a repeated setpoint was refused", _TIMING),
    KernelReason.SETPOINT_SKIPPED: _wrong("setpoints are missing", _TIMING),
    KernelReason.OBSERVATION_STALE: _wrong(
        "the observation behind the plan is too old: the plan is not followed any further",
        "See the logs of the driver and of the engine: pictures or plans come late.",
    ),
    KernelReason.SETPOINT_STEP: _wrong(
        "a setpoint too far from the robot's position was refused",
        "If it goes on: the policy asks for a leap. Is its bundle made for this robot? `edge-runtime check` says.",
    ),
    KernelReason.POLICY_LOST: _wrong("the policy has given no plan for too long", "Look at the engine's log."),
    KernelReason.LIMIT_POSITION: Explanation("kept inside an axis's range"),
    KernelReason.LIMIT_BRAKING: Explanation("slowed to be able to stop inside its limits"),
    KernelReason.LIMIT_VELOCITY: Explanation("speed limited"),
    KernelReason.LIMIT_ACCELERATION: Explanation("acceleration smoothed"),
    KernelReason.LIMIT_JERK: Explanation("jerk smoothed"),
    KernelReason.LIMIT_GEOMETRY: Explanation("slowed or held near an obstacle, or near itself"),
    KernelReason.LIMIT_TOOL_SPEED: Explanation("tool speed limited"),
    KernelReason.LIMIT_SPEED_SCALE: Explanation("slowed to the speed that is allowed now"),
    KernelReason.LIMIT_SINGULARITY: Explanation("slowed near a singular posture"),
    KernelReason.LIMIT_GRIPPER: Explanation("gripper smoothed"),
    KernelReason.POLICY_DEAD: _wrong("the policy's process has ended", "It is started again; see the engine's log."),
    KernelReason.POLICY_STALLED: _wrong("the policy's process gives no sign of life", "See the engine's log."),
    KernelReason.POLICY_STUCK: _wrong("the policy's process lives, but gives no new plans", "See the engine's log."),
    KernelReason.FEEDBACK_TORN: Explanation("feedback could not be read in one tick: the last one was used"),
    KernelReason.FEEDBACK_SHAPE: _fault(
        "the driver reported another number of axes", _driver("is it the one that robot.toml means?")
    ),
    KernelReason.FEEDBACK_NOT_FINITE: _fault(
        "the driver reported a position that is no number", _driver("an encoder or its cable may have failed.")
    ),
    KernelReason.FEEDBACK_STALE: _fault(
        "the driver's feedback stopped coming", _driver("is the robot switched on, and its cable plugged in?")
    ),
    KernelReason.FEEDBACK_FUTURE: _fault(
        "the driver's feedback has a time stamp from the future", _driver("its stamps must be this machine's.")
    ),
    KernelReason.FEEDBACK_SEQUENCE: _fault(
        "the driver's feedback went back in number or time", _driver("was it started twice?")
    ),
    KernelReason.TRACKING_ERROR: _fault(
        "the robot was not where it was commanded to be: something holds or pushes it",
        f"Look for what holds or pushes it, and whether its brakes are off. {_ONCE_MENDED}",
    ),
    KernelReason.ENCODER_FROZEN: _fault(
        "a joint's measured position stands still while it is commanded to move",
        _driver("an encoder, its cable, or a brake that is on."),
    ),
    KernelReason.TORQUE: _fault(
        "a joint's torque or force was above its limit for too long",
        f"Look for what it lifts, pushes or is caught on. {_ONCE_MENDED}",
    ),
    KernelReason.FORCE: _fault(
        "the force at a tool was above its limit for too long", f"Look for what the tool touches. {_ONCE_MENDED}"
    ),
    KernelReason.STOP_LINE: _fault("the stop line is or was open", STOPS[StopCause.STOP_LINE].next_step),
    KernelReason.DRIVER_FAULT: _fault("the robot's driver reported a fault; its log says which"),
    KernelReason.OPERATOR_STOP: _fault("stopped by an operator", _GO_ON),
    KernelReason.CLOCK_BACKWARD: _fault(
        "the clock of control went backward", f"Restart control, and see its log. {_ONCE_MENDED}"
    ),
    KernelReason.CLOCK_GAP: _fault(
        "control did not run for longer than the driver's watchdog allows, and the driver stopped by itself",
        "See `edge-runtime check` for this machine's timing. To continue: [reset], then [arm].",
    ),
    KernelReason.HOLD_TIMEOUT: Explanation(
        "no plan came for a long time, so the robot was disarmed", "To continue: [arm]."
    ),
    KernelReason.RETRACT_TIMEOUT: _wrong(
        "did not reach its home posture in time, and was disarmed where it is",
        "Look for what is in its way. To continue: [arm].",
    ),
    KernelReason.GRIPPER_JAMMED: Explanation(
        "a gripper is not where its command says: it holds something, or it is jammed",
        "If it should hold nothing: look for what is between its fingers.",
    ),
    KernelReason.GRIPPER_FORCE: Explanation("a gripper closes no further: its grip is as strong as it may be"),
    KernelReason.ODOMETRY_LOST: _fault(
        "where the base stands is not measured any more, and it has to keep away from something",
        _driver("what measures the base's place may have failed."),
    ),
    KernelReason.INTERNAL: _fault(
        "the safety kernel found its own state contradictory", "Restart control, and please report it."
    ),
}
"""Of the safety kernel: why a command differs from what the policy asked for, or why the robot has stopped."""

ANSWERS: dict[str, Explanation] = {
    RequestResult.FAILED.value: Explanation("control could not do it"),
    "refused_state": Explanation("that is not possible from the state it is in"),
    "refused_feedback": Explanation(
        "the driver's feedback is missing, stale or malformed", "Look at the driver's log."
    ),
    "refused_moving": Explanation("the robot is not at rest", "Wait, or look at what moves it."),
    "refused_outside_limits": Explanation(
        "a joint or a gripper is measured outside its range", "Move it back by the robot's own means."
    ),
    "refused_no_watchdog": Explanation(
        "its driver has no watchdog of a second or less: nothing would stop the robot if control died"
    ),
    "refused_stop_line": Explanation(
        "the stop line is open, or the driver reports a fault",
        "Close the line, find out why it was open, then [reset].",
    ),
    "refused_mismatch": Explanation(
        "the robot is not where control left it, so something else moved it",
        "Find out what did. If it may go on from where it is now, such as after it was moved by hand: [reset --moved].",
    ),
    "refused_unknown": Explanation("control knows no such request", "Are both sides of the same version?"),
    "refused_value": Explanation("control can't set that value"),
    "refused_geometry": Explanation(
        "a link is nearer to something than it may be", "Move the robot away by its own means."
    ),
    "refused_looser": Explanation("speed can be restored only while the robot is not armed", "First: [disarm]."),
    "refused_calibration": Explanation(
        "its calibration on disk is another one than driver and control have read, or can't be read",
        "Start the robot's software anew.",
    ),
    "refused_jitter": Explanation(
        "this machine does not keep time well enough to move a robot", "`edge-runtime check` says why."
    ),
    "refused_unsure": Explanation(
        "its policy was unsure many times in a row", "Answer it first: [resume], or another instruction."
    ),
    "refused_unproven": Explanation(
        "the policy may not act before its engine has shown here that it does what it was trained to",
        "`edge-runtime check` runs its golden pairs.",
    ),
    "refused_unreadable": Explanation(
        "the robot follows no instruction now", "Say it in words that the policy knows. To stop it: [stop]."
    ),
    "reads_none": Explanation(
        "nothing that is said changes what this robot does", "To let it work: [arm]. To stop it: [stop]."
    ),
    "refused_pace": Explanation(
        "its policy is too slow for the reach of its plans, or for this robot's limits",
        "`edge-runtime check` says what to change.",
    ),
    "refused_after_stop": Explanation(
        "a person stopped or disarmed the robot, so only a person may reset and arm it",
        "To continue, a person types [reset] (after a stop), then [arm].",
    ),
    "refused_program": Explanation(
        "only a person may arm a robot without a policy, or accept that a robot was moved",
        "A person types [arm], or [reset --moved].",
    ),
    "refused_in_force": Explanation(
        "the robot is armed for something else, and is moved by one at a time", "First: [disarm]."
    ),
    "refused_lockstep": Explanation("a robot in virtual time can't be jogged", "Run the robot in real time."),
    "refused_restarted": Explanation("control has been started since", "Look at [status], then ask again."),
    "refused_overtaken": Explanation(
        "a later request of another operator came first", "Look at [status], then ask again."
    ),
}
"""Refusals of requests of an operator."""

IN_STATE: dict[tuple[str, ControlState], str] = {
    ("arm", ControlState.SILENT): "Control receives no feedback from the driver: look at the driver's log.",
    ("arm", ControlState.FAULT): "A fault is latched. To continue: [reset], then [arm].",
    ("arm", ControlState.HOLDING): "It is armed already.",
    ("arm", ControlState.ACTIVE): "It is armed already, and moving.",
    ("arm", ControlState.STOPPING): "It is coming to rest: ask again.",
    ("reset", ControlState.SILENT): "Control receives no feedback from the driver: look at the driver's log.",
    ("reset", ControlState.READY): "There is nothing to reset. To start: [arm].",
    ("reset", ControlState.STOPPING): "It is coming to rest: ask again.",
    ("reset", ControlState.HOLDING): "There is nothing to reset.",
    ("reset", ControlState.ACTIVE): "There is nothing to reset.",
    ("disarm", ControlState.FAULT): "It is not armed.",
}
IN_STATE |= {("reset_moved", state): words for (request, state), words in IN_STATE.items() if request == "reset"}
"""What the refusal of a request in a state means to who asked; keyed request, state."""

MESSAGES: dict[str, Explanation] = {
    "oversized": _wrong("larger than such a message may be"),
    "malformed": _wrong("not a valid message"),
    "not_finite": _wrong("a value that is no number"),
    "shape": _wrong("another number of axes or pixels"),
    "joint_order": _wrong("made for other axes, or another order of them"),
    "wrong_bundle": _wrong("made by a bundle that may not act here"),
    "stale": Explanation("came too late"),
    "future": _wrong("stamped in the future"),
    "duplicate": Explanation("came twice"),
    "out_of_order": Explanation("came after a newer one"),
    "out_of_range": _wrong("a value far outside its range"),
    "before_arming": Explanation("made before the robot was armed"),
    "frame_gone": Explanation("a camera picture was overwritten before it was read"),
    "camera_missing": _wrong("a camera's picture is missing"),
    "history_missing": _wrong("a picture or posture from before, which the policy looks back to, is missing"),
    "instruction_changed": Explanation("made for an instruction that another one has replaced"),
    "no_instruction": Explanation("nothing to do: no instruction yet"),
    "not_allowed_now": Explanation("not possible at that moment"),
    "predicted_deviation": _wrong("the plan could not be followed closely enough inside the limits"),
    "predicted_block": _wrong("the plan leads into an obstacle, or into the robot itself"),
    "unsure": _wrong("the policy was not sure of the plan"),
    "jogged": Explanation("a plan of the policy, while a person jogs the robot"),
    "not_jogging": Explanation("a jog command, while the robot is not armed for jogging"),
    "other_session": _wrong("a jog command of a session that is not the one in force"),
    "unknown_axis": _wrong("a jog command for an axis or a tool that this robot does not have"),
}
"""Refusals of messages between the robot's processes."""

GATES: dict[GateState, Explanation] = {
    GateState.CAUTIOUS: _wrong("not sure: moves slower"),
    GateState.ASKING: _wrong(
        "was unsure: the robot holds and asks for help, until it has been sure for a while or is answered",
        "To answer: [resume], or another instruction; a run's next one answers too.",
    ),
    GateState.ESCALATED: _wrong(
        "unsure for too long: disarmed, waits for an answer",
        "To answer: [resume], or another instruction, then [arm]; a run's next episode does both.",
    ),
}
"""Where the policy's confidence keeps the robot from full speed."""

INTERVENTIONS = (
    "An intervention is a tick in which the safety kernel changed what the policy asked for, nearly always by "
    "smoothing acceleration and jerk; many are normal."
)
MISSED_TICKS = (
    "A missed tick is a 1 ms slot of the control loop in which none ran because the machine was busy; one in a hundred "
    "still makes timing grade A, and a machine without a real-time kernel always has some."
)


_REQUEST = r"([a-z]+(?: --moved)?)"
_IN_FULL = re.compile(rf"`edge-runtime operator {_REQUEST}(?: --run-dir [^`]+)?`")
_TYPED_HERE = {"instruct": "type a sentence"}


def in_full(text: str, run_dir: Path | None = None) -> str:
    """`text` with each [request] as the command that a person types for the robot in `run_dir`; None: the local one."""
    where = "" if run_dir is None or run_dir == LOCAL_RUN_DIR else f" --run-dir {run_dir}"
    return re.sub(rf"\[{_REQUEST}\]", lambda found: f"`edge-runtime operator {found[1]}{where}`", text)


def by_name(words: str) -> str:
    """`words` that name commands in full, with each as [request] again: what `in_full` was made from."""
    return _IN_FULL.sub(lambda found: f"[{found[1]}]", words)


def as_typed_here(words: str) -> str:
    """`words` that name commands in full, as they are typed at the prompt of `edge-runtime run --interactive`."""
    here = _IN_FULL.sub(lambda found: _TYPED_HERE.get(found[1], f"`{found[1]}`"), words)
    return here.replace(f"{_TYPED_HERE['instruct']}, with a sentence", _TYPED_HERE["instruct"])


def explain(name: str, table: Mapping[Any, Explanation]) -> str:
    """A name with its meaning; the name alone where the table lacks it."""
    known = table.get(name)
    return name if known is None else f"{name}: {known.meaning}"


def refused_because(answer: str, detail: str, run_dir: Path | None = None) -> str:
    """Why a request was refused, and what to do: for the person who made it."""
    known = ANSWERS.get(answer) or MESSAGES.get(answer)
    if known is None:
        return ": ".join(filter(None, (answer, detail)))
    meaning = "; ".join(filter(None, (known.meaning, detail)))
    return f"{answer}: {meaning}. {in_full(known.next_step, run_dir)}".rstrip()
