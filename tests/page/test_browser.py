"""The page in a real browser: what it says of every state and reason, the stop, and what it does when nothing comes."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from edge_runtime.client.explanations import REASONS, STATES
from edge_runtime.contracts.embodiment import Camera, Embodiment, Group
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import ControlState, GateState, KernelReason, PolicyState, ReducedSpeed, StopCause
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import UpdateStatus
from edge_runtime.page.tokens import make_token
from edge_runtime.safety.states import said
from edge_runtime.testing.other_robots import OTHER_ROBOTS, jaw_arm, revolute
from edge_runtime.testing.published_robot import BUNDLE, PublishedRobot, wait_until
from tests.page.caused import CAUSES, verdict_of
from tests.page.served import DESKTOP, PHONE, ServedPage, looking, robot_shown, serving

SOON_MS = 6000


def state(page: Page, words: str) -> None:
    """Wait until the tile, and what stands beside the stop button, say so."""
    expect(page.locator("#tile-state")).to_have_text(words, timeout=SOON_MS)
    expect(page.locator("#pill-state")).to_have_text(words, timeout=SOON_MS)


def test_the_stop_tile_changes_with_every_state_and_back(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    with looking(browser, page.link) as seen:
        for one in (*(one for one in ControlState if one.is_known), ControlState.ACTIVE):
            robot.say(state=one, faults=(KernelReason.OPERATOR_STOP,) if one is ControlState.FAULT else ())
            state(seen, one.value)
            if one is not ControlState.HOLDING:
                meaning = STATES[one].meaning
                expect(seen.locator("#tile-words")).to_have_text(f"{meaning[0].upper()}{meaning[1:]}.", timeout=SOON_MS)
            assert seen.title().startswith(one.value)
        expect(seen.locator("#tile-why li")).to_have_count(0)


def test_a_stop_of_an_operator_is_told_first_and_what_comes_next(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    stopped = {"faults": (KernelReason.OPERATOR_STOP,), "stopped_by": StopCause.OPERATOR_STOP}
    with looking(browser, page.link) as seen:
        state(seen, "active")
        robot.say(state=ControlState.STOPPING, **stopped)
        state(seen, "stopping")
        robot.say(state=ControlState.FAULT, **stopped)
        state(seen, "fault")
        expect(seen.locator("#tile-why li")).to_have_count(1)
        expect(seen.locator("#tile-why li").first).to_contain_text("Stopped by an operator.")
        expect(seen.locator("#tile-next")).to_have_text("To continue: Reset, then Arm.")
        assert [one.inner_text() for one in seen.locator("#tile-next button").all()] == ["Reset", "Arm"]
        expect(seen.locator("#tile")).to_have_attribute("data-tone", "bad")
        robot.say(state=ControlState.READY, stopped_by=StopCause.OPERATOR_STOP)
        state(seen, "ready")
        expect(seen.locator("#tile-next")).to_have_text("To continue: Arm.")
        robot.say(state=ControlState.ACTIVE)
        state(seen, "active")
        expect(seen.locator("#tile-next")).to_be_empty()


def test_each_reason_of_the_kernel_is_caused_in_it_and_read_from_the_page(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    assert set(KernelReason) - set(CAUSES) == {KernelReason.SETPOINT_NONE, KernelReason.FEEDBACK_TORN}, "ordinary work"
    with looking(browser, page.link) as seen:
        for reason in CAUSES:
            verdict = verdict_of(reason)
            robot.say(state=verdict.state.said, reasons=said(verdict.reasons), faults=said(verdict.faults))
            known = REASONS[reason]
            place = seen.locator(f'#tile-why [data-name="{reason}"], #changes-list [data-name="{reason}"]')
            expect(place.first).to_contain_text(f"{known.meaning[0].upper()}{known.meaning[1:]}.", timeout=SOON_MS)
            state(seen, verdict.state.said.value)
            if verdict.faults:
                assert place.first.get_attribute("data-tone") == "bad"
                expect(seen.locator("#tile-why")).to_contain_text(str(reason))
                robot.say(state=ControlState.FAULT, faults=said(verdict.faults))
                state(seen, "fault")
                expect(seen.locator("#tile")).to_have_attribute("data-tone", "bad")
                step = re.sub(r"\[([a-z]+)\]", lambda found: found[1].capitalize(), known.next_step).replace("`", "")
                expect(seen.locator("#tile-next")).to_have_text(step)


@pytest.mark.parametrize(
    ("told", "shown", "next_step"),
    [
        ({"state": ControlState.READY}, "Not armed: follows no commands.", "To start: Arm."),
        (
            {"state": ControlState.HOLDING, "gate": GateState.ASKING},
            "Was unsure: the robot holds and asks for help",
            "To answer: Resume, or another instruction; a run's next one answers too.",
        ),
        (
            {"state": ControlState.HOLDING, "policy": PolicyState.DEAD},
            "The policy's process has ended.",
            "It is started again",
        ),
        ({"state": ControlState.HOLDING, "policy": PolicyState.STUCK}, "gives no new plans", "See the engine's log."),
        (
            {"state": ControlState.READY, "too_slow": "its plans reach 0.4 s and take 0.9 s"},
            "The policy can't act here: its plans reach 0.4 s and take 0.9 s.",
            "It can't be armed",
        ),
        (
            {"state": ControlState.SILENT},
            "Control gets no usable feedback from the robot's driver.",
            "Look at the driver's log.",
        ),
        (
            {"state": ControlState.READY, "stopped_by": StopCause.STOP_LINE},
            "Stopped by an open stop line.",
            "To continue: Arm.",
        ),
    ],
)
def test_it_says_why_the_robot_stands_still_and_what_to_do(
    browser: Browser, robot: PublishedRobot, page: ServedPage, told: dict[str, Any], shown: str, next_step: str
) -> None:
    robot.say(**told)
    with looking(browser, page.link) as seen:
        state(seen, told["state"].value)
        expect(seen.locator("#tile")).to_contain_text(shown, timeout=SOON_MS)
        expect(seen.locator("#tile-next")).to_contain_text(next_step, timeout=SOON_MS)


def test_a_robot_that_disarmed_itself_says_why_until_it_is_armed_again(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    with looking(browser, page.link) as seen:
        state(seen, "active")
        robot.say(state=ControlState.READY, reasons=(KernelReason.HOLD_TIMEOUT,))
        state(seen, "ready")
        robot.say(state=ControlState.READY)
        time.sleep(3.0)
        expect(seen.locator("#tile-why")).to_contain_text("No plan came for a long time, so the robot was disarmed.")
        robot.say(state=ControlState.ACTIVE)
        state(seen, "active")
        robot.say(state=ControlState.READY)
        state(seen, "ready")
        expect(seen.locator("#tile-why li")).to_have_count(0)


def test_control_that_says_nothing_is_never_shown_as_it_was(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    with looking(browser, page.link) as seen:
        state(seen, "active")
        robot.is_silent = True
        silent_s = time.monotonic()
        state(seen, "no word")
        assert time.monotonic() - silent_s < 3.0
        expect(seen.locator("#tile-words")).to_have_text(
            re.compile(r"No word from control for [34] s"), timeout=SOON_MS
        )
        expect(seen.locator("#tile-moved")).to_have_text("The last that was heard: active.")
        expect(seen.locator("#tile-next")).to_contain_text("use the robot's own stop")
        assert seen.evaluate("'old' in document.body.dataset")
        assert seen.title().startswith("no word")
        robot.is_silent = False
        state(seen, "active")
        assert not seen.evaluate("'old' in document.body.dataset")


def test_a_page_that_is_open_over_a_restart_comes_back_and_says_so(
    browser: Browser, robot: PublishedRobot, run_dir: Path
) -> None:
    del robot
    with serving(run_dir, robot_shown(jaw_arm())) as first:
        port = first.port
        with serving(run_dir, robot_shown(jaw_arm(), boot="other")) as other, looking(browser, other.url) as unrelated:
            state(unrelated, "active")
        context = browser.new_context()
        seen = context.new_page()
        seen.goto(first.url)
        state(seen, "active")
    state(seen, "no word")
    expect(seen.locator("#lost")).to_contain_text("No word from the page's server for", timeout=SOON_MS)
    expect(seen.locator("#stop")).to_be_visible()
    with serving(run_dir, robot_shown(jaw_arm(), boot="second"), port):
        state(seen, "active")
        expect(seen.locator("#lost")).to_be_hidden()
        expect(seen.locator("#back")).to_have_text(
            re.compile(r"Back at [\d:]+, after \d+ s: the page's server was started again\.")
        )
    context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_stop_is_the_biggest_thing_and_always_in_sight(
    browser: Browser, page: ServedPage, size: tuple[int, int]
) -> None:
    with looking(browser, page.link, size) as seen:
        state(seen, "active")
        areas = seen.evaluate(
            "[...document.querySelectorAll('button, input, select, a, output, .bar')]"
            ".map(e => e.getBoundingClientRect()).map(r => r.width * r.height)"
        )
        stop = seen.locator("#stop").bounding_box()
        assert stop is not None
        assert stop["width"] * stop["height"] == max(areas)
        assert stop["width"] * stop["height"] > 1.5 * sorted(areas)[-2]
        assert stop["height"] >= 70
        for height in (0, 600, 100_000):
            seen.evaluate(f"scrollTo(0, {height})")
            box = seen.locator("#stop").bounding_box()
            assert box is not None
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= size[1]
        texts = seen.evaluate(
            "[...document.querySelectorAll('button')].map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert texts[0] == max(texts)


def test_the_keyboard_reaches_the_stop_first_and_everything_else_after(browser: Browser, page: ServedPage) -> None:
    with looking(browser, page.link) as seen:
        state(seen, "active")
        seen.keyboard.press("Tab")
        assert seen.evaluate("document.activeElement.id") == "stop"
        reached = set()
        for _ in range(40):
            seen.keyboard.press("Tab")
            reached.add(seen.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert {"unlock", "Reset", "Disarm", "sentence", "events-list", "recordings-look"} <= reached
        assert "elbow_flex" in reached
        seen.locator(".axis button", has_text="elbow_flex").focus()
        seen.keyboard.press("Enter")
        expect(seen.locator("#curve-axis")).to_have_text("elbow_flex")
        seen.locator("#stop").focus()
        seen.keyboard.press("Enter")
        expect(seen.locator("#answer")).to_contain_text("IT MAY STILL BE MOVING", timeout=SOON_MS)


def test_the_stop_is_asked_for_when_a_finger_is_down(browser: Browser, page: ServedPage) -> None:
    with looking(browser, page.link, PHONE) as seen:
        state(seen, "active")
        with seen.expect_request(lambda asked: asked.url.endswith("/api/requests/stop")) as asked:
            seen.locator("#stop").dispatch_event("pointerdown", {"button": 0})
        assert asked.value.headers["authorization"] == f"Bearer {page.token}"
        assert "cookie" not in asked.value.headers


def test_a_link_brings_the_token_once_and_it_stays_nowhere_in_sight(browser: Browser, page: ServedPage) -> None:
    with looking(browser, page.link) as seen:
        expect(seen.locator("#access")).to_have_text("Requests are open", timeout=SOON_MS)
        assert seen.url == page.url
        assert page.token not in seen.content()
        assert seen.evaluate("history.length") <= 2
        seen.reload()
        expect(seen.locator("#access")).to_have_text("Requests are open", timeout=SOON_MS)
        assert seen.evaluate("document.cookie") == ""


def test_a_token_is_typed_and_forgotten(browser: Browser, page: ServedPage) -> None:
    with looking(browser, page.url) as seen:
        expect(seen.locator("#access")).to_have_text("For looking, until the token is entered", timeout=SOON_MS)
        expect(seen.locator("#requests")).to_be_hidden()
        seen.locator("#stop").click()
        expect(seen.locator("#token-words")).to_contain_text("use the robot's own stop")
        seen.locator("#token-input").fill("abcd-abcd-abcd-abcd-abcd")
        seen.locator("#token-form button[type=submit]").click()
        expect(seen.locator("#token-answer")).to_contain_text("That is not the page's token.")
        seen.locator("#token-input").fill(page.token.upper().replace("-", " "))
        seen.keyboard.press("Enter")
        expect(seen.locator("#access")).to_have_text("Requests are open")
        expect(seen.locator("#requests")).to_be_visible()
        seen.locator("#unlock").click()
        seen.locator("#token-forget").click()
        expect(seen.locator("#requests")).to_be_hidden()


def test_a_page_for_looking_says_whose_stop_to_use(browser: Browser, robot: PublishedRobot, run_dir: Path) -> None:
    del robot
    shown = robot_shown(jaw_arm(), takes_requests=False)
    with serving(run_dir, shown, with_token=False) as page, looking(browser, page.url) as seen:
        state(seen, "active")
        seen.locator("#stop").click()
        expect(seen.locator("#answer")).to_contain_text("USE THE ROBOT'S OWN STOP")
        expect(seen.locator("#unlock")).to_be_hidden()
        make_token(run_dir / "page_token.json")
        seen.reload()
        expect(seen.locator("#unlock")).to_be_visible(timeout=SOON_MS)


def test_what_is_not_possible_says_why_and_arming_asks_first(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    with looking(browser, page.link) as seen:
        state(seen, "active")
        reset = seen.locator('#buttons [data-request="reset"]')
        expect(reset).to_have_attribute("aria-disabled", "true")
        reset.click(force=True)
        expect(seen.locator("#answer")).to_have_text("Reset: There is nothing to reset.")
        robot.say(state=ControlState.READY)
        state(seen, "ready")
        arm = seen.locator('#buttons [data-request="arm"]')
        expect(arm).to_have_attribute("aria-disabled", "false")
        arm.click()
        expect(seen.locator("#sure")).to_contain_text("Arm only where you see it, and nobody is.")
        with seen.expect_request(lambda asked: asked.url.endswith("/api/requests/stop")):
            seen.locator("#stop").click(timeout=2000)
        expect(seen.locator("#sure")).to_be_visible()
        seen.keyboard.press("Escape")
        expect(seen.locator("#sure")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_on_it_keeps_anybody_out(
    browser: Browser, robot: PublishedRobot, page: ServedPage, size: tuple[int, int], scheme: str
) -> None:
    robot.update = an_update(UpdateState.PROBATION, trial="3 of 5 attempts succeeded")
    with looking(browser, page.link, size, scheme=scheme) as seen:
        for one in (
            {"state": ControlState.ACTIVE},
            {"state": ControlState.READY},
            {"state": ControlState.FAULT, "faults": (KernelReason.TRACKING_ERROR,)},
        ):
            robot.say(**one)
            state(seen, one["state"].value)  # type: ignore[attr-defined]
            no_violations(seen)
        robot.is_silent = True
        state(seen, "no word")
        no_violations(seen)
        seen.locator("#unlock").click()
        no_violations(seen)


def no_violations(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


def many_axes(count: int) -> Embodiment:
    """A robot with the longest names that people give, and with as many cameras as there may be."""
    axes = tuple(revolute(f"left_hand_little_finger_joint_{index}") for index in range(count))
    cameras = tuple(Camera(name=f"camera_{k}", width_px=64, height_px=48, rate_hz=10.0) for k in range(3))
    return Embodiment(name="many", groups=(Group(name="hand", kind="hand", axes=axes),), cameras=cameras)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["gantry", "two_arms_7", "hand_24", "mobile_manipulator", "continuous_arm", "many_32"])
def test_three_to_thirty_two_axes_fit(browser: Browser, run_dir: Path, name: str, size: tuple[int, int]) -> None:
    embodiment = many_axes(32) if name == "many_32" else OTHER_ROBOTS[name]
    with (
        PublishedRobot(run_dir, embodiment),
        serving(run_dir, robot_shown(embodiment)) as page,
        looking(browser, page.link, size) as seen,
    ):
        state(seen, "active")
        rows = seen.locator(".axis")
        expect(rows).to_have_count(len(embodiment.axes))
        expect(rows.last.locator("output")).not_to_have_text("–")
        assert seen.evaluate("document.documentElement.scrollWidth") <= size[0]
        clipped = seen.evaluate(
            "[...document.querySelectorAll('.axis button, .axis output, dd, section > p')]"
            ".filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        )
        assert clipped == []
        units = [axis.unit for axis in embodiment.axes]
        shown = [one.inner_text() for one in rows.locator("output").all()]
        assert all(text.endswith(unit) for text, unit in zip(shown, units, strict=True)), shown
        rows.last.locator("button").click()
        expect(seen.locator("#curve-axis")).to_have_text(embodiment.axis_names[-1])
        expect(seen.locator("#curve-words")).to_contain_text(f"{units[-1]}.", timeout=SOON_MS)


def test_chunks_and_latency_are_told(browser: Browser, robot: PublishedRobot, page: ServedPage) -> None:
    with looking(browser, page.link) as seen:
        expect(seen.locator("#chunks-words")).to_contain_text(
            re.compile(r"reaches another 0\.90 s\. In ten seconds \d+ came: \d+ followed, 0 replaced, 0 refused\."),
            timeout=SOON_MS,
        )
        rows = [one.inner_text().split("\t") for one in seen.locator("#latency-rows tr").all()]
        assert [row[0].strip() for row in rows] == ["capture", "wait", "inference", "buffer", "loop", "total"]
        assert rows[2][1] == "64.0 ms"
        robot.refusal = Refusal.STALE
        expect(seen.locator("#chunks-refused")).to_contain_text("Refused because: came too late.", timeout=SOON_MS)


def test_margins_and_speed_are_told(browser: Browser, robot: PublishedRobot, page: ServedPage) -> None:
    reduced = ReducedSpeed(tool_speed_max_m_s=0.25, speed_scale=0.3)
    robot.say(stop_margin=-0.01, stop_margin_axis=2, stop_margin_m=0.004, reduced=reduced, speed_scale=0.3)
    with looking(browser, page.link) as seen:
        margins = seen.locator("#margins-list")
        expect(margins).to_contain_text("−0.0100 rad, elbow_flex", timeout=SOON_MS)
        expect(margins).to_contain_text("4 mm, at least 10 mm is kept")
        expect(margins).to_contain_text("30% of the joints' limits, reduced to 0.25 m/s at the tool by an operator")
        assert margins.locator('dd[data-tone="bad"]').count() == 2


def an_update(standing: UpdateState, **changes: Any) -> UpdateStatus:
    fields: dict[str, Any] = {
        "stamp_ns": 1,
        "pid": 7,
        "state": standing,
        "running": BUNDLE,
        "running_counter": 3,
        "release": f"bundles/pocket/{'ef' * 32}.json",
        "release_counter": 4,
    }
    return UpdateStatus(**{**fields, **changes})


def test_an_update_is_told_from_its_download_to_its_rollback(
    browser: Browser, robot: PublishedRobot, page: ServedPage
) -> None:
    with looking(browser, page.link) as seen:
        state(seen, "active")
        expect(seen.locator("#update")).to_be_hidden()
        robot.update = an_update(UpdateState.DOWNLOADING, bytes_done=25_000_000, bytes_total=100_000_000)
        expect(seen.locator("#update-bytes")).to_have_text("25.0 of 100.0 MB, 25 %", timeout=SOON_MS)
        assert seen.locator("#update-progress").evaluate("e => e.value") == 0.25
        robot.update = an_update(UpdateState.PROBATION, trial="3 of 5 attempts succeeded", running="ef" * 32)
        expect(seen.locator("#update-state")).to_have_text("on trial", timeout=SOON_MS)
        expect(seen.locator("#update-list")).to_contain_text("3 of 5 attempts succeeded")
        robot.update = an_update(UpdateState.ROLLING_BACK, reason="success", detail="5 failed, 0 succeeded")
        expect(seen.locator("#update-state")).to_have_text("rolling back", timeout=SOON_MS)
        robot.update = an_update(UpdateState.FAILED, reason="success", detail="5 failed, 0 succeeded")
        expect(seen.locator("#update-state")).to_have_text("given up or rolled back", timeout=SOON_MS)
        expect(seen.locator("#update-list")).to_contain_text("5 failed, 0 succeeded")
        expect(seen.locator("#events-list")).to_contain_text("rolled back to", timeout=SOON_MS)


def test_events_are_told_once_newest_first(browser: Browser, robot: PublishedRobot, page: ServedPage) -> None:
    with looking(browser, page.link) as seen:
        state(seen, "active")
        robot.say(state=ControlState.FAULT, faults=(KernelReason.FORCE,))
        state(seen, "fault")
        newest = seen.locator("#events-list li").first
        expect(newest).to_contain_text(f"Stop by force: {REASONS[KernelReason.FORCE].meaning}.")
        count = seen.locator("#events-list li").count()
        time.sleep(1.0)
        assert seen.locator("#events-list li").count() == count


def test_cameras_are_seen_live(browser: Browser, page: ServedPage) -> None:
    with looking(browser, page.link) as seen:
        picture = seen.locator("#pictures img")
        expect(picture).to_have_attribute("alt", "scene camera", timeout=SOON_MS)
        assert picture.evaluate("e => [e.naturalWidth, e.naturalHeight]") == [64, 48]
        first = picture.get_attribute("src")
        assert wait_until(lambda: picture.get_attribute("src") != first)


def test_words_from_elsewhere_are_words(browser: Browser, robot: PublishedRobot, page: ServedPage) -> None:
    robot.engine = {"instruction": "<img src=x onerror=alert(1)> `[stop]`"}
    with looking(browser, page.link) as seen:
        expect(seen.locator("#policy-list")).to_contain_text("<img src=x onerror=alert(1)> `[stop]`", timeout=SOON_MS)
        assert seen.locator("#policy-list img").count() == 0
