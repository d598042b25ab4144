"""From what a family exported to a bundle: gates, golden pairs, manifest, and the robot's own check, for every family.

A gate that fails raises and leaves what lay at the bundle's place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import Manifest, Provenance
from edge_runtime.policies.golden import write_pairs
from export_tools.bundle import replace_folder, require_replaceable, seal, tool_versions
from export_tools.check import check_bundle
from export_tools.families.registry import named
from export_tools.families.seam import Family, Order
from export_tools.parity import require_parity


def build(family: Family, order: Order, command: str) -> Manifest:
    """Train a policy of `family` from nothing, and make its bundle of the weights that this left.

    Args:
        command: the one that repeats it, for the bundle's provenance.

    Raises:
        BundleError: the family can't be trained, or a gate failed.
    """
    require_replaceable(order.place)
    if not family.trains:
        raise BundleError(
            f"{family.name} is not trained here. To make a bundle of weights that are: "
            f"edge-export export {family.name} --weights CHECKPOINT"
        )
    with named(family):
        figures = family.train(order)
    return _make(family, order, figures, command)


def export(family: Family, order: Order, command: str) -> Manifest:
    """Make the bundle of weights that were trained before.

    Raises:
        BundleError: the family does not know them, or a gate failed.
    """
    return _make(family, order, None, command)


def _make(family: Family, order: Order, figures: Mapping[str, Any] | None, command: str) -> Manifest:
    require_replaceable(order.place)
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        fresh = Path(scratch) / family.name
        fresh.mkdir()
        with named(family):
            draft = family.export(order, fresh, figures)
        if draft.contract.family != family.name:
            raise BundleError(f"the family {family.name} exported a policy of the family {draft.contract.family}")
        require_parity(draft.parity, draft.precision)
        write_pairs(fresh / GOLDEN_NAME, draft.contract, draft.golden)
        parity = msgspec.json.format(msgspec.json.encode(draft.parity), indent=1)
        (fresh / "parity.json").write_bytes(parity + b"\n")
        manifest = seal(
            fresh,
            name=draft.name,
            release=draft.release,
            precision=draft.precision,
            parameters=draft.parameters,
            policy=draft.contract,
            provenance=Provenance(command=command, seed=draft.seed, versions=tool_versions(draft.packages)),
            parity=draft.parity,
            limit_bytes=draft.limit_bytes,
        )
        report = check_bundle(fresh, draft.embodiment)
        order.say(f"a robot's own check of it holds: {report.worst}")
        replace_folder(fresh, order.place)
    return manifest
