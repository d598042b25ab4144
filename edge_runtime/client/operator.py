"""Requests to a robot, of a person or of a program: lay out a scene, instruct, arm, disarm, stop.

After a stop that a person meant only a person's requests reset and arm (`StopCause`); control sees to that. Every
request is repeated until the process it concerns has answered; one that is refused or not answered raises, with the
name of that process. Nothing here reaches the robot but through control.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO

from edge_runtime.client.explanations import STOPS, in_full, refused_because
from edge_runtime.client.status import Watcher
from edge_runtime.client.status_lines import next_step, why_interrupted
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.errors import OperatorError, ProcessError
from edge_runtime.contracts.messages import (
    Asker,
    ChunkReceipt,
    GateState,
    Message,
    OperatorCommand,
    OperatorKind,
    SceneCommand,
    SceneStatus,
    StopCause,
)
from edge_runtime.contracts.topics import EPISODE, OPERATOR, SCENE_COMMAND
from edge_runtime.contracts.updates import MAX_WORDS_CHARS, EpisodeOutcome
from edge_runtime.ipc.bus import Sender, claim, is_claimed

_REPEAT_S = (0.002, 0.05)
"""First and longest pause between two sendings: the first ones are lost while the connection is made."""
_LISTEN_S = 0.02
_ANSWER_TIMEOUT_S = 5.0
_OUTCOME_SAID_S = 2.0
_ARMED = ("active", "holding", "stopping", "retracting")
_GRANTED = ("ok", "done", InstructionAnswer.FOLLOWED.value)
_CLAIM = "instructions"


@dataclass(frozen=True)
class EpisodeResult:
    """How one episode went.

    Attributes:
        outcome: "success" or "failed" as the scene judged it, "interrupted" when the arm was disarmed in between,
            "timeout" when nothing was decided in time, "refused_unreadable" when the policy can't read the instruction.
        elapsed_s: on the plant's clock.
        interventions: ticks in which the safety kernel altered or refused a setpoint.
        trace_digest: of the commanded motion, in lockstep.
        receipts: of the chunks that control dealt with meanwhile.
        bundles: digests of those whose plans were followed, more than one where a change came in between.
        ended_ns: when that was seen, on the monotonic clock.
    """

    seed: int
    split: str
    swapped: bool
    instruction: str
    outcome: str
    reason: str
    elapsed_s: float
    interventions: int
    trace_digest: str
    receipts: tuple[ChunkReceipt, ...]
    bundles: tuple[str, ...] = ()
    ended_ns: int = 0

    @property
    def success(self) -> bool:
        """Whether the task that was laid out got done."""
        return self.outcome == "success"


@dataclass(frozen=True)
class _Answered:
    """What became of a request: the answer's name, and what else there is to say."""

    answer: str
    detail: str = ""


class Operator:
    """An operator of the robot in `run_dir`; there may be others at the same time.

    Args:
        run_dir: folder of the run's sockets.
        on_wait: called again and again while this object waits, at least ten times a second.
        answer_timeout_s: how long a process may take to answer a request.
        asker: whether a person asks, or a program on its own. A program that was told to by a person, just now and for
            this one request, asks as a person.
        tells_outcomes: tell the update agent how each of `run_episode`'s ended; not in virtual time, which it has not.

    Raises:
        ProcessError: the robot belongs to another user.
    """

    def __init__(
        self,
        run_dir: Path,
        on_wait: Callable[[], None] | None = None,
        answer_timeout_s: float = _ANSWER_TIMEOUT_S,
        *,
        asker: Asker = Asker.PROGRAM,
        tells_outcomes: bool = False,
    ) -> None:
        self._run_dir = run_dir
        self._asker = asker
        self._claim: IO[bytes] | None = None
        self._commands = Sender(OPERATOR, run_dir)
        self._scenes = Sender(SCENE_COMMAND, run_dir)
        self._outcomes = Sender(EPISODE, run_dir)
        self._tells_outcomes = tells_outcomes
        self._untold: EpisodeOutcome | None = None
        self.watcher = Watcher(run_dir)
        self.on_wait = on_wait
        self._answer_timeout_s = answer_timeout_s
        self._last_id = 0
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
            if words != told and (not told or self.watcher.control_state in ("fault", "ready")):
                tell(words)
                told = words
            self.wait_until(lambda: self.stopped_by is None, 0.2)

    def _way_on(self, cause: StopCause) -> str:
        status = self.watcher.status()
        is_known = status.state in ("fault", "ready")
        step = next_step(status, self._run_dir) if is_known else in_full(STOPS[cause].next_step, self._run_dir)
        return f"{STOPS[cause].meaning}. {step}"

    def lay_out(self, seed: int, split: str) -> None:
        """Simulation only: put the arm home and the scene of `seed` on the table."""
        command = SceneCommand(id=self._next_id(), seed=seed, split=split, stamp_ns=time.monotonic_ns())

        def answer() -> _Answered | None:
            scene = self.watcher.scene
            return _Answered(scene.answer) if scene is not None and scene.answered_id == command.id else None

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

        def answer() -> _Answered | None:
            if (status := self.watcher.unproven) is not None:
                return _Answered("refused_unproven", status.proof_detail)
            engine = self.watcher.engine
            if engine is None or engine.instruction_id < command.id:
                return None
            if engine.instruction_id > command.id:
                return _Answered(InstructionAnswer.REFUSED_OVERTAKEN.value)
            return _Answered(engine.answer.value, engine.detail)

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

    def reset(self) -> None:
        """Clear a latched fault."""
        self._ask_control(OperatorKind.RESET)

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

    def tell_outcome(self, success: bool, started_ns: int, *, instruction: str = "", reason: str = "") -> None:
        """Tell the update agent how an attempt that has just ended went: what a bundle on probation is judged by.

        Args:
            started_ns: when it began, on the monotonic clock.

        Raises:
            OperatorError: no agent has received it.
        """
        outcome = self._outcome(success, started_ns, time.monotonic_ns(), instruction, reason)

        def answer() -> _Answered | None:
            update = self.watcher.update
            return _Answered("ok") if update is not None and update.outcome_heard >= outcome.id else None

        self._request(self._outcomes, outcome, "ota", "outcome", answer)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Listen until `condition` holds; whether it did within `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= deadline_s:
                return False
            self._listen()
        return True

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until all processes live and control can be armed; disarms, and resets a fault, if needed.

        Raises:
            OperatorError: names the process that is not there; or a person has stopped the robot, and has to go on.
        """
        watcher = self.watcher
        for process in ("driver", "engine", "control"):
            if not self.wait_until(partial(watcher.alive, process), timeout_s):
                raise OperatorError(process, "get ready", f"did not come up within {timeout_s:.0f} s", answered=False)
        self.wait_until(lambda: watcher.control_state != "unknown", timeout_s)
        if self._asker is Asker.PROGRAM and (cause := self.stopped_by) is not None:
            problem = f"was {self._way_on(cause)}"
            raise OperatorError("control", "get ready", problem, answered=True)
        if watcher.control_state in _ARMED:
            self.disarm()
        self.wait_until(lambda: watcher.control_state not in _ARMED, _ANSWER_TIMEOUT_S)
        if watcher.control_state == "fault":
            self.reset()
        if not self.wait_until(lambda: watcher.control_state == "ready", timeout_s):
            problem = f"is {watcher.control_state}, not ready"
            raise OperatorError("control", "get ready", problem, answered=watcher.control_state != "unknown")

    def run_episode(self, seed: int, split: str, *, swapped: bool = False, timeout_s: float = 60.0) -> EpisodeResult:
        """Lay out, instruct, arm, watch until the scene is decided, disarm.

        From here until `close` the run's folder says that this program instructs the policy, see `gives_instructions`.

        Args:
            swapped: give the instruction that fits the scene but means another object.
            timeout_s: real time after which the episode is given up.

        Raises:
            OperatorError: a request was refused or not answered.
        """
        watcher = self.watcher
        if self._claim is None:
            # Two who do are a person's choice; the folder says it once.
            with contextlib.suppress(ProcessError):
                self._claim = claim(self._run_dir, _CLAIM, "gives instructions")
        self.wait_ready()
        self.lay_out(seed, split)
        scene = self._scene()
        instruction = scene.swapped_instruction if swapped else scene.instruction
        interventions_before = watcher.interventions
        watcher.receipts.clear()
        started_ns = time.monotonic_ns()
        outcome, reason = self._attempt(instruction, timeout_s)
        ended_ns, bundles = time.monotonic_ns(), tuple(watcher.followed)
        if self._tells_outcomes and not swapped and self._says_something(outcome):
            self._untold = self._outcome(outcome == "success", started_ns, ended_ns, instruction, reason)
        if watcher.control_state in _ARMED:
            self.disarm()
            self.wait_until(lambda: watcher.control_state not in _ARMED, _ANSWER_TIMEOUT_S)
        scene = self._scene()
        return EpisodeResult(
            seed=seed,
            split=split,
            swapped=swapped,
            instruction=instruction,
            outcome=outcome,
            reason=reason,
            elapsed_s=scene.elapsed_s,
            interventions=watcher.interventions - interventions_before,
            trace_digest=scene.trace_digest,
            receipts=tuple(watcher.receipts),
            bundles=bundles,
            ended_ns=ended_ns,
        )

    def _attempt(self, instruction: str, timeout_s: float) -> tuple[str, str]:
        """Instruct, arm and watch: how it ended, and why. What the policy can't read is an attempt that failed."""
        try:
            self.instruct(instruction)
        except OperatorError as error:
            if error.answer == InstructionAnswer.REFUSED_UNREADABLE.value:
                engine = self.watcher.engine
                self.watcher.followed.clear()
                return error.answer, engine.detail if engine is not None else str(error)
            # A policy that reads none is started by arming alone.
            if error.answer != InstructionAnswer.READS_NONE.value:
                raise
        self.arm()
        # Reports from before the answer are of the episode before.
        self.watcher.followed.clear()
        return self._watch(timeout_s)

    def _says_something(self, outcome: str) -> bool:
        """Whether it says something about the policy: an episode that a person or a fault cut short does not."""
        report = self.watcher.report
        return outcome != "interrupted" or (report is not None and report.gate is GateState.ESCALATED)

    def _outcome(self, success: bool, started_ns: int, ended_ns: int, instruction: str, reason: str) -> EpisodeOutcome:
        return EpisodeOutcome(
            id=self._next_id(),
            started_ns=started_ns,
            ended_ns=ended_ns,
            success=success,
            instruction=instruction[:MAX_WORDS_CHARS],
            reason=reason[:MAX_WORDS_CHARS],
        )

    def _scene(self) -> SceneStatus:
        scene = self.watcher.scene
        if scene is None:
            raise OperatorError("driver", "look at the scene", "has not said anything yet", answered=False)
        return scene

    def _watch(self, timeout_s: float) -> tuple[str, str]:
        watcher = self.watcher
        if not self.wait_until(lambda: watcher.control_state in _ARMED, 1.0):
            return "interrupted", f"{why_interrupted(watcher.status())} right after arming"
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            scene = watcher.scene
            if scene is not None and scene.outcome != "running":
                return scene.outcome, scene.reason
            if watcher.control_state not in _ARMED:
                return "interrupted", why_interrupted(watcher.status())
            self._listen()
        return "timeout", f"undecided after {timeout_s:.0f} s"

    def _ask_control(self, kind: OperatorKind) -> str:
        command = self._command(kind)

        def answer() -> _Answered | None:
            report = self.watcher.report
            given = report.answer_to(command) if report is not None else None
            return None if given is None else _Answered(given.answer, given.detail)

        return self._request(self._commands, command, "control", kind.value, answer)

    def _command(self, kind: OperatorKind, instruction: str = "") -> OperatorCommand:
        return OperatorCommand(
            id=self._next_id(),
            kind=kind,
            stamp_ns=time.monotonic_ns(),
            instruction=instruction,
            asker=self._asker,
        )

    def _next_id(self) -> int:
        # Monotonic microseconds: the ids of an operator that comes later are higher, without anything to remember.
        self._last_id = max(self._last_id + 1, time.monotonic_ns() // 1000)
        return self._last_id

    def _request(
        self, sender: Sender, command: Message, process: str, request: str, answer: Callable[[], _Answered | None]
    ) -> str:
        """Ask until there is an answer; its detail, if it was granted."""
        deadline_s = time.monotonic() + self._answer_timeout_s
        repeat_s = 0.0
        pause_s, longest_s = _REPEAT_S
        while (answered := answer()) is None:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                problem = f"did not answer within {self._answer_timeout_s:g} s"
                raise OperatorError(process, request, problem, answered=False)
            if now_s >= repeat_s:
                sender.send(command)
                repeat_s = now_s + pause_s
                pause_s = min(2.0 * pause_s, longest_s)
            self._listen(min(_LISTEN_S, repeat_s - now_s))
        if answered.answer not in _GRANTED:
            problem = f"refused: {refused_because(answered.answer, answered.detail, self._run_dir)}"
            raise OperatorError(process, request, problem, answered=True, answer=answered.answer)
        return answered.detail

    def _listen(self, timeout_s: float = _LISTEN_S) -> None:
        self.watcher.receive(timeout_s)
        engine = self.watcher.engine
        if self._instruction is not None and engine is not None and engine.instruction_id > self._instruction.id:
            # Another operator's came later: this one is not to come back with an engine that knows neither.
            self._instruction = None
        if self._instruction is not None and engine is not None and engine.answer is InstructionAnswer.NONE:
            # An engine that was started again knows no instruction; under the same number it is the same request.
            self._commands.send(self._instruction)
        self._say_outcome()
        if self.on_wait is not None:
            self.on_wait()

    def _say_outcome(self) -> None:
        """Again and again until it is heard: the agent may be coming back. For a while: nothing waits for it."""
        outcome, update = self._untold, self.watcher.update
        if outcome is None:
            return
        is_heard = update is not None and update.outcome_heard >= outcome.id
        if is_heard or time.monotonic_ns() - outcome.ended_ns > _OUTCOME_SAID_S * 1e9:
            self._untold = None
        else:
            self._outcomes.send(outcome)

    def close(self) -> None:
        """Leave; the robot stays as it is."""
        if self._claim is not None:
            self._claim.close()
        self._commands.close()
        self._scenes.close()
        self._outcomes.close()
        self.watcher.close()

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def gives_instructions(run_dir: Path) -> bool:
    """Whether a program runs episodes on the robot in `run_dir`, whose next instruction replaces any other."""
    return is_claimed(run_dir, _CLAIM)
