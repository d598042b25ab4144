"""From the section `[ota]` to the agent's parts: what is missing or wrong is named, one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.ota.agent.settings import AgentSettings, settings_of
from edge_runtime.ota.transfer.schedule import AllowedHours
from tests.settings import copy_settings

KEYS = {
    "robot_id": "arm-1",
    "hardware": "sim_arm",
    "image_url": "https://hub.example/image/",
    "director_url": "https://hub.example/director/robots",
    "image_root": "image.json",
    "director_root": "director.json",
    "store": "ota",
}


def settings(folder: Path, **changes: object) -> AgentSettings:
    path = copy_settings(folder)
    for name in ("image.json", "director.json"):
        (folder / name).write_bytes(name.encode())
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**KEYS, **changes}.items()]
    path.write_text("\n".join([path.read_text(encoding="utf-8"), "[ota]", *lines]), encoding="utf-8")
    return settings_of(load_config(path))


def test_paths_are_relative_to_the_file_and_packs_lie_among_the_targets(tmp_path: Path) -> None:
    made = settings(tmp_path, hours=["22:00-06:30"], rate_bytes_s=1000.0, jetpack="6.1", golden="if_present")
    assert made.store == tmp_path / "ota"
    assert made.trust.image_root == b"image.json"
    assert made.trust.director_root == b"director.json"
    assert made.fetch.base_url == "https://hub.example/image/targets"
    assert made.fetch.hours == AllowedHours.parse("22:00-06:30")
    assert made.fetch.rate_bytes_s == 1000.0
    assert made.facts.jetpack == "6.1"
    assert not made.golden.required
    assert len({made.root, made.floor, made.trust.folder}) == 3, "no floor among the metadata"
    assert not made.floor.is_relative_to(made.trust.folder)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"hours": ["22-6"]}, "ota.hours"),
        ({"image_root": "gone.json"}, "ota.image_root"),
        ({"director_root": "bundle"}, "ota.director_root"),
        ({"ca_file": "gone.pem"}, "ota.ca_file"),
    ],
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Path, changes: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, **changes)
    assert caught.value.key == key


def test_an_empty_root_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_bytes(b"")
    with pytest.raises(ConfigError, match="0 bytes are no root"):
        settings(tmp_path, image_root="empty.json")


def test_without_the_section_updates_are_off(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="updates are off"):
        settings_of(load_config(copy_settings(tmp_path)))
