"""The director: one small repository for each robot, which says what that robot runs.

Guarantees: what it signs names the robot, always and everywhere (in the target and in the timestamp), and a release
that two people approved, under a counter they approved; a robot's counter never goes down. Going back to an older
release is that release under a newer counter. All three signatures are online: a stolen director can choose among
releases, and no more. Trusts the image repository that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from contracts.assignment import Assignment, AssignmentTerms, ReleaseTerms, custom_of, read_terms
from contracts.errors import SigningError
from contracts.release import Name
from export_tools.lasting import replace_file
from export_tools.sign import expiry
from hub.image_repository import ImageRepository
from hub.repository import MetadataRepository, Online, is_signed, lasts

DIRECTED_EXPIRES_DAYS = 7


class Director:
    """The director's repositories under `folder`: `robots/<robot_id>/metadata` each, and `root/`, which they share."""

    def __init__(self, folder: Path) -> None:
        self._robots = folder / "robots"
        self._roots = folder / "root"

    def root(self) -> Metadata[Root]:
        """The newest root.

        Raises:
            SigningError: there is none yet.
        """
        return MetadataRepository(self._roots).root()

    def publish_root(self, draft: Metadata[Root], online: Online, now_s: float) -> None:
        """Put a signed root in place, for every robot, and sign every assignment anew under it.

        Raises:
            SigningError: it is not the next root, or signatures or the online key are missing.
        """
        self.check_root(draft, online)
        replace_file(self._roots / f"{draft.signed.version}.root.json", draft.to_bytes())
        self.refresh(online, now_s)

    def check_root(self, draft: Metadata[Root], online: Online) -> None:
        """Whether a root can be put in place: it is the next one, and the hub holds the key that it asks for.

        Raises:
            SigningError: it can't.
        """
        MetadataRepository(self._roots).check_root(draft)
        for role in (Targets.type, Snapshot.type, Timestamp.type):
            online.require(draft.signed, role)

    def robots(self) -> Iterator[str]:
        """Every robot that has an assignment."""
        return (path.parent.parent.name for path in sorted(self._robots.glob("*/metadata/timestamp.json")))

    def assignment(self, robot_id: str) -> Assignment | None:
        """What a robot is assigned, None if it never was."""
        repository = self._repository(robot_id)
        if not repository.exists:
            return None
        path, target = next(iter(repository.role(Targets.type).signed.targets.items()))
        terms = read_terms(target.custom, AssignmentTerms)
        return Assignment(path=path, length_bytes=target.length, sha256=target.hashes["sha256"], terms=terms)

    def assign(self, path: str, terms: AssignmentTerms, image: ImageRepository, online: Online, now_s: float) -> None:
        """Tell one robot to run a release; see `assign_all`."""
        self.assign_all(path, (terms,), image, online, now_s)

    def assign_all(
        self, path: str, told: Sequence[AssignmentTerms], image: ImageRepository, online: Online, now_s: float
    ) -> None:
        """Tell robots, each by its own terms, to run a release.

        Raises:
            OtaError: METADATA_MALFORMED: no robot would read these terms.
            SigningError: the release is not approved for that hardware or counter, or a robot was given a higher
                counter before, or that counter for another release. Nobody was told anything.
            OSError: some were told, each of them whole; the same again tells the others.
        """
        released = image.released(path)
        approved = read_terms(released.custom, ReleaseTerms)
        for terms in told:
            read_terms(custom_of(terms), AssignmentTerms)
            _require_approved(path, terms, approved)
            before = self.assignment(terms.robot_id)
            if before is not None and _goes_back(before, path, terms):
                raise SigningError(
                    terms.robot_id,
                    f"was given counter {before.terms.release_counter}; to go back, release the bundle under a new one",
                )
        for terms in told:
            target = TargetFile(released.length, dict(released.hashes), path)
            target.unrecognized_fields["custom"] = custom_of(terms)
            self._publish(terms.robot_id, {path: target}, online, now_s)

    def refresh(self, online: Online, now_s: float) -> int:
        """Sign every assignment anew, as far as it expires soon or the root changed; return how many there are.

        To be done well before the timestamps expire.

        Raises:
            SigningError: the online key is missing.
        """
        count = 0
        for robot_id in self.robots():
            repository = self._repository(robot_id)
            self._give_roots(repository.folder)
            targets = repository.role(Targets.type)
            is_kept = is_signed(repository.root().signed, Targets.type, targets)
            if is_kept and lasts(targets, DIRECTED_EXPIRES_DAYS / 2, now_s):
                repository.refresh(online, now_s)
            else:
                self._publish(robot_id, targets.signed.targets, online, now_s)
            count += 1
        return count

    def _publish(self, robot_id: str, listed: dict[str, TargetFile], online: Online, now_s: float) -> None:
        repository = self._repository(robot_id)
        self._give_roots(repository.folder)
        version = repository.role(Targets.type).signed.version + 1 if repository.exists else 1
        draft = Metadata(Targets(version=version, expires=expiry(now_s, DIRECTED_EXPIRES_DAYS), targets=dict(listed)))
        online.sign(repository.root().signed, Targets.type, draft)
        repository.publish((draft,), (Targets.type,), online, now_s)

    def _give_roots(self, folder: Path) -> None:
        for path in sorted(self._roots.glob("*.root.json")):
            if not (folder / path.name).exists():
                replace_file(folder / path.name, path.read_bytes())

    def _repository(self, robot_id: str) -> MetadataRepository:
        # The name becomes a folder's name: the rule for names keeps it inside.
        try:
            msgspec.convert(robot_id, type=Name)
        except msgspec.ValidationError as error:
            raise SigningError(robot_id, f"is no robot's name: {error}") from error
        return MetadataRepository(self._robots / robot_id / "metadata", robot_id=robot_id)


def _require_approved(path: str, terms: AssignmentTerms, approved: ReleaseTerms) -> None:
    if terms.hardware not in approved.hardware:
        raise SigningError(path, f"is released for {', '.join(approved.hardware)}, not for {terms.hardware}")
    if terms.release_counter not in approved.release_counters:
        raise SigningError(path, f"counter {terms.release_counter} was never approved for it")


def _goes_back(before: Assignment, path: str, terms: AssignmentTerms) -> bool:
    if terms.release_counter == before.terms.release_counter:
        return path != before.path
    return terms.release_counter < before.terms.release_counter
