"""Which requests of a browser are this page's own: by the host that was asked, and by the page that asks.

A web page from elsewhere can make a browser send requests here, or give this machine's address a name of its own (DNS
rebinding). The name shows in `Host`, the page in `Origin` and `Sec-Fetch-Site`. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Origins:
    """The hosts that this page is called by.

    Args:
        listen: the address that it listens on; with one of a network any address of this machine may be in the link.
        names: further ones, such as that of a reverse proxy.
    """

    def __init__(self, listen: str, names: Iterable[str] = ()) -> None:
        self._names = {*_LOOPBACK, listen.lower(), *(name.lower().rstrip(".") for name in names)}
        self._any_address = not ipaddress.ip_address(listen).is_loopback

    def is_own_host(self, host: str | None) -> bool:
        """Whether `Host` is a name of this page. A bare address is: no foreign page can have it as its name."""
        name = _name_of(host or "")
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address

    def is_own_page(self, origin: str | None, host: str | None, fetch_site: str | None) -> bool:
        """Whether a request that changes something comes from a page that this server has served.

        Args:
            origin: header of the request; browsers send it with every one that changes something.
            host, fetch_site: its `Host` and `Sec-Fetch-Site`, which older browsers do not send.
        """
        if fetch_site not in (None, "same-origin"):
            return False
        scheme, separator, where = (origin or "").lower().partition("://")
        return bool(separator) and scheme in ("http", "https") and where == (host or "").lower()


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`.

    Raises:
        ValueError: it is no address.
    """
    return ipaddress.ip_address(address).is_loopback


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")
