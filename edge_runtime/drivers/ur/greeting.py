"""The first words with a UR controller: is it there, does it speak RTDE 2, which one is it?

ur_rtde waits for ever for a controller that does not answer, and goes on with one that refuses its version.
"""

from __future__ import annotations

import socket
import struct

from edge_runtime.contracts.errors import DriverError

RTDE_PORT = 30004
_HEADER = struct.Struct(">HB")
_TIMEOUT_S = 3.0
_CB3_MAJOR = 3


class Controller:
    """What a controller says of itself.

    Attributes:
        version: of its software: major, minor, bugfix, build.
    """

    def __init__(self, version: tuple[int, int, int, int]) -> None:
        self.version = version

    @property
    def is_cb3(self) -> bool:
        """Whether it is of the series before the e-Series: 125 packages a second, no sensor of force."""
        return self.version[0] <= _CB3_MAJOR

    @property
    def rate_hz(self) -> float:
        """Most packages a second."""
        return 125.0 if self.is_cb3 else 500.0


def greet(host: str, timeout_s: float = _TIMEOUT_S) -> Controller:
    """Ask the controller at `host`, on a connection that is closed again.

    Raises:
        DriverError: there is none, it does not answer, or it speaks no RTDE 2.
    """
    try:
        with socket.create_connection((host, RTDE_PORT), timeout_s) as connection:
            connection.settimeout(timeout_s)
            if _ask(connection, "V", struct.pack(">H", 2)) != b"\x01":
                problem = f"at {host} refuses RTDE protocol 2: update it to PolyScope 3.3 or later"
                raise DriverError("the controller", problem)
            answer = _ask(connection, "v", b"")
    except TimeoutError:
        problem = f"at {host} does not answer on port {RTDE_PORT} within {timeout_s:g} s: is it still starting?"
        raise DriverError("the controller", problem) from None
    except OSError as error:
        cause = error.strerror or str(error)
        problem = f"at {host} can't be reached on port {RTDE_PORT} ({cause}): is it on, and driver.host its address?"
        raise DriverError("the controller", problem) from error
    if len(answer) != 16:
        raise DriverError("the controller", f"at {host} answers with {len(answer)} bytes of version, expected 16")
    return Controller(struct.unpack(">4I", answer))


def _ask(connection: socket.socket, kind: str, payload: bytes) -> bytes:
    connection.sendall(_HEADER.pack(_HEADER.size + len(payload), ord(kind)) + payload)
    while True:
        size, answered = _HEADER.unpack(_exactly(connection, _HEADER.size))
        body = _exactly(connection, max(0, size - _HEADER.size))
        # Text messages to its log may come in between.
        if answered == ord(kind):
            return body


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError("it closed the connection")
        data += more
    return data
