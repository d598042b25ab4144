"""What many episodes show: a success rate with its interval, latencies, and what the safety kernel had to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_runtime.evaluation.episodes import EpisodeResult

_Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a success rate (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    spread = _Z_95 * math.sqrt(rate * (1.0 - rate) / trials + _Z_95**2 / (4.0 * trials**2))
    scale = 1.0 + _Z_95**2 / trials
    centre = rate + _Z_95**2 / (2.0 * trials)
    # At the ends the formula gives the end itself, but for rounding.
    low = (centre - spread) / scale if successes > 0 else 0.0
    high = (centre + spread) / scale if successes < trials else 1.0
    return low, high


def summarize(results: Sequence[EpisodeResult], refusals: dict[str, int]) -> dict[str, Any]:
    """Figures over all episodes, ready for JSON. Latencies are in ms."""
    successes = sum(result.success for result in results)
    by_verb: dict[str, dict[str, Any]] = {}
    episodes = []
    for result in results:
        if result.kind:
            counts = by_verb.setdefault(result.kind, {"episodes": 0, "successes": 0})
            counts["episodes"] += 1
            counts["successes"] += result.success
        episodes.append(
            {
                "seed": result.seed,
                "verb": result.kind,
                "instruction": result.instruction,
                "outcome": result.outcome,
                "reason": result.reason,
                "elapsed_s": round(result.elapsed_s, 3),
                "interventions": result.interventions,
                "chunks": len(result.receipts),
                "trace_digest": result.trace_digest,
            }
        )
    for counts in by_verb.values():
        counts["interval_95"] = wilson_interval(counts["successes"], counts["episodes"])
    receipts = [receipt for result in results for receipt in result.receipts]
    taken = [receipt for receipt in receipts if receipt.refusal is None]
    followed = [(r.first_command_ns - r.exposure_ns) / 1e6 for r in taken if r.first_command_ns is not None]
    return {
        "episodes": len(results),
        "successes": successes,
        "success_rate": successes / len(results) if results else 0.0,
        "interval_95": wilson_interval(successes, len(results)),
        "by_verb": dict(sorted(by_verb.items())),
        "outcomes": {name: sum(r.outcome == name for r in results) for name in sorted({r.outcome for r in results})},
        "model_ms": percentiles([receipt.model_ns / 1e6 for receipt in taken]),
        "exposure_to_first_command_ms": percentiles(followed),
        "interventions": sum(result.interventions for result in results),
        "chunks_clipped": sum(receipt.predicted_interventions > 0 for receipt in taken),
        "chunks_declined": len(receipts) - len(taken),
        "predicted_deviation_max_rad": max((receipt.predicted_deviation for receipt in taken), default=0.0),
        "confidence_min": min((r.confidence for r in receipts if r.confidence is not None), default=None),
        "refusals": refusals,
        "per_episode": episodes,
    }


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """Median, 99th percentile and number of values; None without any."""
    if not values:
        return None
    p50, p99 = np.percentile(values, (50, 99)).tolist()
    return {"p50": round(p50, 3), "p99": round(p99, 3), "count": len(values)}
