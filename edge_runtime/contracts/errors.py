"""The one error tree. An error names the side at fault and carries its evidence.

    EdgeError
    ├── ContractError               what another process or file sent is not what was agreed
    │   ├── DecodeError             bytes on a topic that are not one valid message of that topic
    │   └── HandshakeError          two parts that each are valid do not fit together (names the field)
    ├── ConfigError                 a setting of the robot's owner (names the key)
    ├── BundleError                 a model bundle that is incomplete, altered or unusable
    │   └── UnprovenError           one that is whole and does something else on this machine (names joint and angle)
    ├── OtaError                    an update that was refused (names the reason, an `OtaRefusal`)
    ├── ReportError                 a robot's report that the hub declined (names the reason, a `ReportRefusal`)
    ├── HubError                    what an operator asked of the hub and can't have (names the reason, a `HubRefusal`)
    ├── SigningError                a key, a signature or metadata that may not be used like this (names it)
    ├── EngineError                 an inference session that cannot be built or fails to run
    ├── FrameError                  a camera frame that is gone, torn or not as its reference says
    ├── PortError                   the shared memory between control and driver
    ├── DriverError                 a driver that breaks a rule of its port (names the value)
    ├── SharedMemoryError           shared memory that this machine does not give (says how it would)
    ├── SafetyError                 limits that contradict each other, a refused arming
    ├── StopLineError               a GPIO input that can't be had, read, or read in time (names chip and line)
    ├── RecordingError              a file of the black box that is none, altered or of another build (names the part)
    ├── LockstepError               a process that did not answer while virtual time stood still
    ├── ProcessError                a process of the table that cannot be started or died for good
    ├── OperatorError               a request of the operator that was refused or not answered (names the process)
    ├── MissingPackageError         a Python package that is not installed (names it, and the command)
    └── MissingSystemPackageError   something the operating system must provide (names the package)

Misuse by a caller inside the project is none of these: it raises ``TypeError`` or ``ValueError``.
Data from outside that is only *declined*, with the process going on, is a `Refusal`, which is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def __str__(self) -> str:
        return self.value


class EdgeError(Exception):
    """Base of everything this project raises on purpose."""


class ContractError(EdgeError):
    """What another process or file sent is not what was agreed."""


class DecodeError(ContractError):
    """Bytes on a topic that are not one valid message of that topic.

    Attributes:
        topic: name of the topic the bytes came from.
        refusal: the kind of fault, for counting.
        detail: what exactly was wrong, for people.
    """

    def __init__(self, topic: str, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{topic}: {refusal}: {detail}")
        self.topic = topic
        self.refusal = refusal
        self.detail = detail


class HandshakeError(ContractError):
    """Two parts that do not fit together, for example a bundle trained for another joint order.

    Attributes:
        field: dotted name of the field that differs.
        expected: what this side has.
        actual: what the other side has.
    """

    def __init__(self, field: str, expected: object, actual: object) -> None:
        super().__init__(f"{field}: expected {expected!r}, got {actual!r}")
        self.field = field
        self.expected = expected
        self.actual = actual


class ConfigError(EdgeError):
    """A setting that is unknown, missing or impossible.

    Attributes:
        key: dotted name of the setting, or the file if it could not be read at all.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class BundleError(EdgeError):
    """A model bundle that is incomplete, altered or unusable."""


class UnprovenError(BundleError):
    """A bundle whose golden pairs come out differently in the engine of this machine: it may not act here."""


class OtaError(EdgeError):
    """An update that was refused; what the robot has keeps running.

    Attributes:
        refusal: the reason, for the journal, the report and the counters.
        detail: what exactly was wrong, for people.
    """

    def __init__(self, refusal: OtaRefusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail


class ReportError(EdgeError):
    """A robot's report that the hub declined; nothing was stored.

    Attributes:
        refusal: the reason, which the robot is told.
        detail: what exactly was wrong, for people.
    """

    def __init__(self, refusal: ReportRefusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail


class HubError(EdgeError):
    """What an operator asked of the hub and can't have.

    Attributes:
        refusal: the reason, for programs.
        subject: the robots, the release or the folder that it is about.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, refusal: HubRefusal, subject: str, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.refusal = refusal
        self.subject = subject
        self.problem = problem


class SigningError(EdgeError):
    """A key, a signature or metadata that may not be used like this; nothing was signed or published.

    Attributes:
        subject: the key, role or file at fault.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem


class EngineError(EdgeError):
    """An inference session that cannot be built or fails to run."""


class FrameError(EdgeError):
    """A camera frame that is gone, torn or not as its reference says.

    Attributes:
        refusal: the kind of fault, for counting.
    """

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal


class PortError(EdgeError):
    """The shared memory between control and driver is missing, of another version, torn or already owned."""


class DriverError(EdgeError):
    """A driver that breaks a rule of its port; it ends, and the robot holds by its own means.

    Attributes:
        value: what of the driver is at fault.
        problem: what is wrong with it, and what was expected.
    """

    def __init__(self, value: str, problem: str) -> None:
        super().__init__(f"{value} {problem}")
        self.value = value
        self.problem = problem


class SharedMemoryError(EdgeError):
    """Shared memory that can't be made, written or removed on this machine.

    Attributes:
        problem: what was tried, and what the system said.
        remedy: what to do, in words.
        command: a line that does it.
    """

    def __init__(self, problem: str, remedy: str, command: str) -> None:
        super().__init__(f"{problem}; it takes {remedy}: {command}")
        self.problem = problem
        self.remedy = remedy
        self.command = command


class SafetyError(EdgeError):
    """Limits that contradict each other, or an arming that was refused."""


class StopLineError(EdgeError):
    """A stop line that is configured and can't be had, can't be read, or takes too long to read.

    Attributes:
        chip: path of the GPIO chip.
        line: number of the line on it.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, chip: str, line: int, problem: str) -> None:
        super().__init__(f"stop_line: line {line} of {chip}: {problem}")
        self.chip = chip
        self.line = line
        self.problem = problem


class RecordingError(EdgeError):
    """A file of the black box that is none, is altered, is of another build, or contradicts itself.

    Attributes:
        part: what is at fault: the file, or a part or field of it.
        problem: what is wrong with it.
    """

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(f"{part}: {problem}")
        self.part = part
        self.problem = problem


class LockstepError(EdgeError):
    """A process that did not answer while virtual time stood still."""


class ProcessError(EdgeError):
    """A process of the table that cannot be started or died for good."""


class OperatorError(EdgeError):
    """A request of the operator that was refused, or that a process did not answer in time.

    Attributes:
        process: who refused or kept silent.
        request: what was asked.
        answered: whether there was an answer at all.
        answer: its name, such as "refused_moving"; empty where there was none.
    """

    def __init__(self, process: str, request: str, problem: str, *, answered: bool, answer: str = "") -> None:
        super().__init__(f"{request}: {process} {problem}")
        self.process = process
        self.request = request
        self.answered = answered
        self.answer = answer


class MissingPackageError(EdgeError):
    """Python packages that this robot, or this command, can't do without and that are not installed.

    Attributes:
        packages: their import names.
        remedy: the command that installs them.
    """

    def __init__(self, packages: Sequence[str], remedy: str) -> None:
        are = "is" if len(packages) == 1 else "are"
        super().__init__(f"{', '.join(packages)} {are} not installed; to install: {remedy}")
        self.packages = tuple(packages)
        self.remedy = remedy


class MissingSystemPackageError(EdgeError):
    """Something the operating system must provide.

    Attributes:
        packages: the Debian packages that bring it.
    """

    def __init__(self, what: str, *packages: str) -> None:
        super().__init__(f"{what}: sudo apt-get install {' '.join(packages)}")
        self.packages = packages
