"""Whose requests are taken: those of this page, under its own names."""

from __future__ import annotations

import pytest

from edge_runtime.page.origins import Origins


@pytest.mark.parametrize("host", ["127.0.0.1:8600", "localhost:9000", "[::1]:8600", "LOCALHOST", "127.0.0.1"])
def test_this_machine_is_called_by_its_own_names(host: str) -> None:
    assert Origins("127.0.0.1").is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example:8600", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.20:8600"),
        *("0.0.0.0:8600", "[::2]", "[", ":", "2130706433:8600", "0x7f000001"),
    ],
)
def test_no_other_name_leads_here(host: str | None) -> None:
    assert not Origins("127.0.0.1").is_own_host(host)


def test_a_page_for_a_network_is_called_by_addresses_and_by_names_that_were_given() -> None:
    origins = Origins("0.0.0.0", ["arm-1.local", "Robots.Example."])
    addresses = ("192.168.1.20:8600", "[fe80::1]:8600", "127.0.0.1")
    for host in (*addresses, "arm-1.local:8600", "ARM-1.local", "robots.example"):
        assert origins.is_own_host(host), host
    for host in ("evil.example", "arm-1.local.evil.example", "x.robots.example", ""):
        assert not origins.is_own_host(host), host


@pytest.mark.parametrize(
    ("origin", "site", "is_own"),
    [
        ("http://127.0.0.1:8600", "same-origin", True),
        ("http://127.0.0.1:8600", None, True),
        ("https://127.0.0.1:8600", None, True),
        ("http://127.0.0.1:8601", None, False),
        ("http://localhost:8600", None, False),
        ("http://evil.example", None, False),
        ("http://evil.example", "cross-site", False),
        ("http://127.0.0.1:8600", "same-site", False),
        ("http://127.0.0.1:8600", "none", False),
        ("null", None, False),
        ("", None, False),
        (None, None, False),
        ("file://127.0.0.1:8600", None, False),
    ],
)
def test_a_request_comes_from_a_page_of_this_server(origin: str | None, site: str | None, is_own: bool) -> None:
    assert Origins("127.0.0.1").is_own_page(origin, "127.0.0.1:8600", site) is is_own
