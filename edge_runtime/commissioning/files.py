"""The text of a robot's files: what it is, what it is held to, and which driver moves it.

Guarantees that every value that no maker stated is marked `# assumed` in the line where it stands.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

from edge_runtime.config.axis_keys import keys_of
from edge_runtime.config.embodiment_file import ASSUMED, embodiment_toml
from edge_runtime.contracts.axes import AnyAxis
from edge_runtime.contracts.embodiment import Embodiment

SPEED_SHARE = 0.5
SPEED_MAX_RAD_S, SPEED_MAX_M_S = 1.0, 0.25
TOOL_SPEED_M_S = 0.5


def embodiment_text(embodiment: Embodiment, assumed: Mapping[str, Sequence[str]], source: str) -> str:
    """`embodiment.toml`, with a mark behind each value that comes of the careful rule."""
    notes = _wrapped(
        f"What this robot is, made by `edge-runtime new robot` from {source}. The order of the axes is that of every "
        "vector of the robot. Values are ratings: what the maker allows. Those marked as assumed come of a careful "
        "rule and not of the maker (docs/guides/bring_up.md): enter the maker's where you know them, without the mark."
    )
    lines, name = [], ""
    for line in embodiment_toml(embodiment, notes).splitlines():
        key, _, value = line.partition(" = ")
        if key == "name":
            name = json.loads(value)
        lines.append(f"{line}  {ASSUMED}" if key in assumed.get(name, ()) else line)
    return "\n".join(lines) + "\n"


def safety_text(
    embodiment: Embodiment,
    home: Mapping[str, float],
    *,
    kinematics: str | None,
    surface: tuple[str, float] | None,
    odometry: bool,
    may_touch: Sequence[tuple[str, str]] = (),
) -> str:
    """`safety.toml`: half of every rated speed, and away from the surface that the robot stands on.

    Args:
        kinematics: name of that file beside this one; None: nothing is known of the body.
        surface: what it stands on (or hangs from: "ceiling"), and its distance from the frame of the base, m.
        odometry: the driver of a base measures where it is.
        may_touch: pairs of capsules that nothing keeps apart.
    """
    lines = _wrapped(
        "What this robot may use of its ratings: tighter, or equal. A limit that is left out is the tightest that is "
        "known. Speeds are half of the rated ones, and at most 1 rad/s or 0.25 m/s: raise them when it is up."
    ).splitlines()
    lines = [f"# {line}" for line in lines]
    lines += [
        "feedback_timeout_s = 0.1",
        "tracking_error_max_rad = 0.2",
        "tracking_error_max_m = 0.05",
        "",
        "[fallback]",
    ]
    retract = ", ".join(f"{_text(name)} = {value!r}" for name, value in home.items())
    lines.append(f"retract = {{ {retract} }}" if home else "hold_timeout_s = 60.0")
    if kinematics is not None:
        lines += ["", "[geometry]", f"kinematics = {_text(kinematics)}", f"tool_speed_max_m_s = {TOOL_SPEED_M_S}"]
        lines += ["odometry = true"] if odometry else []
        pairs = ", ".join(f"[{_text(one)}, {_text(other)}]" for one, other in may_touch)
        lines += [f"may_touch = [{pairs}]"] if may_touch else []
        if surface is not None:
            name, height_m = surface
            up = "-1.0" if name == "ceiling" else "1.0"
            lines += ["", "# In the frame of the robot's base, z up.", "[[geometry.half_spaces]]"]
            lines += [f"name = {_text(name)}", f"normal = [0.0, 0.0, {up}]", f"offset_m = {-height_m + 0.0!r}"]
    for axis in embodiment.axes:
        lines += ["", f"[{'grippers' if axis.is_gripper else 'joints'}.{_text(axis.name)}]", *_speed(axis)]
    return "\n".join(lines) + "\n"


def _speed(axis: AnyAxis) -> list[str]:
    key = keys_of(axis).get("speed_max")
    if key is None:
        return []
    most = SPEED_MAX_RAD_S if key.endswith("rad_s") else SPEED_MAX_M_S
    return [f"{key} = {float(f'{min(SPEED_SHARE * axis.speed_max, most):.4g}')!r}"]


def robot_text(name: str, driver: str) -> str:
    """`robot.toml`."""
    lines = [
        "# Paths are relative to this file; units are part of every key. docs/config.md has every key.",
        "[robot]",
        f"name = {_text(name)}",
        f"driver = {_text(driver)}",
        'embodiment = "embodiment.toml"',
        'safety = "safety.toml"',
        "# The policy, once there is one: a folder with a bundle that was made for this embodiment.",
        '# bundle = "../bundles/first"',
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 116))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
