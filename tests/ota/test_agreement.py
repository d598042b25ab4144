"""What director and image repository say, held against each other, this robot and its floor: values alone."""

from __future__ import annotations

from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from edge_runtime.contracts.assignment import AssignmentTerms, ReleaseTerms, custom_of
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.trust.rollback_protection import ReleaseFloor
from edge_runtime.ota.trust.trust import agree
from edge_runtime.ota.trust.versions import MAX_VERSION_LEAP

PATH = "bundles/toy/1.json"
HASHES = {"sha256": "1" * 64, "sha512": "2" * 128}
ASSIGNED = AssignmentTerms(
    robot_id="arm-1", release_counter=7, hardware="sim_arm", not_before_s=5, rollout_id="all", probation_s=60
)
APPROVED = ReleaseTerms(hardware=("other_arm", "sim_arm"), release_counters=(6, 7, 2_000_000))


def target(terms: AssignmentTerms | ReleaseTerms | dict[str, Any], length: int = 10, **hashes: str) -> TargetFile:
    custom = terms if isinstance(terms, dict) else custom_of(terms)
    return TargetFile(length, hashes or dict(HASHES), PATH, {"custom": custom})


def agreed(
    assigned: TargetFile | None = None,
    released: TargetFile | None = None,
    *,
    robot_id: str = "arm-1",
    hardware: str = "sim_arm",
    floor: ReleaseFloor | None = None,
) -> Any:
    return agree(
        PATH,
        assigned or target(ASSIGNED),
        released or target(APPROVED),
        robot_id=robot_id,
        hardware=hardware,
        floor=floor or ReleaseFloor(release_counter=6, path="bundles/toy/0.json"),
    )


def refused(refusal: OtaRefusal, said: str, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(OtaError, match=said) as caught:
        agreed(*args, **kwargs)
    assert caught.value.refusal is refusal


def changed(**values: Any) -> TargetFile:
    return target({**custom_of(ASSIGNED), **values})


def test_what_all_agree_on_comes_out() -> None:
    assignment = agreed()
    assert (assignment.path, assignment.length_bytes, assignment.sha256) == (PATH, 10, "1" * 64)
    assert assignment.terms == ASSIGNED


def test_this_robot_and_its_hardware() -> None:
    refused(OtaRefusal.OTHER_ROBOT, "for 'arm-1', this is 'arm-2'", robot_id="arm-2")
    refused(OtaRefusal.INCOMPATIBLE_HARDWARE, "for 'sim_arm', this is 'other_arm'", hardware="other_arm")
    refused(
        OtaRefusal.DIRECTOR_IMAGE_MISMATCH, "for new_arm, released", changed(hardware="new_arm"), hardware="new_arm"
    )


def test_nothing_that_was_not_released() -> None:
    with pytest.raises(OtaError, match="no exporter and approver") as caught:
        agree(PATH, target(ASSIGNED), None, robot_id="arm-1", hardware="sim_arm", floor=ReleaseFloor())
    assert caught.value.refusal is OtaRefusal.DIRECTOR_IMAGE_MISMATCH
    assert PATH in caught.value.detail


@pytest.mark.parametrize(
    "other",
    [
        target(ASSIGNED, 11),
        target(ASSIGNED, 9),
        target(ASSIGNED, sha256="3" * 64, sha512="2" * 128),
        target(ASSIGNED, sha256="1" * 64),
        target(ASSIGNED, sha256="1" * 64, sha512="2" * 128, md5="4" * 32),
    ],
)
def test_the_same_bytes_in_every_respect(other: TargetFile) -> None:
    refused(OtaRefusal.DIRECTOR_IMAGE_MISMATCH, "length or hashes differ", other)


def test_a_hash_that_this_robot_checks() -> None:
    refused(
        OtaRefusal.METADATA_MALFORMED,
        "no sha256 among",
        target(ASSIGNED, sha512="2" * 128),
        target(APPROVED, sha512="2" * 128),
    )


def test_a_counter_that_was_approved() -> None:
    refused(OtaRefusal.DIRECTOR_IMAGE_MISMATCH, "counter 8 was never approved", changed(release_counter=8))


@pytest.mark.parametrize(
    ("counter", "path", "refusal"),
    [
        (5, "other", None),
        (6, PATH, None),
        (7, PATH, None),
        (7, "other", OtaRefusal.ROLLBACK),
        (8, PATH, OtaRefusal.ROLLBACK),
        (8, "other", OtaRefusal.ROLLBACK),
    ],
)
def test_the_counter_is_not_passed_and_not_spent(counter: int, path: str, refusal: OtaRefusal | None) -> None:
    floor = ReleaseFloor(release_counter=counter, path=path)
    if refusal is None:
        assert agreed(floor=floor).terms.release_counter == 7
    else:
        refused(refusal, "spent on other" if counter == 7 else "7 after 8", floor=floor)


@pytest.mark.parametrize(("behind", "refusal"), [(0, None), (1, OtaRefusal.FAST_FORWARD)])
def test_the_counter_does_not_leap(behind: int, refusal: OtaRefusal | None) -> None:
    floor = ReleaseFloor(release_counter=2_000_000 - MAX_VERSION_LEAP - behind, path="other")
    if refusal is None:
        assert agreed(changed(release_counter=2_000_000), floor=floor).terms.release_counter == 2_000_000
    else:
        refused(refusal, "leaps from", changed(release_counter=2_000_000), floor=floor)


@pytest.mark.parametrize("wrong", [{}, {"robot_id": 1}, {**custom_of(ASSIGNED), "more": 1}, custom_of(APPROVED)])
def test_terms_of_a_director_that_are_none(wrong: dict[str, Any]) -> None:
    refused(OtaRefusal.METADATA_MALFORMED, "terms of the target: ", target(wrong))


@pytest.mark.parametrize("wrong", [{}, {"hardware": []}, {**custom_of(APPROVED), "more": 1}, custom_of(ASSIGNED)])
def test_terms_of_a_release_that_are_none(wrong: dict[str, Any]) -> None:
    refused(OtaRefusal.METADATA_MALFORMED, "terms of the target: ", None, target(wrong))
