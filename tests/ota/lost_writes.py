"""What a disk may hold after the power was cut: a log of real system calls replayed on a model of a file system.

The model is as mean as POSIX allows: data of a file lasts when that file was fsynced, an entry of a folder when that
folder was. Of everything else any part may be there, in any order, and of a write any of its blocks of 512 bytes. A
rename is atomic, and lasts with the folder that it leads to.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.ota import power_cut

BLOCK_BYTES = 512
TRACED = f"{power_cut.CHANGING},openat,close"
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_ARGUMENT = re.compile(r'\s*(?:"((?:\\x[0-9a-f]{2})*)"|([^,"]+))(?:,|$)')


class Change(NamedTuple):
    """One change, to `node` (a file or, for entries, a folder): what `apply` does."""

    kind: str
    node: int
    name: str = ""
    target: int = -1
    source: int = -1
    source_name: str = ""
    offset_bytes: int = 0
    data: bytes = b""


class Disk:
    """Files and folders by number; 0 is the folder of the exercise."""

    def __init__(self) -> None:
        self.files: dict[int, bytearray] = {}
        self.folders: dict[int, dict[str, int]] = {0: {}}

    def copy(self) -> Disk:
        """Another disk with the same content."""
        other = Disk()
        other.files = {number: bytearray(data) for number, data in self.files.items()}
        other.folders = {number: dict(entries) for number, entries in self.folders.items()}
        return other

    def apply(self, change: Change, blocks: random.Random | None = None) -> None:
        """Make a change; with `blocks`, a write leaves out some of its blocks."""
        node, name = change.node, change.name
        if change.kind in ("entry", "folder"):
            self.folders.setdefault(node, {})[name] = change.target
            if change.kind == "folder":
                self.folders.setdefault(change.target, {})
        elif change.kind == "remove":
            self.folders.setdefault(node, {}).pop(name, None)
        elif change.kind == "move":
            source = self.folders.setdefault(change.source, {})
            if source.get(change.source_name) == change.target:
                del source[change.source_name]
            self.folders.setdefault(node, {})[name] = change.target
        else:
            file = self.files.setdefault(node, bytearray())
            end = change.offset_bytes + len(change.data)
            if change.kind == "cut":
                del file[change.offset_bytes :]
                end = change.offset_bytes
            file.extend(bytes(max(0, end - len(file))))
            for start in range(0, len(change.data), BLOCK_BYTES):
                if blocks is None or blocks.random() < 0.5:
                    part = change.data[start : start + BLOCK_BYTES]
                    file[change.offset_bytes + start : change.offset_bytes + start + len(part)] = part

    def write_to(self, folder: Path) -> None:
        """Make the content real, with its hard links."""
        written: dict[int, Path] = {}
        open_folders = [(0, folder)]
        while open_folders:
            number, path = open_folders.pop()
            path.mkdir(exist_ok=True)
            for name, node in self.folders.get(number, {}).items():
                if node in self.folders:
                    open_folders.append((node, path / name))
                elif node in written:
                    os.link(written[node], path / name)
                else:
                    (path / name).write_bytes(self.files.get(node, b""))
                    written[node] = path / name


class Log:
    """The changes and fsyncs of one phase: (change, None) or (None, fsynced file or folder), in order."""

    def __init__(self, start: Path, phase: str, scratch: Path) -> None:
        self._top = power_cut.copy(start, scratch)
        self.before = Disk()
        self._now = Disk()
        self.events: list[tuple[Change | None, int]] = []
        self._next = 1
        self._read_disk()
        path = scratch.with_suffix(".calls")
        done = power_cut.exercise(scratch, phase, "-o", str(path), "-xx", "-s", "1000000", "-e", f"trace={TRACED}")
        assert done.status == 0, done.said
        descriptors: dict[str, int] = {}
        for line in path.read_text().splitlines():
            found = _CALL.match(line)
            if found and not found[3].startswith("-"):
                arguments = [
                    word.strip() if word else bytes.fromhex(text.replace("\\x", ""))
                    for text, word in _ARGUMENT.findall(found[2])
                ]
                self._replay(found[1], arguments, found[3], descriptors)
        replayed = scratch.with_suffix(".replayed")
        self._now.write_to(replayed)
        assert _listing(replayed) == _listing(scratch), "the log does not account for what is on the disk"

    def _read_disk(self) -> None:
        numbers: dict[int, int] = {}

        def read(folder: Path, number: int) -> None:
            self.before.folders[number] = {}
            for path in sorted(folder.iterdir()):
                if path.is_symlink():
                    continue
                node = numbers.setdefault(path.stat().st_ino, self._number())
                self.before.folders[number][path.name] = node
                if path.is_dir():
                    read(path, node)
                else:
                    self.before.files[node] = bytearray(path.read_bytes())

        read(self._top, 0)
        self._now = self.before.copy()

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _do(self, change: Change) -> None:
        self._now.apply(change)
        self.events.append((change, -1))

    def _find(self, path: str, base: int = 0) -> tuple[int, str, int] | None:
        """Folder, name and node (-1: none) of a path; None if it is not in the exercise."""
        if path.startswith("/"):
            top = f"{self._top}/"
            if not path.startswith(top):
                return None
            path = path[len(top) :]
        *above, name = path.split("/")
        for part in above:
            node = self._now.folders[base].get(part, -1)
            if node not in self._now.folders:
                return None
            base = node
        return base, name, self._now.folders[base].get(name, -1)

    def _replay(self, call: str, arguments: list[bytes | str], result: str, descriptors: dict[str, int]) -> None:
        paths: list[tuple[int, str, int] | None] = []
        base = 0
        for argument in arguments:
            if isinstance(argument, bytes):
                paths.append(self._find(argument.decode(errors="replace"), base) if "write" not in call else None)
            elif call.endswith("at") and argument in descriptors:
                base = descriptors[argument]
        node = descriptors.get(str(arguments[0]), -1)
        if call == "openat":
            if isinstance(arguments[1], bytes) and arguments[1].decode(errors="replace") == str(self._top):
                descriptors[result] = 0
            else:
                self._open(paths[0], str(arguments[2]), result, descriptors)
        elif call == "close":
            descriptors.pop(str(arguments[0]), None)
        elif call in ("write", "pwrite64") and node >= 0:
            assert call == "pwrite64"
            assert isinstance(arguments[1], bytes)
            self._do(Change("write", node, offset_bytes=int(arguments[3]), data=arguments[1][: int(result)]))
        elif call == "fallocate" and node >= 0:
            size = int(arguments[2]) + int(arguments[3])
            self._do(Change("grow", node, offset_bytes=size))
        elif call == "ftruncate" and node >= 0:
            self._do(Change("cut", node, offset_bytes=int(arguments[1])))
        elif call in ("fsync", "fdatasync") and node >= 0:
            self.events.append((None, node))
        elif call in ("mkdir", "mkdirat") and paths[0]:
            made = self._number()
            self._do(Change("folder", paths[0][0], paths[0][1], made))
        elif call in ("unlink", "unlinkat", "rmdir") and paths[0]:
            self._do(Change("remove", paths[0][0], paths[0][1]))
        elif call in ("link", "linkat") and paths[0] and paths[1]:
            self._do(Change("entry", paths[1][0], paths[1][1], paths[0][2]))
        elif call.startswith("rename") and paths[0] and paths[1]:
            (source, source_name, moved), (folder, name, _) = paths[0], paths[1]
            self._do(Change("move", folder, name, moved, source, source_name))

    def _open(self, place: tuple[int, str, int] | None, flags: str, result: str, descriptors: dict[str, int]) -> None:
        descriptors.pop(result, None)
        if place is None:
            return
        folder, name, node = place
        if node < 0:
            node = self._number()
            self._now.files[node] = bytearray()
            self._do(Change("entry", folder, name, node))
        elif "O_TRUNC" in flags:
            self._do(Change("cut", node))
        descriptors[result] = node


def cuts(log: Log, seed: int, samples: int, *, every_single: bool) -> Iterator[Disk]:
    """Disks that a cut may leave behind, at each point of the log.

    At each: everything lost that was not fsynced, nothing lost, `samples` random parts in which writes are torn as
    well, and with `every_single` also each change lost alone and each change kept alone.
    """
    draw = random.Random(seed)
    lasting = log.before.copy()
    pending: list[Change] = []
    for change, synced in [*log.events, (None, -1)]:
        if change is not None:
            pending.append(change)
        else:
            for done in [one for one in pending if one.node == synced]:
                lasting.apply(done)
            pending = [one for one in pending if one.node != synced]
        choices = [[], pending]
        if every_single and len(pending) > 1:
            choices += [[one] for one in pending]
            choices += [pending[:skipped] + pending[skipped + 1 :] for skipped in range(len(pending))]
        for choice in choices:
            yield _with(lasting, choice, None)
        for _ in range(samples if pending else 0):
            share = draw.random()
            yield _with(lasting, [one for one in pending if draw.random() < share], draw)


def _with(disk: Disk, changes: list[Change], blocks: random.Random | None) -> Disk:
    cut = disk.copy()
    for change in changes:
        cut.apply(change, blocks if blocks is None or blocks.random() < 0.5 else None)
    return cut


def _listing(folder: Path) -> dict[str, bytes | None]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink() and path.relative_to(folder).parts[0] in ("root", "floor"):
            found[str(path.relative_to(folder))] = None if path.is_dir() else path.read_bytes()
    return found
