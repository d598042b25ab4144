"""`edge-export sign`: the exporter's signature on a release."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.release import load
from edge_runtime.contracts.subcommand import add_command, say
from export_tools.cli.words import name

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "sign",
        _run,
        summary="sign a release as the exporter; the approver's signature has to join it",
        description="Signs a release manifest, or the published releases for longer, and writes a draft that the "
        "approver signs with `edge-hub approve`. Needs no hub, only a copy of its public metadata.",
        examples="edge-export sign packed/bundles/NAME/DIGEST.json --hardware sim_arm --key exporter.key \\\n"
        "    --metadata HUB/image/metadata --out draft.json\n"
        "edge-export sign --renew --key exporter.key --metadata HUB/image/metadata --out draft.json",
    )
    parser.add_argument("release", type=Path, nargs="?", help="release manifest; a released one gets a further counter")
    parser.add_argument("--renew", action="store_true", help="no release: sign the published ones for longer")
    parser.add_argument("--key", type=Path, required=True, help="the exporter's secret key")
    parser.add_argument("--passphrase-file", type=Path, help="file whose first line is the key's passphrase")
    parser.add_argument("--metadata", type=Path, required=True, help="HUB/image/metadata, or a copy of it")
    parser.add_argument("--hardware", action="append", type=name, help="what robot it is for; may be given again")
    parser.add_argument("--counter", type=int, help="release counter (default: the next one)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file for the draft")


def _run(arguments: argparse.Namespace) -> None:
    from edge_runtime.releases.key_files import load_signer, read_passphrase
    from edge_runtime.releases.sign import draft_release, newest_releases, renew, sign_draft, write_draft

    if arguments.renew == (arguments.release is not None):
        raise ConfigError("release", "name a release manifest, or --renew")
    signer = load_signer(arguments.key, read_passphrase(arguments.passphrase_file))
    current = newest_releases(arguments.metadata)
    now_s = time.time()
    if arguments.renew:
        if current is None:
            raise ConfigError("--renew", f"nothing was released yet, as far as {arguments.metadata} knows")
        draft = renew(current, now_s)
        say(f"{len(draft.signed.targets)} releases, for longer")
    else:
        if not arguments.hardware:
            raise ConfigError("--hardware", "say what robots the release is for")
        manifest = arguments.release.read_bytes()
        hardware = tuple(arguments.hardware)
        draft, counter = draft_release(current, manifest, hardware, now_s, release_counter=arguments.counter)
        say(f"release counter {counter}, for {', '.join(hardware)}: {load(manifest).target_path}")
    sign_draft(draft, signer)
    write_draft(arguments.out, draft)
    say(f"to approve: edge-hub approve {arguments.out}")
