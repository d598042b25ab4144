"""What the disk refuses, as the refusal of an update: the one place of this room that knows both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_runtime.contracts.errors import OtaError, OtaRefusal, StorageError, StorageFault
from edge_runtime.storage.faults import storage_errors

_REFUSALS = {StorageFault.NO_SPACE: OtaRefusal.NO_SPACE, StorageFault.DAMAGED: OtaRefusal.TORN_STATE}


@contextmanager
def disk_refusals(path: Path) -> Iterator[None]:
    """Have what the disk refuses in the block raised as an `OtaError`, of `path` where the system names no other.

    `NO_SPACE`: it is full. `TORN_STATE`: no copy of a record is whole. `STORAGE_FAULT`: anything else.
    """
    try:
        with storage_errors(path):
            yield
    except StorageError as error:
        raise OtaError(refusal_of(error.fault), str(error)) from error


def refusal_of(fault: StorageFault) -> OtaRefusal:
    """The refusal that stands for `fault`."""
    return _REFUSALS.get(fault, OtaRefusal.STORAGE_FAULT)
