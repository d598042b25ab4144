"""`robot.toml` and the files it names: read, checked and turned into typed, frozen settings.

An unknown key, a wrong unit, a missing file or a limit looser than the robot's rating fails here, at start, with the
key's dotted name. Paths are relative to the file that names them.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal

import msgspec

from edge_runtime.config.safety_file import SafetyFile, SafetyLimits, description_of, rating_of, tightest
from edge_runtime.config.shipped import SIM_BUNDLE as SIM_BUNDLE
from edge_runtime.config.shipped import SIM_CONFIG as SIM_CONFIG
from edge_runtime.config.toml_file import Section, read_table, read_toml, require_positive
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError


class RobotSection(Section, frozen=True):
    """`[robot]`: which robot this is.

    `driver` is the name of an installed driver, or the path of one such as "./driver.py". A robot without a `bundle`
    has no policy: it can be brought up with `edge-runtime run --hold`, and stands still.
    """

    name: str
    driver: str
    embodiment: str
    safety: str
    bundle: str | None = None

    def __post_init__(self) -> None:
        if not (1 <= len(self.name) <= 64 and self.name.isprintable() and not self.name.isspace()):
            raise ValueError(f"name must be 1 to 64 visible characters, got {self.name[:64]!r}")


class EngineSection(Section, frozen=True):
    """`[engine]`: how the policy runs. `backend = "tensorrt"` needs an NVIDIA GPU and TensorRT on this robot.

    A bundle may be held to no wider bound than `parity_bound_max_rad`: how far its plans may be, at p99 in the worst
    joint, from those of the policy that was trained.
    """

    backend: Literal["onnxruntime", "tensorrt"] = "onnxruntime"
    threads: int = 1
    replan_interval_s: float = 0.1
    parity_bound_max_rad: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= 64:
            raise ValueError(f"threads must lie between 1 and 64, got {self.threads}")
        if not 0.0 <= self.replan_interval_s <= 10.0:
            raise ValueError("replan_interval_s must lie between 0 and 10")
        if not 0.0 < self.parity_bound_max_rad <= 1.0:
            raise ValueError("parity_bound_max_rad must be above 0 and at most 1")


class ControlSection(Section, frozen=True):
    """`[control]`: how chunks become motion. `cpu` pins the 1 kHz loop to one core (-1: no pinning).

    A chunk is refused before its first tick if the kernel would hold the robot further than
    `admission_deviation_max_rad` from what the chunk asks, or would let geometry stop it in more than
    `admission_blocked_max` (0 to 1) of its ticks. An engine without a heartbeat for `engine_timeout_s` has stalled,
    however long a chunk takes it; one that brings nothing new for `progress_timeout_s` is stuck (left out: a second, or
    what the policy's own pace asks for, see `edge_runtime.pace`). `self_test_s` is how long the loop measures its own
    timing before it may be armed.
    """

    blend_s: float = 0.1
    admission_deviation_max_rad: float = 0.3
    admission_blocked_max: float = 0.5
    engine_timeout_s: float = 0.5
    progress_timeout_s: float | None = None
    self_test_s: float = 1.0
    realtime_priority: int = 80
    cpu: int = -1

    def __post_init__(self) -> None:
        require_positive(self, "admission_deviation_max_rad")
        # Less than a nanosecond would be none, which is never; more than a minute is hardly another thing.
        for name in ("engine_timeout_s", "progress_timeout_s"):
            value = getattr(self, name)
            if value is not None and not 1e-3 <= value <= 60.0:
                raise ValueError(f"{name} must lie between 0.001 and 60")
        if not 0.1 <= self.self_test_s <= 2.0:
            raise ValueError("self_test_s must lie between 0.1 and 2: twice that, and whoever arms has given up")
        if not 0.0 <= self.admission_blocked_max <= 1.0:
            raise ValueError("admission_blocked_max must lie between 0 and 1")
        if not 0.0 <= self.blend_s <= 1.0:
            raise ValueError("blend_s must lie between 0 and 1")
        if not 0 <= self.realtime_priority <= 98:
            raise ValueError("realtime_priority must lie between 0 (none) and 98")
        if not -1 <= self.cpu < 4096:
            raise ValueError(f"cpu must be the number of a core, or -1 for no pinning, got {self.cpu}")


class ConfidenceSection(Section, frozen=True):
    """`[confidence]`: what becomes of a chunk whose policy is not sure of it; scores go from 0 to 1.

    Below `slow_below` the chunk is followed with `slow_speed_scale` of the velocity limits, below `pause_below` it is
    not followed at all: the robot plays out what it has, holds, and a person is asked. A grade is left upwards only
    `hysteresis` above its line. The pause ends with her answer, or after `recover_after` scores in a row that are not
    low (0: never by itself); `escalate_after` low scores in a row disarm, until she answers. `without_score` is for a
    policy that gives none.
    """

    enabled: bool = True
    slow_below: float = 0.7
    pause_below: float = 0.4
    hysteresis: float = 0.05
    slow_speed_scale: float = 0.5
    recover_after: int = 3
    escalate_after: int = 10
    without_score: Literal["allow", "slow", "pause"] = "allow"

    def __post_init__(self) -> None:
        if not 0.0 <= self.pause_below <= self.slow_below <= 1.0:
            raise ValueError("pause_below must be at least 0 and at most slow_below, which must be at most 1")
        if not 0.0 <= self.hysteresis <= 0.5:
            raise ValueError("hysteresis must lie between 0 and 0.5")
        if not 0.0 < self.slow_speed_scale <= 1.0:
            raise ValueError("slow_speed_scale must be above 0 and at most 1")
        if not (0 <= self.recover_after <= 1000 and 1 <= self.escalate_after <= 1000):
            raise ValueError("recover_after must lie between 0 and 1000, escalate_after between 1 and 1000")


class StopLineSection(Section, frozen=True):
    """`[stop_line]`: a GPIO input that stops the robot, wired normally closed. Without the section there is none.

    `closed` is the level at which the robot may move. `bias = "internal"` has the chip pull the line to the other one,
    so that a cut wire is an open line; "external" is for a resistor on the board that does that.
    """

    chip: str
    line: int
    closed: Literal["high", "low"]
    bias: Literal["internal", "external"] = "internal"

    def __post_init__(self) -> None:
        if not self.chip.startswith("/") or "\0" in self.chip:
            raise ValueError(f"chip must be a path such as /dev/gpiochip0, got {self.chip!r}")
        if not 0 <= self.line < 65536:
            raise ValueError(f"line must lie between 0 and 65535, got {self.line}")


class ProbationSection(Section, frozen=True):
    """`[ota.probation]`: what a bundle on trial has to show on this robot before it stays.

    At least `active_min_s` of motion, and `episodes_min` attempts that succeeded where the committed bundle's record
    has as many that somebody judged. It goes when `failures_ahead` more attempts failed than succeeded, if comparison
    does not say so before. With `latency_budget_s` its chunks may not be older than that when they arrive; without, as
    old as its plans last.
    """

    episodes_min: int = 5
    active_min_s: float = 60.0
    failures_ahead: int = 5
    latency_budget_s: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.failures_ahead <= 1000:
            raise ValueError("failures_ahead must lie between 1 and 1000")
        if not 0 <= self.episodes_min <= 10_000:
            raise ValueError("episodes_min must lie between 0 and 10000")
        if not 0.0 <= self.active_min_s <= 604_800.0:
            raise ValueError("active_min_s must lie between 0 and 604800, a week")
        if self.latency_budget_s is not None and not 0.001 <= self.latency_budget_s <= 60.0:
            raise ValueError("latency_budget_s must lie between 0.001 and 60")


class ScrubSection(Section, frozen=True):
    """`[ota.scrub]`: every bundle on the disk is read again each `interval_s`, at most at `rate_bytes_s`."""

    interval_s: float = 86_400.0
    rate_bytes_s: float = 20e6

    def __post_init__(self) -> None:
        if not 60.0 <= self.interval_s <= 31_536_000.0:
            raise ValueError("interval_s must lie between 60 and 31536000, a year")
        if not 1.0 <= self.rate_bytes_s < math.inf:
            raise ValueError("rate_bytes_s must be 1 or above")


class OtaSection(Section, frozen=True):
    """`[ota]`: updates of the bundle over the network. Without the section there are none.

    `robot_id` and `hardware` are what the hub knows this robot by. `image_root` and `director_root` are the files with
    the roots of trust that it was delivered with, `store` the folder that belongs to its update agent. Bytes flow at
    most at `rate_bytes_s` (0: as fast as it goes), in `hours` of the local day such as "22:00-06:30" (none: always).
    `golden = "if_present"` lets a bundle come that carries nothing to check its engine with. `gpu_architecture` and
    `jetpack` are what a release that asks for them is held against. With `report_url` and `robot_key` (a file with the
    robot's own Ed25519 key) the hub is told what runs here, signed. A bundle that is ready goes on trial while the
    robot is not at work, or with `activate = "in_motion"` at any time.
    """

    robot_id: str
    hardware: str
    image_url: str
    director_url: str
    image_root: str
    director_root: str
    store: str
    check_interval_s: float = 900.0
    hours: tuple[str, ...] = ()
    rate_bytes_s: float = 0.0
    ca_file: str | None = None
    proxy: str | None = None
    golden: Literal["required", "if_present"] = "required"
    gpu_architecture: str | None = None
    jetpack: str | None = None
    report_url: str | None = None
    robot_key: str | None = None
    activate: Literal["at_rest", "in_motion"] = "at_rest"
    probation: ProbationSection = ProbationSection()
    scrub: ScrubSection = ScrubSection()

    def __post_init__(self) -> None:
        for name in ("robot_id", "hardware"):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}", getattr(self, name)):
                raise ValueError(f"{name} must be 1 to 64 letters, digits or . _ + -, got {getattr(self, name)!r}")
        for name in ("image_url", "director_url", "report_url"):
            if not (getattr(self, name) or "https://").startswith(("https://", "http://")):
                raise ValueError(f"{name} must begin with https://, got {getattr(self, name)!r}")
        if (self.report_url is None) != (self.robot_key is None):
            raise ValueError("report_url and robot_key belong together")
        if not 1.0 <= self.check_interval_s <= 86_400.0:
            raise ValueError("check_interval_s must lie between 1 and 86400")
        if not 0.0 <= self.rate_bytes_s < math.inf:
            raise ValueError("rate_bytes_s must be 0 (no limit) or above")


class LockstepSection(Section, frozen=True):
    """`[lockstep]`: virtual time for tests and evaluation; the engine's latency is set, not measured."""

    observation_interval_s: float = 0.2
    inference_latency_s: float = 0.1

    def __post_init__(self) -> None:
        for name in ("observation_interval_s", "inference_latency_s"):
            if not 1e-3 <= getattr(self, name) <= 60.0:
                raise ValueError(f"{name} must lie between 0.001 and 60, got {getattr(self, name)!r}")


class RobotFile(Section, frozen=True):
    """`robot.toml` as written."""

    robot: RobotSection
    engine: EngineSection = EngineSection()
    control: ControlSection = ControlSection()
    confidence: ConfidenceSection = ConfidenceSection()
    stop_line: StopLineSection | None = None
    ota: OtaSection | None = None
    lockstep: LockstepSection = LockstepSection()


class RobotConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a process needs to know about its robot, validated together."""

    path: Path
    robot: RobotSection
    engine: EngineSection
    control: ControlSection
    confidence: ConfidenceSection
    stop_line: StopLineSection | None
    ota: OtaSection | None
    lockstep: LockstepSection
    embodiment: Embodiment
    safety: SafetyLimits
    bundle: Path | None

    @property
    def bundle_dir(self) -> Path:
        """The folder of the bundle that robot.toml names.

        Raises:
            ConfigError: it names none.
        """
        if self.bundle is None:
            raise ConfigError(
                "robot.bundle",
                f"{self.path.name} names no policy. Name the folder of one, or bring the robot up without: "
                f"edge-runtime run --hold --config {self.path}",
            )
        return self.bundle


def load_config(path: Path) -> RobotConfig:
    """Read `robot.toml` with the files it names.

    Raises:
        ConfigError: names the key (or file) at fault and says what to do.
    """
    settings = read_toml(path, RobotFile)
    folder = path.resolve().parent
    embodiment = read_toml(_existing(folder, "robot.embodiment", settings.robot.embodiment, path.name), Embodiment)
    safety_path = _existing(folder, "robot.safety", settings.robot.safety, path.name)
    limits = _limits(safety_path, embodiment)
    bundle = settings.robot.bundle
    return RobotConfig(
        path=path.resolve(),
        robot=settings.robot,
        engine=settings.engine,
        control=settings.control,
        confidence=settings.confidence,
        stop_line=settings.stop_line,
        ota=settings.ota,
        lockstep=settings.lockstep,
        embodiment=embodiment,
        safety=limits,
        bundle=None if bundle is None else _existing(folder, "robot.bundle", bundle, path.name),
    )


def _limits(path: Path, embodiment: Embodiment) -> SafetyLimits:
    file = read_toml(path, SafetyFile)
    sources = [rating_of(embodiment)]
    if file.geometry is None:
        return tightest(file, path.name, embodiment, sources)
    kinematics_path = _existing(path.parent, "geometry.kinematics", file.geometry.kinematics, path.name)
    kinematics = read_table(kinematics_path)
    sources.append(description_of(kinematics, embodiment, kinematics_path.name))
    return tightest(file, path.name, embodiment, sources, kinematics)


def _existing(folder: Path, key: str, value: str, file_name: str) -> Path:
    try:
        path = (folder / value).resolve()
        path.stat()
    except FileNotFoundError:
        raise ConfigError(key, f"{path} does not exist (in {file_name})") from None
    except OSError as error:
        raise ConfigError(key, f"{value}: {error.strerror} (in {file_name})") from error
    except (RuntimeError, ValueError) as error:  # a link to itself, before Python 3.13; a NUL in a name
        raise ConfigError(key, f"{value!r} is no path: {error} (in {file_name})") from error
    return path
