"""Whether this robot may install something, and what: the answer of two repositories that share no key.

Guarantees: an `Assignment` comes out only if image and director repository are each sound and fresh, the director names
this robot, its hardware and one release, and exporter and approver signed that same release, length, hashes, hardware
and counter, and the counter has not been passed. A stolen director can hand out only what was already approved; a
stolen exporter nothing. Expiry stops an install, never a boot: nothing here is asked by what is already installed.
Refuses to know slots, bytes of bundles and how to act on the answer. Not reaching the network is an answer of its own,
`OtaRefusal.UNREACHABLE`, and says nothing against anybody.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from edge_runtime.contracts.assignment import Assignment, AssignmentTerms, ReleaseTerms, read_terms
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.release import MAX_RELEASE_BYTES, ReleaseManifest, load
from edge_runtime.ota.transfer.transport import Transport
from edge_runtime.ota.trust.repository import TrustedRepository, read_whole
from edge_runtime.ota.trust.rollback_protection import Floor, ReleaseFloor
from edge_runtime.ota.trust.versions import MAX_VERSION_LEAP

IMAGE = "image"
DIRECTOR = "director"
DIGEST = "sha256"


class TrustSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who this robot is, and whom it believes. The two roots are pinned: they come with the robot, not by network.

    `image_url` has `metadata/` and `targets/` below it; `director_url` has `<robot_id>/metadata/`.
    """

    robot_id: str
    hardware: str
    image_url: str
    director_url: str
    image_root: bytes
    director_root: bytes
    folder: Path


class Trust:
    """The two repositories of one robot. `folder` of the settings holds the metadata; the floor lives elsewhere."""

    def __init__(self, settings: TrustSettings, transport: Transport, floor: Floor) -> None:
        self._settings = settings
        self._transport = transport
        self._floor = floor

    def check(self, now_s: float) -> Assignment:
        """Ask both repositories. `now_s` is Unix time.

        Raises:
            OtaError: nothing may be installed now, and why.
        """
        settings = self._settings
        director, image = self._director(), self._image()
        try:
            director.refresh(now_s)
        except OtaError as error:
            if error.refusal is not OtaRefusal.NOT_FOUND:
                raise
            # A hub publishes a robot's metadata with its first assignment.
            said = f"no update assigned yet to {settings.robot_id} at {settings.director_url}"
            raise OtaError(OtaRefusal.NOT_FOUND, said) from error
        path, assigned = _only(director.listed())
        image.refresh(now_s)
        return agree(
            path,
            assigned,
            image.target(path),
            robot_id=settings.robot_id,
            hardware=settings.hardware,
            floor=self._floor.release(),
        )

    def release(self, assignment: Assignment, now_s: float) -> ReleaseManifest:
        """Fetch and check the release manifest of an assignment that `check` returned.

        Raises:
            OtaError: TARGET_ALTERED, a `RELEASE_…` reason, or one of the network or the image repository.
        """
        image = self._image()
        image.refresh(now_s)
        target = image.target(assignment.path)
        if target is None or (target.length, target.hashes.get(DIGEST)) != (assignment.length_bytes, assignment.sha256):
            raise OtaError(OtaRefusal.DIRECTOR_IMAGE_MISMATCH, f"{assignment.path} is no longer what was assigned")
        data = fetch_target(self._transport, image, target, f"{self._settings.image_url.rstrip('/')}/targets")
        release = load(data)
        if release.target_path != assignment.path:
            raise OtaError(OtaRefusal.TARGET_ALTERED, f"{assignment.path} holds {release.target_path}")
        return release

    def _image(self) -> TrustedRepository:
        settings = self._settings
        return TrustedRepository(
            IMAGE,
            folder=settings.folder / IMAGE,
            url=f"{settings.image_url.rstrip('/')}/metadata",
            root=settings.image_root,
            transport=self._transport,
            floor=self._floor,
        )

    def _director(self) -> TrustedRepository:
        settings = self._settings
        return TrustedRepository(
            DIRECTOR,
            folder=settings.folder / DIRECTOR,
            url=f"{settings.director_url.rstrip('/')}/{settings.robot_id}/metadata",
            root=settings.director_root,
            transport=self._transport,
            floor=self._floor,
            robot_id=settings.robot_id,
        )


def agree(
    path: str,
    assigned: TargetFile,
    released: TargetFile | None,
    *,
    robot_id: str,
    hardware: str,
    floor: ReleaseFloor,
) -> Assignment:
    """What director and image repository say of the same release, compared with each other, this robot and the floor.

    Raises:
        OtaError: names the first disagreement.
    """
    terms = read_terms(assigned.custom, AssignmentTerms)
    if terms.robot_id != robot_id:
        raise OtaError(OtaRefusal.OTHER_ROBOT, f"the assignment is for {terms.robot_id!r}, this is {robot_id!r}")
    if terms.hardware != hardware:
        raise OtaError(OtaRefusal.INCOMPATIBLE_HARDWARE, f"assigned for {terms.hardware!r}, this is {hardware!r}")
    if released is None:
        raise _mismatch(path, "no exporter and approver signed it")
    approved = read_terms(released.custom, ReleaseTerms)
    if assigned.length != released.length or assigned.hashes != released.hashes:
        raise _mismatch(path, "length or hashes differ")
    if terms.hardware not in approved.hardware:
        raise _mismatch(path, f"assigned for {terms.hardware}, released for {', '.join(approved.hardware)}")
    if terms.release_counter not in approved.release_counters:
        raise _mismatch(path, f"counter {terms.release_counter} was never approved for it")
    _require_counter(terms.release_counter, path, floor)
    digest = released.hashes.get(DIGEST)
    if digest is None:
        raise OtaError(OtaRefusal.METADATA_MALFORMED, f"{path}: no {DIGEST} among the signed hashes")
    return Assignment(path=path, length_bytes=released.length, sha256=digest, terms=terms)


def fetch_target(transport: Transport, repository: TrustedRepository, target: TargetFile, targets_url: str) -> bytes:
    """The bytes of a small target, as long and with all the hashes that were signed.

    Raises:
        OtaError: TARGET_ALTERED, or a reason of the network.
    """
    if target.length > MAX_RELEASE_BYTES:
        raise OtaError(
            OtaRefusal.RELEASE_OVERSIZED, f"{target.path}: {target.length} bytes, at most {MAX_RELEASE_BYTES}"
        )
    data = read_whole(transport, f"{targets_url.rstrip('/')}/{repository.hashed_path(target)}", target.length)
    try:
        target.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise OtaError(OtaRefusal.TARGET_ALTERED, f"{target.path}: {error}") from error
    return data


def _only(listed: dict[str, TargetFile]) -> tuple[str, TargetFile]:
    if not listed:
        raise OtaError(OtaRefusal.EMPTY_ASSIGNMENT, "the director names no release; it never has a reason to")
    if len(listed) > 1:
        raise OtaError(OtaRefusal.METADATA_MALFORMED, f"the director names {len(listed)} releases, one is asked for")
    return next(iter(listed.items()))


def _mismatch(path: str, detail: str) -> OtaError:
    return OtaError(OtaRefusal.DIRECTOR_IMAGE_MISMATCH, f"{path:.200}: {detail}")


def _require_counter(counter: int, path: str, floor: ReleaseFloor) -> None:
    if counter < floor.release_counter:
        raise OtaError(OtaRefusal.ROLLBACK, f"release counter {counter} after {floor.release_counter}")
    if counter == floor.release_counter and path != floor.path:
        raise OtaError(OtaRefusal.ROLLBACK, f"release counter {counter} was already spent on {floor.path}")
    if counter - floor.release_counter > MAX_VERSION_LEAP:
        raise OtaError(OtaRefusal.FAST_FORWARD, f"release counter leaps from {floor.release_counter} to {counter}")
