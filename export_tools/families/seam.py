"""The family seam: what a kind of model has to declare, for the pipeline to make bundles of its checkpoints.

A package that brings a family names it in its pyproject.toml, and nothing of this project changes for it:

    [project.entry-points."edge_runtime.families"]
    my_policy = "my_policy.family:FAMILY"

What the entry point leads to is imported to be listed, so it imports no torch: a family imports its libraries where it
trains and exports.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import ParityReport, PolicyContract

Say = Callable[[str], None]
"""Tells a person how far it is, a line at a time."""


@dataclass(frozen=True)
class Order:
    """What a person asked a family for.

    Attributes:
        options: the parsed command line, with the options that the family added.
        checkpoint: where trained weights are read from, and where training leaves them.
        place: where the bundle goes; a bundle that lies there is replaced once the new one is complete.
        say: for progress.
    """

    options: argparse.Namespace
    checkpoint: Path
    place: Path
    say: Say


@dataclass(frozen=True)
class Draft:
    """What a family exported: beside the files in its folder, all that the manifest says of them.

    Attributes:
        name: of the bundle.
        release: its version.
        precision: that most of its weights are in, as "fp32" or "int8".
        parameters: how many the model has.
        contract: how a robot runs the graphs.
        embodiment: a robot that it is for.
        parity: the graphs in the folder against the trained model.
        golden: arrays of its golden pairs as `contracts.golden` has them; `format` and what the contract says of time
            are added by the pipeline.
        seed: of everything random in it.
        packages: whose versions are recorded.
        limit_bytes: the bundle may not get larger; None: it may.
    """

    name: str
    release: str
    precision: str
    parameters: int
    contract: PolicyContract
    embodiment: Embodiment
    parity: ParityReport
    golden: Mapping[str, NDArray[Any]]
    seed: int = 0
    packages: tuple[str, ...] = ()
    limit_bytes: int | None = None


class Family(Protocol):
    """One kind of model. Whatever it raises besides an `EdgeError` or an `OSError` counts as its bug.

    Attributes:
        name: what a person types, and `policy.family` of its bundles; the name of its entry point.
        summary: what it is, in one line.
        trains: whether `train` makes a policy from nothing.
        checkpoint_name: relative path that trained weights go by where a person names none.
    """

    name: str
    summary: str
    trains: bool
    checkpoint_name: str

    def recognises(self, checkpoint: Path) -> bool:
        """Whether `checkpoint`, a file or a folder of anybody's, is one of this family's. Needs no torch."""

    def add_options(self, parser: argparse.ArgumentParser, *, training: bool) -> None:
        """Add options of its own to `edge-export export NAME`, or with `training` to `edge-export build NAME`."""

    def train(self, order: Order) -> Mapping[str, Any]:
        """Train a policy from nothing and leave it at `order.checkpoint`; returns figures of the run.

        Raises:
            BundleError: no policy came of it.
        """

    def export(self, order: Order, folder: Path, figures: Mapping[str, Any] | None) -> Draft:
        """Write the graphs of `order.checkpoint`, and whatever files they need, to the empty `folder`.

        Args:
            figures: what `train` returned; None where weights are exported that were trained before.

        Raises:
            BundleError: the checkpoint is none of this family's, or a gate failed; says which, and what to do.
        """
