"""Where the update of a robot stands: on its disk, on its bus, in what it signs for its hub, and in words."""

from __future__ import annotations

from enum import Enum


class UpdateState(str, Enum):
    """A state of the life cycle, see docs/ota.md. The strings are on disks of robots and in signed reports.

    Attributes:
        words: what a person is told; the bundle's name follows.
    """

    words: str

    def __new__(cls, value: str, words: str) -> UpdateState:
        state = str.__new__(cls, value)
        state._value_, state.words = value, words
        return state

    IDLE = "idle", "none under way"
    DOWNLOADING = "downloading", "downloading"
    VERIFYING = "verifying", "verifying every file of"
    STAGED = "staged", "staged"
    BUILDING = "building", "building the engine of"
    GOLDEN_CHECK = "golden_check", "running the golden pairs of"
    READY = "ready", "ready:"
    ACTIVATING = "activating", "changing over to"
    PROBATION = "probation", "on probation:"
    COMMITTED = "committed", "committed"
    ROLLING_BACK = "rolling_back", "rolling back from"
    FAILED = "failed", "given up:"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_unchecked(self) -> bool:
        """The bundle is whole on the disk, and has not shown yet that it does here what it was trained to."""
        return self in (UpdateState.STAGED, UpdateState.BUILDING, UpdateState.GOLDEN_CHECK)

    @property
    def gives_way(self) -> bool:
        """Not yet on trial: another update may take its place."""
        return self.is_unchecked or self in (UpdateState.DOWNLOADING, UpdateState.VERIFYING, UpdateState.READY)

    @property
    def waits_for_rest(self) -> bool:
        """What comes next may have to wait until the robot is disarmed."""
        return self.is_unchecked or self is UpdateState.READY

    @property
    def is_tried(self) -> bool:
        """The bundle of the update acts, or is about to."""
        return self in (UpdateState.ACTIVATING, UpdateState.PROBATION, UpdateState.COMMITTED)

    @property
    def is_given_up(self) -> bool:
        """The robot goes back, or went nowhere."""
        return self in (UpdateState.ROLLING_BACK, UpdateState.FAILED)

    @property
    def is_settled(self) -> bool:
        """Nothing is under way: the running bundle stays."""
        return self in (UpdateState.IDLE, UpdateState.COMMITTED)
