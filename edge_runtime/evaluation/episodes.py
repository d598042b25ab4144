"""One episode of a simulated robot: a scene is laid out, the policy is told what to do, and the scene judges.

Guarantees that an episode ends with a disarmed robot or an error, and that its beginning and its end are said to
whoever hears episodes. Nothing here reaches the robot but through its operator.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import IO

from edge_runtime.client.operator import Operator, claim_instructions
from edge_runtime.client.status_lines import why_interrupted
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.errors import ConfigError, OperatorError, ProcessError
from edge_runtime.contracts.messages import (
    ChunkReceipt,
    EpisodeJudge,
    EpisodeOutcome,
    GateState,
    SceneOutcome,
    SceneStatus,
)

_REST_S = 5.0
_ARMED_S = 1.0


class EpisodeEnding(str, Enum):
    """How an episode ended, and what decided it. Stable strings: they are in files of results.

    `success`, `failed`: as the scene judged it. `interrupted`: the arm was disarmed in between. `timeout`: nothing was
    decided in time. `refused_unreadable`: the policy can't read the instruction. `error`: it could not be run.
    """

    SUCCESS = "success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    REFUSED_UNREADABLE = "refused_unreadable"
    ERROR = "error"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_of_the_scene(self) -> bool:
        """Whether the scene has judged it."""
        return self in (EpisodeEnding.SUCCESS, EpisodeEnding.FAILED)

    @property
    def is_cut_short(self) -> bool:
        """Whether it says nothing of the policy: somebody stopped it, or it could not be run."""
        return self in (EpisodeEnding.INTERRUPTED, EpisodeEnding.ERROR)


_OF_SCENE = {SceneOutcome.SUCCESS: EpisodeEnding.SUCCESS, SceneOutcome.FAILED: EpisodeEnding.FAILED}


@dataclass(frozen=True)
class EpisodeResult:
    """How one episode went.

    Attributes:
        elapsed_s: on the plant's clock.
        interventions: ticks in which the safety kernel altered or refused a setpoint.
        trace_digest: of the commanded motion, in lockstep.
        receipts: of the chunks that control dealt with meanwhile.
        bundles: digests of those whose plans were followed, more than one where a change came in between.
        ended_ns: when that was seen, on the robot's clock.
        kind: what it is counted by, as its scene says.
    """

    seed: int
    split: str
    swapped: bool
    instruction: str
    outcome: EpisodeEnding
    reason: str
    elapsed_s: float
    interventions: int
    trace_digest: str
    receipts: tuple[ChunkReceipt, ...]
    bundles: tuple[str, ...] = ()
    ended_ns: int = 0
    kind: str = ""

    @property
    def success(self) -> bool:
        """Whether the task that was laid out got done."""
        return self.outcome is EpisodeEnding.SUCCESS


class EpisodeRunner:
    """Runs episodes with `operator`; a context manager.

    From the first one until `close` the run's folder says that this program instructs the policy, see
    `edge_runtime.client.operator.gives_instructions`.

    Args:
        lockstep: the robot runs on virtual time.
    """

    def __init__(self, operator: Operator, *, lockstep: bool = False) -> None:
        self._operator = operator
        self._lockstep = lockstep
        self._claim: IO[bytes] | None = None

    def run(self, seed: int, split: str, *, swapped: bool = False, timeout_s: float = 60.0) -> EpisodeResult:
        """Lay out, instruct, arm, watch until the scene is decided, disarm.

        Args:
            swapped: give the instruction that fits the scene but means another object.
            timeout_s: real time after which the episode is given up.

        Raises:
            OperatorError: a request was refused or not answered.
            ConfigError: `swapped`, and the scene knows no other object.
        """
        operator, watcher = self._operator, self._operator.watcher
        if self._claim is None:
            # Two who do are a person's choice; the folder says it once.
            with contextlib.suppress(ProcessError):
                self._claim = claim_instructions(operator.run_dir)
        operator.wait_ready()
        operator.lay_out(seed, split)
        scene = self._scene()
        if swapped and not scene.swapped_instruction:
            raise ConfigError("--swapped", "scenes of this robot have no instruction that means another object")
        instruction = scene.swapped_instruction if swapped else scene.instruction
        interventions_before = watcher.interventions
        watcher.receipts.clear()
        started = operator.episode_started(instruction, self._now_ns())
        try:
            outcome, reason = self._attempt(instruction, timeout_s)
        except BaseException as error:
            words = str(error) or type(error).__name__
            operator.episode_ended(
                EpisodeOutcome.ABORTED, self._now_ns(), started=started, judge=EpisodeJudge.PROGRAM, reason=words
            )
            raise
        ended_ns, bundles = self._now_ns(), tuple(watcher.followed)
        operator.episode_ended(
            EpisodeOutcome.UNKNOWN if swapped else self._judged(outcome),
            ended_ns,
            started=started,
            judge=EpisodeJudge.SCENE if outcome.is_of_the_scene else EpisodeJudge.PROGRAM,
            reason=reason,
            bundle=bundles[0] if len(bundles) == 1 else "",
        )
        if watcher.control_state.is_armed:
            operator.disarm()
            operator.wait_until(lambda: not watcher.control_state.is_armed, _REST_S)
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
            kind=scene.kind,
        )

    def _now_ns(self) -> int:
        """This moment on the robot's clock."""
        report = self._operator.watcher.report
        return time.monotonic_ns() if not self._lockstep or report is None else report.stamp_ns

    def _attempt(self, instruction: str, timeout_s: float) -> tuple[EpisodeEnding, str]:
        """Instruct, arm and watch: how it ended, and why. What the policy can't read is an attempt that failed."""
        operator, watcher = self._operator, self._operator.watcher
        try:
            operator.instruct(instruction)
        except OperatorError as error:
            if error.answer == InstructionAnswer.REFUSED_UNREADABLE.value:
                engine = watcher.engine
                watcher.followed.clear()
                return EpisodeEnding.REFUSED_UNREADABLE, engine.detail if engine is not None else str(error)
            # A policy that reads none is started by arming alone.
            if error.answer != InstructionAnswer.READS_NONE.value:
                raise
        operator.arm()
        # Reports from before the answer are of the episode before.
        watcher.followed.clear()
        return self._watch(timeout_s)

    def _watch(self, timeout_s: float) -> tuple[EpisodeEnding, str]:
        operator, watcher = self._operator, self._operator.watcher
        if not operator.wait_until(lambda: watcher.control_state.is_armed, _ARMED_S):
            return EpisodeEnding.INTERRUPTED, f"{why_interrupted(watcher.status())} right after arming"
        operator.wait_until(lambda: self._ending() is not None, timeout_s)
        return self._ending() or (EpisodeEnding.TIMEOUT, f"undecided after {timeout_s:.0f} s")

    def _ending(self) -> tuple[EpisodeEnding, str] | None:
        """None while it goes on."""
        watcher = self._operator.watcher
        scene = watcher.scene
        if scene is not None and scene.outcome in _OF_SCENE:
            return _OF_SCENE[scene.outcome], scene.reason
        if not watcher.control_state.is_armed:
            return EpisodeEnding.INTERRUPTED, why_interrupted(watcher.status())
        return None

    def _judged(self, ending: EpisodeEnding) -> EpisodeOutcome:
        """What is said of it. One that a person or a fault cut short says nothing about the policy; one that it asked
        for help in until it was disarmed does."""
        report = self._operator.watcher.report
        is_given_up = report is not None and report.gate is GateState.ESCALATED
        if ending.is_cut_short and not is_given_up:
            return EpisodeOutcome.ABORTED
        return EpisodeOutcome.SUCCESS if ending is EpisodeEnding.SUCCESS else EpisodeOutcome.FAILURE

    def _scene(self) -> SceneStatus:
        scene = self._operator.watcher.scene
        if scene is None:
            raise OperatorError("driver", "look at the scene", "has not said anything yet", answered=False)
        return scene

    def close(self) -> None:
        """No longer instruct the policy; the operator is left open."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def __enter__(self) -> EpisodeRunner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
