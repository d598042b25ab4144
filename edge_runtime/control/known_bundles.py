"""Which bundles' chunks may move this robot: those that the pointer names and whose manifests fit, read when it counts.

Guarantees: no chunk costs a disk read but the first of a bundle, and whatever comes, the pointer is read when it has
been written to, and otherwise at most once a second. A pointer that cannot be read takes nothing from those that may
act already. Refuses to know how bundles get here. Trusts the pointer, and of a bundle only its own manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.errors import EdgeError, StorageError
from edge_runtime.contracts.manifest import Manifest, read_manifest

_READ_INTERVAL_NS = 1_000_000_000


class KnownBundles:
    """The bundles of one robot, as control sees them.

    Args:
        installed: where the pointer and the manifests lie.
        require_fit: raises an `EdgeError` for a bundle that is not for this robot or these limits.
    """

    def __init__(self, installed: Installed, require_fit: Callable[[Manifest], None]) -> None:
        self._installed = installed
        self._require_fit = require_fit
        self._current = ""
        self._may_act: frozenset[str] = frozenset()
        self._misfits: dict[str, str] = {}
        self._read_due_ns = 0
        self._written: tuple[int, ...] = ()

    def boot(self) -> str:
        """The digest of the best bundle that fits, whose chunks are expected before any have come.

        Raises:
            EdgeError: not even the one that came with the software fits.
        """

        def fitting(folder: Path) -> str:
            manifest = read_manifest(folder)
            self._require_fit(manifest)
            return manifest.digest

        digest, _ = self._installed.boot_first(fitting)
        return digest

    def why_not(self, digest: str, now_ns: int) -> str | None:
        """What keeps the bundle of `digest` from moving this robot; None if nothing does.

        Args:
            now_ns: on a clock that goes on, for how often the pointer is read.
        """
        if digest == self._current:
            return None
        written = self._installed.written()
        if written != self._written or now_ns >= self._read_due_ns:
            self._written, self._read_due_ns = written, now_ns + _READ_INTERVAL_NS
            self._read()
        if digest not in self._may_act:
            return "it may not act on this robot"
        if digest not in self._misfits:
            self._misfits[digest] = self._misfit_of(digest)
        if self._misfits[digest]:
            return self._misfits[digest]
        self._current = digest
        return None

    def _read(self) -> None:
        try:
            self._may_act = self._installed.may_act()
        except StorageError:
            shipped = self._installed.shipped_digest
            self._may_act |= {shipped} if shipped else set()
        # What fits fits for good, and may be wanted back when its folder cannot be read.
        self._misfits = {digest: problem for digest, problem in self._misfits.items() if not problem}
        self._current = ""

    def _misfit_of(self, digest: str) -> str:
        try:
            manifest = read_manifest(self._installed.folder(digest))
            self._require_fit(manifest)
        except EdgeError as error:
            return str(error)
        return "" if manifest.digest == digest else f"its folder holds {manifest.digest[:12]}…"
