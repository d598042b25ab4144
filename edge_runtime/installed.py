"""The bundles that are on this robot: which one boots, and where each of them lies.

Guarantees: only reads; answers with the bundle that came with the software whatever state the update agent's disk is
in. Refuses to know how bundles got here. Trusts nobody's word on what a folder holds: whoever loads a bundle verifies
it against the digest that it asked for.
"""

from __future__ import annotations

from pathlib import Path

from contracts.errors import BundleError
from contracts.manifest import read_manifest
from edge_runtime.config import RobotConfig
from edge_runtime.slots import SHIPPED, Boot, Slot, SlotFile, Slots, boot

FILES_NAME = "bundle"


def bundle_folder(root: Path, digest: str) -> Path:
    """Where the files of an installed bundle lie, below the folder of the update agent's runner."""
    return root / "bundles" / digest / FILES_NAME


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

    def boot(self) -> Boot:
        """What to run when nobody has said anything else; see `slots.boot`."""
        if self._slots is None or self._root is None:
            return Boot(SHIPPED, self._shipped)
        root = self._root
        return boot(self._slots, lambda digest: bundle_folder(root, digest), self._shipped)

    def folder(self, digest: str) -> Path:
        """Where the bundle of `digest` lies, or would."""
        if self._root is None or digest == self.shipped_digest:
            return self._shipped
        return bundle_folder(self._root, digest)

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

    def may_act(self) -> frozenset[str]:
        """Digests of the bundles that may act on this robot: active, committed, previous and shipped.

        Raises:
            OtaError: `TORN_STATE`: the pointer cannot be read; the shipped one may act all the same.
        """
        slots = Slots() if self._slots is None else self._slots.read()
        named = (slots.active, slots.committed, slots.previous)
        return frozenset(self.digest_of(slot) for slot in named if slot is not None) | {self.shipped_digest}
