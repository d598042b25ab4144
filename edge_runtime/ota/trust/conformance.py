"""`python -m edge_runtime.ota.trust.conformance`: the client of the public TUF conformance suite, over our code.

Every request goes through `HttpTransport` and every decision through `TrustedRepository` with its floor, as on a robot.
Exits with 0 where the command did all it was asked, with 1 otherwise. For tests: it downloads any target whole.

    --metadata-dir D init ROOT.json
    --metadata-dir D --metadata-url U refresh
    --metadata-dir D --metadata-url U --target-name P [--target-name P2 …] --target-dir T --target-base-url B download
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from edge_runtime.contracts.errors import EdgeError, OtaError, OtaRefusal
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings
from edge_runtime.ota.trust.repository import TrustedRepository
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import fetch_target
from edge_runtime.storage.durable import make_folder, replace_file

NETWORK = NetworkSettings(connect_s=5.0, silence_s=5.0, window_s=10.0)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0 or 1."""
    try:
        options = _parser().parse_args(arguments)
        if options.command == "init":
            _init(options.metadata_dir, options.root)
        else:
            _refresh_and_download(options)
    except (EdgeError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except SystemExit as ended:
        return 1 if ended.code else 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge_runtime.ota.trust.conformance", description=__doc__.split("\n")[0])
    parser.add_argument("--metadata-dir", type=Path, required=True, help="where trusted metadata is kept")
    parser.add_argument("--metadata-url", help="where the repository's metadata lies")
    parser.add_argument("--target-name", action="append", default=[], help="a target path; may be given again")
    parser.add_argument("--target-dir", type=Path, help="where downloaded targets are kept")
    parser.add_argument("--target-base-url", help="where the repository's targets lie")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="trust this root; asks no server")
    init.add_argument("root", type=Path)
    commands.add_parser("refresh", help="bring the top-level metadata up to date")
    commands.add_parser("download", help="refresh, then fetch the named targets in order")
    return parser


def _state_of(metadata_dir: Path) -> Path:
    """Pinned root and floor, beside the metadata: all in that folder is for python-tuf to write, and to lose."""
    place = metadata_dir.absolute()
    return place.with_name(place.name + ".state")


def _init(metadata_dir: Path, root: Path) -> None:
    state = _state_of(metadata_dir)
    if state.exists():
        shutil.rmtree(state)
    make_folder(state)
    make_folder(metadata_dir.absolute())
    data = root.read_bytes()
    replace_file(state / "root.json", data)
    replace_file(metadata_dir / "root.json", data)


def _refresh_and_download(options: argparse.Namespace) -> None:
    if options.metadata_url is None:
        raise ValueError("--metadata-url is missing")
    state = _state_of(options.metadata_dir)
    with HttpTransport(NETWORK, SystemClock()) as transport:
        repository = TrustedRepository(
            "conformance",
            folder=options.metadata_dir,
            url=options.metadata_url,
            root=(state / "root.json").read_bytes(),
            transport=transport,
            floor=Floor(state / "floor"),
        )
        repository.refresh(time.time())
        if options.command == "download":
            _download(repository, transport, options)


def _download(repository: TrustedRepository, transport: HttpTransport, options: argparse.Namespace) -> None:
    if options.target_dir is None or options.target_base_url is None or not options.target_name:
        raise ValueError("download needs --target-name, --target-dir and --target-base-url")
    for path in options.target_name:
        target = repository.target(path)
        if target is None:
            raise OtaError(OtaRefusal.NOT_FOUND, f"no role that may speak of {path} lists it")
        place = options.target_dir / quote(path, "")
        if not _is_there(place, target):
            data = fetch_target(transport, repository, target, options.target_base_url)
            make_folder(options.target_dir.absolute())
            replace_file(place, data)


def _is_there(place: Path, target: TargetFile) -> bool:
    try:
        target.verify_length_and_hashes(place.read_bytes())
    except (OSError, LengthOrHashMismatchError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
