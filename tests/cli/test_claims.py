"""The claims sheet says what is in force, never more; its longest stop is one that the kernel keeps."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import msgspec
import pytest

from edge_runtime.cli import main
from edge_runtime.cli.check.robot import not_kept_apart
from edge_runtime.cli.check.row import Level
from edge_runtime.cli.claims import ClaimsReport, claims_sheet
from edge_runtime.cli.claims_limits import time_to_rest_s
from edge_runtime.config.robot_file import SIM_CONFIG, StopLineSection, load_config
from edge_runtime.config.safety_file import AxisLimits, FallbackSection
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.control.limits import kinematics_of
from edge_runtime.safety import Kernel, State
from tests.safety.robot import Robot, make_config
from tests.settings import copy_settings, replace

CONFIG = load_config(SIM_CONFIG)


def section(sheet: str, title: str) -> str:
    return sheet.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_command_prints_the_sheet_of_its_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy_settings(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["claims", "--config", str(path)])
    assert not caught.value.code
    out = capsys.readouterr().out
    assert out == claims_sheet(load_config(path))
    assert "none that can be read" in out, "the copied settings come with an empty bundle"


def test_every_limit_and_digest_is_on_the_sheet() -> None:
    sheet = claims_sheet(CONFIG)
    fields = ("low", "high", "speed_max", "acceleration_max", "jerk_max", "effort_max")
    for name in CONFIG.embodiment.joint_names:
        limits = CONFIG.safety.axes[name]
        row = next(line for line in sheet.splitlines() if line.startswith(f"| {name} "))
        for value in (getattr(limits, field) for field in (*fields, "setpoint_step_max", "tracking_error_max")):
            assert re.search(rf"(?<![\d.]){re.escape(f'{value:g}')}(?![\d.])", row), (name, value)
    for digest in (CONFIG.safety.digest, CONFIG.embodiment.joint_digest):
        assert digest in sheet


def test_the_tolerance_of_arming_is_on_the_sheet() -> None:
    tolerances = {
        name: msgspec.structs.replace(limits, start_tolerance=0.0017 if name == "gripper" else 0.0042)
        for name, limits in CONFIG.safety.axes.items()
    }
    safety = msgspec.structs.replace(CONFIG.safety, axes=tolerances)
    limits = section(claims_sheet(msgspec.structs.replace(CONFIG, safety=safety)), "Limits")
    assert "outside by at most 0.0042 rad and 0.0017 m" in limits


def test_how_a_frozen_encoder_is_found_is_on_the_sheet() -> None:
    axes = {name: msgspec.structs.replace(one, frozen_travel=0.2) for name, one in CONFIG.safety.axes.items()}
    safety = msgspec.structs.replace(CONFIG.safety, axes=axes, feedback_timeout_s=0.3)
    trips = section(claims_sheet(msgspec.structs.replace(CONFIG, safety=safety)), "Stops the robot, and latches")
    # A tick at 2.349 rad/s, and twice 18 rad/s² over a sixth of 0.3 s and a tick, by four: 2.3 mrad and 23.4.
    assert "three or more, repeat each other to the bit" in trips
    assert "by the second sample after its command has gone 0.226 rad one way" in trips


def test_rated_functions_are_named_only_to_be_denied() -> None:
    sheet = claims_sheet(CONFIG)
    assert "Not safety-rated" in sheet
    denied = section(sheet, "It is not, and may not be called")
    rest = sheet.replace(denied, "")
    for word in ("emergency stop", "STO", "SS1", "SS2", "SLS", "(PL)", "(SIL)", "(PFL)", "(SSM)", "collaborative"):
        assert word in denied
        assert not re.search(rf"\b{re.escape(word)}", rest), word


def test_what_is_not_configured_is_listed_as_off() -> None:
    safety = msgspec.structs.replace(CONFIG.safety, geometry=None, kinematics=None, fallback=FallbackSection())
    sheet = claims_sheet(msgspec.structs.replace(CONFIG, safety=safety))
    off = section(sheet, "Off in this configuration")
    for word in ("geometry", "force", "moment", "retracting"):
        assert word in off
    assert "## Geometry" not in sheet
    assert "disarms where it is" in section(sheet, "Without a policy")


def test_what_the_kinematics_file_leaves_out_of_the_body_is_listed_by_name(tmp_path: Path) -> None:
    path = copy_settings(tmp_path)
    file = tmp_path / "kinematics.toml"
    text = file.read_text(encoding="utf-8")
    # The first is the base's, which does not move.
    text = text.replace("in_world = true", "in_world = false", 1)
    text = text.replace('name = "finger_left"\ncovered = true', 'name = "finger_left"\ncovered = false')
    file.write_text(text, encoding="utf-8")
    replace(
        tmp_path / "safety.toml", r"^clearance_min_m = .*", 'clearance_min_m = 0.008\nmay_touch = [["link0", "hand"]]'
    )
    config = load_config(path)
    sheet = claims_sheet(config)
    left_out = section(sheet, "Not kept apart")
    for words in (
        "neighbouring links, overlapping at home around their joint: link0 and link1, link1 and link2, ",
        "link5 and link6; how deep such a pair folds into each other is bounded by nothing but its joint's range\n",
        "proved never to be within 8 mm inside the joints' ranges: link0 and link2, ",
        "touch at home, proved never to overlap by more than: link1 and link3 (2 mm)",
        "may touch, because this robot's safety file says so**: link0 and hand\n",
        "joint finger_left and what it moves**: taken to stand at 0 rad",
        "planes and keep-out zones for link1",
    ):
        assert words in left_out
    kept = section(sheet, "Geometry")
    assert "kept 8 mm from each other (all but the pairs under *not kept apart*)" in kept
    # Every pair of capsules that move against each other is kept apart, or on the sheet.
    body = kinematics_of(config.safety)
    assert body is not None
    kinematics, watch = body
    watched = {*watch.kept, *(pair for pair, least_m in watch.near.items() if least_m >= 0.0)}
    assert "link6 and link7, which are nearer to each other at home: 5.973 mm apart" in kept
    for one, other in itertools.combinations(kinematics.capsules, 2):
        if one.link != other.link:
            assert ((one.name, other.name) in watched) != (f"{one.name} and {other.name}" in left_out)


def test_clearance_beyond_what_is_proved_watches_the_pairs_that_were_proved_apart() -> None:
    geometry = CONFIG.safety.geometry
    assert geometry is not None
    wide = msgspec.structs.replace(geometry, clearance_min_m=0.011)
    sheet = claims_sheet(msgspec.structs.replace(CONFIG, safety=msgspec.structs.replace(CONFIG.safety, geometry=wide)))
    assert "proved never to be within" in section(claims_sheet(CONFIG), "Not kept apart")
    assert "proved never to be within" not in section(sheet, "Not kept apart")


def test_check_lists_what_is_not_kept_apart(tmp_path: Path) -> None:
    (row,) = not_kept_apart(CONFIG)
    assert row.level is Level.OK
    assert "link5 and link6" in row.found
    path = copy_settings(tmp_path)
    replace(
        tmp_path / "safety.toml", r"^clearance_min_m = .*", 'clearance_min_m = 0.01\nmay_touch = [["link0", "hand"]]'
    )
    (row,) = not_kept_apart(load_config(path))
    assert row.level is Level.WARN
    assert "may touch, because this robot's safety file says so: link0 and hand" in row.found


def test_a_stop_line_of_the_computer_is_named_and_its_absence_is_off() -> None:
    off, stops = "Off in this configuration", "Stops the robot, and latches"
    assert "stop line of the computer's own" in section(claims_sheet(CONFIG), off)
    line = StopLineSection(chip="/dev/gpiochip4", line=17, closed="high")
    sheet = claims_sheet(msgspec.structs.replace(CONFIG, stop_line=line))
    assert "line 17 of /dev/gpiochip4 that is not high or can't be read" in section(sheet, stops)
    assert "stop line" not in section(sheet, off)


def test_nothing_is_claimed_of_limits_that_the_kernel_refuses() -> None:
    axes = CONFIG.safety.axes
    crawling = msgspec.structs.replace(axes["joint1"], speed_max=1e-9)
    safety = msgspec.structs.replace(CONFIG.safety, axes={**axes, "joint1": crawling})
    with pytest.raises(ConfigError):
        claims_sheet(msgspec.structs.replace(CONFIG, safety=safety))


@pytest.mark.parametrize(
    ("velocity", "acceleration", "jerk"), [(2.0, 10.0, 5000.0), (2.0, 10.0, 200.0), (0.3, 10.0, 90.0)]
)
def test_the_longest_stop_is_as_long_as_the_sheet_says(velocity: float, acceleration: float, jerk: float) -> None:
    limits = AxisLimits(kind="revolute", speed_max=velocity, acceleration_max=acceleration, jerk_max=jerk)
    allowed_s = time_to_rest_s(limits)
    assert allowed_s is not None
    wide = (100.0,)
    config = make_config(
        1,
        q_min=(-100.0,),
        q_max=wide,
        dq_max=(velocity,),
        ddq_max=(acceleration,),
        dddq_max=(jerk,),
    )
    longest = 0
    # Stops that start while the joint still speeds up, and at full speed.
    for ticks in range(5, math.ceil(1e3 * (velocity / acceleration + 2 * acceleration / jerk)) + 20, 7):
        robot = Robot(Kernel(config))
        robot.arm()
        for _ in range(ticks):
            robot.step([50.0])
        count = 0
        while any(robot.step().dq):
            count += 1
        assert robot.kernel.state is State.HOLDING
        longest = max(longest, count)
    assert 0.6 * allowed_s <= longest * 1e-3 <= allowed_s


def test_the_same_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["claims", "--json"])
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    report = msgspec.json.decode(said.out, type=ClaimsReport)
    sheet = claims_sheet(load_config(SIM_CONFIG))
    stops_s = [axis.time_to_rest_s for axis in report.axes]
    assert stops_s.pop() is None, "a gripper is no part of a stop"
    assert [stop_s is not None and f"{stop_s:.3f}" in sheet for stop_s in stops_s] == [True] * 7
    for part in (report.may, report.may_not, report.kept_apart, report.not_kept_apart, report.stops):
        assert part
        assert all(f"- {line}\n" in sheet for line in part)
    assert report.safety_digest in sheet
