"""The transport over TLS: certificates are made here, for `localhost`."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings, Span, TransferError
from edge_runtime.testing.web_server import WebServer, in_turn
from tests.ota.test_transport import DATA, PART, PATH, QUICK, answer, read


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], ssl.SSLContext]:
    return lambda name: certified(tmp_path / name)


def test_a_certificate_is_trusted_when_the_robot_knows_it_and_only_then(
    made: Callable[[str], ssl.SSLContext], tmp_path: Path
) -> None:
    known, other = made("known"), made("other")
    settings = NetworkSettings(ca_file=tmp_path / "known" / "cert.pem")
    with WebServer({PATH: DATA}, tls=known) as server, HttpTransport(settings, SystemClock()) as transport:
        assert read(transport, Span(server.url + PATH, 100, 200)) == PART
        with pytest.raises(TransferError, match="untrusted_server"):
            read(transport, Span(server.url.replace("localhost", "127.0.0.1") + PATH))
    with WebServer({PATH: DATA}, tls=other) as server:
        for network in (settings, NetworkSettings()):
            with (
                HttpTransport(network, SystemClock()) as transport,
                pytest.raises(TransferError, match="untrusted_server"),
            ):
                read(transport, Span(server.url + PATH))
        assert not server.requests


@pytest.mark.parametrize("days", [(-9, -2), (2, 9)], ids=["expired", "not yet valid"])
def test_a_certificate_outside_its_days_names_the_robots_clock(tmp_path: Path, days: tuple[int, int]) -> None:
    tls = certified(tmp_path / "known", days)
    settings = NetworkSettings(ca_file=tmp_path / "known" / "cert.pem")
    with (
        WebServer({PATH: DATA}, tls=tls) as server,
        HttpTransport(settings, SystemClock()) as transport,
        pytest.raises(TransferError, match=r"untrusted_server.*by this robot's clock it is \d{4}-"),
    ):
        read(transport, Span(server.url + PATH))


def test_no_redirect_leads_out_of_tls(made: Callable[[str], ssl.SSLContext], tmp_path: Path) -> None:
    tls = made("known")
    settings = NetworkSettings(ca_file=tmp_path / "known" / "cert.pem")
    with WebServer({}, tls=tls) as server, WebServer({PATH: DATA}) as plain:
        server.behave = in_turn(answer(302, Location=plain.url + PATH))
        with (
            HttpTransport(settings, SystemClock()) as transport,
            pytest.raises(TransferError, match="redirected to http"),
        ):
            read(transport, Span(server.url + PATH))
        assert not plain.requests


def test_a_handshake_that_never_ends_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, HttpTransport(QUICK, SystemClock()) as transport:
        started_s = time.monotonic()
        with pytest.raises(TransferError) as caught:
            read(transport, Span(f"https://localhost:{listener.getsockname()[1]}/x"))
        assert caught.value.refusal in (OtaRefusal.SLOW_RETRIEVAL, OtaRefusal.UNREACHABLE)
        assert time.monotonic() - started_s < 15.0


def certified(folder: Path, days: tuple[int, int] = (-1, 1)) -> ssl.SSLContext:
    """A server's context with a certificate of its own for localhost, in `folder`/cert.pem, valid between two days."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
