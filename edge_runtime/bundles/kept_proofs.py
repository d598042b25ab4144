"""What golden pairs have shown on this machine, kept so that a normal start need not run them again.

Guarantees: what `read` returns was written whole by this user, under exactly the key that is asked for; anything else,
torn, altered, of another owner, open to others, made under anything that differs, is as if it were not there. Keeping
is a convenience: a disk that takes nothing costs a run of the pairs at each start and nothing else.
Refuses to know what engines and golden pairs are. Trusts this robot's own user.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import msgspec

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import StorageError
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.storage.durable import read_own, replace_file
from edge_runtime.storage.faults import storage_errors

FORMAT_VERSION = 1
PROOFS_NAME = "proofs"
_BYTES_MAX = 65_536
_KEPT = 16
"""Bundles; a robot has four at most, and a file takes a kilobyte."""


class ProofKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that the answers of a policy depend on: with any other value they have to be looked at again.

    Attributes:
        bundle: digest of the bundle, and so of its golden pairs and their bound.
        embodiment: digest of the robot that it was asked for.
        backend, backend_version, device, driver, flags: as of `engine_cache.EngineKey`.
        threads: of one operator; sums are split over them.
        engines: SHA-256 of what really runs, of each graph by its name: what was loaded, not what should have been.
        software: of the code around the graphs and of the libraries that it computes with.
    """

    bundle: str
    embodiment: str
    backend: str
    backend_version: str
    device: str
    driver: str
    flags: tuple[str, ...]
    threads: int
    engines: tuple[tuple[str, str], ...]
    software: str
    format_version: int = FORMAT_VERSION


class _Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: ProofKey
    report: GoldenReport


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    proof: msgspec.Raw
    sha256: str


class KeptProofs:
    """`<root>/<bundle>.json`, the newest proof of each bundle. Without `root` nothing is kept."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    @classmethod
    def of(cls, config: RobotConfig, run_dir: Path | None = None) -> KeptProofs:
        """Beside the engines of the update agent, so that its check and the engine share one proof.

        Where there are no updates: in the state directory of the systemd unit, or in the folder of the run.
        """
        if config.ota is not None:
            return cls(config.path.parent / config.ota.store / "bundles" / PROOFS_NAME)
        state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        folder = Path(state) if state else run_dir
        return cls(None if folder is None else folder / PROOFS_NAME)

    def read(self, key: ProofKey) -> GoldenReport | None:
        """What the golden pairs have shown under `key`; None if that is not known."""
        if self._root is None:
            return None
        data = read_own(self._path(key.bundle), at_most_bytes=_BYTES_MAX)
        if data is None:
            return None
        try:
            file = msgspec.json.decode(data, type=_File)
            if hashlib.sha256(file.proof).hexdigest() != file.sha256:
                return None
            proof = msgspec.json.decode(file.proof, type=_Proof)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return proof.report if proof.key == key and proof.report.bundle == key.bundle else None

    def write(self, key: ProofKey, report: GoldenReport) -> None:
        """Keep `report`, to last, in place of an older one of the same bundle; a disk that takes none is logged."""
        if self._root is None:
            return
        proof = msgspec.json.encode(_Proof(key, report))
        data = msgspec.json.encode(_File(msgspec.Raw(proof), hashlib.sha256(proof).hexdigest()))
        try:
            replace_file(self._path(key.bundle), data, mode=0o600)
            with storage_errors(self._root):
                files = sorted(self._root.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
                for path in files[:-_KEPT]:
                    path.unlink(missing_ok=True)
        except StorageError as error:
            logging.warning("golden pairs are run again at the next start: %s", error)

    def _path(self, bundle: str) -> Path:
        assert self._root is not None
        return self._root / f"{bundle}.json"
