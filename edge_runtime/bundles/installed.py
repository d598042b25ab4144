"""The bundles that are on this robot: which one boots, and where each of them lies.

Guarantees: only reads; answers with the bundle that came with the software whatever state the update agent's disk is
in. Refuses to know how bundles got here. Trusts nobody's word on what a folder holds: whoever loads a bundle verifies
it against the digest that it asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from edge_runtime.bundles.slots import SHIPPED, Boot, Slot, SlotFile, Slots, boot
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import BundleError, EdgeError, HandshakeError, StorageError
from edge_runtime.contracts.manifest import Manifest, read_manifest, verify_bundle

FILES_NAME = "bundle"

Taken = TypeVar("Taken")


def bundle_folder(root: Path, digest: str) -> Path:
    """Where the files of an installed bundle lie, below the folder of the update agent's runner."""
    return root / "bundles" / digest / FILES_NAME


def verified(folder: Path, config: RobotConfig) -> Manifest:
    """The manifest of the bundle in `folder`, all of whose files have been looked at, if it fits this robot.

    Raises:
        BundleError: incomplete, altered, or it contradicts itself.
        HandshakeError: as `require_ours`.
    """
    manifest = verify_bundle(folder)
    require_ours(manifest, config)
    return manifest


def require_ours(manifest: Manifest, config: RobotConfig) -> None:
    """Check that a bundle is for this robot, inside its limits, and held to a bound that this robot's owner accepts.

    Raises:
        HandshakeError: names the first field that is not.
    """
    manifest.require_fit(config.embodiment)
    manifest.require_allowed(config.safety.motion)
    bound_rad, most_rad = manifest.parity.bound_p99_rad, config.engine.parity_bound_max_rad
    if not bound_rad <= most_rad:
        expected = f"at most {most_rad:g}, parity_bound_max_rad in [engine] of robot.toml"
        raise HandshakeError("parity.bound_p99_rad", expected, f"{bound_rad:g}")


class Installed:
    """What one robot has.

    Args:
        shipped: folder of the bundle that came with the software.
        root: folder of the update agent's runner; None where there are no updates.
    """

    def __init__(self, shipped: Path, root: Path | None) -> None:
        self._shipped = shipped
        self._root = root
        self._slots = None if root is None else SlotFile(root / "slots")
        self._shipped_digest: str | None = None

    @classmethod
    def of(cls, config: RobotConfig) -> Installed:
        """As `robot.toml` says."""
        return cls(config.bundle_dir, None if config.ota is None else config.path.parent / config.ota.store / "bundles")

    def boot(self, without: Collection[str] = frozenset()) -> Boot:
        """What to run when nothing else was ordered; see `slots.boot`."""
        if self._slots is None or self._root is None:
            return Boot(SHIPPED, self._shipped)
        root = self._root
        return boot(self._slots, lambda digest: bundle_folder(root, digest), self._shipped, without)

    def boot_first(self, take: Callable[[Path], Taken]) -> tuple[Taken, Boot]:
        """The best bundle that `take` does not raise an `EdgeError` for, and what it made of its folder.

        `passed_over` of the answer says what was wrong with those that are better.

        Raises:
            EdgeError: `take` raised it for the shipped bundle, the last of all.
        """
        failed: dict[str, str] = {}
        while True:
            choice = self.boot(failed)
            try:
                taken = take(choice.folder)
            except EdgeError as error:
                if choice.bundle == SHIPPED:
                    raise
                failed[choice.bundle] = f"{choice.bundle[:12]}: {error}"
                continue
            return taken, Boot(choice.bundle, choice.folder, (*failed.values(), *choice.passed_over))

    def folder(self, digest: str) -> Path:
        """Where the bundle of `digest` lies, or would."""
        if self._root is None or digest == self.shipped_digest:
            return self._shipped
        return bundle_folder(self._root, digest)

    def digest_in(self, folder: Path) -> str:
        """The digest of the bundle that lies in `folder`, as far as its place tells; empty: it does not."""
        return self.shipped_digest if folder == self._shipped else folder.parent.name

    @property
    def shipped_digest(self) -> str:
        """Of the bundle that came with the software; empty while that cannot be read."""
        if self._shipped_digest is None:
            try:
                self._shipped_digest = read_manifest(self._shipped).digest
            except BundleError:
                return ""
        return self._shipped_digest

    def digest_of(self, slot: Slot) -> str:
        """The digest of what is in `slot`."""
        return self.shipped_digest if slot.bundle == SHIPPED else slot.bundle

    def active(self) -> str:
        """The digest of the bundle that the pointer says should run; the shipped one's where it cannot be read."""
        try:
            return self.digest_of(self._read().active)
        except StorageError:
            return self.shipped_digest

    def written(self) -> tuple[int, ...]:
        """Differs once the pointer has been written to; costs no read of the disk."""
        return () if self._slots is None else self._slots.written()

    def may_act(self) -> frozenset[str]:
        """Digests of the bundles that may act on this robot: active, committed, previous and shipped.

        Raises:
            StorageError: the pointer cannot be read; the shipped one may act all the same.
        """
        slots = self._read()
        return self._digests(slots.active, slots.committed, slots.previous)

    def known(self) -> frozenset[str]:
        """Digests of all the bundles of this robot: those that may act, and the staged one.

        Raises:
            StorageError: as `may_act`.
        """
        slots = self._read()
        return self._digests(slots.active, slots.committed, slots.previous, slots.staged)

    def _read(self) -> Slots:
        return Slots() if self._slots is None else self._slots.read()

    def _digests(self, *slots: Slot | None) -> frozenset[str]:
        digests = frozenset(self.digest_of(slot) for slot in slots if slot is not None) | {self.shipped_digest}
        return digests - {""}
