"""The stop line of one robot: a GPIO input of this computer, opened before control starts and read by its loop.

Guarantees that a line which is configured is either held by this process, readable and quick, or an error that says
what to do; control never runs without a line that it was told to have. What an open line does is the kernel's. See
`loop/stop_line.h`.
"""

from __future__ import annotations

import errno
import os
from types import TracebackType

from edge_runtime.config.robot_file import StopLineSection
from edge_runtime.contracts.errors import StopLineError
from edge_runtime.native import ffi, lib

_COST_MAX_NS = 100_000
"""A tenth of a tick. A line of the processor itself takes a few microseconds, one behind a bus far more than this."""


class StopLine:
    """An open line; a context manager.

    Raises:
        StopLineError: it can't be had, can't be read, or is too slow to read; the error says what to do.
    """

    def __init__(self, section: StopLineSection) -> None:
        chip = os.fsencode(section.chip)
        fd = lib.stop_line_open(chip, section.line, section.closed == "high", section.bias == "internal")
        if fd < 0:
            raise StopLineError(section.chip, section.line, _remedy(section, -fd))
        self._fd = int(fd)
        problem = ""
        if (result := lib.stop_line_check(fd)) != 0:
            problem = f"can't be read: {os.strerror(-result)}"
        elif (cost_ns := lib.stop_line_cost_ns(fd)) > _COST_MAX_NS:
            problem = (
                f"takes {cost_ns / 1e3:.0f} µs to read, {_COST_MAX_NS / 1e3:.0f} at most are possible in a tick: use a "
                "line of the processor itself, not one behind I2C, SPI or USB"
            )
        if problem:
            self.close()
            raise StopLineError(section.chip, section.line, problem)

    @property
    def is_open(self) -> bool:
        """Whether the line is open at this moment, or can't be read."""
        return bool(lib.stop_line_is_open(self._fd))

    def fileno(self) -> int:
        """The line's descriptor."""
        return self._fd

    def close(self) -> None:
        """Give the line back; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> StopLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _remedy(section: StopLineSection, number: int) -> str:
    said = os.strerror(number)
    if number == errno.EBUSY:
        return f"is held by {_holder(section)}; end that program, or use another line"
    if number in (errno.EACCES, errno.EPERM):
        return f"{said}: the user of control must be in the group of {section.chip} (often gpio)"
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return f"{said}: no such chip; `gpiodetect` lists what there is"
    if number == errno.EINVAL:
        return f'{said}: the chip has no such line, or can\'t pull it (then: a resistor, and bias = "external")'
    if number in (errno.ENOTTY, errno.EISDIR):
        return f"{said}: {section.chip} is no GPIO chip of Linux 5.10 or newer"
    return said


def _holder(section: StopLineSection) -> str:
    name = ffi.new("char[]", lib.STOP_LINE_NAME_BYTES)
    if lib.stop_line_holder(os.fsencode(section.chip), section.line, name) != 0:
        return "another program"
    return ffi.string(name).decode(errors="replace") or "another program"
