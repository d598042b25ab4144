"""A UR controller made up: RTDE, the port for scripts and the dashboard, in their own bytes, with an arm that moves.

``python -m edge_runtime.testing.peers.ur_controller ADDRESS``. A line on standard input makes it misbehave
(`Controller`'s `do_` methods), and each is answered by one line of JSON. The arm follows `servoj` as the control
script of `ur_rtde` asks for it: commands lie in input registers, and output register 0 says ready or done. It ends
when its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_runtime.testing.peers import rtde_wire as wire
from edge_runtime.testing.peers.ur_program import STEP_S, STOP_RAD_S2, Arm, Program

DASHBOARD_PORT, SCRIPT_PORT, RTDE_PORT = 29999, 30003, 30004

_PROTECTIVE_RAD_S2 = 40.0
_POWER_OFF, _RUNNING = 3, 7
_STOPPED, _PLAYING = 1, 2
_NORMAL, _PROTECTIVE, _EMERGENCY, _SAFETY_STOPPED = 1 << 0, 1 << 2, 1 << 7, 1 << 10


@dataclass
class _Client:
    """One RTDE connection."""

    socket: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    outputs: tuple[str, ...] = ()
    layout: struct.Struct = field(default_factory=lambda: struct.Struct(">"))
    every: int = 1
    inputs: list[tuple[tuple[str, ...], struct.Struct]] = field(default_factory=list)
    is_started: bool = False


class Controller:
    """All of it, in one thread.

    Args:
        address: an address of this machine; the ports are the real ones.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.arm = Arm()
        self.program = Program(self.arm)
        self.version = (5, 12, 0, 0)
        self._selector = selectors.DefaultSelector()
        self._listeners: list[socket.socket] = []
        self._clients: dict[socket.socket, _Client] = {}
        self._others: dict[socket.socket, bytearray] = {}
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._written_s = time.monotonic()
        self._powered_s = time.monotonic()
        self._steps = 0
        self._is_on = True
        self._safety_bits = _NORMAL
        self._speaks_2 = True
        self._is_remote = True
        self._faults: set[str] = set()
        self._jump_rad = 0.0
        self._held_until_s = 0.0
        self._late: deque[tuple[float, _Client, bytes]] = deque()
        self._late_s = 0.0
        self._words: Callable[[str], None] = lambda _line: None
        self._listen()

    # ---- what it is told on standard input ---------------------------------------------------------------------------

    def do_state(self) -> None:
        """Nothing: only the answer is wanted."""

    def do_freeze(self) -> None:
        """Packages go on, with one time and one posture."""
        self._faults.add("freeze")

    def do_nan(self) -> None:
        """Positions are no numbers."""
        self._faults.add("nan")

    def do_jump(self, by_rad: str) -> None:
        """Each joint is measured elsewhere, from one package to the next."""
        self._jump_rad = float(by_rad)

    def do_late(self, by_s: str) -> None:
        """Packages are on their way for so long."""
        self._late_s = float(by_s)

    def do_silent(self, for_s: str) -> None:
        """No packages, on open connections."""
        self._held_until_s = time.monotonic() + float(for_s)

    def do_well(self) -> None:
        """None of the above."""
        self._faults.clear()
        self._jump_rad = self._late_s = self._held_until_s = 0.0

    def do_protective_stop(self) -> None:
        """As after a collision."""
        self._safety_bits = _PROTECTIVE | _SAFETY_STOPPED
        self.program.stop()

    def do_emergency_stop(self) -> None:
        """The button is pressed: the arm's power is off."""
        self._safety_bits = _EMERGENCY | _SAFETY_STOPPED
        self.program.stop()
        self._is_on = False

    def do_unlock(self) -> None:
        """As a person does on the pendant after a protective or an emergency stop."""
        self._safety_bits = _NORMAL
        self._is_on = True

    def do_stop_program(self) -> None:
        """The stop button of the pendant."""
        self.program.stop()

    def do_other_program(self) -> None:
        """A person's own program runs."""
        self.program.runs = True

    def do_local(self) -> None:
        """The pendant is in local control: nothing else may start a program."""
        self._is_remote = False

    def do_refuse_version(self) -> None:
        """Speaks RTDE 1 alone, as very old controllers do."""
        self._speaks_2 = False

    def do_gone(self) -> None:
        """The controller's software has died: connections are closed, nothing listens."""
        self._close_all()
        self.program.stop()

    def do_power_cycle(self) -> None:
        """Off and on: the clock begins anew, the arm has no power yet, and it hangs a little lower."""
        self._close_all()
        self.program.stop()
        self.arm.q = self.arm.q + 0.05
        self.arm.dq[:] = 0.0
        self._powered_s, self._is_on = time.monotonic(), False
        self._inputs.clear()
        self._outputs.clear()
        self._listen()

    def answer(self) -> dict[str, Any]:
        """What the arm really does."""
        return {
            "q": self.arm.q.tolist(),
            "dq": self.arm.dq.tolist(),
            "still_ns": self.arm.still_ns,
            "program": self.program.runs,
            "starts": self.program.starts,
            "served": self.program.served,
            "clients": len(self._clients),
        }

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until standard input ends."""
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, "stdin")
        due_s = time.monotonic()
        pending = b""
        while True:
            for key, _ in self._selector.select(max(0.0, due_s - time.monotonic())):
                if key.data == "stdin":
                    read = os.read(0, 65536)
                    if not read:
                        return
                    *lines, pending = (pending + read).split(b"\n")
                    for line in lines:
                        self._obey(line.decode())
                # A line before it may have closed it.
                elif not isinstance(key.fileobj, int) and key.fileobj.fileno() >= 0:
                    with contextlib.suppress(ConnectionError, OSError):
                        key.data(key.fileobj)
            now_s = time.monotonic()
            # As many steps as time has passed: the arm's speed is no matter of this machine's load.
            while due_s <= now_s:
                due_s = max(due_s + STEP_S, now_s - 0.1)
                self._step()

    def _obey(self, line: str) -> None:
        verb, *arguments = line.split()
        getattr(self, f"do_{verb}")(*arguments)
        print(json.dumps(self.answer()), flush=True)

    def _step(self) -> None:
        self._steps += 1
        if self.program.runs and self._is_on:
            self.program.step(self._inputs, self._outputs, time.monotonic() - self._written_s)
        if not (self.program.runs and self._is_on):
            calm = self._safety_bits == _NORMAL
            self.arm.brake(STOP_RAD_S2 if calm else _PROTECTIVE_RAD_S2)
        now_s = time.monotonic()
        while self._late and self._late[0][0] <= now_s:
            _, client, data = self._late.popleft()
            self._write(client, data)
        if now_s < self._held_until_s:
            return
        values = self._values(now_s)
        for client in list(self._clients.values()):
            if client.is_started and self._steps % client.every == 0:
                data = self._data(client, values)
                if self._late_s > 0.0:
                    self._late.append((now_s + self._late_s, client, data))
                else:
                    self._write(client, data)

    def _values(self, now_s: float) -> dict[str, Any]:
        if "freeze" in self._faults:
            return self._frozen
        q = self.arm.q + self._jump_rad
        if "nan" in self._faults:
            q = np.full(6, np.nan)
        self._frozen: dict[str, Any] = {
            "timestamp": now_s - self._powered_s,
            "actual_q": tuple(q),
            "actual_qd": tuple(self.arm.dq),
            "actual_TCP_force": (0.5, -0.3, 1.2, 0.01, 0.02, -0.01),
            "robot_mode": _RUNNING if self._is_on else _POWER_OFF,
            "safety_status_bits": self._safety_bits,
            "robot_status_bits": 1 if self._is_on else 0,
            "runtime_state": _PLAYING if self.program.runs else _STOPPED,
            **self._outputs,
        }
        return self._frozen

    @staticmethod
    def _data(client: _Client, values: dict[str, Any]) -> bytes:
        flat: list[Any] = []
        for name in client.outputs:
            value = values.get(name, (0.0,) * 6 if wire.type_of(name) == "VECTOR6D" else 0)
            flat += value if isinstance(value, tuple) else [value]
        return wire.package(wire.DATA, b"\x01" + client.layout.pack(*flat))

    def _write(self, client: _Client, data: bytes) -> None:
        try:
            client.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client.socket)

    # ---- connections -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for port, accept in ((RTDE_PORT, self._rtde), (SCRIPT_PORT, self._script), (DASHBOARD_PORT, self._dashboard)):
            listener = socket.create_server((self.address, port), backlog=8)
            listener.setblocking(False)
            self._listeners.append(listener)
            self._selector.register(listener, selectors.EVENT_READ, accept)

    def _accept(self, listener: Any) -> socket.socket:
        connection: socket.socket = listener.accept()[0]
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _rtde(self, listener: Any) -> None:
        connection = self._accept(listener)
        self._clients[connection] = _Client(connection)
        self._selector.register(connection, selectors.EVENT_READ, self._hear)

    def _script(self, listener: Any) -> None:
        connection = self._accept(listener)
        self._others[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, self._hear_script)

    def _dashboard(self, listener: Any) -> None:
        connection = self._accept(listener)
        self._others[connection] = bytearray()
        connection.send(b"Connected: Universal Robots Dashboard Server\n")
        self._selector.register(connection, selectors.EVENT_READ, self._hear_dashboard)

    def _drop(self, connection: Any) -> None:
        self._clients.pop(connection, None)
        self._others.pop(connection, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection)
        connection.close()

    def _close_all(self) -> None:
        for connection in [*self._clients, *self._others, *self._listeners]:
            # A reset, as from a controller that has died, and no waiting for addresses.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._drop(connection)
        self._listeners.clear()
        self._late.clear()

    def _receive(self, connection: Any) -> bytes:
        try:
            data: bytes = connection.recv(65536)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            raise ConnectionError
        return data

    def _hear(self, connection: Any) -> None:
        client = self._clients[connection]
        client.buffer += self._receive(connection)
        for kind, payload in wire.packages(client.buffer):
            self._reply(client, kind, payload)

    def _reply(self, client: _Client, kind: int, payload: bytes) -> None:
        if kind == wire.REQUEST_VERSION:
            accepted = struct.unpack(">H", payload)[0] == 2 and self._speaks_2
            client.socket.send(wire.package(kind, bytes([accepted])))
        elif kind == wire.CONTROLLER_VERSION:
            client.socket.send(wire.package(kind, struct.pack(">4I", *self.version)))
        elif kind == wire.SETUP_OUTPUTS:
            (rate_hz,) = struct.unpack_from(">d", payload)
            client.outputs = self._names(payload[8:])
            types = [wire.type_of(name) or "NOT_FOUND" for name in client.outputs]
            if "NOT_FOUND" not in types:
                client.layout = wire.struct_of(client.outputs)
            client.every = max(1, round(1.0 / rate_hz / STEP_S))
            client.socket.send(wire.package(kind, b"\x01" + ",".join(types).encode()))
        elif kind == wire.SETUP_INPUTS:
            names = self._names(payload)
            taken = {
                name
                for other in self._clients.values()
                if other is not client
                for all_, _ in other.inputs
                for name in all_
            }
            types = ["IN_USE" if name in taken else wire.type_of(name) or "NOT_FOUND" for name in names]
            if not {"IN_USE", "NOT_FOUND"} & set(types):
                client.inputs.append((names, wire.struct_of(names)))
            client.socket.send(wire.package(kind, bytes([len(client.inputs)]) + ",".join(types).encode()))
        elif kind in (wire.START, wire.PAUSE):
            client.is_started = kind == wire.START
            client.socket.send(wire.package(kind, b"\x01"))
        elif kind == wire.DATA:
            names, layout = client.inputs[payload[0] - 1]
            # A sender may leave out what the command does not use; the rest keeps its value.
            values = layout.unpack(payload[1 : 1 + layout.size].ljust(layout.size, b"\0"))
            if "external_force_torque" not in names:
                self._inputs.update(zip(names, values, strict=True))
            self._written_s = time.monotonic()

    @staticmethod
    def _names(payload: bytes) -> tuple[str, ...]:
        return tuple(name for name in payload.decode().split(",") if name)

    def _hear_script(self, connection: Any) -> None:
        buffer = self._others[connection]
        buffer += self._receive(connection)
        # A program is complete with the `end` of its first line's `def`, which stands at the beginning of a line.
        if re.search(rb"^def rtde_control\(\):", buffer) and re.search(rb"^end$", buffer, re.MULTILINE):
            buffer.clear()
            if self._is_on and self._safety_bits == _NORMAL and self._is_remote:
                self._outputs["output_int_register_0"] = 0
                self.program.start()

    def _hear_dashboard(self, connection: Any) -> None:
        buffer = self._others[connection]
        buffer += self._receive(connection)
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            connection.send(self._dashboard_answer(line.decode().strip()).encode() + b"\n")

    def _dashboard_answer(self, line: str) -> str:
        if line == "stop":
            self.program.stop()
            return "Stopped"
        return {
            "PolyscopeVersion": "URSoftware 5.12.0.1101319 (Feb 23 2022)",
            "is in remote control": str(self._is_remote).lower(),
            "get serial number": "20225501234",
            "running": f"Program running: {str(self.program.runs).lower()}",
        }.get(line, f"could not understand: {line!r}")


def main() -> None:
    """Say that it listens, and be a controller."""
    controller = Controller(sys.argv[1])
    print(json.dumps(controller.answer()), flush=True)
    controller.run()


if __name__ == "__main__":
    main()
