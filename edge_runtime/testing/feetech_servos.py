"""Servos on a serial bus that is none: a pseudo-terminal that answers as Feetech's STS3215 do, and misbehaves if told.

    with FeetechServos() as servos:
        ... port = str(servos.port) ...
        servos.tell("late 0.2")

It runs in a process of its own (``python -m edge_runtime.testing.feetech_servos``), so that nothing of who drives the
servos shares its time. Six servos of an SO-101 with their motion: a position servo with a limited speed, and a joint
without torque falls.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import select
import subprocess
import sys
import tempfile
import time
import tty
from pathlib import Path
from types import TracebackType

STEPS = 4096
STEP_RAD = 2.0 * math.pi / STEPS
MODEL_STS3215 = 777
FIRMWARE = (3, 10)

MOTORS = (
    ("shoulder_pan", 750, 3450),
    ("shoulder_lift", 800, 3300),
    ("elbow_flex", 850, 3100),
    ("wrist_flex", 900, 3200),
    ("wrist_roll", 0, 4095),
    ("gripper", 2000, 3500),
)
"""Name and calibrated range of each, in the order of their numbers from 1."""

ANSWER_S = 0.004
"""How long a usual adapter and a bus of one megabaud take for six servos."""

_PING, _READ, _WRITE, _SYNC_READ, _SYNC_WRITE = 0x01, 0x02, 0x03, 0x82, 0x83
_BROADCAST = 0xFE
_MIN_LIMIT, _MAX_LIMIT, _HOMING, _TORQUE, _GOAL, _PRESENT, _SPEED = 9, 11, 31, 40, 42, 56, 58
_RAM = range(40, 128)
_SERVO_RATE_1_S = 25.0
"""How fast a servo closes the distance to its goal."""
_SPEED_MAX_STEPS_S = 3400.0
_FALLS_STEPS_S = 600.0
_FALLING = (2, 3, 4)
"""Joints that carry the arm's weight."""
_FLOOR_STEPS = 900
_STILL_STEPS = 0.5


class Servo:
    """One servo: its registers and its motion. Positions are in steps, those of its magnet without the offset."""

    def __init__(self, number: int, low: int, high: int) -> None:
        self.number = number
        self.position = (low + high) / 2.0
        self.registers = bytearray(128)
        self.registers[0:2] = bytes(FIRMWARE)
        self._put(3, MODEL_STS3215)
        self.registers[5] = number
        self._put(_MIN_LIMIT, low)
        self._put(_MAX_LIMIT, high)
        self.turns = 0
        self._still, self.moved_ns = self.position, 0
        self.jump = 0
        self.held_reading: int | None = None
        self._put(_GOAL, self.reading())

    def _put(self, address: int, value: int) -> None:
        self.registers[address : address + 2] = int(value & 0xFFFF).to_bytes(2, "little")

    def _get(self, address: int) -> int:
        return int.from_bytes(self.registers[address : address + 2], "little")

    def _offset(self) -> int:
        raw = self._get(_HOMING)
        return -(raw & 0x7FF) if raw & 0x800 else raw & 0x7FF

    def reading(self) -> int:
        """What it says of its position."""
        return round(self.position) - self._offset() + self.turns * STEPS + self.jump

    @property
    def holds(self) -> bool:
        """Whether its torque is on."""
        return bool(self.registers[_TORQUE])

    def step(self, seconds: float) -> None:
        """Move on."""
        before = self.position
        if self.holds:
            goal = self._get(_GOAL)
            goal = (-(goal & 0x7FFF) if goal & 0x8000 else goal) + self._offset()
            most = _SPEED_MAX_STEPS_S * seconds
            towards = (goal - self.position) * (1.0 - math.exp(-_SERVO_RATE_1_S * seconds))
            self.position += max(-most, min(most, towards))
        elif self.number in _FALLING:
            self.position = max(min(self.position, _FLOOR_STEPS), self.position - _FALLS_STEPS_S * seconds)
        if abs(self.position - self._still) > _STILL_STEPS:
            self._still, self.moved_ns = self.position, time.monotonic_ns()
        speed = 0.0 if seconds <= 0.0 else (self.position - before) / seconds
        self._put(_SPEED, min(round(abs(speed)), 0x7FFF) | (0x8000 if speed < 0 else 0))

    def read(self, address: int, length: int) -> bytes:
        """Registers, with the position of this instant."""
        reading = self.reading() if self.held_reading is None else self.held_reading
        self._put(_PRESENT, abs(reading) | (0x8000 if reading < 0 else 0))
        return bytes(self.registers[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        """Registers, as they are told."""
        was_holding = self.holds
        self.registers[address : address + len(data)] = data
        if self.holds and not was_holding and address != _GOAL:
            self._put(_GOAL, self.reading() & 0x7FFF)

    def power_cycle(self) -> None:
        """Lose what is not kept without power: torque, goal, and the count of turns."""
        for address in _RAM:
            self.registers[address] = 0
        self._put(_GOAL, self.reading() & 0x7FFF)


class Misbehaviour:
    """How the bus answers."""

    def __init__(self) -> None:
        self.late_s = ANSWER_S
        self.garbage = 0.0
        self.silent = False
        self.short = False


class Bus:
    """The servos at the other end of a pseudo-terminal."""

    def __init__(self, link: Path) -> None:
        self._random = random.Random(1)
        self.servos = {number: Servo(number, low, high) for number, (_, low, high) in enumerate(MOTORS, 1)}
        self.misbehaviour = Misbehaviour()
        self._link = link
        self._then_s = time.monotonic()
        self._buffer = b""
        self._due: list[tuple[float, bytes]] = []
        self.open()

    def open(self) -> None:
        """Plug in."""
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """The line is gone; the motors have their power."""
        os.close(self.master)
        os.close(self._slave)
        self.master = -1

    def work(self, timeout_s: float) -> None:
        """Let time pass, and answer what was asked meanwhile."""
        now_s = time.monotonic()
        for servo in self.servos.values():
            servo.step(now_s - self._then_s)
        self._then_s = now_s
        if self.master < 0:
            return
        while self._due and self._due[0][0] <= now_s:
            os.write(self.master, self._due.pop(0)[1])
        if not select.select([self.master], [], [], timeout_s)[0]:
            return
        try:
            self._buffer += os.read(self.master, 4096)
        except OSError:
            return
        while (packet := self._packet()) is not None:
            self._answer(*packet)

    def _packet(self) -> tuple[int, int, bytes] | None:
        start = self._buffer.find(b"\xff\xff")
        self._buffer = self._buffer[start:] if start >= 0 else b""
        if len(self._buffer) < 6 or len(self._buffer) < 4 + self._buffer[3]:
            return None
        length = self._buffer[3]
        packet, self._buffer = self._buffer[: 4 + length], self._buffer[4 + length :]
        if ~sum(packet[2:-1]) & 0xFF != packet[-1]:
            return self._packet()
        return packet[2], packet[4], packet[5:-1]

    def _answer(self, number: int, instruction: int, parameters: bytes) -> None:
        asked = [servo for servo in self.servos.values() if number in (_BROADCAST, servo.number)]
        if instruction == _PING:
            for servo in asked:
                self._say(servo.number, b"")
        elif instruction == _READ:
            for servo in asked:
                self._say(servo.number, servo.read(parameters[0], parameters[1]))
        elif instruction == _WRITE:
            for servo in asked:
                servo.write(parameters[0], parameters[1:])
                self._say(servo.number, b"")
        elif instruction == _SYNC_READ:
            for each in parameters[2:]:
                if each in self.servos:
                    self._say(each, self.servos[each].read(parameters[0], parameters[1]))
        elif instruction == _SYNC_WRITE:
            address, length = parameters[0], parameters[1]
            for at in range(2, len(parameters), 1 + length):
                if parameters[at] in self.servos:
                    self.servos[parameters[at]].write(address, parameters[at + 1 : at + 1 + length])

    def _say(self, number: int, data: bytes) -> None:
        wrong = self.misbehaviour
        if wrong.silent:
            return
        if wrong.short and len(data) > 1:
            data = data[:1]
        packet = bytes([number, len(data) + 2, 0]) + data
        packet = b"\xff\xff" + packet + bytes([~sum(packet) & 0xFF])
        if wrong.garbage and self._random.random() < wrong.garbage:
            packet = bytes(self._random.randrange(256) for _ in packet)
        if wrong.late_s:
            self._due.append((time.monotonic() + wrong.late_s, packet))
        else:
            os.write(self.master, packet)

    def obey(self, line: str) -> str:
        """One command of the test; what is answered to it."""
        word, *rest = line.split()
        wrong = self.misbehaviour
        if word == "well":
            self.misbehaviour = Misbehaviour()
            for servo in self.servos.values():
                servo.held_reading, servo.jump = None, 0
        elif word == "late":
            wrong.late_s = float(rest[0])
        elif word == "garbage":
            wrong.garbage = float(rest[0])
        elif word == "silent":
            wrong.silent = True
        elif word == "short":
            wrong.short = True
        elif word == "frozen":
            for servo in self.servos.values():
                servo.held_reading = servo.reading()
        elif word == "jump":
            self.servos[int(rest[0])].jump = int(rest[1])
        elif word == "gone":
            self.unplug()
        elif word == "back":
            self.open()
        elif word == "power_cycle":
            for servo in self.servos.values():
                servo.power_cycle()
            if rest:
                self.servos[int(rest[0])].turns += int(rest[1])
        elif word == "move":
            self.servos[int(rest[0])].position = float(rest[1])
        elif word != "look":
            return f"? {line}"
        moved_ns = max(servo.moved_ns for servo in self.servos.values())
        return " ".join([str(moved_ns), *(f"{one.position:.2f}/{int(one.holds)}" for one in self.servos.values())])


class FeetechServos:
    """The servos, in a process of their own. A context manager.

    Attributes:
        port: path of their serial port.
        moved_ns: when one of them moved last, in ns of `time.monotonic_ns()`, as of the last command.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edge-servos-")
        self.port = Path(self._folder.name) / "tty"
        self.moved_ns = 0

    def __enter__(self) -> FeetechServos:
        command = [sys.executable, "-m", "edge_runtime.testing.feetech_servos", str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tell("look")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        return self._process.pid

    def tell(self, line: str) -> tuple[list[float], list[bool]]:
        """A command, see `Bus.obey`; where the servos are, in steps, and whether each has its torque on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        said = self._process.stdout.readline()
        assert said, "the servos' process has ended"
        assert not said.startswith("?"), f"{line!r} is no command"
        moved_ns, *rest = said.split()
        self.moved_ns = int(moved_ns)
        pairs = [pair.split("/") for pair in rest]
        return [float(position) for position, _ in pairs], [holds == "1" for _, holds in pairs]

    def calibration(self) -> dict[str, dict[str, int]]:
        """LeRobot's calibration of an SO-101 with these servos, as its file has it."""
        return {
            name: {"id": number, "drive_mode": 0, "homing_offset": 0, "range_min": low, "range_max": high}
            for number, (name, low, high) in enumerate(MOTORS, 1)
        }


def main() -> None:
    """Be the servos, until the standard input ends."""
    # A servo has its own clock, however busy this machine is.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))
    bus = Bus(Path(sys.argv[1]))
    while True:
        bus.work(0.001)
        if bus.master < 0:
            time.sleep(0.001)
        if select.select([sys.stdin], [], [], 0.0)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            print(bus.obey(line.strip()), flush=True)


if __name__ == "__main__":
    main()
