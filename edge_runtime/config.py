"""`robot.toml` and the two files it names: read, checked and turned into typed, frozen settings.

An unknown key, a wrong unit, a missing file or a limit looser than the robot's rating fails here, at start, with the
key's dotted name. Paths are relative to the file that names them.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import sys
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from contracts.embodiment import Embodiment
from contracts.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIM_CONFIG = Path(__file__).parent / "robots" / "sim" / "config" / "robot.toml"
"""Settings of the simulated arm that ships with the project."""

_T = TypeVar("_T", bound=msgspec.Struct)


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


def _require_positive(section: msgspec.Struct, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be finite and above zero, got {value!r}")


class RobotSection(_Section, frozen=True):
    """`[robot]`: which robot this is. `driver` names a package of `edge_runtime.robots`."""

    name: str
    driver: str
    embodiment: str
    safety: str
    bundle: str


class EngineSection(_Section, frozen=True):
    """`[engine]`: how the policy runs."""

    threads: int = 1
    replan_interval_s: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= 64:
            raise ValueError(f"threads must lie between 1 and 64, got {self.threads}")
        if not 0.0 <= self.replan_interval_s <= 10.0:
            raise ValueError("replan_interval_s must lie between 0 and 10")


class ControlSection(_Section, frozen=True):
    """`[control]`: how chunks become motion. `cpu` pins the 1 kHz loop to one core (-1: no pinning)."""

    blend_s: float = 0.1
    engine_timeout_s: float = 0.5
    realtime_priority: int = 80
    cpu: int = -1

    def __post_init__(self) -> None:
        _require_positive(self, "engine_timeout_s")
        if not 0.0 <= self.blend_s <= 1.0:
            raise ValueError("blend_s must lie between 0 and 1")
        if not 0 <= self.realtime_priority <= 98:
            raise ValueError("realtime_priority must lie between 0 (none) and 98")


class LockstepSection(_Section, frozen=True):
    """`[lockstep]`: virtual time for tests and evaluation; the engine's latency is set, not measured."""

    observation_interval_s: float = 0.2
    inference_latency_s: float = 0.1

    def __post_init__(self) -> None:
        _require_positive(self, "observation_interval_s", "inference_latency_s")


class RobotFile(_Section, frozen=True):
    """`robot.toml` as written."""

    robot: RobotSection
    engine: EngineSection = EngineSection()
    control: ControlSection = ControlSection()
    lockstep: LockstepSection = LockstepSection()


class JointLimits(_Section, frozen=True):
    """Limits of one joint as this robot may use it. Velocity and acceleration are magnitudes."""

    position_min_rad: float
    position_max_rad: float
    velocity_max_rad_s: float
    acceleration_max_rad_s2: float

    def __post_init__(self) -> None:
        if not self.position_min_rad < self.position_max_rad:
            raise ValueError("position_min_rad must be below position_max_rad")
        _require_positive(self, "velocity_max_rad_s", "acceleration_max_rad_s2")


class SafetyFile(_Section, frozen=True):
    """`safety.toml`: the robot's own limits. They never travel in a bundle, and an update can't loosen them."""

    joints: dict[str, JointLimits]
    gripper_speed_max_m_s: float
    feedback_timeout_s: float
    tracking_error_max_rad: float

    def __post_init__(self) -> None:
        _require_positive(self, "gripper_speed_max_m_s", "feedback_timeout_s", "tracking_error_max_rad")

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of the canonical JSON of these limits; part of every safety report."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class RobotConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a process needs to know about its robot, validated together."""

    path: Path
    robot: RobotSection
    engine: EngineSection
    control: ControlSection
    lockstep: LockstepSection
    embodiment: Embodiment
    safety: SafetyFile
    bundle_dir: Path


def load_config(path: Path) -> RobotConfig:
    """Read `robot.toml` with the files it names.

    Raises:
        ConfigError: names the key (or file) at fault and says what to do.
    """
    settings = _read(path, RobotFile)
    folder = path.resolve().parent
    embodiment = _read(_existing(folder, "robot.embodiment", settings.robot.embodiment, path.name), Embodiment)
    safety_path = _existing(folder, "robot.safety", settings.robot.safety, path.name)
    safety = _read(safety_path, SafetyFile)
    _require_tighter(safety, embodiment, safety_path.name)
    return RobotConfig(
        path=path.resolve(),
        robot=settings.robot,
        engine=settings.engine,
        control=settings.control,
        lockstep=settings.lockstep,
        embodiment=embodiment,
        safety=safety,
        bundle_dir=_existing(folder, "robot.bundle", settings.robot.bundle, path.name),
    )


def _existing(folder: Path, key: str, value: str, file_name: str) -> Path:
    path = (folder / value).resolve()
    if not path.exists():
        raise ConfigError(key, f"{path} does not exist (in {file_name})")
    return path


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"not valid TOML: {error}") from error
    _require_known(data, kind, "", path.name)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        raise ConfigError(where.rstrip("`").lstrip(".") or path.name, f"{problem} (in {path.name})") from error


def _require_known(data: dict[str, Any], kind: type[msgspec.Struct], prefix: str, file_name: str) -> None:
    hints = typing.get_type_hints(kind)
    for key, value in data.items():
        if key not in hints:
            raise ConfigError(f"{prefix}{key}", f"unknown key in {file_name}{_suggestion(key, list(hints))}")
        arguments = typing.get_args(hints[key])
        if isinstance(hints[key], type) and issubclass(hints[key], msgspec.Struct) and isinstance(value, dict):
            _require_known(value, hints[key], f"{prefix}{key}.", file_name)
        elif len(arguments) == 2 and arguments[0] is str and isinstance(value, dict):
            for name, entry in value.items():
                if isinstance(entry, dict):
                    _require_known(entry, arguments[1], f"{prefix}{key}.{name}.", file_name)
        elif arguments and isinstance(value, list) and issubclass(arguments[0], msgspec.Struct):
            for index, entry in enumerate(value):
                if isinstance(entry, dict):
                    _require_known(entry, arguments[0], f"{prefix}{key}[{index}].", file_name)


_UNITS = ("_rad_s3", "_rad_s2", "_rad_s", "_rad", "_deg_s2", "_deg_s", "_deg", "_m_s", "_m", "_mm", "_s", "_ms", "_hz")


def _suggestion(key: str, known: list[str]) -> str:
    def stem(name: str) -> str:
        unit = next((unit for unit in _UNITS if name.endswith(unit)), "")
        return name[: len(name) - len(unit)]

    for name in known:
        if stem(name) == stem(key):
            return f"; the unit is part of the key: did you mean `{name}`?"
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known keys: {', '.join(known)}"


def _require_tighter(safety: SafetyFile, embodiment: Embodiment, file_name: str) -> None:
    rating_m_s = embodiment.gripper.speed_max_m_s
    if safety.gripper_speed_max_m_s > rating_m_s:
        rating = f"the rating {rating_m_s} of {embodiment.name}"
        problem = f"{safety.gripper_speed_max_m_s} is looser than {rating} (in {file_name})"
        raise ConfigError("gripper_speed_max_m_s", problem)
    for name in safety.joints:
        if name not in embodiment.joint_names:
            problem = f"{embodiment.name} has only {', '.join(embodiment.joint_names)} (in {file_name})"
            raise ConfigError(f"joints.{name}", problem)
    for joint in embodiment.joints:
        limits = safety.joints.get(joint.name)
        key = f"joints.{joint.name}"
        if limits is None:
            raise ConfigError(key, f"missing: every joint needs limits of its own (in {file_name})")
        looser = {
            "position_min_rad": limits.position_min_rad < joint.position_min_rad,
            "position_max_rad": limits.position_max_rad > joint.position_max_rad,
            "velocity_max_rad_s": limits.velocity_max_rad_s > joint.velocity_max_rad_s,
            "acceleration_max_rad_s2": limits.acceleration_max_rad_s2 > joint.acceleration_max_rad_s2,
        }
        for field, is_looser in looser.items():
            if is_looser:
                rating = f"the rating {getattr(joint, field)} of {embodiment.name}"
                problem = f"{getattr(limits, field)} is looser than {rating} (in {file_name})"
                raise ConfigError(f"{key}.{field}", problem)
