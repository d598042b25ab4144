"""A robot that has a second bundle beside the shipped one, and what orders its engine to change between them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import TracebackType

from edge_runtime.bundles.installed import bundle_folder
from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile, Slots
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.topics import POLICY_ORDER
from edge_runtime.contracts.updates import PolicyOrder
from edge_runtime.ipc.bus import Publisher
from edge_runtime.testing.golden_bundles import agree, altered, seal

_OTA = """
[ota]
robot_id = "arm-1"
hardware = "sim_arm"
image_url = "http://127.0.0.1:1/image"
director_url = "http://127.0.0.1:1/director"
image_root = "image.root.json"
director_root = "director.root.json"
store = "store"
"""


def variant_of(bundle: Path, folder: Path, **policy: object) -> Path:
    """A copy of `bundle`, whole by its own manifest, whose policy contract differs in these fields of version 1.

    Golden pairs that it has are those of its own answers, as if it had been trained so.
    """
    shutil.copytree(bundle, folder)
    seal(folder, policy=altered(read_manifest(folder).policy, **policy), version=f"variant {folder.name}")
    return agree(folder, load_config(SIM_CONFIG).embodiment) if (folder / GOLDEN_NAME).exists() else folder


class TwoBundles:
    """The bundles of the robot in `robot_toml`, which gets a section `[ota]` for it; nothing is installed yet.

    Attributes:
        shipped: digest of the bundle that `robot_toml` names.
        root: folder of the pointer and of what is installed.
    """

    def __init__(self, robot_toml: Path) -> None:
        with robot_toml.open("a", encoding="utf-8") as file:
            file.write(_OTA)
        self.config = load_config(robot_toml)
        self.shipped = read_manifest(self.config.bundle_dir).digest
        self.root = robot_toml.parent / "store" / "bundles"
        self.root.mkdir(parents=True)

    def install(self, bundle: Path) -> str:
        """Move `bundle` to where installed ones lie; its digest."""
        digest = read_manifest(bundle).digest
        target = bundle_folder(self.root, digest)
        target.parent.mkdir(parents=True)
        bundle.rename(target)
        return digest

    def folder(self, digest: str) -> Path:
        """Where it lies."""
        return self.config.bundle_dir if digest == self.shipped else bundle_folder(self.root, digest)

    def point(self, active: str, previous: str | None = None, staged: str | None = None) -> None:
        """What the update agent writes: `active` is committed."""

        def slot(digest: str) -> Slot:
            return Slot(SHIPPED if digest == self.shipped else digest)

        named = {name: slot(digest) for name, digest in (("previous", previous), ("staged", staged)) if digest}
        SlotFile(self.root / "slots").write(Slots(active=slot(active), committed=slot(active), **named))


class Orders:
    """Says what the engine should have, as the update agent does; use as a context manager, and tend it often."""

    def __init__(self, run_dir: Path) -> None:
        self._publisher = Publisher(POLICY_ORDER, run_dir)
        self._order: PolicyOrder | None = None
        self._due_s = 0.0

    def give(self, serve: str, standby: str = "") -> int:
        """From now on this is the order; the instant at which it was first said, in ns."""
        now_ns = time.monotonic_ns()
        self._order = PolicyOrder(id=now_ns, serve=serve, standby=standby)
        self._due_s = 0.0
        self.tend()
        return now_ns

    def tend(self) -> None:
        """Say it again, ten times a second."""
        if self._order is not None and time.monotonic() >= self._due_s:
            self._publisher.send(self._order)
            self._due_s = time.monotonic() + 1.0 / POLICY_ORDER.rate_hz

    def __enter__(self) -> Orders:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publisher.close()
