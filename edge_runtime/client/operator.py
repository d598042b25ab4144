"""Requests to a robot, of a person or of a program: lay out a scene, instruct, arm, disarm, stop.

After a stop that a person meant only a person's requests reset and arm (`StopCause`); control sees to that. How they
are made is `edge_runtime.client.requests`. Nothing here reaches the robot but through control.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from edge_runtime.client.explanations import STOPS, in_full
from edge_runtime.client.requests import ANSWER_TIMEOUT_S, Answered, Requests
from edge_runtime.client.status_lines import next_step
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import (
    MAX_EPISODE_REASON_CHARS,
    Asker,
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    EpisodeStarted,
    OperatorCommand,
    OperatorKind,
    SceneCommand,
    StopCause,
)
from edge_runtime.contracts.topics import EPISODE_ENDED, EPISODE_STARTED, SCENE_COMMAND
from edge_runtime.ipc.bus import Sender, claim, is_claimed

_SAID_S = 2.0
_CLAIM = "instructions"


class Operator(Requests):
    """An operator of the robot in `run_dir`; there may be others at the same time.

    Args:
        run_dir: folder of the run's sockets.
        on_wait: called again and again while this object waits, at least ten times a second.
        answer_timeout_s: how long a process may take to answer a request.
        asker: whether a person asks, or a program on its own. A program that was told to by a person, just now and for
            this one request, asks as a person.

    Raises:
        ProcessError: the robot belongs to another user.
    """

    def __init__(
        self,
        run_dir: Path,
        on_wait: Callable[[], None] | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        *,
        asker: Asker = Asker.PROGRAM,
    ) -> None:
        super().__init__(run_dir, on_wait, answer_timeout_s, asker)
        self._scenes = Sender(SCENE_COMMAND, run_dir)
        self._starts = Sender(EPISODE_STARTED, run_dir)
        self._ends = Sender(EPISODE_ENDED, run_dir)
        self._said: dict[EpisodeStarted | EpisodeEnded, float] = {}
        self._instruction: OperatorCommand | None = None

    @property
    def stopped_by(self) -> StopCause | None:
        """The stop that only a person can end, as control last said; None without one."""
        report = self.watcher.report
        return report.stopped_by if report is not None else None

    def wait_for_a_person(self, tell: Callable[[str], None]) -> None:
        """Wait as long as there is a stop that only a person can end; `tell` is given what she has to do."""
        told = ""
        while (cause := self.stopped_by) is not None:
            words = self._way_on(cause)
            # While it comes to rest, or control comes back, nothing new is known.
            if words != told and (not told or self._is_at_rest()):
                tell(words)
                told = words
            self.wait_until(lambda: self.stopped_by is None, 0.2)

    def _way_on(self, cause: StopCause) -> str:
        status = self.watcher.status()
        step = (
            next_step(status, self._run_dir) if self._is_at_rest() else in_full(STOPS[cause].next_step, self._run_dir)
        )
        return f"{STOPS[cause].meaning}. {step}"

    def _is_at_rest(self) -> bool:
        state = self.watcher.control_state
        return state.may_be_armed or state.is_latched

    def lay_out(self, seed: int, split: str) -> None:
        """Simulation only: put the arm home and the scene of `seed` on the table."""
        command = SceneCommand(id=self._next_id(), seed=seed, split=split, stamp_ns=time.monotonic_ns())

        def answer() -> Answered | None:
            scene = self.watcher.scene
            return Answered(scene.answer) if scene is not None and scene.answered_id == command.id else None

        self._request(self._scenes, command, "driver", f"lay out scene {seed}", answer)

    def instruct(self, text: str) -> None:
        """Tell the policy what to do.

        Raises:
            OperatorError: the policy can't read that (`answer` is "refused_unreadable", the message names the words
                that it lacks) and follows nothing now; it follows no instructions ("reads_none"), and arming is what
                starts it; or another operator's came later, or the engine keeps silent.
        """
        command = self._command(OperatorKind.INSTRUCT, text)
        self._instruction = command

        def answer() -> Answered | None:
            if (status := self.watcher.unproven) is not None:
                return Answered("refused_unproven", status.proof_detail)
            engine = self.watcher.engine
            if engine is None or engine.instruction_id < command.id:
                return None
            if engine.instruction_id > command.id:
                return Answered(InstructionAnswer.REFUSED_OVERTAKEN.value)
            return Answered(engine.answer.value, engine.detail)

        self._request(self._commands, command, "engine", f"instruct {text!r}", answer)

    def arm(self) -> str:
        """From here on the robot follows the policy, inside its limits.

        Returns:
            what else the person who armed should know, empty for nothing.
        """
        return self._ask_control(OperatorKind.ARM)

    def disarm(self) -> None:
        """Let the robot decelerate, and follow no commands from there on. Does not remove motor power."""
        self._ask_control(OperatorKind.DISARM)

    def reset(self, *, moved: bool = False) -> None:
        """Clear a latched fault.

        Args:
            moved: accept that the robot was moved since it stopped, as by hand; control takes that from a person alone.
        """
        self._ask_control(OperatorKind.RESET_MOVED if moved else OperatorKind.RESET)

    def resume(self) -> None:
        """Answer a policy that asks for help: go on. A new instruction is an answer as well. Neither arms."""
        self._ask_control(OperatorKind.RESUME)

    def reduce_speed(self) -> None:
        """Enter reduced-speed mode, armed or not."""
        self._ask_control(OperatorKind.REDUCE_SPEED)

    def restore_speed(self) -> None:
        """Leave reduced-speed mode, which is refused while the robot is armed."""
        self._ask_control(OperatorKind.RESTORE_SPEED)

    def stop(self) -> None:
        """Let the robot decelerate and latch a fault, which only a person resets."""
        self._ask_control(OperatorKind.STOP)

    def record(self) -> None:
        """Write the last seconds of control to a file, as after a trip."""
        self._ask_control(OperatorKind.RECORD)

    def episode_started(self, instruction: str, started_ns: int) -> EpisodeStarted:
        """Say that an attempt at a task begins, to whoever hears it; while this object listens, again for a moment.

        Args:
            started_ns: on the robot's clock.
        """
        started = EpisodeStarted(id=self._next_id(), started_ns=started_ns, instruction=instruction)
        self._said[started] = time.monotonic() + _SAID_S
        return started

    def episode_ended(
        self,
        outcome: EpisodeOutcome,
        ended_ns: int,
        *,
        started: EpisodeStarted,
        judge: EpisodeJudge,
        reason: str = "",
        bundle: str = "",
    ) -> EpisodeEnded:
        """Say how an attempt ended, as `episode_started`; to the update agent until it has heard it."""
        ended = EpisodeEnded(
            id=self._next_id(),
            episode=started.id,
            started_ns=started.started_ns,
            ended_ns=max(started.started_ns, ended_ns),
            outcome=outcome,
            judge=judge,
            instruction=started.instruction,
            reason=reason[:MAX_EPISODE_REASON_CHARS],
            bundle=bundle,
        )
        self._said.pop(started, None)
        self._said[ended] = time.monotonic() + _SAID_S
        return ended

    def tell_outcome(
        self,
        outcome: EpisodeOutcome,
        started_ns: int,
        *,
        score: float | None = None,
        instruction: str = "",
        reason: str = "",
    ) -> None:
        """Tell the update agent how an attempt that has just ended went: what a bundle on probation is judged by.

        Args:
            started_ns: when it began, on the monotonic clock.
            score: how well it went, 0 to 1.

        Raises:
            OperatorError: no agent has received it.
        """
        ended = EpisodeEnded(
            id=self._next_id(),
            started_ns=started_ns,
            ended_ns=time.monotonic_ns(),
            outcome=outcome,
            judge=EpisodeJudge.PERSON if self._asker is Asker.PERSON else EpisodeJudge.PROGRAM,
            score=score,
            instruction=instruction,
            reason=reason,
        )

        def answer() -> Answered | None:
            update = self.watcher.update
            return Answered("ok") if update is not None and update.outcome_heard >= ended.id else None

        self._request(self._ends, ended, "ota", "outcome", answer)

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until all processes live and control can be armed; disarms, and resets a fault, if needed.

        Raises:
            OperatorError: names the process that is not there; or a person has stopped the robot, and has to go on.
        """
        watcher = self.watcher
        for process in ("driver", "engine", "control"):
            if not self.wait_until(partial(watcher.alive, process), timeout_s):
                raise OperatorError(process, "get ready", f"did not come up within {timeout_s:.0f} s", answered=False)
        self.wait_until(lambda: watcher.control_state.is_known, timeout_s)
        if self._asker is Asker.PROGRAM and (cause := self.stopped_by) is not None:
            problem = f"was {self._way_on(cause)}"
            raise OperatorError("control", "get ready", problem, answered=True)
        if watcher.control_state.is_armed:
            self.disarm()
        self.wait_until(lambda: not watcher.control_state.is_armed, ANSWER_TIMEOUT_S)
        if watcher.control_state.is_latched:
            self.reset()
        if not self.wait_until(lambda: watcher.control_state.may_be_armed, timeout_s):
            problem = f"is {watcher.control_state}, not ready"
            raise OperatorError("control", "get ready", problem, answered=watcher.control_state.is_known)

    def _look_after(self) -> None:
        engine = self.watcher.engine
        if self._instruction is not None and engine is not None and engine.instruction_id > self._instruction.id:
            # Another operator's came later: this one is not to come back with an engine that knows neither.
            self._instruction = None
        if self._instruction is not None and engine is not None and engine.answer is InstructionAnswer.NONE:
            # An engine that was started again knows no instruction; under the same number it is the same request.
            self._commands.send(self._instruction)
        self._say_episodes()

    def _say_episodes(self) -> None:
        """Again and again until the update agent has heard it: it may be coming back. For a while: nothing waits."""
        now_s, update = time.monotonic(), self.watcher.update
        for message, until_s in list(self._said.items()):
            is_end = isinstance(message, EpisodeEnded)
            is_heard = is_end and update is not None and update.outcome_heard >= message.id
            if is_heard or now_s > until_s:
                del self._said[message]
            else:
                (self._ends if is_end else self._starts).send(message)

    def close(self) -> None:
        """Leave; the robot stays as it is."""
        self._scenes.close()
        self._starts.close()
        self._ends.close()
        super().close()

    def __enter__(self) -> Operator:
        return self


def claim_instructions(run_dir: Path) -> IO[bytes]:
    """Say in the run's folder that whoever holds this gives the instructions, see `gives_instructions`.

    Raises:
        ProcessError: somebody does already.
    """
    return claim(run_dir, _CLAIM, "gives instructions")


def gives_instructions(run_dir: Path) -> bool:
    """Whether a program runs episodes on the robot in `run_dir`, whose next instruction replaces any other."""
    return is_claimed(run_dir, _CLAIM)
