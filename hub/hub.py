"""The hub's folder: where its repositories, its online keys and the roots that robots are delivered with lie.

keys/                 online keys, `*.key`: whoever has them can choose among approved releases, and no more
image/metadata        ┐
image/targets         │ static files, to be served as they are
director/robots       ┘
image/spool           a release that is being looked at, before it is public
image/ledger.json     ┐ what was published last, from which damaged files are made anew
director/ledger       ┘
director/root         the director's roots
robot/                image.root.json and director.root.json: what a new robot is delivered with
DEVELOPMENT_KEYS      there if all keys were made in one step on this machine
development_keys/     and then these are the ones that should be offline
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from edge_runtime.contracts.errors import EdgeError, SigningError
from edge_runtime.releases.key_files import SECRET_SUFFIX, create_key, load_signer
from edge_runtime.releases.sign import sign_draft
from edge_runtime.storage.durable import replace_file
from hub.storage import ends_all
from hub.trouble import DIRECTOR_ROOT, IMAGE, SIGNING, Trouble, TroubleReport, looked
from hub.tuf.director import Director
from hub.tuf.image_repository import ImageRepository
from hub.tuf.keys import first_root, next_targets, require_peoples_targets
from hub.tuf.online_keys import Online
from hub.tuf.roots import repair_roots, require_roots

DEVELOPMENT_WARNING = (
    "DEVELOPMENT KEYS: every key of this hub, those of its root included, was made in one step and lies unencrypted on "
    "this machine.\nWhoever reads that folder can put any software on any robot that trusts it. Never deliver a robot "
    "with these roots:\nthe ceremony for real keys is in docs/guides/keys.md.\n"
)
_OFFLINE_KEYS = ("root-1", "root-2", "root-3")
_OFFLINE_THRESHOLD = 2


class Hub:
    """The hub under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = ImageRepository(folder / "image")
        self.director = Director(folder / "director")

    @property
    def has_development_keys(self) -> bool:
        """Whether `make_development_hub` made it."""
        return (self.folder / "DEVELOPMENT_KEYS").exists()

    @property
    def keys(self) -> Path:
        """Where the online keys lie."""
        return self.folder / "keys"

    @property
    def development_keys(self) -> Path:
        """Where the keys lie that should be offline."""
        return self.folder / "development_keys"

    def online(self) -> Online:
        """The keys that the hub signs with by itself."""
        return Online.of(self.keys)

    def set_up(
        self, image_root: Metadata[Root], targets: Metadata[Targets], director_root: Metadata[Root], now_s: float
    ) -> None:
        """Publish the first roots, signed by their holders, and keep copies for robots.

        Raises:
            SigningError: the hub is set up already, or signatures or online keys are missing.
        """
        if self.image.metadata.exists:
            raise SigningError(str(self.folder), "is set up already; roots change by `edge-hub keys rotate-root`")
        if isinstance(image_root.signed, Root):
            require_peoples_targets(image_root.signed)
        online = self.online()
        for folder in (self.folder / "director" / "root", self.folder / "image" / "metadata"):
            _forget_first_root(folder)
        self.director.publish_root(director_root, online, now_s)
        replace_file(self.folder / "robot" / "image.root.json", image_root.to_bytes())
        replace_file(self.folder / "robot" / "director.root.json", director_root.to_bytes())
        # Last, because it is what makes this a hub: whoever was interrupted before sets it up again.
        self.image.set_up(image_root, targets, online, now_s)

    def refresh(self, now_s: float) -> int:
        """Sign anew what expires within days; return how many robots were reached. See `sign_anew`."""
        return self.sign_anew(now_s).robots

    def sign_anew(self, now_s: float, signed_within_s: float = 0.0, again: Collection[str] = ()) -> TroubleReport:
        """Sign anew what expires within days, whatever is damaged beside it; says what was not signed, and why.

        What was signed less than `signed_within_s` ago is left, but for what had trouble and is looked at `again`.

        Raises:
            StorageError: the disk takes no writes.
        """
        online = self.online()
        troubles = []
        try:
            if IMAGE in again or now_s - self.image.metadata.signed_at_s() >= signed_within_s:
                self.image.metadata.refresh(online, now_s)
        except EdgeError as error:
            if ends_all(error):
                raise
            troubles.append(Trouble(IMAGE, str(error)))
        try:
            require_roots(self.director.roots)
        except SigningError as error:
            troubles.append(Trouble(DIRECTOR_ROOT, str(error)))
        try:
            count, damaged = self.director.refresh(online, now_s, signed_within_s, again)
        except SigningError as error:
            return TroubleReport(0, (*troubles, Trouble(SIGNING, str(error))))
        return TroubleReport(count, (*troubles, *itertools.starmap(Trouble, damaged.items())))

    def troubles(
        self,
        is_as_it_was: Callable[[str], bool] = lambda _what: False,
        note: Callable[[str, tuple[Path, ...]], None] = lambda _what, _files: None,
    ) -> tuple[Trouble, ...]:
        """Everything whose files are damaged; changes nothing.

        What `is_as_it_was` since it was whole is not read again; `note` is told what was read, and which files of it.
        """
        looks: list[tuple[str, Callable[[], tuple[Path, ...]]]] = [
            (IMAGE, self.image.look),
            (DIRECTOR_ROOT, lambda: require_roots(self.director.roots)),
            *((robot_id, partial(self.director.look, robot_id)) for robot_id in self.director.robots()),
        ]
        found = []
        for what, look in looks:
            if not is_as_it_was(what):
                files, problem = looked(look)
                note(what, files)
                if problem is not None:
                    found.append(Trouble(what, problem))
        return tuple(found)

    def repair(self, now_s: float, robots: Collection[str] | None = None) -> tuple[list[str], tuple[Trouble, ...]]:
        """Make anew what is damaged, of these robots or of everything; returns what was, and what could not be.

        Raises:
            StorageError: the disk takes no writes.
        """
        online, mended, left = self.online(), [], []

        def attempt(what: str, act: Callable[[], object]) -> None:
            try:
                act()
            except Exception as error:
                if ends_all(error):
                    raise
                left.append(Trouble(what, str(error)))
            else:
                mended.append(what)

        for trouble in self.troubles():
            if robots is not None and trouble.what not in robots:
                continue
            if trouble.what == IMAGE:
                attempt(IMAGE, lambda: self._repair_image(online, now_s))
            elif trouble.what == DIRECTOR_ROOT:
                attempt(DIRECTOR_ROOT, lambda: self.director.repair_roots(self.folder / "robot" / "director.root.json"))
            else:
                attempt(trouble.what, partial(self.director.repair, trouble.what, self.image, online, now_s))
        return mended, tuple(left)

    def _repair_image(self, online: Online, now_s: float) -> None:
        delivered = self.folder / "robot" / "image.root.json"
        repair_roots(self.image.metadata.folder, lambda name: [delivered] if name == "1.root.json" else [])
        if looked(self.image.look)[1] is not None:
            self.image.repair(online, now_s)


def make_development_hub(folder: Path, now_s: float) -> Hub:
    """A hub with all its keys, in one step, for development alone.

    Raises:
        SigningError: there is a hub already.
    """
    hub = Hub(folder)
    offline = hub.development_keys
    holds_keys = hub.keys.exists() or offline.exists()
    if hub.image.metadata.exists or any(hub.director.robots()) or (holds_keys and not hub.has_development_keys):
        raise SigningError(str(folder), "holds a hub already")
    replace_file(folder / "DEVELOPMENT_KEYS", DEVELOPMENT_WARNING.encode())
    # Keys of an attempt that was interrupted: no robot knows of a hub that never came to be.
    for leftover in (offline, hub.keys):
        shutil.rmtree(leftover, ignore_errors=True)
    image_keys = [create_key(offline, f"image-{name}") for name in _OFFLINE_KEYS]
    director_keys = [create_key(offline, f"director-{name}") for name in _OFFLINE_KEYS]
    targets_keys = [create_key(offline, f"targets-{number}") for number in (1, 2, 3)]
    exporter, approver = create_key(offline, "exporter"), create_key(offline, "approver")
    snapshot, timestamp, directing = (create_key(hub.keys, name) for name in ("snapshot", "timestamp", "director"))
    thresholds = {Root.type: _OFFLINE_THRESHOLD, Targets.type: _OFFLINE_THRESHOLD}
    image_root = first_root(
        {Root.type: image_keys, Targets.type: targets_keys, Snapshot.type: [snapshot], Timestamp.type: [timestamp]},
        thresholds,
        now_s,
    )
    online_roles = dict.fromkeys((Targets.type, Snapshot.type, Timestamp.type), (directing,))
    director_root = first_root({Root.type: director_keys, **online_roles}, {Root.type: _OFFLINE_THRESHOLD}, now_s)
    targets = next_targets(None, now_s, exporter=exporter, approver=approver)
    _sign(image_root, offline, "image-root-1", "image-root-2")
    _sign(director_root, offline, "director-root-1", "director-root-2")
    _sign(targets, offline, "targets-1", "targets-2")
    hub.set_up(image_root, targets, director_root, now_s)
    return hub


def _forget_first_root(folder: Path) -> None:
    """Take away the root of a set-up that was interrupted, which may have been made with other keys."""
    if [path.name for path in folder.glob("*.root.json")] == ["1.root.json"]:
        (folder / "1.root.json").unlink()


def _sign(draft: Metadata[Any], keys: Path, *names: str) -> None:
    for name in names:
        sign_draft(draft, load_signer(keys / f"{name}{SECRET_SUFFIX}"))
