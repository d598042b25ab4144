"""The hub's process: the application behind a socket, and what is signed online signed anew every hour.

Guarantees: one process serves a hub; connections are bounded and none waits for its peer without end; the operator's
token is made on the first start and readable by the owner alone; a hub whose keys are not there, or whose files are
damaged, goes on serving what is signed, and says so; what it does beside its requests begins again whatever ended it.
"""

from __future__ import annotations

import contextlib
import resource
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from edge_runtime.contracts.errors import ConfigError, StorageError
from edge_runtime.contracts.text import printable
from edge_runtime.storage.durable import make_file
from hub.api.app import make_app
from hub.api.checkup import Checkup
from hub.api.connections import Connections, Limits, Tended, listen
from hub.api.duty import Duty
from hub.api.logs import LOGGING
from hub.db.connection import open_database
from hub.hub import Hub
from hub.lock import serving, writing
from hub.services.uploads import UPLOADS, UPLOADS_KEPT_S, clear_uploads
from hub.storage import storage_refusal
from hub.trouble import SIGNING, Trouble

TOKEN_NAME = "operator_token"
LEAST_TOKEN_CHARACTERS = 32
_LIMITS = Limits()
_FILES_MAX = 2 * (_LIMITS.most + _LIMITS.for_operators) + 200
"""A connection, and the pack that is sent over it; beside them the database and what Python needs."""
REFRESH_EVERY_S = 3600.0
TIDY_EVERY_S = 3600.0
_NAMED = 5
_KEEP_ALIVE_S = 5
_SHUTDOWN_S = 10

Say = Callable[[str], None]


@dataclass(frozen=True)
class ServeSettings:
    """How `edge-hub serve` listens, as options of the command: `--tls-certificate` is `tls_certificate` here."""

    host: str = "127.0.0.1"
    """Address to listen at; the default is for this machine alone. Example: `"0.0.0.0"`."""
    port: int = 8300
    """TCP port; 0: any that is free. Example: `8300`."""
    tls_certificate: Path | None = None
    """Certificate chain (PEM); needs the key. Without both, put a proxy with TLS in front. Example: `"hub.pem"`."""
    tls_key: Path | None = None
    """The certificate's secret key (PEM). Example: `"hub.key"`."""
    refresh_every_s: float = REFRESH_EVERY_S

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError("serve", "--tls-certificate and --tls-key belong together")


def serve(hub: Hub, settings: ServeSettings, say: Say) -> None:
    """Serve until the process is asked to end.

    Raises:
        ConfigError: the token is too short.
        HubError: IN_USE: another process holds the hub's folder.
    """
    with serving(hub.folder), contextlib.ExitStack() as stack:
        with writing(hub.folder, "edge-hub serve"):
            engine = open_database(hub.folder)
            stack.callback(engine.dispose)
            hub.image.clear_spool()
            clear_uploads(hub.folder / UPLOADS, older_than_s=None)
        token = operator_token(hub.folder)
        _allow_files()
        connections = Connections(_LIMITS)
        try:
            listening = listen(settings.host, settings.port, connections)
        except OSError as error:
            problem = f"can't listen there: {error.strerror or error}; choose another --host or --port"
            raise ConfigError(f"{settings.host}:{settings.port}", problem) from error
        stack.callback(listening.close)
        signing = Signing(hub, settings.refresh_every_s, say)
        tidying = Duty("clearing old uploads", lambda: _tidy(hub), TIDY_EVERY_S, say)
        checkup = Checkup(hub, (signing.duty, tidying))
        # Uvicorn's own limit would answer 503 to everybody; and only asyncio's loop asks the listener for connections.
        config = uvicorn.Config(
            Tended(make_app(hub, engine, token, checkup), connections, token),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            proxy_headers=False,  # who a peer is decides how many connections it may have: its address, and no word
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            log_config=LOGGING,
            log_level="warning",
            access_log=False,
            server_header=False,
        )
        config.load()
        stack.enter_context(signing.duty)
        stack.enter_context(tidying)
        port = listening.getsockname()[1]
        say(f"operator's token in {hub.folder / TOKEN_NAME}")
        say(f"serving {hub.folder} on {'http' if config.ssl_certfile is None else 'https'}://{settings.host}:{port}")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def operator_token(folder: Path) -> str:
    """The token in the hub's folder, made if there is none.

    Raises:
        ConfigError: it is too short to keep anybody out.
        StorageError: it can't be made.
    """
    path = folder / TOKEN_NAME
    if not path.exists():
        make_file(path, f"{secrets.token_urlsafe(LEAST_TOKEN_CHARACTERS)}\n".encode(), 0o600)
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


class Signing:
    """Signs anew what is signed online. After a failure what has just been signed is left as it is."""

    def __init__(self, hub: Hub, every_s: float, say: Say) -> None:
        self._hub = hub
        self._every_s = every_s
        self._troubled: frozenset[str] = frozenset()
        self.duty = Duty(SIGNING, self._sign, every_s, say)

    def _sign(self) -> str:
        with writing(self._hub.folder, "edge-hub serve, signing anew"):
            try:
                left_s = self._every_s / 2 if self.duty.problem else 0.0
                troubles = self._hub.sign_anew(time.time(), left_s, self._troubled).troubles
            except (StorageError, OSError) as error:
                troubles = (Trouble(SIGNING, str(storage_refusal(error) or error)),)
        self._troubled = frozenset(trouble.what for trouble in troubles)
        if not troubles:
            return ""
        named = "; ".join(f"{trouble.what}: {printable(trouble.problem)}" for trouble in troubles[:_NAMED])
        more = f"; and {len(troubles) - _NAMED} more" if len(troubles) > _NAMED else ""
        return f"not signed anew, and robots refuse what has expired: {named}{more}"


def _tidy(hub: Hub) -> str:
    with writing(hub.folder, "edge-hub serve, clearing old uploads"):
        clear_uploads(hub.folder / UPLOADS, older_than_s=UPLOADS_KEPT_S)
    return ""
