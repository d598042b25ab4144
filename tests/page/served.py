"""A page that is served in this process, of a robot that publishes; and a browser that looks at it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from edge_runtime.client.updates import plain_release, short
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.page.about import axis_shown
from edge_runtime.page.asking import Asking
from edge_runtime.page.gathered import Gathered
from edge_runtime.page.options import LOOPBACK
from edge_runtime.page.origins import Origins
from edge_runtime.page.pictures import Pictures
from edge_runtime.page.recordings import Recordings
from edge_runtime.page.server import PageServer, Served
from edge_runtime.page.shown import VERSION, GroupShown, RobotShown
from edge_runtime.page.tokens import Tokens, make_token

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 900), (390, 844)


def robot_shown(embodiment: Embodiment, **changes: Any) -> RobotShown:
    """What a page says of a robot of that type."""
    robot = RobotShown(
        version=VERSION,
        boot="first",
        name=f"{embodiment.name}-1",
        embodiment=embodiment.name,
        driver="./driver.py",
        runtime_version="0.2.0",
        run_dir="",
        groups=tuple(
            GroupShown(name=group.name, kind=group.kind, axes=tuple(axis_shown(axis) for axis in group.axes))
            for group in embodiment.groups
        ),
        cameras=tuple(camera.name for camera in embodiment.cameras),
        clearance_min_m=0.01,
        tool_speed_max_m_s=1.0,
        has_updates=False,
        takes_requests=True,
        takes_arming=True,
        needs_token=False,
    )
    return msgspec.structs.replace(robot, **changes)


@dataclass
class ServedPage:
    """A page that answers at `url`; `link` opens it with its token."""

    port: int
    token: str
    robot: RobotShown
    server: PageServer

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/"

    @property
    def link(self) -> str:
        return f"{self.url}#token={self.token}"

    def ask(
        self, method: str, path: str, *, body: object = None, token: str = "", origin: str | None = "", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of an answer; `origin` "": this page's own, None: none."""
        sent = dict(headers)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if origin is not None:
            sent["Origin"] = origin or self.url.rstrip("/")
        data = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(content) if is_json else content, dict(answer.headers)
        finally:
            connection.close()


@contextlib.contextmanager
def serving(run_dir: Path, robot: RobotShown, port: int = 0, *, with_token: bool = True) -> Iterator[ServedPage]:
    """A page of the robot in `run_dir`."""
    path = run_dir / "page_token.json"
    token = make_token(path) if with_token else ""
    with contextlib.ExitStack() as stack:
        gathered = stack.enter_context(Gathered(robot, run_dir, short, plain_release))
        pictures = Pictures(run_dir)
        stack.callback(pictures.close)
        served = Served(
            robot=robot,
            gathered=gathered,
            pictures=pictures,
            recordings=Recordings(run_dir / "black_box"),
            asking=Asking(run_dir, takes_arming=robot.takes_arming),
            tokens=Tokens(path),
            origins=Origins(LOOPBACK),
        )
        server = PageServer(LOOPBACK, port, served)
        server.start()
        stack.callback(server.close)
        yield ServedPage(server.server_port, token, robot, server)


def browser_path() -> str:
    """The browser that this machine has, by apt: chromium."""
    found = os.environ.get("EDGE_TEST_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found is not None, "no browser: apt-get install chromium"
    return found


@contextlib.contextmanager
def a_browser() -> Iterator[Browser]:
    """A real browser without a screen."""
    with sync_playwright() as playwright:
        # Without a sandbox, as tests run as root in containers, and open nothing but this page.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        yield browser
        browser.close()


@contextlib.contextmanager
def looking(browser: Browser, url: str, size: tuple[int, int] = DESKTOP, *, scheme: Any = "light") -> Iterator[Page]:
    """A page that is open; fails on an error of its scripts, and on anything that it asks of another host."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    origin = url.split("#", maxsplit=1)[0]
    page.on("request", lambda asked: None if asked.url.startswith((origin, "blob:")) else wrong.append(asked.url))
    page.goto(url)
    try:
        yield page
        assert wrong == []
    finally:
        context.close()
