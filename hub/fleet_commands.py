"""`edge-hub serve`, `robots` and `status`: the hub for robots that are out there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from contracts.errors import SigningError
from export_tools.key_files import load_public
from hub.db.connection import open_database
from hub.house import Hub
from hub.overview import RobotStatus, robots
from hub.reports import Reports
from hub.robots import Robots
from hub.server import ServeSettings, serve

Say = Callable[[str], None]


def add_parsers(rooms: Any) -> None:
    """Add the three to the command line."""
    serving = rooms.add_parser("serve", help="files, reports and the operator's side over HTTP")
    serving.add_argument("hub", type=Path, help="the hub's folder")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    serving.add_argument("--port", type=int, default=8300, help="0: any that is free (default 8300)")
    serving.add_argument("--tls-certificate", type=Path, metavar="PEM", help="without, put a proxy with TLS in front")
    serving.add_argument("--tls-key", type=Path, metavar="PEM")
    serving.set_defaults(run=_serve, takes_turns_itself=True)

    fleet = rooms.add_parser("robots", help="whose reports count: enrol, retire")
    steps = fleet.add_subparsers(dest="step", required=True, metavar="STEP")
    enrol = steps.add_parser("enrol", help="take a robot's reports, or take its new key")
    enrol.add_argument("hub", type=Path, help="the hub's folder")
    enrol.add_argument("robot")
    enrol.add_argument(
        "key", type=Path, metavar="PUB", help="the robot's public key, as `edge-hub keys create` makes it"
    )
    enrol.set_defaults(run=_enrol)
    retire = steps.add_parser("retire", help="take no more reports of a robot")
    retire.add_argument("hub", type=Path, help="the hub's folder")
    retire.add_argument("robot")
    retire.set_defaults(run=_retire)

    status = rooms.add_parser("status", help="what robots run, by their own signed reports")
    status.add_argument("hub", type=Path, help="the hub's folder")
    status.set_defaults(run=_status)


def _serve(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
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
    Robots(open_database(_hub(arguments).folder)).retire(arguments.robot)
    say(f"{arguments.robot}: no report counts any more")


def _status(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    del now_s
    hub = _hub(arguments)
    engine = open_database(hub.folder)
    statuses = robots(hub, Robots(engine), Reports(engine))
    for status in statuses:
        _say_status(status, say)
    if not statuses:
        say("no robot is enrolled or assigned anything")


def _say_status(status: RobotStatus, say: Say) -> None:
    enrolled = "" if status.enrolled else ", not enrolled"
    say(f"{status.robot_id}: {status.standing}{enrolled}")
    if status.assignment is not None:
        say(f"    told: counter {status.assignment.terms.release_counter}, {status.assignment.path}")
    report, reported_s = status.report, status.reported_s
    if report is not None and reported_s is not None:
        when = datetime.fromtimestamp(reported_s, tz=timezone.utc).isoformat(timespec="seconds")
        why = f" ({report.reason})" if report.reason else ""
        say(f"    says: counter {report.running_counter}, {report.running_bundle}, {report.state}{why}, at {when}")


def _hub(arguments: argparse.Namespace) -> Hub:
    hub = Hub(arguments.hub)
    if not hub.image.metadata.exists:
        raise SigningError(str(arguments.hub), "holds no hub: `edge-hub init` makes one for development")
    return hub
