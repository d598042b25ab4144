"""Requests that a person makes on the page: asked of control, or of the engine, like those of any other operator.

Guarantees that "done" means that the process concerned has said so, and that a stop never waits for another request.
Control decides what is taken. A person's stop is ended by persons alone (`StopCause`): whoever has the token is one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge_runtime.client.explanations import IN_STATE, STATES, by_name
from edge_runtime.client.operator import Operator, gives_instructions
from edge_runtime.contracts.errors import EdgeError, OperatorError
from edge_runtime.contracts.messages import MAX_INSTRUCTION_CHARS, Asker
from edge_runtime.contracts.text import printable
from edge_runtime.page.shown import Answered
from edge_runtime.page.standing import ARMING, ELSEWHERE, REQUESTS

_STOPS_AT_A_TIME = 8
_ANSWER_S = (5.0, 2.0)
"""How long control may take to answer: a request, and a stop, of which a person has to know soon that it was lost."""
_PER_S = 2.0
_BURST = 6.0
_USE_ITS_OWN = "IT MAY STILL BE MOVING: use the robot's own stop."


class Asking:
    """Asks on behalf of persons at browsers.

    Args:
        run_dir: folder of the run's sockets.
        takes_arming: whether what lets the robot move is asked for as well.
    """

    def __init__(self, run_dir: Path, *, takes_arming: bool) -> None:
        self._run_dir = run_dir
        self._takes_arming = takes_arming
        self._stops = threading.Semaphore(_STOPS_AT_A_TIME)
        self._one = threading.Lock()
        self._left, self._left_s = _BURST, time.monotonic()

    def ask(self, name: str, text: str = "") -> Answered | None:
        """Ask for it and wait for the answer; None for a request that there is not."""
        if name not in REQUESTS:
            return None
        started_s = time.monotonic()
        if name == "stop":
            # A stop that finds others under way is asked for by those.
            with self._stops:
                answered = self._asked(name, text)
        elif name in ARMING and not self._takes_arming:
            answered = Answered(done=False, words=ELSEWHERE)
        elif not self._one.acquire(blocking=False):
            answered = Answered(done=False, words="Another request is under way. Wait for its answer, then ask again.")
        else:
            try:
                if self._may():
                    answered = self._asked(name, text)
                else:
                    answered = Answered(done=False, words="Too many requests in a row. Wait a few seconds.")
            finally:
                self._one.release()
        took_ms = round(1e3 * (time.monotonic() - started_s), 1)
        return Answered(done=answered.done, words=answered.words, took_ms=took_ms)

    def _may(self) -> bool:
        """Whether the rate of requests still allows one."""
        now_s = time.monotonic()
        self._left = min(_BURST, self._left + _PER_S * (now_s - self._left_s))
        self._left_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _asked(self, name: str, text: str) -> Answered:
        if name == "instruct":
            problem = _problem_of(text, self._run_dir)
            if problem:
                return Answered(done=False, words=problem)
        try:
            with Operator(self._run_dir, answer_timeout_s=_ANSWER_S[name == "stop"], asker=Asker.PERSON) as one:
                try:
                    return Answered(done=True, words=_ACTIONS[name](one, text))
                except OperatorError as error:
                    return Answered(done=False, words=_refused(error, one))
        except EdgeError as error:
            unanswered = f" {_USE_ITS_OWN}" if name == "stop" else ""
            return Answered(done=False, words=printable(f"{error}.{unanswered}"))


def _problem_of(text: str, run_dir: Path) -> str:
    if not text.strip() or len(text) > MAX_INSTRUCTION_CHARS:
        return f"Type one sentence, of at most {MAX_INSTRUCTION_CHARS} characters."
    if any("\ud800" <= char <= "\udfff" for char in text):
        return "That is no text in UTF-8: type it again."
    if gives_instructions(run_dir):
        return "A run is on and gives the instructions itself: this one would be replaced by that of its next episode."
    return ""


def _refused(error: OperatorError, one: Operator) -> str:
    words = by_name(printable(error, None))
    if not error.answered:
        return f"{words}. {_USE_ITS_OWN}" if error.request == "stop" else f"{words}. Is its process running?"
    status = one.watcher.status()
    step = IN_STATE.get((error.request, status.state), "")
    return f"{words} {step}".rstrip()


def _state(one: Operator) -> str:
    state = one.watcher.control_state
    return f"It is {state}: {STATES[state].meaning}."


def _stop(one: Operator, _text: str) -> str:
    one.stop()
    return "Stopped: control has taken the stop, and brakes to rest. Only a person's reset and arm end that."


def _disarm(one: Operator, _text: str) -> str:
    one.disarm()
    return "Disarmed. Nothing moves before a person arms."


def _reset(one: Operator, _text: str, *, moved: bool = False) -> str:
    one.reset(moved=moved)
    words = f"Reset. {_state(one)}"
    if one.stopped_by is None and gives_instructions(one.run_dir):
        # A fault that no person meant is a run's to go on after, which it does by itself.
        return f"{words} A run is on: IT ARMS AGAIN BY ITSELF and moves the robot."
    return f"{words} It does not move before [arm]."


def _arm(one: Operator, _text: str) -> str:
    known = one.arm()
    return f"Armed. {_state(one)}{f' Note: {printable(known)}' if known else ''}"


def _resume(one: Operator, _text: str) -> str:
    one.resume()
    return "Answered: the policy may go on."


def _reduce(one: Operator, _text: str) -> str:
    one.reduce_speed()
    return "Reduced speed, until it is restored."


def _restore(one: Operator, _text: str) -> str:
    one.restore_speed()
    return "Full speed again."


def _instruct(one: Operator, text: str) -> str:
    one.instruct(text)
    return f"The policy follows “{printable(text.strip())}”."


def _record(one: Operator, _text: str) -> str:
    one.record()
    return "The black box writes its last seconds to a file: it is in the list of recordings in a moment."


_ACTIONS: dict[str, Callable[[Operator, str], str]] = {
    "stop": _stop,
    "disarm": _disarm,
    "reset": _reset,
    "reset_moved": partial(_reset, moved=True),
    "arm": _arm,
    "resume": _resume,
    "reduce": _reduce,
    "restore": _restore,
    "instruct": _instruct,
    "record": _record,
}
