"""What came over the network is shown, and does nothing to whoever looks at it: terminal, log, JSON."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, TargetFile, Targets

from edge_runtime.contracts.assignment import ReleaseTerms, custom_of
from edge_runtime.releases.sign import expiry
from hub.cli import main as edge_hub
from tests.hub.served import ServedHub
from tests.ota.repositories import HARDWARE

HOSTILE = "all well)\narm-2: runs\r\x1b[2J\x1b]0;title\x07\x9b31m\u202eesrever\u2066\u200b\u2028end\x85\ufeff"
SHOWN = r"all well)\narm-2: runs\r\x1b[2J\x1b]0;title\x07\x9b31m\u202eesrever\u2066\u200b\u2028end\x85\ufeff"


def is_safe(text: str) -> bool:
    """Nothing but visible characters, line feeds and plain spaces."""
    return all(char == "\n" or char.isprintable() for char in text)


@pytest.mark.parametrize("state", ["downloading", "failed", "idle"])
def test_a_robots_words_are_shown_and_make_no_lines(
    served: ServedHub, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    key = served.enrol("arm-1")
    release = served.publish("first")
    served.assign(release, "arm-1")
    sent = served.report(key, "arm-1", state=state, update_counter=1 if state != "idle" else 0, reason=HOSTILE)
    assert sent.status_code == 200
    capsys.readouterr()
    assert edge_hub(["status", str(served.hub.folder)]) == 0
    said = capsys.readouterr().out
    assert SHOWN in said
    assert is_safe(said)
    assert not any(line.startswith("arm-2") for line in said.splitlines())
    assert edge_hub(["status", str(served.hub.folder), "--json"]) == 0
    said = capsys.readouterr().out
    assert is_safe(said)
    assert json.loads(said)["robots"][0]["report"]["reason"] == HOSTILE
    for path in ("robots", "progress"):
        answer = served.http.get(f"{served.url}/v1/{path}", headers=served.operator)
        assert is_safe(answer.text)
    assert answer.json()[0]["robots"] == 1


def test_why_a_robot_waits_in_its_download_is_said(served: ServedHub, capsys: pytest.CaptureFixture[str]) -> None:
    release = served.publish("first")
    for robot, reason in (
        ("arm-1", "no_space: staging 5000000 bytes: No space left on device"),
        ("arm-2", "blob_altered: 1024 bytes of packs/x.pack are not y; gave up after 6"),
        ("arm-3", ""),
    ):
        key = served.enrol(robot)
        served.assign(release, robot)
        served.report(key, robot, state="downloading", update_counter=1, reason=reason)
    assert edge_hub(["status", str(served.hub.folder)]) == 0
    said = capsys.readouterr().out
    assert "(no_space: staging 5000000 bytes: No space left on device)" in said
    assert "3 under_way: " in said
    for part in ("1 downloading (no_space)", "1 downloading (blob_altered)", "1 downloading"):
        assert part in said
    states = served.http.get(f"{served.url}/v1/progress", headers=served.operator).json()[0]["states"]
    assert states == {"downloading (no_space)": 1, "downloading (blob_altered)": 1, "downloading": 1}


def test_what_is_refused_is_one_line(served: ServedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = str(served.hub.folder)
    name = f"arm-9{HOSTILE}"
    for command in (
        ["robots", "retire", hub, name],
        ["robots", "repair", hub, name],
        ["assign", hub, f"bundles/{HOSTILE}", "--hardware", HARDWARE, "--robot", name],
        ["assign", hub, "bundles/x", "--hardware", HOSTILE, "--robot", name, "--not-enrolled"],
        ["publish", hub, str(tmp_path / "a\nb\x1b[31m.json"), str(tmp_path)],
        ["show", str(tmp_path / "no\x1bwhere")],
    ):
        capsys.readouterr()
        assert edge_hub(command) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert is_safe(said), command
    for url in (f"{served.url}/v1/robots/{'%1B%5B2J%C2%9B'}/nonce", f"{served.url}/v1/robots/%E2%80%AEx/nonce"):
        answer = served.http.get(url)
        assert answer.status_code == 404
        assert is_safe(answer.text)


def test_a_draft_is_shown_before_it_is_approved(
    served: ServedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = TargetFile.from_data("placeholder", b"x", ["sha256"])
    target.path = f"bundles/{HOSTILE}"
    target.unrecognized_fields["custom"] = custom_of(ReleaseTerms(hardware=(HARDWARE,), release_counters=(1,)))
    draft = Metadata(Targets(version=1, expires=expiry(time.time(), 9), targets={target.path: target}))
    (tmp_path / "draft.json").write_bytes(draft.to_bytes())
    key = served.hub.development_keys / "approver.key"
    assert edge_hub(["approve", str(tmp_path / "draft.json"), "--key", str(key)]) == 0
    said = capsys.readouterr().out
    assert is_safe(said)
    assert SHOWN in said


def test_the_log_holds_lines_of_the_hub_alone(served: ServedHub, tmp_path: Path) -> None:
    served.stop()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", str(served.hub.folder), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("serving"))
            host, port = line.split("//")[1].strip().split(":")
            for request in (
                b"GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31mred\r\n\r\n",
                b"\x1b[2JGET / HTTP/1.1\r\n\r\n",
                b"GET /\x9b2J HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\x1b\r\nConnection: upgrade\r\n\r\n",
            ):
                with socket.create_connection((host, int(port)), timeout=5.0) as peer:
                    peer.sendall(request)
                    peer.recv(100)
        finally:
            process.terminate()
            process.communicate(timeout=30.0)
    assert is_safe((tmp_path / "log").read_text())
