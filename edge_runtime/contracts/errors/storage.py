"""A disk that does not do what it was asked, or whose bytes are not those that were written."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from edge_runtime.contracts.errors.base import EdgeError


class StorageFault(str, Enum):
    """What is wrong with the storage. Stable strings.

    Attributes:
        is_of_disk: the disk is at fault, or is full: no other file of it can be written either.
        remedy: what to do next, in words.
    """

    NO_SPACE = "no_space"
    READ_ONLY = "read_only"
    FAULT = "fault"
    NOT_PERMITTED = "not_permitted"
    MISSING = "missing"
    IN_THE_WAY = "in_the_way"
    DAMAGED = "damaged"

    def __str__(self) -> str:
        return self.value

    @property
    def is_of_disk(self) -> bool:
        """See the class."""
        return self in (StorageFault.NO_SPACE, StorageFault.READ_ONLY, StorageFault.FAULT)

    @property
    def remedy(self) -> str:
        """See the class."""
        return _REMEDIES[self]


_REMEDIES = {
    StorageFault.NO_SPACE: "make room on that disk, then try again",
    StorageFault.READ_ONLY: "have the disk mounted for writing: after an error the system makes it read-only by itself",
    StorageFault.FAULT: "look at what the system reports of that disk, with `dmesg`",
    StorageFault.NOT_PERMITTED: "run this as a user who may write there, or give this user the right to",
    StorageFault.MISSING: "make the folder, or name another place",
    StorageFault.IN_THE_WAY: "move away what lies there",
    StorageFault.DAMAGED: "put a whole copy of it back, if there is one",
}


class StorageError(EdgeError):
    """A file that can't be written, made to last or read back; what was there before is as it was.

    Attributes:
        fault: the kind, for programs.
        path: the file or folder.
        reason: what the system said of it, or what is wrong with its bytes.
    """

    def __init__(self, fault: StorageFault, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}: {fault.remedy}")
        self.fault = fault
        self.path = path
        self.reason = reason
