"""What travels between processes: any bytes give one valid message or the one typed error, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.embodiment import joint_order_digest
from edge_runtime.contracts.engine_status import MAX_READING_CHARS, EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import DecodeError, EdgeError, OtaRefusal, Refusal
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import (
    MAX_ANSWERS,
    MAX_AXES,
    MAX_CAMERAS,
    MAX_DETAIL_CHARS,
    MAX_HORIZON,
    MAX_INSTRUCTION_CHARS,
    MAX_PATH_CHARS,
    ActionChunk,
    Answer,
    AxisSpeeds,
    AxisUnit,
    ChunkReceipt,
    ControlState,
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    EpisodeStarted,
    FrameRef,
    Heartbeat,
    InferenceTiming,
    JogAxis,
    JogCommand,
    JogStatus,
    LoopTiming,
    Message,
    Observation,
    OperatorCommand,
    OperatorKind,
    ReducedSpeed,
    SafetyReport,
    SceneAnswer,
    SceneCommand,
    SceneOutcome,
    SceneStatus,
    StopCause,
)
from edge_runtime.contracts.states import KernelReason, RequestResult, UpdateState
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    EPISODE_ENDED,
    EPISODE_STARTED,
    HEARTBEAT_ENGINE,
    OBSERVATION,
    OPERATOR,
    POLICY_STATUS,
    SAFETY_REPORT,
    SCENE_COMMAND,
    SCENE_STATUS,
    TOPICS,
    UPDATE_COMMAND,
    UPDATE_STATUS,
    Topic,
    decode,
    encode,
)
from edge_runtime.contracts.updates import (
    MAX_ANSWER_CHARS,
    MAX_UPDATE_ANSWERS,
    PolicyOrder,
    PolicyStatus,
    UpdateAnswer,
    UpdateCommand,
    UpdateKind,
    UpdateResult,
    UpdateStatus,
)

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
DIGEST = joint_order_digest(JOINTS)
NAN, INF = math.nan, math.inf

FRAME = FrameRef(camera="scene", ring="r", slot=3, generation=8, width_px=128, height_px=128, exposure_ns=10)
EXAMPLES: dict[type[Message], Message] = {
    Observation: Observation(
        sequence=4,
        exposure_ns=10,
        published_ns=11,
        joint_digest=DIGEST,
        position=(0.1,) * 8,
        velocity=(0.0,) * 8,
        frames=(FRAME, FRAME),
    ),
    ActionChunk: ActionChunk(
        sequence=5,
        observation_sequence=4,
        exposure_ns=10,
        published_ns=12,
        dt_ns=50_000_000,
        joint_digest=DIGEST,
        bundle_digest="b" * 64,
        instruction_id=7,
        position=((0.1,) * 8,) * 16,
        timing=InferenceTiming(received_ns=11, preprocess_ns=1, model_ns=2, postprocess_ns=3),
        observation_published_ns=11,
        confidence=0.5,
    ),
    ChunkReceipt: ChunkReceipt(
        chunk_sequence=5,
        exposure_ns=10,
        observation_published_ns=11,
        chunk_published_ns=12,
        received_ns=13,
        model_ns=2,
        refusal=None,
        expired_actions=1,
        first_command_ns=14,
    ),
    SafetyReport: SafetyReport(
        stamp_ns=20,
        state=ControlState.ACTIVE,
        reasons=("limit_velocity",),
        interventions=2,
        chunk_sequence=5,
        chunk_age_ns=10,
        plan_left_ns=700,
        bundle_digest="b" * 64,
        safety_digest="s" * 64,
        stop_margin=0.3,
        stop_margin_axis=2,
        position_measured=(0.1,) * 7,
        position_commanded=(0.1,) * 7,
        loop=LoopTiming(
            ticks=9,
            overruns=0,
            lateness_p50_ns=1,
            lateness_p99_ns=2,
            lateness_max_ns=3,
            cost_p50_ns=1,
            cost_p99_ns=2,
            realtime_priority=False,
        ),
        engine_alive=True,
        faults=("operator_stop",),
        answers=(Answer(id=3, kind=OperatorKind.STOP, answer="done"),),
    ),
    Heartbeat: Heartbeat(
        process="engine",
        pid=1,
        stamp_ns=20,
        sequence=1,
        counters={"inferences": 3},
        refusals={"observation.stale": 1},
        gauges={"model_p50_ms": 20.5},
    ),
    OperatorCommand: OperatorCommand(id=3, kind=OperatorKind.INSTRUCT, stamp_ns=20, instruction="touch the red cube"),
    SceneCommand: SceneCommand(id=4, seed=7, split="eval", stamp_ns=20),
    PolicyOrder: PolicyOrder(id=3, serve="b" * 64, standby="c" * 64),
    EngineStatus: EngineStatus(
        stamp_ns=20,
        pid=9,
        bundle="b" * 64,
        instruction_id=4,
        answer=InstructionAnswer.FOLLOWED,
        latency_ns=30,
        horizon_ns=800,
        asked="touch the red cube",
        instruction="touch the red cube",
    ),
    PolicyStatus: PolicyStatus(stamp_ns=20, pid=9, order_id=3, serving="b" * 64, serving_since_ns=5, standby="c" * 64),
    UpdateCommand: UpdateCommand(id=4, kind=UpdateKind.ROLLBACK, stamp_ns=20, reason="it drops cups"),
    UpdateStatus: UpdateStatus(
        stamp_ns=20,
        pid=9,
        state=UpdateState.PROBATION,
        running="b" * 64,
        running_counter=7,
        release="bundles/a/b.json",
        release_counter=7,
        trial="3 of 5 episodes",
        answers=(UpdateAnswer(id=4, kind=UpdateKind.ROLLBACK, result=UpdateResult.DONE),),
    ),
    JogCommand: JogCommand(
        session=4,
        sequence=1,
        stamp_ns=20,
        valid_ns=200_000_000,
        joint_digest=DIGEST,
        motion=AxisSpeeds(speeds={"joint1": 0.1}),
    ),
    JogStatus: JogStatus(
        stamp_ns=20,
        session=4,
        joint_digest=DIGEST,
        axes=(
            JogAxis(
                name="joint1",
                unit=AxisUnit.RAD,
                position_min=-1.0,
                position_max=1.0,
                speed_max=2.0,
                commanded=0.1,
                measured=0.1,
            ),
        ),
    ),
    EpisodeStarted: EpisodeStarted(id=4, started_ns=10, instruction="touch the red cube"),
    EpisodeEnded: EpisodeEnded(
        id=5,
        episode=4,
        started_ns=10,
        ended_ns=20,
        outcome=EpisodeOutcome.SUCCESS,
        score=0.5,
        judge=EpisodeJudge.SCENE,
        instruction="touch the red cube",
        bundle="b" * 64,
    ),
    SceneStatus: SceneStatus(
        stamp_ns=20,
        answered_id=4,
        answer=SceneAnswer.OK,
        seed=7,
        split="eval",
        instruction="touch the red cube",
        swapped_instruction="touch the blue ball",
        outcome=SceneOutcome.RUNNING,
        reason="",
        elapsed_s=1.5,
    ),
}


def message_for(topic: Topic) -> Message:
    return EXAMPLES[topic.message]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_message_survives_the_wire(topic: Topic) -> None:
    message = message_for(topic)
    data = encode(topic, message)
    assert len(data) <= topic.max_bytes
    assert decode(topic, data) == message
    assert decode(topic, memoryview(data)) == message


def test_topic_names_and_endpoints_differ() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_give_a_message_or_the_one_error(topic: Topic, data: st.DataObject) -> None:
    raw = data.draw(st.binary(max_size=256) | damaged(encode(topic, message_for(topic))) | structured(topic))
    result = decoded(topic, raw)
    if isinstance(result, DecodeError):
        assert isinstance(result, EdgeError)
        assert result.topic == topic.name
        assert isinstance(result.refusal, Refusal)
    else:
        assert type(result) is topic.message
        assert len(raw) <= topic.max_bytes


def decoded(topic: Topic, raw: bytes) -> Message | DecodeError:
    try:
        return decode(topic, raw)
    except DecodeError as error:
        return error


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """A valid message with a few bytes replaced, or cut short, or with a tail."""

    def apply(edits: list[tuple[int, int]], keep: int, tail: bytes) -> bytes:
        raw = bytearray(valid)
        for at, value in edits:
            raw[at] = value
        return bytes(raw[:keep]) + tail

    edit = st.tuples(st.integers(0, len(valid) - 1), st.integers(0, 255))
    cut = st.just(len(valid)) | st.integers(0, len(valid))
    return st.builds(apply, st.lists(edit, max_size=4), cut, st.binary(max_size=3))


def structured(topic: Topic) -> st.SearchStrategy[bytes]:
    """MessagePack maps with the right keys and arbitrary values, which random bytes never reach."""
    leaf = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text(max_size=8)
        | st.binary(max_size=8)
    )
    value = st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
    fields: dict[str, Any] = msgspec.msgpack.decode(encode(topic, message_for(topic)))
    keys = st.sampled_from(sorted(fields))
    edits = st.dictionaries(keys, value, min_size=1, max_size=3)
    return edits.map(lambda changed: msgspec.msgpack.encode({**fields, **changed}))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_too_long_is_refused_unread(topic: Topic) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(topic, encode(topic, message_for(topic)) + bytes(topic.max_bytes))
    assert caught.value.refusal is Refusal.OVERSIZED


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_deep_nesting_is_refused(topic: Topic) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(topic, b"\x91" * (topic.max_bytes - 1) + b"\xc0")
    assert caught.value.refusal is Refusal.MALFORMED


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_message_of_another_topic_is_refused(topic: Topic) -> None:
    for message in EXAMPLES.values():
        if type(message) is topic.message:
            continue
        with pytest.raises(TypeError):
            encode(topic, message)
        with pytest.raises(DecodeError):
            decode(topic, msgspec.msgpack.encode(message)[: topic.max_bytes])


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_an_unknown_field_is_refused(topic: Topic) -> None:
    fields: dict[str, Any] = msgspec.msgpack.decode(encode(topic, message_for(topic)))
    with pytest.raises(DecodeError) as caught:
        decode(topic, msgspec.msgpack.encode({**fields, "extra": 1}))
    assert caught.value.refusal is Refusal.MALFORMED


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_missing_field_is_refused(topic: Topic) -> None:
    fields: dict[str, Any] = msgspec.msgpack.decode(encode(topic, message_for(topic)))
    required = [field.encode_name for field in msgspec.structs.fields(topic.message) if field.required]
    assert required
    for name in required:
        with pytest.raises(DecodeError):
            decode(topic, msgspec.msgpack.encode({k: v for k, v in fields.items() if k != name}))


def test_encode_refuses_what_no_one_would_take() -> None:
    long_note = msgspec.structs.replace(EXAMPLES[Heartbeat], note="x" * 5000)
    with pytest.raises(ValueError, match="exceed the cap"):
        encode(HEARTBEAT_ENGINE, long_note)


def _refused(number: int) -> UpdateAnswer:
    return UpdateAnswer(
        id=number,
        kind=UpdateKind.ROLLBACK,
        result=UpdateResult.REFUSED,
        refusal=max(OtaRefusal, key=lambda refusal: len(refusal.value)),
        detail="\U0001f916" * MAX_ANSWER_CHARS,
    )


def test_the_largest_that_is_allowed_fits_its_topic() -> None:
    number, row, text = 2**63 - 1, (-0.1,) * MAX_AXES, "🦾" * MAX_INSTRUCTION_CHARS
    largest = {
        OPERATOR: {"id": number, "stamp_ns": number, "kind": OperatorKind.INSTRUCT, "instruction": text},
        ACTION_CHUNK: {"position": (row,) * MAX_HORIZON},
        OBSERVATION: {
            "position": row,
            "velocity": row,
            "frames": (msgspec.structs.replace(FRAME, camera="c" * 32, ring="r" * 140),) * MAX_CAMERAS,
        },
        SAFETY_REPORT: {
            "reasons": tuple(KernelReason),
            "faults": tuple(KernelReason),
            "position_measured": row,
            "position_commanded": row,
            "answers": (
                Answer(
                    id=number,
                    kind=OperatorKind.RESTORE_SPEED,
                    answer=max(RequestResult, key=lambda result: len(result.value)),
                    detail="🦾" * MAX_DETAIL_CHARS,
                ),
            )
            * MAX_ANSWERS,
            "reduced": ReducedSpeed(tool_speed_max_m_s=0.1, speed_scale=0.1),
            "stopped_by": StopCause.OPERATOR_DISARM,
            "recording": "🦾" * MAX_PATH_CHARS,
            "recording_problem": "🦾" * MAX_DETAIL_CHARS,
        },
        ENGINE_STATUS: {"asked": text, "instruction": text, "detail": "\U0001f534" * MAX_READING_CHARS},
        POLICY_STATUS: {"loading": "c" * 64, "failed": "d" * 64, "problem": text, "proof_detail": text},
        UPDATE_COMMAND: {"id": number, "stamp_ns": number, "reason": text},
        EPISODE_STARTED: {"id": number, "started_ns": number, "instruction": text},
        EPISODE_ENDED: {"id": number, "episode": number, "ended_ns": number, "instruction": text, "reason": text},
        UPDATE_STATUS: {
            **dict.fromkeys(("release", "reason", "detail", "trial"), text),
            "answers": (_refused(number),) * MAX_UPDATE_ANSWERS,
        },
    }
    for topic, changes in largest.items():
        message = msgspec.structs.replace(EXAMPLES[topic.message], **changes)
        assert decode(topic, encode(topic, message)) == message


@dataclass(frozen=True)
class Bad:
    """One field out of its range, and the kind under which it must be counted."""

    topic: Topic
    field: str
    value: Any
    refusal: Refusal = Refusal.MALFORMED


_ROW = (0.1,) * 8
_TIMING = msgspec.to_builtins(EXAMPLES[ActionChunk])["timing"]
BAD = [
    Bad(OBSERVATION, "sequence", -1),
    Bad(OBSERVATION, "exposure_ns", -1),
    Bad(OBSERVATION, "exposure_ns", 2**63),
    Bad(OBSERVATION, "published_ns", -1),
    Bad(OBSERVATION, "position", (), Refusal.SHAPE),
    Bad(OBSERVATION, "position", (0.0,) * 33, Refusal.SHAPE),
    Bad(OBSERVATION, "velocity", (0.0,) * 7, Refusal.SHAPE),
    Bad(OBSERVATION, "position", (*_ROW[:7], NAN), Refusal.NOT_FINITE),
    Bad(OBSERVATION, "velocity", (*_ROW[:7], INF), Refusal.NOT_FINITE),
    Bad(OBSERVATION, "frames", [msgspec.to_builtins(FRAME)] * 9, Refusal.SHAPE),
    Bad(ACTION_CHUNK, "sequence", -1),
    Bad(ACTION_CHUNK, "sequence", 2**63),
    Bad(ACTION_CHUNK, "observation_sequence", -1),
    Bad(ACTION_CHUNK, "instruction_id", -1),
    Bad(ACTION_CHUNK, "exposure_ns", -1),
    Bad(ACTION_CHUNK, "published_ns", 2**63),
    Bad(ACTION_CHUNK, "observation_published_ns", -1),
    Bad(ACTION_CHUNK, "dt_ns", 0),
    Bad(ACTION_CHUNK, "dt_ns", 10**11),
    Bad(ACTION_CHUNK, "position", (), Refusal.SHAPE),
    Bad(ACTION_CHUNK, "position", (_ROW,) * 129, Refusal.SHAPE),
    Bad(ACTION_CHUNK, "position", (*(_ROW,) * 15, _ROW[:7]), Refusal.SHAPE),
    Bad(ACTION_CHUNK, "position", ((),) * 16, Refusal.SHAPE),
    Bad(ACTION_CHUNK, "position", (*(_ROW,) * 15, (*_ROW[:7], NAN)), Refusal.NOT_FINITE),
    Bad(ACTION_CHUNK, "position", (*(_ROW,) * 15, (*_ROW[:7], INF)), Refusal.NOT_FINITE),
    Bad(ACTION_CHUNK, "confidence", 1.01),
    Bad(ACTION_CHUNK, "confidence", -0.01),
    Bad(ACTION_CHUNK, "confidence", NAN),
    Bad(ACTION_CHUNK, "timing", {**_TIMING, "model_ns": -1}),
    Bad(SAFETY_REPORT, "answers", [{"id": 1, "kind": "arm", "answer": "done"}] * 9, Refusal.SHAPE),
    Bad(OPERATOR, "id", 0),
    Bad(OPERATOR, "id", 2**63),
    Bad(OPERATOR, "stamp_ns", -1),
    Bad(OPERATOR, "kind", "explode"),
    Bad(OPERATOR, "instruction", "x" * 513),
    Bad(OPERATOR, "instruction", "  "),
    Bad(SCENE_COMMAND, "id", 0),
    Bad(SCENE_COMMAND, "seed", -1),
    Bad(SCENE_COMMAND, "seed", 2**31),
    Bad(SCENE_COMMAND, "stamp_ns", -1),
    Bad(SCENE_COMMAND, "split", "test"),
    Bad(ENGINE_STATUS, "stamp_ns", -1),
    Bad(ENGINE_STATUS, "instruction_id", 2**63),
    Bad(ENGINE_STATUS, "latency_ns", -1),
    Bad(ENGINE_STATUS, "horizon_ns", -1),
    Bad(ENGINE_STATUS, "pid", 2**31),
    Bad(ENGINE_STATUS, "asked", "x" * 513),
    Bad(ENGINE_STATUS, "detail", "x" * (MAX_READING_CHARS + 1)),
    Bad(ENGINE_STATUS, "instruction", ""),
    Bad(ENGINE_STATUS, "answer", InstructionAnswer.REFUSED_UNREADABLE),
    Bad(ENGINE_STATUS, "answer", InstructionAnswer.REFUSED_OVERTAKEN),
    Bad(SAFETY_REPORT, "state", ControlState.UNKNOWN),
    Bad(SAFETY_REPORT, "chunks_taken", -1),
    Bad(EPISODE_STARTED, "id", 0),
    Bad(EPISODE_STARTED, "instruction", "x" * 513),
    Bad(EPISODE_ENDED, "id", 0),
    Bad(EPISODE_ENDED, "ended_ns", 9),
    Bad(EPISODE_ENDED, "score", 1.5),
    Bad(EPISODE_ENDED, "score", math.nan),
    Bad(EPISODE_ENDED, "bundle", "b" * 63),
    Bad(EPISODE_ENDED, "reason", "x" * 513),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.topic.name}.{bad.field}={str(bad.value)[:24]}")
def test_a_field_out_of_range_is_refused_on_the_wire_and_at_construction(bad: Bad) -> None:
    fields: dict[str, Any] = msgspec.msgpack.decode(encode(bad.topic, message_for(bad.topic)))
    with pytest.raises(DecodeError) as caught:
        decode(bad.topic, msgspec.msgpack.encode({**fields, bad.field: bad.value}))
    assert caught.value.refusal is bad.refusal
    if bad.field not in ("frames", "timing", "kind"):
        with pytest.raises(ValueError, match=r"."):
            msgspec.structs.replace(message_for(bad.topic), **{bad.field: bad.value})


@pytest.mark.parametrize(
    ("field", "value"), [("pid", -1), ("pid", 2**31), ("stamp_ns", -1), ("stamp_ns", 2**63), ("sequence", 2**63)]
)
def test_a_heartbeat_names_numbers_that_the_system_knows(field: str, value: int) -> None:
    fields = msgspec.msgpack.decode(encode(HEARTBEAT_ENGINE, EXAMPLES[Heartbeat]))
    with pytest.raises(DecodeError):
        decode(HEARTBEAT_ENGINE, msgspec.msgpack.encode({**fields, field: value}))


def test_a_proof_that_lets_a_policy_act_is_of_one_that_serves() -> None:
    status = EXAMPLES[PolicyStatus]
    for verdict in ProofVerdict:
        msgspec.structs.replace(status, proof=verdict)
        if verdict.may_act:
            with pytest.raises(ValueError, match="bundle that serves"):
                msgspec.structs.replace(status, proof=verdict, serving="")
        else:
            msgspec.structs.replace(status, proof=verdict, serving="")


@pytest.mark.parametrize(
    ("topic", "field", "value"),
    [
        (SAFETY_REPORT, "faults", ["no_such_fault"]),
        (SAFETY_REPORT, "policy", "asleep"),
        (CHUNK_RECEIPT, "refusal", "disliked"),
        (EPISODE_ENDED, "outcome", "won"),
        (EPISODE_ENDED, "judge", "nobody"),
        (SCENE_STATUS, "outcome", "tidy"),
    ],
)
def test_a_name_that_no_enum_has_is_refused_on_the_wire(topic: Topic, field: str, value: object) -> None:
    fields = msgspec.to_builtins(EXAMPLES[topic.message])
    with pytest.raises(DecodeError, match="malformed"):
        decode(topic, msgspec.msgpack.encode({**fields, field: value}))
