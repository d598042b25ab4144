"""From `[ota]` of robot.toml to what the agent's parts take; every mistake is a `ConfigError` that names its key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.config.robot_file import OtaSection, ProbationSection, RobotConfig, ScrubSection
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.ota.agent.status_report import Reporting, read_key
from edge_runtime.ota.lifecycle.build import EngineBuild
from edge_runtime.ota.lifecycle.effects import Build, Check
from edge_runtime.ota.lifecycle.golden import GoldenCheck
from edge_runtime.ota.transfer.fetch import FetchSettings
from edge_runtime.ota.transfer.schedule import AllowedHours
from edge_runtime.ota.transfer.transport import NetworkSettings
from edge_runtime.ota.trust.compatibility import RobotFacts, facts_of
from edge_runtime.ota.trust.trust import TrustSettings

_MAX_ROOT_BYTES = 512_000


@dataclass(frozen=True)
class AgentSettings:
    """What the agent of one robot needs. `store` has bundles, floors, metadata and the history, each apart."""

    trust: TrustSettings
    fetch: FetchSettings
    network: NetworkSettings
    facts: RobotFacts
    build: Build
    golden: Check
    store: Path
    shipped: Path
    check_interval_s: float
    in_motion: bool
    probation: ProbationSection
    scrub: ScrubSection
    replan_interval_s: float

    @property
    def root(self) -> Path:
        """Of the runner: blobs, slots, journal."""
        return self.store / "bundles"

    @property
    def floor(self) -> Path:
        """What is never gone below again, away from the metadata that it guards."""
        return self.store / "floor"


def section_of(config: RobotConfig) -> OtaSection:
    """The section `[ota]`.

    Raises:
        ConfigError: there is none.
    """
    if config.ota is None:
        raise ConfigError(
            "ota", f"{config.path} has no section [ota]: updates are off; docs/guides/ota_robot.md has one"
        )
    return config.ota


def store_of(config: RobotConfig) -> Path:
    """The folder of the agent.

    Raises:
        ConfigError: as `section_of`.
    """
    return config.path.parent / section_of(config).store


def settings_of(config: RobotConfig) -> AgentSettings:
    """Read and check what `[ota]` names.

    Raises:
        ConfigError: names the key.
    """
    section, folder = section_of(config), config.path.parent
    try:
        hours = AllowedHours.parse(*section.hours)
    except ValueError as error:
        raise ConfigError("ota.hours", str(error)) from error
    store = store_of(config)
    trust = TrustSettings(
        robot_id=section.robot_id,
        hardware=section.hardware,
        image_url=section.image_url,
        director_url=section.director_url,
        image_root=_root(folder, "ota.image_root", section.image_root),
        director_root=_root(folder, "ota.director_root", section.director_root),
        folder=store / "metadata",
    )
    ca_file = None if section.ca_file is None else folder / section.ca_file
    if ca_file is not None and not ca_file.is_file():
        raise ConfigError("ota.ca_file", f"{ca_file} does not exist")
    return AgentSettings(
        trust=trust,
        fetch=FetchSettings(f"{section.image_url.rstrip('/')}/targets", hours, section.rate_bytes_s or None),
        network=NetworkSettings(ca_file=ca_file, proxy=section.proxy),
        facts=facts_of(
            config.embodiment,
            config.safety.motion,
            gpu_architecture=section.gpu_architecture,
            jetpack=section.jetpack,
        ),
        build=EngineBuild.of(config.path),
        golden=GoldenCheck.of(config.path, required=section.golden == "required"),
        store=store,
        shipped=config.bundle_dir,
        check_interval_s=section.check_interval_s,
        in_motion=section.activate == "in_motion",
        probation=section.probation,
        scrub=section.scrub,
        replan_interval_s=config.engine.replan_interval_s,
    )


def reporting_of(config: RobotConfig) -> Reporting | None:
    """How the hub is reported to; None: it is not. Apart from the rest, because the key is readable by the agent alone.

    Raises:
        ConfigError: names the key.
    """
    section = section_of(config)
    if section.report_url is None or section.robot_key is None:
        return None
    path = config.path.parent / section.robot_key
    try:
        key = read_key(path.read_bytes())
    except OSError as error:
        raise ConfigError("ota.robot_key", f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError("ota.robot_key", f"{path}: {error}") from error
    return Reporting(section.report_url, section.robot_id, key)


def _root(folder: Path, key: str, name: str) -> bytes:
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(key, f"{path}: {error.strerror}") from error
    if not 0 < len(data) <= _MAX_ROOT_BYTES:
        raise ConfigError(key, f"{path}: {len(data)} bytes are no root of trust")
    return data
