"""The director: one small repository for each robot, which says what that robot runs.

Guarantees: what it signs names the robot, always and everywhere (in the target and in the timestamp), and a release
that two people approved, under a counter they approved; a robot's counter never goes down. Going back to an older
release is that release under a newer counter. One robot's damaged files are that robot's trouble: all others are
signed, assigned and read, and it is named. All three signatures are online: a stolen director can choose among
releases, and no more. Trusts the image repository that it is given.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from edge_runtime.contracts.assignment import Assignment, AssignmentTerms, ReleaseTerms, custom_of, read_terms
from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.releases.sign import read_signed
from edge_runtime.storage.durable import replace_file
from hub.robot_names import is_robot_name, require_robot_names
from hub.storage import ends_all
from hub.trouble import words_of
from hub.tuf.directed import (
    DIRECTED_EXPIRES_DAYS,
    assignment_in,
    directed,
    goes_back,
    require_approved,
    target_of,
)
from hub.tuf.image_repository import ImageRepository
from hub.tuf.metadata_checks import is_signed, lasts
from hub.tuf.metadata_names import versions_of
from hub.tuf.online_keys import Online
from hub.tuf.repository import MetadataRepository
from hub.tuf.roots import SoundRoot, repair_roots, sound_roots
from hub.tuf.set_aside import make_way, remove


class Refreshed(NamedTuple):
    """How many robots were signed anew, and what kept others from it, by their names."""

    robots: int
    troubles: Mapping[str, str]


class Director:
    """The director's repositories under `folder`: `robots/<robot_id>/metadata` each, and `root/`, which they share.

    `ledger/<robot_id>.json` is what a damaged one is made anew from.
    """

    def __init__(self, folder: Path) -> None:
        self.roots = folder / "root"
        self._robots = folder / "robots"
        self._ledgers = folder / "ledger"
        self._verified: tuple[object, dict[str, SoundRoot]] | None = None

    def root(self) -> Metadata[Root]:
        """The newest root.

        Raises:
            SigningError: there is none yet, or it is damaged.
        """
        return MetadataRepository(self.roots).root()

    def publish_root(self, draft: Metadata[Root], online: Online, now_s: float) -> Refreshed:
        """Put a signed root in place, for every robot, and sign every assignment anew under it.

        Raises:
            SigningError: it is not the next root, or signatures or the online key are missing.
        """
        self.check_root(draft, online)
        replace_file(self.roots / f"{draft.signed.version}.root.json", draft.to_bytes())
        return self.refresh(online, now_s)

    def check_root(self, draft: Metadata[Root], online: Online) -> None:
        """Whether a root can be put in place: it is the next one, and the hub holds the key that it asks for.

        Raises:
            SigningError: it can't.
        """
        MetadataRepository(self.roots).check_root(draft)
        _require_key(draft.signed, online)

    def robots(self) -> Iterator[str]:
        """Every robot that has an assignment, also where nothing is left of it but a note in the ledger."""
        found: set[str] = set()
        with contextlib.suppress(OSError):
            found.update(path.name for path in self._robots.iterdir() if self._was_told_in(path))
        with contextlib.suppress(OSError):
            noted = {path.stem for path in self._ledgers.iterdir() if path.suffix == ".json"} - found
            found.update(name for name in noted if is_robot_name(name) and self._was_told(name))
        return (name for name in sorted(found) if is_robot_name(name))

    def assignment(self, robot_id: str) -> Assignment | None:
        """What a robot is assigned, None if it never was.

        Raises:
            SigningError: its files are damaged: names the first.
        """
        repository = self._repository(robot_id)
        if not repository.exists or not self._was_told(robot_id):
            return None
        return assignment_in(repository.role(Targets.type))

    def look(self, robot_id: str) -> tuple[Path, ...]:
        """Read all that a robot with an assignment is served, as it would; returns the files.

        Raises:
            SigningError: names the first that is damaged.
        """
        return self._read(robot_id)[1]

    def _read(self, robot_id: str) -> tuple[Assignment, tuple[Path, ...]]:
        """What a robot is told, and the files that say so; raises as `look`."""
        repository = self._repository(robot_id)
        roots = self._sound_roots()
        for name, sound in roots.items():
            if _bytes_of(repository.folder / name) != sound.data:
                raise SigningError(str(repository.folder / name), "is missing, or is not the director's")
        there = repository.published()
        assigned = assignment_in(there.roles[Targets.type])
        return assigned, (*(repository.folder / name for name in roots), *repository.files_of(there))

    def assign(self, path: str, terms: AssignmentTerms, image: ImageRepository, online: Online, now_s: float) -> None:
        """Tell one robot to run a release; see `assign_all`.

        Raises:
            HubError: as there, and DAMAGED where the robot's files could not be made anew.
        """
        for robot_id, problem in self.assign_all(path, (terms,), image, online, now_s).items():
            raise HubError(HubRefusal.DAMAGED, robot_id, problem)

    def assign_all(
        self, path: str, told: Sequence[AssignmentTerms], image: ImageRepository, online: Online, now_s: float
    ) -> dict[str, str]:
        """Tell robots, each by its own terms, to run a release; those whose files are damaged get new ones.

        Returns who could not be told, and why: files that could not be made anew either.

        Raises:
            OtaError: METADATA_MALFORMED: no robot would read these terms.
            HubError: NEVER_RELEASED, OTHER_HARDWARE, COUNTER_NOT_APPROVED; COUNTER_GOES_BACK where a robot was
                given a higher counter before, or that counter for another release. Nobody was told anything.
            SigningError: an online key is missing. Nobody was told anything.
            StorageError: some were assigned, each of them whole; the same again assigns the others.
        """
        released = image.released(path)
        approved = read_terms(released.custom, ReleaseTerms)
        damaged: set[str] = set()
        for terms in told:
            read_terms(custom_of(terms), AssignmentTerms)
            require_approved(path, terms, approved)
            before, is_whole = self._told(terms.robot_id)
            if not is_whole:
                damaged.add(terms.robot_id)
            if before is not None and goes_back(before, path, terms):
                problem = f"was given counter {before.terms.release_counter}"
                remedy = "to go back, release the bundle under a new one"
                raise HubError(HubRefusal.COUNTER_GOES_BACK, terms.robot_id, f"{problem}; {remedy}")
        self._require_keys(online)
        troubles: dict[str, str] = {}
        for terms in told:
            target = target_of(path, released, terms)
            publish = self._publish_anew if terms.robot_id in damaged else self._publish
            _attempt(terms.robot_id, partial(publish, terms.robot_id, {path: target}, online, now_s), troubles)
        return troubles

    def refresh(
        self, online: Online, now_s: float, signed_within_s: float = 0.0, again: Collection[str] = ()
    ) -> Refreshed:
        """Sign every assignment anew, as far as it expires soon or the root changed; those that are damaged are named.

        To be done well before the timestamps expire. What was signed less than `signed_within_s` ago is left, but for
        those robots that are looked at `again`.

        Raises:
            SigningError: the online key or the root is missing; nothing was signed.
            StorageError: the disk takes no writes.
        """
        count = 0
        troubles: dict[str, str] = {}
        robots = list(self.robots())
        if robots:
            self._require_keys(online)
        for robot_id in robots:
            within_s = 0.0 if robot_id in again else signed_within_s
            sign = partial(self._sign_anew, robot_id, online, now_s, within_s)
            count += _attempt(robot_id, sign, troubles)
        return Refreshed(count, troubles)

    def repair(self, robot_id: str, image: ImageRepository, online: Online, now_s: float) -> Assignment:
        """Make the files of a robot anew: the assignment it had, under numbers above all that it has seen.

        Raises:
            HubError: DAMAGED: its assignment is lost; or that is no longer released.
        """
        known = self.known(robot_id)
        if known is None:
            problem = "its assignment is lost: assign it again"
            raise HubError(HubRefusal.DAMAGED, robot_id, problem)
        released = image.released(known.path)
        require_approved(known.path, known.terms, read_terms(released.custom, ReleaseTerms))
        target = target_of(known.path, released, known.terms)
        self._publish_anew(robot_id, {known.path: target}, online, now_s)
        return known

    def repair_roots(self, delivered: Path) -> list[str]:
        """Put back roots that are damaged from the copies that robots are served, and of the first one `delivered`.

        Raises:
            SigningError: no copy of one is whole.
        """

        def copies_of(name: str) -> Iterator[Path]:
            if name == "1.root.json":
                yield delivered
            yield from self._robots.glob(f"*/metadata/{name}")

        return repair_roots(self.roots, copies_of)

    def withdraw(self, robot_id: str) -> None:
        """Take a robot's files away; the ledger keeps their numbers, for whoever assigns it something again.

        Raises:
            HubError: NEVER_ASSIGNED.
            StorageError: they could not be removed.
        """
        repository = self._repository(robot_id)
        if robot_id not in set(self.robots()):
            raise HubError(HubRefusal.NEVER_ASSIGNED, robot_id, "was never assigned anything")
        repository.forget_content()
        remove(self._robots / robot_id)

    def _sign_anew(self, robot_id: str, online: Online, now_s: float, signed_within_s: float) -> None:
        repository = self._repository(robot_id)
        if signed_within_s and now_s - repository.signed_at_s() < signed_within_s:
            return
        self._give_roots(repository.folder)
        there = repository.published()
        targets = there.roles[Targets.type]
        assignment_in(targets)
        is_kept = is_signed(repository.root().signed, Targets.type, targets)
        if is_kept and lasts(targets, DIRECTED_EXPIRES_DAYS / 2, now_s):
            repository.refresh(online, now_s, there)
        else:
            self._publish(robot_id, targets.signed.targets, online, now_s)

    def _publish(self, robot_id: str, listed: dict[str, TargetFile], online: Online, now_s: float) -> None:
        repository = self._repository(robot_id)
        self._give_roots(repository.folder)
        version = repository.role(Targets.type).signed.version + 1 if repository.exists else 1
        draft = directed(version, listed, now_s)
        online.sign(repository.root().signed, Targets.type, draft)
        repository.publish((draft,), (Targets.type,), online, now_s)

    def _publish_anew(self, robot_id: str, listed: dict[str, TargetFile], online: Online, now_s: float) -> None:
        repository = self._repository(robot_id)
        make_way(repository.folder / "timestamp.json")
        self._give_roots(repository.folder)
        draft = directed(repository.next_version(Targets.type), listed, now_s)
        online.sign(repository.root().signed, Targets.type, draft)
        repository.rebuild({Targets.type: draft}, online, now_s)

    def known(self, robot_id: str) -> Assignment | None:
        """What a robot was told last, by whatever of it is still whole and signed."""
        return self._told(robot_id)[0]

    def _told(self, robot_id: str) -> tuple[Assignment | None, bool]:
        """What a robot was told last, and whether all its files are whole."""
        if not self._repository(robot_id).exists:
            return None, True
        try:
            return self._read(robot_id)[0], True
        except Exception:  # damage can look like anything
            return self._remembered(robot_id), False

    def _remembered(self, robot_id: str) -> Assignment | None:
        """What a robot was told last, by the newest of its old targets and the ledger that is whole and signed."""
        repository = self._repository(robot_id)
        found: list[Metadata[Targets]] = []
        for version in versions_of(repository.folder, Targets.type):
            with contextlib.suppress(SigningError):
                found.append(read_signed(repository.folder / f"{version}.targets.json", Targets, version))
        ledger = repository.ledger
        if ledger is not None and ledger.directed:
            with contextlib.suppress(RepositoryError):
                found.append(Metadata.from_bytes(ledger.directed.encode()))
        known: list[Assignment] = []
        for targets in found:
            with contextlib.suppress(Exception):
                assigned = assignment_in(targets)
                if assigned.terms.robot_id == robot_id and self._ever_signed(targets):
                    known.append(assigned)
        return max(known, key=lambda assigned: assigned.terms.release_counter, default=None)

    def _ever_signed(self, targets: Metadata[Targets]) -> bool:
        roots = (sound.root for sound in self._sound_roots().values())
        return any(is_signed(root, Targets.type, targets) for root in roots)

    def _was_told(self, robot_id: str) -> bool:
        """Whether a robot has an assignment: one that was withdrawn is left with numbers alone."""
        if self._was_told_in(self._robots / robot_id):
            return True
        ledger = self._repository(robot_id).ledger
        return ledger is not None and bool(ledger.directed)

    @staticmethod
    def _was_told_in(folder: Path) -> bool:
        return os.path.lexists(folder / "metadata" / "timestamp.json")

    def _sound_roots(self) -> dict[str, SoundRoot]:
        """The roots that all robots share, as far as they are whole; verified again once a file of them changed."""
        seen = _stamps(self.roots)
        if self._verified is None or self._verified[0] != seen:
            self._verified = (seen, sound_roots(self.roots))
        return self._verified[1]

    def _give_roots(self, folder: Path) -> None:
        """Serve a robot the director's roots. Where those are damaged, what it is served already stays."""
        for name, sound in self._sound_roots().items():
            if _bytes_of(folder / name) != sound.data:
                make_way(folder / name)
                replace_file(folder / name, sound.data)

    def _require_keys(self, online: Online) -> None:
        """Whether the keys that sign for every robot are here. The newest root that is whole says which."""
        sound = list(self._sound_roots().values())
        if sound:
            _require_key(sound[-1].root, online)

    def _repository(self, robot_id: str) -> MetadataRepository:
        # The name becomes a folder's name: the rule for names keeps it inside.
        require_robot_names((robot_id,))
        folder, ledger = self._robots / robot_id / "metadata", self._ledgers / f"{robot_id}.json"
        return MetadataRepository(folder, robot_id=robot_id, ledger=ledger)


def _require_key(root: Root, online: Online) -> None:
    for role in (Targets.type, Snapshot.type, Timestamp.type):
        online.require(root, role)


def _attempt(robot_id: str, act: Callable[[], None], troubles: dict[str, str]) -> bool:
    """Do what concerns one robot; whether it went well. Only a disk that takes nothing more ends it for the others."""
    try:
        act()
    except Exception as error:
        if ends_all(error):
            raise
        troubles[robot_id] = words_of(error)
        return False
    return True


def _stamps(folder: Path) -> object:
    found = []
    for path in sorted(folder.glob("*.root.json")):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
