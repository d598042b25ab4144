"""The hub's services: one function for each thing that operators do, whoever calls it, and a name for each refusal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.contracts.assignment import Assignment
from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.contracts.release import MAX_BUNDLE_BYTES, ReleaseManifest
from edge_runtime.releases.key_files import create_key, load_public, load_signer
from edge_runtime.releases.sign import draft_release, sign_draft
from hub.cli import main as edge_hub
from hub.hub import Hub, make_development_hub
from hub.lock import writing
from hub.services.assignments import Assigned, Order, assign, assignments
from hub.services.enrolment import Retired, enrol, retire
from hub.services.inventory import inventory
from hub.services.publishing import Published, publish, publish_uploaded
from hub.services.repairing import repair
from hub.services.signing import sign_anew
from hub.services.unit_of_work import UnitOfWork, hub_in, unit_of_work
from hub.services.uploads import UPLOADS, Upload
from tests.hub.served import ServedHub
from tests.ota.repositories import HARDWARE, packed_release

NOW_S = 1_800_000_000.0


@pytest.fixture
def work(tmp_path: Path) -> Iterator[UnitOfWork]:
    hub = make_development_hub(tmp_path / "hub", NOW_S)
    with unit_of_work(hub, "a test", NOW_S) as begun:
        yield begun


def release(work: UnitOfWork, words: str, *signers: str) -> tuple[ReleaseManifest, tuple[Published, ...]]:
    """A release that exporter and approver signed, published from a folder."""
    packed = work.hub.folder.parent / "packed"
    manifest = packed_release(packed, words)
    draft, _ = draft_release(work.hub.image.releases(), manifest.canonical_json(), (HARDWARE,), work.now_s)
    for name in signers or ("exporter", "approver"):
        sign_draft(draft, load_signer(work.hub.development_keys / f"{name}.key"))
    return manifest, publish(work, draft, packed)


def new_keys(work: UnitOfWork, *names: str) -> dict[str, Any]:
    folder = work.hub.folder.parent / "robots"
    for name in names:
        create_key(folder, name)
    return {name: load_public(folder / f"{name}.pub") for name in names}


def order(manifest: ReleaseManifest, *robots: str, **changes: Any) -> Order:
    return Order(**{"release": manifest.target_path, "robots": robots, "hardware": HARDWARE, **changes})


def test_what_is_published_and_assigned_is_said_as_values(work: UnitOfWork) -> None:
    manifest, fresh = release(work, "first")
    assert fresh == (Published(manifest.target_path, 1),)
    enrol(work, new_keys(work, "arm-1", "arm-2", "cart-1"))
    assert assign(work, order(manifest, "arm-*")) == Assigned(manifest.target_path, 1, ("arm-1", "arm-2"), {})
    assert [assigned.terms.robot_id for assigned in assignments(work.hub)] == ["arm-1", "arm-2"]
    assert assignments(work.hub)[0].terms.not_before_s == int(NOW_S)
    held = inventory(work.hub, NOW_S)
    assert held.releases is not None
    assert [listed.path for listed in held.releases.listed] == [manifest.target_path]
    assert (held.releases.expires_in_days, held.troubles) == (90, ())
    assert {root.repository: root.roles["root"].threshold for root in held.roots} == {"image": 2, "director": 2}


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"robots": ()}, HubRefusal.NOBODY_NAMED),
        ({"robots": ("arm-1", "arm-9")}, HubRefusal.NOT_ENROLLED),
        ({"robots": ("leg-*",)}, HubRefusal.NOT_ENROLLED),
        ({"robots": ("arm-2", "arm 9"), "not_enrolled": True}, HubRefusal.NO_ROBOT_NAME),
        ({"release": "bundles/reach/none.json"}, HubRefusal.NEVER_RELEASED),
        ({"hardware": "other_arm"}, HubRefusal.OTHER_HARDWARE),
        ({"counter": 9}, HubRefusal.COUNTER_NOT_APPROVED),
        ({"counter": 1}, HubRefusal.COUNTER_GOES_BACK),
    ],
    ids=str,
)
def test_an_order_that_is_refused_has_a_name_and_tells_nobody(
    work: UnitOfWork, asked: dict[str, Any], refusal: HubRefusal
) -> None:
    release(work, "first")
    manifest, _ = release(work, "first")  # again, under the next counter
    enrol(work, new_keys(work, "arm-1", "arm-2"))
    assign(work, order(manifest, "arm-1"))
    before = assignments(work.hub)
    with pytest.raises(HubError) as refused:
        assign(work, order(manifest, "arm-2", **({"robots": ("arm-2", "arm-1")} | asked)))
    assert refused.value.refusal is refusal
    assert assignments(work.hub) == before


def test_robots_are_enrolled_all_or_nobody(work: UnitOfWork) -> None:
    keys = new_keys(work, "arm-1", "arm-2", "arm-3")
    enrol(work, {"arm-1": keys["arm-1"]})
    for wrong, refusal in (
        ({"arm-2": keys["arm-2"], "arm 3": keys["arm-3"]}, HubRefusal.NO_ROBOT_NAME),
        ({"arm-2": keys["arm-2"], "arm-3": keys["arm-1"]}, HubRefusal.KEY_TAKEN),
        ({"arm-2": keys["arm-2"], "arm-3": keys["arm-2"]}, HubRefusal.KEY_TAKEN),
    ):
        with pytest.raises(HubError) as refused:
            enrol(work, wrong)
        assert refused.value.refusal is refusal
        assert work.enrolled() == ["arm-1"]
    # Two robots whose keys were mixed up change them in one go.
    enrol(work, {"arm-1": keys["arm-2"], "arm-2": keys["arm-1"]})
    enrol(work, {"arm-1": keys["arm-1"], "arm-2": keys["arm-2"]})
    assert work.enrolled() == ["arm-1", "arm-2"]


def test_what_retiring_a_name_comes_to(work: UnitOfWork) -> None:
    manifest, _ = release(work, "first")
    enrol(work, new_keys(work, "arm-1"))
    assign(work, order(manifest, "arm-1", "amr-1", not_enrolled=True))
    assert retire(work, "arm-1") is Retired.REPORTS_END
    assert retire(work, "amr-1") is Retired.ASSIGNMENT_WITHDRAWN
    assert [assigned.terms.robot_id for assigned in assignments(work.hub)] == ["arm-1"]
    with pytest.raises(HubError, match="did you mean arm-1") as refused:
        retire(work, "arm-2")
    assert refused.value.refusal is HubRefusal.NOT_ENROLLED


def test_repair_and_signing_anew_say_what_was_not_done(work: UnitOfWork) -> None:
    manifest, _ = release(work, "first")
    enrol(work, new_keys(work, "arm-1", "arm-2"))
    assign(work, order(manifest, "arm-*"))
    damaged = work.hub.folder / "director" / "robots" / "arm-2" / "metadata" / "1.targets.json"
    damaged.write_bytes(damaged.read_bytes()[:300])
    signed = sign_anew(work)
    assert (signed.robots, [trouble.what for trouble in signed.troubles]) == (1, ["arm-2"])
    with pytest.raises(HubError) as refused:
        repair(work, ["arm-3"])
    assert refused.value.refusal is HubRefusal.NOT_ENROLLED
    assert repair(work, ["arm-1"]).mended == ()
    assert repair(work).mended == ("arm-2",)
    assert sign_anew(work).troubles == ()


def test_a_unit_of_work_needs_a_hub_and_has_it_alone(tmp_path: Path) -> None:
    def entered(folder: Path) -> None:
        with unit_of_work(Hub(folder), "a test", NOW_S, patience_s=0.1):
            raise AssertionError

    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        calls: tuple[Callable[[Path], object], ...] = (hub_in, entered)
        for call in calls:
            with pytest.raises(HubError) as refused:
                call(folder)
            assert refused.value.refusal is HubRefusal.NO_HUB
    hub = make_development_hub(tmp_path / "hub", NOW_S)
    with writing(hub.folder, "somebody"), pytest.raises(HubError, match="somebody") as refused:
        entered(hub.folder)
    assert refused.value.refusal is HubRefusal.IN_USE


def test_an_upload_is_kept_whole_or_not_at_all(work: UnitOfWork) -> None:
    uploads, path = work.hub.folder / UPLOADS, Path("packs") / "a.pack"
    with Upload(work.hub.folder, path, "0" * 64, 100) as upload:
        upload.write(b"other")
        with pytest.raises(SigningError, match="SHA-256"):
            upload.keep()
    with Upload(work.hub.folder, path, "0" * 64, 100) as upload:
        upload.write(b"half")
    assert [found for found in uploads.rglob("*") if found.is_file()] == []
    with pytest.raises(HubError) as refused:
        Upload(work.hub.folder, path, "0" * 64, MAX_BUNDLE_BYTES + 1)
    assert refused.value.refusal is HubRefusal.UPLOADS_FULL


def test_what_was_uploaded_is_removed_once_it_is_public(work: UnitOfWork) -> None:
    packed, uploads = work.hub.folder.parent / "packed", work.hub.folder / UPLOADS
    manifest = packed_release(packed, "first")
    other = uploads / "packs" / f"{'1' * 64}.pack"
    for path in (manifest.target_path, manifest.packs[0].path):
        (uploads / path).parent.mkdir(parents=True, exist_ok=True)
        (uploads / path).write_bytes((packed / path).read_bytes())
    other.write_bytes(b"of another release")
    draft, _ = draft_release(None, manifest.canonical_json(), (HARDWARE,), NOW_S)
    for name in ("exporter", "approver"):
        sign_draft(draft, load_signer(work.hub.development_keys / f"{name}.key"))
    assert publish_uploaded(work, draft) == (Published(manifest.target_path, 1),)
    assert [found for found in uploads.rglob("*") if found.is_file()] == [other]


def test_api_and_command_tell_robots_the_same(served: ServedHub, capsys: pytest.CaptureFixture[str]) -> None:
    """The same order, given both ways, comes to the same assignment, and to the same refusal in the same words."""
    hub, manifest = str(served.hub.folder), served.publish("first")
    for robot in ("arm-1", "cart-1"):
        served.enrol(robot)
    command = ["assign", hub, manifest.target_path, "--hardware", HARDWARE, "--not-before", "5", "--rollout", "r-1"]
    answer = served.assign(manifest, "arm-*", not_before_s=5, rollout="r-1")
    assert answer.json() == {"counter": 1, "robots": ["arm-1"]}
    capsys.readouterr()
    assert edge_hub([*command, "--robot", "cart-*"]) == 0
    assert "Assigned to 1 robot;" in capsys.readouterr().out
    listed = served.http.get(f"{served.url}/v1/assignments", headers=served.operator).content
    by_api, by_command = msgspec.json.decode(listed, type=list[Assignment])
    assert by_command.terms == msgspec.structs.replace(by_api.terms, robot_id="cart-1")
    assert (by_command.path, by_command.sha256) == (by_api.path, by_api.sha256)
    for asked, options, refusal in (
        ({"robots": ["amr-1"]}, ["--robot", "amr-1"], "not_enrolled"),
        ({"robots": ["arm-1"], "counter": 7}, ["--robot", "arm-1", "--counter", "7"], "counter_not_approved"),
    ):
        answer = served.assign(manifest, **asked)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["refusal"]) == (422, refusal)
        assert edge_hub([*command, *options]) == 1
        assert capsys.readouterr().err == f"error: {answer.json()['detail']}\n"


def test_who_comes_while_somebody_else_writes_is_told_to_come_again(served: ServedHub) -> None:
    manifest = served.publish("first")
    served.enrol("arm-1")
    with writing(served.hub.folder, "somebody"):
        answer = served.http.post(
            f"{served.url}/v1/assignments",
            json={"release": manifest.target_path, "robots": ["arm-1"], "hardware": HARDWARE},
            headers=served.operator,
            timeout=30.0,
        )
    assert (answer.status_code, answer.json()["refusal"]) == (503, "in_use")
    assert "is in use by somebody" in answer.json()["detail"]


@pytest.mark.parametrize("command", ["status", "show", "refresh"])
def test_with_json_there_is_nothing_else_on_stdout(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = make_development_hub(tmp_path / "hub", time.time())
    assert edge_hub([command, str(hub.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = {
        "status": {"updates", "robots", "troubles"},
        "show": {"development_keys", "roots", "delegation", "releases", "assignments", "troubles"},
        "refresh": {"image_repository", "robots", "soon", "troubles"},
    }
    assert set(found) == expected[command]
    (hub.folder / "image" / "metadata" / "1.snapshot.json").write_bytes(b"{}")
    code = edge_hub([command, str(hub.folder), "--json"])
    assert code == (0 if command == "status" else 1)
    assert json.loads(capsys.readouterr().out)["troubles"] != []
