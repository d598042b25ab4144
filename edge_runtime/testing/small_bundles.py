"""Bundles of a few kilobytes with a true manifest, the releases made of them, and a robot that installs them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_runtime.contracts.errors import EngineError, OtaError, OtaRefusal
from edge_runtime.contracts.manifest import (
    FORMAT_VERSION,
    Manifest,
    ParityReport,
    Provenance,
    blob_of,
    read_manifest,
    write_manifest,
)
from edge_runtime.contracts.manifest.version_1 import (
    FlowSampler,
    Graphs,
    Normalization,
    PolicyContract,
    Tokenizer,
    upgraded,
)
from edge_runtime.contracts.release import Compatibility, Pack, ReleaseFile, ReleaseManifest, StoredBlob
from edge_runtime.ota.transfer.staging import Staging

PIECE_BYTES = 700
JOINTS = tuple(f"joint_{number}" for number in range(1, 3))


def small_bundle(folder: Path, version: str) -> Path:
    """Write a bundle whose weights depend on `version`, and whose vocabulary does not."""
    folder.mkdir(parents=True)
    weights = b"".join(hashlib.sha256(f"{version} {block}".encode()).digest() for block in range(100))
    common = b"".join(hashlib.sha256(f"common {block}".encode()).digest() for block in range(50))
    (folder / "encode.onnx").write_bytes(common[:1400] + weights[:2000])
    (folder / "denoise.onnx").write_bytes(weights)
    (folder / "words.json").write_bytes(b'{"words": {}, "pad": 0, "unknown": 1}')
    (folder / "empty.bin").write_bytes(b"")
    (folder / "notes").mkdir()
    (folder / "notes" / "card.md").write_bytes(common)
    ones = (1.0,) * (len(JOINTS) + 1)
    policy = PolicyContract(
        family="test",
        embodiment="arm",
        joint_names=JOINTS,
        joint_digest="0" * 64,
        images=(),
        state_normalization=Normalization(mean=ones, std=ones),
        action_normalization=Normalization(mean=ones, std=ones),
        action_representation="absolute",
        action_dt_ns=50_000_000,
        horizon=4,
        sampler=FlowSampler(steps=1, noise_seed=1, fixed_noise=True),
        graphs=Graphs(
            encode="encode.onnx", denoise="denoise.onnx", tokens="t", state="s", x="x", time="t", velocity="v"
        ),
        tokenizer=Tokenizer(path="words.json", max_tokens=4),
    )
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name="small",
        version=version,
        precision="int8",
        parameters=1,
        policy=upgraded(policy),
        blobs=tuple(blob_of(folder, name) for name in names),
        provenance=Provenance(command="test", seed=0, versions={}),
        parity=ParityReport(
            samples=1,
            error_max_rad=(0.0,) * len(JOINTS),
            error_p99_rad=(0.0,) * len(JOINTS),
            bound_p99_rad=0.0,
            gripper_flips=0,
            quantized_weight_fraction=1.0,
            inert_inputs=(),
        ),
    )
    write_manifest(folder, manifest)
    return folder


def release_of(folder: Path, *, piece_bytes: int = PIECE_BYTES) -> tuple[ReleaseManifest, dict[str, bytes]]:
    """The release of a bundle cut into pieces of `piece_bytes`, and the pieces by their digests."""
    pieces: dict[str, bytes] = {}
    files = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        parts = [data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes)]
        digests = [hashlib.sha256(part).hexdigest() for part in parts]
        pieces.update(zip(digests, parts, strict=True))
        name = path.relative_to(folder).as_posix()
        digest = hashlib.sha256(data).hexdigest()
        files.append(ReleaseFile(path=name, size_bytes=len(data), sha256=digest, pieces=tuple(digests)))
    blobs = {}
    offset = 0
    for digest, part in pieces.items():
        blobs[digest] = StoredBlob(size_bytes=len(part), pack=0, offset=offset, stored_bytes=len(part), codec="none")
        offset += len(part)
    pack = hashlib.sha256(b"".join(pieces.values())).hexdigest()
    manifest = read_manifest(folder)
    release = ReleaseManifest(
        format_version=1,
        bundle_name=manifest.name,
        bundle_version=manifest.version,
        bundle_digest=manifest.digest,
        compatibility=Compatibility.of(manifest),
        files=tuple(files),
        blobs=blobs,
        packs=(Pack(sha256=pack, size_bytes=offset),),
    )
    return release, pieces


class Arm:
    """A robot that does all that is not in `bad`; it remembers what it was asked.

    Attributes:
        cut_short: what it leaves off.
        is_slow: its engine does what it is ordered to later, and somebody has to say so.
    """

    def __init__(self, pieces: dict[str, bytes]) -> None:
        self.pieces = pieces
        self.bad: set[str] = set()
        self.cut_short: set[str] = set()
        self.online = True
        self.is_slow = False
        self.sent = 0
        self.asked: list[str] = []
        self.serves: Path | None = None

    def fetch(self, staging: Staging) -> None:
        """Put what is missing, if there is a network."""
        self.asked.append("fetch")
        for piece in staging.missing:
            if not self.online:
                raise OtaError(OtaRefusal.UNREACHABLE, "no network")
            staging.put(piece, self.pieces[piece])
            self.sent += 1

    def heed(self) -> None:
        """Has all the time there is."""

    def build(self, folder: Path) -> None:
        """Needs no engine."""
        self._ask("build", folder)

    def golden_check(self, folder: Path) -> str:
        """Compares nothing."""
        self._ask("golden_check", folder)
        return "compared with nothing"

    def serve(self, folder: Path, standby: Path) -> bool:
        """Run `folder`; both are there."""
        assert standby.is_dir()
        return self.return_to(folder)

    def return_to(self, folder: Path) -> bool:
        """Run `folder`; it does at once, unless it `is_slow`."""
        self._ask("serve", folder)
        self.serves = folder
        return not self.is_slow

    def _ask(self, what: str, folder: Path) -> None:
        self.asked.append(what)
        if what in self.cut_short:
            raise OtaError(OtaRefusal.NOT_NOW, f"{what} was cut short")
        if what in self.bad:
            raise EngineError(f"{what} of {folder.parent.name} failed")
