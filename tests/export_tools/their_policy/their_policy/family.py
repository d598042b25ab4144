"""The declaration: no library is imported that is not needed to list it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.contracts.errors import BundleError
from export_tools.families.seam import Draft, Order


class TheirPolicy:
    """Goes on as the joints moved between two observations, `gain` times as fast."""

    name = "their_policy"
    summary = "goes on as it moved"
    trains = True
    checkpoint_name = "their_policy.json"

    def recognises(self, checkpoint: Path) -> bool:
        return checkpoint.suffix == ".json" and "gain" in json.loads(checkpoint.read_bytes())

    def add_options(self, parser: argparse.ArgumentParser, *, training: bool) -> None:
        if training:
            parser.add_argument("--gain", type=float, default=1.0, help="how much faster (default 1)")
        parser.add_argument("--draft-of", default=self.name, help="what it says that it is")

    def train(self, order: Order) -> Mapping[str, Any]:
        order.say(f"learning a gain of {order.options.gain:g}")
        order.checkpoint.write_text(json.dumps({"gain": order.options.gain}))
        return {"steps": 1}

    def export(self, order: Order, folder: Path, figures: Mapping[str, Any] | None) -> Draft:
        from their_policy.export import draft

        try:
            gain = float(json.loads(order.checkpoint.read_bytes())["gain"])
        except (ValueError, KeyError) as error:
            raise BundleError(f"{order.checkpoint}: no weights of {self.name}: {error}") from error
        if figures is not None:
            (folder / "training.json").write_text(json.dumps(figures))
        return draft(folder, gain, order.options.draft_of)


FAMILY = TheirPolicy()
