"""What a robot can't do without on this machine, by its robot.toml: Python packages, and room in shared memory.

Asked for by `edge-runtime check`, and before the robot's processes are started.
"""

from __future__ import annotations

import mmap
import os
import secrets
import shlex
import subprocess
from pathlib import Path

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError, MissingPackageError, SharedMemoryError
from edge_runtime.contracts.installation import PROJECT, checkout, is_there, not_installed
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.drivers.sdk.declaration import DriverDeclaration
from edge_runtime.ipc.frames import ring_bytes

_BASE = ("msgspec", "numpy", "zmq")
_ENGINE = ("cv2", "onnxruntime")
_TENSORRT = ("cuda", "tensorrt")
_UPDATES = ("httpx", "securesystemslib", "tuf", "zstandard")

_DRIVER_PYTHON = "robot.driver_python"
_LOOK_TIMEOUT_S = 30.0
_SHM = Path("/dev/shm")
_PORT_BYTES = 64 << 10
"""Room for the driver port and what lies beside it, generously."""


def require(config: RobotConfig, *, hold: bool = False) -> None:
    """Find out that something is missing before anything starts; with `hold` no engine will be.

    Raises:
        MissingPackageError: names the packages, and the command that installs them.
        SharedMemoryError: says what the system said, and the command that mends it.
        ConfigError: there is no such driver.
    """
    error = missing_packages(config, hold=hold)
    if error is not None:
        raise error
    require_shared_memory(config)


def missing_packages(config: RobotConfig, *, hold: bool = False) -> MissingPackageError | None:
    """What this robot lacks here, with the command that installs it; None if it lacks nothing.

    A robot that only holds, or has no policy, needs nothing to run one with.

    Raises:
        ConfigError: there is no such driver.
    """
    driver = declaration_of(config)
    python = config.robot.driver_python
    if python is not None:
        _require_in(python, driver)
    packages, extras = [*_BASE, *(() if python else driver.packages)], [*(() if python else driver.extras)]
    if hold or config.bundle is None:
        absent = [name for name in packages if not is_there(name)]
        return not_installed(absent, extras) if absent else None
    packages, extras = [*_ENGINE, *packages], ["robot", *extras]
    if config.engine.backend == "tensorrt":
        packages += _TENSORRT
        extras.append("jetson")
    if config.ota is not None:
        packages += _UPDATES
    absent = [name for name in packages if not is_there(name)]
    return not_installed(absent, extras) if absent else None


def _require_in(python: str, driver: DriverDeclaration) -> None:
    """Look for what the driver needs in the environment that it has for itself.

    Raises:
        ConfigError: it is no Python that runs, or what is missing there, with the command that installs it.
    """
    names = ["edge_runtime", *_BASE, *driver.packages]
    look = "import sys; from importlib.util import find_spec; print(*(n for n in sys.argv[1:] if find_spec(n) is None))"
    try:
        said = subprocess.run(
            [python, "-c", look, *names], capture_output=True, text=True, timeout=_LOOK_TIMEOUT_S, check=True
        ).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(_DRIVER_PYTHON, f"{python} is no Python that runs: {error}") from error
    if said:
        extras = f"[{','.join(driver.extras)}]" if driver.extras else ""
        where = checkout()
        package = f"-e {shlex.quote(f'{where}{extras}')}" if where is not None else shlex.quote(f"{PROJECT}{extras}")
        missing = ", ".join(said)
        remedy = f"install it there: {shlex.quote(python)} -m pip install {package}"
        raise ConfigError(_DRIVER_PYTHON, f"{python} lacks {missing}; {remedy}")


def require_shared_memory(config: RobotConfig) -> int:
    """Make what the driver port and the cameras' rings take, write to it, and remove it; how many bytes that were.

    Raises:
        SharedMemoryError: says what the system said, and the command that mends it.
    """
    rings_bytes = sum(ring_bytes(camera.width_px, camera.height_px) for camera in config.embodiment.cameras)
    size_bytes = rings_bytes + _PORT_BYTES
    try:
        _make_and_remove(_SHM / f"edge-check-{secrets.token_hex(6)}", size_bytes)
    except OSError as error:
        problem = f"{_SHM}: {error.strerror}, for {size_bytes / 1e6:.1f} MB of shared memory"
        remedy = f"a tmpfs at {_SHM} that this user may write to, with room (docker: --shm-size=64m)"
        mount = f"sudo mount -t tmpfs -o mode=1777,size=64m tmpfs {_SHM}"
        raise SharedMemoryError(
            problem, remedy, mount if _SHM.is_dir() else f"sudo mkdir -p {_SHM} && {mount}"
        ) from error
    return size_bytes


def _make_and_remove(path: Path, size_bytes: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Reserved first, as whoever uses it does: a full tmpfs would be a SIGBUS at the first write.
        os.posix_fallocate(descriptor, 0, size_bytes)
        with mmap.mmap(descriptor, size_bytes) as memory:
            memory[0] = memory[size_bytes - 1] = 1
    finally:
        os.close(descriptor)
        path.unlink()
