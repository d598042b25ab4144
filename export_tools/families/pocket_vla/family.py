"""What the pipeline has to know of Pocket VLA; torch and the simulator are imported by what trains and exports."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.contracts.errors import BundleError

if TYPE_CHECKING:
    from export_tools.families.seam import Draft, Order

_HEADER_MAX_BYTES = 100_000_000
_OWN_TENSORS = ("scaling.state_mean", "scaling.action_std", "model.horizon_scale")


class PocketVlaFamily:
    """See `export_tools.families.seam.Family`."""

    name = "pocket_vla"
    summary = "the policy that ships, trained on scripted demonstrations in simulation"
    trains = True
    checkpoint_name = "pocket_vla_train/weights_fp16.safetensors"

    def recognises(self, checkpoint: Path) -> bool:
        """See `Family.recognises`: by the names of the tensors."""
        return set(_OWN_TENSORS) <= _tensor_names(checkpoint)

    def add_options(self, parser: argparse.ArgumentParser, *, training: bool) -> None:
        """See `Family.add_options`."""
        if training:
            parser.add_argument("--seed", type=int, default=0, help="seed of scenes, weights and batches (default 0)")
            parser.add_argument("--observations", type=int, help="how many observations to record")
            parser.add_argument("--steps", type=int, help="how many training steps to make")
            parser.add_argument("--limit-minutes", type=float, help="end the training after so many minutes at most")
        parser.add_argument("--episodes", type=int, help="closed-loop episodes at the end; 0 for none")

    def train(self, order: Order) -> Mapping[str, Any]:
        """See `Family.train`."""
        from dataclasses import replace

        from export_tools.families.pocket_vla.build import Recipe, store_weights, train_from_nothing

        options = order.options
        asked = {
            "observations": options.observations,
            "steps": options.steps,
            "training_limit_minutes": options.limit_minutes,
            "closed_loop_episodes": options.episodes,
        }
        recipe = replace(Recipe(seed=options.seed), **{key: value for key, value in asked.items() if value is not None})
        trained, figures = train_from_nothing(recipe, order.say)
        store_weights(trained, order.checkpoint)
        return figures

    def export(self, order: Order, folder: Path, figures: Mapping[str, Any] | None) -> Draft:
        """See `Family.export`. From the stored weights, so that it gives the same bundle again."""
        from dataclasses import replace

        from export_tools.families.pocket_vla.build import Recipe, draft_bundle, load_weights

        origin = None
        if figures is None:
            figures, origin = _stored_figures(order.place)
        try:
            recipe = Recipe(**figures["recipe"]) if "recipe" in figures else Recipe()
        except TypeError as error:
            raise _no_figures(origin, error) from error
        if order.options.episodes is not None:
            recipe = replace(recipe, closed_loop_episodes=order.options.episodes)
        return draft_bundle(load_weights(order.checkpoint), recipe, dict(figures), folder, order.say)


def _stored_figures(place: Path) -> tuple[Mapping[str, Any], Path | None]:
    """Figures of the run that made the weights, where a bundle of it is here: at `place`, or the one that ships."""
    from edge_runtime.drivers.sim import declaration

    shipped = Path(declaration.__file__).parent / "bundles" / "pocket_vla"
    stored = next((path for folder in (place, shipped) if (path := folder / "training.json").exists()), None)
    if stored is None:
        return {}, None
    try:
        return dict(json.loads(stored.read_bytes())), stored
    except (ValueError, TypeError) as error:
        raise _no_figures(stored, error) from error


def _no_figures(path: Path | None, error: Exception) -> BundleError:
    return BundleError(f"{path}: not the figures of a training: {error}; move it away, or mend it")


def _tensor_names(path: Path) -> set[str]:
    """Of a file of safetensors, from its header alone; empty for any other file."""
    try:
        with path.open("rb") as file:
            size_bytes = int.from_bytes(file.read(8), "little")
            if not 2 <= size_bytes <= _HEADER_MAX_BYTES:
                return set()
            header = json.loads(file.read(size_bytes))
    except (OSError, ValueError, RecursionError):
        return set()
    return set(header) if isinstance(header, dict) else set()


FAMILY = PocketVlaFamily()
