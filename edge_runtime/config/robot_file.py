"""`robot.toml` and the files it names: read, checked and turned into typed, frozen settings.

An unknown key, a wrong unit, a missing file or a limit looser than the robot's rating fails here, at start, with the
key's dotted name. Paths are relative to the file that names them.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from edge_runtime.config.calibration_file import Calibration, read_calibration
from edge_runtime.config.embodiment_file import assumed_in, read_embodiment
from edge_runtime.config.limit_sources import description_of, rating_of
from edge_runtime.config.safety_file import SafetyFile, SafetyLimits, tightest
from edge_runtime.config.shipped import SIM_BUNDLE as SIM_BUNDLE
from edge_runtime.config.shipped import SIM_CONFIG as SIM_CONFIG
from edge_runtime.config.toml_file import Section, read_table, read_toml, require_positive
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError


class RobotSection(Section, frozen=True):
    """`[robot]`: which robot this is, and where its other files are."""

    name: str
    """This robot's own name, 1 to 64 visible characters: in displays, logs and recordings. Example: `"arm-1"`."""
    driver: str
    """The name of an installed driver, or the path of a file with one, such as "./driver.py". Example:
    `"./driver.py"`."""
    embodiment: str
    """Path of `embodiment.toml`, relative to this file."""
    safety: str
    """Path of `safety.toml`, relative to this file."""
    driver_python: str | None = None
    """Absolute path of the Python that the driver is started with, where its packages live in an environment of their
    own; edge-runtime is installed there too. Left out: the one that runs everything else. Example:
    `"/opt/lerobot/bin/python"`."""
    calibration: str | None = None
    """Path of `calibration.toml`, relative to this file; `edge-runtime calibrate` makes it. Left out: the driver's
    values are the robot's. Example: `"calibration.toml"`."""
    bundle: str | None = None
    """Folder of the policy's bundle, relative to this file. Without one the robot has no policy: `edge-runtime run
    --hold` still brings it up."""

    def __post_init__(self) -> None:
        if not (1 <= len(self.name) <= 64 and self.name.isprintable() and not self.name.isspace()):
            raise ValueError(f"name must be 1 to 64 visible characters, got {self.name[:64]!r}")
        if self.driver_python is not None and not self.driver_python.startswith("/"):
            raise ValueError(f"driver_python must be an absolute path, got {self.driver_python!r}")


class EngineSection(Section, frozen=True):
    """`[engine]`: how the policy runs."""

    backend: Literal["onnxruntime", "tensorrt"] = "onnxruntime"
    """What runs the policy's graphs. `tensorrt` needs an NVIDIA GPU and TensorRT on this robot."""
    threads: int = 1
    """CPU threads of one inference, 1 to 64."""
    replan_interval_s: float = 0.1
    """A new chunk is asked for so often, 0 to 10; 0: as soon as the one before is done."""
    parity_bound_max_rad: float = 0.05
    """The widest bound that this robot accepts of any bundle: how far its plans may be from those of the policy that
    was trained, at the 99th percentile in the worst joint."""

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= 64:
            raise ValueError(f"threads must lie between 1 and 64, got {self.threads}")
        if not 0.0 <= self.replan_interval_s <= 10.0:
            raise ValueError("replan_interval_s must lie between 0 and 10")
        if not 0.0 < self.parity_bound_max_rad <= 1.0:
            raise ValueError("parity_bound_max_rad must be above 0 and at most 1")


class ControlSection(Section, frozen=True):
    """`[control]`: how chunks become motion."""

    blend_s: float = 0.1
    """Over this time a new chunk is blended into the plan before it, 0 to 1."""
    admission_deviation_max_rad: float = 0.3
    """A chunk is refused before it runs if the safety kernel would hold the robot further than this from what the chunk
    asks for."""
    admission_blocked_max: float = 0.5
    """A chunk is refused before it runs if geometry would stop the robot in more than this share of its ticks, 0 to
    1."""
    engine_timeout_s: float = 0.5
    """An engine without a heartbeat for so long has stalled, 0.001 to 60."""
    progress_timeout_s: float | None = None
    """An engine that lives but brings no new chunk for so long is stuck, 0.001 to 60. Left out: one second, or longer
    where the policy itself is slower. Example: `5.0`."""
    self_test_s: float = 1.0
    """Control measures its own timing for so long before the robot may be armed, 0.1 to 2. Example: `1.0`."""
    realtime_priority: int = 80
    """SCHED_FIFO priority of the 1 kHz loop, 1 to 98; 0: none."""
    cpu: int = -1
    """The core that the 1 kHz loop is pinned to; -1: not pinned. Example: `3`."""

    def __post_init__(self) -> None:
        require_positive(self, "admission_deviation_max_rad")
        # Less than a nanosecond would be none, which is never; more than a minute is hardly another thing.
        for name in ("engine_timeout_s", "progress_timeout_s"):
            value = getattr(self, name)
            if value is not None and not 1e-3 <= value <= 60.0:
                raise ValueError(f"{name} must lie between 0.001 and 60")
        if not 0.1 <= self.self_test_s <= 2.0:
            raise ValueError("self_test_s must lie between 0.1 and 2: a request to arm waits for twice that at most")
        if not 0.0 <= self.admission_blocked_max <= 1.0:
            raise ValueError("admission_blocked_max must lie between 0 and 1")
        if not 0.0 <= self.blend_s <= 1.0:
            raise ValueError("blend_s must lie between 0 and 1")
        if not 0 <= self.realtime_priority <= 98:
            raise ValueError("realtime_priority must lie between 0 (none) and 98")
        if not -1 <= self.cpu < 4096:
            raise ValueError(f"cpu must be the number of a core, or -1 for no pinning, got {self.cpu}")


class ConfidenceSection(Section, frozen=True):
    """`[confidence]`: what becomes of a chunk that the policy is not sure of; scores go from 0 to 1."""

    enabled: bool = True
    """Whether the confidence gate acts at all."""
    slow_below: float = 0.7
    """A chunk with a lower confidence score is followed at `slow_speed_scale`."""
    pause_below: float = 0.4
    """A chunk with a lower confidence score is not followed: the robot finishes the plan it has, holds, and asks a
    person."""
    hysteresis: float = 0.05
    """The gate opens again only when the score is so far above the threshold, 0 to 0.5."""
    slow_speed_scale: float = 0.5
    """Share of the velocity limits while slowed, above 0 and at most 1."""
    recover_after: int = 3
    """A pause ends by itself after so many scores in a row at or above the threshold; 0: only a person ends it."""
    escalate_after: int = 10
    """After so many low scores in a row the robot is disarmed until a person answers, 1 to 1000."""
    without_score: Literal["allow", "slow", "pause"] = "allow"
    """What becomes of the chunks of a policy that reports no confidence."""

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
    """`[stop_line]`: a GPIO input that stops the robot, wired normally closed. Without the section there is none."""

    chip: str
    """The GPIO character device. Example: `"/dev/gpiochip0"`."""
    line: int
    """Number of the line on that chip, 0 to 65535. Example: `17`."""
    closed: Literal["high", "low"]
    """The level at which the robot may move. Example: `"high"`."""
    bias: Literal["internal", "external"] = "internal"
    """`internal`: the chip pulls an open line to the other level, so that a cut wire stops the robot. `external`: a
    resistor on the board does that. Example: `"external"`."""

    def __post_init__(self) -> None:
        if not self.chip.startswith("/") or "\0" in self.chip:
            raise ValueError(f"chip must be a path such as /dev/gpiochip0, got {self.chip!r}")
        if not 0 <= self.line < 65536:
            raise ValueError(f"line must lie between 0 and 65535, got {self.line}")


class ProbationSection(Section, frozen=True):
    """`[ota.probation]`: what a new bundle has to show on this robot before it stays."""

    episodes_min: int = 5
    """Successful attempts that a bundle on trial needs before it stays, where outcomes are reported, 0 to 10000."""
    active_min_s: float = 60.0
    """Time in motion that a bundle on trial needs before it stays, at most a week."""
    failures_ahead: int = 5
    """The robot rolls back when so many more attempts failed than succeeded, 1 to 1000."""
    latency_budget_s: float | None = None
    """Chunks that arrive older than this count as late, 0.001 to 60. Left out: older than the plan before them lasts.
    Example: `0.3`."""

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
    """`[ota.scrub]`: reading installed bundles again, to find what the disk has altered."""

    interval_s: float = 86_400.0
    """Every installed bundle is read again from disk and checked so often, 60 to a year."""
    rate_bytes_s: float = 20e6
    """At most so fast."""

    def __post_init__(self) -> None:
        if not 60.0 <= self.interval_s <= 31_536_000.0:
            raise ValueError("interval_s must lie between 60 and 31536000, a year")
        if not 1.0 <= self.rate_bytes_s < math.inf:
            raise ValueError("rate_bytes_s must be 1 or above")


class OtaSection(Section, frozen=True):
    """`[ota]`: updates of the bundle over the network. Without the section there are none."""

    robot_id: str
    """What the hub knows this robot by. Example: `"arm-1"`."""
    hardware: str
    """What this robot is, as releases are signed for. Example: `"sim_arm"`."""
    image_url: str
    """Address of the hub's image repository. Example: `"https://updates.example/image"`."""
    director_url: str
    """Address of the hub's director repository, without the robot's name. Example:
    `"https://updates.example/director/robots"`."""
    image_root: str
    """File with the image repository's root of trust, as delivered with the robot. Example: `"image.root.json"`."""
    director_root: str
    """File with the director repository's root of trust, as delivered with the robot. Example:
    `"director.root.json"`."""
    store: str
    """Folder that belongs to the update agent alone; it is made if it does not exist. Example:
    `"/var/lib/edge-runtime/ota"`."""
    check_interval_s: float = 900.0
    """The hub is asked so often, 1 to 86400."""
    hours: tuple[str, ...] = ()
    """Windows of the local day in which the network may be used. Empty: always. Example: `["22:00-06:30"]`."""
    rate_bytes_s: float = 0.0
    """Downloads are limited to this rate; 0: no limit. Example: `2000000.0`."""
    ca_file: str | None = None
    """File with the certificate authority that the hub's certificate is checked against. Left out: the system's.
    Example: `"company-ca.pem"`."""
    proxy: str | None = None
    """Proxy for every request. Left out: the environment's (`HTTPS_PROXY`). Example: `"http://proxy.example:3128"`."""
    golden: Literal["required", "if_present"] = "required"
    """`if_present` also installs bundles that carry no golden pairs to check their engine with."""
    gpu_architecture: str | None = None
    """What a release that asks for a GPU is compared with. Left out: the driver is asked. Example: `"sm_87"`."""
    jetpack: str | None = None
    """What a release that asks for a JetPack version is compared with. Example: `"6.1"`."""
    report_url: str | None = None
    """Where signed reports of what runs here are sent; needs `robot_key`. Left out: none are sent. Example:
    `"https://updates.example"`."""
    robot_key: str | None = None
    """File with this robot's own Ed25519 key (PEM, unencrypted); needs `report_url`. Example: `"arm-1.key"`."""
    activate: Literal["at_rest", "in_motion"] = "at_rest"
    """When a bundle that is ready takes over: `at_rest` while the robot is not armed, `in_motion` at any time."""
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
    """Virtual time between two observations, 0.001 to 60."""
    inference_latency_s: float = 0.1
    """Virtual time that one inference takes, 0.001 to 60."""

    def __post_init__(self) -> None:
        for name in ("observation_interval_s", "inference_latency_s"):
            if not 1e-3 <= getattr(self, name) <= 60.0:
                raise ValueError(f"{name} must lie between 0.001 and 60, got {getattr(self, name)!r}")


class RobotFile(Section, frozen=True):
    """`robot.toml` as written."""

    robot: RobotSection
    driver: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    """The driver's own settings, which the driver checks when it starts and `edge-runtime check` before: see its guide.
    Example: `{ type = "so101_follower", id = "my_arm", port = "/dev/ttyACM0" }`."""
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
    driver: dict[str, Any]
    engine: EngineSection
    control: ControlSection
    confidence: ConfidenceSection
    stop_line: StopLineSection | None
    ota: OtaSection | None
    lockstep: LockstepSection
    embodiment: Embodiment
    safety: SafetyLimits
    bundle: Path | None
    calibration: Calibration | None = None
    """Offsets and signs of this robot's axes; None: the driver's values are the robot's."""
    assumed: tuple[str, ...] = ()
    """Ratings that the embodiment file marks as assumed, as "axis.key"."""

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
    embodiment_path = _existing(folder, "robot.embodiment", settings.robot.embodiment, path.name)
    embodiment = read_embodiment(embodiment_path)
    safety_path = _existing(folder, "robot.safety", settings.robot.safety, path.name)
    limits = _limits(safety_path, embodiment)
    calibration = None
    if settings.robot.calibration is not None:
        calibration_path = _existing(folder, "robot.calibration", settings.robot.calibration, path.name)
        calibration = read_calibration(calibration_path, embodiment)
        limits = msgspec.structs.replace(limits, calibration=calibration.digest)
    bundle = settings.robot.bundle
    return RobotConfig(
        path=path.resolve(),
        robot=settings.robot,
        driver=settings.driver,
        engine=settings.engine,
        control=settings.control,
        confidence=settings.confidence,
        stop_line=settings.stop_line,
        ota=settings.ota,
        lockstep=settings.lockstep,
        embodiment=embodiment,
        safety=limits,
        bundle=None if bundle is None else _existing(folder, "robot.bundle", bundle, path.name),
        calibration=calibration,
        assumed=assumed_in(embodiment_path.read_text(encoding="utf-8")),
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
