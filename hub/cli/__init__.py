"""The `edge-hub` command. Exits with 0 when done, 1 when something was refused, 2 for a wrong command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from edge_runtime.contracts.command_line import VersionAction
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.errors import EdgeError, SigningError
from edge_runtime.contracts.text import printable, printable_lines
from edge_runtime.storage.lasting import make_folder
from hub.cli import commands, fleet_commands
from hub.lock import writing
from hub.storage import storage_refusal

DEFAULT_PROBATION_S = 600

_EXAMPLES = """\
two people release, the director only chooses among releases:
  edge-export pack BUNDLE -o packed                     the exporter makes packs and a release manifest
  edge-export sign packed/bundles/NAME/DIGEST.json \\
      --key exporter.key --hardware sim_arm \\
      --metadata HUB/image/metadata --out draft.json    and signs it
  edge-hub approve draft.json --key approver.key        the approver looks at it and signs too
  edge-hub publish HUB draft.json packed                the hub takes what both signed
  edge-hub assign HUB bundles/NAME/DIGEST.json \\
      --robot arm-1 --hardware sim_arm                  and tells robots to run it
  edge-hub serve HUB                                    serves all of it, and takes the robots' reports
  edge-hub robots enrol HUB arm-1 arm-1.pub             whose reports it takes
  edge-hub status HUB                                   what robots say that runs, and nothing else counts
  edge-hub refresh HUB                                  every hour where nobody serves: it expires within days
  edge-hub repair HUB                                   makes damaged metadata anew

to try it out:      edge-hub init HUB                   development keys, all in one step
for real robots:    edge-hub keys --help                and docs/guides/keys.md, the ceremony
to go back:         sign the old release again (a new counter, no bytes move), approve, publish, assign
"""

_CEREMONY = """\
A draft is a file that waits for signatures. Carry it to each person; the hub takes it once there are enough.

  edge-hub keys create USB root-1 --passphrase-file P   once for each person, on a machine without network
  edge-hub keys root --key root=root-1.pub ... --threshold root=2 --out image.root.json
  edge-hub keys delegate --exporter exporter.pub --approver approver.pub --out targets.json
  edge-hub keys sign image.root.json --key root-1.key --passphrase-file P
  edge-hub keys setup HUB --image-root ... --targets ... --director-root ...
later:
  edge-hub keys rotate-root HUB image --out next.json   new keys, new thresholds, or just a new year
  edge-hub keys revoke HUB lost.pub --replacement new.pub --out drafts
  edge-hub keys install HUB image drafts/image.root.json ...
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `edge-hub`."""
    parser = build_parser()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help()
        return 0
    arguments = parser.parse_args(given)
    try:
        with _turn(arguments):
            arguments.run(arguments, time.time(), _say)
    except BrokenPipeError:
        # Whoever read the output has left; that is no refusal.
        raise
    except (EdgeError, OSError, DBAPIError) as error:
        print(f"refused: {printable(storage_refusal(error) or error, 2000)}", file=sys.stderr)
        return 1
    return 0


def _say(words: str) -> None:
    """Print what came of it. Words from elsewhere are shown already where they came in; this is the last barrier."""
    print(printable_lines(words))


def _turn(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """The hub's lock for what writes to it; what only reads waits for nobody."""
    if not getattr(arguments, "writes", False):
        return nullcontext()
    folder: Path = arguments.hub
    if arguments.command == "init":
        make_folder(folder)
    if not folder.is_dir():
        raise SigningError(str(folder), "holds no hub: `edge-hub init` makes one for development")
    step = getattr(arguments, "step", "")
    return writing(folder, f"edge-hub {arguments.command} {step}".strip())


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="edge-hub",
        description="Signs, publishes and assigns what robots may install. Everything it publishes is static files.",
        epilog=f"{_EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction)
    rooms = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    init = rooms.add_parser("init", help="a hub with development keys, in one step")
    _hub(init)
    init.set_defaults(run=commands.init, writes=True)

    show = rooms.add_parser("show", help="who may sign, what is released, who runs what")
    _hub(show)
    show.set_defaults(run=commands.show)

    approve = rooms.add_parser("approve", help="the approver's signature on a release; says what is in it first")
    approve.add_argument("draft", type=Path, help="what `edge-export sign` wrote; the signature is added to it")
    approve.add_argument("--published", type=Path, help="the releases that are published, to mark what is new (+)")
    _signer(approve)
    approve.set_defaults(run=commands.approve)

    publish = rooms.add_parser("publish", help="take a release that exporter and approver signed")
    _hub(publish)
    publish.add_argument("draft", type=Path)
    publish.add_argument("packed", type=Path, help="the folder that `edge-export pack` wrote")
    publish.set_defaults(run=commands.publish, writes=True)

    assign = rooms.add_parser("assign", help="tell robots which release to run")
    _hub(assign)
    assign.add_argument("release", help="bundles/NAME/DIGEST.json, as `publish` and `show` say it")
    assign.add_argument(
        "--robot", action="append", default=[], help="an enrolled robot, or a pattern as 'arm-*'; may be given again"
    )
    assign.add_argument("--robots", type=Path, metavar="FILE", help="ids and patterns, one a line")
    assign.add_argument("--all", action="store_true", help="every robot that is enrolled")
    assign.add_argument(
        "--not-enrolled",
        action="store_true",
        help="also names that nobody enrolled: robots that send no reports, or whose key comes later",
    )
    assign.add_argument("--hardware", required=True, help="what the robots are, as the release was signed for")
    assign.add_argument("--counter", type=int, help="release counter (default: the newest approved for the release)")
    assign.add_argument("--not-before", type=int, metavar="UNIX_S", help="earliest install (default: now)")
    assign.add_argument("--rollout", default="manual", help="name under which this is counted")
    assign.add_argument(
        "--probation",
        type=int,
        default=DEFAULT_PROBATION_S,
        metavar="S",
        help=f"seconds in which it has to prove itself (default {DEFAULT_PROBATION_S})",
    )
    assign.set_defaults(run=commands.assign, writes=True)

    refresh = rooms.add_parser("refresh", help="sign anew what is signed online; says what people have to sign soon")
    _hub(refresh)
    refresh.set_defaults(run=commands.refresh, writes=True)

    repair = rooms.add_parser(
        "repair",
        help="make anew what is damaged of the hub's files, of robots or of everything",
        description="Makes damaged metadata anew from what is left of it, numbered above all that robots have seen. "
        "`status`, `refresh` and /health name what is damaged. What people signed can't be made anew: it is named, "
        "and has to be put back from a copy.",
    )
    _hub(repair)
    repair.add_argument("robot", nargs="*", help="only these (default: all that is damaged)")
    repair.set_defaults(run=fleet_commands.repair, writes=True)

    fleet_commands.add_parsers(rooms)

    _add_keys(
        rooms.add_parser(
            "keys",
            help="the ceremony: create, set up, rotate, revoke",
            description="Who may sign what, with keys that are never on the hub.",
            epilog=_CEREMONY,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    return parser


def _add_keys(keys: argparse.ArgumentParser) -> None:
    steps = keys.add_subparsers(dest="step", required=True, metavar="STEP")

    create = steps.add_parser("create", help="a new Ed25519 key: NAME.key is secret, NAME.pub is for everybody")
    create.add_argument("folder", type=Path)
    create.add_argument("name")
    _passphrase(create)
    create.set_defaults(run=commands.keys_create)

    root = steps.add_parser("root", help="draft of a repository's first root")
    root.add_argument("--key", type=_role_and_file, action="append", required=True, metavar="ROLE=PUB")
    root.add_argument("--threshold", type=_role_and_number, action="append", default=[], metavar="ROLE=N")
    _out(root)
    root.set_defaults(run=commands.keys_root)

    delegate = steps.add_parser("delegate", help="draft of who releases: an exporter and an approver, both or nobody")
    delegate.add_argument("--hub", type=Path, help="the hub whose delegation changes; without, the first one")
    delegate.add_argument("--exporter", type=Path, metavar="PUB", help="with --hub and no keys: the same, for longer")
    delegate.add_argument("--approver", type=Path, metavar="PUB")
    _out(delegate)
    delegate.set_defaults(run=commands.keys_delegate)

    sign = steps.add_parser("sign", help="add a signature to a draft")
    sign.add_argument("draft", type=Path)
    _signer(sign)
    sign.set_defaults(run=commands.keys_sign)

    setup = steps.add_parser("setup", help="publish the first roots; the hub's online keys lie in HUB/keys")
    _hub(setup)
    for name in ("image-root", "targets", "director-root"):
        setup.add_argument(f"--{name}", type=Path, required=True, metavar="DRAFT")
    setup.set_defaults(run=commands.keys_setup, writes=True)

    rotate = steps.add_parser(
        "rotate-root", help="draft of the next root: keys and thresholds changed, or just renewed"
    )
    _hub(rotate)
    rotate.add_argument("repository", choices=(commands.IMAGE, commands.DIRECTOR))
    rotate.add_argument("--add", type=_role_and_file, action="append", default=[], metavar="ROLE=PUB")
    rotate.add_argument("--remove", type=_role_and_file, action="append", default=[], metavar="ROLE=PUB")
    rotate.add_argument("--threshold", type=_role_and_number, action="append", default=[], metavar="ROLE=N")
    _out(rotate)
    rotate.set_defaults(run=commands.keys_rotate_root)

    revoke = steps.add_parser("revoke", help="drafts that put a new key in the place of a lost or stolen one")
    _hub(revoke)
    revoke.add_argument("key", type=Path, help="public half of the key that is lost")
    revoke.add_argument("--replacement", type=Path, required=True, metavar="PUB")
    _out(revoke, "folder for the drafts")
    revoke.set_defaults(run=commands.keys_revoke)

    install = steps.add_parser("install", help="publish drafts that are signed; what belongs together, together")
    _hub(install)
    install.add_argument("repository", choices=(commands.IMAGE, commands.DIRECTOR))
    install.add_argument("draft", type=Path, nargs="+")
    install.set_defaults(run=commands.keys_install, writes=True)


def _hub(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hub", type=Path, help="the hub's folder")


def _out(parser: argparse.ArgumentParser, text: str = "file for the draft") -> None:
    parser.add_argument("--out", type=Path, required=True, help=text)


def _signer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", type=Path, required=True, help="the secret half, NAME.key")
    _passphrase(parser)


def _passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", type=Path, help="file whose first line is the passphrase")


def _role_and_file(text: str) -> tuple[str, Path]:
    role, equals, path = text.partition("=")
    if not equals or not path:
        raise argparse.ArgumentTypeError(f"{text!r}: write ROLE=FILE, as in root=root-1.pub")
    return role, Path(path)


def _role_and_number(text: str) -> tuple[str, int]:
    role, equals, number = text.partition("=")
    if not equals or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: write ROLE=N, as in root=2")
    return role, int(number)
