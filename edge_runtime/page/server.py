"""The page's server: three kinds of GET on the loopback interface, nothing else.

Serves only this machine: it binds 127.0.0.1 and refuses a request whose Host is another name, so that a web page
from elsewhere can't read it through the browser.
"""

from __future__ import annotations

import sys
import threading
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from edge_runtime.client.status import Status
from edge_runtime.client.status_lines import (
    interventions_line,
    is_alarmed,
    is_capped,
    next_step,
    plan_line,
    policy_line,
    refusals_line,
    speed_line,
    state_line,
    timing_line,
    unexpected_refusals,
    verdicts_line,
    wants_a_person,
)
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ProcessError
from edge_runtime.page.pictures import Pictures

ADDRESS = "127.0.0.1"
_BOUNDARY = "edge-runtime-frame"
_SOCKET_TIMEOUT_S = 5.0
_ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M3 14h6M6 14V9l6-4" fill="none" '
    b'stroke="#1a7f4b" stroke-width="2" stroke-linecap="round"/><circle cx="12" cy="5" r="2.5" fill="#1a7f4b"/></svg>'
)


def require_free_port(port: int) -> None:
    """Find out before anything else is begun that a page could not be served on `port` of 127.0.0.1; 0 is any.

    Raises:
        ProcessError: the port is taken.
    """
    try:
        HTTPServer((ADDRESS, port), BaseHTTPRequestHandler).server_close()
    except OSError as error:
        raise _taken(port, error) from error


def _taken(port: int, error: OSError) -> ProcessError:
    options = '--page-port 0 for any free one, --no-page for none; with make: ARGS="--page-port 0"'
    return ProcessError(f"page: port {port}: {error.strerror}; choose another: {options}")


class Page:
    """The page of one run, served from threads of its own until `close`.

    Args:
        run_dir: folder of the run's sockets.
        embodiment: names the cameras.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        robot: its name, for the title.

    Raises:
        ProcessError: the port is taken.
    """

    def __init__(self, run_dir: Path, embodiment: Embodiment, port: int, *, robot: str = "") -> None:
        try:
            self._server = _Server(port, tuple(camera.name for camera in embodiment.cameras))
        except OSError as error:
            raise _taken(port, error) from error
        self._server.pictures = Pictures(run_dir)
        self._robot, self._run_dir = robot, run_dir
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="page", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{ADDRESS}:{self._server.server_port}/"

    def show(
        self, status: Status, episodes: int = 0, successes: int = 0, *, bundle_line: str = "", update_line: str = ""
    ) -> None:
        """What the page shows from now on; the lines are for people, of the bundle that acts and of an update."""
        more = {
            "robot": self._robot,
            **_lines(status, self._run_dir),
            "episodes": episodes,
            "successes": successes,
            "bundle_line": bundle_line,
            "update_line": update_line,
        }
        self._server.status = msgspec.json.encode({**msgspec.to_builtins(status), **more})

    def close(self) -> None:
        """Stop serving."""
        self._server.pictures.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _lines(status: Status, run_dir: Path) -> dict[str, str | bool]:
    """What the page shows as it is: sentences, and which of them are warnings."""
    return {
        "state_line": state_line(status),
        "next_step": next_step(status, run_dir) if wants_a_person(status) else "",
        "speed_line": speed_line(status),
        "is_capped": is_capped(status),
        "plan_line": plan_line(status),
        "policy_line": policy_line(status),
        "verdicts_line": verdicts_line(status),
        "is_alarmed": is_alarmed(status),
        "interventions_line": interventions_line(status),
        "timing_line": timing_line(status),
        "refused_line": refusals_line(status),
        "is_refusing": unexpected_refusals(status) > 0,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    pictures: Pictures

    def __init__(self, port: int, cameras: tuple[str, ...]) -> None:
        super().__init__((ADDRESS, port), _Handler)
        template = resources.files("edge_runtime.page").joinpath("page.html").read_text(encoding="utf-8")
        figures = "".join(
            f'<figure><img src="/{quote(name)}.mjpg" alt="{escape(name)} camera">'
            f"<figcaption>{escape(name)}</figcaption></figure>"
            for name in cameras
        )
        self.html = template.replace("<!-- cameras -->", figures).encode()
        self.cameras = cameras
        self.status = b"{}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is not worth a traceback in the terminal."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SOCKET_TIMEOUT_S

    def do_GET(self) -> None:
        """The page, its status, or one camera's stream."""
        if self.headers.get("Host", "").partition(":")[0] not in (ADDRESS, "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path == "/":
            self._send("text/html; charset=utf-8", self.server.html)
        elif self.path == "/favicon.svg":
            self._send("image/svg+xml", _ICON)
        elif self.path == "/status.json":
            self._send("application/json", self.server.status)
        elif self.path.endswith(".mjpg") and unquote(self.path[1:-5]) in self.server.cameras:
            self._stream(unquote(self.path[1:-5]))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header(
            "Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
        )
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, camera: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        pictures = self.server.pictures
        pictures.watch(1)
        try:
            number = -1
            while not pictures.closed:
                picture = pictures.next(camera, number, _SOCKET_TIMEOUT_S)
                if picture is None:
                    # No camera yet, or its driver is being started again: a stream that ended would not come back.
                    continue
                number, jpeg = picture
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            # The viewer has left.
            pass
        finally:
            pictures.watch(-1)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are not worth a line in the terminal."""
