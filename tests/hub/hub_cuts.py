"""Cuts the power of an `edge-hub` command at chosen system calls, and says what must hold after each.

The commands run in processes that a warm one forks, and strace takes hold of them before they begin. A cut is SIGKILL
on entering a system call that changes the disk.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import time
from collections import Counter
from pathlib import Path

from edge_runtime.contracts.assignment import AssignmentTerms
from edge_runtime.contracts.errors import OtaError, OtaRefusal, StorageFault
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import Trust, TrustSettings
from edge_runtime.releases.key_files import load_public, load_signer
from edge_runtime.releases.sign import draft_release, newest_releases, sign_draft, write_draft
from hub.cli import main as edge_hub
from hub.hub import Hub, make_development_hub
from hub.tuf.keys import revoke
from tests.ota.power_cut import CHANGING, Point
from tests.ota.repositories import HARDWARE, NETWORK, Site, packed_release
from tests.warm import Warm

AGED_S, TIMESTAMP_AGED_S = 4 * 86_400, 0.9 * 86_400
"""How old the hub is: all that is signed online is due, and still good."""
DONE, REFUSED, STORAGE_REFUSED = 0, 1, 3

COMMANDS = {
    "refresh": "refresh {0}/hub",
    "approve": "approve {0}/draft.json --key {0}/hub/development_keys/approver.key",
    "publish": "publish {0}/hub {0}/approved.json {0}/packed",
    "assign": f"assign {{0}}/hub {{1}} --robot arm-1 --robot arm-2 --not-enrolled --hardware {HARDWARE}",
    "install": "keys install {0}/hub image {0}/root.json {0}/targets.json",
    "init": "init {0}/other",
}
"""What is cut, as it is typed. {0}: the folder of it all; {1}: the release that is there."""

_MEANWHILE = {"install": OtaRefusal.UNDER_THRESHOLD}
"""Why robots may take nothing until a command is done: a key is taken away, and what it signed is not replaced yet."""


class Starts:
    """The folder that every command starts in, with what a robot knows; `aged`: before anything was signed anew."""

    def __init__(self, folder: Path, site: Site) -> None:
        now_s = time.time()
        self.aged, self.fresh = folder / "aged", folder / "fresh"
        hub = make_development_hub(self.aged / "hub", now_s - AGED_S)
        self.release = self._publish(hub, "first", now_s - AGED_S)
        hub.director.assign(self.release.target_path, _terms(1), hub.image, hub.online(), now_s - AGED_S)
        hub.refresh(now_s - TIMESTAMP_AGED_S)
        assert Robots(self, site, self.aged).counter(self.aged / "robot") == 1
        shutil.copytree(self.aged, self.fresh)
        hub = Hub(self.fresh / "hub")
        hub.refresh(now_s)
        assert Robots(self, site, self.fresh).counter(self.fresh / "robot") == 1
        self.second = packed_release(self.fresh / "packed", "second")
        draft, _ = draft_release(hub.image.releases(), self.second.canonical_json(), (HARDWARE,), now_s)
        _sign(hub, draft, "exporter")
        write_draft(self.fresh / "draft.json", draft)
        _sign(hub, draft, "approver")
        write_draft(self.fresh / "approved.json", draft)
        # A key that the root names is lost: root and targets are signed anew, and belong together.
        keys = hub.development_keys
        drafts = revoke(
            load_public(keys / "targets-1.pub").keyid,
            load_public(keys / "targets-3.pub"),
            root=hub.image.metadata.root(),
            targets=hub.image.metadata.role("targets"),
            releases=None,
            now_s=now_s,
        )
        _sign(hub, drafts["root"], "image-root-1", "image-root-2")
        _sign(hub, drafts["targets"], "targets-2", "targets-3")
        for name, signed in drafts.items():
            write_draft(self.fresh / f"{name}.json", signed)

    def _publish(self, hub: Hub, words: str, now_s: float) -> ReleaseManifest:
        packed = self.aged / "packed"
        release = packed_release(packed, words)
        for _ in range(2):  # under a second counter too, which nobody is told yet
            draft, _ = draft_release(hub.image.releases(), release.canonical_json(), (HARDWARE,), now_s)
            _sign(hub, draft, "exporter", "approver")
            hub.image.publish_release(draft, packed, hub.online(), now_s)
        return release

    def of(self, phase: str) -> Path:
        """Where `phase` starts."""
        return self.aged if phase == "refresh" else self.fresh

    def words(self, phase: str, work: Path) -> list[str]:
        """The command line of `phase` in `work`."""
        return shlex.split(COMMANDS[phase].format(work, self.release.target_path))


def _terms(counter: int) -> AssignmentTerms:
    return AssignmentTerms(
        robot_id="arm-1",
        release_counter=counter,
        hardware=HARDWARE,
        not_before_s=0,
        rollout_id="manual",
        probation_s=600,
    )


def _sign(hub: Hub, draft: object, *names: str) -> None:
    for name in names:
        sign_draft(draft, load_signer(hub.development_keys / f"{name}.key"))  # type: ignore[arg-type]


def command(words: list[str]) -> int:
    """Run an `edge-hub` command without a word; its exit status, or that the disk refused."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = edge_hub(words)
    named = any(said.getvalue().endswith(f": {fault.remedy}\n") for fault in StorageFault if fault.is_of_disk)
    return STORAGE_REFUSED if status and named else status


class Robots:
    """Robots that ask the hub in `work` over HTTP: one that knows it from before, and new ones."""

    def __init__(self, starts: Starts, site: Site, work: Path) -> None:
        self._starts, self._url, self._work = starts, f"{site.url}/{work.name}/hub", work

    def require_sound(self, phase: str) -> None:
        """Both are told the same, what was or what is to be; or they take nothing, by name, until it is done."""
        veteran, newcomer = self.counter(self._work / "robot"), self.counter(self._work / "newcomer")
        assert veteran == newcomer
        assert veteran == 1 or (phase == "assign" and veteran == 2) or veteran is _MEANWHILE.get(phase), veteran

    def counter(self, home: Path) -> int | OtaRefusal:
        """The release counter that a robot with this memory is told, or why it takes nothing."""
        delivered = self._starts.aged / "hub" / "robot"
        settings = TrustSettings(
            robot_id="arm-1",
            hardware=HARDWARE,
            image_url=f"{self._url}/image",
            director_url=f"{self._url}/director/robots",
            image_root=(delivered / "image.root.json").read_bytes(),
            director_root=(delivered / "director.root.json").read_bytes(),
            folder=home / "metadata",
        )
        with HttpTransport(NETWORK, SystemClock()) as transport:
            try:
                trust = Trust(settings, transport, Floor(home / "floor"))
                return trust.check(time.time()).terms.release_counter
            except OtaError as error:
                return error.refusal


class Field:
    """Where commands are cut: one start for all, a web server over the folders of all cuts.

    Raises PermissionError where strace may not take hold of processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._warm = folder, Warm("tests.hub.hub_cuts:command")
        self._warm.run(["init", str(folder / "tried")], "-o", "/dev/null")
        self._site = Site(folder)
        self._starts = Starts(folder, self._site)
        self._cuts = 0

    def close(self) -> None:
        """End the web server."""
        self._site.close()

    def points_of(self, phase: str) -> list[Point]:
        """Every system call of a phase that changes the disk."""
        work, log = self._folder / "clean", self._folder / "strace"
        shutil.copytree(self._starts.of(phase), work)
        done = self._warm.run(self._starts.words(phase, work), "-o", str(log), "-e", f"trace={CHANGING}")
        assert done.status == DONE, done.said
        shutil.rmtree(work)
        seen: Counter[str] = Counter()
        points = []
        for name in re.findall(r"^\d+ +(\w+)\(", log.read_text(), flags=re.MULTILINE):
            seen[name] += 1
            points.append((name, seen[name]))
        return points

    def cut(self, phase: str, point: Point, fault: str) -> int:
        """Run a phase with a fault (``signal=KILL``, ``error=EIO``) at `point`; hold what must hold after.

        Returns the exit status of the command that was cut.
        """
        self._cuts += 1
        work = self._folder / f"{phase}-{self._cuts}"
        shutil.copytree(self._starts.of(phase), work)
        name, number = point
        inject = ("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{fault}:when={number}")
        status = self._warm.run(self._starts.words(phase, work), *inject).status
        robots = Robots(self._starts, self._site, work)
        robots.require_sound(phase)
        require_goes_on(self._starts, phase, work, robots)
        shutil.rmtree(work)
        return status


def require_goes_on(starts: Starts, phase: str, work: Path, robots: Robots) -> None:
    """The same command works again, and then a release after it, all the way to the robots; nothing is left over."""
    hub = Hub(work / "hub")
    is_done = {
        "publish": hub.image.metadata.role("releases").signed.version == 3,
        "install": hub.image.metadata.role("targets").signed.version == 2,
        "init": (work / "other" / "image" / "metadata" / "timestamp.json").exists(),
    }
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        again = edge_hub(starts.words(phase, work))
        assert again == (REFUSED if is_done.get(phase) else DONE), said.getvalue()
        for made in (hub.folder, *work.glob("other")):
            assert edge_hub(["refresh", str(made)]) == DONE
        third = packed_release(work / "packed", "third")
        # As the exporter does it, who sees the hub's public files alone.
        published = newest_releases(hub.folder / "image" / "metadata")
        draft, counter = draft_release(published, third.canonical_json(), (HARDWARE,), time.time())
        _sign(hub, draft, "exporter", "approver")
        write_draft(work / "third.json", draft)
        assert edge_hub(["publish", str(hub.folder), str(work / "third.json"), str(work / "packed")]) == DONE
        assign = [
            "assign",
            str(hub.folder),
            third.target_path,
            "--hardware",
            HARDWARE,
            "--robot",
            "arm-1",
            "--not-enrolled",
        ]
        assert edge_hub(assign) == DONE, said.getvalue()
    assert robots.counter(work / "robot") == robots.counter(work / "another") == counter
    assert not list(work.glob("*/**/*.new"))
