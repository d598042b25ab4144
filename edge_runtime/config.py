"""`robot.toml` and the two files it names: read, checked and turned into typed, frozen settings.

An unknown key, a wrong unit, a missing file or a limit looser than the robot's rating fails here, at start, with the
key's dotted name. Paths are relative to the file that names them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from contracts.embodiment import Embodiment
from contracts.errors import ConfigError
from edge_runtime.safety_file import SafetyFile, SafetyLimits, rating_of, tightest
from edge_runtime.toml_file import Section, read_toml, require_positive

SIM_CONFIG = Path(__file__).parent / "robots" / "sim" / "config" / "robot.toml"
"""Settings of the simulated arm that ships with the project."""


class RobotSection(Section, frozen=True):
    """`[robot]`: which robot this is. `driver` names a package of `edge_runtime.robots`."""

    name: str
    driver: str
    embodiment: str
    safety: str
    bundle: str


class EngineSection(Section, frozen=True):
    """`[engine]`: how the policy runs."""

    threads: int = 1
    replan_interval_s: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= 64:
            raise ValueError(f"threads must lie between 1 and 64, got {self.threads}")
        if not 0.0 <= self.replan_interval_s <= 10.0:
            raise ValueError("replan_interval_s must lie between 0 and 10")


class ControlSection(Section, frozen=True):
    """`[control]`: how chunks become motion. `cpu` pins the 1 kHz loop to one core (-1: no pinning)."""

    blend_s: float = 0.1
    engine_timeout_s: float = 0.5
    realtime_priority: int = 80
    cpu: int = -1

    def __post_init__(self) -> None:
        require_positive(self, "engine_timeout_s")
        if not 0.0 <= self.blend_s <= 1.0:
            raise ValueError("blend_s must lie between 0 and 1")
        if not 0 <= self.realtime_priority <= 98:
            raise ValueError("realtime_priority must lie between 0 (none) and 98")


class LockstepSection(Section, frozen=True):
    """`[lockstep]`: virtual time for tests and evaluation; the engine's latency is set, not measured."""

    observation_interval_s: float = 0.2
    inference_latency_s: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, "observation_interval_s", "inference_latency_s")


class RobotFile(Section, frozen=True):
    """`robot.toml` as written."""

    robot: RobotSection
    engine: EngineSection = EngineSection()
    control: ControlSection = ControlSection()
    lockstep: LockstepSection = LockstepSection()


class RobotConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a process needs to know about its robot, validated together."""

    path: Path
    robot: RobotSection
    engine: EngineSection
    control: ControlSection
    lockstep: LockstepSection
    embodiment: Embodiment
    safety: SafetyLimits
    bundle_dir: Path


def load_config(path: Path) -> RobotConfig:
    """Read `robot.toml` with the files it names.

    Raises:
        ConfigError: names the key (or file) at fault and says what to do.
    """
    settings = read_toml(path, RobotFile)
    folder = path.resolve().parent
    embodiment = read_toml(_existing(folder, "robot.embodiment", settings.robot.embodiment, path.name), Embodiment)
    safety_path = _existing(folder, "robot.safety", settings.robot.safety, path.name)
    safety = read_toml(safety_path, SafetyFile)
    limits = tightest(safety, safety_path.name, embodiment, [rating_of(embodiment)])
    return RobotConfig(
        path=path.resolve(),
        robot=settings.robot,
        engine=settings.engine,
        control=settings.control,
        lockstep=settings.lockstep,
        embodiment=embodiment,
        safety=limits,
        bundle_dir=_existing(folder, "robot.bundle", settings.robot.bundle, path.name),
    )


def _existing(folder: Path, key: str, value: str, file_name: str) -> Path:
    path = (folder / value).resolve()
    if not path.exists():
        raise ConfigError(key, f"{path} does not exist (in {file_name})")
    return path
