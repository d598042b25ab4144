"""Which chunk was followed from when: matches the loop's tick reports with the chunks that were handed to it.

Pure bookkeeping behind every latency figure; bounded, and nothing in the motion depends on it.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.messages import ActionChunk, ChunkReceipt
from edge_runtime.control.admission import Prediction
from edge_runtime.control.chunk_pipeline import Declined, Taken

_MAX_PENDING = 64


class Receipts:
    """Receipts of chunks: at once for a refused one, with the first tick that followed it for an accepted one."""

    def __init__(self) -> None:
        self._pending: OrderedDict[int, ChunkReceipt] = OrderedDict()
        self._plan_of_last_tick = 0

    def restart(self) -> None:
        """Forget chunks that no tick has followed yet, as arming forgets their plans; they get no receipt."""
        self._pending.clear()

    def declined(self, chunk: ActionChunk, declined: Declined, received_ns: int) -> ChunkReceipt:
        """Receipt of a chunk that was not used."""
        receipt = _receipt(chunk, received_ns, declined.prediction)
        return msgspec.structs.replace(receipt, refusal=declined.refused.refusal)

    def taken(self, chunk: ActionChunk, taken: Taken, received_ns: int) -> None:
        """Remember what was made from `chunk`."""
        plan = taken.offer.plan
        self._pending[plan.seq] = msgspec.structs.replace(
            _receipt(chunk, received_ns, taken.prediction),
            expired_actions=taken.offer.expired_actions,
            blend_ns=taken.offer.blend_ns,
            speed_scale=plan.speed_scale,
        )
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
            while self._pending and next(iter(self._pending)) <= plan + 1:
                last, receipt = self._pending.popitem(last=False)
                # A plan's beginning has the number before its own.
                if last - 1 <= plan <= last:
                    receipt = msgspec.structs.replace(receipt, first_command_ns=int(tick_ns[index]))
                complete.append(receipt)
        self._plan_of_last_tick = int(plan_seq[-1])
        return complete


def _receipt(chunk: ActionChunk, received_ns: int, prediction: Prediction) -> ChunkReceipt:
    return ChunkReceipt(
        chunk_sequence=chunk.sequence,
        exposure_ns=chunk.exposure_ns,
        observation_published_ns=chunk.observation_published_ns,
        chunk_published_ns=chunk.published_ns,
        received_ns=received_ns,
        model_ns=chunk.timing.model_ns,
        refusal=None,
        expired_actions=0,
        first_command_ns=None,
        predicted_interventions=prediction.interventions,
        predicted_limits=prediction.limits,
        predicted_first_ns=prediction.first_ns,
        predicted_deviation=prediction.deviation,
        confidence=chunk.confidence,
    )
