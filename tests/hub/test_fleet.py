"""Many robots at once: told by pattern, list or all; looked at by how they stand; and who holds the hub meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.releases.key_files import create_key
from hub.cli import main as edge_hub
from hub.fleet.selection import read_names, select
from hub.hub import make_development_hub
from hub.lock import signing, writing
from hub.storage import storage_refusal
from tests.hub.served import ServedHub
from tests.ota.repositories import HARDWARE

ROBOTS = ("arm-1", "arm-2", "cart-1", "cart-2")


def test_names_and_patterns_each_robot_once(tmp_path: Path) -> None:
    assert select(["arm-2", "arm-*", "new"], ROBOTS, also_unknown=True) == ["arm-2", "arm-1", "new"]
    assert select(["*-[12]"], ROBOTS) == list(ROBOTS)
    with pytest.raises(HubError, match="matches none of the 4"):
        select(["leg-?"], ROBOTS, also_unknown=True)
    with pytest.raises(HubError) as refused:
        select(["arm-1", "amr-2", "leg-?", "x"], ROBOTS)
    said = str(refused.value)
    assert "amr-2 is not enrolled (did you mean arm-2" in said
    assert "leg-? matches none of the 4" in said
    assert "x is not enrolled" in said
    assert "arm-1 is" not in said
    (tmp_path / "list").write_text("arm-1  # in the lab\n\n# all of these:\ncart-*\n")
    assert read_names(tmp_path / "list") == ["arm-1", "cart-*"]


def test_a_fleet_is_told_at_once_or_not_at_all(
    served: ServedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = str(served.hub.folder)
    for robot in ROBOTS:
        create_key(tmp_path / "fleet", robot)
    assert edge_hub(["robots", "enrol-all", hub, str(tmp_path / "fleet")]) == 0
    assert edge_hub(["robots", "enrol-all", hub, str(tmp_path)]) == 1
    first, second = served.publish("first"), served.publish("second")
    told = ["assign", hub, second.target_path, "--hardware", HARDWARE]
    assert edge_hub([*told, "--robot", "arm-1"]) == 0
    # Where one may not be told, as this one who would go back, nobody is.
    assert edge_hub(["assign", hub, first.target_path, "--hardware", HARDWARE, "--all"]) == 1
    assert edge_hub(told) == 1
    assert list(served.hub.director.robots()) == ["arm-1"]
    assert served.assign(second, "cart-*").json()["robots"] == ["cart-1", "cart-2"]
    (tmp_path / "names").write_text("arm-?\nspare\n")
    assert edge_hub([*told, "--robots", str(tmp_path / "names")]) == 1
    assert "spare is not enrolled" in capsys.readouterr().err
    assert edge_hub([*told, "--robots", str(tmp_path / "names"), "--not-enrolled"]) == 0
    assert list(served.hub.director.robots()) == [*ROBOTS, "spare"]
    assert edge_hub(["robots", "retire", hub, "arm-2"]) == 0
    capsys.readouterr()
    assert edge_hub([*told, "--all"]) == 0
    said = capsys.readouterr().out
    assert "Assigned to 3 robots" in said
    assert "arm-2" not in said


def test_how_far_an_update_is(served: ServedHub, capsys: pytest.CaptureFixture[str]) -> None:
    robots = (*ROBOTS, "leg-1")
    keys = {robot: served.enrol(robot) for robot in robots}
    release = served.publish("first")
    served.assign(release, *robots)
    served.report(keys["arm-1"], "arm-1", running_bundle=release.bundle_digest, running_counter=1)
    served.report(keys["arm-2"], "arm-2", state="downloading", update_counter=1)
    served.report(keys["cart-1"], "cart-1", refused_counter=1, reason="golden_differs: joint 2")
    served.report(keys["leg-1"], "leg-1", reason="incompatible_gpu")
    expected = {
        "release": release.target_path,
        "counter": 1,
        "robots": 5,
        "standings": {"runs": 1, "under_way": 1, "failed": 1, "silent": 1, "waiting": 1},
        "states": {"downloading": 1},
        "waits": {"incompatible_gpu": 1},
        "reasons": {"golden_differs": 1},
    }
    asked = served.http.get(f"{served.url}/v1/progress", headers=served.operator)
    assert asked.json() == [expected]
    listed = served.http.get(f"{served.url}/v1/robots?standing=failed&standing=silent", headers=served.operator).json()
    assert [robot["robot_id"] for robot in listed] == ["cart-1", "cart-2"]
    capsys.readouterr()
    assert edge_hub(["status", str(served.hub.folder), "--behind", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["updates"] == [expected]
    assert [robot["robot_id"] for robot in said["robots"]] == ["arm-2", "cart-1", "cart-2", "leg-1"]
    assert edge_hub(["status", str(served.hub.folder), "--standing", "runs"]) == 0
    said = capsys.readouterr().out
    assert "arm-1: runs\n" in said
    assert "arm-2" not in said
    assert f"counter 1, {release.target_path}: 1 of 5 robots run it\n" in said
    assert "1 under_way: 1 downloading\n" in said
    assert "1 failed: 1 golden_differs\n" in said
    assert "1 waiting: 1 incompatible_gpu\n" in said
    assert " ago\n" in said


def test_who_writes_takes_turns_and_who_reads_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = make_development_hub(tmp_path / "hub", 1.0)
    with writing(hub.folder, "edge-hub publish"):
        for reads in (["show"], ["keys", "rotate-root"]):
            rest = ["image", "--out", str(tmp_path / "draft.json")] if reads[0] == "keys" else []
            assert edge_hub([*reads, str(hub.folder), *rest]) == 0
        with pytest.raises(HubError) as refused, writing(hub.folder, "edge-hub assign", 0.1):
            pass
    assert f"in use by edge-hub publish (process {os.getpid()}, since 20" in str(refused.value)
    # The lock is the process's: it ends with it, however that ends.
    code = "import os, sys; from pathlib import Path; from hub.lock import writing\n"
    code += "with writing(Path(sys.argv[1]), 'x'): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(hub.folder)], check=False).returncode == -9
    assert edge_hub(["status", str(hub.folder)]) == 0
    assert "no robot is enrolled" in capsys.readouterr().out


def test_two_who_sign_one_draft_take_turns(tmp_path: Path) -> None:
    with signing(tmp_path / "draft.json"):
        with pytest.raises(SigningError, match="another process signs"), signing(tmp_path / "draft.json", 0.1):
            pass
        with signing(tmp_path.parent / "draft.json", 0.1):
            pass
    with signing(tmp_path / "draft.json", 0.0):
        pass


def test_a_full_disk_has_a_name(served: ServedHub) -> None:
    fault = storage_refusal(OSError(28, "No space left on device"))
    assert fault is not None
    assert fault.refusal is HubRefusal.NO_SPACE
    assert storage_refusal(FileNotFoundError(2, "No such file")) is None
    # A database that is no database any more is a fault of the storage, told as such.
    served.stop()
    for path in served.hub.folder.glob("hub.sqlite*"):
        path.write_bytes(b"no database, and longer than the sixteen bytes of a header" * 100)
    assert edge_hub(["status", str(served.hub.folder)]) == 1
