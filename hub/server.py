"""The hub's process: the application behind a socket, and what is signed online signed anew every hour.

Guarantees: at most `MAX_CONNECTIONS` at once; the operator's token is made on the first start and readable by the
owner alone; a hub whose keys are not there goes on serving what is signed, and says so.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from contracts.errors import ConfigError, EdgeError
from hub.app import make_app
from hub.db.connection import open_database
from hub.house import Hub
from hub.lock import writing
from hub.storage import storage_refusal

TOKEN_NAME = "operator_token"
LEAST_TOKEN_CHARACTERS = 32
MAX_CONNECTIONS = 1000
_FILES_MAX = 2 * MAX_CONNECTIONS + 200
"""A connection, and the pack that is sent over it; beside them the database and what Python needs."""
REFRESH_EVERY_S = 3600.0
_KEEP_ALIVE_S = 5
_SHUTDOWN_S = 10

Say = Callable[[str], None]


@dataclass(frozen=True)
class ServeSettings:
    """Where to listen. Port 0: any that is free. With certificate and key over TLS."""

    host: str = "127.0.0.1"
    port: int = 8300
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    refresh_every_s: float = REFRESH_EVERY_S

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError("serve", "--tls-certificate and --tls-key belong together")


def serve(hub: Hub, settings: ServeSettings, say: Say) -> None:
    """Serve until the process is asked to end.

    Raises:
        ConfigError: the token is too short.
        SigningError: somebody else holds the hub's folder.
    """
    with writing(hub.folder, "edge-hub serve"):
        engine = open_database(hub.folder)
        for leftover in (hub.folder / "incoming").rglob(".*.new"):
            leftover.unlink(missing_ok=True)  # of uploads that a server did not live to end
    token = operator_token(hub.folder)
    _allow_files()
    config = uvicorn.Config(
        make_app(hub, engine, token),
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    listening = config.bind_socket()
    # From here on a question waits for its answer: whoever reads the line below may ask.
    listening.listen()
    ending = threading.Event()
    refreshing = threading.Thread(target=_keep_fresh, args=(hub, settings.refresh_every_s, ending, say))
    refreshing.start()
    try:
        port = listening.getsockname()[1]
        say(f"operator's token in {hub.folder / TOKEN_NAME}")
        say(f"serving {hub.folder} on {'http' if config.ssl_certfile is None else 'https'}://{settings.host}:{port}")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        ending.set()
        refreshing.join()
        engine.dispose()


def operator_token(folder: Path) -> str:
    """The token in the hub's folder, made if there is none.

    Raises:
        ConfigError: it is too short to keep anybody out.
    """
    path = folder / TOKEN_NAME
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(LEAST_TOKEN_CHARACTERS) + "\n")
    except FileExistsError:
        pass
    token = path.read_text().partition("\n")[0].strip()
    if len(token) < LEAST_TOKEN_CHARACTERS:
        raise ConfigError(str(path), f"a token needs at least {LEAST_TOKEN_CHARACTERS} characters")
    return token


def _allow_files() -> None:
    """As many open files as all connections need, as far as this machine lets its processes."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_MAX if most == resource.RLIM_INFINITY else min(_FILES_MAX, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _keep_fresh(hub: Hub, every_s: float, ending: threading.Event, say: Say) -> None:
    while True:
        try:
            with writing(hub.folder, "edge-hub serve, signing anew"):
                hub.refresh(time.time())
        except (EdgeError, OSError) as error:
            say(f"not signed anew, and robots refuse what has expired: {storage_refusal(error) or error}")
        if ending.wait(every_s):
            return
