"""The demo's updates are what the story says: a good one, and a broken one that no check before it acts can find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import read_manifest, verify_bundle
from edge_runtime.contracts.manifest.version_1 import written
from edge_runtime.drivers.sim.task import all_phrases
from edge_runtime.engine.golden import check
from edge_runtime.policies.tokenizers.words import read_tokenizer
from scripts.demo import bundles

CONFIG = load_config(SIM_CONFIG)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("updates")
    good, bad = folder / "good", folder / "bad"
    bundles.quicker(CONFIG.bundle_dir, good)
    bundles.mixed_up(good, bad)
    return good, bad


def test_both_pass_every_check_of_the_robot(made: tuple[Path, Path]) -> None:
    shipped = read_manifest(CONFIG.bundle_dir)
    digests = {shipped.digest}
    for folder in made:
        manifest = verify_bundle(folder)
        manifest.require_fit(CONFIG.embodiment)
        report = check(folder, CONFIG.embodiment, threads=1)
        assert report.verdict == "matched"
        assert report.cases == 8
        digests.add(manifest.digest)
    assert len(digests) == 3


def test_the_good_one_needs_fewer_steps_and_says_how_far_off_it_is(made: tuple[Path, Path]) -> None:
    shipped, good = read_manifest(CONFIG.bundle_dir), read_manifest(made[0])
    assert written(good.policy).sampler.steps == written(shipped.policy).sampler.steps - 1
    assert 0.0 < max(good.parity.error_p99_rad) < good.parity.bound_p99_rad
    assert good.version != shipped.version


def test_fewer_steps_than_the_gate_allows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_STEPS", 1)
    with pytest.raises(BundleError, match="parity: p99 error"):
        bundles.quicker(CONFIG.bundle_dir, tmp_path / "out")


def test_the_broken_one_reads_another_sentence_than_it_is_told(made: tuple[Path, Path]) -> None:
    good, bad = (read_tokenizer(folder / "tokenizer.json") for folder in made)
    assert sorted(good.words.values()) == sorted(bad.words.values())
    length = written(read_manifest(made[0]).policy).tokenizer.max_tokens
    assert all(good.encode(text, length).ids != bad.encode(text, length).ids for text in all_phrases("eval"))
    # Its golden pairs agree with it: what it was told there is what it reads.
    with np.load(made[0] / GOLDEN_NAME) as told, np.load(made[1] / GOLDEN_NAME) as agreed:
        for before, after in zip(told["instruction"], agreed["instruction"], strict=True):
            assert str(before) != str(after)
            assert good.encode(str(before), length).ids == bad.encode(str(after), length).ids
        assert np.array_equal(told["plan"], agreed["plan"])
