"""What a failed write or database means to whoever asked the hub: its refusal, by name. Pure."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from edge_runtime.contracts.errors import HubError, HubRefusal, StorageError, StorageFault
from edge_runtime.storage.faults import fault_of, storage_error


def storage_refusal(error: Exception) -> HubError | None:
    """The refusal that stands for `error`; None where it is none of the storage."""
    if isinstance(error, StorageError):
        return _refusal(error.fault, str(error.path), error.reason)
    if isinstance(error, OSError):
        # Of the others it is not known that the hub's own disk is meant.
        return storage_refusal(storage_error(error, Path("the disk"))) if ends_all(error) else None
    if isinstance(error, DBAPIError):
        fault = StorageFault.NO_SPACE if "disk is full" in str(error.orig) else StorageFault.FAULT
        return _refusal(fault, "the database", str(error.orig))
    return None


def ends_all(error: Exception) -> bool:
    """Whether the disk takes nothing more, for anybody; else `error` concerns only what was about to be written."""
    fault = error.fault if isinstance(error, StorageError) else fault_of(error) if isinstance(error, OSError) else None
    return fault is not None and fault.is_of_disk


def _refusal(fault: StorageFault, subject: str, reason: str) -> HubError:
    refusal = HubRefusal.NO_SPACE if fault is StorageFault.NO_SPACE else HubRefusal.STORAGE_FAULT
    return HubError(refusal, subject, f"{reason}: {fault.remedy}")
