"""What a held key of a terminal means: motion while it is held, one step when it is only pressed. Pure.

A terminal repeats a key that is held, after a pause of its own, and most say nothing when it is let go. So a press is
one step, and events that follow each other within `RELEASE_S` are a held key; after so long without one it counts as
let go. One that tells the release ends the motion at once, and has to repeat all the same: a release that never
arrives, because the connection is gone, may not keep a robot in motion.
"""

from __future__ import annotations

from edge_runtime.cli.keys import Stroke

RELEASE_S = 0.15
"""Slower than the repetition of any usual terminal (10 to 33 a second), faster than anybody types."""


class DeadManKey:
    """The keys that move one axis one way or the other, +1 or -1."""

    def __init__(self) -> None:
        self._direction = 0
        self._last_s = 0.0
        self._is_held = False

    def stroke(self, direction: int, stroke: Stroke, now_s: float) -> int:
        """A key of that direction did something at `now_s`; the direction of a step that it asks for, 0 for none."""
        if stroke is Stroke.RELEASE:
            self.let_go()
            return 0
        is_repeated = stroke is Stroke.REPEAT or now_s - self._last_s <= RELEASE_S
        follows = direction == self._direction and is_repeated
        self._direction, self._last_s = direction, now_s
        self._is_held = follows
        return 0 if follows else direction

    @property
    def last_s(self) -> float:
        """When the key was last known to be down."""
        return self._last_s

    def held(self, now_s: float) -> int:
        """The direction of the key that is held at `now_s`; 0 for none."""
        if self._is_held and now_s - self._last_s > RELEASE_S:
            self.let_go()
        return self._direction if self._is_held else 0

    def let_go(self) -> None:
        """No key is held."""
        self._direction, self._is_held = 0, False
