"""A release from the operator to the robot and the robot's word back, over real HTTP and the robot's own code."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.fetch import BlobFetcher, FetchSettings, HeldInStore
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.staging import begin
from hub.cli import main as edge_hub
from hub.db.connection import DATABASE_NAME
from tests.hub.served import ServedHub, signed


def test_a_release_reaches_a_robot_and_only_its_word_makes_it_a_success(served: ServedHub) -> None:
    key = served.enrol("arm-1")
    assert served.standings() == {"arm-1": "unassigned"}
    release = served.publish("first")
    assert served.assign(release, "arm-1").json() == {"counter": 1, "robots": ["arm-1"]}
    assert served.standings() == {"arm-1": "silent"}

    store = BlobStore(served.folder / "store")
    store.create()
    with served.transport() as transport:
        trust = served.trust("arm-1", transport)
        assignment = trust.check(time.time())
        seen = trust.release(assignment, time.time())
        assert seen == release
        staging = begin(store, seen)
        fetcher = BlobFetcher(transport, SystemClock(), FetchSettings(f"{served.url}/image/targets"))
        assert fetcher.fetch(seen, staging, HeldInStore(store)).blobs == 2
    assert staging.missing == ()
    # All bytes were fetched, and still nobody says that it runs.
    assert served.standings() == {"arm-1": "silent"}

    counter = assignment.terms.release_counter
    assert served.report(key, "arm-1", state="downloading", update_counter=counter).json() == {"accepted": True}
    assert served.standings() == {"arm-1": "under_way"}
    running = {"running_bundle": seen.bundle_digest, "running_counter": counter}
    assert served.report(key, "arm-1", state="probation", update_counter=counter, **running).status_code == 200
    assert served.standings() == {"arm-1": "under_way"}
    assert served.report(key, "arm-1", state="idle", **running).status_code == 200
    assert served.standings() == {"arm-1": "runs"}


def test_a_restart_keeps_everything(served: ServedHub) -> None:
    key = served.enrol("arm-1")
    release = served.publish("first")
    served.assign(release, "arm-1")
    running = {"running_bundle": release.bundle_digest, "running_counter": 1}
    said = signed(key, "arm-1", served.nonce("arm-1"), **running).canonical_json()
    assert served.send("arm-1", said).status_code == 200
    pending = served.nonce("arm-1")
    token = served.operator
    served.stop(signal.SIGKILL)
    served.start()
    assert served.operator == token
    assert served.standings() == {"arm-1": "runs"}
    assert served.send("arm-1", said).json()["refusal"] == "spent_nonce"
    assert served.send("arm-1", signed(key, "arm-1", pending, **running).canonical_json()).status_code == 200
    with served.transport() as transport:
        assert served.trust("arm-1", transport).check(time.time()).path == release.target_path
    assert served.report(key, "arm-1", **running).status_code == 200


def test_one_of_many_reports_under_one_nonce_is_taken(served: ServedHub) -> None:
    key = served.enrol("arm-1")
    nonce = served.nonce("arm-1")
    reports = [signed(key, "arm-1", nonce, reason=f"{number}").canonical_json() for number in range(12)]
    with ThreadPoolExecutor(12) as together:
        answers = list(together.map(lambda data: served.send("arm-1", data), reports))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    with sqlite3.connect(served.hub.folder / DATABASE_NAME) as database:
        assert database.execute("SELECT count(*) FROM reports").fetchone() == (1,)


def test_commands_see_what_the_server_stored(served: ServedHub, capsys: pytest.CaptureFixture[str]) -> None:
    key = served.enrol("arm-1")
    release = served.publish("first")
    served.assign(release, "arm-1", "arm-2", not_enrolled=True)
    failed = {"state": "failed", "update_counter": 1, "refused_counter": 1, "reason": "golden_check: differs"}
    assert served.report(key, "arm-1", **failed).status_code == 200
    capsys.readouterr()
    assert edge_hub(["status", str(served.hub.folder)]) == 0
    shown = capsys.readouterr().out
    assert "arm-1: failed\n" in shown
    assert "golden_check: differs" in shown
    assert f"assigned: counter 1, {release.target_path}" in shown
    assert "arm-2: silent, not enrolled" in shown
    assert edge_hub(["robots", "retire", str(served.hub.folder), "arm-1"]) == 0
    assert served.http.get(f"{served.url}/v1/robots/arm-1/nonce").json()["refusal"] == "unknown_robot"


def test_the_hub_signs_anew_by_itself(served: ServedHub) -> None:
    # Once when it starts, then every hour: what robots see does not expire while the hub serves.
    deadline_s = time.monotonic() + 20.0
    timestamp = f"{served.url}/image/metadata/timestamp.json"
    while served.http.get(timestamp).json()["signed"]["version"] < 2:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_it_ends_when_it_is_told_to(served: ServedHub) -> None:
    # As a person at the keyboard does it, and as systemd does.
    assert served.stop(signal.SIGINT) == 0
    served.start()
    assert served.stop(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_the_description_says_what_there_is(served: ServedHub) -> None:
    described = served.http.get(f"{served.url}/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), f"{method} {path} says nothing of itself"
    assert {"/v1/releases", "/v1/assignments", "/v1/robots/{robot_id}/reports", "/health"} <= set(described["paths"])


def test_a_body_beyond_its_ceiling_is_not_read(served: ServedHub) -> None:
    served.enrol("arm-1")
    answer = served.send("arm-1", b"x" * 4097)
    assert (answer.status_code, answer.json()["refusal"]) == (413, "oversized")
    assert served.send("arm-1", b"x" * 100_000).status_code == 413
    # A body that is announced and does not come keeps nobody waiting but its sender.
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5.0) as silent:
        silent.sendall(b"POST /v1/robots/arm-1/reports HTTP/1.1\r\nHost: hub\r\nContent-Length: 50\r\n\r\nx")
        assert served.http.get(f"{served.url}/health").status_code == 200
    assert served.http.get(f"{served.url}/health").status_code == 200
