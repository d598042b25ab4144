"""The page's token: made once, shown once, kept as a hash in a file that its owner alone may read.

Guarantees that a token is compared in constant time, that a wrong one is answered more and more slowly (never a right
one), and that a new token ends the old one at once, also for a page that runs. Refuses to know HTTP.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edge_runtime.client.run_dir import SERVICE_RUN_DIR
from edge_runtime.contracts.errors import ConfigError, ProcessError

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""No two of them look alike on a phone."""
_GROUPS, _GROUP_CHARS = 5, 4
_FILE = "page_token.json"
_SERVICE_STATE_DIR = Path("/var/lib/edge-runtime")
_MAX_FILE_BYTES = 4096
_WRONG_FREE = 5
_WRONG_WINDOW_S = 60.0
_MAX_ADDRESSES = 256


class TokenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept: salt and SHA-256 of salt and token. A token has 99 random bits, which no dictionary has."""

    format: int
    salt: str
    sha256: str
    made_utc: str


def token_path(run_dir: Path) -> Path:
    """Where the token of the robot in `run_dir` is kept: where a power cut does not end it, if there is one."""
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        return Path(state) / _FILE
    return (_SERVICE_STATE_DIR if run_dir == SERVICE_RUN_DIR else run_dir) / _FILE


def make_token(path: Path) -> str:
    """A new token, whose hash replaces what `path` held; only the caller ever sees the token.

    Raises:
        ProcessError: the file can't be written.
    """
    token = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
    salt = secrets.token_hex(16)
    made_utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
    kept = TokenFile(format=1, salt=salt, sha256=_digest(salt, token), made_utc=made_utc)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            # The umask only takes away, and a group may not read this.
            os.fchmod(file.fileno(), 0o600)
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        problem = f"{path}: {error.strerror}: make the token as the user that the page runs as, or name another file"
        raise ProcessError(f"{problem}: --token-file") from error
    return token


def _digest(salt: str, token: str) -> str:
    return hashlib.sha256(f"{salt}:{normal(token)}".encode("utf-8", "surrogatepass")).hexdigest()


def normal(token: str) -> str:
    """A token as it is compared: however a person typed it, with dashes, spaces or capitals."""
    return "".join(char for char in token.lower() if char not in "- \t\u2013\u2014")


class Tokens:
    """Tells whether a token is the one in `path`, which is read again when it has changed.

    Args:
        path: may be missing: no token is right then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[int, int, int] | None = None
        self._kept: TokenFile | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a token at all."""
        return self._load() is not None

    def is_right(self, token: str) -> bool:
        """Whether it is the one, in a time that does not depend on how much of it is right."""
        kept = self._load()
        salt, expected = (kept.salt, kept.sha256) if kept is not None else ("", "")
        return hmac.compare_digest(_digest(salt, token), expected or "0" * 64) and kept is not None

    def require_usable(self) -> None:
        """Say at start what would otherwise be a page that takes no token.

        Raises:
            ConfigError: the file is there, and is no token of a page, or may be read by others.
        """
        try:
            mode = self.path.stat().st_mode & 0o777
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError("--token-file", f"{self.path}: {error.strerror}") from error
        if mode & 0o077:
            problem = f"{self.path}: may be read by others (mode {mode:o}): chmod 600 {self.path}"
            raise ConfigError("--token-file", problem)
        if self._load() is None:
            problem = f"{self.path} holds no token of a page: make a new one with `edge-runtime page token`"
            raise ConfigError("--token-file", problem)

    def _load(self) -> TokenFile | None:
        try:
            found = self.path.stat()
            key = (found.st_mtime_ns, found.st_ino, found.st_size)
            if key != self._read:
                with self.path.open("rb") as file:
                    kept = msgspec.json.decode(file.read(_MAX_FILE_BYTES), type=TokenFile)
                self._kept = kept if kept.format == 1 and len(kept.sha256) == 64 else None
                self._read = key
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._read, self._kept = None, None
        return self._kept


class Patience:
    """How long a caller who sends wrong tokens has to wait; a right token never waits.

    A token can't be guessed in any time, so this only keeps a guesser from filling logs and processors.
    """

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wrong(self, address: str, now_s: float | None = None) -> float:
        """One more wrong token from `address`; for how many s it is not looked at again, 0 for not at all."""
        now = time.monotonic() if now_s is None else now_s
        times = [at for at in self._wrong.pop(address, []) if now - at < _WRONG_WINDOW_S]
        times.append(now)
        self._wrong[address] = times[-2 * _WRONG_FREE :]
        while len(self._wrong) > _MAX_ADDRESSES:
            self._wrong.popitem(last=False)
        return self.wait_s(address, now)

    def wait_s(self, address: str, now_s: float | None = None) -> float:
        """For how many s tokens from `address` are not looked at unless they are right."""
        now = time.monotonic() if now_s is None else now_s
        times = [at for at in self._wrong.get(address, []) if now - at < _WRONG_WINDOW_S]
        return (
            max(0.0, times[-1] + float(min(2 ** (len(times) - _WRONG_FREE), 30)) - now)
            if len(times) > _WRONG_FREE
            else 0.0
        )
