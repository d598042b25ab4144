"""How far the scrub of a robot's bundles is, and what it found: on disk, for the scrub itself and for people.

Guarantees: whole after a power cut. What cannot be read is as at first, and costs reading the bundles again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_runtime.bundles.slots import SHIPPED
from edge_runtime.storage.durable import replace_file

_NAME = "scrub.json"
_MAX_BYTES = 2_000_000


class ScrubState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a scrub is, on disk. Bundles are named as in the slots.

    Attributes:
        ended_s: when everything had been read last, Unix time; 0: never.
        bundle, part: what is being read, and the next part of it; empty: nothing.
        read: bundles that were read since `ended_s`.
        releases: where each bundle's release lies at the hub, learnt while its own copy was whole.
        altered: files that are not as released, by bundle. Without a file: the bundle's release is gone.
        tries, retry_s: how often healing has failed in a row, and when it is tried again, Unix time.
        problem: why it failed.
    """

    ended_s: float = 0.0
    bundle: str = ""
    part: int = 0
    read: tuple[str, ...] = ()
    releases: dict[str, str] = msgspec.field(default_factory=dict)
    altered: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    tries: int = 0
    retry_s: float = 0.0
    problem: str = ""


def read_state(folder: Path) -> ScrubState:
    """How far the scrub of the agent in `folder` is; as at first where that cannot be read."""
    try:
        with (folder / _NAME).open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=ScrubState)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ScrubState()


def write_state(folder: Path, state: ScrubState) -> None:
    """Keep it.

    Raises:
        StorageError: what was kept before is there.
    """
    replace_file(folder / _NAME, msgspec.json.encode(state))


def words_of(state: ScrubState) -> tuple[str, ...]:
    """What is altered, one line per bundle."""
    lines = []
    for bundle, paths in state.altered.items():
        name = "the shipped bundle" if bundle == SHIPPED else bundle
        files = f"{len(paths)} files, {paths[0]} first" if len(paths) > 1 else "".join(paths) or "its list of files"
        lines.append(f"{name}: {files}")
    return tuple(lines)
