"""The first part of the demo: the arm follows sentences, first the demo's own, then those of a person at the terminal.

Guarantees that nothing here waits without end: a minute without a key, and the demo goes on; so it does where its own
sentences come to nothing. A fault that no person meant is cleared, by `scene`, and the demo goes on. What the
robot is asked for is asked by `edge-runtime run --interactive`, whose rules hold: no sentence ends a stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from edge_runtime.cli.prompt import command_in
from edge_runtime.cli.typed import Typed
from edge_runtime.client.explanations import STOPS, as_typed_here, in_full
from edge_runtime.client.operator import Operator
from edge_runtime.contracts.messages import SceneOutcome, SceneStatus, StopCause
from edge_runtime.contracts.states import ControlState
from edge_runtime.evaluation.episodes import EpisodeResult
from scripts.demo.stage import said

_OWN = 2
"""Sentences that the demo types itself."""
_SILENCE_S = 60.0
_SEEN_S = 1.5
"""How long the end of a task stays on the table, before other things are put there."""
_LOOK_S = 0.4
_UNDECIDED_S = 20.0
_CLEARS_S = 10.0
"""How long a fault may take to be cleared before that is tried once more."""
_STUCK_S = 90.0
"""Without a sentence of the demo's own for so long, it is the person's turn."""

YOUR_TURN = (
    "Your turn: type a sentence of your own, such as one of the two for this scene, and press Enter. "
    "The policy knows 47 words: touch, push, slide, left, right, five colours, cube, ball, cylinder and so on. "
    "`stop` stops the arm. Enter alone goes on to the updates, and so does the demo after a minute without a key."
)
FIRST = "The demo types the first two sentences; you may type one of your own at any time."


class Opening:
    """Types for the demo and passes on what a person types: `Guest` and `Typed` of one interactive run.

    Args:
        typed: what the person types.
        meanwhile: called again and again, for what is prepared beside it.

    Attributes:
        wants_to_end: the person typed `quit`.
        stopped_by: the stop that she has left in force, None for none.
    """

    def __init__(self, typed: Typed, console: Console, meanwhile: Callable[[], None]) -> None:
        self._typed, self._console, self._meanwhile = typed, console, meanwhile
        self._to_type: list[str] = []
        self._done = 0
        self._sentence = ""
        self._is_judged = True
        self._seed: int | None = None
        self._left_seed: int | None = None
        self._laid_out_s = 0.0
        self._since_s = self._last_key_s = time.monotonic()
        self._cleared_s = -_CLEARS_S
        self._pending: str | None = None
        self._persons = False
        self._invited = False
        self._is_over = False
        self.wants_to_end = False
        self.stopped_by: StopCause | None = None

    # What a run asks of whoever types.

    @property
    def pending(self) -> str | None:
        """See `Typed.pending`."""
        return self._typed.pending

    @property
    def is_over(self) -> bool:
        """See `Typed.is_over`."""
        return self._is_over or (self._typed.is_over and not self._to_type)

    def lines(self) -> list[str]:
        """See `Typed.lines`."""
        lines = self._typed.lines()
        if lines or self._typed.pending != self._pending:
            self._pending, self._last_key_s = self._typed.pending, time.monotonic()
        for line in lines:
            self._persons = True
            if not line.strip():
                self._is_over = True
            elif command_in(line) == "quit":
                self.wants_to_end = True
            elif command_in(line) is None:
                self._begin(line)
        if lines:
            return lines
        own, self._to_type = self._to_type, []
        return own

    # What a run tells its guest.

    def look(self, operator: Operator, results: Sequence[EpisodeResult]) -> bool:
        """See `Guest.look`."""
        del results
        self._meanwhile()
        watcher = operator.watcher
        if (cause := operator.stopped_by) is not None:
            if cause is not self.stopped_by:
                self._say(f"{STOPS[cause].meaning}. {as_typed_here(in_full(STOPS[cause].next_step))}")
            if not self._invited:
                self._invite("")
        elif watcher.control_state.is_latched and not self._is_over:
            self._clear(watcher.scene)
        else:
            self._go_on(watcher.scene, watcher.control_state)
        if not self._invited and time.monotonic() - self._since_s > _STUCK_S:
            self._invite(YOUR_TURN)
        self.stopped_by = cause
        if self._invited and not self._is_over and time.monotonic() - self._last_key_s > _SILENCE_S:
            self._say(f"no key for {_SILENCE_S:.0f} s: the demo goes on")
            self._is_over = True
        return True

    def _go_on(self, scene: SceneStatus | None, state: ControlState) -> None:
        """One step of the demo's own, where there is one to do."""
        # What the driver lays out by itself, at its start, is no scene of this run.
        if scene is None or scene.split != "eval" or scene.seed == self._left_seed:
            return
        now_s = time.monotonic()
        if scene.seed != self._seed:
            self._seed, self._laid_out_s = scene.seed, now_s
        if not self._is_judged:
            self._judge(scene)
        elif now_s - self._laid_out_s < _LOOK_S:
            # What the run itself says of the scene comes first.
            return
        elif state.may_be_armed and scene.outcome is SceneOutcome.RUNNING and not self._invited and not self._to_type:
            if self._done < _OWN and not self._persons:
                if not self._done:
                    self._say(FIRST)
                self._done += 1
                self._to_type.append(scene.instruction)
                self._begin(scene.instruction)
            else:
                self._invite(YOUR_TURN)

    def _clear(self, scene: SceneStatus | None) -> None:
        """Have other things put on the table, which clears a fault; not while the person is at it."""
        now_s = time.monotonic()
        if now_s - max(self._cleared_s, self._last_key_s) > _CLEARS_S:
            self._say("the safety kernel has stopped the arm, and no person did: the demo clears that and goes on")
            self._to_type.append("scene")
            self._cleared_s, self._sentence, self._is_judged = now_s, "", True
            self._left_seed = None if scene is None else scene.seed

    def _invite(self, text: str) -> None:
        self._invited, self._last_key_s = True, time.monotonic()
        if text:
            self._say(text)

    def _begin(self, sentence: str) -> None:
        self._sentence, self._is_judged, self._since_s = sentence.strip(), False, time.monotonic()

    def _judge(self, scene: SceneStatus) -> None:
        """Say how it ended, leave that to be seen for a moment, then have other things put on the table."""
        now_s = time.monotonic()
        if scene.outcome is SceneOutcome.RUNNING:
            if now_s - self._since_s > _UNDECIDED_S:
                # Such as a sentence that was refused: the next one is typed over the same things.
                self._is_judged = True
            return
        if self._sentence:
            self._say(_ending(scene, self._sentence))
            self._sentence, self._since_s = "", now_s
        elif now_s - self._since_s > _SEEN_S:
            self._is_judged, self._left_seed = True, scene.seed
            self._to_type.append("scene")

    def _say(self, text: str) -> None:
        self._console.print(said(text))


def _ending(scene: SceneStatus, sentence: str) -> str:
    """What the arm has done. The scene judges its own task alone: of another sentence only what happened is said."""
    if sentence == scene.instruction:
        return f"{'✓' if scene.outcome is SceneOutcome.SUCCESS else '✗'} {scene.reason}"
    return f"what the arm did: {scene.reason.partition(', not ')[0]}"
