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

from edge_runtime.client.explanations import IN_STATE, MOVED_BY, in_full
from edge_runtime.client.operator import Operator, gives_instructions
from edge_runtime.client.status import Watcher
from edge_runtime.client.status_lines import (
    next_step,
    policy_line,
    refusals_line,
    speed_line,
    state_line,
    timing_line,
    verdicts_line,
)
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import Asker, Authority, ControlState, EpisodeOutcome, SafetyReport
from edge_runtime.contracts.subcommand import as_json, say
from edge_runtime.contracts.text import printable, printable_lines

_HEARD_S = 1.5
_REST_S = 15.0
_WRITTEN_S = 5.0
_A_RUN = "A run is on (`edge-runtime run`, the demo or an evaluation)"


def operator(options: argparse.Namespace) -> int:
    """Ask, and print what became of it; 1 if it was refused or not answered."""
    run_dir: Path = options.run_dir
    with Operator(run_dir, asker=Asker.PERSON) as one:
        try:
            say(_ACTIONS[options.action](one, options, run_dir))
        except OperatorError as error:
            said = f"error: {printable(error, None)}{_what_next(error, one, run_dir)}"
            print(printable_lines(said), file=sys.stderr)
            return 1
    return 0


def _what_next(error: OperatorError, one: Operator, run_dir: Path) -> str:
    if not error.answered:
        if error.process == "ota":
            return ""
        said = f"; is a robot running in {run_dir}? (--run-dir; systemctl status edge-runtime-{error.process})"
        if error.request == "stop":
            said += "\nIT MAY STILL BE MOVING: use the robot's own stop"
        return said
    if error.process != "control":
        return ""
    status = one.watcher.status()
    step = IN_STATE.get((error.request, status.state), "")
    return f"\ncontrol is {state_line(status)}. {in_full(step, run_dir)}".rstrip()


def _arm(one: Operator, _options: argparse.Namespace, run_dir: Path) -> str:
    known = one.arm()
    one.wait_until(lambda: one.watcher.status().authority is not Authority.NONE, _HEARD_S)
    if one.watcher.status().authority is Authority.HOLD:
        return f"armed: control is {one.watcher.control_state}; {printable(known or MOVED_BY[Authority.HOLD], None)}"
    said = f"armed: control is {one.watcher.control_state}; the robot follows its policy"
    is_run = gives_instructions(run_dir)
    if not is_run and one.wait_until(lambda: one.watcher.engine is not None, _HEARD_S):
        instruction = one.watcher.status().instruction
        said += (
            f": {instruction!r}" if instruction else f" once it has an instruction: {in_full('[instruct]', run_dir)}"
        )
    if known:
        said += f"\nnote: {printable(known, None)}"
    return f"{said}\n{_A_RUN}: it goes on now, with its next episode" if is_run else said


def _disarm(one: Operator, _options: argparse.Namespace, run_dir: Path) -> str:
    one.disarm()
    return (
        f"disarmed: control is {_settled(one, (ControlState.READY, ControlState.SILENT))}; {in_full(_STILL, run_dir)}"
    )


def _reset(one: Operator, options: argparse.Namespace, run_dir: Path) -> str:
    one.reset(moved=options.moved)
    said = f"reset: control is {one.watcher.control_state}"
    if one.stopped_by is not None:
        return f"{said}; {in_full(_STILL, run_dir)}"
    if gives_instructions(run_dir):
        # A fault that no person meant is a run's to go on after, which it does by itself.
        return f"{said}\n{_A_RUN}: it ARMS AGAIN BY ITSELF and moves the robot"
    return f"{said}; {in_full('it does not move before [arm]', run_dir)}"


_STILL = "nothing moves before a person types [arm], also where a run is on"


def _stop(one: Operator, _options: argparse.Namespace, run_dir: Path) -> str:
    asked_s = time.monotonic()
    one.stop()
    taken_s = time.monotonic() - asked_s
    _settled(one, (ControlState.FAULT,))
    rest_s = time.monotonic() - asked_s
    status = one.watcher.status()
    took = f"accepted after {taken_s * 1e3:.0f} ms, at rest after {rest_s * 1e3:.0f} ms"
    if not status.state.is_latched:
        took = f"accepted after {taken_s * 1e3:.0f} ms, NOT AT REST after {rest_s:.0f} s: use the robot's own stop"
    return f"stopped: control is {state_line(status)}; {took}. {next_step(status, run_dir)}"


def _resume(one: Operator, _options: argparse.Namespace, _run_dir: Path) -> str:
    one.resume()
    return "answered: the policy may go on"


def _reduce(one: Operator, _options: argparse.Namespace, run_dir: Path) -> str:
    one.reduce_speed()
    return f"reduced: speed is {speed_line(one.watcher.status())}; until {in_full('[restore]', run_dir)}"


def _restore(one: Operator, _options: argparse.Namespace, _run_dir: Path) -> str:
    one.restore_speed()
    return f"restored: speed is {speed_line(one.watcher.status())}"


def _record(one: Operator, _options: argparse.Namespace, _run_dir: Path) -> str:
    before = _recordings(one)
    one.record()
    if not one.wait_until(lambda: _recordings(one) != before, _WRITTEN_S):
        raise OperatorError("control", "record", f"has not written within {_WRITTEN_S:g} s", answered=False)
    report = _report(one)
    if report.recordings_failed != before[1]:
        raise OperatorError("control", "record", f"could not write: {report.recording_problem}", answered=True)
    path = printable(report.recording, None)
    return f"recorded: {path}\nto look at it: edge-runtime replay {path}"


def _recordings(one: Operator) -> tuple[int, int]:
    """Files that control has written, and those it could not."""
    report = _report(one)
    return report.recordings_written, report.recordings_failed


def _report(one: Operator) -> SafetyReport:
    if not one.wait_until(lambda: one.watcher.control_state.is_known, _HEARD_S) or one.watcher.report is None:
        raise OperatorError("control", "record", f"has sent no message for {_HEARD_S:g} s", answered=False)
    return one.watcher.report


def _instruct(one: Operator, options: argparse.Namespace, run_dir: Path) -> str:
    if gives_instructions(run_dir):
        problem = (
            "is on (`edge-runtime run`, the demo or an evaluation) and gives the instructions itself: this one would "
            "be replaced by that of its next episode. To give your own: end it, then `edge-runtime run --manual`."
        )
        raise OperatorError("a run", "instruct", problem, answered=True)
    one.instruct(options.text)
    return f"instructed: the engine follows {options.text.strip()!r}"


def _is_whole(watcher: Watcher) -> bool:
    return watcher.engine is not None and watcher.status().proof is not None


def _status(one: Operator, options: argparse.Namespace, run_dir: Path) -> str:
    watcher = one.watcher
    if not one.wait_until(lambda: watcher.control_state.is_known, _HEARD_S):
        raise OperatorError("control", "status", f"has sent no message for {_HEARD_S:g} s", answered=False)
    one.wait_until(lambda: all(watcher.status().alive.values()), 0.3)
    # What the engine says of its policy and of its work come on lines of their own.
    one.wait_until(lambda: not watcher.alive("engine") or _is_whole(watcher), _HEARD_S)
    if options.json:
        from edge_runtime.cli.status_report import robot_report

        return as_json(robot_report(watcher, run_dir))
    status, report = watcher.status(), watcher.report
    assert report is not None
    rows = {
        "state": state_line(status),
        "next step": next_step(status, run_dir) or "none",
        "moved by": MOVED_BY[status.authority],
        "speed": speed_line(status),
        "safety": f"kernel changed in the last seconds: {verdicts_line(status)}",
        "alive": ", ".join(name for name, alive in status.alive.items() if alive),
        "down": ", ".join(name for name, alive in status.alive.items() if not alive) or "none",
        "instruction": status.instruction_line,
        "policy": f"{policy_line(status)}; gate {status.gate}",
        "proof": ": ".join(filter(None, (status.proof or "unknown", status.proof_detail))),
        "timing": f"grade {status.grade or 'not known yet'}, {timing_line(status)}",
        "refused": refusals_line(status),
        "limits": report.safety_digest,
        "bundle": report.bundle_digest or "none",
        "recording": report.recording or "none yet",
    }
    return "\n".join(f"{name:12}{printable(value, None)}" for name, value in rows.items())


def _outcome(one: Operator, options: argparse.Namespace, _run_dir: Path) -> str:
    if not one.wait_until(lambda: one.watcher.update is not None, _HEARD_S):
        problem = (
            f"has sent no message for {_HEARD_S:g} s, and nothing else keeps outcomes: it runs "
            "where robot.toml has a section [ota] (systemctl status edge-runtime-ota)"
        )
        raise OperatorError("ota", "outcome", problem, answered=False)
    started_ns = time.monotonic_ns() - round(options.started_s_ago * 1e9)
    one.tell_outcome(
        EpisodeOutcome(options.outcome),
        max(0, started_ns),
        score=options.score,
        instruction=options.instruction,
        reason=options.reason,
    )
    update = one.watcher.update
    trial = f"; on probation: {printable(update.trial)}" if update is not None and update.trial else ""
    return f"reported: {options.outcome}, of an attempt of {options.started_s_ago:g} s{trial}"


def _settled(one: Operator, states: tuple[ControlState, ...]) -> ControlState:
    """The state once it is one of `states`, or after a long while."""
    one.wait_until(lambda: one.watcher.control_state in states, _REST_S)
    return one.watcher.control_state


_ACTIONS: dict[str, Callable[[Operator, argparse.Namespace, Path], str]] = {
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
