"""Why something was declined, by name: one enum for each side that declines."""

from __future__ import annotations

from enum import Enum


class Refusal(str, Enum):
    """Why something that arrived from outside was declined. Stable strings: they are counted, shown and stored."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    NOT_FINITE = "not_finite"
    SHAPE = "shape"
    JOINT_ORDER = "joint_order"
    WRONG_BUNDLE = "wrong_bundle"
    STALE = "stale"
    FUTURE = "future"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    OUT_OF_RANGE = "out_of_range"
    BEFORE_ARMING = "before_arming"
    FRAME_GONE = "frame_gone"
    CAMERA_MISSING = "camera_missing"
    NO_INSTRUCTION = "no_instruction"
    NOT_ALLOWED_NOW = "not_allowed_now"
    PREDICTED_DEVIATION = "predicted_deviation"
    PREDICTED_BLOCK = "predicted_block"
    UNSURE = "unsure"
    INSTRUCTION_CHANGED = "instruction_changed"
    HISTORY_MISSING = "history_missing"
    JOGGED = "jogged"
    NOT_JOGGING = "not_jogging"
    OTHER_SESSION = "other_session"
    UNKNOWN_AXIS = "unknown_axis"

    def __str__(self) -> str:
        return self.value


class OtaRefusal(str, Enum):
    """Why an update, or a part of one, was refused. Stable strings: they are stored, reported and counted."""

    RELEASE_OVERSIZED = "release_oversized"
    RELEASE_MALFORMED = "release_malformed"
    RELEASE_NOT_CANONICAL = "release_not_canonical"
    RELEASE_FORMAT = "release_format"
    RELEASE_LIMITS = "release_limits"
    RELEASE_PATHS = "release_paths"
    RELEASE_PIECES = "release_pieces"
    RELEASE_PACKS = "release_packs"
    RELEASE_DELTAS = "release_deltas"
    BLOB_OVERSIZED = "blob_oversized"
    BLOB_MALFORMED = "blob_malformed"
    BLOB_ALTERED = "blob_altered"
    UNREACHABLE = "unreachable"
    CAPTIVE_PORTAL = "captive_portal"
    UNTRUSTED_SERVER = "untrusted_server"
    REDIRECT_REFUSED = "redirect_refused"
    DISCONNECTED = "disconnected"
    SLOW_RETRIEVAL = "slow_retrieval"
    ENDLESS_DATA = "endless_data"
    SERVER_BUSY = "server_busy"
    SERVER_ERROR = "server_error"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNEXPECTED_STATUS = "unexpected_status"
    RANGE_IGNORED = "range_ignored"
    WRONG_RANGE = "wrong_range"
    WRONG_LENGTH = "wrong_length"
    WRONG_ENCODING = "wrong_encoding"
    OBJECT_CHANGED = "object_changed"
    OUTSIDE_HOURS = "outside_hours"
    METADATA_MALFORMED = "metadata_malformed"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    MIX_AND_MATCH = "mix_and_match"
    FAST_FORWARD = "fast_forward"
    WRONG_KEY = "wrong_key"
    UNDER_THRESHOLD = "under_threshold"
    TORN_STATE = "torn_state"
    CLOCK = "clock"
    EMPTY_ASSIGNMENT = "empty_assignment"
    OTHER_ROBOT = "other_robot"
    DIRECTOR_IMAGE_MISMATCH = "director_image_mismatch"
    INCOMPATIBLE_HARDWARE = "incompatible_hardware"
    INCOMPATIBLE_EMBODIMENT = "incompatible_embodiment"
    INCOMPATIBLE_JOINTS = "incompatible_joints"
    INCOMPATIBLE_SCHEMA = "incompatible_schema"
    INCOMPATIBLE_ARCHITECTURE = "incompatible_architecture"
    INCOMPATIBLE_GPU = "incompatible_gpu"
    INCOMPATIBLE_TENSORRT = "incompatible_tensorrt"
    INCOMPATIBLE_JETPACK = "incompatible_jetpack"
    INCOMPATIBLE_SAFETY = "incompatible_safety"
    TARGET_ALTERED = "target_altered"
    NO_SPACE = "no_space"
    STORAGE_FAULT = "storage_fault"
    BUNDLE_ALTERED = "bundle_altered"
    BUSY = "busy"
    NOT_NOW = "not_now"
    AT_WORK = "at_work"
    REFUSED_BEFORE = "refused_before"
    ENDLESS_RESTARTS = "endless_restarts"
    ROLLBACK_ASKED = "rollback_asked"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    NOT_BEFORE = "not_before"
    BUILD_FAILED = "build_failed"
    GOLDEN_MISSING = "golden_missing"
    GOLDEN_DIFFERS = "golden_differs"
    GOLDEN_FAILED = "golden_failed"
    ENGINE_ABSENT = "engine_absent"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_SLOW = "engine_slow"
    PROBATION_CRASHES = "probation_crashes"
    PROBATION_NOT_FINITE = "probation_not_finite"
    PROBATION_TRIPS = "probation_trips"
    PROBATION_LATENCY = "probation_latency"
    PROBATION_INTERVENTIONS = "probation_interventions"
    PROBATION_EPISODES = "probation_episodes"

    def __str__(self) -> str:
        return self.value


class ReportRefusal(str, Enum):
    """Why the hub declined a robot's report. Stable strings: they are answered to robots and counted."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNKNOWN_ROBOT = "unknown_robot"
    OTHER_ROBOT = "other_robot"
    OTHER_KEY = "other_key"
    WRONG_SIGNATURE = "wrong_signature"
    FOREIGN_NONCE = "foreign_nonce"
    EXPIRED_NONCE = "expired_nonce"
    SPENT_NONCE = "spent_nonce"

    def __str__(self) -> str:
        return self.value


class HubRefusal(str, Enum):
    """Why the hub declined what an operator asked. Stable strings: they are answered to programs."""

    NO_HUB = "no_hub"
    IN_USE = "in_use"
    MALFORMED = "malformed"
    NOBODY_NAMED = "nobody_named"
    NOT_ENROLLED = "not_enrolled"
    NO_ROBOT_NAME = "no_robot_name"
    KEY_TAKEN = "key_taken"
    NEVER_RELEASED = "never_released"
    OTHER_HARDWARE = "other_hardware"
    COUNTER_NOT_APPROVED = "counter_not_approved"
    COUNTER_GOES_BACK = "counter_goes_back"
    NEVER_ASSIGNED = "never_assigned"
    UPLOADS_FULL = "uploads_full"
    DAMAGED = "damaged"
    NO_SPACE = "no_space"
    STORAGE_FAULT = "storage_fault"

    def __str__(self) -> str:
        return self.value
