"""The one seam to the network: bytes of a URL from an offset to an end, as a stream with a ceiling.

Guarantees that what it yields are exactly the bytes asked for, as far as the server's own words can tell: a whole
object in place of a range, another range, another length, an object that changed, a compressed body, a byte too many,
the page of a captive portal and a server that trickles each end in an `OtaError` with a reason of their own.
Certificates are always checked, and no redirect leads from https to http. Refuses to know metadata, blobs and retries.
Trusts no byte: hashes are checked by whoever asked.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

import httpx

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.schedule import Clock, Throughput
from edge_runtime.ota.transfer.watchdog import LastConnection, Watchdog

MAX_REDIRECTS = 5
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)\Z")
_OUTSIDE_VALIDITY = frozenset({9, 10})
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BY_STATUS = {
    401: OtaRefusal.FORBIDDEN,
    403: OtaRefusal.FORBIDDEN,
    404: OtaRefusal.NOT_FOUND,
    408: OtaRefusal.SERVER_ERROR,
    410: OtaRefusal.NOT_FOUND,
    412: OtaRefusal.OBJECT_CHANGED,
    416: OtaRefusal.WRONG_RANGE,
    429: OtaRefusal.SERVER_BUSY,
    503: OtaRefusal.SERVER_BUSY,
    511: OtaRefusal.CAPTIVE_PORTAL,
}


@dataclass(frozen=True)
class NetworkSettings:
    """How this robot reaches the network. Sizes in bytes, times in seconds.

    `ca_file` replaces the certificates that are trusted; there is no way to trust all. `proxy` is a URL; without it the
    usual environment variables count. `silence_s` is the longest wait for a connection, an answer's headers or the next
    bytes. A server that sends less than `least_bytes_s` over `window_s` of waiting is too slow.
    """

    ca_file: Path | None = None
    proxy: str | None = None
    connect_s: float = 10.0
    silence_s: float = 20.0
    least_bytes_s: float = 1024.0
    window_s: float = 30.0

    def __post_init__(self) -> None:
        if min(self.connect_s, self.silence_s, self.least_bytes_s, self.window_s) <= 0.0:
            raise ValueError("times and rates of the network must be positive")


@dataclass(frozen=True)
class Span:
    """Bytes `offset` (included) to `end` (not included) of what lies at `url`; without `end` the whole object.

    `object_bytes` is the size the object is known to have, `entity_tag` the one that an earlier part came under.
    """

    url: str
    offset: int = 0
    end: int | None = None
    object_bytes: int | None = None
    entity_tag: str | None = None

    def __post_init__(self) -> None:
        if self.offset < 0 or (self.end is None and self.offset) or (self.end is not None and self.end <= self.offset):
            raise ValueError(f"no span of bytes: {self.offset} to {self.end}")


class TransferError(OtaError):
    """A transfer that failed.

    Attributes:
        status: of the HTTP answer, if there was one and it was the fault.
        retry_after_s: how long the server asks to be left alone, if it does.
    """

    def __init__(
        self, refusal: OtaRefusal, detail: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(refusal, detail)
        self.status = status
        self.retry_after_s = retry_after_s


class Reply(Protocol):
    """An open transfer. Iterating raises `TransferError`; the parts are at most 64 KiB."""

    @property
    def entity_tag(self) -> str | None:
        """Names the state of the object, if the server gives a strong one."""

    @property
    def server_s(self) -> float | None:
        """The server's own clock, Unix seconds, if it says; nobody vouches for it."""

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, once."""


class Transport(Protocol):
    """What metadata and blobs come through."""

    def open(self, span: Span, *, ceiling_bytes: int) -> AbstractContextManager[Reply]:
        """Ask for `span`; entering raises `TransferError` where the answer is no good.

        More than `ceiling_bytes` are never yielded; an object without an end that is larger is refused.
        """


class HttpTransport:
    """`Transport` over HTTP(S), one transfer at a time."""

    def __init__(self, settings: NetworkSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._busy = threading.Lock()
        self._connection = LastConnection()
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=str(settings.ca_file)) if settings.ca_file else True,
            proxy=settings.proxy,
            timeout=httpx.Timeout(settings.silence_s, connect=settings.connect_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            # A compressed answer would make ranges meaningless and ceilings a matter of the decoder.
            headers={"Accept-Encoding": "identity", "User-Agent": "edge-runtime-ota"},
        )

    def close(self) -> None:
        """End the connection that is kept."""
        self._client.close()
        self._connection.close()

    def __enter__(self) -> HttpTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def open(self, span: Span, *, ceiling_bytes: int) -> Iterator[Reply]:
        """See `Transport.open`.

        Raises:
            RuntimeError: another transfer is open.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("this transport has a transfer open already")
        try:
            with Watchdog(self._connection, self._settings.silence_s) as watchdog:
                throughput = Throughput(self._settings.least_bytes_s, self._settings.window_s)
                asked_ns = self._clock.now_ns()
                with _named(span.url, watchdog, self._clock):
                    response = self._send(span)
                try:
                    _check_answer(response, span, ceiling_bytes)
                    throughput.too_slow(0, self._clock.now_ns() - asked_ns)
                    watchdog.resting()
                    yield _HttpReply(response, span, ceiling_bytes, watchdog, throughput, self._clock)
                finally:
                    watchdog.resting()
                    response.close()
        finally:
            self._busy.release()

    def post(self, url: str, body: bytes) -> None:
        """Hand over `body`, JSON; what is answered to it is not read.

        Raises:
            TransferError: it was not taken.
            RuntimeError: a transfer is open.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("this transport has a transfer open already")
        try:
            with Watchdog(self._connection, self._settings.silence_s) as watchdog:
                request = self._client.build_request(
                    "POST", url, content=body, headers={"Content-Type": "application/json"}
                )
                request.extensions["trace"] = self._connection.trace
                with _named(url, watchdog, self._clock):
                    response = self._client.send(request, stream=True)
                watchdog.resting()
                response.close()
                if response.status_code != 200:
                    raise _status_error(response, url)
                _require_no_page(response, url)
        finally:
            self._busy.release()

    def _send(self, span: Span) -> httpx.Response:
        headers = {}
        if span.end is not None:
            headers["Range"] = f"bytes={span.offset}-{span.end - 1}"
            if span.entity_tag is not None:
                headers["If-Range"] = span.entity_tag
        request = self._client.build_request("GET", span.url, headers=headers)
        for _ in range(MAX_REDIRECTS + 1):
            request.extensions["trace"] = self._connection.trace
            response = self._client.send(request, stream=True)
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            following = response.next_request
            if following is None:
                raise TransferError(OtaRefusal.REDIRECT_REFUSED, f"{span.url}: redirected to nowhere")
            if following.url.scheme not in ("https", request.url.scheme):
                raise TransferError(OtaRefusal.REDIRECT_REFUSED, f"{span.url}: redirected to {following.url.scheme}")
            request = following
        raise TransferError(OtaRefusal.REDIRECT_REFUSED, f"{span.url}: more than {MAX_REDIRECTS} redirects")


class _HttpReply:
    def __init__(
        self,
        response: httpx.Response,
        span: Span,
        ceiling_bytes: int,
        watchdog: Watchdog,
        throughput: Throughput,
        clock: Clock,
    ) -> None:
        self._response = response
        self._span = span
        self._ceiling_bytes = ceiling_bytes
        self._watchdog = watchdog
        self._throughput = throughput
        self._clock = clock

    @property
    def entity_tag(self) -> str | None:
        return _strong_tag(self._response)

    @property
    def server_s(self) -> float | None:
        return _date_s(self._response.headers.get("Date"))

    def __iter__(self) -> Iterator[bytes]:
        span, clock, watchdog = self._span, self._clock, self._watchdog
        wanted = None if span.end is None else span.end - span.offset
        limit = self._ceiling_bytes if wanted is None else min(wanted, self._ceiling_bytes)
        came = 0
        parts = self._response.iter_raw()
        while True:
            watchdog.waiting()
            asked_ns = clock.now_ns()
            with _named(span.url, watchdog, clock):
                part = next(parts, None)
            watchdog.resting()
            if part is None:
                break
            came += len(part)
            if came > limit:
                raise TransferError(OtaRefusal.ENDLESS_DATA, f"{span.url}: more than the {limit} bytes agreed")
            if self._throughput.too_slow(len(part), clock.now_ns() - asked_ns):
                raise TransferError(
                    OtaRefusal.SLOW_RETRIEVAL,
                    f"{span.url}: {came} bytes came, slower than what is asked of a server",
                )
            yield part
        if wanted is not None and came < wanted:
            raise TransferError(OtaRefusal.DISCONNECTED, f"{span.url}: {came} of {wanted} bytes came")


def _check_answer(response: httpx.Response, span: Span, ceiling_bytes: int) -> None:
    url, status, headers = span.url, response.status_code, response.headers
    tag = _strong_tag(response)
    has_changed = span.entity_tag is not None and tag != span.entity_tag
    if status not in (200, 206):
        raise _status_error(response, url)
    _require_no_page(response, url)
    if has_changed:
        raise TransferError(
            OtaRefusal.OBJECT_CHANGED, f"{url}: entity tag {tag}, the part before had {span.entity_tag}"
        )
    if headers.get("Content-Encoding", "identity") != "identity":
        raise TransferError(OtaRefusal.WRONG_ENCODING, f"{url}: encoded as {headers['Content-Encoding'][:40]!r}")
    length = headers.get("Content-Length", "")
    announced = int(length) if re.fullmatch("[0-9]{1,15}", length) else None
    if span.end is None:
        if status == 206:
            raise TransferError(OtaRefusal.WRONG_RANGE, f"{url}: a part, though the whole was asked for")
        if announced is not None and announced > ceiling_bytes:
            raise TransferError(OtaRefusal.ENDLESS_DATA, f"{url}: {announced} bytes, the ceiling is {ceiling_bytes}")
        return
    if status == 200:
        raise TransferError(OtaRefusal.RANGE_IGNORED, f"{url}: the whole, though a range was asked for")
    match = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
    if match is None or (int(match[1]), int(match[2])) != (span.offset, span.end - 1):
        raise TransferError(
            OtaRefusal.WRONG_RANGE,
            f"{url}: asked for {span.offset}-{span.end - 1}, got {headers.get('Content-Range', 'no range')[:80]!r}",
        )
    if span.object_bytes is not None and match[3] not in ("*", str(span.object_bytes)):
        raise TransferError(OtaRefusal.WRONG_LENGTH, f"{url}: {match[3]} bytes, signed are {span.object_bytes}")
    if announced is not None and announced != span.end - span.offset:
        raise TransferError(OtaRefusal.WRONG_LENGTH, f"{url}: {announced} bytes for {span.end - span.offset} asked for")


def _require_no_page(response: httpx.Response, url: str) -> None:
    """What a hub gives robots is never a web page."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise portal_error(url)


def portal_error(url: str) -> TransferError:
    """A web page came in place of what was asked for."""
    return TransferError(
        OtaRefusal.CAPTIVE_PORTAL,
        f"{url}: a web page came instead: the network asks for a login, or this is not the hub's address",
    )


def _date_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text[:64]).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _status_error(response: httpx.Response, url: str) -> TransferError:
    status = response.status_code
    return TransferError(
        _BY_STATUS.get(status, OtaRefusal.SERVER_ERROR if status >= 500 else OtaRefusal.UNEXPECTED_STATUS),
        f"{url}: status {status}",
        status=status,
        retry_after_s=_retry_after_s(response.headers.get("Retry-After")),
    )


def _strong_tag(response: httpx.Response) -> str | None:
    tag: str | None = response.headers.get("ETag")
    return tag if tag is not None and re.fullmatch(r'"[\x21\x23-\x7e]{0,120}"', tag) else None


def _retry_after_s(text: str | None) -> float | None:
    # The form with a date would need a wall clock that is right; a robot's may not be.
    return float(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


@contextlib.contextmanager
def _named(url: str, watchdog: Watchdog, clock: Clock) -> Iterator[None]:
    try:
        yield
    # ValueError: a name that no resolver could be asked for, which a redirect may lead to.
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, OSError) as error:
        refusal, what = _reason(error, watchdog, clock)
        raise TransferError(refusal, f"{url}: {what}") from error


def _reason(error: Exception, watchdog: Watchdog, clock: Clock) -> tuple[OtaRefusal, str]:
    detail = f"{type(error).__name__}: {error}"[:200]
    if (certificate := _certificate_error(error)) is not None:
        if certificate.verify_code in _OUTSIDE_VALIDITY:
            detail += f"; by this robot's clock it is {clock.local_time():%Y-%m-%d %H:%M}: if that is wrong, set it"
        return OtaRefusal.UNTRUSTED_SERVER, detail
    if watchdog.has_bitten:
        return OtaRefusal.SLOW_RETRIEVAL, "silent for too long"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout, ValueError)):
        return OtaRefusal.UNREACHABLE, detail
    if isinstance(error, httpx.TimeoutException):
        return OtaRefusal.SLOW_RETRIEVAL, detail
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return OtaRefusal.REDIRECT_REFUSED, detail
    return OtaRefusal.DISCONNECTED, detail


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
