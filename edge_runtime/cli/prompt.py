"""What a person types to a robot that runs in the same terminal: a sentence for its policy, or a command.

Guarantees: `stop` and `disarm` are asked for at once, also while an answer to something else is waited for, and what
was typed before and not yet asked for is dropped. A sentence never ends a stop: it arms a robot that nobody has
stopped, and says what to type on any other. A command is a word alone, with a slash before it or without, so that no
sentence of more words is taken for one. Nothing here reaches the robot but through control.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edge_runtime.cli.typed import Typed
from edge_runtime.client.explanations import as_typed_here
from edge_runtime.client.operator import Operator
from edge_runtime.client.status_lines import next_step, state_line
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import MAX_INSTRUCTION_CHARS, SceneOutcome, SceneStatus
from edge_runtime.contracts.text import printable

COMMANDS = {
    "stop": "brake to rest, and latch that: the quickest way to rest",
    "disarm": "brake to rest, and follow nothing",
    "reset": "after a stop: clear what is latched, once its cause is gone; moves nothing",
    "reset --moved": "the same, of a robot that was moved by hand meanwhile",
    "arm": "follow the policy again",
    "resume": "answer a policy that asks for help: go on",
    "scene": "in simulation: put the arm home, and other things on the table",
    "status": "what the robot is doing, and what can be done next",
    "help": "these lines",
    "quit": "disarm and end (also Ctrl-C, and the end of the input)",
}
_SAME = {"exit": "quit", "q": "quit", "?": "help", "halt": "stop"}
_AT_ONCE = ("stop", "disarm")
_SETTLES_S = 5.0


def command_in(line: str) -> str | None:
    """The command that `line` is, None where it is a sentence; empty for one that begins as a command and is none."""
    word = line.strip().lower().rstrip(".!")
    is_marked, word = word.startswith("/"), word.removeprefix("/")
    word = _SAME.get(word, word)
    return word if word in COMMANDS else "" if is_marked else None


class OutcomeTold:
    """Tells once how the task of a scene has ended, which a simulation alone can say."""

    def __init__(self) -> None:
        self._before: tuple[int, SceneOutcome] | None = None

    def since(self, scene: SceneStatus | None) -> str:
        """What there is to tell since the last call; empty: nothing."""
        now = None if scene is None else (scene.seed, scene.outcome)
        before, self._before = self._before, now
        if scene is None or before is None or now == before or scene.outcome is SceneOutcome.RUNNING:
            return ""
        if scene.outcome is SceneOutcome.SUCCESS:
            return f"done, the simulation says: {printable(scene.instruction)}, in {scene.elapsed_s:.1f} s"
        return f"failed, the simulation says: {printable(scene.instruction)}: {printable(scene.reason)}"


class Prompt:
    """Carries out what is typed; call `look` often, also while the operator waits, and `step` in between.

    Args:
        operator: asks on behalf of the person, `asker=Asker.PERSON`.
        typed: what she types.
        tell: is given what became of it, line by line.
        new_scene: puts the arm home and lays out another scene; None where the robot has none.

    Attributes:
        is_over: she wants to end it.
    """

    def __init__(
        self,
        operator: Operator,
        typed: Typed,
        tell: Callable[[str], None],
        new_scene: Callable[[], str] | None = None,
    ) -> None:
        self._operator, self._typed, self._tell, self._new_scene = operator, typed, tell, new_scene
        self._waiting: deque[str] = deque()
        self._is_stopping = False
        self.is_over = False

    @property
    def pending(self) -> str | None:
        """What was typed of the next line, see `Typed.pending`."""
        return self._typed.pending

    @property
    def has_line(self) -> bool:
        """Whether there is something for `step` to do."""
        return bool(self._waiting) or self._typed.is_over

    def look(self) -> None:
        """Take in what was typed; what takes motion away is asked for before this returns."""
        for line in self._typed.lines():
            if command_in(line) in _AT_ONCE:
                for dropped in self._waiting:
                    self._tell(f"dropped: {printable(dropped)}")
                self._waiting.clear()
                self._take(line)
            elif line.strip():
                self._waiting.append(line)

    def step(self) -> None:
        """Carry out the next line, if there is one; waits for its answer."""
        if self._waiting:
            self._take(self._waiting.popleft())
        elif self._typed.is_over:
            self.is_over = True

    def help(self) -> str:
        """What can be typed."""
        rows = (f"  {name:13} {text}" for name, text in COMMANDS.items() if name != "scene" or self._new_scene)
        return "\n".join(["Type a sentence, and the robot does it. Or one of these, alone on the line:", *rows])

    def _take(self, line: str) -> None:
        self._tell(f"> {printable(line.strip())}")
        command = command_in(line)
        try:
            if command is None:
                said = self._instruct(line.strip())
            elif not command:
                said = f"there is no such command; {', '.join(COMMANDS)}: `help` says what they do"
            else:
                said = self._carry_out(command)
        except OperatorError as error:
            said = f"not done: {error}"
        for row in filter(None, as_typed_here(said).split("\n")):
            self._tell(row)

    def _carry_out(self, command: str) -> str:
        one = self._operator
        if command == "stop":
            return self._stop()
        if command == "arm":
            known = one.arm()
            return f"armed: {self._state()}" + (f"\nnote: {printable(known, None)}" if known else "")
        if command == "disarm":
            one.disarm()
            return "disarmed: it follows nothing before `arm`"
        if command in ("reset", "reset --moved"):
            one.reset(moved=command != "reset")
            return "reset: it does not move before `arm`"
        if command == "resume":
            one.resume()
            return "answered: the policy may go on"
        if command == "scene":
            return self._new_scene() if self._new_scene is not None else "this robot lays out no scenes"
        if command == "help":
            return self.help()
        if command == "quit":
            self._waiting.clear()
            self.is_over = True
            return "disarming, then ending"
        return self._state()

    def _stop(self) -> str:
        if self._is_stopping:
            return "a stop is under way"
        self._is_stopping = True
        try:
            self._operator.stop()
        finally:
            self._is_stopping = False
        return f"stopped: {self._state()}"

    def _instruct(self, text: str) -> str:
        if len(text) > MAX_INSTRUCTION_CHARS:
            return f"not done: a sentence has at most {MAX_INSTRUCTION_CHARS} characters"
        one = self._operator
        try:
            one.instruct(text)
            said = "the policy follows it"
        except OperatorError as error:
            if error.answer != InstructionAnswer.READS_NONE.value:
                raise
            said = str(error)
        # It may be coming to rest, or its driver may just have missed a beat.
        one.wait_until(self._is_settled, _SETTLES_S)
        if not one.watcher.control_state.may_be_armed or one.stopped_by is not None:
            return f"{said}; the robot is {self._state()}"
        one.arm()
        return f"{said}; armed: the robot moves"

    def _is_settled(self) -> bool:
        state = self._operator.watcher.control_state
        return state.may_be_armed or state.follows or state.is_latched

    def _state(self) -> str:
        status = self._operator.watcher.status()
        return f"{state_line(status)}. {next_step(status)}".removesuffix(". ")
