"""The command as somebody meets it: help that teaches, development keys that say what they are, refusals in words."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.releases.sign import read_draft
from export_tools.cli import main as edge_export
from hub.cli import main as edge_hub
from tests.ota.repositories import HARDWARE, packed_release


def test_init_says_loudly_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge_hub(["init", str(tmp_path / "hub")]) == 0
    assert "DEVELOPMENT KEYS" in capsys.readouterr().out
    assert "DEVELOPMENT KEYS" in (tmp_path / "hub" / "DEVELOPMENT_KEYS").read_text()
    for robot_has in ("image.root.json", "director.root.json"):
        assert (tmp_path / "hub" / "robot" / robot_has).exists()
    for command in ("show", "refresh"):
        assert edge_hub([command, str(tmp_path / "hub")]) == 0
        assert "development keys" in capsys.readouterr().err
    assert edge_hub(["init", str(tmp_path / "hub")]) == 1
    assert "holds a hub already" in capsys.readouterr().err


def test_secret_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    edge_hub(["init", str(tmp_path / "hub")])
    secrets = [*tmp_path.rglob("*.key")]
    assert len(secrets) == 14
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


def test_a_passphrase_is_asked_for_at_a_terminal(tmp_path: Path) -> None:
    words, hub, draft = "correct horse battery", tmp_path / "hub", tmp_path / "next.json"
    (tmp_path / "passphrase").write_text(words)
    assert edge_hub(["init", str(hub)]) == 0
    assert edge_hub(["keys", "create", str(tmp_path), "kim", "--passphrase-file", str(tmp_path / "passphrase")]) == 0
    assert edge_hub(["keys", "rotate-root", str(hub), "image", "--out", str(draft)]) == 0
    sign = ["keys", "sign", str(draft), "--key", str(tmp_path / "kim.key")]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "hub", *sign]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while b"passphrase of" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, f"{words}\n".encode())
    assert process.wait(60.0) == 0
    os.close(ours)
    assert len(read_draft(draft).signatures) == 1
    # Nobody is there to be asked: the key is named, and nothing waits.
    unasked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (unasked.returncode, "needs its passphrase" in unasked.stderr) == (1, True)


@pytest.mark.parametrize("published", ["", "2.releases.json"])
def test_what_is_new_is_marked_before_it_is_approved(
    published: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, packed, draft = tmp_path / "hub", tmp_path / "packed", tmp_path / "draft.json"
    edge_hub(["init", str(hub)])
    metadata, keys = hub / "image" / "metadata", hub / "development_keys"
    listed = []
    for words in ("first", "second", "third"):
        draft.unlink(missing_ok=True)
        release = packed_release(packed, words).target_path
        sign = ["sign", str(packed / release), "--metadata", str(metadata), "-o", str(draft), "--hardware", HARDWARE]
        assert edge_export([*sign, "--key", str(keys / "exporter.key")]) == 0
        capsys.readouterr()
        approve = ["approve", str(draft), "--key", str(keys / "approver.key")]
        assert edge_hub([*approve, "--published", str(metadata / published if words == "third" else metadata)]) == 0
        listed.append((release, capsys.readouterr().out))
        assert edge_hub(["publish", str(hub), str(draft), str(packed)]) == 0
    (first, _), (second, _), (third, said) = listed
    assert {f"= {first}", f"= {second}", f"+ {third}"} <= set(said.splitlines())


def test_a_release_by_development_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub, packed, draft = tmp_path / "hub", tmp_path / "packed", tmp_path / "draft.json"
    edge_hub(["init", str(hub)])
    release = packed_release(packed, "first")
    keys = hub / "development_keys"
    sign = ["sign", str(packed / release.target_path), "--metadata", str(hub / "image" / "metadata"), "-o", str(draft)]
    assert edge_export([*sign, "--key", str(keys / "exporter.key"), "--hardware", HARDWARE]) == 0
    assert "release counter 1" in capsys.readouterr().out
    assert edge_hub(["approve", str(draft), "--key", str(keys / "approver.key")]) == 0
    assert release.target_path in capsys.readouterr().out
    assert edge_hub(["publish", str(hub), str(draft), str(packed)]) == 0
    assert edge_hub(["publish", str(hub), str(draft), str(packed)]) == 1
    assign = ["assign", str(hub), release.target_path, "--hardware", HARDWARE]
    told = [*assign, "--robot", "arm-1", "--robot", "arm-2", "--not-before", "0"]
    assert edge_hub(told) == 1
    assert "arm-1 is not enrolled; arm-2 is not enrolled" in capsys.readouterr().err
    assert edge_hub([*told, "--not-enrolled"]) == 0
    shown = capsys.readouterr().out
    assert "Assigned to 2 robots" in shown
    assert "arm-1: counter 1" in shown
    assert "arm-2: counter 1" in shown


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--robot", "../evil", "../evil: is no robot's name"),
        ("--hardware", "other_arm", "not for other_arm"),
        ("--counter", "7", "never approved"),
        ("--probation", "0", "metadata_malformed"),
        ("--rollout", "a b", "metadata_malformed"),
    ],
)
def test_assignments_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    test_a_release_by_development_keys(tmp_path, capsys)
    release = packed_release(tmp_path / "packed", "first")
    options = {"--robot": "arm-3", "--hardware": HARDWARE, option: value}
    flat = [part for pair in options.items() for part in pair]
    assert edge_hub(["assign", str(tmp_path / "hub"), release.target_path, *flat, "--not-enrolled"]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "hub" / "director" / "robots" / "arm-3").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "{}/nowhere"],
        ["publish", "{}/nowhere", "{}/draft", "{}"],
        ["approve", "{}/nothing.json", "--key", "{}/nothing.key"],
        ["keys", "sign", "{}/nothing.json", "--key", "{}/nothing.key"],
        ["keys", "root", "--key", "root={}/nothing.pub", "--out", "{}/draft.json"],
        ["keys", "create", "{}", "weak", "--passphrase-file", "{}/short"],
        ["keys", "create", "{}", "none", "--passphrase-file", "{}/missing"],
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    (tmp_path / "short").write_text("short")
    assert edge_hub([argument.format(tmp_path) for argument in arguments]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_edge_export_sign_asks_for_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edge_hub(["init", str(tmp_path / "hub")])
    key = str(tmp_path / "hub" / "development_keys" / "exporter.key")
    release = packed_release(tmp_path / "packed", "first")
    common = [
        "sign",
        "--key",
        key,
        "--metadata",
        str(tmp_path / "hub" / "image" / "metadata"),
        "-o",
        str(tmp_path / "d"),
    ]
    manifest = str(tmp_path / "packed" / release.target_path)
    for extra, words, code in (
        ([], "name a release", 2),
        ([manifest, "--renew"], "name a release", 2),
        ([manifest], "--hardware", 2),
        (["--renew"], "nothing was released", 2),
        ([manifest, "--hardware", HARDWARE, "--counter", "0"], "above 0", 1),
        ([str(tmp_path / "nothing"), "--hardware", HARDWARE], "No such file", 1),
    ):
        assert edge_export([*common, *extra]) == code
        assert words in capsys.readouterr().err.replace("\n", " ")
        assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys"],
        ["keys", "root", "--key", "root", "--out", "draft"],
        ["keys", "root", "--key", "root=a.pub", "--threshold", "root=two", "--out", "draft"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        edge_hub(arguments)
    assert ended.value.code == 2


def test_without_a_command_it_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert edge_hub([]) == 0
    assert capsys.readouterr().out.startswith("usage: edge-hub")


def test_help_shows_the_way_of_a_release_and_of_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, lines in (
        (["--help"], ("edge-export sign", "edge-hub approve", "edge-hub publish", "edge-hub assign", "edge-hub init")),
        (["keys", "--help"], ("keys create", "keys setup", "keys rotate-root", "keys revoke", "keys install")),
    ):
        with pytest.raises(SystemExit):
            edge_hub(arguments)
        shown = capsys.readouterr().out
        assert all(line in shown for line in lines)
