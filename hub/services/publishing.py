"""Making public what exporter and approver signed: from a folder on this machine, or from what was uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import load
from hub.services.unit_of_work import UnitOfWork
from hub.services.uploads import UPLOADS


class Published(msgspec.Struct, frozen=True):
    """A release that is public since now: its path, and the newest counter that was approved for it."""

    release: str
    counter: int


def draft_in(data: bytes) -> Metadata[Any]:
    """The draft that `data` is.

    Raises:
        SigningError: it is no metadata.
    """
    try:
        draft: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as error:
        raise SigningError("the draft", f"is no metadata: {error}") from error
    return draft


def publish(work: UnitOfWork, draft: Metadata[Any], packed: Path) -> tuple[Published, ...]:
    """Publish a `releases` that both signed, with the manifests and packs in `packed`; returns what is new.

    Raises:
        SigningError: signatures are missing, what was released before is gone or changed, a path is none of a release,
            a file is missing or altered, or no robot could install it. Nothing was announced or written.
        StorageError: nothing was announced.
    """
    image = work.hub.image
    fresh = image.publish_release(draft, packed, work.online(), work.now_s)
    return tuple(Published(path, image.newest(path)) for path in fresh)


def publish_uploaded(work: UnitOfWork, draft: Metadata[Any]) -> tuple[Published, ...]:
    """The same with what was uploaded, which is removed once it is public; raises as `publish`.

    What belongs to another release stays until that is published.
    """
    uploads = work.hub.folder / UPLOADS
    fresh = publish(work, draft, uploads)
    for published in fresh:
        for pack in load(work.hub.image.manifest(published.release)).packs:
            (uploads / pack.path).unlink(missing_ok=True)
        (uploads / published.release).unlink(missing_ok=True)
    return fresh
