"""Bodies of requests, read with a ceiling and within a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

SILENCE_S = 20.0


async def parts_of(request: Request, ceiling_bytes: int, within_s: float) -> AsyncIterator[bytes]:
    """The body in parts, never more than `ceiling_bytes` in all.

    Answers 413 beyond that, and 408 to whoever is silent for `SILENCE_S` or not done `within_s`.
    """
    size_bytes = 0
    deadline_s = time.monotonic() + within_s
    stream = request.stream().__aiter__()
    while True:
        wait_s = min(SILENCE_S, deadline_s - time.monotonic())
        try:
            part = await asyncio.wait_for(anext(stream, None), max(0.0, wait_s))
        except asyncio.TimeoutError:
            raise HTTPException(408, "the body came too slowly") from None
        except ClientDisconnect:
            raise HTTPException(400, "the body ended before its end") from None
        if part is None:
            return
        size_bytes += len(part)
        if size_bytes > ceiling_bytes:
            raise HTTPException(413, f"more than {ceiling_bytes} bytes")
        yield part


async def whole_body(request: Request, ceiling_bytes: int, within_s: float) -> bytes:
    """The body, with the same ceiling and time."""
    return b"".join([part async for part in parts_of(request, ceiling_bytes, within_s)])
