"""The page beside the real processes: a stop from a browser, each process killed or paused, and a robot that does not
notice what becomes of its page."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from edge_runtime.client.status import Watcher
from edge_runtime.config.shipped import SIM_CONFIG
from edge_runtime.page.tokens import Tokens
from tests.page.served import PHONE, looking

pytestmark = pytest.mark.realtime

COMMAND = (sys.executable, "-c", "from edge_runtime.entry import main; main()")
UP_S = 60.0
SOON_MS = 15_000


def edge_runtime(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


@dataclass
class RunningRobot:
    """`edge-runtime run` with its page."""

    run_dir: Path
    link: str
    process: subprocess.Popen[str]

    def pid(self, module: str) -> int:
        """Of the process of the table that runs `module`."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if f"edge_runtime.{module}" in child.cmdline():
                return int(child.pid)
        raise AssertionError(f"{module} does not run")

    def state(self) -> str:
        """As control says it to anybody who listens."""
        with Watcher(self.run_dir) as watcher:
            until_s = time.monotonic() + 3.0
            while not watcher.control_state.is_known and time.monotonic() < until_s:
                watcher.receive(0.05)
            return watcher.control_state.value


@pytest.fixture
def robot() -> Iterator[RunningRobot]:
    with tempfile.TemporaryDirectory(prefix="page") as folder:
        run_dir = Path(folder) / "run"
        words = ("run", "--config", SIM_CONFIG, "--run-dir", run_dir, "--page-port", "0")
        process = subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            link = process.stdout.readline().split()[-1]
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=[a-z2-9-]{24}", link), link
            yield RunningRobot(run_dir, link, process)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()


def state(page: Page, words: str) -> None:
    expect(page.locator("#tile-state")).to_have_text(words, timeout=SOON_MS)


def at_work(page: Page) -> None:
    expect(page.locator("#tile-state")).to_have_text(re.compile("active|holding"), timeout=SOON_MS)


def open_at_work(page: Page) -> None:
    """The page may be there a moment before it answers."""
    expect(page.locator("#tile-state")).to_have_text(re.compile("active|holding"), timeout=UP_S * 1000)


@pytest.fixture
def seen(browser: Browser, robot: RunningRobot) -> Iterator[Page]:
    port = int(robot.link.split(":")[2].split("/")[0])
    until_s = time.monotonic() + UP_S
    while time.monotonic() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    with looking(browser, robot.link, PHONE) as page:
        open_at_work(page)
        yield page


def test_a_stop_in_the_browser_stops_the_robot_and_a_person_goes_on_from_there(robot: RunningRobot, seen: Page) -> None:
    seen.locator("#stop").tap() if seen.evaluate("navigator.maxTouchPoints > 0") else seen.locator("#stop").click()
    state(seen, "fault")
    expect(seen.locator("#answer")).to_contain_text("Stopped: control has taken the stop")
    expect(seen.locator("#tile-why li").first).to_contain_text("Stopped by an operator.")
    assert robot.state() == "fault"
    asked = edge_runtime("operator", "status", "--run-dir", robot.run_dir)
    assert "operator_stop" in asked.stdout

    expect(seen.locator("#events-list")).to_contain_text("The black box wrote", timeout=SOON_MS)
    seen.locator("#recordings-look").click()
    seen.locator("#recordings-list button").first.click(timeout=SOON_MS)
    verdict = seen.locator("#opened-verdict")
    expect(verdict).to_contain_text(
        re.compile(r"Identical: ([\d,]+) of \1 ticks came out bit for bit as recorded"), timeout=60_000
    )
    expect(seen.locator("#opened-why")).to_contain_text("Stopped by an operator.")
    assert seen.locator("#opened-axis option").count() == 8
    expect(seen.locator("#opened-states")).to_contain_text("stopping: braking to rest")

    seen.locator("#tile-next button", has_text="Reset").click()
    state(seen, "ready")
    seen.locator("#tile-next button").get_by_text("Arm", exact=True).click()
    seen.locator("#sure-yes").click()
    at_work(seen)
    expect(seen.locator("#events-list")).to_contain_text("Arm was asked for: done.")


def test_speed_is_reduced_and_restored_and_a_run_gives_its_own_instructions(seen: Page) -> None:
    seen.locator("#buttons button", has_text="Reduce speed").click()
    expect(seen.locator("#margins-list")).to_contain_text(
        "reduced to 0.25 m/s at the tool by an operator", timeout=SOON_MS
    )
    seen.locator("#sentence").fill("touch the red cube")
    seen.keyboard.press("Enter")
    expect(seen.locator("#answer")).to_contain_text("A run gives the instructions itself.")
    seen.locator("#buttons button", has_text="Disarm").click()
    state(seen, "ready")
    expect(seen.locator("#tile-why")).to_contain_text("Disarmed by an operator.")
    seen.locator("#buttons button", has_text="Restore speed").click()
    expect(seen.locator("#answer")).to_have_text("Full speed again.")


def test_each_process_that_fails_is_told_by_name(robot: RunningRobot, seen: Page) -> None:
    os.kill(robot.pid("engine"), signal.SIGKILL)
    expect(seen.locator("main")).to_contain_text("policy_dead", timeout=SOON_MS)
    open_at_work(seen)

    driver = robot.pid("drivers")
    os.kill(driver, signal.SIGSTOP)
    expect(seen.locator("#events-list")).to_contain_text("Stop by feedback_stale", timeout=SOON_MS)
    expect(seen.locator("#machine-list")).to_contain_text("driver", timeout=SOON_MS)
    os.kill(driver, signal.SIGCONT)
    open_at_work(seen)

    control = robot.pid("control")
    os.kill(control, signal.SIGSTOP)
    state(seen, "no word")
    expect(seen.locator("#tile-words")).to_contain_text("No word from control for")
    os.kill(control, signal.SIGCONT)
    expect(seen.locator("#events-list")).to_contain_text("Stop by clock_gap", timeout=SOON_MS)


def test_a_robot_does_not_notice_what_becomes_of_its_page(robot: RunningRobot, seen: Page) -> None:
    with Watcher(robot.run_dir) as watcher:
        while watcher.report is None:
            watcher.receive(0.1)

        def ticks_in(seconds: float) -> int:
            until_s, before = time.monotonic() + seconds, watcher.report
            while time.monotonic() < until_s:
                watcher.receive(0.05)
            assert before is not None
            assert watcher.report is not None
            assert watcher.report.faults == ()
            return watcher.report.loop.ticks - before.loop.ticks

        page = robot.pid("page")
        os.kill(page, signal.SIGSTOP)
        state(seen, "no word")
        expect(seen.locator("#lost")).to_contain_text("No word from the page's server", timeout=SOON_MS)
        assert ticks_in(2.0) > 1500
        os.kill(page, signal.SIGCONT)
        at_work(seen)
        # It may be back before its silence is long enough to be told.
        os.kill(page, signal.SIGKILL)
        assert ticks_in(2.0) > 1500
        at_work(seen)
        expect(seen.locator("#back")).to_contain_text("the page's server was started again")
        assert robot.pid("page") != page


def test_a_token_is_made_by_the_command_and_opens_nothing_before_that(tmp_path: Path) -> None:
    made = edge_runtime("page", "token", "--run-dir", tmp_path)
    assert made.returncode == 0, made.stderr
    token = made.stdout.split()[1]
    path = tmp_path / "page_token.json"
    assert Tokens(path).is_right(token)
    assert f"http://127.0.0.1:8600/#token={token}" in made.stdout
    assert token not in path.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listen", "0.0.0.0"), "error: --listen: other machines are served only with a token"),
        (("--name", "arm-1.example"), "error: --listen: other machines are served only with a token"),
        (("--private",), "error: --private: "),
    ],
)
def test_another_machine_is_served_only_with_a_token(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = edge_runtime("page", "--run-dir", tmp_path, "--port", 0, *words)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert "edge-runtime page token" in done.stderr
