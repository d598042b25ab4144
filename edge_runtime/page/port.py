"""The TCP port of the page: found out to be free before anything else is begun."""

from __future__ import annotations

import errno
import ipaddress
import socket

from edge_runtime.contracts.errors import ProcessError
from edge_runtime.page.options import LOOPBACK


def require_free_port(port: int, address: str = LOOPBACK) -> int:
    """Find out before anything else is begun that a page could not be served on `port`; the port, of 0 a free one.

    Raises:
        ProcessError: the port is taken, or the address is none of this machine's.
    """
    try:
        with _bound(address, port) as sock:
            return int(sock.getsockname()[1])
    except OSError as error:
        raise taken(port, error) from error


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def taken(port: int, error: OSError) -> ProcessError:
    """What a person is to do about a port that can't be had."""
    if error.errno == errno.EADDRNOTAVAIL:
        return ProcessError(f"page: {error.strerror}: --listen takes an address of this machine, or 0.0.0.0 for all")
    options = '--page-port 0 for any free one, --no-page for none; with make: ARGS="--page-port 0"'
    return ProcessError(f"page: port {port}: {error.strerror}; choose another: {options}")
