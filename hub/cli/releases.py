"""How releases are listed for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from edge_runtime.contracts.assignment import ReleaseTerms
from edge_runtime.contracts.subcommand import say
from edge_runtime.contracts.text import printable


def list_releases(listed: Iterable[tuple[str, ReleaseTerms, int]], published: Collection[str] = ()) -> None:
    """Print path, terms and size in bytes of each; where some are `published`, those with =, new ones with +."""
    for path, terms, length_bytes in listed:
        mark = "  " if not published else "= " if path in published else "+ "
        counters = ", ".join(map(str, terms.release_counters))
        say(f"{mark}{printable(path)}\n    counters {counters}; for {', '.join(terms.hardware)}; {length_bytes} bytes")
