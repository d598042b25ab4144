"""The stop line on a simulated GPIO chip of the system (gpio-sim): levels, cut wires, holders, a chip that goes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import StopLineSection
from edge_runtime.contracts.errors import StopLineError
from edge_runtime.control.stop_line import StopLine
from edge_runtime.safety import Reason, Result, State
from tests.control.control_process import wave
from tests.control.stepped import SteppedLoop

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
LINE = 3
_NAMES = (f"edge{os.getpid()}x{k}" for k in itertools.count())

pytestmark = pytest.mark.gpio_chip


class Chip:
    """A simulated chip of eight lines; `wire` is what hangs on the stop line."""

    def __init__(self) -> None:
        self._folder = CONFIGFS / next(_NAMES)
        bank = self._folder / "bank0"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text("8")
        (self._folder / "live").write_text("1")
        name = (bank / "chip_name").read_text().strip()
        device = (self._folder / "dev_name").read_text().strip()
        self.path = f"/dev/{name}"
        self._pull = Path(f"/sys/devices/platform/{device}/{name}/sim_gpio{LINE}/pull")

    def wire(self, level: str) -> None:
        self._pull.write_text({"high": "pull-up", "low": "pull-down"}[level])

    def pulled(self) -> str:
        return {"pull-up": "high", "pull-down": "low"}[self._pull.read_text().strip()]

    def vanish(self) -> None:
        (self._folder / "live").write_text("0")

    def remove(self) -> None:
        if (self._folder / "live").read_text().strip() == "1":
            self.vanish()
        (self._folder / "bank0").rmdir()
        self._folder.rmdir()

    def section(self, closed: str, **changes: object) -> StopLineSection:
        return StopLineSection(**{"chip": self.path, "line": LINE, "closed": closed, **changes})  # type: ignore[arg-type]


@pytest.fixture
def chip() -> Iterator[Chip]:
    chip = Chip()
    yield chip
    chip.remove()


OTHER = {"high": "low", "low": "high"}


@pytest.mark.parametrize("closed", ["high", "low"])
def test_only_the_level_that_is_configured_is_closed(chip: Chip, closed: str) -> None:
    with StopLine(chip.section(closed)) as line:
        for level in (closed, OTHER[closed], closed):
            chip.wire(level)
            assert line.is_open == (level != closed)


@pytest.mark.parametrize("closed", ["high", "low"])
def test_a_wire_that_is_cut_is_pulled_open(chip: Chip, closed: str) -> None:
    chip.wire(closed)
    with StopLine(chip.section(closed)) as line:
        assert chip.pulled() == OTHER[closed], "the chip was asked to pull the other way"
        assert line.is_open


@pytest.mark.parametrize("closed", ["high", "low"])
def test_a_resistor_of_the_board_is_left_alone(chip: Chip, closed: str) -> None:
    chip.wire(closed)
    with StopLine(chip.section(closed, bias="external")) as line:
        assert chip.pulled() == closed
        assert not line.is_open


@pytest.mark.parametrize("how", ["opens", "vanishes"])
def test_a_moving_robot_stops_when_the_line_opens_and_when_its_chip_goes(chip: Chip, how: str) -> None:
    with StopLine(chip.section("high")) as line, SteppedLoop(stop_line=line) as stepped:
        chip.wire("high")
        stepped.arm()
        stepped.tick(2)
        stepped.loop.set_plan(wave(1, stepped.now_ns, 5.0))
        stepped.tick(300)
        assert stepped.loop.counters().state is State.ACTIVE
        if how == "opens":
            chip.wire("low")
        else:
            chip.vanish()
        stepped.tick()
        assert stepped.loop.counters().state is State.STOPPING
        assert stepped.loop.counters().faults == Reason.STOP_LINE
        stepped.tick(2000)
        assert stepped.loop.counters().state is State.FAULT
        assert stepped.loop.reset() is Result.REFUSED_STOP_LINE
        if how == "opens":
            chip.wire("high")
            stepped.tick()
            assert stepped.loop.reset() is Result.DONE
            stepped.tick()
            assert stepped.loop.counters().state is State.READY


def test_a_line_that_somebody_holds_names_him_and_one_that_does_not_exist_is_refused(chip: Chip) -> None:
    with StopLine(chip.section("high")), pytest.raises(StopLineError, match="is held by edge-runtime stop; end"):
        StopLine(chip.section("high"))
    with pytest.raises(StopLineError, match="the chip has no such line"):
        StopLine(chip.section("high", line=8))
    with StopLine(chip.section("high")):
        pass
