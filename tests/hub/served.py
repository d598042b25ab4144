"""A hub that runs `edge-hub serve` in a process of its own; an operator; and robots that hold keys."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TextIO

import httpx
from securesystemslib.signer import CryptoSigner

from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.contracts.report import SignedReport, StatusReport
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import Trust, TrustSettings
from edge_runtime.releases.key_files import create_key, load_signer
from edge_runtime.releases.sign import draft_release, sign_draft
from hub.api.server import TOKEN_NAME
from hub.cli import main as edge_hub
from hub.entry import main as edge_hub_command
from hub.hub import Hub, make_development_hub
from tests.ota.repositories import HARDWARE, NETWORK, packed_release

# Loading Python and its libraries takes longer than most tests do with a hub: a process that has them is forked.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["hub.api.server", "hub.cli"])


def _edge_hub(words: list[str], output: Connection) -> None:
    """Be the command with these words, and `output` its standard output."""
    os.dup2(output.fileno(), 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.argv[:] = ["edge-hub", *words]
    edge_hub_command()


def signed(key: CryptoSigner, robot_id: str, nonce: str, **said: Any) -> SignedReport:
    """A report as a robot makes it; `said` overrides what a robot says that was just delivered."""
    usual: dict[str, Any] = {"running_bundle": "shipped", "running_counter": 0, "state": "idle"}
    report = StatusReport(format_version=1, robot_id=robot_id, nonce=nonce, **{**usual, **said})
    signature = key.sign(report.signed_bytes())
    return SignedReport(report=report, key_id=signature.keyid, signature=signature.signature)


class ServedHub:
    """A development hub under `folder` and its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packed = folder / "packed"
        self.hub: Hub = make_development_hub(folder / "hub", time.time())
        self.url = ""
        self._process: ForkServerProcess | None = None
        self._output: TextIO | None = None
        self.http = httpx.Client(timeout=10.0)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self, *options: str, ask: bool = True) -> None:
        heard, output = _FORKS.Pipe(duplex=False)
        words = ["serve", str(self.hub.folder), "--port", "0", *options]
        self._process = _FORKS.Process(target=_edge_hub, args=(words, output), daemon=True)
        self._process.start()
        output.close()
        self._output = os.fdopen(os.dup(heard.fileno()), encoding="utf-8")
        for line in self._output:
            if line.startswith("serving"):
                self.url = line.split()[-1]
                break
        else:
            self._process.join()
            raise AssertionError(f"the server ended with {self._process.exitcode}")
        # The socket listens before the line is said: the first question waits for its answer.
        if ask:
            assert self.http.get(f"{self.url}/health").json() == {"healthy": True}

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End the server; return its status."""
        process = self._process
        if process is None:
            return 0
        assert process.pid is not None
        os.kill(process.pid, by)
        process.join(30.0)
        assert process.exitcode is not None
        assert self._output is not None
        self._output.close()
        self._process = None
        return process.exitcode

    def close(self) -> None:
        self.stop()
        self.http.close()

    @property
    def operator(self) -> dict[str, str]:
        """Headers of whoever has the token."""
        return {"Authorization": f"Bearer {(self.hub.folder / TOKEN_NAME).read_text().strip()}"}

    def enrol(self, robot_id: str) -> CryptoSigner:
        """Make a key for a robot and enrol it, as an operator does while the server runs."""
        create_key(self.folder / "keys", robot_id)
        public = self.folder / "keys" / f"{robot_id}.pub"
        assert edge_hub(["robots", "enrol", str(self.hub.folder), robot_id, str(public)]) == 0
        return load_signer(self.folder / "keys" / f"{robot_id}.key")

    def nonce(self, robot_id: str) -> str:
        return str(self.http.get(f"{self.url}/v1/robots/{robot_id}/nonce").raise_for_status().json()["nonce"])

    def send(self, robot_id: str, data: bytes) -> httpx.Response:
        return self.http.post(f"{self.url}/v1/robots/{robot_id}/reports", content=data)

    def report(self, key: CryptoSigner, robot_id: str, **said: Any) -> httpx.Response:
        """Ask for a nonce and report over it."""
        return self.send(robot_id, signed(key, robot_id, self.nonce(robot_id), **said).canonical_json())

    def draft(self, words: str, signers: tuple[str, ...] = ("exporter", "approver")) -> tuple[ReleaseManifest, bytes]:
        """A release, packed, and the draft that people signed."""
        release = packed_release(self.packed, words)
        draft, _ = draft_release(self.hub.image.releases(), release.canonical_json(), (HARDWARE,), time.time())
        for name in signers:
            sign_draft(draft, load_signer(self.hub.development_keys / f"{name}.key"))
        return release, draft.to_bytes()

    def upload(self, path: str, data: bytes) -> httpx.Response:
        return self.http.put(f"{self.url}/v1/{path}", content=data, headers=self.operator)

    def publish(self, words: str) -> ReleaseManifest:
        """Upload what `edge-export pack` left, and the draft."""
        release, draft = self.draft(words)
        for path in (release.target_path, release.packs[0].path):
            assert self.upload(path, (self.packed / path).read_bytes()).status_code == 204
        answer = self.http.post(f"{self.url}/v1/releases", content=draft, headers=self.operator)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"new": [release.target_path]}
        return release

    def assign(self, told: ReleaseManifest, *robots_told: str, **changes: Any) -> httpx.Response:
        usual = {"release": told.target_path, "robots": robots_told, "hardware": HARDWARE}
        asked = {**usual, **changes}
        return self.http.post(f"{self.url}/v1/assignments", json=asked, headers=self.operator)

    def standings(self) -> dict[str, str]:
        """How each robot stands, as an operator is told."""
        listed = self.http.get(f"{self.url}/v1/robots", headers=self.operator).raise_for_status().json()
        return {status["robot_id"]: status["standing"] for status in listed}

    def trust(self, robot_id: str, transport: HttpTransport) -> Trust:
        delivered = self.hub.folder / "robot"
        settings = TrustSettings(
            robot_id=robot_id,
            hardware=HARDWARE,
            image_url=f"{self.url}/image",
            director_url=f"{self.url}/director/robots",
            image_root=(delivered / "image.root.json").read_bytes(),
            director_root=(delivered / "director.root.json").read_bytes(),
            folder=self.folder / "robots" / robot_id,
        )
        return Trust(settings, transport, Floor(self.folder / "floors" / robot_id))

    def transport(self) -> HttpTransport:
        return HttpTransport(NETWORK, SystemClock())
