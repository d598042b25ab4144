"""What a failed system call or database means, by name: no space left, or a fault of the storage. Pure."""

from __future__ import annotations

import errno

from sqlalchemy.exc import DBAPIError

from edge_runtime.contracts.errors import OtaError, OtaRefusal

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FAULTS = frozenset({errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE})


def storage_refusal(error: Exception) -> OtaError | None:
    """The refusal that stands for `error`; None where it is none of the storage."""
    if isinstance(error, OSError):
        if error.errno in _NO_SPACE:
            return OtaError(OtaRefusal.NO_SPACE, str(error))
        return OtaError(OtaRefusal.STORAGE_FAULT, str(error)) if error.errno in _FAULTS else None
    if isinstance(error, DBAPIError):
        refusal = OtaRefusal.NO_SPACE if "disk is full" in str(error.orig) else OtaRefusal.STORAGE_FAULT
        return OtaError(refusal, f"the database: {error.orig}")
    return None
