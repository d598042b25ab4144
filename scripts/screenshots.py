"""Pictures of the page, in a browser, on a desk and on a phone: ``python -m scripts.screenshots FOLDER``.

Of a robot that publishes what the real kernel has said when each fault was caused in it (`tests.page.caused`), so that
every picture is of the page as it is, fed by the bus as on a robot. Needs a browser (chromium, by apt) and playwright.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, expect

from edge_runtime.contracts.messages import Authority, ControlState, GateState, KernelReason, StopCause
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import UpdateStatus
from edge_runtime.safety.states import said
from edge_runtime.testing.other_robots import OTHER_ROBOTS
from edge_runtime.testing.published_robot import BUNDLE, PublishedRobot
from tests.page.caused import verdict_of
from tests.page.served import PHONE, a_browser, looking, robot_shown, serving

_DESK = (1280, 1500)
_WARM_S = 12.0


@dataclass(frozen=True)
class Scene:
    """One picture's robot: what control says, and what the update agent does."""

    name: str
    report: dict[str, Any]
    tile: str
    update: UpdateStatus | None = None
    is_silent: bool = False


def _update(state: UpdateState, **fields: Any) -> UpdateStatus:
    every: dict[str, Any] = {
        "stamp_ns": 1,
        "pid": 7,
        "state": state,
        "running": BUNDLE,
        "running_counter": 4,
        "release": f"bundles/pocket_vla/{'ef' * 32}.json",
        "release_counter": 5,
    }
    return UpdateStatus(**{**every, **fields})


def scenes() -> Iterator[Scene]:
    """Ready, active, a fault of each family, what waits for a person, and an update's ways."""
    active = {"state": ControlState.ACTIVE}
    yield Scene("ready", {"state": ControlState.READY, "authority": Authority.NONE}, "ready")
    yield Scene("active", active, "active")
    yield Scene(
        "holding_asks", {"state": ControlState.HOLDING, "gate": GateState.ASKING, "confidence": 0.31}, "holding"
    )
    for reason in (
        KernelReason.OPERATOR_STOP,
        KernelReason.STOP_LINE,
        KernelReason.DRIVER_FAULT,
        KernelReason.FEEDBACK_STALE,
        KernelReason.FEEDBACK_NOT_FINITE,
        KernelReason.TRACKING_ERROR,
        KernelReason.ENCODER_FROZEN,
        KernelReason.TORQUE,
        KernelReason.FORCE,
        KernelReason.CLOCK_GAP,
        KernelReason.ODOMETRY_LOST,
        KernelReason.INTERNAL,
    ):
        faults = said(verdict_of(reason).faults)
        stopped = {"stopped_by": StopCause(reason.value)} if reason.value in set(StopCause) else {}
        fields = {
            "state": ControlState.FAULT,
            "faults": faults,
            "reasons": faults,
            "authority": Authority.NONE,
            **stopped,
        }
        yield Scene(f"fault_{reason}", fields, "fault")
    for reason in (KernelReason.POLICY_STUCK, KernelReason.SETPOINT_NOT_FINITE, KernelReason.LIMIT_GEOMETRY):
        verdict = verdict_of(reason)
        yield Scene(
            f"changed_{reason}", {"state": verdict.state.said, "reasons": said(verdict.reasons)}, verdict.state.said
        )
    loading = _update(UpdateState.DOWNLOADING, bytes_done=61_400_000, bytes_total=96_000_000)
    trial = _update(UpdateState.PROBATION, running="ef" * 32, trial="3 of 5 successful attempts, 41 of 60 s in motion")
    back = _update(
        UpdateState.FAILED,
        reason="too_many_failures",
        detail="rolled back: 5 attempts failed ahead of 0 that succeeded",
    )
    yield Scene("update_downloading", active, "active", loading)
    yield Scene("update_on_trial", active, "active", trial)
    yield Scene("update_rolled_back", active, "active", back)
    yield Scene("no_word", active, "no word", is_silent=True)


def main() -> None:
    """Make the pictures, all or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these scenes alone")
    parser.add_argument("--robot", choices=OTHER_ROBOTS, default="mobile_manipulator")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    embodiment = OTHER_ROBOTS[options.robot]
    with (
        tempfile.TemporaryDirectory(prefix="page") as run_dir,
        PublishedRobot(Path(run_dir), embodiment) as robot,
        serving(Path(run_dir), robot_shown(embodiment)) as page,
        a_browser() as browser,
    ):
        time.sleep(_WARM_S)
        for scene in scenes():
            if not options.only or scene.name in options.only:
                robot.say(**scene.report)
                robot.update, robot.is_silent = scene.update, False
                time.sleep(2.5 if "chang" not in scene.name else 0.3)
                robot.is_silent = scene.is_silent
                for size, scheme, place in ((_DESK, "light", "desktop"), (PHONE, "dark", "phone")):
                    _picture(browser, page.link, options.folder / f"{scene.name}_{place}.png", size, scheme, scene)


def _picture(browser: Browser, link: str, path: Path, size: tuple[int, int], scheme: str, scene: Scene) -> None:
    with looking(browser, link, size, scheme=scheme) as seen:
        expect(seen.locator("#tile-state")).to_have_text(scene.tile, timeout=15_000)
        time.sleep(2.0)
        if scene.update is not None and size == PHONE:
            seen.locator("#update").scroll_into_view_if_needed()
        seen.screenshot(path=str(path))
    _shrink(path)
    print(f"{path}: {path.stat().st_size // 1000} kB", flush=True)


def _shrink(path: Path) -> None:
    """The picture with so few colours that it packs small."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    step = 256 // 32
    cv2.imwrite(str(path), (pixels // step) * step + np.uint8(step // 2), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
