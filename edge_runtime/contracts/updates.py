"""What travels on the robot's bus about its bundles: which policy acts, which one waits beside it, how an update is.

Bundles are named by the digest of their manifest, 64 hexadecimal digits, also the one that came with the software.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

from edge_runtime.contracts.errors import EdgeError, OtaError, OtaRefusal
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import Message
from edge_runtime.contracts.states import UpdateState

MAX_UPDATE_ANSWERS = 8
MAX_WORDS_CHARS = 512
MAX_ANSWER_CHARS = 200

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _require_digest(name: str, value: str, *, or_none: bool) -> None:
    if not (_DIGEST.fullmatch(value) or (or_none and not value)):
        raise ValueError(f"{name} must be the digest of a bundle, 64 hexadecimal digits, got {value[:80]!r}")


def _require_63_bit(name: str, value: int) -> None:
    if not 0 <= value < 2**63:
        raise ValueError(f"{name} must be a non-negative 63-bit number")


def _require_words(name: str, value: str) -> None:
    if len(value) > MAX_WORDS_CHARS:
        raise ValueError(f"{name} longer than {MAX_WORDS_CHARS} characters")


class PolicyOrder(Message, frozen=True):
    """What the engine should have: not what to do but how it should be, said again until it is so.

    Attributes:
        id: grows from order to order; the same id said again is the same order.
        serve: the bundle that acts.
        standby: one that stays loaded and warm beside it, so that changing over takes one chunk; empty: none.
    """

    id: int
    serve: str
    standby: str = ""

    def __post_init__(self) -> None:
        _require_63_bit("id", self.id)
        _require_digest("serve", self.serve, or_none=False)
        _require_digest("standby", self.standby, or_none=True)
        if self.standby == self.serve:
            raise ValueError("standby must be another bundle than the one that serves")


class PolicyStatus(Message, frozen=True):
    """What the engine has.

    Attributes:
        pid: of the engine; another one is another engine, which began anew.
        order_id: the last order that it has received, 0 for none.
        serving: the bundle that acts; since `serving_since_ns`, on the clock of the stamps. Empty while an engine that
            has just started loads its first one.
        standby: the one that is warm beside it, empty for none.
        loading: the one that is being loaded, empty for none.
        failed: the one that could not be loaded, empty for none, and `problem`: why.
        proof: of the bundle that serves, on this machine, in the engine that runs it; where none serves, of the one
            that would and may not. `proof_detail`: what it comes from, with the joint and the angle, for a person.
    """

    stamp_ns: int
    pid: int
    order_id: int
    serving: str
    serving_since_ns: int
    standby: str = ""
    loading: str = ""
    failed: str = ""
    problem: str = ""
    proof: ProofVerdict = ProofVerdict.UNPROVEN
    proof_detail: str = ""

    def __post_init__(self) -> None:
        for name in ("stamp_ns", "order_id", "serving_since_ns"):
            _require_63_bit(name, getattr(self, name))
        if not 0 <= self.pid < 2**31:
            raise ValueError("pid must be a non-negative 31-bit number")
        for name in ("serving", "standby", "loading", "failed"):
            _require_digest(name, getattr(self, name), or_none=True)
        _require_words("problem", self.problem)
        _require_words("proof_detail", self.proof_detail)
        if self.proof.may_act and not self.serving:
            raise ValueError("proof is of a bundle that serves")


class UpdateKind(str, Enum):
    """What a person can ask of the update agent: to ask the hub now, or to go back to the bundle from before."""

    CHECK = "check"
    ROLLBACK = "rollback"


class WaitsFor(str, Enum):
    """What an update that does not go on is waiting for, beside the network and the disk, which `reason` names."""

    NOTHING = "nothing"
    REST = "rest"
    ENGINE = "engine"


class UpdateResult(str, Enum):
    """What became of a request to the update agent. Stable strings."""

    DONE = "done"
    UNDER_WAY = "under_way"
    REFUSED = "refused"


class UpdateAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The agent's answer to one request.

    Attributes:
        refusal: by name, where it was refused for a reason that has one.
        detail: for a person.
    """

    id: int
    kind: UpdateKind
    result: UpdateResult
    refusal: OtaRefusal | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if len(self.detail) > MAX_ANSWER_CHARS:
            raise ValueError(f"detail longer than {MAX_ANSWER_CHARS} characters")
        if self.refusal is not None and self.result is not UpdateResult.REFUSED:
            raise ValueError("a refusal is of a request that was refused")


class UpdateCommand(Message, frozen=True):
    """One request to the update agent. Ids grow; the same id sent again is the same request."""

    id: int
    kind: UpdateKind
    stamp_ns: int
    reason: str = ""

    def __post_init__(self) -> None:
        _require_63_bit("id", self.id)
        _require_63_bit("stamp_ns", self.stamp_ns)
        if self.id == 0:
            raise ValueError("id 0 stands for no command yet")
        _require_words("reason", self.reason)

    def answered(self, result: UpdateResult, detail: str = "") -> UpdateAnswer:
        """The answer to this request."""
        return UpdateAnswer(id=self.id, kind=self.kind, result=result, detail=detail[:MAX_ANSWER_CHARS])

    def refused(self, error: EdgeError) -> UpdateAnswer:
        """The answer to this request: it is not done, because of `error`."""
        refusal, detail = (error.refusal, error.detail) if isinstance(error, OtaError) else (None, str(error))
        return UpdateAnswer(
            id=self.id,
            kind=self.kind,
            result=UpdateResult.REFUSED,
            refusal=refusal,
            detail=detail[:MAX_ANSWER_CHARS],
        )


class UpdateStatus(Message, frozen=True):
    """How the update of this robot stands, as its agent sees it.

    Attributes:
        state: of the life cycle, see docs/ota.md.
        running: the bundle that should act, and `running_counter`, the counter it was released under, 0 as shipped.
        release: the update that is under way or was last, as `bundles/<name>/<digest>.json`; empty before the first.
        reason: why it waits, failed or was rolled back; a name of `OtaRefusal` or empty.
        waits_for: the robot to be at rest, or the engine to have the bundle loaded.
        detail: the agent's last words.
        bytes_done, bytes_total: of the update's download, under way or over; 0 of 0 where there was none.
        trial: how a bundle on probation does, in words; empty where none is.
        outcome_heard: id of the last `EpisodeEnded` that has arrived, 0 for none.
        answers: to the last requests, oldest first.
    """

    stamp_ns: int
    pid: int
    state: UpdateState
    running: str
    running_counter: int
    release: str = ""
    release_counter: int = 0
    reason: str = ""
    waits_for: WaitsFor = WaitsFor.NOTHING
    detail: str = ""
    bytes_done: int = 0
    bytes_total: int = 0
    trial: str = ""
    outcome_heard: int = 0
    answers: tuple[UpdateAnswer, ...] = ()

    def __post_init__(self) -> None:
        for name in ("stamp_ns", "running_counter", "release_counter", "bytes_done", "bytes_total", "outcome_heard"):
            _require_63_bit(name, getattr(self, name))
        _require_digest("running", self.running, or_none=False)
        for name in ("release", "reason", "detail", "trial"):
            _require_words(name, getattr(self, name))
        if len(self.answers) > MAX_UPDATE_ANSWERS:
            raise ValueError(f"shape: more than {MAX_UPDATE_ANSWERS} answers")

    def answer_to(self, command: UpdateCommand) -> UpdateAnswer | None:
        """What became of `command`; None while it has not arrived, or when too many came after it."""
        for answer in self.answers:
            if (answer.id, answer.kind) == (command.id, command.kind):
                return answer
        return None
