"""The SDK in C makes the same names, digests and rings as ours in Python; in motion: test_conformance.py."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment, joint_order_digest
from edge_runtime.drivers.sdk.c import compiler_arguments
from edge_runtime.ipc.frames import FrameReader, RingWatch, ring_name
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name
from tests.control.perfect_driver import ROBOTS

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "driver_sdk.h"

static void print_digest(const uint8_t *digest) {
    for (int k = 0; k < 32; k++) printf("%02x", digest[k]);
    printf("\n");
}

int main(int argc, char **argv) {
    uint8_t digest[32];
    char name[DS_NAME_BYTES];
    if (argc > 2 && strcmp(argv[1], "hash") == 0) {
        const size_t bytes = strtoul(argv[2], NULL, 10);
        uint8_t *data = malloc(bytes + 1u);
        for (size_t k = 0; k < bytes; k++) data[k] = (uint8_t)(k * 7u);
        ds_sha256(data, bytes, digest);
        print_digest(digest);
        free(data);
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "axes") == 0) {
        ds_axis axes[32];
        for (int k = 2; k < argc; k++) axes[k - 2] = (ds_axis){argv[k] + 1, argv[k][0] == 'g'};
        ds_joint_digest(axes, (uint32_t)argc - 2u, digest);
        print_digest(digest);
        return 0;
    }
    if (argc > 3 && strcmp(argv[1], "names") == 0) {
        if (ds_port_name(argv[2], name, sizeof name) != 0) return 3;
        printf("%s\n", name);
        if (ds_ring_name(argv[2], argv[3], name, sizeof name) != 0) return 3;
        printf("%s\n", name);
        return 0;
    }
    static const ds_axis axes[] = {{"a", 0}, {"b", 0}};
    ds_driver driver;
    if (ds_open(&driver, argc, argv, axes, 2) != 0) {
        fprintf(stderr, "%s\n", driver.error);
        return 1;
    }
    for (int k = 1; k <= 11; k++)
        for (uint32_t c = 0; c < driver.n_cameras; c++) {
            memset(driver.cameras[c].pixels, k, (size_t)driver.cameras[c].width_px * driver.cameras[c].height_px * 3u);
            if (ds_commit(&driver, c, 1000 * k) != 0) return 4;
            if (ds_commit(&driver, c, 1000 * k) == 0) return 5;
        }
    dp_feedback feedback = {.stamp_ns = 5, .q = {1.5, -2.5}};
    if (ds_write(&driver, &feedback) != 0 || ds_write(&driver, &feedback) == 0) return 6;
    feedback.stamp_ns = ds_now_ns() + 1000000000;
    if (ds_write(&driver, &feedback) == 0) return 7;
    printf("%s\n", driver.error);
    fflush(stdout);
    (void)getchar();
    return ds_close(&driver);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c")
    (folder / "main.c").write_text(PROGRAM)
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsanitize=undefined"]
    command = ["cc", *flags, "-o", str(folder / "main"), str(folder / "main.c"), *compiler_arguments()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "main"


def lines_of(program: Path, *arguments: object) -> list[str]:
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("count", [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000])
def test_sha_256_is_sha_256(program: Path, count: int) -> None:
    data = bytes(k * 7 % 256 for k in range(count))
    assert lines_of(program, "hash", count) == [hashlib.sha256(data).hexdigest()]


@pytest.mark.parametrize("embodiment", [*ROBOTS.values()], ids=list(ROBOTS))
def test_the_digest_of_the_axes_is_that_of_the_contract(program: Path, embodiment: Embodiment) -> None:
    """A gripper that is the only one, the last and called so is not in it, any other is."""
    given = [("g" if axis.is_gripper else "j") + axis.name for axis in embodiment.axes]
    assert lines_of(program, "axes", *given) == [embodiment.joint_digest]


def test_names_are_those_of_the_run(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    (tmp_path / "run").mkdir()
    link.symlink_to(tmp_path / "run")
    for folder in (tmp_path / "run", link, tmp_path / "run" / ".." / "run"):
        expected = [port_name(tmp_path / "run"), ring_name(tmp_path / "run", "wrist")]
        assert lines_of(program, "names", folder, "wrist") == expected


def test_port_and_rings_are_read_as_ours_are(program: Path, tmp_path: Path) -> None:
    given = ["--run-dir", str(tmp_path), "--watchdog-ns", "50000000", "--camera", "scene:31x17:20"]
    with subprocess.Popen([program, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stamp_ns is after now: stamps are of ds_now_ns()\n"
        with DriverPort.attach(port_name(tmp_path), timeout_s=5.0) as port:
            feedback = port.read_feedback()
            assert feedback is not None
            assert (feedback.stamp_ns, feedback.q.tolist()) == (5, [1.5, -2.5])
            assert (port.watchdog_ns, port.joint_digest) == (50_000_000, joint_order_digest(["a", "b"]))
        newest = RingWatch(ring_name(tmp_path, "scene")).newest()
        assert newest is not None
        assert (newest.exposure_ns, newest.width_px, newest.height_px, newest.camera) == (11_000, 31, 17, "scene")
        with FrameReader().view(newest) as pixels:
            assert pixels.shape == (17, 31, 3)
            assert np.all(pixels == 11)
        second = subprocess.run([program, *given], capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1
        assert second.stderr.startswith("another live process drives the robot in ")
        process.communicate("\n", timeout=20)
    assert process.returncode == 0
    assert not Path("/dev/shm", port_name(tmp_path)).exists()
    assert not Path("/dev/shm", ring_name(tmp_path, "scene")).exists()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "--run-dir is missing"),
        (["--run-dir", "/"], "--watchdog-ns is missing"),
        (["--run-dir"], "--run-dir: expected a value"),
        (["--fast", "1"], "--fast: no such argument"),
        (["--run-dir", "/nowhere", "--watchdog-ns", "1"], "/nowhere: No such file or directory"),
        (["--camera", "scene"], "--camera: expected NAME:WIDTHxHEIGHT:RATE_HZ, got scene"),
        (["--camera", "scene:0x10:20"], "--camera: expected NAME:WIDTHxHEIGHT:RATE_HZ, got scene:0x10:20"),
        (["--camera", "scene:9x10:20x"], "--camera: expected NAME:WIDTHxHEIGHT:RATE_HZ, got scene:9x10:20x"),
    ],
)
def test_a_wrong_argument_is_one_line(program: Path, given: list[str], problem: str) -> None:
    done = subprocess.run([program, *given], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (1, f"{problem}\n")
