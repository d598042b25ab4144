"""`edge-runtime claims`: what one robot's configuration lets anyone say about its safety, and what it does not.

Everything on the sheet is computed from the settings it is printed for; nothing is looked up on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console

from edge_runtime.bundles.installed import Installed
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.config.safety_file import GeometrySection, JointLimits, SafetyLimits, Vector
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.subcommand import say_json
from edge_runtime.contracts.text import printable
from edge_runtime.control.limits import TICK_S, kernel_config, kinematics_of
from edge_runtime.safety import KernelConfig
from edge_runtime.safety.kinematics import BASE, KinematicsFile, Watch

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


class JointClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one joint; `time_to_rest_s` is the longest stop of a command."""

    name: str
    position_min_rad: float
    position_max_rad: float
    velocity_max_rad_s: float
    acceleration_max_rad_s2: float
    jerk_max_rad_s3: float
    torque_max_nm: float
    setpoint_step_max_rad: float
    time_to_rest_s: float


class ClaimsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the sheet, for programs; lists are of sentences, in the words of the sheet.

    Attributes:
        may, may_not: what the software may be said to do, and what it may not be called.
        kept_apart: what links are kept from, empty without a geometry; `not_kept_apart`: what nothing keeps apart.
        stops: what stops the robot, and is latched.
        without_policy: what it does then, in order.
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
    joints: tuple[JointClaims, ...]
    gripper_opening_max_m: float
    gripper_speed_max_m_s: float
    kept_apart: tuple[str, ...]
    not_kept_apart: tuple[str, ...]
    stops: tuple[str, ...]
    without_policy: tuple[str, ...]
    off: tuple[str, ...]


def claims_report(config: RobotConfig) -> ClaimsReport:
    """What stands on the sheet of one robot; raises as `claims_sheet`."""
    safety, embodiment = config.safety, config.embodiment
    held = kernel_config(safety, embodiment)
    body, geometry = kinematics_of(safety), safety.geometry
    kept: tuple[str, ...] = ()
    touching: tuple[str, ...] = ()
    if geometry is not None and body is not None:
        kept, touching = _geometry(geometry, body[1]), tuple(not_kept_apart(*body, geometry))
    return ClaimsReport(
        robot=config.robot.name,
        type=embodiment.name,
        driver=config.robot.driver,
        safety_digest=safety.digest,
        joint_digest=embodiment.joint_digest,
        bundle=_bundle(config),
        may=_MAY,
        may_not=_MAY_NOT,
        joints=tuple(_joint_claims(name, joint) for name, joint in safety.joints.items()),
        gripper_opening_max_m=safety.gripper_opening_max_m,
        gripper_speed_max_m_s=safety.gripper_speed_max_m_s,
        kept_apart=kept,
        not_kept_apart=touching,
        stops=_trips(config, held),
        without_policy=_fallback(safety, embodiment),
        off=tuple(features_off(config)),
    )


def _joint_claims(name: str, joint: JointLimits) -> JointClaims:
    return JointClaims(
        name=name,
        position_min_rad=joint.position_min_rad,
        position_max_rad=joint.position_max_rad,
        velocity_max_rad_s=joint.velocity_max_rad_s,
        acceleration_max_rad_s2=joint.acceleration_max_rad_s2,
        jerk_max_rad_s3=joint.jerk_max_rad_s3,
        torque_max_nm=joint.torque_max_nm,
        setpoint_step_max_rad=joint.setpoint_step_max_rad,
        time_to_rest_s=time_to_rest_s(joint),
    )


def time_to_rest_s(limits: JointLimits) -> float:
    """Longest time that a stop of this joint takes, whatever it is doing: V/A + 2 A/J + 2 T.

    From constant speed it is V/A + A/J + 2 T; a joint that speeds up has to get rid of that acceleration first.
    """
    velocity, acceleration, jerk = (limits.velocity_max_rad_s, limits.acceleration_max_rad_s2, limits.jerk_max_rad_s3)
    return velocity / acceleration + 2.0 * acceleration / jerk + 2.0 * TICK_S


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
    yield "| joint | range, rad | rad/s | rad/s² | rad/s³ | torque, Nm | setpoint step, rad | at rest within, s |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, joint in safety.joints.items():
        yield (
            f"| {name} | {joint.position_min_rad:g} to {joint.position_max_rad:g} | {joint.velocity_max_rad_s:g} "
            f"| {joint.acceleration_max_rad_s2:g} | {joint.jerk_max_rad_s3:g} | {joint.torque_max_nm:g} "
            f"| {joint.setpoint_step_max_rad:g} | {time_to_rest_s(joint):.3f} |"
        )
    yield ""
    yield (
        "Position, velocity, acceleration and jerk hold for every command while the robot follows. *At rest within* is "
        "the longest stop of a command, V/A + 2 A/J + 2 T; the robot lags behind by what its own control does. Torque "
        "is watched only where the driver measures it."
    )
    yield ""
    yield f"Gripper: 0 to {safety.gripper_opening_max_m:g} m, at most {safety.gripper_speed_max_m_s:g} m/s."
    yield ""
    yield (
        f"Armed is only what is measured inside these ranges, or outside by at most {safety.start_tolerance_rad:g} rad "
        f"and {safety.start_tolerance_m:g} m: noise and sag. The first command then is the end of the range. A robot "
        "as near to where it was left, in all joints, starts from there."
    )
    body = kinematics_of(safety)
    if safety.geometry is not None and body is not None:
        yield ""
        yield "## Geometry"
        yield from _list(_geometry(safety.geometry, body[1]))
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
    yield "## Off in this configuration"
    yield from _list(tuple(features_off(config)) or ("nothing that can be configured",))


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


def _geometry(geometry: GeometrySection, watch: Watch) -> tuple[str, ...]:
    others = "each other (all but the pairs under *not kept apart*), and from " if watch.kept else ""
    lines = [f"links are kept {geometry.clearance_min_m * 1e3:g} mm from {others}what follows"]
    for (first, second), least_m in watch.near.items():
        if least_m >= 0.0:
            lines.append(f"{first} and {second}, which are nearer to each other at home: {least_m * 1e3:g} mm apart")
    if geometry.workspace is not None:
        box = geometry.workspace
        corners = ", ".join(f"{low:g} to {high:g}" for low, high in zip(box.min_m, box.max_m, strict=True))
        lines.append(f"workspace: {corners} m")
    lines += [f"{s.name}: inside ({_vector(s.normal)}) . p >= {s.offset_m:g} m" for s in geometry.half_spaces]
    lines += [
        f"{z.name}: outside ({_vector(z.min_m)}) to ({_vector(z.max_m)}) m, grown by {z.radius_m:g} m"
        for z in geometry.keep_out
    ]
    lines.append(
        f"tool speed at most {geometry.tool_speed_max_m_s:g} m/s; {geometry.reduced_tool_speed_m_s:g} m/s in "
        "reduced-speed mode, which is no safety-rated mode"
    )
    if geometry.manipulability_slow_below > 0.0:
        lines.append(f"slower near singular postures, from manipulability {geometry.manipulability_slow_below:g} on")
    return tuple(lines)


def _vector(values: Vector) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _trips(config: RobotConfig, held: KernelConfig) -> tuple[str, ...]:
    safety, line = config.safety, config.stop_line
    contact = safety.contact
    lines_read = "an open stop line, where the driver has one"
    if line is not None:
        lines_read += f", or line {line.line} of {line.chip} that is not {line.closed} or can't be read"
    lines = [
        f"feedback older than {safety.feedback_timeout_s:g} s, malformed, or going backwards",
        f"a joint measured further than {safety.tracking_error_max_rad:g} rad from its command of that instant",
        "an encoder whose samples, three or more, repeat each other to the bit while its joint is commanded to move: "
        f"by the second sample after its command has gone {held.frozen_found_rad:.3g} rad one way",
        lines_read,
        "a driver's fault, the operator's stop",
        "a clock that goes back, or leaps by more than the driver's watchdog",
        f"torques above their limit in samples over {contact.debounce_s:g} s: two samples or more",
    ]
    if contact.force_max_n is not None:
        lines.append(f"forces above {contact.force_max_n:g} N in samples over as long")
    if contact.moment_max_nm is not None:
        lines.append(f"moments above {contact.moment_max_nm:g} Nm in samples over as long")
    return tuple(lines)


def _fallback(safety: SafetyLimits, embodiment: Embodiment) -> tuple[str, ...]:
    fallback = safety.fallback
    longest_s = max(time_to_rest_s(safety.joints[name]) for name in embodiment.joint_names)
    last = "disarms where it is"
    if fallback.retract_rad is not None:
        posture = ", ".join(f"{value:g}" for value in fallback.retract_rad)
        last = (
            f"goes to ({posture}) rad at {fallback.retract_speed_scale:g} of these velocities, "
            f"for {fallback.retract_timeout_s:g} s at most, and disarms"
        )
    return (
        f"follows nothing that was seen more than {fallback.observation_age_max_s:g} s ago",
        f"plays the plan it has, for {fallback.play_max_s:g} s at most",
        f"decelerates: at rest within {longest_s:.3f} s",
        f"holds for {fallback.hold_timeout_s:g} s, and resumes with the next valid plan",
        last,
    )


def features_off(config: RobotConfig) -> Iterator[str]:
    """What the kernel could do for this robot, and does not, because its settings leave it out."""
    safety = config.safety
    if safety.geometry is None or safety.kinematics is None:
        yield "geometry: links and tool are not kept from anything, nor from each other; tool speed is not limited"
    else:
        if safety.geometry.workspace is None and not safety.geometry.half_spaces and not safety.geometry.keep_out:
            yield "the world: links are kept from no plane and no zone"
        if safety.geometry.manipulability_slow_below == 0.0:
            yield "slowing down near singular postures"
    if safety.contact.force_max_n is None:
        yield "a limit of the force at the tool"
    if safety.contact.moment_max_nm is None:
        yield "a limit of the moment at the tool"
    if safety.fallback.retract_rad is None:
        yield "retracting after a long hold"
    if config.stop_line is None:
        yield "a stop line of the computer's own: only a driver's, where it has one"


def not_kept_apart(file: KinematicsFile, watch: Watch, geometry: GeometrySection) -> Iterator[str]:
    """Everything of the body that nothing keeps apart, or off planes and zones, by name and with the reason."""
    if watch.neighbours:
        yield (
            f"on neighbouring links, overlapping at home around their joint: {_names(watch.neighbours)}; how deep such "
            "a pair folds into each other is bounded by nothing but its joint's range"
        )
    if watch.apart:
        yield (
            f"proved never to be within {geometry.clearance_min_m * 1e3:g} mm inside the joints' ranges: "
            f"{_names(watch.apart)}"
        )
    for proved, reason in ((True, "proved never to overlap by more"), (False, "kept only from overlapping by more")):
        inside = {pair: -least_m for pair, least_m in watch.near.items() if (pair in watch.proved_near) is proved}
        by = [f"{' and '.join(pair)} ({deep_m * 1e3:g} mm)" for pair, deep_m in inside.items() if deep_m > 0.0]
        if by:
            yield f"capsules that overlap or nearly touch at home, {reason} than: {', '.join(by)}"
    if watch.may_touch:
        yield f"**may touch, because this robot's safety file says so**: {_names(watch.may_touch)}"
    for joint in file.held:
        if not joint.covered:
            yield f"**joint {joint.name} and what it moves**: taken to stand at 0 rad; elsewhere no capsule covers it"
    if file.uncovered:
        yield f"**what is drawn of {', '.join(file.uncovered)}** in the description: no capsule holds all of it"
    covered = {capsule.link for capsule in file.capsules}
    if bare := [joint.name for joint in file.joints if joint.name not in covered]:
        yield f"the links of {', '.join(bare)}: no capsule covers them"
    if free := [one.name for one in file.capsules if one.link is not BASE and not one.in_world]:
        yield f"planes and keep-out zones for {', '.join(free)}"


def _names(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(" and ".join(pair) for pair in pairs)
