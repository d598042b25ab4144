"""Which chunk was followed from when: matches the loop's tick reports with the chunks that were handed to it.

Pure bookkeeping behind every latency figure; bounded, and nothing in the motion depends on it.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.errors import Refusal
from contracts.messages import ActionChunk, ChunkReceipt

_MAX_PENDING = 64


class Receipts:
    """Receipts of chunks: at once for a refused one, with the first tick that followed it for an accepted one."""

    def __init__(self) -> None:
        self._pending: OrderedDict[int, ChunkReceipt] = OrderedDict()
        self._plan_of_last_tick = 0

    def restart(self) -> None:
        """Forget chunks that no tick has followed yet, as arming forgets their plans; they get no receipt."""
        self._pending.clear()

    def refused(self, chunk: ActionChunk, refusal: Refusal, received_ns: int) -> ChunkReceipt:
        """Receipt of a chunk that was not used."""
        return _receipt(chunk, received_ns, refusal, 0)

    def accepted(self, chunk: ActionChunk, plan_seq: int, expired_actions: int, received_ns: int) -> None:
        """Remember that plan `plan_seq` was made from `chunk`."""
        self._pending[plan_seq] = _receipt(chunk, received_ns, None, expired_actions)
        while len(self._pending) > _MAX_PENDING:
            self._pending.popitem(last=False)

    def followed(self, tick_ns: npt.NDArray[np.int64], plan_seq: npt.NDArray[np.uint64]) -> list[ChunkReceipt]:
        """Receipts that are complete after these ticks: followed for the first time, or overtaken by a newer plan.

        Args:
            tick_ns: (ticks,) stamps, ascending.
            plan_seq: (ticks,) plan that each tick's command came from, 0 for none.
        """
        if len(tick_ns) == 0:
            return []
        complete: list[ChunkReceipt] = []
        first_ticks = np.flatnonzero(np.diff(plan_seq, prepend=np.uint64(self._plan_of_last_tick)))
        for index in first_ticks:
            plan = int(plan_seq[index])
            if plan == 0 or plan not in self._pending:
                continue
            while self._pending:
                pending_plan, receipt = next(iter(self._pending.items()))
                if pending_plan > plan:
                    break
                del self._pending[pending_plan]
                if pending_plan == plan:
                    receipt = msgspec.structs.replace(receipt, first_command_ns=int(tick_ns[index]))
                complete.append(receipt)
        self._plan_of_last_tick = int(plan_seq[-1])
        return complete


def _receipt(chunk: ActionChunk, received_ns: int, refusal: Refusal | None, expired_actions: int) -> ChunkReceipt:
    return ChunkReceipt(
        chunk_sequence=chunk.sequence,
        exposure_ns=chunk.exposure_ns,
        observation_published_ns=chunk.observation_published_ns,
        chunk_published_ns=chunk.published_ns,
        received_ns=received_ns,
        model_ns=chunk.timing.model_ns,
        refusal=None if refusal is None else refusal.value,
        expired_actions=expired_actions,
        first_command_ns=None,
    )
