"""The options of the page, for its process and for the command alike. Imports little: every help reads them."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path

PORT = 8600
LOOPBACK = "127.0.0.1"


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the page's process takes beside robot and folder."""
    parser.add_argument(
        "--port", type=_port, default=PORT, metavar="N", help=f"TCP port (default: {PORT}; 0: any free one)"
    )
    parser.add_argument(
        "--listen",
        type=_address,
        default=LOOPBACK,
        metavar="ADDRESS",
        help="address to serve on (default: 127.0.0.1, this machine alone); any other one only with a token",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a further name that the page is opened by, such as that of a reverse proxy; may be repeated",
    )
    parser.add_argument("--private", action="store_true", help="looking needs the token too")
    parser.add_argument(
        "--arming",
        action="store_true",
        help="take arm and resume also where the page is served to other machines",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="where the token is kept, as a hash")


def _port(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must lie between 0 and 65535")
    return value


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an address such as 0.0.0.0 or 192.168.1.20, got {text!r}") from None
