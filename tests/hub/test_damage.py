"""One damaged file is the trouble of whom it belongs to: others are signed, assigned and served, and it is mended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.sign import draft_release, sign_draft
from hub.cli import main as edge_hub
from hub.db.connection import open_database
from hub.hub import Hub
from hub.trouble import DIRECTOR_ROOT, IMAGE
from tests.hub.damaged_fleet import (
    FILES,
    HARM,
    ROBOTS,
    Fleet,
    a_folder,
    cut,
    first_fleet,
    garbage,
    gone,
    of_another_role,
)
from tests.hub.served import ServedHub
from tests.ota.repositories import HARDWARE


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    source, release, later, _ = first_fleet()
    shutil.copytree(source, tmp_path / "fleet")
    made = Fleet(tmp_path / "fleet", release, later)
    with closing(made.site):
        yield made


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", HARM)
def test_others_go_on_and_the_damaged_is_named_and_mended(
    fleet: Fleet, harm: Callable[[Path], None], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(fleet.hub.folder)
    before = fleet.timestamp("arm-2")
    harm(fleet.metadata("arm-2") / file)

    versions = {robot: fleet.timestamp(robot) for robot in ("arm-1", "arm-3")}
    report = fleet.hub.sign_anew(time.time())
    assert report.robots == 2
    assert [trouble.what for trouble in report.troubles] == ["arm-2"]
    assert file in report.troubles[0].problem
    for robot, version in versions.items():
        assert fleet.timestamp(robot) == version + 1
        assert fleet.check(robot).terms.release_counter == 1
    assert edge_hub(["status", folder]) == 0
    said = capsys.readouterr().out
    assert "arm-2: damaged" in said
    assert "arm-1: silent" in said
    for command in ("refresh", "show"):
        assert edge_hub([command, folder]) == 1
        refused = capsys.readouterr().err
        assert "arm-2" in refused
        assert file in refused
        assert "arm-1" not in refused

    assert edge_hub(["robots", "repair", folder, "arm-2"]) == 0
    assert "arm-2: made anew" in capsys.readouterr().out
    assert fleet.timestamp("arm-2") > before
    assert fleet.check("arm-2") == fleet.check("arm-2")
    assert fleet.check("arm-2").path == fleet.release.target_path
    assert fleet.hub.troubles() == ()
    assert edge_hub(["refresh", folder]) == 0
    assert fleet.check("arm-2").terms.release_counter == 1


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", [gone, cut, a_folder])
def test_an_assignment_reaches_others_and_makes_the_damaged_anew(
    fleet: Fleet, harm: Callable[[Path], None], file: str
) -> None:
    harm(fleet.metadata("arm-2") / file)
    # A counter that goes back is refused by what is left, also of the damaged one.
    assert fleet.assign(fleet.later, 2) == {}
    for robot in ROBOTS:
        assert fleet.check(robot).path == fleet.later.target_path
    assert fleet.hub.troubles() == ()


def test_whatever_lies_where_a_robots_files_were(fleet: Fleet) -> None:
    for spoil in (_no_folder, _a_file_for_the_folder, _a_file_for_the_robot, _no_root, _foreign_root, _anothers):
        spoil(fleet)
        report = fleet.hub.sign_anew(time.time())
        assert [trouble.what for trouble in report.troubles] in (["arm-2"], []), spoil.__name__
        assert report.robots >= 2
        mended, left = fleet.hub.repair(time.time())
        assert left == (), spoil.__name__
        assert mended in (["arm-2"], [])
        assert fleet.check("arm-2").terms.release_counter == 1, spoil.__name__
        assert fleet.hub.troubles() == ()


def _no_folder(fleet: Fleet) -> None:
    shutil.rmtree(fleet.metadata("arm-2").parent)


def _a_file_for_the_folder(fleet: Fleet) -> None:
    shutil.rmtree(fleet.metadata("arm-2"))
    fleet.metadata("arm-2").write_text("no folder")


def _a_file_for_the_robot(fleet: Fleet) -> None:
    shutil.rmtree(fleet.metadata("arm-2").parent)
    fleet.metadata("arm-2").parent.write_text("no folder")


def _no_root(fleet: Fleet) -> None:
    (fleet.metadata("arm-2") / "1.root.json").unlink()


def _foreign_root(fleet: Fleet) -> None:
    (fleet.metadata("arm-2") / "1.root.json").write_bytes(b"{}")


def _anothers(fleet: Fleet) -> None:
    shutil.copy(fleet.metadata("arm-1") / "timestamp.json", fleet.metadata("arm-2") / "timestamp.json")


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """As a user who owns `folder` and may not read everything, whoever runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody, nobody, follow_symlinks=False)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o200])
@pytest.mark.parametrize("what", ["metadata/timestamp.json", "metadata/1.targets.json", "metadata", "."])
def test_what_has_lost_its_rights_is_one_robots_trouble(what: str, mode: int) -> None:
    source, _, _, _ = first_fleet()
    with TemporaryDirectory() as folder:
        shutil.copytree(source / "hub", Path(folder) / "hub")
        hub = Hub(Path(folder) / "hub")
        with without_rights(Path(folder)):
            (hub.folder / "director" / "robots" / "arm-2" / what).chmod(mode)
            report = hub.sign_anew(time.time())
            # Rights of a folder are put right in passing, for the roots that belong into it.
            damaged = [] if what in ("metadata", ".") else ["arm-2"]
            assert [trouble.what for trouble in report.troubles] == damaged
            assert report.robots == 3 - len(damaged)
            assert hub.repair(time.time()) == (damaged, ())
            assert hub.troubles() == ()


def test_nothing_left_is_said_and_an_assignment_helps(fleet: Fleet) -> None:
    for path in (fleet.metadata("arm-2") / "1.targets.json", fleet.hub.folder / "director" / "ledger" / "arm-2.json"):
        garbage(path)
    mended, left = fleet.hub.repair(time.time())
    assert mended == []
    assert [trouble.what for trouble in left] == ["arm-2"]
    assert "assign it again" in left[0].problem
    assert fleet.assign(fleet.later, 2) == {}
    assert fleet.check("arm-2").path == fleet.later.target_path


STRAYS = (
    "old.root.json",
    "root.json",
    ".DS_Store",
    "1.targets.json~",
    "#timestamp.json#",
    "01.root.json",
    "7.root.json",
)


def test_stray_files_and_folders_change_nothing(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    image, director = fleet.hub.image.metadata.folder, fleet.hub.folder / "director"
    for folder in (image, director / "root", *(fleet.metadata(robot) for robot in ROBOTS)):
        for name in STRAYS:
            shutil.copy(image / "1.root.json", folder / name)
        for name in ("backup", "9.root.json", "x.snapshot.json", "1x.targets.json", "99.snapshot.json"):
            (folder / name).mkdir(exist_ok=True)
    (director / "robots" / "notes.txt").write_text("no robot")
    (director / "robots" / "..swp").mkdir()
    (director / "ledger" / "readme").write_text("no ledger")
    (fleet.hub.keys / "old.key").write_text("no key")
    for _ in range(2):
        report = fleet.hub.sign_anew(time.time())
        assert (report.robots, report.troubles) == (3, ())
    for command in ("refresh", "show", "status"):
        assert edge_hub([command, str(fleet.hub.folder)]) == 0
    assert "99." not in capsys.readouterr().err
    assert fleet.assign(fleet.later, 2) == {}
    for robot in ROBOTS:
        assert fleet.check(robot).path == fleet.later.target_path


@pytest.mark.parametrize("file", ["timestamp.json", "3.snapshot.json"])
@pytest.mark.parametrize("harm", [gone, cut, garbage, of_another_role, a_folder])
def test_a_damaged_image_repository_stops_no_robots_signature(
    fleet: Fleet, harm: Callable[[Path], None], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(fleet.hub.image.metadata.folder / file)
    version = fleet.timestamp("arm-1")
    report = fleet.hub.sign_anew(time.time())
    assert report.robots == 3
    assert [trouble.what for trouble in report.troubles] == [IMAGE]
    assert fleet.timestamp("arm-1") == version + 1
    assert edge_hub(["status", str(fleet.hub.folder)]) == 0
    assert f"damaged: {IMAGE}: " in capsys.readouterr().out
    # It is a hub all the same: nobody makes a new one over it.
    assert edge_hub(["init", str(fleet.hub.folder)]) == 1
    assert edge_hub(["repair", str(fleet.hub.folder)]) == 0
    for robot in ROBOTS:
        assert fleet.check(robot).terms.release_counter == 1
    releases = fleet.hub.image.releases()
    assert releases is not None
    assert len(releases.signed.targets) == 2


def test_what_people_signed_is_not_made_anew(fleet: Fleet) -> None:
    path = fleet.hub.image.metadata.folder / "2.releases.json"
    kept = path.read_bytes()
    cut(path)
    mended, left = fleet.hub.repair(time.time())
    assert mended == []
    assert [trouble.what for trouble in left] == [IMAGE]
    assert "2.releases.json" in left[0].problem
    # An older list of releases never takes its place, and nothing is published beside it.
    draft, _ = draft_release(None, fleet.later.canonical_json(), (HARDWARE,), time.time())
    for name in ("exporter", "approver"):
        sign_draft(draft, load_signer(fleet.hub.development_keys / f"{name}.key"))
    with pytest.raises(Exception, match=r"2\.releases\.json"):
        fleet.hub.image.publish_release(draft, fleet.folder / "packed", fleet.hub.online(), time.time())
    path.write_bytes(kept)
    assert fleet.hub.troubles() == ()


@pytest.mark.parametrize("harm", [gone, cut, garbage, a_folder])
def test_the_roots_that_all_share_are_put_back(fleet: Fleet, harm: Callable[[Path], None]) -> None:
    for folder, what in ((fleet.hub.director.roots, DIRECTOR_ROOT), (fleet.hub.image.metadata.folder, IMAGE)):
        kept = (folder / "1.root.json").read_bytes()
        harm(folder / "1.root.json")
        report = fleet.hub.sign_anew(time.time())
        assert [trouble.what for trouble in report.troubles] == [what]
        # Robots are signed anew under the copies that they are served.
        assert report.robots == 3
        assert fleet.hub.repair(time.time()) == ([what], ())
        assert (folder / "1.root.json").read_bytes() == kept
        assert fleet.hub.troubles() == ()
    assert fleet.check("arm-1").terms.release_counter == 1


def test_a_robot_behind_never_sees_numbers_fall(fleet: Fleet) -> None:
    # Signed anew very often since the ledger was written, and then the timestamp is gone.
    repository = fleet.hub.director._repository("arm-2")
    for _ in range(30):
        repository.refresh(fleet.hub.online(), time.time())
    fleet.check("arm-2")
    for file in ("timestamp.json", "1.snapshot.json", "1.targets.json"):
        gone(fleet.metadata("arm-2") / file)
    assert fleet.hub.repair(time.time()) == (["arm-2"], ())
    assert fleet.check("arm-2").terms.release_counter == 1
    gone(fleet.metadata("arm-2") / "timestamp.json")
    assert fleet.hub.repair(time.time()) == (["arm-2"], ())
    assert fleet.check("arm-2").terms.release_counter == 1


def test_a_name_that_nobody_enrolled_can_be_taken_away(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(fleet.hub.folder)
    assert edge_hub(["robots", "retire", folder, "amr-2"]) == 1
    assert "amr-2: was never enrolled (did you mean arm-2" in capsys.readouterr().err
    assert edge_hub(["robots", "retire", folder, "arm-2"]) == 0
    assert list(fleet.hub.director.robots()) == ["arm-1", "arm-3"]
    with pytest.raises(OtaError) as refused:
        fleet.check("arm-2")
    assert refused.value.refusal is OtaRefusal.NOT_FOUND
    # Told something again, its numbers go on where they were: it does not take them for a rollback.
    assert fleet.assign(fleet.later, 2) == {}
    assert fleet.check("arm-2").path == fleet.later.target_path


def test_a_report_that_decayed_in_the_database_is_that_robots(served: ServedHub) -> None:
    for robot in ("arm-1", "arm-2"):
        assert served.report(served.enrol(robot), robot).status_code == 200
    engine = open_database(served.hub.folder)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE reports SET signed = x'00ff' WHERE robot_id = 'arm-2'")
        connection.exec_driver_sql("UPDATE robots SET public_key = x'00' WHERE robot_id = 'arm-2'")
    engine.dispose()
    listed = served.http.get(f"{served.url}/v1/robots", headers=served.operator).json()
    assert [(robot["robot_id"], "altered" in robot["trouble"]) for robot in listed] == [
        ("arm-1", False),
        ("arm-2", True),
    ]
