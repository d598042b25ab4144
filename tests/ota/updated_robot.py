"""A hub, a web server and a robot's update agent, all real, with bundles of kilobytes whose engine really runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.assignment import AssignmentTerms
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.golden import GOLDEN_FORMAT, GOLDEN_NAME, picture_key
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
from edge_runtime.contracts.manifest.version_1 import Normalization
from edge_runtime.contracts.messages import Observation
from edge_runtime.contracts.release import Compatibility, ReleaseManifest
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.ota.agent.agent import Agent
from edge_runtime.ota.agent.assembly import installer
from edge_runtime.ota.agent.settings import AgentSettings, settings_of
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.transfer.retry import Patience
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.pack import pack_bundle
from edge_runtime.releases.sign import draft_release, sign_draft
from edge_runtime.testing.web_server import FolderObjects, WebServer
from hub.hub import make_development_hub
from tests import onnx_bundle
from tests.engine.conftest import HORIZON, MAX_TOKENS, WORDS, _encode
from tests.settings import copy_settings

ROBOT, HARDWARE = "arm-1", "sim_arm"
CASES = 3
IMPATIENT = Patience(many=1, few=1, first_wait_s=0.05, longest_wait_s=0.1, without_progress_s=2.0)

Plans = np.ndarray


def toy_bundle(
    folder: Path,
    embodiment: Embodiment,
    version: str,
    *,
    spoil: Callable[[Plans], Plans] = lambda plans: plans,
    golden: bool = True,
) -> Path:
    """A bundle whose golden plans are what its own engine says, or what `spoil` makes of them."""
    width = len(embodiment.axes)
    statistics = Normalization(mean=(0.01 * int(version),) * width, std=(0.1,) * width)
    onnx_bundle.write(
        folder,
        embodiment,
        _encode(width),
        horizon=HORIZON,
        words=WORDS,
        max_tokens=MAX_TOKENS,
        changes={"action_normalization": statistics},
    )
    manifest = read_manifest(folder)
    parity = msgspec.structs.replace(manifest.parity, bound_p99_rad=0.001)
    manifest = msgspec.structs.replace(manifest, name="toy", version=version, parity=parity)
    write_manifest(folder, manifest)
    if golden:
        _add_pairs(folder, embodiment, spoil)
        blobs = (*manifest.blobs, blob_of(folder, GOLDEN_NAME))
        write_manifest(folder, msgspec.structs.replace(manifest, blobs=blobs))
    return folder


def _add_pairs(folder: Path, embodiment: Embodiment, spoil: Callable[[Plans], Plans]) -> None:
    policy = BundlePolicy.load(folder, embodiment, threads=1)
    draw = np.random.default_rng(1)
    side = onnx_bundle.SIDE_PX
    # Darker than half, where this policy gives numbers.
    pictures = {name: draw.integers(0, 100, (CASES, side, side, 3), dtype=np.uint8) for name in onnx_bundle.CAMERAS}
    state = np.array([*embodiment.home[:-1], 0.02]) + draw.uniform(0.0, 0.01, (CASES, len(embodiment.axes)))
    plans = []
    for case in range(CASES):
        seen = Observation(
            sequence=0,
            exposure_ns=0,
            published_ns=0,
            joint_digest=embodiment.joint_digest,
            position=tuple(state[case].tolist()),
            velocity=(0.0,) * len(embodiment.axes),
            frames=(),
        )
        answer = policy.answer_pictures(seen, {name: array[case] for name, array in pictures.items()}, "touch the cube")
        plans.append(answer)
    words = np.array(["touch the cube"] * CASES)
    arrays = {picture_key(name): array for name, array in pictures.items()}
    arrays |= {"format": np.array(GOLDEN_FORMAT), "action_dt_ns": np.array(read_manifest(folder).policy.action_dt_ns)}
    np.savez(folder / GOLDEN_NAME, state=state, plan=spoil(np.stack(plans)), instruction=words, **arrays)  # type: ignore[arg-type]


class Scene:
    """One hub, one server, one robot with version 0 shipped."""

    def __init__(self, folder: Path, server: WebServer, now_s: float) -> None:
        self.folder, self.server, self.now_s = folder, server, now_s
        self.hub = make_development_hub(folder / "hub", now_s)
        server.objects = FolderObjects(folder / "hub")
        self.config_path = self._configure()
        self.config = load_config(self.config_path)
        self.embodiment = self.config.embodiment
        self.shared = Shared()

    def report_to(self, url: str, key: Path) -> None:
        """From now on the robot tells a hub how it is."""
        self.set(f"report_url = {json.dumps(url)}\nrobot_key = {json.dumps(str(key))}")

    def set(self, lines: str) -> None:
        """Add to the robot's settings; the last section is `[ota]`."""
        with self.config_path.open("a", encoding="utf-8") as file:
            file.write(f"\n{lines}\n")
        self.config = load_config(self.config_path)

    def _configure(self) -> Path:
        home = self.folder / "robot"
        home.mkdir()
        path = copy_settings(home)
        (home / "bundle").rmdir()
        embodiment = read_embodiment(home / "embodiment.toml")
        toy_bundle(home / "bundle", embodiment, "0")
        for name in ("image", "director"):
            root = self.hub.folder / "robot" / f"{name}.root.json"
            (home / root.name).write_bytes(root.read_bytes())
        section = {
            "robot_id": ROBOT,
            "hardware": HARDWARE,
            "image_url": f"{self.server.url}/image",
            "director_url": f"{self.server.url}/director/robots",
            "image_root": "image.root.json",
            "director_root": "director.root.json",
            "store": "store",
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in section.items()]
        path.write_text("\n".join([path.read_text(encoding="utf-8"), "[ota]", *lines, "check_interval_s = 1.0"]))
        return path

    def publish(
        self,
        bundle: Path,
        narrow: Callable[[Compatibility], Compatibility] = lambda compatibility: compatibility,
    ) -> ReleaseManifest:
        """Pack, have two people sign, publish."""
        packed = self.folder / "packed"
        release = pack_bundle(bundle, packed, narrow=narrow)
        draft, _ = draft_release(self.hub.image.releases(), release.canonical_json(), (HARDWARE,), self.now_s)
        for name in ("exporter", "approver"):
            sign_draft(draft, load_signer(self.hub.development_keys / f"{name}.key"))
        self.hub.image.publish_release(draft, packed, self.hub.online(), self.now_s)
        return release

    def assign(self, release: ReleaseManifest, counter: int, not_before_s: int = 0, probation_s: int = 600) -> None:
        """Tell the robot to run it."""
        terms = AssignmentTerms(
            robot_id=ROBOT,
            release_counter=counter,
            hardware=HARDWARE,
            not_before_s=not_before_s,
            rollout_id="rollout-1",
            probation_s=probation_s,
        )
        self.hub.director.assign(release.target_path, terms, self.hub.image, self.hub.online(), self.now_s)

    def bundle(
        self, version: str, *, spoil: Callable[[Plans], Plans] = lambda plans: plans, golden: bool = True
    ) -> Path:
        """A new bundle for this robot."""
        return toy_bundle(self.folder / f"bundle-{version}", self.embodiment, version, spoil=spoil, golden=golden)

    @property
    def shipped_digest(self) -> str:
        """Of the bundle that came with the software."""
        return read_manifest(self.config.bundle_dir).digest

    @property
    def packs_asked(self) -> int:
        """How often a pack was asked for."""
        return sum("/packs/" in request.path for request in self.server.requests)

    @property
    def settings(self) -> AgentSettings:
        """Of the robot, with patience that fits a test."""
        settings = settings_of(self.config)
        fetch = type(settings.fetch)(settings.fetch.base_url, patience=IMPATIENT)
        return type(settings)(**{**vars(settings), "fetch": fetch})

    @contextmanager
    def agent(
        self, settings: AgentSettings | None = None, *, is_busy: Callable[[], bool] = never
    ) -> Iterator[tuple[Agent, Runner]]:
        """The part of the agent that takes turns, as its process sets it up, recovered; the engine obeys."""
        with installer(
            self.config,
            settings or self.settings,
            ObedientEngine(),
            must_wait=is_busy,
            shared=self.shared,
            patience=IMPATIENT,
        ) as parts:
            parts.runner.recover()
            yield parts.agent, parts.runner


class ObedientEngine:
    """Does at once what it is told, for tests that are not about it."""

    def serve(self, _bundle: str, _standby: str) -> bool:
        """It does."""
        return True

    def return_to(self, _bundle: str) -> bool:
        """It does."""
        return True
