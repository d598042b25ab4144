"""The operator's side: nothing without the token, nothing that was not signed, nothing half."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from edge_runtime.contracts.errors import ConfigError, HubError
from hub.api.server import ServeSettings, operator_token
from hub.cli import main as edge_hub
from hub.hub import make_development_hub
from hub.lock import writing
from tests.hub.served import ServedHub

ASKED = (("GET", "releases"), ("POST", "releases"), ("GET", "assignments"), ("POST", "assignments"), ("GET", "robots"))
UPLOADS = (("PUT", f"packs/{'0' * 64}.pack"), ("PUT", f"bundles/reach/{'0' * 64}.json"))


def test_nothing_without_the_token(served: ServedHub) -> None:
    for method, path in (*ASKED, *UPLOADS):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic x"},
        ):
            answer = served.http.request(method, f"{served.url}/v1/{path}", headers=headers, content=b"{}")
            assert answer.status_code in (401, 403), f"{method} {path}"
    assert not (served.hub.folder / "incoming").exists()
    # Who has no token is not listened to: the answer comes before the body does.
    for path in ("v1/releases", "v1/assignments", "v1/robots/arm-1/reports"):
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5.0) as talker:
            talker.sendall(f"POST /{path} HTTP/1.1\r\nHost: hub\r\nContent-Length: 5000000000\r\n\r\n".encode())
            if path.endswith("reports"):
                talker.sendall(b"x" * 10_000)
            assert talker.recv(12) in (b"HTTP/1.1 401", b"HTTP/1.1 403", b"HTTP/1.1 413")


def test_a_tampered_upload_is_not_kept_and_not_published(served: ServedHub) -> None:
    release, draft = served.draft("first")
    pack, manifest = release.packs[0].path, release.target_path
    sound = (served.packed / pack).read_bytes()
    answer = served.upload(pack, sound[:-1] + b"!")
    assert (answer.status_code, answer.json()["refusal"]) == (422, "refused")
    assert [path for path in (served.hub.folder / "incoming").rglob("*") if path.is_file()] == []
    assert served.upload(manifest, (served.packed / manifest).read_bytes()).status_code == 204
    refused = served.http.post(f"{served.url}/v1/releases", content=draft, headers=served.operator)
    assert (refused.status_code, "is missing" in refused.json()["detail"]) == (422, True)
    assert served.http.get(f"{served.url}/v1/releases", headers=served.operator).json() == []
    assert served.http.get(f"{served.url}/image/targets/{pack}").status_code == 404
    # What is on the disk is looked at again: an upload that decayed there is not published either.
    assert served.upload(pack, sound).status_code == 204
    (served.hub.folder / "incoming" / pack).write_bytes(b"other")
    refused = served.http.post(f"{served.url}/v1/releases", content=draft, headers=served.operator)
    assert (refused.status_code, "not the pack" in refused.json()["detail"]) == (422, True)
    assert served.upload(pack, sound).status_code == 204
    assert served.http.post(f"{served.url}/v1/releases", content=draft, headers=served.operator).status_code == 200
    assert [path for path in (served.hub.folder / "incoming").rglob("*") if path.is_file()] == []


def test_the_token_releases_nothing_that_two_people_did_not_sign(served: ServedHub) -> None:
    for signers in ((), ("exporter",), ("approver",), ("exporter", "targets-1")):
        release, draft = served.draft("first", signers)
        for path in (release.target_path, release.packs[0].path):
            assert served.upload(path, (served.packed / path).read_bytes()).status_code == 204
        answer = served.http.post(f"{served.url}/v1/releases", content=draft, headers=served.operator)
        assert (answer.status_code, "signatures" in answer.json()["detail"]) == (422, True)
    assert served.http.get(f"{served.url}/v1/releases", headers=served.operator).json() == []
    assert served.assign(release, "arm-1").status_code == 422


def test_assignments_and_how_they_are_refused(served: ServedHub) -> None:
    first, second = served.publish("first"), served.publish("second")
    listed = served.http.get(f"{served.url}/v1/releases", headers=served.operator).json()
    assert {entry["path"] for entry in listed} == {first.target_path, second.target_path}
    for robot in ("arm-1", "arm-2"):
        served.enrol(robot)
    assert served.assign(second, "arm-1", "arm-2").json()["counter"] == 2
    assigned = served.http.get(f"{served.url}/v1/assignments", headers=served.operator).json()
    assert [(entry["terms"]["robot_id"], entry["path"]) for entry in assigned] == [
        ("arm-1", second.target_path),
        ("arm-2", second.target_path),
    ]
    for changes, words in (
        ({"release": first.target_path}, "to go back, release"),
        ({"robots": ["../evil"], "not_enrolled": True}, "../evil: is no robot's name"),
        ({"robots": ["arm-3"]}, "arm-3 is not enrolled (did you mean arm-"),
        ({"robots": ["leg-*"]}, "leg-* matches none of the 2"),
        ({"hardware": "other_arm"}, "not for other_arm"),
        ({"counter": 7}, "never approved"),
        ({"probation_s": 0}, "probation_s"),
        ({"release": "bundles/reach/none.json"}, "never released"),
    ):
        answer = served.assign(second, "arm-1", **changes)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert served.assign(second).status_code == 422
    assert served.assign(second, "arm-1", surprise=1).status_code == 422
    assert served.http.get(f"{served.url}/v1/assignments", headers=served.operator).json() == assigned
    assert set(served.standings()) == {"arm-1", "arm-2"}
    answer = served.http.post(f"{served.url}/v1/releases", content=b"no metadata", headers=served.operator)
    assert (answer.status_code, answer.json()["refusal"]) == (422, "refused")


def test_files_are_served_as_a_cdn_would(served: ServedHub) -> None:
    release = served.publish("first")
    served.assign(release, "arm-1", not_enrolled=True)
    pack = f"{served.url}/image/targets/{release.packs[0].path}"
    whole = served.http.get(pack)
    tag = whole.headers["ETag"]
    data = (served.packed / release.packs[0].path).read_bytes()
    assert whole.content == data
    assert tag == f'"{release.packs[0].sha256}"'
    assert "immutable" in whole.headers["Cache-Control"]
    part = served.http.get(pack, headers={"Range": "bytes=1-2", "If-Range": tag})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, data[1:3], f"bytes 1-2/{len(data)}")
    assert served.http.get(pack, headers={"Range": "bytes=1-2", "If-Range": '"other"'}).status_code == 200
    assert served.http.get(pack, headers={"Range": "bytes=9000-"}).status_code == 416
    assert served.http.get(pack, headers={"If-None-Match": f'"other", {tag}'}).status_code == 304
    assert served.http.head(pack).headers["Content-Length"] == str(len(data))
    manifest = f"{served.url}/image/targets/bundles/reach/{release.digest}.{release.digest}.json"
    answer = served.http.get(manifest)
    assert hashlib.sha256(answer.content).hexdigest() == release.digest
    assert "immutable" in answer.headers["Cache-Control"]
    for repository in ("image", "director/robots/arm-1"):
        timestamp = served.http.get(f"{served.url}/{repository}/metadata/timestamp.json")
        assert timestamp.headers["Cache-Control"] == "public, max-age=60"
        again = served.http.get(str(timestamp.url), headers={"If-None-Match": timestamp.headers["ETag"]})
        assert again.status_code == 304
        root = served.http.get(f"{served.url}/{repository}/metadata/1.root.json")
        assert (root.status_code, root.headers["Cache-Control"]) == (200, "public, max-age=3600")
        # A robot asks for the next root until there is one: nobody may remember for long that there was none.
        none = served.http.get(f"{served.url}/{repository}/metadata/2.root.json")
        assert (none.status_code, none.headers["Cache-Control"]) == (404, "public, max-age=60")


def answer_as_written(served: ServedHub, path: str) -> int:
    """The status for a path that is sent as it stands; other clients tidy dots away."""
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=10.0)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


def test_what_is_not_public_is_not_there(served: ServedHub) -> None:
    served.publish("first")
    secrets = [path for path in served.hub.folder.rglob("*") if path.is_file() and path.suffix != ".json"]
    names = {path.name for path in secrets}
    assert {"operator_token", "hub.sqlite", "snapshot.key", "image-root-1.key"} <= names
    packs = {path for path in secrets if path.suffix == ".pack"}
    for path in set(secrets) - packs:
        relative = path.relative_to(served.hub.folder)
        for written in (
            f"{relative}",
            f"image/../{relative}",
            f"image/metadata/%2e%2e/%2e%2e/{relative}",
            f"image//{path}",
        ):
            # The client would tidy dots away: the path is sent as it stands.
            assert served.http.get(f"{served.url}/{written}").status_code == 404, written
    assert served.http.get(f"{served.url}/image/metadata/.timestamp.json.new").status_code == 404
    assert served.http.get(f"{served.url}/image/targets/packs").status_code == 404


def test_commands_and_server_take_turns(tmp_path: Path) -> None:
    make_development_hub(tmp_path / "hub", 1.0)
    with (
        writing(tmp_path / "hub", "somebody"),
        pytest.raises(HubError, match="in use by somebody"),
        writing(tmp_path / "hub", "another", 0.1),
    ):
        pass
    with writing(tmp_path / "hub", "another", 0.0):
        pass


def test_a_token_is_made_once_and_never_short(tmp_path: Path) -> None:
    token = operator_token(tmp_path)
    assert len(token) >= 32
    assert operator_token(tmp_path) == token
    assert (tmp_path / "operator_token").stat().st_mode & 0o777 == 0o600
    (tmp_path / "operator_token").write_text("short\n")
    with pytest.raises(ConfigError):
        operator_token(tmp_path)
    with pytest.raises(ConfigError):
        ServeSettings(tls_key=tmp_path)


def test_commands_without_a_hub_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["serve"], ["status"], ["robots", "retire"]):
        rest = ["arm-1"] if command[-1] == "retire" else []
        assert edge_hub([*command, str(tmp_path / "none"), *rest]) == 1
        assert "holds no hub" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert edge_hub(["init", str(tmp_path / "hub")]) == 0
    assert edge_hub(["status", str(tmp_path / "hub")]) == 0
    assert "no robot is enrolled" in capsys.readouterr().out


def test_over_tls(served: ServedHub, tmp_path: Path) -> None:
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.pem"
    made = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate, "-days", "2"]
    names = ["-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *map(str, made), *names], check=True, capture_output=True)
    served.stop()
    served.start("--tls-certificate", str(certificate), "--tls-key", str(key), ask=False)
    assert served.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(verify=context, timeout=10.0) as client:
        assert client.get(f"{served.url}/health").json() == {"healthy": True}
