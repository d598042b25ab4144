"""How fast a policy is on this machine, and what follows from that: may it act, and how old may things get.

The one place where ages and timeouts come from, for engine, control and `edge-runtime check`. A policy that needs long
for a chunk is a normal case as long as its plans reach until the next one: each age below is what the fast policy has,
or what this policy's own latency asks for, whichever is longer, and never longer than the robot's own ceilings
(`observation_age_max_s` of `[fallback]`, `progress_timeout_s` of `[control]`), which nothing here can move. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.topics import ACTION_CHUNK, OBSERVATION
from edge_runtime.policies.processor import allowed

_REACH_S = 1.0
"""An action of a fast policy may still be followed so long after its chunk was as old as a chunk may get."""

_PROGRESS_S = 1.0
_PROGRESS_INTERVALS = 2.5
"""After arming the chunk under way is of no use: the next one takes two intervals at most, and a half for noise."""


class PaceProblem(str, Enum):
    """Why a policy can't act at this pace. Stable strings."""

    HORIZON = "horizon_too_short"
    CEILING = "observation_age_max_too_short"
    PROGRESS = "progress_timeout_too_short"


@dataclass(frozen=True)
class Pace:
    """What one policy needs on one machine.

    Attributes:
        latency_s: from an observation to its chunk.
        horizon_s: how far beyond the exposure of its observation a chunk reaches.
        interval_s: from one chunk to the next, and so from one exposure to the next.
        needed_s: how far a chunk has to reach, for the next one to be there when it ends.
        observation_age_max_s: of an observation that a chunk is begun with.
        chunk_age_max_s: of the observation behind a chunk that arrives.
        action_age_max_s: of the observation behind an action that is followed.
        progress_timeout_s: a policy that brings nothing new for so long is stuck.
        problem: why it can't act; None: it can.
        detail, remedy: of that, for a person.
    """

    latency_s: float
    horizon_s: float
    interval_s: float
    needed_s: float
    observation_age_max_s: float
    chunk_age_max_s: float
    action_age_max_s: float
    progress_timeout_s: float
    problem: PaceProblem | None = None
    detail: str = ""
    remedy: str = ""


def observation_age_max_s(latency_s: float) -> float:
    """How old an observation may be that a policy of this latency begins a chunk with."""
    return max(OBSERVATION.max_age_s, latency_s)


def pace_of(latency_s: float, horizon_s: float, config: RobotConfig) -> Pace:
    """The pace of a policy that needs `latency_s` for a chunk, on the robot of `config`.

    Args:
        horizon_s: number of actions of a chunk times the time between two.
    """
    ceiling_s = config.safety.fallback.observation_age_max_s
    configured_s = config.control.progress_timeout_s
    frame_s = 1.0 / max((camera.rate_hz for camera in config.embodiment.cameras), default=OBSERVATION.rate_hz)
    # The observation that the next chunk is begun with waits for a frame at most.
    interval_s = max(config.engine.replan_interval_s, latency_s + frame_s)
    needed_s = latency_s + interval_s
    chunk_age_max_s = min(ceiling_s, max(ACTION_CHUNK.max_age_s, observation_age_max_s(latency_s) + latency_s))
    problem, detail, remedy = None, "", ""
    took = f"a chunk takes {latency_s:.2f} s here, so that its plan has to reach {needed_s:.2f} s"
    if horizon_s < needed_s:
        problem = PaceProblem.HORIZON
        detail = f"{took}; it reaches {horizon_s:.2f} s"
        if horizon_s < 2.0 * latency_s + frame_s:
            more = ", more [engine] threads" if config.engine.threads < allowed() else ""
            remedy = f"a bundle with a longer horizon, a smaller policy{more}, or a faster machine"
        else:
            remedy = "a shorter [engine] replan_interval_s in robot.toml"
    elif ceiling_s < needed_s:
        problem = PaceProblem.CEILING
        detail = f"{took}, and this robot follows nothing that was seen more than {ceiling_s:g} s ago"
        remedy = f"[fallback] observation_age_max_s above {needed_s:.2f} in the safety file, if that is safe here"
    elif configured_s is not None and configured_s < interval_s:
        problem = PaceProblem.PROGRESS
        detail = f"{took}, and this robot regards a policy as stuck after {configured_s:g} s without a new one"
        remedy = f"[control] progress_timeout_s above {interval_s:.2f} in robot.toml, or no progress_timeout_s at all"
    return Pace(
        latency_s=latency_s,
        horizon_s=horizon_s,
        interval_s=interval_s,
        needed_s=needed_s,
        observation_age_max_s=min(ceiling_s, observation_age_max_s(latency_s)),
        chunk_age_max_s=chunk_age_max_s,
        action_age_max_s=min(ceiling_s, chunk_age_max_s + max(_REACH_S, interval_s)),
        progress_timeout_s=configured_s or max(_PROGRESS_S, _PROGRESS_INTERVALS * interval_s),
        problem=problem,
        detail=detail,
        remedy=remedy,
    )
