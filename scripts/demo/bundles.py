"""The demo's two updates, made from the shipped bundle without training: `python -m scripts.demo.bundles KIND FROM TO`.

quicker   0.2.0: the plan is integrated in four steps instead of five. Measured against the trained policy's plans, and
          refused if they are further off than the parity gate allows.
mixed-up  0.3.0: its exporter confused the vocabulary: colours, sides and shapes have each other's numbers. Its golden
          pairs come from the same exporter, so it agrees with itself: only what the arm does shows it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, EdgeError
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import (
    FlowDecoder,
    Manifest,
    ParityReport,
    blob_of,
    read_manifest,
    verify_bundle,
    write_manifest,
)
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.policies.golden import plan_of
from export_tools.parity import compare, require_parity

QUICKER, MIXED_UP = "quicker", "mixed-up"
VERSIONS = {QUICKER: "0.2.0", MIXED_UP: "0.3.0"}
_STEPS = 4
_CONFUSED = (
    ("red", "green", "blue", "yellow", "purple"),
    ("left", "right"),
    ("cube", "ball", "cylinder"),
    ("block", "sphere"),
)
_PARITY = "parity.json"


def quicker(bundle: Path, out: Path) -> Manifest:
    """Make the good update in `out`.

    Raises:
        BundleError: with fewer steps the plans are too far from the trained policy's.
    """
    shutil.copytree(bundle, out)
    manifest = read_manifest(out)
    decoder = manifest.policy.decoder
    if not isinstance(decoder, FlowDecoder):
        raise BundleError(f"{bundle}: only a policy of flow steps gets quicker with fewer of them")
    policy = msgspec.structs.replace(manifest.policy, decoder=msgspec.structs.replace(decoder, steps=_STEPS))
    manifest = _sealed(out, msgspec.structs.replace(manifest, policy=policy, version=VERSIONS[QUICKER]))
    parity = _parity(out, manifest, load_config(SIM_CONFIG).embodiment)
    require_parity(parity, manifest.precision)
    (out / _PARITY).write_text(json.dumps(msgspec.to_builtins(parity), indent=1) + "\n")
    return _sealed(out, msgspec.structs.replace(manifest, parity=parity))


def mixed_up(bundle: Path, out: Path) -> Manifest:
    """Make the broken update in `out`. It passes every check that a robot can make before the bundle acts."""
    shutil.copytree(bundle, out)
    manifest = read_manifest(out)
    meant = {word: group[(i + 1) % len(group)] for group in _CONFUSED for i, word in enumerate(group)}
    text = manifest.policy.inputs.text
    if text is None:
        raise BundleError(f"{bundle}: a policy without words can't mix them up")
    path = out / text.tokenizer.path
    tokenizer = json.loads(path.read_text())
    ids = tokenizer["words"]
    tokenizer["words"] = {word: ids[meant.get(word, word)] for word in ids}
    path.write_text(json.dumps(tokenizer, indent=1) + "\n")
    said = {word: other for other, word in meant.items()}
    with np.load(out / GOLDEN_NAME, allow_pickle=False) as archive:
        pairs: dict[str, Any] = dict(archive)
    # What such an exporter writes beside a plan is the sentence that its own vocabulary makes the policy understand so.
    sentences = [re.sub(r"\w+", lambda word: said.get(word[0], word[0]), str(text)) for text in pairs["instruction"]]
    np.savez_compressed(out / GOLDEN_NAME, **{**pairs, "instruction": np.array(sentences)})
    return _sealed(out, msgspec.structs.replace(manifest, version=VERSIONS[MIXED_UP]))


def _sealed(folder: Path, manifest: Manifest) -> Manifest:
    blobs = tuple(blob_of(folder, blob.path) for blob in manifest.blobs)
    command = "python -m scripts.demo.bundles"
    provenance = msgspec.structs.replace(manifest.provenance, command=command)
    write_manifest(folder, msgspec.structs.replace(manifest, blobs=blobs, provenance=provenance))
    return verify_bundle(folder)


def _parity(folder: Path, manifest: Manifest, embodiment: Embodiment) -> ParityReport:
    """How far the bundle's plans are from those of the trained policy, over its golden pairs, on this machine."""
    policy = BundlePolicy.load(folder, embodiment, threads=1)
    with np.load(folder / GOLDEN_NAME, allow_pickle=False) as archive:
        pairs: dict[str, NDArray[Any]] = dict(archive)
    plans = [plan_of(policy, embodiment, pairs, case) for case in range(len(pairs["plan"]))]
    before = manifest.parity
    fraction, inert = before.quantized_weight_fraction, before.inert_inputs
    return compare(pairs["plan"], np.stack(plans), embodiment, fraction, inert)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one of the two, and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo.bundles", description="Make an update for the demo.")
    parser.add_argument("kind", choices=(QUICKER, MIXED_UP))
    parser.add_argument("bundle", type=Path, help="folder of the bundle that it is made from")
    parser.add_argument("out", type=Path, help="folder that is made")
    options = parser.parse_args(arguments)
    try:
        make = quicker if options.kind == QUICKER else mixed_up
        manifest = make(options.bundle, options.out)
    except (EdgeError, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    error_rad = max(manifest.parity.error_p99_rad)
    print(
        f"{manifest.name} {manifest.version}: {error_rad:.4f} rad (p99) from the trained policy over its golden pairs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
