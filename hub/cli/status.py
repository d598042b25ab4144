"""`edge-hub status`: what robots run, by their own signed reports."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.contracts.subcommand import add_command, add_json, say, say_json
from edge_runtime.contracts.text import printable
from hub.cli.subcommand import add_hub
from hub.fleet.assignment_state import BEHIND, AssignmentState
from hub.fleet.overview import Progress, RobotStatus
from hub.services.fleet_status import fleet_status
from hub.services.unit_of_work import database_of, hub_in
from hub.trouble import robots_in_words

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "status",
        _run,
        summary="what robots run, by their own signed reports",
        description="Shows for each robot its assignment and its newest report, and for each update how many "
        "robots run it. Only a robot's own signed report counts. docs/guides/hub.md explains each standing.",
        examples="edge-hub status hub\nedge-hub status hub --behind\nedge-hub status hub --standing failed --json",
    )
    add_hub(parser)
    parser.add_argument("--behind", action="store_true", help="list only robots that do not run their assignment")
    parser.add_argument(
        "--standing",
        type=AssignmentState,
        choices=tuple(AssignmentState),
        action="append",
        default=[],
        help="list only these; may be given again",
    )
    add_json(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    hub = hub_in(arguments.hub)
    found = fleet_status(hub, database_of(hub, arguments.who))
    wanted = {*arguments.standing, *(BEHIND if arguments.behind else ())} or set(AssignmentState)
    shown = [status for status in found.robots if status.standing in wanted]
    if arguments.json:
        say_json(msgspec.structs.replace(found, robots=tuple(shown)))
        return
    for status in shown:
        _say_status(status, now_s)
    if not found.robots:
        say("no robot is enrolled or assigned anything")
    for update in found.updates:
        _say_progress(update)
    for trouble in found.troubles:
        say(f"damaged: {trouble.what}: {printable(trouble.problem)}")
    damaged = [status.robot_id for status in found.robots if status.trouble]
    if damaged:
        say(f"damaged: the hub's files of {', '.join(damaged)}: edge-hub repair {arguments.hub}")


def _say_status(status: RobotStatus, now_s: float) -> None:
    enrolled = "" if status.enrolled else ", not enrolled"
    say(f"{status.robot_id}: {status.standing}{enrolled}")
    if status.trouble:
        say(f"    damaged: {printable(status.trouble)}")
    if status.assignment is not None:
        say(f"    assigned: counter {status.assignment.terms.release_counter}, {printable(status.assignment.path)}")
    report, reported_s = status.report, status.reported_s
    if report is not None and reported_s is not None:
        when = datetime.fromtimestamp(reported_s, tz=timezone.utc).isoformat(timespec="seconds")
        why = f" ({printable(report.reason)})" if report.reason else ""
        age = timedelta(seconds=max(0, round(now_s - reported_s)))
        say(f"    reports:  counter {report.running_counter}, {report.running_bundle}, {report.state}{why}")
        say(f"    at:       {when}, {age} ago")


def _say_progress(update: Progress) -> None:
    done = update.standings.get(AssignmentState.RUNS, 0)
    say(f"counter {update.counter}, {printable(update.release)}: {done} of {robots_in_words(update.robots)} run it")
    details = {
        AssignmentState.UNDER_WAY: update.states,
        AssignmentState.WAITING: update.waits,
        AssignmentState.FAILED: update.reasons,
    }
    for standing, count in update.standings.items():
        if standing is not AssignmentState.RUNS:
            detail = ", ".join(f"{number} {printable(what)}" for what, number in details.get(standing, {}).items())
            say(f"    {count} {standing}{': ' if detail else ''}{detail}")
