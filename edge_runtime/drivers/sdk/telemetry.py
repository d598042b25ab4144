"""What a driver says on the bus: observations, which the policy acts on, and heartbeats, which people look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.messages import FRAME_SKEW_MAX_NS, FrameRef, Observation
from edge_runtime.contracts.topics import HEARTBEAT_DRIVER, OBSERVATION
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.bus import Publisher, Refusals
from edge_runtime.service import Beats


class Telemetry:
    """The sender of one driver's topics. A context manager.

    Args:
        run_dir: folder of the run's sockets.
        embodiment: of the robot.
        now_ns: the clock of all stamps.

    Attributes:
        refusals: counts of what was declined, for the heartbeat.
        observations: sent so far.
        withheld: observations that were not sent, for want of a picture or of the robot's state at that instant.

    Raises:
        ProcessError: another process is this robot's driver, or a socket can't be made.
    """

    def __init__(self, run_dir: Path, embodiment: Embodiment, now_ns: Callable[[], int]) -> None:
        self._joint_digest = embodiment.joint_digest
        self._velocity_axes = embodiment.base_indices
        self._now_ns = now_ns
        self.refusals = Refusals()
        self.observations = 0
        self.withheld = 0
        self._beats = Beats("driver", self.refusals)
        with ExitStack() as stack:
            self._observations = stack.enter_context(Publisher(OBSERVATION, run_dir))
            self._heartbeats = stack.enter_context(Publisher(HEARTBEAT_DRIVER, run_dir))
            self._resources = stack.pop_all()

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._resources.close()

    def observe(self, exposure_ns: int, state: Sample, frames: Sequence[FrameRef] = ()) -> None:
        """Send an observation: what the cameras saw at `exposure_ns`, and where the robot was then.

        Args:
            exposure_ns: the middle of the exposure, on the clock of all stamps.
            state: of that instant, see `History.at`.
            frames: one of each camera, as `commit` of its ring gave it.
        """
        velocity = tuple(map(float, state.dq))
        position = list(map(float, state.q))
        for i in self._velocity_axes:
            position[i] = velocity[i]
        self._observations.send(
            Observation(
                sequence=self.observations,
                exposure_ns=exposure_ns,
                published_ns=self._now_ns(),
                joint_digest=self._joint_digest,
                position=tuple(position),
                velocity=velocity,
                frames=tuple(frames),
            )
        )
        self.observations += 1

    def observe_whole(self, exposure_ns: int, state: Sample | None, frames: Sequence[FrameRef | None]) -> None:
        """The same where it may be incomplete: with a state and a frame of each camera, all of about one instant, it is
        sent, else counted as withheld."""
        whole = [frame for frame in frames if frame is not None]
        are_together = all(abs(frame.exposure_ns - exposure_ns) <= FRAME_SKEW_MAX_NS for frame in whole)
        if state is None or len(whole) < len(frames) or not are_together:
            self.withheld += 1
        else:
            self.observe(exposure_ns, state, whole)

    def beat_is_due(self) -> bool:
        """Whether it is time for a heartbeat, ten times a second of real time."""
        return self._beats.due(time.monotonic_ns())

    def beat(self, counters: Mapping[str, int], gauges: Mapping[str, float], note: str = "") -> None:
        """Send a heartbeat: that the driver lives, what it has counted since its start, where things stand."""
        self._heartbeats.send(self._beats.next(self._now_ns(), counters, gauges, note))
