"""The page's web server: files of the page, JSON of what is gathered, and requests of whoever holds the token.

Guarantees that nothing is asked of the robot without the token, and that nothing is answered to a page or under a name
that is not this page's own (`origins`). No cookie is set or read. Connections, sizes and times are bounded, and a stop
waits for nothing but a free connection, of which a browser that shows the page keeps one free. Knows no bus.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from edge_runtime.contracts.errors import EdgeError, RecordingError
from edge_runtime.contracts.text import printable
from edge_runtime.page.asking import Asking
from edge_runtime.page.gathered import Gathered
from edge_runtime.page.origins import Origins
from edge_runtime.page.pictures import Pictures
from edge_runtime.page.port import taken
from edge_runtime.page.recordings import Recordings
from edge_runtime.page.shown import ANSWERS, Answered, RobotShown
from edge_runtime.page.tokens import Patience, Tokens

_SOCKET_TIMEOUT_S = 10.0
_PICTURE_TIMEOUT_S = 1.0
_MAX_BODY_BYTES = 8192
_MAX_CONNECTIONS = 128
_MAX_FROM_ONE_ADDRESS = 48
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "LICENSE": "text/plain; charset=utf-8",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Served:
    """All that the server hands out, and what it asks before it does.

    Attributes:
        robot: what the page is of.
        cameras: whose pictures there are.
    """

    robot: RobotShown
    gathered: Gathered
    pictures: Pictures | None
    recordings: Recordings
    asking: Asking
    tokens: Tokens
    origins: Origins


class PageServer(ThreadingHTTPServer):
    """Serves on `address` and `port` until `close`.

    Args:
        address: of this machine.
        port: 0 takes a free one.
        served: what.

    Raises:
        ProcessError: the port is taken, or the address is none of this machine's.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: str, port: int, served: Served) -> None:
        self.served = served
        self.patience = Patience()
        self.files = _files()
        self._connections: Counter[str] = Counter()
        self._open: set[socket.socket] = set()
        self._counting = threading.Lock()
        if ipaddress.ip_address(address).version == 6:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise taken(port, error) from error

    def start(self) -> None:
        """Serve from threads of its own."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="page", daemon=True).start()

    def close(self) -> None:
        """Stop serving, and hang up."""
        self.shutdown()
        self.server_close()
        with self._counting:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def server_bind(self) -> None:
        """Without asking a name server for this machine's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, unless there are too many of them."""
        address = client_address[0]
        with self._counting:
            if self._connections.total() >= _MAX_CONNECTIONS or self._connections[address] >= _MAX_FROM_ONE_ADDRESS:
                self.shutdown_request(request)
                return
            self._connections[address] += 1
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._counting:
                self._open.discard(request)
                self._connections[client_address[0]] -= 1
                self._connections += Counter()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is not worth a traceback in the log."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _files() -> dict[str, tuple[str, bytes]]:
    """Kind and content of all files of the page, by path."""
    found = {}
    folders = [("", resources.files("edge_runtime.page").joinpath("static"))]
    while folders:
        prefix, folder = folders.pop()
        for entry in folder.iterdir():
            path = f"{prefix}/{entry.name}"
            if entry.is_dir():
                folders.append((path, entry))
            else:
                kind = next((kind for end, kind in _KINDS.items() if entry.name.endswith(end)), None)
                if kind is not None:
                    found[path] = (kind, entry.read_bytes())
    found["/"] = found.pop("/index.html")
    return found


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = _SOCKET_TIMEOUT_S
    protocol_version = "HTTP/1.1"
    server_version = "edge-runtime-page"
    sys_version = ""

    def setup(self) -> None:
        """A small answer is not kept back until the next one."""
        super().setup()
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        """A file of the page, or JSON, or a picture."""
        if not self._is_own_host():
            return
        path, _, query = self.path.partition("?")
        if (file := self.server.files.get(path)) is not None:
            self._send(HTTPStatus.OK, *file)
        elif not path.startswith("/api/"):
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")
        elif self.server.served.robot.needs_token and not self._has_token():
            return
        else:
            self._get(unquote(path.removeprefix("/api/")), query)

    def _get(self, what: str, query: str) -> None:
        served = self.server.served
        if what == "look":
            values = _values(query)
            axis, since, events = (_number(values, name) for name in ("axis", "since", "events"))
            self._send_json(HTTPStatus.OK, served.gathered.look(axis, since, events))
        elif what == "robot":
            # A token may have been made since the page started.
            robot = msgspec.structs.replace(served.robot, takes_requests=served.tokens.exists)
            self._send_json(HTTPStatus.OK, robot)
        elif what == "recordings":
            self._send_json(HTTPStatus.OK, served.recordings.list())
        elif what == "schema.json":
            self._send_json(HTTPStatus.OK, schema())
        elif what.startswith("recordings/"):
            self._open(what.partition("/")[2])
        elif what.startswith("cameras/") and what.endswith(".jpg"):
            self._picture(what.partition("/")[2].removesuffix(".jpg"), query)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such thing.")

    def do_POST(self) -> None:
        """A request to the robot, of a person who holds the token."""
        body = self._body()
        if body is None or not self._is_own_host():
            return
        headers = self.headers
        if not self.server.served.origins.is_own_page(
            headers.get("Origin"), headers.get("Host"), headers.get("Sec-Fetch-Site")
        ):
            self._note("a request of a page from elsewhere was refused")
            words = "Requests are taken from this page alone. A program uses edge-runtime operator."
            self._refuse(HTTPStatus.FORBIDDEN, words)
        elif headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A request is JSON.")
        elif self._has_token():
            self._post(self.path, body)

    def _post(self, path: str, body: bytes) -> None:
        if path == "/api/token":
            self._send_json(HTTPStatus.OK, Answered(done=True, words="The token is right: requests are open."))
            return
        name = path.removeprefix("/api/requests/")
        try:
            text = msgspec.json.decode(body or b"{}", type=_Asked).text
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(HTTPStatus.BAD_REQUEST, "That is no request.")
            return
        answered = self.server.served.asking.ask(name, text) if name != path else None
        if answered is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such request.")
            return
        self._note(f"{name} was asked for: {answered.words}")
        self._send_json(HTTPStatus.OK, answered)

    def _open(self, name: str) -> None:
        try:
            shown = self.server.served.recordings.open(name)
        except RecordingError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, printable(error))
        except EdgeError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, printable(error))
        else:
            if shown is None:
                self._refuse(
                    HTTPStatus.NOT_FOUND, "There is no such recording: it may have been replaced by newer ones."
                )
            else:
                self._send(HTTPStatus.OK, "application/json", shown)

    def _picture(self, camera: str, query: str) -> None:
        served = self.server.served
        if served.pictures is None or camera not in served.robot.cameras:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such camera.")
            return
        after = _number(_values(query), "after")
        picture = served.pictures.next(camera, after, _PICTURE_TIMEOUT_S)
        if picture is None:
            self._send(HTTPStatus.NO_CONTENT, "image/jpeg", b"")
        else:
            self._send(HTTPStatus.OK, "image/jpeg", picture[1], {"X-Number": str(picture[0])})

    def _is_own_host(self) -> bool:
        if self.server.served.origins.is_own_host(self.headers.get("Host")):
            return True
        words = "This page is not called that: open it by its address, or start it with --name of that host."
        self._refuse(HTTPStatus.MISDIRECTED_REQUEST, words)
        return False

    def _has_token(self) -> bool:
        """Whether the request carries the right token; if not, it has been answered."""
        address = str(self.client_address[0])
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        tokens, patience = self.server.served.tokens, self.server.patience
        if scheme.lower() == "bearer" and tokens.is_right(token):
            return True
        if not tokens.exists:
            words = "This page is for looking alone. To open requests: edge-runtime page token."
            self._refuse(HTTPStatus.FORBIDDEN, words)
        elif not token:
            self._refuse(HTTPStatus.UNAUTHORIZED, "This needs the page's token.")
        elif (wait_s := patience.wait_s(address)) > 0.0:
            words = f"Too many wrong tokens. Try again in {wait_s:.0f} s."
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, words, {"Retry-After": f"{wait_s:.0f}"})
        else:
            patience.wrong(address)
            self._note("a wrong token")
            words = "That is not the page's token. A new one: edge-runtime page token."
            self._refuse(HTTPStatus.UNAUTHORIZED, words)
        return False

    def _body(self) -> bytes | None:
        """The request's body; None if it was answered, as it has none that may be read."""
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if not 0 <= size <= _MAX_BODY_BYTES:
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {_MAX_BODY_BYTES} bytes.")
            return None
        return self.rfile.read(size)

    def _refuse(self, status: HTTPStatus, words: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", msgspec.json.encode(Answered(done=False, words=words)), headers)

    def _send_json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, "application/json", msgspec.json.encode(value))

    def _send(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (*_HEADERS.items(), *(headers or {}).items()):
            self.send_header(name, value)
        self.end_headers()
        if status is not HTTPStatus.NO_CONTENT:
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What the library itself refuses, such as a method that there is not."""
        self.close_connection = True
        self._refuse(HTTPStatus(code), "That is no request to this page.")

    def _note(self, words: str) -> None:
        print(printable(f"page: {self.client_address[0]}: {words}"), file=sys.stderr, flush=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """A browser that looks is not worth a line in the log; what is asked for gets one of its own."""


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = ""


def _values(query: str) -> dict[str, list[str]]:
    """What a query asks for; nothing where it is none."""
    try:
        return parse_qs(query, max_num_fields=8)
    except ValueError:
        return {}


def _number(values: dict[str, list[str]], name: str) -> int:
    """A natural number of a query, 0 for none and for what is none."""
    text = values.get(name, ["0"])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def schema() -> dict[str, Any]:
    """JSON schema of everything that comes back, by name."""
    _, components = msgspec.json.schema_components(ANSWERS, ref_template="#/{name}")
    return dict(components)
