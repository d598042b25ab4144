"""The driver port in Python: feedback in, command out, one shared-memory region per robot.

The layout and its rules are in `driver_port.h`; this wraps them for drivers written in Python and for the control
process. Guarantees whole blocks or an error, and one live driver per region. Trusts that the other side was built
from a header of the same version, which is checked when attaching.

One thread at a time uses an instance for writing; vectors have one value for each axis, in the order whose digest the
region holds.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import LockstepError, PortError
from edge_runtime.native import ffi, lib

MAX_AXES: int = lib.DP_MAX_AXES
MAX_TOOLS: int = lib.DP_MAX_TOOLS
Vector = Sequence[float] | NDArray[np.float64]
_SLICE_S = 0.2  # longest stay in C, so that Ctrl-C is heard
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FeedbackFlag(IntFlag):
    """Bits a driver sets beside its measurement."""

    STOP_LINE = lib.DP_FLAG_STOP_LINE
    DRIVER_FAULT = lib.DP_FLAG_DRIVER_FAULT
    HAS_TORQUE = lib.DP_FLAG_HAS_TORQUE
    HAS_WRENCH = lib.DP_FLAG_HAS_WRENCH
    HAS_ODOMETRY = lib.DP_FLAG_HAS_ODOMETRY


class CommandState(IntEnum):
    """The safety kernel's state, as a driver sees it."""

    SILENT = lib.DP_STATE_SILENT
    READY = lib.DP_STATE_READY
    ACTIVE = lib.DP_STATE_ACTIVE
    HOLDING = lib.DP_STATE_HOLDING
    STOPPING = lib.DP_STATE_STOPPING
    FAULT = lib.DP_STATE_FAULT
    RETRACTING = lib.DP_STATE_RETRACTING

    @property
    def follows(self) -> bool:
        """Whether the driver moves towards the command; else it holds where it is, by its own means."""
        return self in _FOLLOWS


_FOLLOWS: frozenset[CommandState] = frozenset(
    {CommandState.ACTIVE, CommandState.HOLDING, CommandState.STOPPING, CommandState.RETRACTING}
)
_STATES = {int(state): state for state in CommandState}


class PortRole(IntEnum):
    """Who may write: each role is held by one live process."""

    DRIVER = lib.DP_LOCK_DRIVER
    CONTROL = lib.DP_LOCK_CONTROL


@dataclass(frozen=True, slots=True)
class Command:
    """What the safety kernel returned for one tick. The arrays, (axes,), belong to the caller.

    Attributes:
        q: where each axis is to be, in its own unit; of a base's axis nothing to follow.
        dq: how fast that moves; of a base's axis what to drive at.
    """

    stamp_ns: int
    seq: int
    q: NDArray[np.float64]
    dq: NDArray[np.float64]
    state: CommandState
    reasons: int
    faults: int
    plan_seq: int
    chunk_seq: int
    observation_ns: int


@dataclass(frozen=True, slots=True)
class Feedback:
    """One measured sample. The arrays, (axes,) each in its axis's unit, belong to the caller.

    Attributes:
        q: where each axis is; 0, or what its wheels have summed up, of a base's axis.
        dq: how fast each axis moves; of a base's axis what it drives at.
        wrench: (tools, 6) force N and then moment Nm.
        odometry: (3,) of the base in the world: x m, y m, yaw rad.
        wrenches: a bit for each tool whose wrench is measured.
    """

    stamp_ns: int
    seq: int
    q: NDArray[np.float64]
    dq: NDArray[np.float64]
    tau: NDArray[np.float64]
    wrench: NDArray[np.float64]
    odometry: NDArray[np.float64]
    flags: FeedbackFlag
    wrenches: int


class DriverPort:
    """One end of a robot's shared-memory region; use it as a context manager, or `close` it.

    Make one with `create` (the driver) or `attach` (control, and whoever looks on).
    """

    def __init__(self, name: str, native_port: Any, *, owner: bool) -> None:
        self.name = name
        self.owner = owner
        self._port = ffi.gc(native_port, lib.port_close)
        self._axes = int(lib.port_axes(self._port))
        self._virtual = bool(lib.port_clock_mode(self._port) == lib.DP_CLOCK_VIRTUAL)
        self._feedback = ffi.new("dp_feedback *")
        self._feedback.n = self._axes
        self._q = _view(self._feedback.q)
        self._dq = _view(self._feedback.dq)
        self._tau = _view(self._feedback.tau)
        self._wrench = _view(self._feedback.wrench).reshape(MAX_TOOLS, 6)
        self._odometry = _view(self._feedback.odometry)
        self._command = ffi.new("dp_command *")
        self._command_q = _view(self._command.q)
        self._command_dq = _view(self._command.dq)

    @classmethod
    def create(
        cls, name: str, n_axes: int, joint_digest: str, watchdog_ns: int, virtual_clock: bool = False
    ) -> DriverPort:
        """Make the region /dev/shm/<name> and take the driver's role.

        A region whose driver is dead is replaced: control has to attach anew.

        Args:
            name: 1 to 200 letters, digits, dots, dashes or underscores.
            n_axes: 1 to 32, the length of every vector on this port.
            joint_digest: `Embodiment.joint_digest`, of their order.
            watchdog_ns: the driver stops by itself after so long without a command; 0 says it does not, and then
                the robot cannot be armed.
            virtual_clock: the driver is a plant that moves time (lockstep).

        Raises:
            PortError: a live driver has this region, or the system refuses.
            ValueError: a malformed name, count, digest or timeout.
        """
        if not 1 <= n_axes <= MAX_AXES:
            raise ValueError(f"a port has 1 to {MAX_AXES} axes, got {n_axes}")
        if not _DIGEST.fullmatch(joint_digest):
            raise ValueError(f"joint_digest has 64 hexadecimal digits, got {joint_digest!r}")
        if watchdog_ns < 0:
            raise ValueError("watchdog_ns must not be negative")
        native_port = ffi.new("port *")
        system_error = ffi.new("int *")
        digest = bytes.fromhex(joint_digest)
        clock = lib.DP_CLOCK_VIRTUAL if virtual_clock else lib.DP_CLOCK_MONOTONIC
        result = lib.port_create(native_port, _shm_name(name), n_axes, digest, watchdog_ns, clock, system_error)
        if result != lib.PORT_OK:
            raise PortError(f"cannot create driver port {name!r}: {_explain(result, system_error[0])}")
        return cls(name, native_port, owner=True)

    @classmethod
    def attach(cls, name: str, timeout_s: float = 0.0) -> DriverPort:
        """Open the region a driver made, waiting up to `timeout_s` seconds for it to appear.

        A region left behind by a dead driver counts as missing.

        Raises:
            PortError: no live driver made it in time, or it speaks another version.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            native_port = ffi.new("port *")
            system_error = ffi.new("int *")
            result = lib.port_attach(native_port, _shm_name(name), system_error)
            if result == lib.PORT_OK:
                if lib.port_is_claimed(native_port, PortRole.DRIVER):
                    return cls(name, native_port, owner=False)
                lib.port_close(native_port)
                result = lib.PORT_MISSING
            if result != lib.PORT_MISSING or time.monotonic() >= deadline_s:
                raise PortError(f"cannot attach to driver port {name!r}: {_explain(result, system_error[0])}")
            time.sleep(0.01)

    def __enter__(self) -> DriverPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.owner:
            self.unlink()
        self.close()

    def close(self) -> None:
        """Unmap the region and give up its roles. The port may not be used after that."""
        lib.port_close(self._port)

    def unlink(self) -> None:
        """Remove the region's name; whoever has it mapped keeps it.

        Raises:
            PortError: the system refuses.
        """
        result = lib.port_unlink(_shm_name(self.name))
        if result != 0:
            raise PortError(f"cannot remove driver port {self.name!r}: {os.strerror(-result)}")

    def claim(self, role: PortRole) -> None:
        """Take a role for as long as this port is open and the process lives.

        Raises:
            PortError: another live process has it.
        """
        system_error = ffi.new("int *")
        result = lib.port_claim(self._port, role, system_error)
        if result != lib.PORT_OK:
            raise PortError(f"driver port {self.name!r}, {role.name}: {_explain(result, system_error[0])}")

    def is_claimed(self, role: PortRole) -> bool:
        """Whether another live process (or port object) holds the role; a dead driver shows here."""
        return bool(lib.port_is_claimed(self._port, role))

    @property
    def native(self) -> Any:
        """The `port *` of `native/port.h`, for C code in this process. Valid until `close`."""
        return self._open()

    @property
    def n_axes(self) -> int:
        """Number of axes, 1 to 32."""
        return self._axes

    @property
    def joint_digest(self) -> str:
        """Of the order of the axes, 64 hex digits: see `Embodiment.joint_digest`."""
        digest = ffi.new("uint8_t[]", lib.DP_DIGEST_BYTES)
        lib.port_joint_digest(self._open(), digest)
        return bytes(ffi.buffer(digest)).hex()

    @property
    def watchdog_ns(self) -> int:
        """After so long without a command the driver stops by itself; 0: it does not."""
        return int(lib.port_watchdog_ns(self._open()))

    @property
    def virtual_clock(self) -> bool:
        """Whether the driver moves time (lockstep)."""
        return self._virtual

    def now_ns(self) -> int:
        """Now on this port's clock: virtual, or CLOCK_MONOTONIC."""
        return int(lib.port_now_ns(self._open()))

    def write_feedback(
        self,
        stamp_ns: int,
        q: Vector,
        dq: Vector,
        tau: Vector | None = None,
        wrench: Sequence[Vector | None] = (),
        odometry: Vector | None = None,
        flags: int = 0,
    ) -> None:
        """Publish one measured sample (driver only).

        Args:
            stamp_ns: instant of measurement on the port's clock.
            q, dq, tau: shape (axes,); `tau` None where no torque or force of the motors is measured.
            wrench: of each tool force N and moment Nm, shape (6,); None of a tool that measures none.
            odometry: of the base in the world, x m, y m, yaw rad; None where it is not measured.
            flags: `FeedbackFlag.STOP_LINE` and `DRIVER_FAULT`; those of what is measured are set here.

        Raises:
            ValueError: a vector of another shape, or more tools than a port has.
        """
        n = self._axes
        if not (len(q) == len(dq) == n and (tau is None or len(tau) == n)):
            raise ValueError(f"vectors of axes need {n} values each")
        if len(wrench) > MAX_TOOLS or any(row is not None and len(row) != 6 for row in wrench):
            raise ValueError(f"at most {MAX_TOOLS} tools, each wrench with 6 values")
        if odometry is not None and len(odometry) != 3:
            raise ValueError("odometry has 3 values: x, y and yaw")
        feedback = self._feedback
        feedback.stamp_ns = stamp_ns
        self._q[:n] = q
        self._dq[:n] = dq
        self._tau[:n] = 0.0 if tau is None else tau
        self._wrench[:] = 0.0
        feedback.wrenches = 0
        for tool, row in enumerate(wrench):
            if row is not None:
                self._wrench[tool] = row
                feedback.wrenches |= 1 << tool
        self._odometry[:] = 0.0 if odometry is None else odometry
        if tau is not None:
            flags |= FeedbackFlag.HAS_TORQUE
        if feedback.wrenches:
            flags |= FeedbackFlag.HAS_WRENCH
        if odometry is not None:
            flags |= FeedbackFlag.HAS_ODOMETRY
        feedback.flags = flags
        lib.port_write_feedback(self._open(), feedback)

    def read_feedback(self) -> Feedback | None:
        """The newest measured sample, or None before the first (and when the driver died while writing one)."""
        feedback = ffi.new("dp_feedback *")
        if lib.port_read_feedback(self._open(), feedback) != lib.DP_OK:
            return None
        n = self._axes
        return Feedback(
            stamp_ns=feedback.stamp_ns,
            seq=feedback.seq,
            q=_view(feedback.q)[:n].copy(),
            dq=_view(feedback.dq)[:n].copy(),
            tau=_view(feedback.tau)[:n].copy(),
            wrench=_view(feedback.wrench).reshape(MAX_TOOLS, 6).copy(),
            odometry=_view(feedback.odometry).copy(),
            flags=FeedbackFlag(feedback.flags),
            wrenches=feedback.wrenches,
        )

    def read_command(self) -> Command | None:
        """The newest command, or None before the first (and when control died while writing one)."""
        if lib.port_read_command(self._open(), self._command) != lib.DP_OK:
            return None
        return self._copy_command()

    def wait_command(self, stamp_ns: int, timeout_s: float) -> Command:
        """The first command seen that is stamped `stamp_ns` or later.

        Raises:
            LockstepError: control did not write one within `timeout_s` seconds.
        """
        deadline_s = time.monotonic() + timeout_s
        port = self._open()
        while True:
            left_s = deadline_s - time.monotonic()
            slice_ns = int(1e9 * max(0.0, min(left_s, _SLICE_S)))
            if lib.port_wait_command(port, stamp_ns, slice_ns, self._command) == lib.DP_OK:
                return self._copy_command()
            if left_s <= _SLICE_S:
                raise LockstepError(f"no command stamped {stamp_ns} ns or later within {timeout_s} s")

    def advance_clock(self, now_ns: int) -> None:
        """Move the virtual clock to `now_ns` and wake control (driver of a virtual port only)."""
        lib.port_advance_clock(self._open(), now_ns)

    def acknowledge_observation(self, stamp_ns: int) -> None:
        """Say that chunks of all observations exposed up to `stamp_ns` are installed or refused (control only)."""
        lib.port_acknowledge_observation(self._open(), stamp_ns)

    def wait_observation_ack(self, stamp_ns: int, timeout_s: float) -> None:
        """Wait until observations up to `stamp_ns` are acknowledged.

        Raises:
            LockstepError: not within `timeout_s` seconds.
        """
        deadline_s = time.monotonic() + timeout_s
        port = self._open()
        while True:
            left_s = deadline_s - time.monotonic()
            slice_ns = int(1e9 * max(0.0, min(left_s, _SLICE_S)))
            if lib.port_wait_observation_ack(port, stamp_ns, slice_ns) == lib.DP_OK:
                return
            if left_s <= _SLICE_S:
                raise LockstepError(f"observation {stamp_ns} ns was not acknowledged within {timeout_s} s")

    def _open(self) -> Any:
        if self._port.region == ffi.NULL:
            raise ValueError("the driver port is closed")
        return self._port

    def _copy_command(self) -> Command:
        n = self._axes
        command = self._command
        return Command(
            command.stamp_ns,
            command.seq,
            self._command_q[:n].copy(),
            self._command_dq[:n].copy(),
            _STATES.get(command.state, CommandState.SILENT),
            command.reasons,
            command.faults,
            command.plan_seq,
            command.chunk_seq,
            command.observation_ns,
        )


def _view(array: Any) -> NDArray[np.float64]:
    return np.frombuffer(ffi.buffer(array), dtype=np.float64)


def _shm_name(name: str) -> bytes:
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"driver port name {name!r}: 1 to 200 letters, digits, dots, dashes or underscores")
    return b"/" + name.encode()


def _explain(result: int, system_error: int) -> str:
    if result == lib.PORT_SYSTEM:
        return os.strerror(system_error)
    return {
        lib.PORT_IN_USE: "another live process has it",
        lib.PORT_MISSING: "no live driver has made it",
        lib.DP_BAD_MAGIC: "the region is not a driver port",
        lib.DP_BAD_VERSION: f"its driver speaks another version than {lib.DP_VERSION}",
        lib.DP_BAD_SIZE: "its driver was built from another header",
        lib.DP_BAD_AXES: f"its number of axes is not 1 to {MAX_AXES}",
    }.get(result, f"error {result}")
