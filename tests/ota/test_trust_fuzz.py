"""Metadata with something wrong in it, at random: a robot installs what it would have, or refuses by name."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner

from edge_runtime.contracts.assignment import Assignment
from edge_runtime.contracts.errors import OtaError
from edge_runtime.releases.key_files import load_signer
from tests.ota.repositories import ROBOT, World, bytes_answer, world_in

ROUNDS = 40
WRONG: tuple[Any, ...] = (None, 0, -1, 7, 10**30, "", "a" * 100, True, [], {}, [[]], {"a": 1}, "9999-12-31T23:59:59Z")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def good(world: World) -> Assignment:
    return world.check()


def same_or_refused(world: World, good: Assignment, answers: dict[str, bytes]) -> None:
    shutil.rmtree(world.folder / "metadata", ignore_errors=True)
    shutil.rmtree(world.folder / "floor", ignore_errors=True)
    world.site.answers = {path: bytes_answer(data) for path, data in answers.items()}
    try:
        seen = world.check()
    except OtaError:
        return
    # A stolen director may set other terms; what is installed is what was released.
    assert (seen.path, seen.sha256, seen.length_bytes) == (good.path, good.sha256, good.length_bytes)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_bytes_that_were_changed_on_the_way(world: World, good: Assignment, seed: int) -> None:
    draw = random.Random(seed)
    folders = {
        "/image/metadata": world.hub.folder / "image" / "metadata",
        f"/director/robots/{ROBOT}/metadata": world.directed(),
    }
    url, folder = draw.choice([*folders.items()])
    path = draw.choice(sorted(folder.iterdir()))
    data = bytearray(path.read_bytes())
    at = draw.randrange(len(data))
    change = draw.randrange(3)
    if change == 0:
        data[at] ^= 1 << draw.randrange(8)
    elif change == 1:
        del data[at:]
    else:
        data[at:at] = draw.randbytes(draw.randrange(1, 40))
    same_or_refused(world, good, {f"{url}/{path.name}": bytes(data)})


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_values_that_a_stolen_key_signed(world: World, good: Assignment, seed: int) -> None:
    draw = random.Random(seed)
    online = world.hub.folder / "keys"
    image = world.hub.folder / "image" / "metadata"
    director = load_signer(online / "director.key")
    releasing = [load_signer(world.hub.development_keys / f"{name}.key") for name in ("exporter", "approver")]
    chains: list[tuple[str, Path, dict[str, list[CryptoSigner]], tuple[str, ...]]] = [
        (
            f"/director/robots/{ROBOT}/metadata",
            world.directed(),
            {"timestamp": [director], "snapshot": [director], "targets": [director]},
            ("timestamp", "snapshot", "targets"),
        ),
        (
            "/image/metadata",
            image,
            {
                "timestamp": [load_signer(online / "timestamp.key")],
                "snapshot": [load_signer(online / "snapshot.key")],
                "releases": releasing,
            },
            ("timestamp", "snapshot", "releases"),
        ),
    ]
    url, folder, signers, roles = draw.choice(chains)
    spoilt = draw.choice(roles)
    same_or_refused(world, good, resigned(url, folder, signers, roles, spoilt, draw))


def resigned(
    url: str,
    folder: Path,
    signers: dict[str, list[CryptoSigner]],
    roles: tuple[str, ...],
    spoilt: str,
    draw: random.Random,
) -> dict[str, bytes]:
    """A repository's newest state with one wrong value in the role `spoilt`, announced and signed as it should be."""
    timestamp_role, snapshot_role, last = roles
    timestamp = read(folder / "timestamp.json")
    version = timestamp["meta"]["snapshot.json"]["version"]
    snapshot = read(folder / f"{version}.snapshot.json")
    last_version = snapshot["meta"][f"{last}.json"]["version"]
    answers = {}
    if spoilt == last:
        signed = read(folder / f"{last_version}.{last}.json")
        spoil(signed, draw)
        data = answers[f"{url}/{last_version}.{last}.json"] = sign(signed, signers[last])
        snapshot["meta"][f"{last}.json"].update(measured(data))
    if spoilt == snapshot_role:
        spoil(snapshot, draw)
    data = answers[f"{url}/{version}.snapshot.json"] = sign(snapshot, signers[snapshot_role])
    timestamp["meta"]["snapshot.json"].update(measured(data))
    if spoilt == timestamp_role:
        spoil(timestamp, draw)
    answers[f"{url}/timestamp.json"] = sign(timestamp, signers[timestamp_role])
    return answers


def read(path: Path) -> dict[str, Any]:
    signed: dict[str, Any] = json.loads(path.read_bytes())["signed"]
    return signed


def spoil(signed: dict[str, Any], draw: random.Random) -> None:
    holder, key = draw.choice([*places(signed)])
    holder[key] = draw.choice(WRONG)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = [*value] if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def sign(signed: dict[str, Any], signers: list[CryptoSigner]) -> bytes:
    payload = encode_canonical(signed).encode()
    signatures = [{"keyid": signer.public_key.keyid, "sig": signer.sign(payload).signature} for signer in signers]
    return json.dumps({"signatures": signatures, "signed": signed}).encode()


def measured(data: bytes) -> dict[str, Any]:
    return {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
