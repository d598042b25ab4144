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
    ├── StorageError                a disk that refuses, or altered bytes (names the kind, a `StorageFault`, and file)
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

from edge_runtime.contracts.errors.base import (
    ConfigError,
    ContractError,
    DecodeError,
    EdgeError,
    HandshakeError,
)
from edge_runtime.contracts.errors.bundles import (
    BundleError,
    HubError,
    OtaError,
    ReportError,
    SigningError,
    UnprovenError,
)
from edge_runtime.contracts.errors.installation import (
    MissingPackageError,
    MissingSystemPackageError,
)
from edge_runtime.contracts.errors.refusals import (
    HubRefusal,
    OtaRefusal,
    Refusal,
    ReportRefusal,
)
from edge_runtime.contracts.errors.robot import (
    DriverError,
    EngineError,
    FrameError,
    LockstepError,
    OperatorError,
    PortError,
    ProcessError,
    RecordingError,
    SafetyError,
    SharedMemoryError,
    StopLineError,
)
from edge_runtime.contracts.errors.storage import StorageError, StorageFault

__all__ = [
    "BundleError",
    "ConfigError",
    "ContractError",
    "DecodeError",
    "DriverError",
    "EdgeError",
    "EngineError",
    "FrameError",
    "HandshakeError",
    "HubError",
    "HubRefusal",
    "LockstepError",
    "MissingPackageError",
    "MissingSystemPackageError",
    "OperatorError",
    "OtaError",
    "OtaRefusal",
    "PortError",
    "ProcessError",
    "RecordingError",
    "Refusal",
    "ReportError",
    "ReportRefusal",
    "SafetyError",
    "SharedMemoryError",
    "SigningError",
    "StopLineError",
    "StorageError",
    "StorageFault",
    "UnprovenError",
]
