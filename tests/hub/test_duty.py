"""What the server does beside its requests begins again, whatever ended it, and is seen by whoever asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.api.duty import Duty
from hub.cli import main as edge_hub
from hub.hub import make_development_hub
from tests.hub.served import ServedHub


def until(is_so: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.mark.parametrize("raised", [ValueError, OSError, MemoryError, RecursionError, SystemExit, KeyboardInterrupt])
def test_whatever_it_raises_it_begins_again(raised: type[BaseException]) -> None:
    said: list[str] = []
    turns: list[float] = []
    is_ill = True

    def act() -> str:
        turns.append(time.monotonic())
        if is_ill:
            raise raised("\x1b[31mboom\nanother line")
        return ""

    with Duty("the duty", act, 0.2, said.append) as duty:
        until(lambda: len(turns) >= 3)
        assert "boom" in duty.problem
        assert "\n" not in duty.problem
        assert "\x1b" not in duty.problem
        is_ill = False
        until(lambda: not duty.problem)
        began = len(turns)
        until(lambda: len(turns) > began + 1)
    # Said once, and once that it is over: no line each second.
    assert len(said) == 2
    assert said[0].startswith("the duty: ")
    assert said[1] == "the duty: done again"


def test_what_fails_again_and_again_is_tried_less_often() -> None:
    turns: list[float] = []

    def act() -> str:
        turns.append(time.monotonic())
        return "no"

    with Duty("the duty", act, 3600.0, lambda _: None) as duty:
        until(lambda: len(turns) == 3)
        assert duty.problem == "no"
    first, second = turns[1] - turns[0], turns[2] - turns[1]
    assert first > 0.9
    assert second > 1.9


def health(served: ServedHub) -> dict[str, str]:
    answer = served.http.get(f"{served.url}/health")
    assert answer.status_code == 200
    said = answer.json()
    assert said["healthy"] is ("degraded" not in said)
    return {trouble["what"]: trouble["problem"] for trouble in said.get("degraded", [])}


def test_a_server_names_what_is_damaged_and_goes_on_when_it_is_mended(served: ServedHub) -> None:
    release = served.publish("first")
    for robot in ("arm-1", "arm-2", "arm-3"):
        served.enrol(robot)
    served.assign(release, "arm-*")
    metadata = served.hub.folder / "director" / "robots" / "arm-2" / "metadata"
    targets = metadata / "1.targets.json"
    targets.write_bytes(targets.read_bytes()[:300])
    image = served.hub.folder / "image" / "metadata" / "timestamp.json"
    kept = image.read_bytes()
    served.stop()
    image.write_text("{}")
    served.start(ask=False)
    until(lambda: set(health(served)) == {"arm-2", "image repository", "signing anew"})
    assert "1.targets.json" in health(served)["arm-2"]
    assert "timestamp.json" in health(served)["signing anew"]
    listed = {
        robot["robot_id"]: robot for robot in served.http.get(f"{served.url}/v1/robots", headers=served.operator).json()
    }
    assert {name: robot["standing"] for name, robot in listed.items()} == {
        "arm-1": "damaged",  # of the release that it was told nothing can be read
        "arm-2": "damaged",
        "arm-3": "damaged",
    }
    assert "1.targets.json" in listed["arm-2"]["trouble"]
    assert "timestamp.json" in listed["arm-3"]["trouble"]
    for path in ("progress", "assignments"):
        assert served.http.get(f"{served.url}/v1/{path}", headers=served.operator).status_code == 200
    image.write_bytes(kept)
    # Nobody restarts anything.
    until(lambda: set(health(served)) == {"arm-2", "signing anew"})
    assert served.standings() == {"arm-1": "silent", "arm-2": "damaged", "arm-3": "silent"}
    with served.transport() as transport:
        for robot in ("arm-1", "arm-3"):
            assert served.trust(robot, transport).check(time.time()).path == release.target_path
    # As long as it is so, it is said: what was signed meanwhile does not hide what was not.
    time.sleep(5.0)
    assert set(health(served)) == {"arm-2", "signing anew"}
    assert edge_hub(["repair", str(served.hub.folder)]) == 0
    until(lambda: not health(served), 90.0)
    with served.transport() as transport:
        assert served.trust("arm-2", transport).check(time.time()).path == release.target_path


def test_what_lies_in_a_robots_place_is_set_aside(served: ServedHub) -> None:
    release = served.publish("first")
    for robot in ("arm-1", "arm-2"):
        served.enrol(robot)
    served.assign(release, "arm-1")
    robots = served.hub.folder / "director" / "robots"
    (robots / ".damaged.arm-2").mkdir()
    (robots / "arm-2").symlink_to("/nowhere/at/all")
    answer = served.assign(release, "arm-*")
    assert (answer.status_code, answer.json()) == (200, {"counter": 1, "robots": ["arm-1", "arm-2"]})


def test_one_process_serves_a_hub(served: ServedHub) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "hub", "serve", str(served.hub.folder), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "is served already, by edge-hub serve (process " in second.stderr
    assert health(served) == {}
    # However the first one ends, the next may serve.
    served.stop(signal.SIGKILL)
    served.start()


def test_a_port_that_is_taken_is_said_in_a_line(served: ServedHub, tmp_path: Path) -> None:
    make_development_hub(tmp_path / "other", time.time())
    port = served.url.rpartition(":")[2]
    second = subprocess.run(
        [sys.executable, "-m", "hub", "serve", str(tmp_path / "other"), "--port", port],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: 127.0.0.1:{port}: can't listen there: Address already in use")
    assert second.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("show",), ("show", "--json"), ("refresh",)])
def test_who_reads_along_may_go(command: tuple[str, ...], tmp_path: Path) -> None:
    hub = make_development_hub(tmp_path / "hub", time.time())
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "hub", command[0], str(hub.folder), *command[1:]],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60.0,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr in ("", "warning: development keys; do not use with real robots\n")
