"""The conformance client, driven by its command line against real repositories over real HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

from edge_runtime.ota.trust.conformance import main
from tests.ota.plain_repository import PlainRepository
from tests.ota.repositories import Site


class Client:
    """A client's folders, its repository and the server in between."""

    def __init__(self, folder: Path, **repository: bool) -> None:
        self.repository = PlainRepository(folder / "repository", **repository)
        self.site = Site(folder / "repository")
        self.metadata, self.targets = folder / "client" / "metadata", folder / "client" / "targets"
        self.metadata.mkdir(parents=True)
        self.targets.mkdir()
        self.root = folder / "initial_root.json"
        self.root.write_bytes((self.repository.metadata / "1.root.json").read_bytes())

    def init(self) -> int:
        return main(["--metadata-dir", str(self.metadata), "init", str(self.root)])

    def refresh(self) -> int:
        return main(["--metadata-dir", str(self.metadata), "--metadata-url", f"{self.site.url}/metadata/", "refresh"])

    def download(self, *paths: str) -> int:
        return main(self.download_command(*paths))

    def download_command(self, *paths: str) -> list[str]:
        names = [part for path in paths for part in ("--target-name", path)]
        places = ["--target-dir", str(self.targets), "--target-base-url", f"{self.site.url}/targets/"]
        there = ["--metadata-dir", str(self.metadata), "--metadata-url", f"{self.site.url}/metadata/"]
        return [*there, *names, *places, "download"]

    def versions(self) -> dict[str, int]:
        """What is trusted: every top-level file of the metadata folder must be metadata."""
        return {
            path.stem: Metadata.from_bytes(path.read_bytes()).signed.version for path in self.metadata.glob("*.json")
        }

    def contents(self) -> set[bytes]:
        """Everything below the folder of targets counts as downloaded."""
        return {path.read_bytes() for path in self.targets.rglob("*") if path.is_file()}

    def requests(self) -> list[str]:
        asked = [path.rsplit("/", 1)[-1] for path in self.site.asked]
        self.site.asked.clear()
        return asked


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    assert made.init() == 0
    yield made
    made.site.close()


def resign(client: Client, role: str, change: Any) -> None:
    md = client.repository.open(role)
    change(md.signed)
    client.repository.write(role, md)


class TestCommands:
    def test_init_asks_nobody(self, client: Client) -> None:
        assert client.requests() == []
        assert client.versions() == {"root": 1}

    def test_refresh_asks_in_order_and_only_for_what_it_lacks(self, client: Client) -> None:
        assert client.refresh() == 0
        assert client.requests() == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
        assert client.versions() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
        assert client.refresh() == 0
        assert client.requests() == ["2.root.json", "timestamp.json"]

    @pytest.mark.parametrize("consistent", [True, False])
    @pytest.mark.parametrize("algorithms", [("sha256",), ("sha512",), ("sha256", "sha512")])
    def test_download_is_there_and_is_cached(
        self, tmp_path: Path, consistent: bool, algorithms: tuple[str, ...]
    ) -> None:
        client = Client(tmp_path, consistent=consistent)
        client.repository.add_target("a/file.bin", b"content", algorithms=algorithms)
        client.repository.announce()
        assert client.init() == 0
        assert client.download("a/file.bin") == 0
        assert client.contents() == {b"content"}
        client.requests()
        assert client.download("a/file.bin") == 0
        assert client.requests() == ["2.root.json", "timestamp.json"]
        client.repository.add_target("a/file.bin", b"changed", algorithms=algorithms)
        client.repository.announce()
        assert client.download("a/file.bin") == 0
        assert client.contents() == {b"changed"}
        client.site.close()

    def test_the_first_failure_ends_a_download(self, client: Client) -> None:
        client.repository.add_target("one", b"1")
        client.repository.add_target("two", b"2")
        client.repository.announce()
        assert client.download("one", "missing", "two") == 1
        assert client.contents() == {b"1"}
        assert client.download("two", "one") == 0
        assert client.contents() == {b"1", b"2"}

    def test_an_unknown_hash_is_no_hash(self, client: Client) -> None:
        client.repository.add_target("one", b"1")

        def unknown(signed: Any) -> None:
            signed.targets["one"].hashes = {"md9": "00"}

        resign(client, "targets", unknown)
        client.repository.announce()
        assert client.download("one") == 1
        assert client.contents() == set()

    def test_altered_bytes_leave_nothing(self, client: Client) -> None:
        client.repository.add_target("one", b"good")
        client.repository.announce()
        for path in client.repository.targets_folder.iterdir():
            path.write_bytes(b"evil")
        assert client.download("one") == 1
        for path in client.repository.targets_folder.iterdir():
            path.write_bytes(b"good and more")
        assert client.download("one") == 1
        assert client.contents() == set()

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["refresh"],
            ["--metadata-dir", "{}", "refresh"],
            ["--metadata-dir", "{}", "init", "{}/nothing.json"],
            ["--metadata-dir", "{}/never-initialised", "--metadata-url", "http://127.0.0.1:1/", "refresh"],
            ["--metadata-dir", "{}", "--metadata-url", "http://127.0.0.1:1/", "--target-name", "a", "download"],
        ],
    )
    def test_whatever_goes_wrong_is_1(self, tmp_path: Path, arguments: list[str]) -> None:
        assert main([argument.format(tmp_path) for argument in arguments]) == 1

    def test_help_is_0(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--help"]) == 0
        assert "--metadata-dir" in capsys.readouterr().out

    def test_as_a_program(self, client: Client) -> None:
        client.repository.add_target("one", b"1")
        client.repository.announce()
        program = [sys.executable, "-m", "edge_runtime.ota.trust.conformance"]
        done = subprocess.run([*program, *client.download_command("one")], capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, b"")
        gone = subprocess.run([*program, *client.download_command("two")], capture_output=True, timeout=60, check=False)
        assert gone.returncode == 1
        assert b"not_found" in gone.stderr


class TestWorkflow:
    def test_roots_are_followed_one_by_one(self, client: Client) -> None:
        assert client.refresh() == 0
        for _ in range(3):
            with client.repository.edit_root() as root:
                client.repository.add_key(root, "timestamp", CryptoSigner.generate_ed25519())
        client.repository.do_timestamp(force=True)
        assert client.refresh() == 0
        assert client.versions()["root"] == 4
        (client.repository.metadata / "5.root.json").write_bytes(
            (client.repository.metadata / "3.root.json").read_bytes()
        )
        assert client.refresh() == 1
        assert client.versions()["root"] == 4

    @pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
    def test_a_signature_too_few(self, client: Client, role: str) -> None:
        with client.repository.edit_root() as root:
            client.repository.add_key(root, role, CryptoSigner.generate_ed25519())
            root.roles[role].threshold = 2
        assert client.refresh() == (0 if role == "root" else 1)
        for name in ("targets",):
            with client.repository.edit_targets(name):
                pass
        client.repository.announce()
        assert client.refresh() == 0
        client.repository.signers[role].pop()
        if role == "root":
            with client.repository.edit_root():
                pass
        else:
            with client.repository.edit_targets():
                pass
            client.repository.announce()
        assert client.refresh() == 1

    @pytest.mark.parametrize("generate", ["generate_rsa", "generate_ecdsa", "generate_ed25519"])
    def test_kinds_of_keys(self, client: Client, generate: str) -> None:
        with client.repository.edit_root() as root:
            root.revoke_key(client.repository.signers["timestamp"].pop().public_key.keyid, "timestamp")
            client.repository.add_key(root, "timestamp", getattr(CryptoSigner, generate)())
        client.repository.do_timestamp(force=True)
        assert client.refresh() == 0

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_what_expired(self, client: Client, role: str) -> None:
        client.repository.expires = timedelta(days=-1)
        if role == "timestamp":
            client.repository.do_timestamp(force=True)
        elif role == "snapshot":
            client.repository.do_snapshot(force=True)
        else:
            with client.repository.edit_targets():
                pass
        client.repository.expires = timedelta(days=1)
        client.repository.announce()
        assert client.refresh() == 1
        assert role not in client.versions()

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_what_goes_back(self, client: Client, role: str) -> None:
        with client.repository.edit_targets():
            pass
        client.repository.announce()
        assert client.refresh() == 0
        assert client.versions()["targets"] == 2
        repository = client.repository
        if role == "targets":
            resign(client, "targets", lambda signed: setattr(signed, "version", 1))
            snapshot = repository.open("snapshot")
            snapshot.signed.meta["targets.json"] = MetaFile(1)
            repository.close("snapshot", snapshot)
            repository.do_timestamp()
        elif role == "snapshot":
            timestamp = repository.open("timestamp")
            timestamp.signed.snapshot_meta = MetaFile(1)
            repository.close("timestamp", timestamp)
        else:
            resign(client, "timestamp", lambda signed: setattr(signed, "version", 1))
        assert client.refresh() == 1
        assert client.versions()["targets"] == 2

    def test_after_a_fast_forward_new_keys_bring_it_back(self, client: Client) -> None:
        repository = client.repository
        resign(client, "timestamp", lambda signed: setattr(signed, "version", 900_000))
        assert client.refresh() == 0
        resign(client, "timestamp", lambda signed: setattr(signed, "version", 5))
        assert client.refresh() == 1
        with repository.edit_root() as root:
            root.revoke_key(repository.signers["timestamp"].pop().public_key.keyid, "timestamp")
            repository.add_key(root, "timestamp", CryptoSigner.generate_ed25519())
        resign(client, "timestamp", lambda signed: setattr(signed, "version", 6))
        assert client.refresh() == 0
        assert client.versions()["timestamp"] == 6

    def test_hashes_of_metadata(self, tmp_path: Path) -> None:
        client = Client(tmp_path, hashed=True)
        assert client.init() == 0
        assert client.refresh() == 0
        with client.repository.edit_targets():
            pass
        client.repository.announce()
        path = client.repository.metadata / "2.targets.json"
        path.write_bytes(path.read_bytes() + b" ")
        assert client.refresh() == 1
        client.site.close()

    def test_a_delegated_role_may_have_any_name(self, client: Client) -> None:
        for name in ("?", "delegated/role", "5.registry.org", "ä"):
            client.repository.delegate(name, [f"{ord(name[0])}/*"])
            client.repository.add_target(f"{ord(name[0])}/file", name.encode(), role=name)
        client.repository.announce()
        for name in ("?", "delegated/role", "5.registry.org", "ä"):
            assert client.download(f"{ord(name[0])}/file") == 0
        assert len(client.contents()) == 4

    def test_delegations_in_order_of_trust(self, client: Client) -> None:
        repository = client.repository
        repository.delegate("first", ["a/*"])
        repository.delegate("last", ["a/*", "b/*"], terminating=True)
        repository.delegate("never", ["b/*"])
        repository.add_target("a/one", b"first", role="first")
        repository.add_target("a/one", b"last", role="last")
        repository.add_target("b/two", b"never", role="never")
        repository.announce()
        assert client.download("a/one") == 0
        assert client.contents() == {b"first"}
        assert client.download("b/two") == 1

    def test_a_role_that_disappears(self, client: Client) -> None:
        client.repository.delegate("first", ["a/*"])
        client.repository.announce()
        assert client.refresh() == 0
        snapshot = client.repository.open("snapshot")
        del snapshot.signed.meta["first.json"]
        client.repository.close("snapshot", snapshot)
        client.repository.do_timestamp()
        assert client.refresh() == 1

    def test_init_starts_over_with_another_floor(self, client: Client) -> None:
        resign(client, "timestamp", lambda signed: setattr(signed, "version", 900_000))
        assert client.refresh() == 0
        for path in client.metadata.glob("*.json"):
            path.unlink()
        resign(client, "timestamp", lambda signed: setattr(signed, "version", 5))
        assert client.refresh() == 1
        assert client.init() == 0
        for path in client.metadata.glob("[!r]*.json"):
            path.unlink()
        assert client.refresh() == 0
