"""`edge-runtime operator`: a person's requests to a robot that runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_run_dir, fraction, seconds, sentence, words
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command, add_group, add_json

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_OUTCOMES = ("success", "failure", "aborted", "unknown")
"""`EpisodeOutcome`, without the library that it needs."""


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    requests = add_group(
        commands,
        "operator",
        dest="action",
        metavar="REQUEST",
        summary="ask a running robot for something: arm, stop, instruct ...",
        description="Sends one request to a running robot and waits for its answer. Works beside `run`, and beside "
        "other operators. After `stop` or `disarm` nothing but a person's `arm` lets the robot move again: no run and "
        "no script. Exit code 1 if the request was refused, which is explained, or not answered.",
        examples="edge-runtime operator instruct 'touch the red cube'\n"
        "edge-runtime operator arm\n"
        "edge-runtime operator stop\n"
        "edge-runtime operator outcome failure --reason 'dropped it'\n"
        "sudo -u edge edge-runtime operator status --run-dir /run/edge-runtime",
    )
    _request(requests, "arm", "start following the policy, inside the robot's limits")
    _request(requests, "disarm", "brake to rest and stop following commands (does not remove motor power)")
    _request(requests, "stop", "brake to rest and latch that until a reset; the quickest way to rest")
    reset = _request(
        requests,
        "reset",
        "clear what is latched, once its cause is gone; moves nothing",
        example="edge-runtime operator reset\nedge-runtime operator reset --moved",
    )
    reset.add_argument(
        "--moved",
        action="store_true",
        help="also if the robot is not where it was left: it was moved by hand, and goes on from where it is now",
    )
    _request(requests, "resume", "answer a policy that asks for help: go on")
    _request(requests, "reduce", "reduced speed, armed or not, until `restore`")
    _request(requests, "restore", "full speed again; only while not armed")
    _request(requests, "record", "write the last seconds of control to a file, for replay")
    instruct = _request(
        requests,
        "instruct",
        "tell the policy what to do; refused while a run gives it its instructions",
        example="edge-runtime operator instruct 'touch the red cube'",
    )
    instruct.add_argument("text", metavar="TEXT", type=sentence, help="one sentence")
    outcome = _request(
        requests,
        "outcome",
        "say how an attempt at a task that has just ended went: an update on probation is judged by it",
        example="edge-runtime operator outcome success --started-s-ago 12\n"
        "edge-runtime operator outcome failure --reason 'dropped it'",
    )
    outcome.add_argument("outcome", choices=_OUTCOMES, help="did it do what it was asked to?")
    outcome.add_argument("--score", type=fraction, metavar="S", help="how well it went, 0 to 1")
    outcome.add_argument("--started-s-ago", type=seconds, default=10.0, metavar="T", help="when it began (default: 10)")
    outcome.add_argument("--reason", type=words, default="", metavar="TEXT", help="what went wrong, for the record")
    outcome.add_argument("--instruction", type=words, default="", metavar="TEXT", help="the sentence that it was given")
    status = _request(
        requests,
        "status",
        "what the robot is doing, why, and what can be done next, once",
        example="edge-runtime operator status\nedge-runtime operator status --json",
    )
    add_json(status)


def _request(requests: Subcommands, name: str, summary: str, *, example: str = "") -> argparse.ArgumentParser:
    parser = add_command(
        requests,
        name,
        _run,
        summary=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        examples=example or f"edge-runtime operator {name}\nedge-runtime operator {name} --run-dir /run/edge-runtime",
    )
    add_run_dir(parser)
    return parser


def _run(options: argparse.Namespace) -> int:
    with loading():
        from edge_runtime.cli.operator import operator
    return operator(options)
