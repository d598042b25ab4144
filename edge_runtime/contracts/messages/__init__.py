"""Everything that travels between processes: frozen, validated at construction, MessagePack on the wire.

Stamps are integers in nanoseconds of the robot's monotonic clock (or of the virtual clock in lockstep runs), never
wall time. Joint vectors are in the order of the embodiment, whose digest travels along. SI units throughout.
"""

from edge_runtime.contracts.messages.base import (
    MAX_DETAIL_CHARS,
    MAX_INSTRUCTION_CHARS,
    MAX_JOINTS,
    Message,
)
from edge_runtime.contracts.messages.control import (
    MAX_ANSWERS,
    MAX_PATH_CHARS,
    Answer,
    Asker,
    Heartbeat,
    LoopTiming,
    OperatorCommand,
    OperatorKind,
    ReducedSpeed,
    SafetyReport,
    StopCause,
)
from edge_runtime.contracts.messages.episode import (
    MAX_EPISODE_REASON_CHARS,
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    EpisodeStarted,
    SceneAnswer,
    SceneCommand,
    SceneOutcome,
    SceneStatus,
)
from edge_runtime.contracts.messages.policy import (
    FRAME_SKEW_MAX_NS,
    MAX_ACTION_DT_NS,
    MAX_CAMERAS,
    MAX_HORIZON,
    MIN_ACTION_DT_NS,
    ActionChunk,
    ChunkReceipt,
    FrameRef,
    InferenceTiming,
    Observation,
)
from edge_runtime.contracts.states import ControlState, GateState, KernelReason, PolicySign, PolicyState, RequestResult

__all__ = [
    "FRAME_SKEW_MAX_NS",
    "MAX_ACTION_DT_NS",
    "MAX_ANSWERS",
    "MAX_CAMERAS",
    "MAX_DETAIL_CHARS",
    "MAX_EPISODE_REASON_CHARS",
    "MAX_HORIZON",
    "MAX_INSTRUCTION_CHARS",
    "MAX_JOINTS",
    "MAX_PATH_CHARS",
    "MIN_ACTION_DT_NS",
    "ActionChunk",
    "Answer",
    "Asker",
    "ChunkReceipt",
    "ControlState",
    "EpisodeEnded",
    "EpisodeJudge",
    "EpisodeOutcome",
    "EpisodeStarted",
    "FrameRef",
    "GateState",
    "Heartbeat",
    "InferenceTiming",
    "KernelReason",
    "LoopTiming",
    "Message",
    "Observation",
    "OperatorCommand",
    "OperatorKind",
    "PolicySign",
    "PolicyState",
    "ReducedSpeed",
    "RequestResult",
    "SafetyReport",
    "SceneAnswer",
    "SceneCommand",
    "SceneOutcome",
    "SceneStatus",
    "StopCause",
]
