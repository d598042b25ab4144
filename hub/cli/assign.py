"""`edge-hub assign`: assigns a release to robots."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.errors import HubError, HubRefusal
from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.contracts.text import printable
from hub.cli.subcommand import add_hub, changing, warn_of_development_keys
from hub.fleet.selection import EVERY, read_names
from hub.services import assignments
from hub.services.assignments import DEFAULT_PROBATION_S, MANUAL_ROLLOUT, Order
from hub.trouble import Trouble, robots_in_words, troubled

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "assign",
        _run,
        summary="assign a release to robots",
        description="Signs for each robot which release it is to run; a robot learns it when it asks next. If one "
        "of several may not be assigned, none is. A robot's counter never goes down: to go back to an older release, "
        "have it signed again under a new counter.",
        examples="edge-hub assign hub bundles/NAME/DIGEST.json --robot arm-1 --hardware sim_arm\n"
        "edge-hub assign hub bundles/NAME/DIGEST.json --robot 'arm-*' --robot cart-7 --hardware sim_arm\n"
        "edge-hub assign hub bundles/NAME/DIGEST.json --all --hardware sim_arm",
    )
    add_hub(parser)
    parser.add_argument("release", metavar="RELEASE", help="bundles/NAME/DIGEST.json, as `publish` and `show` say it")
    parser.add_argument(
        "--robot",
        action="append",
        default=[],
        metavar="NAME",
        help="an enrolled robot, or a pattern as 'arm-*'; may be given again",
    )
    parser.add_argument("--robots", type=Path, metavar="FILE", help="names and patterns, one a line")
    parser.add_argument("--all", action="store_true", help="every robot that is enrolled")
    parser.add_argument(
        "--not-enrolled",
        action="store_true",
        help="also names that are not enrolled: robots that send no reports, or whose key comes later",
    )
    parser.add_argument("--hardware", required=True, help="what the robots are, as the release was signed for")
    parser.add_argument(
        "--counter", type=int, metavar="N", help="release counter (default: the newest approved for the release)"
    )
    parser.add_argument("--not-before", type=int, metavar="UNIX_S", help="earliest install (default: now)")
    parser.add_argument(
        "--rollout",
        default=MANUAL_ROLLOUT,
        metavar="NAME",
        help=f"name under which this is counted (default {MANUAL_ROLLOUT})",
    )
    parser.add_argument(
        "--probation",
        type=int,
        default=DEFAULT_PROBATION_S,
        metavar="S",
        help=f"seconds in which it has to prove itself (default {DEFAULT_PROBATION_S})",
    )


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    named = [*arguments.robot, *(() if arguments.robots is None else read_names(arguments.robots))]
    if arguments.all:
        named.append(EVERY)
    if not named:
        raise HubError(HubRefusal.NOBODY_NAMED, "assign", "name the robots: --robot, --robots or --all")
    order = Order(
        release=arguments.release,
        robots=tuple(named),
        hardware=arguments.hardware,
        counter=arguments.counter,
        not_before_s=arguments.not_before,
        rollout_id=arguments.rollout,
        probation_s=arguments.probation,
        not_enrolled=arguments.not_enrolled,
    )
    with changing(arguments, now_s) as work:
        assigned = assignments.assign(work, order)
    for robot_id in assigned.robots:
        say(f"{robot_id}: counter {assigned.counter}, {printable(assigned.release)}")
    say(f"Assigned to {robots_in_words(len(assigned.robots))}; each learns it when it asks next")
    warn_of_development_keys(work.hub)
    if assigned.failed:
        raise troubled("not assigned", (Trouble(name, problem) for name, problem in assigned.failed.items()))
