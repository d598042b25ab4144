"""One fault of a policy at a random moment: injected, seen, stopped, and motion that resumes; with what is measured.

Instants come from two records that control has no hand in: the stamp before the system call that injects the fault, and
the commands at the driver port, whose reasons say when the loop knew. Only the last heartbeat that the loop had heard
is control's own word; how long it took to get there is told beside it.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.policy_process import PolicyProcess
from benchmarks.faults.recorder import Continuity
from benchmarks.faults.robot import STALL_TIMEOUT_S, FaultRobot
from edge_runtime.control.limits import TICK_S
from edge_runtime.ipc.port import CommandState
from edge_runtime.safety import Reason

_BALLAST_BYTES = 256 << 20
_MOVING = 0.2
_LOST = int(Reason.POLICY_DEAD | Reason.POLICY_STALLED | Reason.POLICY_STUCK)
_LONGEST_S = 20.0


class Kind(str, Enum):
    """What happens to the policy."""

    KILL = "kill -9"
    KILL_LARGE = "kill -9, holding 256 MiB"
    STOP = "SIGSTOP"
    BUSY = "busy loop"
    MEMORY_LIMIT = "memory: refused, aborts"
    MEMORY_KILL = "memory: killed by the system"
    STUCK = "repeats itself"

    @property
    def is_crash(self) -> bool:
        """Its process ends."""
        return self in (Kind.KILL, Kind.KILL_LARGE, Kind.MEMORY_LIMIT, Kind.MEMORY_KILL)

    @property
    def is_stall(self) -> bool:
        """Its process lives, without a sign of life."""
        return self in (Kind.STOP, Kind.BUSY)

    @property
    def reason(self) -> Reason:
        """What the kernel says of it."""
        if self.is_crash:
            return Reason.POLICY_DEAD
        return Reason.POLICY_STALLED if self.is_stall else Reason.POLICY_STUCK


SHARES: dict[Kind, float] = {
    Kind.KILL: 0.32,
    Kind.KILL_LARGE: 0.01,
    Kind.STOP: 0.22,
    Kind.BUSY: 0.15,
    Kind.MEMORY_LIMIT: 0.1,
    Kind.MEMORY_KILL: 0.1,
    Kind.STUCK: 0.1,
}


@dataclass(frozen=True)
class Stop:
    """How a motion ended.

    Attributes:
        to_rest_s: from the last setpoint that was followed until all joints rested, by the clock.
        of_bound: largest share, over the joints, of V/A + A/J + 2 T, in ticks; A/J counts twice for a joint that was
            speeding up.
        of_plain_bound: the same with A/J once, whatever the joint did.
        speed: largest share of a joint's velocity limit when the stop began.
    """

    to_rest_s: float
    of_bound: float
    of_plain_bound: float
    speed: float


@dataclass(frozen=True)
class Round:
    """One fault and what came of it; times in seconds.

    Attributes:
        detected_s: from the fault to the tick that knew. For memory, from the last page of it that was had.
        after_timeout_s: for a stall, from the last beat that the loop heard, less the timeout.
        tick_s: how long before that tick the loop had ticked.
        beat_hop_s: from the policy's sending that beat to the loop's hearing it.
        stop: None if it rested before the fault, because the policy had been too slow.
        resumed_s: from the new policy's start (or its continuing) to motion; None where that took an operator.
        interrupted: reasons of a trip in the round, which is the machine's (a pause) or a failure.
    """

    kind: Kind
    detected_s: float | None = None
    after_timeout_s: float | None = None
    tick_s: float | None = None
    beat_hop_s: float | None = None
    stop: Stop | None = None
    resumed_s: float | None = None
    interrupted: tuple[str, ...] = ()


def judge_stop(entries: NDArray[Any], continuity: Continuity) -> Stop | None:
    """The last stop in `entries`; None if the robot does not rest at their end."""
    limits = continuity.limits
    dq = entries["dq"][:, continuity.joints]
    followed = np.flatnonzero((entries["state"] == CommandState.ACTIVE) & (entries["plan_seq"] != 0))
    if len(followed) == 0 or dq[-1].any():
        return None
    last = int(followed[-1])
    acceleration = (dq[last] - dq[max(last - 1, 0)]) / TICK_S
    speeding_up = acceleration * dq[last] > 0.0
    a_over_j = limits["acceleration"] / limits["jerk"]
    plain_s = limits["velocity"] / limits["acceleration"] + a_over_j + 2.0 * TICK_S
    bound_s = plain_s + np.where(speeding_up, a_over_j, 0.0)
    # First entry of each joint from which on it rests.
    resting = np.array([last + 1 + _rests_from(dq[last + 1 :, joint]) for joint in range(dq.shape[1])])
    resting = np.minimum(resting, len(entries) - 1)
    ticks = (entries["seq"][resting] - entries["seq"][last]).astype(np.float64)
    end = int(resting.max())
    return Stop(
        to_rest_s=float(entries["stamp_ns"][end] - entries["stamp_ns"][last]) * 1e-9,
        of_bound=float((ticks * TICK_S / bound_s).max()),
        of_plain_bound=float((ticks * TICK_S / plain_s).max()),
        speed=float((np.abs(dq[last]) / limits["velocity"]).max()),
    )


def _rests_from(dq: NDArray[np.float64]) -> int:
    moving = np.flatnonzero(dq)
    return int(moving[-1]) + 1 if len(moving) else 0


def set_moving(robot: FaultRobot, following: Kind | None) -> float | None:
    """A new policy that can suffer what is `following`, and wait until the robot moves: see `wait_moving`."""
    robot.start_policy(
        ballast_bytes=_BALLAST_BYTES if following is Kind.KILL_LARGE else 0, confined=following is Kind.MEMORY_KILL
    )
    return wait_moving(robot)


def wait_moving(robot: FaultRobot) -> float | None:
    """Wait until it follows the policy at speed; how long that took, or None if an operator had to arm it."""
    start_ns = int(robot.entries["seen_ns"][-1]) if len(robot.entries) else 0

    def moves() -> bool:
        is_followed = robot.state is CommandState.ACTIVE and not int(robot.entries["reasons"][-1]) & _LOST
        return is_followed and robot.speed > _MOVING

    by_itself = True
    if robot.entries.size == 0 or not robot.state.follows:
        by_itself = False
        robot.arm()
    if not robot.until(moves, _LONGEST_S):
        if robot.state.follows:
            raise RuntimeError(f"it does not move: {robot.operator.watcher.status()}")
        return wait_moving(robot)
    return (int(robot.entries["seen_ns"][-1]) - start_ns) * 1e-9 if by_itself else None


def inject(robot: FaultRobot, policy: PolicyProcess, kind: Kind) -> int:
    """Do it; stamp of the moment before."""
    if kind in (Kind.KILL, Kind.KILL_LARGE):
        return policy.signal(signal.SIGKILL)
    if kind is Kind.STOP:
        return policy.signal(signal.SIGSTOP)
    if kind is Kind.BUSY:
        return policy.signal(signal.SIGUSR1)
    if kind is Kind.STUCK:
        return policy.get_stuck()
    policy.exhaust_memory(by_limit=kind is Kind.MEMORY_LIMIT or robot.cgroup is None)
    return 0


def run_round(robot: FaultRobot, kind: Kind, following: Kind | None = None) -> Round:
    """One round, from motion to motion under the next policy, which is one for the `following` round.

    Raises:
        RuntimeError: the fault was never noticed, or control died.
    """
    policy = robot.policy
    assert policy is not None
    robot.wait(robot.random.uniform(0.0, 0.25))
    robot.forget()
    armings = robot.armings
    fault_ns = inject(robot, policy, kind)

    def detection() -> int | None:
        at = np.flatnonzero((robot.entries["reasons"] & np.uint64(kind.reason)) != 0)
        return int(at[0]) if len(at) else None

    def over() -> bool:
        return not robot.state.follows or (detection() is not None and robot.speed == 0.0)

    if not robot.until(over, _LONGEST_S):
        raise RuntimeError(f"{kind.value}: not noticed: {robot.operator.watcher.status()}")
    at = detection()
    figures: dict[str, Any] = {}
    if at is not None:
        seen_ns = int(robot.entries["stamp_ns"][at])
        if kind in (Kind.MEMORY_LIMIT, Kind.MEMORY_KILL):
            fault_ns = policy.page()[1]
        figures["detected_s"] = (seen_ns - fault_ns) * 1e-9
        figures["tick_s"] = (seen_ns - int(robot.entries["stamp_ns"][max(at - 1, 0)])) * 1e-9
        if kind.is_stall:
            figures |= _stall(robot, policy, seen_ns)
    figures["stop"] = judge_stop(robot.entries, robot.continuity)
    if kind is Kind.STOP and following not in (Kind.KILL_LARGE, Kind.MEMORY_KILL) and robot.random.random() < 0.5:
        policy.signal(signal.SIGCONT)
        figures["resumed_s"] = wait_moving(robot)
    else:
        figures["resumed_s"] = set_moving(robot, following)
    faults = Reason(int(np.bitwise_or.reduce(robot.entries["faults"])))
    names = tuple(reason.name.lower() for reason in Reason if reason.name and reason in faults)
    if robot.armings > armings and not names:
        names = ("armed again",)
    return Round(kind, interrupted=names, **figures)


def _stall(robot: FaultRobot, policy: PolicyProcess, seen_ns: int) -> dict[str, float]:
    """The beat that the loop heard last, in control's own heartbeat from after the stall was seen."""

    def told() -> bool:
        beat = robot.operator.watcher.heartbeats.get("control")
        return beat is not None and beat.stamp_ns > seen_ns

    if not robot.until(told, 2.0):
        return {}
    heard_s = robot.operator.watcher.heartbeats["control"].gauges["policy_beat_s"]
    return {
        "after_timeout_s": seen_ns * 1e-9 - heard_s - STALL_TIMEOUT_S,
        "beat_hop_s": heard_s - policy.page()[0] * 1e-9,
    }


def schedule(robot: FaultRobot, rounds: int) -> list[Kind]:
    """So many kinds, each at least once where there is room, in random order."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * rounds)))]
    kinds = [k for k in kinds if k is not Kind.MEMORY_KILL or robot.cgroup is not None]
    while len(kinds) < rounds:
        kinds.append(Kind.KILL)
    robot.random.shuffle(kinds)
    return kinds[:rounds]
