"""Which chunk control follows, as the engine knows it: the newest that was sent and not refused. Pure."""

from __future__ import annotations

from collections import deque

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import ActionChunk, ChunkReceipt

_KEPT = 4
_NOTHING_MOVES = (Refusal.BEFORE_ARMING, Refusal.NOT_ALLOWED_NOW)


class UnderWay:
    """The last chunks that were sent, of whichever policies."""

    def __init__(self) -> None:
        self._sent: deque[ActionChunk] = deque(maxlen=_KEPT)

    @property
    def chunk(self) -> ActionChunk | None:
        """The one that is followed; None where nothing is under way. It may have ended by now."""
        return self._sent[-1] if self._sent else None

    def sent(self, chunk: ActionChunk) -> None:
        """From now on this is the newest."""
        self._sent.append(chunk)

    def end(self) -> None:
        """Nothing is under way: the robot stands still."""
        self._sent.clear()

    def learn(self, receipt: ChunkReceipt) -> None:
        """What control refused is not under way; the one before it goes on, unless nothing may move."""
        if receipt.refusal is None:
            return
        if receipt.refusal in _NOTHING_MOVES:
            self.end()
            return
        kept = [chunk for chunk in self._sent if chunk.sequence != receipt.chunk_sequence]
        self._sent = deque(kept, maxlen=_KEPT)
