"""`edge-runtime claims`: what one robot's configuration lets anyone say about its safety, and what it does not.

Everything on the sheet is computed from the settings it is printed for; nothing is looked up on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec
from rich.console import Console

from edge_runtime.bundles.installed import Installed
from edge_runtime.cli.claims_geometry import has_world, kept_from, not_kept_apart
from edge_runtime.cli.claims_limits import limit_tables, time_to_rest_s
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.config.safety_file import AxisLimits, SafetyLimits
from edge_runtime.contracts.axes import AnyAxis, BinaryGripper
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.subcommand import say_json
from edge_runtime.contracts.text import printable
from edge_runtime.control.limits import kernel_config, kinematics_of, knows_where_the_base_is
from edge_runtime.safety import KernelConfig

_MAY = (
    "limits setpoints to the table below, before they reach the driver",
    "performs a controlled hold: decelerates inside these limits and rests, with power on",
    "requests a stop through the robot's rated input, where its driver is wired to one",
    "detects what is listed under *stops the robot*, and latches it until a person resets and arms",
    "records every verdict with the digests below",
)
_MAY_NOT = (
    "an emergency stop, or any part of one",
    "STO, SS1, SS2 or SLS, or a safety-rated reduced speed",
    "a performance level (PL) or safety integrity level (SIL)",
    "power and force limiting (PFL) or speed and separation monitoring (SSM)",
    "that the robot, or the application, is collaborative",
)


def claims(options: argparse.Namespace, console: Console) -> int:
    """Print the sheet as Markdown, or what stands on it as JSON with `options.json`."""
    config = load_config(options.config)
    if options.json:
        say_json(claims_report(config))
    else:
        console.print(claims_sheet(config), markup=False, highlight=False, soft_wrap=True, end="")
    return 0


class AxisClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one axis, in `unit` and its derivatives; null: an axis of this kind has no such limit.

    Attributes:
        kind: as in embodiment.toml.
        low, high: of its range; of an axis of a base, of its velocity.
        effort_max: torque or force, in `effort_unit`.
        time_to_rest_s: the longest stop of a command; a gripper has none.
    """

    name: str
    kind: str
    unit: str
    effort_unit: str
    low: float | None
    high: float | None
    speed_max: float | None
    acceleration_max: float | None
    jerk_max: float | None
    effort_max: float | None
    setpoint_step_max: float | None
    tracking_error_max: float | None
    time_to_rest_s: float | None


class ToolClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one tool; null: nothing does."""

    name: str
    speed_max_m_s: float | None
    force_max_n: float | None
    moment_max_nm: float | None


class ClaimsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the sheet, for programs; lists are of sentences, in the words of the sheet.

    Attributes:
        may, may_not: what the software may be said to do, and what it may not be called.
        kept_apart: what links are kept from, empty without a geometry; `not_kept_apart`: what nothing keeps apart.
        stops: what stops the robot, and is latched.
        without_policy: what it does then, in order.
        assumed: ratings that no maker states.
        off: what could be configured and is not.
    """

    robot: str
    type: str
    driver: str
    safety_digest: str
    joint_digest: str
    bundle: str
    may: tuple[str, ...]
    may_not: tuple[str, ...]
    axes: tuple[AxisClaims, ...]
    tools: tuple[ToolClaims, ...]
    kept_apart: tuple[str, ...]
    not_kept_apart: tuple[str, ...]
    stops: tuple[str, ...]
    without_policy: tuple[str, ...]
    assumed: tuple[str, ...]
    off: tuple[str, ...]


def claims_report(config: RobotConfig) -> ClaimsReport:
    """What stands on the sheet of one robot; raises as `claims_sheet`."""
    safety, embodiment = config.safety, config.embodiment
    held = kernel_config(safety, embodiment)
    body, geometry = kinematics_of(safety), safety.geometry
    kept: tuple[str, ...] = ()
    touching: tuple[str, ...] = ()
    if geometry is not None and body is not None:
        kept, touching = kept_from(geometry, safety, embodiment, *body), tuple(not_kept_apart(*body, geometry))
    return ClaimsReport(
        robot=config.robot.name,
        type=embodiment.name,
        driver=config.robot.driver,
        safety_digest=safety.digest,
        joint_digest=embodiment.joint_digest,
        bundle=_bundle(config),
        may=_MAY,
        may_not=_MAY_NOT,
        axes=tuple(_axis_claims(axis, safety.axes[axis.name]) for axis in embodiment.axes),
        tools=tuple(ToolClaims(**msgspec.structs.asdict(tool)) for tool in safety.tools),
        kept_apart=kept,
        not_kept_apart=touching,
        stops=_trips(config, held),
        without_policy=_fallback(safety, embodiment),
        assumed=_assumed(config),
        off=tuple(features_off(config)),
    )


def _axis_claims(axis: AnyAxis, limits: AxisLimits) -> AxisClaims:
    return AxisClaims(
        name=axis.name,
        kind=limits.kind,
        unit=axis.unit,
        effort_unit=axis.effort_unit,
        low=limits.low,
        high=limits.high,
        speed_max=limits.speed_max,
        acceleration_max=limits.acceleration_max,
        jerk_max=limits.jerk_max,
        effort_max=limits.effort_max,
        setpoint_step_max=limits.setpoint_step_max,
        tracking_error_max=limits.tracking_error_max,
        time_to_rest_s=time_to_rest_s(limits),
    )


def claims_sheet(config: RobotConfig) -> str:
    """The sheet of one robot, Markdown.

    Raises:
        ConfigError: limits that the kernel can't hold.
    """
    # Nothing is claimed of limits that the kernel would refuse.
    held = kernel_config(config.safety, config.embodiment)
    return "\n".join(printable(line, None) for line in _lines(config, held)) + "\n"


def _lines(config: RobotConfig, held: KernelConfig) -> Iterator[str]:
    safety, embodiment = config.safety, config.embodiment
    yield f"# What may be claimed of {config.robot.name}"
    yield ""
    yield (
        "**Not safety-rated**: one process on one computer, with no redundancy and no power path. Keep the robot's "
        "certified limits configured tighter than the hazard, and these tighter still."
    )
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| robot | {config.robot.name}, of type {embodiment.name}, with the driver `{config.robot.driver}` |"
    yield f"| limits | `{safety.digest}` |"
    yield f"| joint order | `{embodiment.joint_digest}` |"
    yield f"| bundle | {_bundle(config)} |"
    yield "| driver's own watchdog | declared by the driver; one that declares none is refused for arming |"
    yield ""
    yield "## It"
    yield from _list(_MAY)
    yield ""
    yield "## It is not, and may not be called"
    yield from _list(_MAY_NOT)
    yield ""
    yield "## Limits"
    yield from limit_tables(safety, embodiment)
    body = kinematics_of(safety)
    if safety.geometry is not None and body is not None:
        yield ""
        yield "## Geometry"
        yield from _list(kept_from(safety.geometry, safety, embodiment, *body))
        yield ""
        yield "## Not kept apart"
        yield from _list(tuple(not_kept_apart(*body, safety.geometry)) or ("nothing: every link is",))
    yield ""
    yield "## Stops the robot, and latches"
    yield from _list(_trips(config, held))
    yield ""
    yield "## Without a policy"
    yield from _list(_fallback(safety, embodiment))
    yield ""
    yield "## Assumed"
    yield from _list(_assumed(config) or ("no rating is marked as assumed in the embodiment file",))
    yield ""
    yield "## Off in this configuration"
    yield from _list(tuple(features_off(config)) or ("nothing that can be configured",))


def _frozen(held: KernelConfig, embodiment: Embodiment) -> str:
    """The largest of the axes of each unit."""
    found: dict[str, float] = {}
    for axis, travel in zip(embodiment.axes, held.frozen_found, strict=True):
        if not axis.is_gripper:
            found[axis.unit] = max(travel, found.get(axis.unit, 0.0))
    return " or ".join(f"{travel:.3g} {unit}" for unit, travel in found.items())


def _list(items: tuple[str, ...]) -> Iterator[str]:
    return (f"- {item}" for item in items)


def _bundle(config: RobotConfig) -> str:
    if config.bundle is None:
        return "none"
    try:
        manifest = read_manifest(Installed.of(config).boot().folder)
    except BundleError:
        return "none that can be read"
    return f"{manifest.name} {manifest.version} `{manifest.digest}`"


def _trips(config: RobotConfig, held: KernelConfig) -> tuple[str, ...]:
    safety, embodiment, line = config.safety, config.embodiment, config.stop_line
    contact = safety.contact
    lines_read = "an open stop line, where the driver has one"
    if line is not None:
        lines_read += f", or line {line.line} of {line.chip} that is not {line.closed} or can't be read"
    lines = [
        f"feedback older than {safety.feedback_timeout_s:g} s, malformed, or going backwards",
        "a joint, or a base's velocity, measured further from its command of that instant than its *tracking error*",
        "an encoder whose samples, three or more, repeat each other to the bit while its joint is commanded to move: "
        f"by the second sample after its command has gone {_frozen(held, embodiment)} one way",
        lines_read,
        "a driver's fault, the operator's stop",
        "a clock that goes back, or leaps by more than the driver's watchdog",
        f"torques and forces of joints above their limit in samples over {contact.debounce_s:g} s: two samples or more",
    ]
    for tool in safety.tools:
        of = f" at {tool.name}" if len(safety.tools) > 1 else ""
        if tool.force_max_n is not None:
            lines.append(f"forces{of} above {tool.force_max_n:g} N in samples over as long")
        if tool.moment_max_nm is not None:
            lines.append(f"moments{of} above {tool.moment_max_nm:g} Nm in samples over as long")
    if embodiment.base_axes and knows_where_the_base_is(safety):
        lines.append("odometry of the base that is missing, while there is something in the room to keep from")
    return tuple(lines)


def _fallback(safety: SafetyLimits, embodiment: Embodiment) -> tuple[str, ...]:
    fallback = safety.fallback
    longest_s = max((time_to_rest_s(limits) or 0.0 for limits in safety.axes.values()), default=0.0)
    last = "disarms where it is"
    if fallback.retract is not None:
        units = {axis.name: axis.unit for axis in embodiment.axes}
        posture = ", ".join(f"{name} {value:g} {units[name]}" for name, value in fallback.retract.items())
        last = (
            f"goes to ({posture}) at {fallback.retract_speed_scale:g} of these velocities, "
            f"for {fallback.retract_timeout_s:g} s at most, and disarms"
        )
    return (
        f"follows nothing that was seen more than {fallback.observation_age_max_s:g} s ago",
        f"plays the plan it has, for {fallback.play_max_s:g} s at most",
        f"decelerates: at rest within {longest_s:.3f} s",
        f"holds for {fallback.hold_timeout_s:g} s, and resumes with the next valid plan",
        last,
    )


def _assumed(config: RobotConfig) -> tuple[str, ...]:
    by_axis: dict[str, list[str]] = {}
    for one in config.assumed:
        axis, _, key = one.rpartition(".")
        by_axis.setdefault(axis, []).append(key)
    return tuple(
        f"{axis}: {', '.join(keys)}; stated by no maker, so its limits are only as good as that guess"
        for axis, keys in by_axis.items()
    )


def features_off(config: RobotConfig) -> Iterator[str]:
    """What the kernel could do for this robot, and does not, because its settings leave it out."""
    safety, embodiment = config.safety, config.embodiment
    if safety.geometry is None or safety.kinematics is None:
        yield "geometry: links and tools are not kept from anything, nor from each other; tool speed is not limited"
        if embodiment.base_axes:
            yield "zones for the base: it is limited in speed and stopped, and kept from nothing"
    else:
        if not has_world(safety.geometry):
            yield "the world: links are kept from no plane and no zone"
        if embodiment.base_axes and not safety.geometry.odometry:
            yield "zones in the room: nothing measures where the base is; it is limited in speed and stopped, no more"
        if safety.geometry.manipulability_slow_below == 0.0:
            yield "slowing down near singular postures"
    for what, limits in (
        ("force", {tool.name: tool.force_max_n for tool in safety.tools}),
        ("moment", {tool.name: tool.moment_max_nm for tool in safety.tools}),
    ):
        free = [name for name, limit in limits.items() if limit is None]
        if free:
            yield f"a limit of the {what} at {'the tool' if len(limits) == 1 else ', '.join(free)}"
    measuring = [axis.name for axis in embodiment.grippers if not isinstance(axis, BinaryGripper)]
    if free := [name for name in measuring if safety.axes[name].effort_max is None]:
        yield f"a limit of the grip of {', '.join(free)}"
    if safety.fallback.retract is None:
        yield "retracting after a long hold"
    if config.stop_line is None:
        yield "a stop line of the computer's own: only a driver's, where it has one"
