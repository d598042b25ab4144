"""A robot's blob store and its way to a web server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import OtaError
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.fetch import BlobFetcher, Fetched, FetchSettings, HeldInStore
from edge_runtime.ota.transfer.retry import Patience
from edge_runtime.ota.transfer.schedule import Progress
from edge_runtime.ota.transfer.staging import Staging, begin
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings
from edge_runtime.testing.web_server import Behaviour, Request, WebServer
from tests.ota.packed_releases import LeapingClock, Packed

STEADY = NetworkSettings()
QUICK = NetworkSettings(connect_s=2.0, silence_s=0.6, least_bytes_s=20_000.0, window_s=0.6)
"""For what is to be too slow. Whoever only waits for an answer is not to fail on a busy machine."""
PATIENCE = Patience(many=4, few=3, progress_bytes=8 * 1024)


class Robot:
    """A store, a way to the server, and what was reported."""

    def __init__(self, root: Path, server: WebServer, **settings: object) -> None:
        self.root = root
        self.store = BlobStore(root)
        self.store.create()
        self.clock = LeapingClock()
        self.network = STEADY
        self.settings = FetchSettings(server.url, **{"patience": PATIENCE, **settings})  # type: ignore[arg-type]
        self.progress: list[Progress] = []
        self.staging: Staging

    def fetch(self, made: Packed) -> Fetched:
        """As after a start of the process: what is missing is found on the disk."""
        self.staging = begin(self.store, made.release)
        with HttpTransport(self.network, self.clock) as transport:
            fetcher = BlobFetcher(transport, self.clock, self.settings, draw=lambda: 1.0)
            return fetcher.fetch(made.release, self.staging, HeldInStore(self.store), self.progress.append)

    def refused(self, made: Packed) -> OtaError:
        """The same, when it has to fail."""
        with pytest.raises(OtaError) as caught:
            self.fetch(made)
        return caught.value


class Site(contextlib.ExitStack):
    """Servers that end with the test, and robots below `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def start(
        self, made: Packed, behave: Callable[[Request], Behaviour | None] | None = None, **settings: object
    ) -> tuple[WebServer, Robot]:
        """A server of `made`, and a robot that lacks all of it."""
        server = self.enter_context(WebServer(made.objects))
        if behave is not None:
            server.behave = behave
        return server, Robot(self._folder / "store", server, **settings)


Start = Callable[..., tuple[WebServer, Robot]]
