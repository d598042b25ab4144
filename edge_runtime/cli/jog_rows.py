"""What can be jogged by keys, as rows: the axes, by groups, and the ways of each tool; one page at a time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from edge_runtime.client.jog import Jog
from edge_runtime.client.jog_tool import DIRECTIONS, is_turn, speeds_of, target_of
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.messages import AxisUnit, JogAxis, JogFrame

_STEP = {AxisUnit.RAD: math.radians(0.5), AxisUnit.M: 0.001, AxisUnit.OF_OPEN: 1.0}
_TOOL_STEP = {"m": 0.001, "rad": math.radians(0.5)}
_BAR = 7
_AXES = f"     {'axis':12} commanded  measured           from             to  to an end"
_TOOL = f"     {'way':12} commanded  measured"


class Row(ABC):
    """One thing that moves one way or the other."""

    name: str

    @abstractmethod
    def say(self, share: float, wanted_s: float) -> None:
        """Let it move at this share of its limit; negative the other way."""

    @abstractmethod
    def step(self, direction: int, speed: float) -> Callable[[], None] | None:
        """What is said to let it go one small step; None where there is none."""

    @abstractmethod
    def progress(self) -> object:
        """Differs from before where it has moved."""

    @abstractmethod
    def why_it_stands_still(self, direction: int, /) -> str:
        """Why it does not move in that direction."""

    @abstractmethod
    def line(self, in_degrees: bool, /) -> str:
        """As it is shown."""

    def drives(self) -> bool:
        """Whether it is in motion as long as it is told to be, wherever it is."""
        return False


class AxisRow(Row):
    """An axis."""

    def __init__(self, jog: Jog, name: str) -> None:
        self._jog, self.name = jog, name

    @property
    def _axis(self) -> JogAxis:
        return self._jog.axis(self.name)

    def say(self, share: float, wanted_s: float) -> None:
        self._jog.say({self.name: share * self._axis.speed_max}, wanted_s)

    def step(self, direction: int, speed: float) -> Callable[[], None] | None:
        axis = self._axis
        if axis.unit.is_speed:
            return None
        target = axis.commanded + direction * _STEP[axis.unit]
        if axis.position_min is not None and axis.position_max is not None:
            target = min(max(target, axis.position_min), axis.position_max)
        return lambda: self._jog.say_target({self.name: target}, speed)

    def progress(self) -> object:
        return self.name, self._axis.commanded

    def drives(self) -> bool:
        return self._axis.unit.is_speed and self._axis.commanded != 0.0

    def why_it_stands_still(self, direction: int) -> str:
        return self._jog.why_it_stands_still(self._axis, direction)

    def line(self, in_degrees: bool) -> str:
        axis = self._axis
        factor, unit = _shown_in(axis.unit.value, in_degrees)
        commanded, measured = f"{axis.commanded * factor:9.3f}", f"{axis.measured * factor:9.3f}"
        shown = f"{self.name:12.12} {commanded} {measured} {unit:5}"
        low, high = axis.position_min, axis.position_max
        if low is None or high is None:
            return f"{shown} {'no end' if not axis.unit.is_speed else 'a speed':>7}"
        share = (axis.commanded - low) / max(high - low, 1e-9)
        place = min(max(round(share * (_BAR - 1)), 0), _BAR - 1)
        bar = "-" * place + "|" + "-" * (_BAR - 1 - place)
        room = min(axis.commanded - low, high - axis.commanded)
        return f"{shown}{low * factor:8.3f} [{bar}] {high * factor:9.3f} {room * factor:9.3f}"


class ToolRow(Row):
    """One way of a tool."""

    def __init__(self, jog: Jog, rows: Rows, tool: str, direction: str) -> None:
        self._jog, self._rows, self._tool, self._direction = jog, rows, tool, direction
        self.name = f"{tool} {direction}"

    def say(self, share: float, wanted_s: float) -> None:
        linear_m_s, angular_rad_s = speeds_of(self._jog.tool(self._tool), self._direction, share)
        self._jog.say_tool(self._tool, self._rows.frame, linear_m_s, angular_rad_s, wanted_s)

    def step(self, direction: int, speed: float) -> Callable[[], None] | None:
        by = direction * _TOOL_STEP["rad" if is_turn(self._direction) else "m"]
        target = target_of(self._jog.tool(self._tool), self._direction, by, self._rows.frame, speed)
        return lambda: self._jog.say_tool_target(target)

    def progress(self) -> object:
        tool = self._jog.tool(self._tool)
        return self.name, tool.position_m, tool.rotation

    def why_it_stands_still(self, _direction: int) -> str:
        return self._jog.why_nothing_moves()

    def line(self, _in_degrees: bool) -> str:
        tool = self._jog.tool(self._tool)
        if is_turn(self._direction):
            return f"{self._direction:12} (turns about {self._direction[-1]})"
        i = DIRECTIONS.index(self._direction)
        return f"{self._direction:12} {tool.position_m[i] * 1e3:9.3f} {tool.measured_m[i] * 1e3:9.3f} mm"


class Rows:
    """All pages of one robot.

    Args:
        jog: asks and listens.
        group: whose page is shown first.
        tool: likewise, empty: the first one.

    Attributes:
        frame: whose x, y and z a tool is moved along.

    Raises:
        ConfigError: no such group or tool.
        OperatorError: control is not heard.
    """

    def __init__(self, jog: Jog, *, group: str | None = None, tool: str | None = None) -> None:
        axes, tools = jog.axes(), jog.tools()
        self.frame = JogFrame.BASE
        self._selected = self._page = 0
        groups = list(dict.fromkeys(axis.group for axis in axes))
        self._pages: list[tuple[str, str, list[Row]]] = [("axes", "", [AxisRow(jog, axis.name) for axis in axes])]
        if len(groups) > 1:
            for name in groups:
                rows: list[Row] = [AxisRow(jog, axis.name) for axis in axes if axis.group == name]
                self._pages.append(("group", name, rows))
        for one in tools:
            self._pages.append(("tool", one.name, [ToolRow(jog, self, one.name, way) for way in DIRECTIONS]))
        if group is not None and group not in groups:
            raise ConfigError("--group", f"this robot has no group {group!r}; it has: {', '.join(groups)}")
        if tool is not None:
            self._show("tool", tool or None, "--tool", [one.name for one in tools])
        elif group is not None and len(groups) > 1:
            self._show("group", group, "--group", groups)

    def _show(self, kind: str, name: str | None, key: str, known: list[str]) -> None:
        for number, (of, called, _) in enumerate(self._pages):
            if of == kind and name in (None, called):
                self._page = number
                return
        problem = f"this robot has no {kind} {name!r}; it has: {', '.join(known)}"
        none = "this robot has no tool to move: a kinematics file says where it is"
        raise ConfigError(key, problem if known else none)

    @property
    def selected(self) -> Row:
        """The row that the keys move."""
        return self._pages[self._page][2][self._selected]

    @property
    def title(self) -> str:
        """What is shown."""
        kind, name, _ = self._pages[self._page]
        if kind == "tool":
            return f"tool {name}, along and about the axes of {self.frame.value} (f: the other one)"
        return f"group {name}" if name else "all axes"

    @property
    def heading(self) -> str:
        """What the columns are."""
        return _TOOL if self._pages[self._page][0] == "tool" else _AXES

    def go(self, by: int) -> None:
        """The next row, or the one before."""
        self._selected = (self._selected + by) % len(self._pages[self._page][2])

    def select(self, number: int) -> None:
        """The row of that number, if there is one."""
        if 0 <= number < len(self._pages[self._page][2]):
            self._selected = number

    def turn_page(self) -> None:
        """The next group or tool."""
        self._page, self._selected = (self._page + 1) % len(self._pages), 0

    def change_frame(self) -> None:
        """The other frame of a tool."""
        self.frame = JogFrame.TOOL if self.frame is JogFrame.BASE else JogFrame.BASE

    def lines(self, in_degrees: bool, room: int) -> list[str]:
        """The rows around the selected one, as many as there is room for."""
        rows = self._pages[self._page][2]
        first = min(max(0, self._selected - room // 2), max(0, len(rows) - room))
        return [
            f"{'>' if i == self._selected else ' '} {i + 1:2} {row.line(in_degrees)}"
            for i, row in enumerate(rows[first : first + room], start=first)
        ]


def _shown_in(unit: str, in_degrees: bool) -> tuple[float, str]:
    length, per = unit.removesuffix("/s"), "/s" if unit.endswith("/s") else ""
    if length == "m":
        return 1000.0, f"mm{per}"
    if length == "rad" and in_degrees:
        return math.degrees(1.0), f"deg{per}"
    return 1.0, unit.replace("of open", "open")
