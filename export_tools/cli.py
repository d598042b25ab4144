"""The exporter's commands. Each one prints what it does, and exits non-zero when a gate fails.

edge-export build    demonstrations, training, INT8 export, gates: a bundle from nothing (`make assets`)
edge-export export   the same from stored weights, without training
edge-export check    run a bundle's own gate on this machine
edge-export pack     make a release of a bundle: packs that robots fetch from, and the manifest that is signed
edge-export sign     the exporter's signature on a release; the approver's (`edge-hub approve`) has to join it
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.text import Text

from edge_runtime.contracts.command_line import VersionAction, explained
from edge_runtime.contracts.completion import add_completion
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.errors import BundleError, EdgeError
from edge_runtime.contracts.installation import checkout
from edge_runtime.contracts.release import Compatibility, Name, VersionRange, load
from edge_runtime.contracts.text import printable_lines

_SIMULATED = Path(__file__).parents[1] / "edge_runtime" / "drivers" / "sim"
_SHIPPED, _EMBODIMENT = _SIMULATED / "bundles" / "pocket_vla", _SIMULATED / "config" / "embodiment.toml"
_CHECKOUT = checkout()
# What ships is replaced by who names it: a command without arguments writes into the current folder.
_BUNDLE, _NEW_WEIGHTS = Path("pocket_vla"), Path("pocket_vla_train") / "weights_fp16.safetensors"
_WEIGHTS = (_CHECKOUT / "assets" if _CHECKOUT else Path()) / _NEW_WEIGHTS


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `edge-export`. Returns the exit status: 0, 1 for a failed gate, 2 for a wrong command line."""
    parser = build_parser()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help()
        return 0
    arguments = parser.parse_args(given)
    console = Console(highlight=False)
    started = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        # As `Text`: a path may hold brackets, which markup would swallow.
        console.print(
            Text.assemble((f"{minutes:3d}:{seconds:02d}", "dim"), f" {printable_lines(text)}"), soft_wrap=True
        )

    try:
        if arguments.command == "build":
            _build(arguments, say)
        elif arguments.command == "export":
            _export(arguments, say)
        elif arguments.command == "pack":
            _pack(arguments, say, console)
        elif arguments.command == "sign":
            _sign(arguments, say)
        elif arguments.command == "completion":
            arguments.run(arguments)
        else:
            _check(arguments, say)
    except BrokenPipeError:
        # Whoever read the output has left; that is no failure of the command's.
        raise
    except (EdgeError, OSError) as error:
        line, _ = explained("edge-export", error)
        Console(stderr=True, highlight=False).print(Text.assemble(("failed:", "red"), f" {line}"), soft_wrap=True)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="edge-export",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="train a policy from nothing and write its INT8 bundle")
    build.add_argument("--seed", type=int, default=0, help="seed of scenes, weights and batches (default 0)")
    build.add_argument("--observations", type=int, help="how many observations to record")
    build.add_argument("--steps", type=int, help="how many training steps to make")
    build.add_argument("--limit-minutes", type=float, help="end the training after so many minutes at the latest")
    export = commands.add_parser("export", help="export stored weights again, without training")
    for command in (build, export):
        command.add_argument("family", nargs="?", choices=("pocket_vla",), default="pocket_vla", help="model family")
        command.add_argument("--out", type=Path, default=_BUNDLE, help=f"folder of the bundle (default {_BUNDLE})")
        weights = _NEW_WEIGHTS if command is build else _WEIGHTS
        command.add_argument("--weights", type=Path, default=weights, help=f"stored weights (default {weights})")
        command.add_argument("--episodes", type=int, help="closed-loop episodes at the end; 0 for none")
    check = commands.add_parser("check", help="verify digests and run the parity gate on the bundle's golden pairs")
    check.add_argument(
        "bundle", type=Path, nargs="?", default=_SHIPPED, help="folder of the bundle (default: the one that ships)"
    )
    check.add_argument(
        "--embodiment",
        type=Path,
        default=_EMBODIMENT,
        metavar="FILE",
        help="embodiment.toml of the robot type that it is for (default: the simulated arm's)",
    )
    pack = commands.add_parser("pack", help="make a release of a bundle: packs and the manifest that is signed")
    pack.add_argument("bundle", type=Path, help="folder of the bundle")
    pack.add_argument("-o", "--out", type=Path, required=True, help="folder for bundles/ and packs/; may hold others")
    pack.add_argument("--base", type=Path, help="release manifest that robots have; what it shares is not sent again")
    pack.add_argument("--base-store", type=Path, help="folder that holds the packs of the base")
    pack.add_argument(
        "--architecture", action="append", type=_name, default=[], help="only for these, as `uname -m` has them"
    )
    pack.add_argument(
        "--gpu-architecture", action="append", type=_name, default=[], help="only for these, such as sm_87"
    )
    pack.add_argument("--tensorrt", type=_versions, help="only for these versions: from (included) to, as in 10.3:11")
    pack.add_argument("--jetpack", type=_versions, help="the same for JetPack, as in 6: or 6:7")
    _add_sign(commands)
    add_completion(parser, commands)
    return parser


def _add_sign(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sign = commands.add_parser("sign", help="the exporter's signature on a release, as a draft for the approver")
    sign.add_argument("release", type=Path, nargs="?", help="release manifest; a released one gets a further counter")
    sign.add_argument("--renew", action="store_true", help="no release: sign the published ones for longer")
    sign.add_argument("--key", type=Path, required=True, help="the exporter's secret key")
    sign.add_argument("--passphrase-file", type=Path, help="file whose first line is the key's passphrase")
    sign.add_argument("--metadata", type=Path, required=True, help="HUB/image/metadata, or a copy of it")
    sign.add_argument("--hardware", action="append", type=_name, help="what robot it is for; may be given again")
    sign.add_argument("--counter", type=int, help="release counter (default: the next one)")
    sign.add_argument("-o", "--out", type=Path, required=True, help="file for the draft")


def _versions(text: str) -> VersionRange:
    at_least, colon, below = text.partition(":")
    if not (colon and (at_least or below)):
        raise argparse.ArgumentTypeError(f"{text!r}: write 10.3:11 or 10.3: or :11")
    given = {key: value for key, value in (("at_least", at_least), ("below", below)) if value}
    return _converted(given, VersionRange)


def _name(text: str) -> str:
    return _converted(text, Name)


_T = TypeVar("_T")


def _converted(given: object, kind: type[_T]) -> _T:
    # By the reader's own rules, before an hour of packing ends in a release that no robot reads.
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError(f"{given!r}: {error}") from error


# Torch and the simulator take seconds to import: `--help` must not wait for them.


def _build(arguments: argparse.Namespace, say: object) -> None:
    from dataclasses import replace

    from export_tools.bundle import require_replaceable
    from export_tools.families.pocket_vla.build import (
        Recipe,
        export_bundle,
        load_weights,
        store_weights,
        train_from_nothing,
    )

    assert callable(say)
    require_replaceable(arguments.out)
    recipe = Recipe(seed=arguments.seed)
    asked = {
        "observations": arguments.observations,
        "steps": arguments.steps,
        "training_limit_minutes": arguments.limit_minutes,
        "closed_loop_episodes": arguments.episodes,
    }
    recipe = replace(recipe, **{key: value for key, value in asked.items() if value is not None})
    trained, figures = train_from_nothing(recipe, say)
    store_weights(trained, arguments.weights)
    # From the stored weights, so that `export` gives the same bundle again.
    export_bundle(load_weights(arguments.weights), recipe, figures, arguments.out, _command_line(), say)
    say(f"bundle in {arguments.out}, weights in {arguments.weights}")


def _export(arguments: argparse.Namespace, say: object) -> None:
    import json
    from dataclasses import replace

    from export_tools.bundle import require_replaceable
    from export_tools.families.pocket_vla.build import Recipe, export_bundle, load_weights

    assert callable(say)
    require_replaceable(arguments.out)
    # The figures of the run that the weights are from, where a bundle of it is here.
    beside = (folder / "training.json" for folder in (arguments.out, _SHIPPED))
    stored = next((path for path in beside if path.exists()), None)
    try:
        figures = {} if stored is None else dict(json.loads(stored.read_bytes()))
        recipe = Recipe(**figures["recipe"]) if "recipe" in figures else Recipe()
    except (ValueError, TypeError) as error:
        raise BundleError(f"{stored}: not the figures of a training: {error}; move it away, or mend it") from error
    if arguments.episodes is not None:
        recipe = replace(recipe, closed_loop_episodes=arguments.episodes)
    export_bundle(load_weights(arguments.weights), recipe, figures, arguments.out, _command_line(), say)
    say(f"bundle in {arguments.out}")


def _check(arguments: argparse.Namespace, say: object) -> None:
    from export_tools.check import check_bundle, read_embodiment

    assert callable(say)
    report = check_bundle(arguments.bundle, read_embodiment(arguments.embodiment))
    say(f"{arguments.bundle}: digests hold; {report.worst}")


def _pack(arguments: argparse.Namespace, say: object, console: Console) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from edge_runtime.contracts.errors import ConfigError
    from edge_runtime.releases.pack import Base, cost, pack_bundle

    assert callable(say)
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
    name = f"{release.bundle_name} {release.bundle_version}"
    say(f"{name}: {release.size_bytes / 1e6:.1f} MB in {len(release.blobs)} blobs")
    say(f"a robot without any of it fetches {whole.bytes / 1e6:.2f} MB")
    if base is not None:
        less = cost(release, frozenset(base.release.blobs))
        part = less.bytes / max(1, release.size_bytes)
        say(
            f"one with {base.release.bundle_name} {base.release.bundle_version} fetches {less.bytes / 1e6:.2f} MB, "
            f"{part:.2%} of the bundle: {less.blobs} blobs, {less.deltas} of them as differences"
        )
    say(f"to sign: {arguments.out / release.target_path}")


def _sign(arguments: argparse.Namespace, say: object) -> None:
    from edge_runtime.contracts.errors import ConfigError
    from edge_runtime.releases.key_files import load_signer, read_passphrase
    from edge_runtime.releases.sign import draft_release, newest_releases, renew, sign_draft, write_draft

    assert callable(say)
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


def _command_line() -> str:
    return shlex.join(["python", "-m", "export_tools", *sys.argv[1:]])
