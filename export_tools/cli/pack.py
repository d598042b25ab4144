"""`edge-export pack`: a release of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.release import Compatibility, VersionRange, load
from edge_runtime.contracts.subcommand import add_command, say
from export_tools.cli.words import converted, name

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "pack",
        _run,
        summary="make a release of a bundle: packs and the manifest that is signed",
        description="Cuts a bundle into the packs that robots fetch, with differences to a release that they have, and "
        "writes the release manifest. Nothing is public before exporter and approver signed it and the hub took it.",
        examples="edge-export pack bundle -o packed\n"
        "edge-export pack bundle -o packed --base OLD.json --base-store old_packed --architecture aarch64",
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for bundles/ and packs/; may hold others")
    parser.add_argument("--base", type=Path, help="release manifest that robots have; what it shares is not sent again")
    parser.add_argument("--base-store", type=Path, help="folder that holds the packs of the base")
    parser.add_argument(
        "--architecture", action="append", type=name, default=[], help="only for these, as `uname -m` has them"
    )
    parser.add_argument(
        "--gpu-architecture", action="append", type=name, default=[], help="only for these, such as sm_87"
    )
    parser.add_argument("--tensorrt", type=_versions, help="only for these versions: from (included) to, as in 10.3:11")
    parser.add_argument("--jetpack", type=_versions, help="the same for JetPack, as in 6: or 6:7")


def _run(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from edge_runtime.releases.pack import Base, cost, pack_bundle

    if (arguments.base is None) != (arguments.base_store is None):
        raise ConfigError("--base", "goes with --base-store: one names the release, the other holds its packs")
    base = None if arguments.base is None else Base(load(arguments.base.read_bytes()), arguments.base_store)

    def narrow(compatibility: Compatibility) -> Compatibility:
        return msgspec.structs.replace(
            compatibility,
            architectures=tuple(arguments.architecture),
            gpu_architectures=tuple(arguments.gpu_architecture),
            tensorrt=arguments.tensorrt,
            jetpack=arguments.jetpack,
        )

    console = Console(highlight=False)
    with Progress(
        TextColumn("packing"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("packing")
        release = pack_bundle(
            arguments.bundle,
            arguments.out,
            base=base,
            narrow=narrow,
            progress=lambda done, size: bar.update(task, completed=done, total=size),
        )
    whole = cost(release)
    say(
        f"{release.bundle_name} {release.bundle_version}: {release.size_bytes / 1e6:.1f} MB in "
        f"{len(release.blobs)} blobs"
    )
    say(f"a robot without any of it fetches {whole.bytes / 1e6:.2f} MB")
    if base is not None:
        less = cost(release, frozenset(base.release.blobs))
        part = less.bytes / max(1, release.size_bytes)
        say(
            f"one with {base.release.bundle_name} {base.release.bundle_version} fetches {less.bytes / 1e6:.2f} MB, "
            f"{part:.2%} of the bundle: {less.blobs} blobs, {less.deltas} of them as differences"
        )
    say(f"to sign: {arguments.out / release.target_path}")


def _versions(text: str) -> VersionRange:
    at_least, colon, below = text.partition(":")
    if not (colon and (at_least or below)):
        raise argparse.ArgumentTypeError(f"{text!r}: write 10.3:11 or 10.3: or :11")
    given = {key: value for key, value in (("at_least", at_least), ("below", below)) if value}
    return converted(given, VersionRange)
