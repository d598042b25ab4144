"""A transport with patience: small objects, whole, in memory, asked for again while the network fails.

Guarantees an end, by `retry.py`. Refuses to ask again for what is not there: that is how a repository says that it has
no newer root. Parts of objects pass through as they are; whoever reads those knows better where to go on.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

from edge_runtime.ota.transfer.retry import GiveUp, Patience, Retries
from edge_runtime.ota.transfer.schedule import Clock
from edge_runtime.ota.transfer.transport import Reply, Span, TransferError, Transport

METADATA_PATIENCE = Patience(many=4, few=1, first_wait_s=0.5, longest_wait_s=10.0, without_progress_s=120.0)


class RetryingTransport:
    """`Transport` on top of another one."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        patience: Patience = METADATA_PATIENCE,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._patience = patience
        self._draw = draw

    @contextlib.contextmanager
    def open(self, span: Span, *, ceiling_bytes: int) -> Iterator[Reply]:
        """See `Transport.open`. A whole object is in memory when this returns: at most `ceiling_bytes`."""
        if span.end is None:
            yield self._whole(span, ceiling_bytes)
            return
        with self._transport.open(span, ceiling_bytes=ceiling_bytes) as reply:
            yield reply

    def _whole(self, span: Span, ceiling_bytes: int) -> Reply:
        retries = Retries(self._patience)
        while True:
            try:
                with self._transport.open(span, ceiling_bytes=ceiling_bytes) as reply:
                    return _Held(reply.entity_tag, reply.server_s, b"".join(reply))
            except TransferError as error:  # noqa: PERF203 (a failure is what the loop is for)
                now_ns = self._clock.now_ns()
                verdict = retries.after(error.refusal, now_ns, draw=self._draw(), retry_after_s=error.retry_after_s)
                if isinstance(verdict, GiveUp):
                    raise
                self._clock.wait(verdict.wait_s)


class _Held:
    def __init__(self, entity_tag: str | None, server_s: float | None, data: bytes) -> None:
        self.entity_tag = entity_tag
        self.server_s = server_s
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._data,))
