"""A robot's signed word, taken by the real hub in its own process; and what happens where it is not taken."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_runtime.bundles.slots import Slot
from edge_runtime.contracts.errors import ConfigError, OtaError, OtaRefusal
from edge_runtime.contracts.report import StatusReport
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.settings import reporting_of
from edge_runtime.ota.agent.status_report import Reporting, read_key, report_of, send_report
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.lifecycle.effects import EndableClock
from edge_runtime.ota.lifecycle.journal import Journal, Update
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.releases.key_files import create_key, load_signer
from edge_runtime.testing.web_server import WebServer
from hub.db.connection import open_database
from hub.fleet.reports import Reports
from tests.hub.served import ServedHub
from tests.ota.repositories import IMPATIENT, NETWORK
from tests.ota.store_exercise import arm_of, open_runner, release
from tests.ota.updated_robot import ROBOT, Scene

UPDATE = Update("bundles/toy/" + "1" * 64 + ".json", "2" * 64, 7)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    hub = ServedHub(tmp_path / "served")
    yield hub
    hub.close()


def heard(served: ServedHub) -> StatusReport | None:
    stored = Reports(open_database(served.hub.folder)).newest(ROBOT)
    return None if stored is None else stored.report


def send(reporting: Reporting, journal: Journal, active: Slot | None = None) -> None:
    with HttpTransport(NETWORK, EndableClock(never)) as transport:
        send_report(reporting, transport, journal, active or Slot())


def refusal(reporting: Reporting) -> OtaRefusal:
    with pytest.raises(OtaError) as caught:
        send(reporting, Journal())
    return caught.value.refusal


def test_the_hub_hears_what_the_journal_and_the_pointer_say(served: ServedHub) -> None:
    reporting = Reporting(served.url, ROBOT, served.enrol(ROBOT))
    send(reporting, Journal())
    first = heard(served)
    assert first is not None
    assert (first.running_bundle, first.running_counter, first.state) == ("shipped", 0, "idle")
    journal = Journal(UpdateState.DOWNLOADING, UPDATE, reason="unreachable", refused=Update("x", "y", 3))
    send(reporting, journal, Slot("a" * 64, 5))
    said = heard(served)
    assert said is not None
    assert (said.running_bundle, said.running_counter) == ("a" * 64, 5)
    assert (said.state, said.update_counter, said.refused_counter, said.reason) == ("downloading", 7, 3, "unreachable")


def test_a_robot_that_is_not_known_or_has_another_key_is_told_so(served: ServedHub) -> None:
    key = served.enrol("arm-2")
    assert refusal(Reporting(served.url, ROBOT, key)) is OtaRefusal.NOT_FOUND
    served.enrol(ROBOT)
    assert refusal(Reporting(served.url, ROBOT, key)) is OtaRefusal.FORBIDDEN
    assert heard(served) is None
    served.stop()
    assert refusal(Reporting(served.url, ROBOT, key)) is OtaRefusal.UNREACHABLE


@pytest.mark.parametrize("answer", [b"no json", b'{"nonce": "short"}', b"{}", b"\xff"])
def test_what_is_no_nonce_is_not_signed(tmp_path: Path, answer: bytes) -> None:
    create_key(tmp_path, ROBOT)
    key = load_signer(tmp_path / f"{ROBOT}.key")
    with WebServer({f"/v1/robots/{ROBOT}/nonce": answer}) as server:
        assert refusal(Reporting(server.url, ROBOT, key)) is OtaRefusal.METADATA_MALFORMED
        assert [request.path for request in server.requests] == [f"/v1/robots/{ROBOT}/nonce"]


def test_a_hub_that_keeps_silent_does_not_hold_the_agent_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, HttpTransport(IMPATIENT, EndableClock(never)) as transport:
        started_s = time.monotonic()
        with pytest.raises(OtaError) as caught:
            transport.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}")
        assert caught.value.refusal is OtaRefusal.SLOW_RETRIEVAL
        assert time.monotonic() - started_s < 15.0 * IMPATIENT.silence_s


@pytest.mark.parametrize("state", UpdateState)
def test_every_state_of_an_update_can_be_reported(state: UpdateState) -> None:
    report = report_of(ROBOT, "0" * 32, Journal(state, UPDATE, reason="x" * 9999), Slot())
    assert report.state == state.value
    assert len(report.reason) == 500


def test_why_nothing_new_is_begun_is_told_and_does_not_hide_why_it_failed() -> None:
    def reason(journal: Journal, refusal: OtaRefusal) -> str:
        return report_of(ROBOT, "0" * 32, journal, Slot(), str(refusal)).reason

    idle = Journal(reason="golden_differs", refused=UPDATE)
    assert reason(idle, OtaRefusal.INCOMPATIBLE_GPU) == "incompatible_gpu"
    assert reason(idle, OtaRefusal.REFUSED_BEFORE) == "golden_differs"
    assert reason(Journal(UpdateState.DOWNLOADING, UPDATE, reason="no_space"), OtaRefusal.UNREACHABLE) == "no_space"


def test_keys_that_are_none_are_refused(tmp_path: Path) -> None:
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (b"", b"no key", rsa):
        with pytest.raises(ValueError, match="is no"):
            read_key(data)
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        (tmp_path / "bad.key").write_bytes(rsa)
        scene.report_to("https://hub.example", tmp_path / "bad.key")
        with pytest.raises(ConfigError, match=r"ota\.robot_key.*is no Ed25519 key"):
            reporting_of(scene.config)
        assert scene.settings.store, "looking at a robot needs no key"


def test_the_agent_tells_the_hub_that_an_update_is_ready(tmp_path: Path, served: ServedHub) -> None:
    served.enrol(ROBOT)
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        scene.report_to(served.url, served.folder / "keys" / f"{ROBOT}.key")
        scene.assign(scene.publish(scene.bundle("1")), 1)
        (tmp_path / "run").mkdir()
        command = ("-m", "edge_runtime.ota", "--config", scene.config_path, "--run-dir", tmp_path / "run")
        process = subprocess.Popen([sys.executable, *map(str, command)], stderr=subprocess.PIPE)
        try:
            deadline_s = time.monotonic() + 60.0
            while ((said := heard(served)) is None or said.state != "ready") and time.monotonic() < deadline_s:
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30.0)
        assert said is not None, errors.decode()
        assert (said.state, said.update_counter, said.running_bundle) == ("ready", 1, "shipped")


def test_what_an_update_waits_for_is_told_with_its_detail(work: Path) -> None:
    arm = arm_of(work)
    arm.online = False
    with open_runner(work, arm) as runner:
        runner.recover()
        runner.assign(release(work, "2"), 2)
        journal, why = runner.journal, runner.held_up_by
    assert (journal.state, journal.reason, why) == (UpdateState.DOWNLOADING, "unreachable", "no network")

    def reason(refusal: str, detail: str) -> str:
        return report_of(ROBOT, "0" * 32, journal, Slot(), refusal, detail).reason

    assert reason("unreachable", why) == "unreachable: no network"
    # Of something else that went on meanwhile nothing is told in its place.
    assert reason("rollback", "counter 1 after 2") == "unreachable"
    assert len(reason("unreachable", "x" * 9999)) == 500
