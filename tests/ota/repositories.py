"""A real hub in a folder, served over real HTTP, and a robot that asks it; with levers for an attacker in between."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tuf.api.metadata import Metadata, TargetFile

from edge_runtime.contracts.assignment import Assignment, AssignmentTerms
from edge_runtime.contracts.manifest import FORMAT_VERSION, Blob, Manifest, ParityReport, Provenance
from edge_runtime.contracts.manifest.version_1 import (
    FlowSampler,
    Graphs,
    Normalization,
    PolicyContract,
    Tokenizer,
    upgraded,
)
from edge_runtime.contracts.release import Compatibility, Pack, ReleaseFile, ReleaseManifest, StoredBlob
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import Trust, TrustSettings
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.sign import draft_release, sign_draft
from hub.hub import Hub, make_development_hub

ROBOT = "arm-1"
HARDWARE = "sim_arm"
YEAR_S = 365 * 86_400
NETWORK = NetworkSettings()
IMPATIENT = NetworkSettings(connect_s=2.0, silence_s=1.0, least_bytes_s=200.0, window_s=0.5)
"""For what is to be too slow. Whoever only waits for an answer is not to fail on a busy machine."""

Answer = Callable[[SimpleHTTPRequestHandler], None]


def tiny_manifest(policy: bytes) -> Manifest:
    """A true manifest of a bundle whose policy is one file, `policy.bin`."""
    ones = (1.0, 1.0)
    return Manifest(
        format_version=FORMAT_VERSION,
        name="reach",
        version="1",
        precision="int8",
        parameters=1,
        policy=upgraded(
            PolicyContract(
                family="test",
                embodiment="sim_arm",
                joint_names=("joint_1",),
                joint_digest="0" * 64,
                images=(),
                state_normalization=Normalization(mean=ones, std=ones),
                action_normalization=Normalization(mean=ones, std=ones),
                action_representation="absolute",
                action_dt_ns=50_000_000,
                horizon=4,
                sampler=FlowSampler(steps=1, noise_seed=1, fixed_noise=True),
                graphs=Graphs(
                    encode="policy.bin", denoise="policy.bin", tokens="t", state="s", x="x", time="t", velocity="v"
                ),
                tokenizer=Tokenizer(path="policy.bin", max_tokens=4),
            )
        ),
        blobs=(Blob(path="policy.bin", size_bytes=len(policy), sha256=hashlib.sha256(policy).hexdigest()),),
        provenance=Provenance(command="test", seed=0, versions={}),
        parity=ParityReport(
            samples=1,
            error_max_rad=(0.0,),
            error_p99_rad=(0.0,),
            bound_p99_rad=0.0,
            gripper_flips=0,
            quantized_weight_fraction=1.0,
            inert_inputs=(),
        ),
    )


def packed_release(folder: Path, words: str) -> ReleaseManifest:
    """A release that a robot can install, of a bundle whose policy is `words`, under `folder` as `pack` leaves it."""
    policy = words.encode()
    manifest = tiny_manifest(policy)
    files = {"manifest.json": manifest.canonical_json(), "policy.bin": policy}
    release, pack = release_of_files(files, manifest.digest)
    for path, content in ((release.target_path, release.canonical_json()), (release.packs[0].path, pack)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return release


def release_of_files(
    files: Mapping[str, bytes], bundle_digest: str, stored: Mapping[str, bytes] | None = None
) -> tuple[ReleaseManifest, bytes]:
    """A release with each file as one blob in one pack, and the pack; `stored`: zstd frames in place of files."""
    frames = stored or {}
    blobs: dict[str, StoredBlob] = {}
    pack = b""
    listed = []
    for path, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        listed.append(ReleaseFile(path=path, size_bytes=len(data), sha256=digest, pieces=(digest,)))
        held = frames.get(path, data)
        blobs[digest] = StoredBlob(
            size_bytes=len(data),
            pack=0,
            offset=len(pack),
            stored_bytes=len(held),
            codec="zstd" if path in frames else "none",
        )
        pack += held
    release = ReleaseManifest(
        format_version=1,
        bundle_name="reach",
        bundle_version="1",
        bundle_digest=bundle_digest,
        compatibility=Compatibility(embodiment="sim_arm", joint_digest="0" * 64, schema=1),
        files=tuple(listed),
        blobs=blobs,
        packs=(Pack(sha256=hashlib.sha256(pack).hexdigest(), size_bytes=len(pack)),),
    )
    return release, pack


class Site:
    """A web server over a folder. `answers` has what an attacker says in its place, by path; `asked` what was asked.

    `date_s` is what its clock says, in every answer; None: it does not say.
    """

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.folder = folder
        self.date_s: float | None = None
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(site.folder))

            def do_GET(self) -> None:
                site.asked.append(self.path)
                answer = site.answers.get(self.path)
                if answer is None:
                    super().do_GET()
                else:
                    answer(self)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return "unknown" if site.date_s is None else super().date_time_string(timestamp or site.date_s)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """No longer there for anybody."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def bytes_answer(data: bytes, status: int = 200) -> Answer:
    """Say `data`."""

    def answer(handler: SimpleHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def endless(handler: SimpleHTTPRequestHandler) -> None:
    """Bytes without end."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        return


def trickle(handler: SimpleHTTPRequestHandler) -> None:
    """Ten bytes a second, for as long as anybody listens."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        return


class World:
    """A development hub with two releases (counters 1 and 2), the second assigned to `ROBOT`, and that robot."""

    def __init__(self, folder: Path, now_s: float) -> None:
        self.folder = folder
        self.now_s = now_s
        self.hub = make_development_hub(folder / "hub", now_s)
        self.packed = folder / "packed"
        self.old = self.publish("old")
        self.new = self.publish("new")
        self.assign(self.new, 2)
        self.floor = Floor(folder / "floor")
        self.network = NETWORK

    def serve(self) -> None:
        """Put the hub on the network."""
        self.site = Site(self.hub.folder)

    def copy_to(self, folder: Path) -> World:
        """The same world, keys and all, in another folder."""
        other = copy(self)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other.folder, other.packed = folder, folder / "packed"
        other.hub, other.floor = Hub(folder / "hub"), Floor(folder / "floor")
        return other

    def publish(self, words: str, *, signers: tuple[str, ...] = ("exporter", "approver")) -> ReleaseManifest:
        """Release a bundle, or the same one again under the next counter."""
        release = packed_release(self.packed, words)
        draft, _ = draft_release(self.hub.image.releases(), release.canonical_json(), (HARDWARE,), self.now_s)
        for name in signers:
            self.sign(draft, name)
        self.hub.image.publish_release(draft, self.packed, self.hub.online(), self.now_s)
        return release

    def sign(self, draft: Metadata[Any], name: str) -> None:
        """Add the signature of one of the offline keys."""
        sign_draft(draft, load_signer(self.hub.development_keys / f"{name}.key"))

    def sign_online(self, draft: Metadata[Any], name: str) -> None:
        """Sign with one of the hub's own keys, in place of what was signed before."""
        draft.sign(load_signer(self.hub.folder / "keys" / f"{name}.key"))

    def terms(self, counter: int, **changes: Any) -> AssignmentTerms:
        """Terms for `ROBOT`."""
        values: dict[str, Any] = {
            "robot_id": ROBOT,
            "release_counter": counter,
            "hardware": HARDWARE,
            "not_before_s": int(self.now_s),
            "rollout_id": "rollout-1",
            "probation_s": 600,
        }
        return AssignmentTerms(**{**values, **changes})

    def assign(self, release: ReleaseManifest, counter: int, **changes: Any) -> None:
        """Tell a robot to run a release, as an honest hub does."""
        terms = self.terms(counter, **changes)
        self.hub.director.assign(release.target_path, terms, self.hub.image, self.hub.online(), self.now_s)

    def check(self, now_s: float | None = None) -> Assignment:
        """What the robot makes of it."""
        with HttpTransport(self.network, SystemClock()) as transport:
            return self.trust(transport).check(self.now_s if now_s is None else now_s)

    def trust(self, transport: HttpTransport) -> Trust:
        return Trust(self.settings(), transport, self.floor)

    def settings(self) -> TrustSettings:
        delivered = self.hub.folder / "robot"
        return TrustSettings(
            robot_id=ROBOT,
            hardware=HARDWARE,
            image_url=f"{self.site.url}/image",
            director_url=f"{self.site.url}/director/robots",
            image_root=(delivered / "image.root.json").read_bytes(),
            director_root=(delivered / "director.root.json").read_bytes(),
            folder=self.folder / "metadata",
        )

    def directed(self, robot: str = ROBOT) -> Path:
        """The folder of a robot's director repository."""
        return self.hub.folder / "director" / "robots" / robot / "metadata"

    def steal_director(self, targets: dict[str, TargetFile], robot: str = ROBOT) -> None:
        """Sign an assignment as somebody who has the director's key, and cares for no rule."""
        self.hub.director._publish(robot, targets, self.hub.online(), self.now_s)


@cache
def _first_world() -> tuple[World, TemporaryDirectory[str]]:
    # Made once: a hub's first hour is a hundred files that each wait for the disk.
    folder = TemporaryDirectory()
    return World(Path(folder.name), time.time()), folder


@contextmanager
def world_in(folder: Path, now_s: float | None = None) -> Iterator[World]:
    """A world that ends with the block."""
    world = _first_world()[0].copy_to(folder) if now_s is None else World(folder, now_s)
    world.serve()
    try:
        yield world
    finally:
        world.site.close()
