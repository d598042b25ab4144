"""`edge-runtime operator`: one request to a robot that runs, from any terminal, beside any other operator.

Guarantees that exit code 0 means that the process concerned has said so. Nothing here reaches the robot but through
control; only who may write to the run's sockets can ask.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from contracts.errors import OperatorError
from edge_runtime.operator import Operator

_LOCAL = Path(".run")
_SERVICE = Path("/run/edge-runtime")
_HEARD_S = 1.5
_REST_S = 15.0
_WRITTEN_S = 5.0
_NEXT = {
    ("arm", "silent"): "control hears no robot: look at the driver",
    ("arm", "fault"): "a fault is latched: see `status`, then `reset`",
    ("arm", "holding"): "it is armed already",
    ("arm", "active"): "it is armed already, and moving",
    ("arm", "stopping"): "it is coming to rest: ask again",
    ("reset", "ready"): "there is nothing to reset: `arm` is next",
    ("reset", "stopping"): "it is coming to rest: ask again",
    ("reset", "holding"): "there is nothing to reset",
    ("reset", "active"): "there is nothing to reset",
    ("disarm", "fault"): "it is not armed",
}
"""What a refusal by a state means to who asked; keyed request, state."""


def operator(options: argparse.Namespace) -> int:
    """Ask, and print what became of it; 1 if it was refused or not answered."""
    run_dir: Path = options.run_dir or (_LOCAL if _LOCAL.is_dir() else _SERVICE)
    with Operator(run_dir) as one:
        try:
            print(_ACTIONS[options.action](one, options))
        except OperatorError as error:
            print(f"error: {error}{_what_next(error, one, run_dir)}", file=sys.stderr)
            return 1
    return 0


def _what_next(error: OperatorError, one: Operator, run_dir: Path) -> str:
    if not error.answered:
        said = f"; is a robot running in {run_dir}? (--run-dir; systemctl status edge-runtime-{error.process})"
        if error.request == "stop":
            said += "\nIT MAY STILL BE MOVING: use the robot's own stop"
        return said
    state = one.watcher.control_state
    faults = ", ".join(one.watcher.report.faults) if one.watcher.report is not None else ""
    next_step = _NEXT.get((error.request, state), "")
    return f"\ncontrol is {state}{f' ({faults})' if faults else ''}{f': {next_step}' if next_step else ''}"


def _arm(one: Operator, _options: argparse.Namespace) -> str:
    one.arm()
    return f"armed: control is {one.watcher.control_state}; the robot follows its policy"


def _disarm(one: Operator, _options: argparse.Namespace) -> str:
    one.disarm()
    return f"disarmed: control is {_settled(one, ('ready', 'silent'))}"


def _reset(one: Operator, _options: argparse.Namespace) -> str:
    one.reset()
    return f"reset: control is {one.watcher.control_state}; it does not move before `arm`"


def _stop(one: Operator, _options: argparse.Namespace) -> str:
    asked_s = time.monotonic()
    one.stop()
    taken_s = time.monotonic() - asked_s
    state = _settled(one, ("fault",))
    took = f"taken after {taken_s * 1e3:.0f} ms, at rest after {(time.monotonic() - asked_s) * 1e3:.0f} ms"
    return f"stopped: control is {state}, {took}; `reset`, then `arm`, to go on"


def _resume(one: Operator, _options: argparse.Namespace) -> str:
    one.resume()
    return "answered: the policy may go on"


def _reduce(one: Operator, _options: argparse.Namespace) -> str:
    one.reduce_speed()
    return "reduced speed: the tool is limited to reduced_tool_speed_m_s of the safety file"


def _restore(one: Operator, _options: argparse.Namespace) -> str:
    one.restore_speed()
    return "full speed: the limits of the safety file"


def _record(one: Operator, _options: argparse.Namespace) -> str:
    before = _recordings(one)
    one.record()
    if not one.wait_until(lambda: _recordings(one) != before, _WRITTEN_S):
        raise OperatorError("control", "record", f"has not written within {_WRITTEN_S:g} s", answered=False)
    if _recordings(one)[1] != before[1]:
        note = one.watcher.heartbeats["control"].note
        raise OperatorError("control", "record", f"could not write: {note}", answered=True)
    return "recorded: in black_box of the run's folder, or of control's state directory (/var/lib/edge-runtime)"


def _recordings(one: Operator) -> tuple[int, int]:
    """Files that control has written, and those it could not."""
    if not one.wait_until(lambda: one.watcher.alive("control"), _HEARD_S):
        raise OperatorError("control", "record", f"has not been heard for {_HEARD_S:g} s", answered=False)
    counters = one.watcher.heartbeats["control"].counters
    return counters["black_box_written"], counters["black_box_failed"]


def _instruct(one: Operator, options: argparse.Namespace) -> str:
    one.instruct(options.text)
    return f"instructed: the engine follows {options.text.strip()!r}"


def _status(one: Operator, _options: argparse.Namespace) -> str:
    watcher = one.watcher
    if not one.wait_until(lambda: watcher.control_state != "unknown", _HEARD_S):
        raise OperatorError("control", "status", f"has not been heard for {_HEARD_S:g} s", answered=False)
    one.wait_until(lambda: all(watcher.status().alive.values()), 0.3)
    status, report = watcher.status(), watcher.report
    assert report is not None
    rows = {
        "state": status.state + (f" ({', '.join(report.faults)})" if report.faults else ""),
        "verdicts": ", ".join(status.verdicts) or "none",
        "alive": ", ".join(name for name, alive in status.alive.items() if alive),
        "down": ", ".join(name for name, alive in status.alive.items() if not alive) or "none",
        "instruction": status.instruction_line,
        "policy": f"{status.policy}, gate {status.gate}",
        "speed": f"{status.speed_scale:.0%} of the limits" if status.speed_scale is not None else "unknown",
        "timing": f"grade {status.grade or 'not known yet'}, {status.overruns} overruns in {status.ticks} ticks",
        "limits": report.safety_digest,
        "bundle": report.bundle_digest or "none",
    }
    return "\n".join(f"{name:12}{value}" for name, value in rows.items())


def _outcome(one: Operator, options: argparse.Namespace) -> str:
    if not one.wait_until(lambda: one.watcher.update is not None, _HEARD_S):
        problem = f"no update agent has been heard for {_HEARD_S:g} s, and nobody else keeps outcomes"
        raise OperatorError("ota", "outcome", problem, answered=False)
    started_ns = time.monotonic_ns() - round(options.started_s_ago * 1e9)
    success = options.outcome == "success"
    one.tell_outcome(success, max(0, started_ns), instruction=options.instruction, reason=options.reason)
    update = one.watcher.update
    trial = f"; on probation: {update.trial}" if update is not None and update.trial else ""
    return f"told: {options.outcome}, of an attempt of {options.started_s_ago:g} s{trial}"


def _settled(one: Operator, states: tuple[str, ...]) -> str:
    """The state once it is one of `states`, or after a long while."""
    one.wait_until(lambda: one.watcher.control_state in states, _REST_S)
    return one.watcher.control_state


_ACTIONS: dict[str, Callable[[Operator, argparse.Namespace], str]] = {
    "arm": _arm,
    "disarm": _disarm,
    "reset": _reset,
    "stop": _stop,
    "resume": _resume,
    "reduce": _reduce,
    "restore": _restore,
    "record": _record,
    "instruct": _instruct,
    "outcome": _outcome,
    "status": _status,
}
