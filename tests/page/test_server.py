"""The page's server: looks are for all, requests for the token alone, and nothing for a page from elsewhere."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import ProcessError
from edge_runtime.contracts.messages import ControlState
from edge_runtime.page.options import LOOPBACK
from edge_runtime.page.port import require_free_port
from edge_runtime.page.server import schema
from edge_runtime.page.shown import Look, RobotShown
from edge_runtime.testing.other_robots import OTHER_ROBOTS, jaw_arm
from edge_runtime.testing.published_robot import PublishedRobot, wait_until
from tests.page.served import ServedPage, robot_shown, serving

import msgspec  # isort: skip


def a_look(page: ServedPage, query: str = "") -> Look:
    status, value, _ = page.ask("GET", f"/api/look{query}")
    assert status == 200
    return msgspec.convert(value, Look)


def test_a_look_has_the_shape_that_is_written_down(page: ServedPage) -> None:
    assert wait_until(lambda: a_look(page).standing.state == "active")
    look = a_look(page, "?axis=1")
    assert (look.standing.tone, look.standing.why, look.standing.next_step) == ("good", (), "")
    assert look.control_age_s is not None
    assert look.control_age_s < 1.0
    assert len(look.measured) == len(look.commanded) == 6
    assert look.curve.axis == 1
    assert len(look.curve.t_s) == len(look.curve.planned) == len(look.curve.measured)
    assert [part.name for part in look.latency] == ["capture", "wait", "inference", "buffer", "loop", "total"]
    assert wait_until(lambda: a_look(page).latency[0].p50_ms is not None)
    assert {part.name: part.p50_ms for part in a_look(page).latency} == pytest.approx(
        {"capture": 7.5, "wait": 1.5, "inference": 64.0, "buffer": 1.2, "loop": 1.7, "total": 75.9}
    )
    robot = msgspec.convert(page.ask("GET", "/api/robot")[1], RobotShown)
    assert robot.boot == look.boot
    assert [axis.name for axis in robot.groups[0].axes][-1] == "gripper"
    names = set(page.ask("GET", "/api/schema.json")[1])
    assert names == set(schema())
    assert {"Look", "RobotShown", "Answered", "RecordingOpened", "Standing", "Curve"} <= names


def test_what_is_asked_for_again_is_only_what_is_new(page: ServedPage) -> None:
    assert wait_until(lambda: a_look(page).curve.number > 5)
    first = a_look(page)
    time.sleep(0.3)
    second = a_look(page, f"?since={first.curve.number}&events={first.events[-1].number}")
    assert 1 <= len(second.curve.t_s) < 12
    assert second.curve.t_s[0] > first.curve.t_s[-1]
    assert second.events == ()


@pytest.mark.parametrize(
    "query", ["?axis=99", "?axis=-1", "?since=abc", "?axis=1e9", "?axis=" + "9" * 40, "?" + "a&" * 20]
)
def test_a_query_that_makes_no_sense_is_no_error(page: ServedPage, query: str) -> None:
    status, value, _ = page.ask("GET", f"/api/look{query}")
    assert (status, value["version"]) == (200, 1) if "a&a&" not in query else status in (200, 400)


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_robots_of_every_shape_are_shown(run_dir: Path, name: str) -> None:
    embodiment = OTHER_ROBOTS[name]
    with PublishedRobot(run_dir, embodiment), serving(run_dir, robot_shown(embodiment)) as page:
        assert wait_until(lambda: len(a_look(page).measured) == len(embodiment.axes))
        last = len(embodiment.axes) - 1
        assert wait_until(lambda: len(a_look(page, f"?axis={last}").curve.ahead) > 3)


def test_nothing_is_asked_of_the_robot_without_the_token(page: ServedPage) -> None:
    for request in ("stop", "reset", "arm", "instruct", "reduce"):
        for token in ("", "wrong", page.token[:-1]):
            status, value, _ = page.ask("POST", f"/api/requests/{request}", body={}, token=token)
            assert status in (401, 429), (request, token)
            assert value["done"] is False
            assert "token" in value["words"]
    assert page.ask("POST", "/api/token", body={}, token=page.token)[0] == 200


def test_wrong_tokens_are_slowed_down_and_the_right_one_is_never(page: ServedPage) -> None:
    found = [page.ask("POST", "/api/token", body={}, token=f"wrong {k}")[0] for k in range(10)]
    assert found[:5] == [401] * 5
    assert 429 in found
    _, value, headers = page.ask("POST", "/api/token", body={}, token="wrong")
    assert value["words"].startswith("Too many wrong tokens. Try again in")
    assert int(headers["Retry-After"]) > 0
    assert page.ask("POST", "/api/token", body={}, token=page.token)[0] == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://localhost:1", "https://127.0.0.1"])
def test_a_page_from_elsewhere_asks_nothing_even_with_the_token(page: ServedPage, origin: str | None) -> None:
    status, value, _ = page.ask("POST", "/api/requests/stop", body={}, token=page.token, origin=origin)
    assert status == 403
    assert value["words"].startswith("Requests are taken from this page alone")


def test_a_browser_that_says_cross_site_is_refused(page: ServedPage) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert page.ask("POST", "/api/requests/stop", body={}, token=page.token, **headers)[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/api/look", "/api/robot", "/main.js", "/api/cameras/scene.jpg"])
def test_a_name_that_is_not_the_pages_gets_nothing(page: ServedPage, host: str, path: str) -> None:
    status, value, _ = page.ask("GET", path, Host=host)
    assert status == 421
    assert value["words"].startswith("This page is not called that")
    assert page.ask("POST", "/api/requests/stop", body={}, token=page.token, Host=host)[0] == 421


def test_the_headers_keep_everything_else_out(page: ServedPage) -> None:
    for path in ("/", "/main.js", "/page.css", "/uplot/uPlot.esm.js", "/api/look", "/nothing"):
        _, _, headers = page.ask("GET", path)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in headers
        assert "Access-Control-Allow-Origin" not in headers
        assert "Python" not in headers["Server"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/api/recordings/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/api/recordings/", 404),
        ("GET", "/api/cameras/roof.jpg", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/uplot/", 404),
        ("PUT", "/api/requests/stop", 501),
        ("DELETE", "/api/look", 501),
        ("OPTIONS", "/api/requests/stop", 501),
        ("POST", "/api/requests/dance", 404),
        ("POST", "/api/look", 404),
    ],
)
def test_what_there_is_not_is_said(page: ServedPage, method: str, path: str, status: int) -> None:
    body = {} if method == "POST" else None
    found, value, _ = page.ask(method, path, body=body, token=page.token if method == "POST" else "")
    assert found == status
    assert value["done"] is False


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x" * 9000, "application/json", 413),
        (b"{", "application/json", 400),
        (b'{"text": 1}', "application/json", 400),
        (b'{"other": ""}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"text=x", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_request_that_is_none_is_refused(page: ServedPage, body: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind}
    assert page.ask("POST", "/api/requests/reset", body=body, token=page.token, **headers)[0] == status


def test_a_page_without_a_token_is_for_looking_alone(run_dir: Path, robot: PublishedRobot) -> None:
    del robot
    shown = robot_shown(jaw_arm(), takes_requests=False)
    with serving(run_dir, shown, with_token=False) as page:
        assert page.ask("GET", "/api/look")[0] == 200
        status, value, _ = page.ask("POST", "/api/requests/stop", body={}, token="anything")
        assert status == 403
        assert value["words"] == "This page is for looking alone. To open requests: edge-runtime page token."


def test_a_private_page_shows_nothing_without_the_token(run_dir: Path, robot: PublishedRobot) -> None:
    del robot
    with serving(run_dir, robot_shown(jaw_arm(), needs_token=True)) as page:
        for path in ("/api/look", "/api/robot", "/api/recordings", "/api/cameras/scene.jpg"):
            assert page.ask("GET", path)[0] == 401, path
            assert page.ask("GET", path, token=page.token)[0] == 200, path
        assert page.ask("GET", "/")[0] == 200


def test_arming_is_not_taken_where_the_page_is_for_other_machines(run_dir: Path, robot: PublishedRobot) -> None:
    robot.say(state=ControlState.READY)
    with serving(run_dir, robot_shown(jaw_arm(), takes_arming=False)) as page:
        assert wait_until(lambda: a_look(page).standing.state == "ready")
        arm = next(one for one in a_look(page).requests if one.name == "arm")
        assert not arm.is_possible
        for request in ("arm", "resume"):
            _, value, _ = page.ask("POST", f"/api/requests/{request}", body={}, token=page.token)
            assert value["done"] is False
            assert value["words"].startswith("This page can be opened from another room")


def test_a_stop_that_is_not_answered_says_that_it_may_still_be_moving(page: ServedPage) -> None:
    _, value, _ = page.ask("POST", "/api/requests/stop", body={}, token=page.token)
    assert value["done"] is False
    assert value["words"].endswith("IT MAY STILL BE MOVING: use the robot's own stop.")


def test_requests_in_a_row_are_slowed_down(page: ServedPage) -> None:
    asked = ("POST", "/api/requests/instruct")
    found = [page.ask(*asked, body={"text": ""}, token=page.token)[1]["words"] for _ in range(9)]
    assert found[0] == "Type one sentence, of at most 512 characters."
    assert found[-1] == "Too many requests in a row. Wait a few seconds."


def test_connections_that_say_nothing_do_not_keep_others_out(page: ServedPage) -> None:
    idle = [socket.create_connection((LOOPBACK, page.port), timeout=5) for _ in range(40)]
    try:
        assert page.ask("GET", "/api/look")[0] == 200
    finally:
        for one in idle:
            one.close()


def test_more_connections_than_are_served_are_hung_up_and_the_server_lives_on(page: ServedPage) -> None:
    idle = [socket.create_connection((LOOPBACK, page.port), timeout=5) for _ in range(150)]
    time.sleep(0.3)
    for one in idle:
        one.close()
    assert wait_until(lambda: page.server._connections.total() == 0)
    assert page.ask("GET", "/api/look")[0] == 200


def test_pictures_of_cameras_come_and_come_anew(page: ServedPage) -> None:
    assert wait_until(lambda: page.ask("GET", "/api/cameras/scene.jpg")[0] == 200)
    status, picture, headers = page.ask("GET", "/api/cameras/scene.jpg")
    assert status == 200
    assert picture.startswith(b"\xff\xd8\xff")
    assert headers["Content-Type"] == "image/jpeg"
    _, _, later = page.ask("GET", f"/api/cameras/scene.jpg?after={headers['X-Number']}")
    assert int(later["X-Number"]) > int(headers["X-Number"])


def test_a_port_that_is_taken_is_said_before_anything_begins(page: ServedPage) -> None:
    with pytest.raises(ProcessError, match="Address already in use; choose another: --page-port 0"):
        require_free_port(page.port)
    with pytest.raises(ProcessError, match="--listen takes an address of this machine"):
        require_free_port(0, "192.0.2.1")
    assert require_free_port(0) > 0


def test_the_page_asks_nothing_of_another_host_and_makes_no_markup_of_words(page: ServedPage) -> None:
    for path, (kind, content) in page.server.files.items():
        text = content.decode()
        if path.startswith("/uplot/"):
            continue
        assert "://" not in text.replace("http://www.w3.org/2000/svg", ""), path
        for wrong in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=", "onclick="):
            assert wrong not in text, (path, wrong)
        assert kind.startswith(("text/", "image/"))
    assert b"MIT" in page.server.files["/uplot/LICENSE"][1]


def test_what_a_robot_says_is_shown_as_words(run_dir: Path, robot: PublishedRobot) -> None:
    robot.engine = {"instruction": "a\x1b[31m\u202eb<script>"}
    with serving(run_dir, robot_shown(jaw_arm())) as page:
        assert wait_until(lambda: "script" in a_look(page).policy.instruction)
        assert a_look(page).policy.instruction == r"a\x1b[31m\u202eb<script>"
        assert json.dumps(a_look(page).policy.instruction)
