"""The model family: words, batches, learning, export. Small data, real parts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import ParityReport, verify_bundle
from edge_runtime.drivers.sim.task import COLOURS, SHAPES, VERBS, all_phrases
from edge_runtime.policies.sentences import read_sentence
from export_tools import pipeline
from export_tools.check import check_bundle
from export_tools.families.pocket_vla.build import (
    Recipe,
    Trained,
    store_weights,
)
from export_tools.families.pocket_vla.contract import embodiment
from export_tools.families.pocket_vla.demonstrations import Demonstrations, record
from export_tools.families.pocket_vla.family import FAMILY, PocketVlaFamily
from export_tools.families.pocket_vla.language import MAX_TOKENS, PAD, UNKNOWN, SentenceTable, build_tokenizer
from export_tools.families.pocket_vla.model import PocketConfig, PocketVla
from export_tools.families.pocket_vla.train import BatchMaker, flow_loss, head_loss, scaling_of
from export_tools.families.seam import Order
from export_tools.graph_notes import notes_in
from export_tools.parity import require_parity


@pytest.fixture(scope="module")
def data() -> Demonstrations:
    return record(24, seed=1, workers=1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # More of them wait for each other in loops: where other programs want the processors too, for minutes.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _untrained(data: Demonstrations) -> Trained:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = PocketVla(PocketConfig(vocabulary=tokenizer.size))
    # The output layer starts at zero; an export of zeros would prove nothing.
    torch.nn.init.normal_(model.action_out.weight, std=0.05)
    return Trained(model.eval(), tokenizer, scaling_of(data))


def test_every_evaluation_word_is_known_and_fits() -> None:
    tokenizer = build_tokenizer()
    for sentence in {*all_phrases("train"), *all_phrases("eval")}:
        assert read_sentence(sentence, tokenizer, MAX_TOKENS).is_readable


def test_an_unheard_word_becomes_the_unknown_token() -> None:
    tokens = build_tokenizer().encode("Touch the fuchsia cube!", MAX_TOKENS)
    assert tokens.unknown_words == 1
    assert tokens.ids[2] == UNKNOWN
    assert tokens.ids[4:] == (PAD,) * (MAX_TOKENS - 4)


def test_drawn_sentences_mean_what_was_asked() -> None:
    tokenizer = build_tokenizer()
    names = {number: word for word, number in tokenizer.words.items()}
    rng = np.random.default_rng(0)
    colour, shape, verb = (rng.integers(0, n, 300) for n in (len(COLOURS), len(SHAPES), len(VERBS)))
    tokens, row = SentenceTable(tokenizer).draw(colour, shape, verb, rng)
    assert len(tokens) <= 90
    nouns = {"cube": {"cube", "block"}, "ball": {"ball", "sphere"}, "cylinder": {"cylinder", "can"}}
    for c, s, v, r in zip(colour, shape, verb, row, strict=True):
        words = {names[t] for t in tokens[r] if t != PAD}
        assert COLOURS[c] in words
        assert words & nouns[SHAPES[s]]
        assert ("left" in words, "right" in words) == (VERBS[v] == "push_left", VERBS[v] == "push_right")


def test_both_losses_fall_when_a_batch_is_learnt_by_heart(data: Demonstrations) -> None:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = PocketVla(PocketConfig(vocabulary=tokenizer.size)).train()
    batch = BatchMaker(data, scaling_of(data), SentenceTable(tokenizer), 0).draw(12)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for _ in range(25):
        prefix, heads = model.ground(
            model.see(batch.scene, batch.wrist, batch.gain), model.read(batch.tokens)[batch.sentence], batch.state, 2
        )
        flow, head = flow_loss(model, prefix, batch.actions, generator), head_loss(heads, batch)
        optimizer.zero_grad()
        (flow + head).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seen.append((float(flow.detach()), float(head.detach())))
    first, last = np.mean(seen[:3], axis=0), np.mean(seen[-3:], axis=0)
    assert np.all(last < 0.6 * first), (first, last)


def test_velocity_leads_to_the_predicted_action(data: Demonstrations) -> None:
    trained = _untrained(data)
    x, time = torch.randn(1, 16, 8), torch.tensor([0.6])
    picture = torch.from_numpy(data.images[:1])
    prefix = trained.model.encode(
        picture[:, 0], picture[:, 1], torch.ones(1, MAX_TOKENS, dtype=torch.int64), torch.zeros(1, 8)
    )
    end = x + trained.model.denoise(x, time, prefix) * 0.4
    torch.testing.assert_close(end, trained.model.clean_action(x, time, prefix), rtol=1e-4, atol=1e-4)


def test_untrained_model_passes_the_whole_export(data: Demonstrations, tmp_path: Path) -> None:
    trained = _untrained(data)
    recipe = replace(Recipe(), calibration=8, held_out=12, looked_at=24, closed_loop_episodes=0)
    place = tmp_path / "bundle"

    class Untrained(PocketVlaFamily):
        def train(self, order: Order) -> Mapping[str, Any]:
            store_weights(trained, order.checkpoint)
            return {"recipe": asdict(recipe)}

    said: list[str] = []
    order = Order(
        options=argparse.Namespace(episodes=None),
        checkpoint=tmp_path / "weights.safetensors",
        place=place,
        say=said.append,
    )
    manifest = pipeline.build(Untrained(), order, "test")
    assert manifest == verify_bundle(place)
    assert said[-1].startswith("a robot's own check of it holds: ")
    assert FAMILY.recognises(order.checkpoint)
    with np.load(place / GOLDEN_NAME) as golden:
        assert (int(golden["format"]), int(golden["action_dt_ns"])) == (3, 50_000_000)
    assert manifest.parity.quantized_weight_fraction > 0.95
    assert manifest.parity.inert_inputs == ()
    cameras = manifest.policy.inputs.cameras
    assert [camera.trained_on.pictures for camera in cameras if camera.trained_on is not None] == [24, 24]
    assert 5_000_000 <= manifest.parameters <= 20_000_000
    check_bundle(place, embodiment())
    assert [notes for path in place.glob("*.onnx") for notes in notes_in(path)] == []
    blob = place / "denoise.onnx"
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"denoise\.onnx"):
        check_bundle(place, embodiment())


def test_each_parity_gate_can_fail() -> None:
    good = ParityReport(
        samples=4,
        error_max_rad=(0.01,),
        error_p99_rad=(0.001,),
        bound_p99_rad=0.01,
        gripper_flips=0,
        quantized_weight_fraction=0.99,
        inert_inputs=(),
    )
    require_parity(good, "int8")
    require_parity(msgspec.structs.replace(good, quantized_weight_fraction=0.0), "fp32")
    for change, said in (
        ({"error_p99_rad": (0.02,)}, "p99"),
        ({"gripper_flips": 1}, "gripper"),
        ({"quantized_weight_fraction": 0.2}, "INT8"),
        ({"inert_inputs": ("tokens",)}, "tokens"),
    ):
        with pytest.raises(BundleError, match=said):
            require_parity(msgspec.structs.replace(good, **change), "int8")
