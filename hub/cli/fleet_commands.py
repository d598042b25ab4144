"""`edge-hub serve`, `robots` and `status`: the hub for robots that are out there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.text import printable, printable_json
from edge_runtime.releases.key_files import PUBLIC_SUFFIX, load_public
from hub.db.connection import open_database, open_to_read
from hub.fleet.assignment_state import BEHIND, Standing
from hub.fleet.overview import Progress, RobotStatus, progress, robots
from hub.fleet.reports import Reports
from hub.fleet.robots import Robots
from hub.fleet.selection import did_you_mean
from hub.hub import Hub
from hub.lock import writing
from hub.trouble import DIRECTOR_ROOT, IMAGE, robots_in_words, troubled

Say = Callable[[str], None]


def add_parsers(rooms: Any) -> None:
    """Add the three to the command line."""
    serving = rooms.add_parser("serve", help="files, reports and the operator's side over HTTP")
    serving.add_argument("hub", type=Path, help="the hub's folder")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    serving.add_argument("--port", type=int, default=8300, help="0: any that is free (default 8300)")
    serving.add_argument("--tls-certificate", type=Path, metavar="PEM", help="without, put a proxy with TLS in front")
    serving.add_argument("--tls-key", type=Path, metavar="PEM")
    serving.set_defaults(run=_serve)

    fleet = rooms.add_parser("robots", help="whose reports count: enrol, retire")
    steps = fleet.add_subparsers(dest="step", required=True, metavar="STEP")
    enrol = steps.add_parser("enrol", help="take a robot's reports, or take its new key")
    enrol.add_argument("hub", type=Path, help="the hub's folder")
    enrol.add_argument("robot")
    enrol.add_argument(
        "key", type=Path, metavar="PUB", help="the robot's public key, as `edge-hub keys create` makes it"
    )
    enrol.set_defaults(run=_enrol, writes=True)
    several = steps.add_parser("enrol-all", help="the same for every NAME.pub in a folder: the robot NAME")
    several.add_argument("hub", type=Path, help="the hub's folder")
    several.add_argument("keys", type=Path, metavar="FOLDER")
    several.set_defaults(run=_enrol_all, writes=True)
    mend = steps.add_parser("repair", help="make a robot's damaged files anew, with the assignment that it had")
    mend.add_argument("hub", type=Path, help="the hub's folder")
    mend.add_argument("robot", nargs="+")
    mend.set_defaults(run=repair, writes=True)
    retire = steps.add_parser(
        "retire", help="take no more reports of a robot; of a name that was never enrolled, take its assignment away"
    )
    retire.add_argument("hub", type=Path, help="the hub's folder")
    retire.add_argument("robot")
    retire.set_defaults(run=_retire, writes=True)

    status = rooms.add_parser("status", help="what robots run, by their own signed reports")
    status.add_argument("hub", type=Path, help="the hub's folder")
    status.add_argument("--behind", action="store_true", help="list only robots that do not run what they were told")
    status.add_argument(
        "--standing", type=Standing, choices=tuple(Standing), action="append", default=[], help="list only these"
    )
    status.add_argument("--json", action="store_true", help="the same for programs")
    status.set_defaults(run=_status)


def _serve(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    # Only here: a web server takes longer to load than any other command to run.
    from hub.api.server import ServeSettings, serve

    del now_s
    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        tls_certificate=arguments.tls_certificate,
        tls_key=arguments.tls_key,
    )
    serve(_hub(arguments), settings, say)


def _enrol(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    hub = _hub(arguments)
    key = load_public(arguments.key)
    Robots(open_database(hub.folder)).enrol(arguments.robot, key, now_s)
    say(f"{arguments.robot}: reports signed with {key.keyid} count from now on")


def _retire(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    del now_s
    hub, robot_id = _hub(arguments), arguments.robot
    robots = Robots(open_database(hub.folder))
    if robots.get(robot_id) is not None:
        robots.retire(robot_id)
        say(f"{robot_id}: no report counts any more")
        return
    told = set(hub.director.robots())
    if robot_id not in told:
        known = sorted({robot.robot_id for robot in robots.all()} | told)
        raise SigningError(printable(robot_id, 80), f"was never enrolled{did_you_mean(robot_id, known)}")
    hub.director.withdraw(robot_id)
    say(f"{robot_id}: was never enrolled; its assignment is taken away")


def repair(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Make anew what is damaged."""
    hub = _hub(arguments)
    wanted = set(arguments.robot)
    engine = open_to_read(hub.folder)
    known = {*hub.director.robots(), *(() if engine is None else (robot.robot_id for robot in Robots(engine).all()))}
    unknown = sorted(wanted - known)
    if unknown:
        named = "; ".join(f"{printable(name, 80)}{did_you_mean(name, sorted(known))}" for name in unknown)
        raise SigningError("robots", f"there is none of that name: {named}")
    mended, left = hub.repair(now_s, wanted or None)
    for what in mended:
        say(f"{what}: made anew")
    if not mended and not left:
        say("nothing is damaged")
    if left:
        raise troubled("not made anew", left)


def _enrol_all(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    hub = _hub(arguments)
    keys = sorted(arguments.keys.glob(f"*{PUBLIC_SUFFIX}"))
    if not keys:
        raise SigningError(str(arguments.keys), f"has no public keys, NAME{PUBLIC_SUFFIX}")
    robots = Robots(open_database(hub.folder))
    for path in keys:
        robots.enrol(path.name.removesuffix(PUBLIC_SUFFIX), load_public(path), now_s)
    say(f"{robots_in_words(len(keys))}: reports signed with their keys count from now on")


def _status(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    hub = _hub(arguments)
    engine = open_to_read(hub.folder)
    if engine is None:
        with writing(hub.folder, "edge-hub status"):
            engine = open_database(hub.folder)
    everybody = robots(hub, Robots(engine), Reports(engine))
    updates = progress(everybody)
    troubles = [trouble for trouble in hub.troubles() if trouble.what in (IMAGE, DIRECTOR_ROOT)]
    wanted = {*arguments.standing, *(BEHIND if arguments.behind else ())} or set(Standing)
    shown = [status for status in everybody if status.standing in wanted]
    if arguments.json:
        found = {"updates": updates, "robots": shown, "troubles": troubles}
        say(printable_json(msgspec.json.format(msgspec.json.encode(found))).decode())
        return
    for status in shown:
        _say_status(status, now_s, say)
    if not everybody:
        say("no robot is enrolled or assigned anything")
    for update in updates:
        _say_progress(update, say)
    damaged = [status.robot_id for status in everybody if status.trouble]
    for trouble in troubles:
        say(f"damaged: {trouble.what}: {printable(trouble.problem)}")
    if damaged:
        say(f"damaged: the hub's files of {', '.join(damaged)}: edge-hub repair {arguments.hub}")


def _say_status(status: RobotStatus, now_s: float, say: Say) -> None:
    enrolled = "" if status.enrolled else ", not enrolled"
    say(f"{status.robot_id}: {status.standing}{enrolled}")
    if status.trouble:
        say(f"    damaged: {printable(status.trouble)}")
    if status.assignment is not None:
        say(f"    told: counter {status.assignment.terms.release_counter}, {printable(status.assignment.path)}")
    report, reported_s = status.report, status.reported_s
    if report is not None and reported_s is not None:
        when = datetime.fromtimestamp(reported_s, tz=timezone.utc).isoformat(timespec="seconds")
        why = f" ({printable(report.reason)})" if report.reason else ""
        age = timedelta(seconds=max(0, round(now_s - reported_s)))
        say(f"    says: counter {report.running_counter}, {report.running_bundle}, {report.state}{why}")
        say(f"    at:   {when}, {age} ago")


def _say_progress(update: Progress, say: Say) -> None:
    done = update.standings.get(Standing.RUNS, 0)
    say(f"counter {update.counter}, {printable(update.release)}: {done} of {robots_in_words(update.robots)} run it")
    details = {Standing.UNDER_WAY: update.states, Standing.WAITING: update.waits, Standing.FAILED: update.reasons}
    for standing, count in update.standings.items():
        if standing is not Standing.RUNS:
            detail = ", ".join(f"{number} {printable(what)}" for what, number in details.get(standing, {}).items())
            say(f"    {count} {standing}{': ' if detail else ''}{detail}")


def _hub(arguments: argparse.Namespace) -> Hub:
    hub = Hub(arguments.hub)
    if not hub.image.metadata.exists:
        raise SigningError(str(arguments.hub), "holds no hub: `edge-hub init` makes one for development")
    return hub
