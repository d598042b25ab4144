"""A robot to look at: its capsules, watched pairs, tools and the surface it stands on, from three sides at home.

Guarantees that what is drawn is what the kernel keeps apart: the ends of the capsules come from its own geometry. A
capsule seen from a side is a thick line with round ends, so that a picture needs no more than lines.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.commissioning.home import Placed
from edge_runtime.safety.kinematics import KinematicsFile
from edge_runtime.safety.kinematics.proximity import Array, segments_m

_VIEWS = (("front", 1, 2, 0), ("side", 0, 2, 1), ("top", 0, 1, 2))
"""Name of a view, the axes of the world that point right and up in it, and the one that is looked along."""
_SIDE_PX, _MARGIN_PX, _TITLE_PX = 460, 24, 30
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#eeca3b")
_GREY, _RED, _BLACK, _BROWN = "#9a9a9a", "#d62728", "#202020", "#8c6d46"
_PAIRS_DRAWN = 12


@dataclass(frozen=True)
class Line:
    """In pixels, y down: a thick one with round ends is a capsule."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    colour: str
    opacity: float = 1.0
    title: str = ""


@dataclass(frozen=True)
class Label:
    """Words, their left end in pixels."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Lines and labels, the first of them behind the others."""

    width: float
    height: float
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]


def draw(
    file: KinematicsFile,
    home: Mapping[str, float],
    limbs: Sequence[Sequence[str]],
    surface: tuple[float, float] | None,
    title: str,
) -> Picture:
    """The robot at home.

    Args:
        limbs: joints of each, which are drawn in one colour.
        surface: the sign of z that is away from it, and the least z times that sign; None: there is none.
    """
    placed = Placed(file)
    ends_m = placed.ends_m(np.array([[home[name] for name in file.axis_names]]))[0]
    links = {joint.name: number for number, joint in enumerate(file.joints)}
    tools = []
    for tool in file.tool_points:
        rotation, origin_m = placed.frame(-1 if tool.link is None else links[tool.link])
        tools.append((tool.name, rotation @ np.array(tool.point_m) + origin_m))
    colours = _colours(file, limbs)
    pairs = _nearest_pairs(file, ends_m)
    low_m, high_m = _bounds(file, ends_m, surface)
    px_per_m = (_SIDE_PX - 2 * _MARGIN_PX) / float(np.max(high_m - low_m))
    middle_m = 0.5 * (low_m + high_m)
    lines: list[Line] = []
    labels: list[Label] = [Label(_MARGIN_PX, 20, title)]
    for number, (name, right, up, depth) in enumerate(_VIEWS):
        centre = (number * _SIDE_PX + 0.5 * _SIDE_PX, _TITLE_PX + 0.5 * _SIDE_PX)

        def at(
            point_m: Array, right: int = right, up: int = up, centre: tuple[float, float] = centre
        ) -> tuple[float, float]:
            x = centre[0] + (point_m[right] - middle_m[right]) * px_per_m
            return float(x), float(centre[1] - (point_m[up] - middle_m[up]) * px_per_m)

        labels.append(
            Label(number * _SIDE_PX + _MARGIN_PX, _TITLE_PX + 16, f"{name}: {'xyz'[right]} right, {'xyz'[up]} up")
        )
        if surface is not None and up == 2:
            y = centre[1] - (surface[0] * surface[1] - middle_m[2]) * px_per_m
            lines.append(Line(number * _SIDE_PX + 4, y, (number + 1) * _SIDE_PX - 4, y, 2.0, _BROWN, title="surface"))
        toward = 1.0 if name == "side" else -1.0
        order = np.argsort(toward * ends_m[:, :, depth].mean(axis=1))[::-1]
        for k in order:
            capsule = file.capsules[k]
            (x1, y1), (x2, y2) = at(ends_m[k, 0]), at(ends_m[k, 1])
            wide = max(1.0, 2.0 * capsule.radius_m * px_per_m)
            lines.append(Line(x1, y1, x2, y2, wide, colours[k], 0.55, capsule.name))
        for one, other in pairs:
            (x1, y1), (x2, y2) = at(ends_m[one].mean(axis=0)), at(ends_m[other].mean(axis=0))
            words = f"watched: {file.capsules[one].name} and {file.capsules[other].name}"
            lines.append(Line(x1, y1, x2, y2, 1.0, _RED, 0.9, words))
        for tool_name, point_m in tools:
            x, y = at(point_m)
            lines += [Line(x - 6, y, x + 6, y, 2.0, _BLACK), Line(x, y - 6, x, y + 6, 2.0, _BLACK)]
            labels.append(Label(x + 8, y - 4, tool_name))
    return Picture(len(_VIEWS) * _SIDE_PX, _TITLE_PX + _SIDE_PX, tuple(lines), tuple(labels))


def _colours(file: KinematicsFile, limbs: Sequence[Sequence[str]]) -> list[str]:
    of_joint = {name: _COLOURS[number % len(_COLOURS)] for number, limb in enumerate(limbs) for name in limb}
    axis = {joint.name: joint.axis_name for joint in file.joints}
    return [_GREY if c.link is None else of_joint.get(axis[c.link], _GREY) for c in file.capsules]


def _nearest_pairs(file: KinematicsFile, ends_m: Array) -> list[tuple[int, int]]:
    numbers = {capsule.name: number for number, capsule in enumerate(file.capsules)}
    watched = [*file.pairs, *(near.pair for near in file.near if not near.proved)]
    pairs = [(numbers[one], numbers[other]) for one, other in watched]
    if not pairs:
        return []
    one, other = np.array(pairs).T
    radii_m = np.array([capsule.radius_m for capsule in file.capsules])
    apart_m = segments_m(ends_m[one], ends_m[other]) - radii_m[one] - radii_m[other]
    return [pairs[number] for number in np.argsort(apart_m)[:_PAIRS_DRAWN]]


def _bounds(file: KinematicsFile, ends_m: Array, surface: tuple[float, float] | None) -> tuple[Array, Array]:
    radii_m = np.array([capsule.radius_m for capsule in file.capsules])[:, None, None]
    low_m, high_m = (ends_m - radii_m).min(axis=(0, 1)), (ends_m + radii_m).max(axis=(0, 1))
    if surface is not None:
        z_m = surface[0] * surface[1]
        low_m[2], high_m[2] = min(low_m[2], z_m), max(high_m[2], z_m)
    return low_m, high_m


def svg(picture: Picture) -> str:
    """As a picture that scales."""
    size = f'width="{picture.width:.0f}" height="{picture.height:.0f}"'
    box = f'viewBox="0 0 {picture.width:.0f} {picture.height:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} font-family="sans-serif" font-size="12">']
    parts.append(f'<rect {size} fill="white"/>')
    for line in picture.lines:
        ends = f'x1="{line.x1:.1f}" y1="{line.y1:.1f}" x2="{line.x2:.1f}" y2="{line.y2:.1f}"'
        look = f'stroke="{line.colour}" stroke-width="{line.width:.1f}" stroke-opacity="{line.opacity}"'
        title = f"<title>{html.escape(line.title)}</title>" if line.title else ""
        parts.append(f'<line {ends} {look} stroke-linecap="round">{title}</line>')
    parts += [f'<text x="{one.x:.1f}" y="{one.y:.1f}">{html.escape(one.text)}</text>' for one in picture.labels]
    return "\n".join([*parts, "</svg>", ""])


def page(picture: Picture, file: KinematicsFile, notes: Sequence[str]) -> str:
    """The picture, and a list of everything in it, in a file that any browser opens."""
    capsules = "".join(
        f"<tr><td>{html.escape(one.name)}</td><td>{html.escape(one.link or 'base')}</td>"
        f"<td>{2e3 * one.radius_m:.0f}</td><td>{'yes' if one.in_world else 'no'}</td></tr>"
        for one in file.capsules
    )
    watched = [*file.pairs, *(near.pair for near in file.near if not near.proved)]
    pairs = "".join(f"<li>{html.escape(one)} and {html.escape(other)}</li>" for one, other in watched)
    decided = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Robot</title>'
        "<style>body{font-family:sans-serif;margin:1rem}td,th{text-align:left;padding:0 .8rem 0 0}</style></head>\n"
        "<body>"
        f"{svg(picture)}"
        "<p>Every capsule holds the shapes of its link. Red lines join the pairs that are nearest to each other at "
        "home, of those that the kernel keeps apart. A cross is a tool, whose speed is limited.</p>\n"
        f"<h2>Decided</h2><ul>{decided}</ul>\n"
        "<h2>Capsules</h2><table><tr><th>name</th><th>carried by</th><th>across, mm</th><th>kept off surfaces and zones"
        f"</th></tr>{capsules}</table>\n<h2>Watched pairs: {len(watched)}</h2><ul>{pairs}</ul></body></html>\n"
    )


def write_png(picture: Picture, path: Path) -> bool:
    """As a picture of points; False where the library that draws it is not installed.

    Raises:
        OSError: the file can't be written.
    """
    try:
        import cv2
    except ImportError:
        return False
    pixels = np.full((round(picture.height), round(picture.width), 3), 255, np.uint8)
    for line in picture.lines:
        over = pixels.copy()
        ends = (round(line.x1), round(line.y1)), (round(line.x2), round(line.y2))
        red, green, blue = (int(line.colour[k : k + 2], 16) for k in (1, 3, 5))
        wide = max(1, round(line.width))
        cv2.line(over, *ends, (blue, green, red), min(wide, 255), cv2.LINE_AA)
        if wide > 3:
            for end in ends:
                cv2.circle(over, end, wide // 2, (blue, green, red), -1, cv2.LINE_AA)
        cv2.addWeighted(over, line.opacity, pixels, 1.0 - line.opacity, 0.0, dst=pixels)
    for label in picture.labels:
        cv2.putText(
            pixels,
            label.text,
            (round(label.x), round(label.y)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    written, data = cv2.imencode(".png", pixels)
    if written:
        path.write_bytes(data.tobytes())
    return bool(written)
