"""The bus over real sockets: whatever arrives, a subscriber returns valid messages and counts the rest."""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from edge_runtime.client.status import Watcher
from edge_runtime.contracts.errors import ProcessError
from edge_runtime.contracts.messages import (
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    OperatorCommand,
    OperatorKind,
    SceneCommand,
)
from edge_runtime.contracts.topics import EPISODE_ENDED, EPISODE_STARTED, OPERATOR, SAFETY_REPORT, SCENE_COMMAND, encode
from edge_runtime.ipc.bus import Publisher, Sender, Subscriber, claim

SAID = dataclasses.replace(OPERATOR, receivers=())
"""A topic as of a process, with small messages."""

COMMAND = OperatorCommand(id=1, kind=OperatorKind.ARM, stamp_ns=5)


@pytest.fixture
def subscriber(tmp_path: Path) -> Iterator[Subscriber]:
    with Subscriber([SAID], tmp_path) as receiver:
        yield receiver


@pytest.fixture
def send_raw(tmp_path: Path) -> Iterator[Callable[[list[bytes]], None]]:
    """Sends any frames on the operator's endpoint, as no honest producer would."""
    with zmq.Context() as context, context.socket(zmq.PUB) as sender:
        sender.setsockopt(zmq.LINGER, 0)
        sender.bind(SAID.endpoint(tmp_path))
        yield sender.send_multipart


def refusals_after(subscriber: Subscriber, send: Callable[[], None], key: str) -> dict[str, int]:
    """Sends until the refusal `key` was counted: the first frames are lost while the connection is made."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        send()
        assert subscriber.receive(0.02) == []
        if key in subscriber.refusals.as_dict():
            return subscriber.refusals.as_dict()
    raise AssertionError(f"{key} was never counted: {subscriber.refusals.as_dict()}")


def test_a_message_arrives_whole(tmp_path: Path, subscriber: Subscriber) -> None:
    with Publisher(SAID, tmp_path) as publisher:
        deadline = time.monotonic() + 30.0
        received: list[object] = []
        while not received and time.monotonic() < deadline:
            publisher.send(COMMAND)
            received = list(subscriber.receive(0.02))
    assert received[0] == COMMAND
    assert subscriber.refusals.as_dict() == {}


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([b""], "malformed"),
        ([b"\x00\xff" * 20], "malformed"),
        ([encode(SAID, COMMAND), b"more"], "malformed"),
        ([encode(SCENE_COMMAND, SceneCommand(id=1, seed=0, split="eval", stamp_ns=0))], "malformed"),
        ([encode(SAID, COMMAND)[:-1]], "malformed"),
        ([b"\x81" * 5000], "oversized"),
        (
            [msgspec.msgpack.encode({"id": 2**63, "kind": "arm", "stamp_ns": 1})],
            "malformed",
        ),
    ],
    ids=["empty", "garbage", "two frames", "another topic's", "cut short", "oversized", "number out of range"],
)
def test_what_is_no_message_is_counted_and_dropped(
    subscriber: Subscriber, send_raw: Callable[[list[bytes]], None], frames: list[bytes], kind: str
) -> None:
    counts = refusals_after(subscriber, lambda: send_raw(frames), f"operator.{kind}")
    assert set(counts) == {f"operator.{kind}"}


def test_a_frame_beyond_the_hard_cap_is_counted_and_costs_the_connection_only_for_a_moment(
    subscriber: Subscriber, send_raw: Callable[[list[bytes]], None]
) -> None:
    refusals_after(subscriber, lambda: send_raw([b"x"]), "operator.malformed")
    send_raw([bytes(2 << 20)])
    received: list[object] = []
    deadline = time.monotonic() + 30.0
    while not received and time.monotonic() < deadline:
        send_raw([encode(SAID, COMMAND)])
        received = list(subscriber.receive(0.02))
    assert received[0] == COMMAND
    assert subscriber.refusals.as_dict()["operator.oversized"] == 1


def test_a_peer_that_does_not_speak_zeromq_is_counted_and_forgotten(tmp_path: Path, subscriber: Subscriber) -> None:
    path = SAID.endpoint(tmp_path).removeprefix("ipc://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as impostor:
        impostor.bind(path)
        impostor.listen()
        impostor.settimeout(30.0)
        connection, _ = impostor.accept()
        with connection:
            connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"BOGUS".ljust(20, b"\0") + bytes(32))
            deadline = time.monotonic() + 30.0
            while not subscriber.refusals.as_dict() and time.monotonic() < deadline:
                subscriber.receive(0.02)
    assert set(subscriber.refusals.as_dict()) == {"operator.malformed"}
    Path(path).unlink()
    with Publisher(SAID, tmp_path) as publisher:
        received: list[object] = []
        while not received and time.monotonic() < deadline:
            publisher.send(COMMAND)
            received = list(subscriber.receive(0.02))
    assert received[0] == COMMAND


def test_a_sender_that_was_killed_is_found_again_and_nothing_is_refused(tmp_path: Path, subscriber: Subscriber) -> None:
    for _ in range(2):
        with Publisher(SAID, tmp_path) as publisher:
            received: list[object] = []
            deadline = time.monotonic() + 30.0
            while not received and time.monotonic() < deadline:
                publisher.send(COMMAND)
                received = list(subscriber.receive(0.02))
        assert received[0] == COMMAND
        subscriber.receive(0.5)
    assert subscriber.refusals.as_dict() == {}


def test_good_messages_pass_between_bad_ones(subscriber: Subscriber, send_raw: Callable[[list[bytes]], None]) -> None:
    received: list[object] = []
    deadline = time.monotonic() + 30.0
    while len(received) < 3 and time.monotonic() < deadline:
        send_raw([b"garbage"])
        send_raw([encode(SAID, COMMAND)])
        send_raw([bytes(3000)])
        received += subscriber.receive(0.02)
    assert received[:3] == [COMMAND] * 3
    assert set(subscriber.refusals.as_dict()) == {"operator.malformed", "operator.oversized"}


def test_a_topic_has_one_sender_per_robot(tmp_path: Path) -> None:
    with Publisher(SAID, tmp_path), pytest.raises(ProcessError, match="already sends this topic"):
        Publisher(SAID, tmp_path)
    with Publisher(SAID, tmp_path) as again:
        again.send(COMMAND)


@pytest.mark.parametrize("folder", ["file", "file/below", "x" * 200, "x" * 300])
def test_a_folder_that_cannot_hold_the_socket_is_an_error_that_says_what_to_do(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProcessError, match="--run-dir"):
        Publisher(SAID, tmp_path / folder)


def test_a_topic_is_free_again_when_its_sender_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.ipc.test_bus import SAID;"
        "from edge_runtime.ipc.bus import Publisher; p = Publisher(SAID, Path(sys.argv[1])); print('up', flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        with pytest.raises(ProcessError):
            Publisher(SAID, tmp_path)
        holder.kill()
    Publisher(SAID, tmp_path).close()


def test_a_sender_never_waits_for_a_subscriber_that_sleeps(tmp_path: Path, subscriber: Subscriber) -> None:
    with Publisher(SAID, tmp_path) as publisher:
        while not subscriber.receive(0.02):
            publisher.send(COMMAND)
        started_s = time.monotonic()
        for _ in range(20_000):
            publisher.send(COMMAND)
        assert time.monotonic() - started_s < 30.0
    assert len(subscriber.receive(1.0)) <= 64


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Subscriber]:
    with Subscriber([OPERATOR], tmp_path, process="control") as receiver:
        yield receiver


def ask_until_heard(sender: Sender, receiver: Subscriber, command: OperatorCommand) -> list[object]:
    received: list[object] = []
    deadline = time.monotonic() + 30.0
    while command not in received:
        assert time.monotonic() < deadline
        sender.send(command)
        received += receiver.receive(0.02)
    return received


def test_several_operators_reach_every_receiver(tmp_path: Path, control: Subscriber) -> None:
    commands = [msgspec.structs.replace(COMMAND, id=k) for k in (1, 2)]
    with (
        Subscriber([OPERATOR], tmp_path, process="engine") as engine,
        Sender(OPERATOR, tmp_path) as first,
        Sender(OPERATOR, tmp_path) as second,
    ):
        for receiver in (control, engine):
            for sender, command in zip((first, second), commands, strict=True):
                ask_until_heard(sender, receiver, command)
    assert control.refusals.as_dict() == {}


def test_a_command_does_not_wait_for_a_receiver_that_comes_later(tmp_path: Path) -> None:
    late = msgspec.structs.replace(COMMAND, id=2)
    with Sender(OPERATOR, tmp_path) as sender:
        with Subscriber([OPERATOR], tmp_path, process="control") as before:
            ask_until_heard(sender, before, COMMAND)
        for _ in range(50):
            sender.send(COMMAND)
            time.sleep(0.002)
        with Subscriber([OPERATOR], tmp_path, process="control") as after:
            assert after.receive(0.3) == []
            assert set(ask_until_heard(sender, after, late)) == {late}


def test_a_receiver_has_its_place_alone_and_leaves_it(tmp_path: Path, control: Subscriber) -> None:
    with pytest.raises(ProcessError, match=r"operator.control: another process already receives this topic"):
        Subscriber([OPERATOR], tmp_path, process="control")
    control.close()
    with Subscriber([OPERATOR], tmp_path, process="control") as successor, Sender(OPERATOR, tmp_path) as sender:
        ask_until_heard(sender, successor, COMMAND)


def test_a_process_can_be_asked_only_what_is_for_it(tmp_path: Path) -> None:
    for process in ("", "driver"):
        with pytest.raises(ValueError, match="operator is not received by"):
            Subscriber([OPERATOR], tmp_path, process=process)
    with pytest.raises(ValueError, match="operator is not received by"):
        Publisher(OPERATOR, tmp_path)


def test_one_sender_that_breaks_the_protocol_costs_only_itself(tmp_path: Path, control: Subscriber) -> None:
    path = OPERATOR.socket_path(tmp_path, "control")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as impostor,
        Sender(OPERATOR, tmp_path) as honest,
        zmq.Context() as context,
        context.socket(zmq.PUB) as flood,
    ):
        ask_until_heard(honest, control, COMMAND)
        impostor.connect(str(path))
        impostor.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"BOGUS".ljust(20, b"\0") + bytes(32))
        flood.setsockopt(zmq.LINGER, 0)
        flood.connect(OPERATOR.endpoint(tmp_path, "control"))
        deadline = time.monotonic() + 30.0
        while "operator.oversized" not in control.refusals.as_dict():
            assert time.monotonic() < deadline
            flood.send(bytes(3000))
            control.receive(0.02)
        flood.send(bytes(2 << 20))
        again = msgspec.structs.replace(COMMAND, id=2)
        ask_until_heard(honest, control, again)
        while "operator.malformed" not in control.refusals.as_dict():
            assert time.monotonic() < deadline
            control.receive(0.02)
    assert control.refusals.as_dict()["operator.malformed"] == 1


def test_who_may_not_write_to_the_socket_is_told_whose_it_is() -> None:
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        run_dir = Path(name)
        run_dir.chmod(0o755)
        with Subscriber([OPERATOR], run_dir, process="control"):
            OPERATOR.socket_path(run_dir, "control").chmod(0o500)
            if is_root:
                os.seteuid(65534)
            try:
                with pytest.raises(ProcessError, match=r"operator\.control\.ipc: belongs to .*sudo -u"):
                    Sender(OPERATOR, run_dir)
            finally:
                if is_root:
                    os.seteuid(0)


def test_a_claim_is_of_one_process_at_a_time(tmp_path: Path) -> None:
    with claim(tmp_path, "run", "runs this robot"), pytest.raises(ProcessError, match="already runs this robot"):
        claim(tmp_path, "run", "runs this robot")
    claim(tmp_path, "run", "runs this robot").close()


@pytest.mark.parametrize("files", [18, 20, 24, 32])
@pytest.mark.parametrize("command", [("monitor", "--seconds", "0.1"), ("operator", "status")])
def test_a_process_that_may_open_no_more_files_says_so(command: tuple[str, ...], files: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from edge_runtime.entry import main; main()", *command, "--run-dir", str(tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"Too many open files.*ulimit -n|has sent no message|^$", done.stderr), done.stderr
    if files == 18:
        assert done.stderr.startswith("error: no connection to the robot in ")


def test_who_may_not_listen_is_told_whose_robot_it_is() -> None:
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        run_dir = Path(name)
        run_dir.chmod(0o755)
        with Publisher(SAFETY_REPORT, run_dir):
            SAFETY_REPORT.socket_path(run_dir).chmod(0o500)
            if is_root:
                os.seteuid(65534)
            try:
                with pytest.raises(ProcessError, match=r"safety_report\.ipc: belongs to .*sudo -u"):
                    Watcher(run_dir)
            finally:
                if is_root:
                    os.seteuid(0)


def test_any_process_hears_episodes_and_any_says_them(tmp_path: Path) -> None:
    """Two that come at different times, beside the one of the table; none of them has to be there."""
    ended = EpisodeEnded(
        id=1, started_ns=1, ended_ns=2, outcome=EpisodeOutcome.SUCCESS, score=0.75, judge=EpisodeJudge.PERSON
    )
    with (
        Sender(EPISODE_ENDED, tmp_path) as person,
        Sender(EPISODE_ENDED, tmp_path) as program,
        Subscriber((EPISODE_ENDED,), tmp_path, process="recorder") as recorder,
        Subscriber((EPISODE_ENDED,), tmp_path, process="ota") as agent,
    ):

        def hears(subscriber: Subscriber, sender: Sender) -> bool:
            deadline_s = time.monotonic() + 5.0
            while time.monotonic() < deadline_s:
                sender.send(ended)
                if subscriber.receive(0.05):
                    return True
            return False

        for sender in (person, program):
            assert hears(agent, sender)
            assert hears(recorder, sender)
        with Subscriber((EPISODE_ENDED, EPISODE_STARTED), tmp_path, process="late") as late:
            assert hears(late, person)
        assert hears(recorder, person), "one that has left is no harm"
        with pytest.raises(ProcessError, match="another process already receives"):
            Subscriber((EPISODE_ENDED,), tmp_path, process="recorder")


@pytest.mark.parametrize("name", ["", "../recorder", "Recorder", "a" * 33])
def test_an_open_topic_is_received_under_a_name_that_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not received by"):
        Subscriber((EPISODE_ENDED,), tmp_path, process=name)
