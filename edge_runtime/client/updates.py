"""What a person is told of updates: names of bundles, one line on how an update stands, and what has just happened.

Only reads. Names come from the manifests on this robot's disk; one that is not there is called by the start of its
digest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from edge_runtime.bundles.installed import Installed
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.release import load
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.text import printable
from edge_runtime.contracts.updates import UpdateStatus, WaitsFor

_TOLD = (
    UpdateState.DOWNLOADING,
    UpdateState.VERIFYING,
    UpdateState.BUILDING,
    UpdateState.GOLDEN_CHECK,
    UpdateState.READY,
    UpdateState.PROBATION,
)
"""States whose beginning is worth a line of its own."""

WAITS = {
    WaitsFor.NOTHING: "",
    WaitsFor.REST: 'waits until the robot is disarmed ([ota] activate = "at_rest")',
    WaitsFor.ENGINE: "waits until the engine has loaded it",
}

Name = Callable[[str], str]


def short(digest: str) -> str:
    """A digest as people say it."""
    return digest[:8] or "none"


class Names:
    """What the bundles of one robot are called, also after they are gone from its disk."""

    def __init__(self, config: RobotConfig) -> None:
        self._installed = Installed.of(config)
        self._releases = None if config.ota is None else config.path.parent / config.ota.store / "bundles" / "releases"
        self._known: dict[str, str] = {}

    def bundle(self, digest: str) -> str:
        """The bundle with this digest."""
        if digest and digest not in self._known:
            try:
                manifest = read_manifest(self._installed.folder(digest))
            except EdgeError:
                return short(digest)
            self._known[digest] = f"{manifest.name} {manifest.version} ({short(digest)})"
        return self._known.get(digest, "none")

    def release(self, path: str) -> str:
        """The bundle of the release `path`, as `bundles/<name>/<digest of the release>.json`."""
        if path and path not in self._known:
            self._learn(path)
        return self._known.get(path) or short(PurePosixPath(path).stem)

    def _learn(self, path: str) -> None:
        if self._releases is None:
            return
        try:
            release = load((self._releases / PurePosixPath(path).name).read_bytes())
        except (OSError, EdgeError):
            return
        name = f"{release.bundle_name} {release.bundle_version} ({short(release.bundle_digest)})"
        self._known[path] = self._known[release.bundle_digest] = name


def plain_release(path: str) -> str:
    """What can be said of a release without its robot's disk."""
    name = PurePosixPath(path)
    return f"{name.parent.name} ({short(name.stem)})" if path else "none"


def update_line(update: UpdateStatus | None, release: Name = plain_release) -> str:
    """How the update stands, in one line."""
    if update is None:
        return "agent not running, or silent for a second"
    state = update.state
    if state is UpdateState.IDLE:
        return printable(f"{state.words}: {update.detail or update.reason}".rstrip(": "), None)
    parts = [f"{state.words} {release(update.release)}"]
    if update.bytes_total and state is UpdateState.DOWNLOADING:
        share = update.bytes_done / update.bytes_total
        parts.append(f"{update.bytes_done / 1e6:.1f} of {update.bytes_total / 1e6:.1f} MB, {share:.0%}")
    why = WAITS[update.waits_for] or update.reason
    parts += [text for text in (update.trial, why) if text]
    return printable(", ".join(parts), None)


class UpdateTold:
    """Says, once each, what has happened to the updates of one robot since the last look."""

    def __init__(self, bundle: Name, release: Name) -> None:
        self._bundle = bundle
        self._release = release
        self._last: UpdateStatus | None = None

    def since(self, update: UpdateStatus | None) -> list[str]:
        """What is new, oldest first; nothing on the first look, and while the agent is silent."""
        last, self._last = self._last, update or self._last
        if last is None or update is None:
            return []
        lines = []
        if update.running != last.running:
            running = self._bundle(update.running)
            if update.state.is_tried:
                lines.append(f"update: {running} acts from now on")
            else:
                lines.append(f"update: rolled back to {running}{f': {update.reason}' if update.reason else ''}")
        elif last.state.is_tried and update.state.is_settled and last.state is not UpdateState.COMMITTED:
            lines.append(f"update: {self._bundle(update.running)} has proven itself: committed")
        if update.state != last.state and update.state in _TOLD:
            lines.append(f"update: {update.state.words} {self._release(update.release)}".rstrip(":"))
        if update.state is UpdateState.FAILED and not (last.state.is_given_up or last.state.is_tried):
            why = ", ".join(text for text in (update.reason, update.detail) if text)
            lines.append(f"update: given up {self._release(update.release)}{f': {why}' if why else ''}")
        return [printable(line, None) for line in lines]
