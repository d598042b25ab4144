"""One chunk at a time, computed beside the thread that listens and speaks.

However long a policy takes, the engine goes on to hear operators and orders and to give its signs of life; what shows
control that an inference hangs is that nothing new comes of it. One that will not come back ends the engine. Trusts a
question to touch nothing that the other thread uses.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading

from contracts.errors import FrameError
from edge_runtime.engine.planner import Question
from edge_runtime.engine.policy import Actions


class Inference:
    """A thread of its own for `Question.infer`; used by one other thread.

    A daemon: a library can't be told to stop, and a process that is told to end does not wait for it.
    """

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Question, Actions | FrameError | BaseException]] = queue.SimpleQueue()
        self._busy = False
        self._since_ns = 0
        threading.Thread(target=self._run, name="inference", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether a question is without an answer yet, or its answer was not taken."""
        return self._busy

    def fileno(self) -> int:
        """Readable once there is an answer."""
        return self._event

    def busy_ns(self, now_ns: int) -> int:
        """How long there has been no answer; 0 while none is awaited."""
        return now_ns - self._since_ns if self._busy else 0

    def begin(self, question: Question, now_ns: int) -> None:
        """Compute the answer to `question`; not while `busy`."""
        if self._busy:
            raise ValueError("one question at a time")
        self._busy, self._since_ns = True, now_ns
        self._questions.put(question)

    def take(self) -> tuple[Question, Actions | FrameError] | None:
        """A question that is answered, with its answer; None if there is none yet.

        Raises:
            EngineError: the inference library failed.
        """
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        try:
            question, answer = self._answers.get_nowait()
        except queue.Empty:
            return None
        self._busy = False
        if isinstance(answer, BaseException) and not isinstance(answer, FrameError):
            raise answer
        return question, answer

    def _run(self) -> None:
        while True:
            question = self._questions.get()
            answer: Actions | FrameError | BaseException
            try:
                answer = question.infer()
            except BaseException as error:  # raised where somebody can act on it
                answer = error
            self._answers.put((question, answer))
            # A policy that is not wanted any more must not stay in memory because of what it was last asked.
            del question, answer
            os.eventfd_write(self._event, 1)
