"""`edge-runtime ota restore-floor`: a robot whose floor is lost installs nothing until a person has said what goes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.ota.trust.rollback_protection import Floor, ReleaseFloor
from edge_runtime.ota.trust.versions import Versions
from edge_runtime.testing.web_server import WebServer
from tests.cli.test_ota import say
from tests.ota.updated_robot import Scene


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Path]]:
    """A robot that committed counter 2 and went back to counter 1, and a copy of its store."""
    folder = tmp_path_factory.mktemp("restored")
    with WebServer({}) as server:
        scene = Scene(folder, server, time.time())
        releases = [scene.publish(scene.bundle(version)) for version in "12"]
        with scene.agent() as (agent, runner):
            for counter, release in enumerate(releases, 1):
                scene.assign(release, counter)
                agent.turn(scene.now_s)
                runner.clear()
                runner.prove()
            runner.roll_back()
        shutil.copytree(scene.settings.store, folder / "copy")
        yield scene, folder / "copy"


@pytest.fixture
def scene(made: tuple[Scene, Path], monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("COLUMNS", "250")
    scene, copy = made
    shutil.rmtree(scene.settings.store)
    shutil.copytree(copy, scene.settings.store)
    return scene


def floors(scene: Scene) -> tuple[Versions, Versions, ReleaseFloor]:
    floor = Floor(scene.settings.floor)
    return floor.versions("image"), floor.versions("director"), floor.release()


def tear(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"torn")


@pytest.mark.parametrize("lose", [tear, shutil.rmtree], ids=["torn", "gone"])
def test_it_comes_back_from_what_the_robot_has(
    scene: Scene, capsys: pytest.CaptureFixture[str], lose: Callable[[Path], None]
) -> None:
    before = floors(scene)
    assert before[2].release_counter == 2
    lose(scene.settings.floor)
    left = {path: path.read_bytes() for path in scene.settings.floor.glob("*")}

    code, _, err = say(capsys, scene.config_path, "check")
    assert (code, err.startswith("error: torn_state: ")) == (1, True)
    code, out, _ = say(capsys, scene.config_path, "status")
    assert (code, "restore-floor says more" in out) == (0, True)

    code, out, _ = say(capsys, scene.config_path, "restore-floor")
    assert code == 1
    assert "counter 2" in out
    assert f"timestamp {before[0].timestamp}," in out
    assert "may be taken once" in out
    assert {path: path.read_bytes() for path in scene.settings.floor.glob("*")} == left, "asking changes nothing"

    with scene.agent():
        code, _, err = say(capsys, scene.config_path, "restore-floor", "--accept")
        assert (code, err.startswith("error: busy: ")) == (1, True)
    assert say(capsys, scene.config_path, "restore-floor", "--accept")[0] == 0
    assert floors(scene) == before
    assert "torn_state: restored by hand: the floor of image" in say(capsys, scene.config_path, "history")[1]
    assert say(capsys, scene.config_path, "restore-floor") == (0, "no floor of this robot is lost\n", "")

    assert say(capsys, scene.config_path, "check")[0] == 0


def test_only_what_is_lost_is_changed(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    image, director, _ = floors(scene)
    ahead = ReleaseFloor(release_counter=9, path="bundles/toy/9.json")
    Floor(scene.settings.floor).restore_release(ahead)
    for copy in ("image.a", "image.b"):
        (scene.settings.floor / copy).write_bytes(b"")
    code, out, _ = say(capsys, scene.config_path, "restore-floor", "--accept")
    assert (code, "director" in out, "release" in out) == (0, False, False)
    assert floors(scene) == (image, director, ahead)


def test_without_metadata_it_says_that_nothing_is_left_to_go_by(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    tear(scene.settings.floor)
    shutil.rmtree(scene.settings.trust.folder)
    assert "whatever it ever signed and has not expired is taken" in say(capsys, scene.config_path, "restore-floor")[1]
    assert say(capsys, scene.config_path, "restore-floor", "--accept")[0] == 0
    assert floors(scene)[:2] == (Versions(), Versions())
    assert floors(scene)[2].release_counter == 2


def test_without_the_list_of_the_newest_bundle_its_counter_is_kept(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    before = floors(scene)[2]
    tear(scene.settings.floor)
    for path in (scene.settings.root / "bundles").glob("*/release.json"):
        path.unlink()
    say(capsys, scene.config_path, "restore-floor", "--accept")
    assert floors(scene)[2] == msgspec.structs.replace(before, path="")


def test_without_a_pointer_it_says_that_any_counter_is_taken(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    tear(scene.settings.floor)
    for path in scene.settings.root.glob("slots.*"):
        path.write_bytes(b"torn")
    code, out, _ = say(capsys, scene.config_path, "restore-floor", "--accept")
    assert (code, "a release under any counter is taken" in out) == (0, True)
    assert floors(scene)[2] == ReleaseFloor()


def test_a_robot_that_never_installed_anything_has_lost_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        assert say(capsys, scene.config_path, "restore-floor")[:2] == (0, "no floor of this robot is lost\n")
