"""A disk that is really full: a small tmpfs, filled to the last byte at every point of an update."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.assembly import store_runner
from edge_runtime.ota.lifecycle.journal import Journal
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.trust.rollback_protection import Floor
from tests.ota.store_exercise import arm_of, digest_of, install, make_bundles, release
from tests.ota.updates import try_out, update_2

DISK_BYTES = 256 << 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", *options], capture_output=True, check=False, timeout=10).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size_bytes in (4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size_bytes)
    assert shutil.disk_usage(disk).free == 0


def robot(work: Path, disk: Path) -> Runner:
    return store_runner(disk / "root", work / "0", disk / "floor", arm_of(work))


def test_an_update_waits_for_space_and_the_old_bundle_serves_on(tmp_path: Path, disk: Path) -> None:
    make_bundles(tmp_path)
    with robot(tmp_path, disk) as runner:
        runner.recover()
        install(runner, tmp_path, "1")
        fill(disk)
        before = runner.slots
        with pytest.raises(OtaError) as caught:
            runner.assign(release(tmp_path, "2"), 2)
        assert caught.value.refusal is OtaRefusal.NO_SPACE
        assert (runner.journal, runner.slots) == (Journal(), before)
        # Room for the list of pieces, and not for the pieces.
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 12_000)
        runner.assign(release(tmp_path, "2"), 2)
        assert (runner.journal.state, runner.journal.reason) == (UpdateState.DOWNLOADING, "no_space")
        assert not list((disk / "root" / "staging").iterdir())
        assert verify_bundle(runner.boot().folder).digest == digest_of(tmp_path, "1")
        (disk / "filler").unlink()
        runner.resume()
        assert runner.journal.state is UpdateState.STAGED


@pytest.mark.parametrize("proven", [True, False], ids=["commit", "rollback"])
def test_activation_commit_and_rollback_need_no_space(tmp_path: Path, disk: Path, proven: bool) -> None:
    make_bundles(tmp_path)
    with robot(tmp_path, disk) as runner:
        runner.recover()
        install(runner, tmp_path, "1")
        runner.assign(release(tmp_path, "2"), 2)
        fill(disk)
        try_out(runner)
        assert runner.journal.state is UpdateState.PROBATION
        assert runner.boot().bundle == digest_of(tmp_path, "2")
        if proven:
            runner.prove()
        else:
            runner.fail("latency")
    fill(disk)
    with robot(tmp_path, disk) as runner:
        runner.recover()
        assert runner.journal == (Journal() if proven else Journal(reason="latency", refused=update_2(tmp_path)))
        assert verify_bundle(runner.boot().folder).digest == digest_of(tmp_path, "2" if proven else "1")
    assert Floor(disk / "floor").release().release_counter == (2 if proven else 1)


def test_an_update_that_gave_way_gives_its_space_where_there_is_no_other(tmp_path: Path, disk: Path) -> None:
    make_bundles(tmp_path)
    arm = arm_of(tmp_path)
    with store_runner(disk / "root", tmp_path / "0", disk / "floor", arm) as runner:
        runner.recover()
        install(runner, tmp_path, "1")
        arm.online = False
        runner.assign(release(tmp_path, "2"), 2)
        arm.online = True
        assert [path.name for path in (disk / "root" / "staging").iterdir()] == [digest_of(tmp_path, "2")]
        fill(disk)
        # Room for the list of pieces, and not for the pieces.
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 12_000)
        runner.assign(release(tmp_path, "3"), 3)
        assert runner.journal.state is UpdateState.STAGED
        assert not list((disk / "root" / "staging").iterdir())
