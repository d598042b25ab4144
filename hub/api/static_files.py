"""What of the hub's folder is public, and for how long each file may be kept by whoever stands in between.

Guarantees: only what the list names is ever read, so that keys, drafts and the database stay where they are whatever a
URL says; a file whose name holds its hash is immutable. A CDN or an object store with the same rules does as well: the
robots take no server's word for anything. Pure but for `read_public`, which reads.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from starlette.responses import FileResponse, Response

from hub.api.declined import decline

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}"
_HASH = r"[0-9a-f]{64}"
_IMMUTABLE = "public, max-age=31536000, immutable"
# A snapshot that a power cut left unannounced is replaced by the next one of its number: caches forget it in time.
_VERSIONED = "public, max-age=3600"
_FRESH = "public, max-age=60"
NOT_THERE = _FRESH
"""Of a 404: robots ask for the next root until there is one."""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"image/targets/packs/{_HASH}\.pack"), _IMMUTABLE),
    (re.compile(rf"image/targets/bundles/{_NAME}/{_HASH}\.{_HASH}\.json"), _IMMUTABLE),
    (re.compile(r"image/metadata/[0-9]{1,10}\.(root|targets|snapshot|releases)\.json"), _VERSIONED),
    (re.compile(r"image/metadata/timestamp\.json"), _FRESH),
    (re.compile(rf"director/robots/{_NAME}/metadata/[0-9]{{1,10}}\.(root|targets|snapshot)\.json"), _VERSIONED),
    (re.compile(rf"director/robots/{_NAME}/metadata/timestamp\.json"), _FRESH),
)


def cache_control(path: str) -> str | None:
    """How long `path`, below the hub's folder, may be kept; None: it is not public."""
    return next((rule for pattern, rule in _RULES if pattern.fullmatch(path)), None)


def read_public(folder: Path, path: str, if_none_match: str | None) -> Response:
    """The answer to a GET or HEAD for `path`; ranges are up to the response, which knows the request."""
    rule = cache_control(path)
    place = folder / path
    if rule is None or not place.is_file():
        return decline(404, "not_found", "there is none, or it is not public", {"Cache-Control": NOT_THERE})
    if rule == _IMMUTABLE:
        tag = f'"{_hash_in(path)}"'
        if _matches(if_none_match, tag):
            return _not_modified(tag, rule)
        kind = "application/json" if path.endswith(".json") else "application/octet-stream"
        return FileResponse(place, headers={"Cache-Control": rule, "ETag": tag}, media_type=kind)
    # Metadata is small, and read whole at once: it may be replaced while it is sent.
    data = place.read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    if _matches(if_none_match, tag):
        return _not_modified(tag, rule)
    return Response(data, headers={"Cache-Control": rule, "ETag": tag}, media_type="application/json")


def _hash_in(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _matches(if_none_match: str | None, tag: str) -> bool:
    if if_none_match is None:
        return False
    return any(given.strip().removeprefix("W/") in (tag, "*") for given in if_none_match.split(","))


def _not_modified(tag: str, rule: str) -> Response:
    return Response(status_code=304, headers={"Cache-Control": rule, "ETag": tag})
