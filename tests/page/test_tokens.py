"""The page's token: kept as a hash, for its owner alone; a new one ends the old; wrong ones wait."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from edge_runtime.client.run_dir import SERVICE_RUN_DIR
from edge_runtime.contracts.errors import ConfigError, ProcessError
from edge_runtime.page.tokens import Patience, Tokens, make_token, token_path


def test_a_token_is_kept_as_a_hash_that_its_owner_alone_may_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "page_token.json"
    before = os.umask(0o002)
    try:
        token = make_token(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_text()
    assert token not in kept
    assert token.replace("-", "") not in kept
    assert list(path.parent.iterdir()) == [path], "nothing else is left"


def test_a_token_is_right_however_a_person_types_it(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    token = make_token(path)
    tokens = Tokens(path)
    assert tokens.exists
    for typed in (token, token.upper(), token.replace("-", ""), token.replace("-", " "), f" {token} "):
        assert tokens.is_right(typed), typed
    for wrong in ("", token[:-1], token + "a", "b" * len(token), "ü", "\ud800", "a" * 10_000):
        assert not tokens.is_right(wrong), wrong


def test_a_new_token_ends_the_old_one_also_where_a_page_runs(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    tokens = Tokens(path)
    assert not tokens.exists
    assert not tokens.is_right("")
    old = make_token(path)
    assert tokens.is_right(old)
    new = make_token(path)
    assert tokens.is_right(new)
    assert not tokens.is_right(old)
    path.unlink()
    assert not tokens.is_right(new)


def test_two_tokens_are_never_the_same_and_have_a_hundred_bits(tmp_path: Path) -> None:
    made = {make_token(tmp_path / "token.json") for _ in range(50)}
    assert len(made) == 50
    for token in made:
        assert len(token.replace("-", "")) == 20
        assert not set(token) & set("il10O"), "letters that look alike are not in it"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"format":2,"salt":"","sha256":"","made_utc":""}'])
def test_a_file_that_holds_no_token_is_said_at_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(content)
    path.chmod(0o600)
    assert not Tokens(path).is_right("")
    with pytest.raises(ConfigError, match="holds no token of a page: make a new one"):
        Tokens(path).require_usable()


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    make_token(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"may be read by others \(mode 640\): chmod 600"):
        Tokens(path).require_usable()


def test_a_token_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(ProcessError, match="--token-file"):
        make_token(tmp_path / "state" / "token.json")


def test_it_lies_where_a_power_cut_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert token_path(Path(".run")) == Path(".run/page_token.json")
    assert token_path(SERVICE_RUN_DIR) == Path("/var/lib/edge-runtime/page_token.json")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/other")
    assert token_path(SERVICE_RUN_DIR) == Path("/var/lib/other/page_token.json")


def test_wrong_tokens_wait_longer_and_longer_and_only_those_of_that_address() -> None:
    patience = Patience()
    assert [patience.wrong("a", float(k)) for k in range(5)] == [0.0] * 5
    assert patience.wrong("a", 5.0) == 2.0
    assert patience.wrong("a", 6.0) == 4.0
    assert patience.wait_s("b", 6.0) == 0.0
    assert patience.wait_s("a", 9.0) == 1.0
    assert patience.wait_s("a", 100.0) == 0.0
    for number in range(10_000):
        patience.wrong(f"address {number}", 100.0)
    assert len(patience._wrong) <= 256
