"""Golden pairs: a bundle's own observations with the trained policy's answers, to be run again where it is installed.

Needs neither torch nor the simulator's pictures: digests, graphs and the pairs are all in the bundle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import GOLDEN_NAME, picture_key
from edge_runtime.contracts.manifest import ParityReport, verify_bundle
from edge_runtime.contracts.sentences import read_sentence
from edge_runtime.contracts.tokenizer import read_tokenizer
from export_tools.families.pocket_vla.runner import OnnxEngine, Runner
from export_tools.families.pocket_vla.train import Scaling
from export_tools.parity import compare, require_parity


def check_bundle(folder: Path) -> ParityReport:
    """Verify digests, then run the golden pairs.

    Raises:
        BundleError: the bundle is altered, its own policy could not read a sentence of its pairs, or a plan is further
            from the trained policy's than the gate allows.
    """
    manifest = verify_bundle(folder)
    policy = manifest.policy
    scaling = Scaling(
        state_mean=np.array(policy.state_normalization.mean, np.float32),
        state_std=np.array(policy.state_normalization.std, np.float32),
        action_mean=np.array(policy.action_normalization.mean, np.float32),
        action_std=np.array(policy.action_normalization.std, np.float32),
    )
    engine = OnnxEngine(folder / policy.graphs.encode, folder / policy.graphs.denoise)
    tokenizer = read_tokenizer(folder / policy.tokenizer.path)
    run = Runner(engine, tokenizer, scaling, policy.sampler.steps)
    with np.load(folder / GOLDEN_NAME) as golden:
        for words in map(str, golden["instruction"]):
            reading = read_sentence(words, tokenizer, policy.tokenizer.max_tokens, policy.sentences)
            if not reading.is_readable:
                raise BundleError(f"{folder}: a robot would refuse its own golden sentence {words!r}: {reading.detail}")
        fed = {image.tensor: golden[picture_key(image.camera)] for image in policy.images}
        plans = [
            run(fed["image_scene"][i : i + 1], fed["image_wrist"][i : i + 1], str(words), golden["state"][i])
            for i, words in enumerate(golden["instruction"])
        ]
        report = compare(golden["plan"], np.stack(plans), manifest.parity.quantized_weight_fraction, ())
    require_parity(report)
    return report
