"""The exporter's commands. Each one prints what it does, and exits non-zero when a gate fails.

edge-export build    demonstrations, training, INT8 export, gates: a bundle from nothing (`make assets`)
edge-export export   the same from stored weights, without training
edge-export check    run a bundle's own gate on this machine
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from contracts.errors import EdgeError

_BUNDLE = Path("assets/pocket_vla")
_WEIGHTS = Path("assets/pocket_vla_train/weights_fp16.safetensors")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `edge-export`. Returns the exit status: 0, 1 for a failed gate, 2 for a wrong command line."""
    arguments = _parser().parse_args(argv)
    console = Console(highlight=False)
    started = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        console.print(f"[dim]{minutes:3d}:{seconds:02d}[/dim] {text}", soft_wrap=True)

    try:
        if arguments.command == "build":
            _build(arguments, say)
        elif arguments.command == "export":
            _export(arguments, say)
        else:
            _check(arguments, say)
    except (EdgeError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"[red]failed:[/red] {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="train a policy from nothing and write its INT8 bundle")
    build.add_argument("--seed", type=int, default=0, help="seed of scenes, weights and batches (default 0)")
    build.add_argument("--observations", type=int, help="how many observations to record")
    build.add_argument("--steps", type=int, help="how many training steps to make")
    build.add_argument("--limit-minutes", type=float, help="end the training after so many minutes at the latest")
    export = commands.add_parser("export", help="export stored weights again, without training")
    for command in (build, export):
        command.add_argument("family", nargs="?", choices=("pocket_vla",), default="pocket_vla", help="model family")
        command.add_argument("--out", type=Path, default=_BUNDLE, help=f"folder of the bundle (default {_BUNDLE})")
        command.add_argument("--weights", type=Path, default=_WEIGHTS, help=f"stored weights (default {_WEIGHTS})")
        command.add_argument("--episodes", type=int, help="closed-loop episodes at the end; 0 for none")
    check = commands.add_parser("check", help="verify digests and run the parity gate on the bundle's golden pairs")
    check.add_argument("bundle", type=Path, nargs="?", default=_BUNDLE)
    return parser


# Torch and the simulator take seconds to import: `--help` must not wait for them.


def _build(arguments: argparse.Namespace, say: object) -> None:
    from dataclasses import replace

    from export_tools.families.pocket_vla.build import (
        Recipe,
        export_bundle,
        load_weights,
        store_weights,
        train_from_nothing,
    )

    assert callable(say)
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

    from export_tools.families.pocket_vla.build import Recipe, export_bundle, load_weights

    assert callable(say)
    stored = arguments.out / "training.json"
    figures = json.loads(stored.read_text()) if stored.exists() else {}
    recipe = Recipe(**figures["recipe"]) if "recipe" in figures else Recipe()
    if arguments.episodes is not None:
        recipe = replace(recipe, closed_loop_episodes=arguments.episodes)
    export_bundle(load_weights(arguments.weights), recipe, figures, arguments.out, _command_line(), say)
    say(f"bundle in {arguments.out}")


def _check(arguments: argparse.Namespace, say: object) -> None:
    from export_tools.families.pocket_vla.golden import check_bundle

    assert callable(say)
    report = check_bundle(arguments.bundle)
    say(f"{arguments.bundle}: digests hold; golden pairs within {max(report.error_p99_rad):.4f} rad (p99)")


def _command_line() -> str:
    return shlex.join(["python", "-m", "export_tools", *sys.argv[1:]])
