"""Which files of a metadata folder are metadata: `N.role.json`, N without leading zeros. All others are nobody's."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NUMBERED = re.compile(r"([1-9][0-9]{0,9})\.([a-z]+)\.json")
_NEAR = 1000
"""So far above what is known a number is still believed: what a power cut left is the next one."""


def versions_of(folder: Path, role: str) -> list[int]:
    """The versions of a role that lie in `folder`, ascending; none where there is no folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = (_NUMBERED.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in found if match and match[2] == role)


def newest_in_turn(folder: Path, role: str) -> int | None:
    """The last version of those that follow the first without a gap, as robots ask for them; None: there is none."""
    versions = versions_of(folder, role)
    if not versions:
        return None
    newest = versions[0]
    for version in versions[1:]:
        if version != newest + 1:
            break
        newest = version
    return newest


def highest_near(folder: Path, role: str, known: int) -> int:
    """The highest version in `folder` that is not absurdly far above `known`, and at least that."""
    return max((version for version in versions_of(folder, role) if version <= known + _NEAR), default=known)
