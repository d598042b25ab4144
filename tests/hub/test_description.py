"""What the hub says of itself over HTTP is so: each answer is one that is described, in the body that is described."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.hub.served import ServedHub

DIGEST = "0" * 64
ROBOT = "/v1/robots/{robot_id}"

# Of each operation a few requests that go wrong, each in its own way.
ASKED: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("GET", "/health", "/health", {}, 200),
    ("GET", f"{ROBOT}/nonce", "/v1/robots/none/nonce", {}, 404),
    ("GET", f"{ROBOT}/nonce", f"/v1/robots/{'n' * 65}/nonce", {}, 422),
    ("POST", f"{ROBOT}/reports", "/v1/robots/none/reports", {"content": b"{}"}, 422),
    ("POST", f"{ROBOT}/reports", "/v1/robots/none/reports", {"content": b"x" * 9999}, 413),
    ("GET", "/v1/robots", "/v1/robots", {"token": "none"}, 401),
    ("GET", "/v1/robots", "/v1/robots", {"token": "wrong"}, 401),
    ("GET", "/v1/robots", "/v1/robots?standing=sitting", {}, 422),
    ("GET", "/v1/robots", "/v1/robots", {}, 200),
    ("GET", "/v1/progress", "/v1/progress", {}, 200),
    ("GET", "/v1/releases", "/v1/releases", {}, 200),
    ("GET", "/v1/assignments", "/v1/assignments", {}, 200),
    ("POST", "/v1/releases", "/v1/releases", {"content": b"no metadata"}, 422),
    ("POST", "/v1/releases", "/v1/releases", {"content": b"", "token": "wrong"}, 401),
    ("POST", "/v1/releases", "/v1/releases", {"content": b"x" * 5_000_001}, 413),
    ("POST", "/v1/assignments", "/v1/assignments", {"content": b"{"}, 422),
    ("POST", "/v1/assignments", "/v1/assignments", {"content": b'{"robots": 5}'}, 422),
    ("POST", "/v1/assignments", "/v1/assignments", {"content": b"x" * 200_001}, 413),
    (
        "POST",
        "/v1/assignments",
        "/v1/assignments",
        {"json": {"release": "x", "robots": ["y"], "hardware": "z"}},
        422,
    ),
    ("PUT", "/v1/packs/{digest}.pack", f"/v1/packs/{DIGEST}.pack", {"content": b"other"}, 422),
    ("PUT", "/v1/packs/{digest}.pack", "/v1/packs/none.pack", {"content": b"other"}, 422),
    ("PUT", "/v1/bundles/{name}/{digest}.json", f"/v1/bundles/%20/{DIGEST}.json", {"content": b"x"}, 422),
    ("PUT", "/v1/bundles/{name}/{digest}.json", f"/v1/bundles/a/{DIGEST}.json", {"token": "none", "content": b""}, 401),
    ("GET", "/{repository}/{path}", "/image/nothing", {}, 404),
    ("GET", "/{repository}/{path}", "/image/metadata/timestamp.json", {}, 200),
    ("GET", "/{repository}/{path}", "/v1/nothing", {}, 404),
    ("HEAD", "/{repository}/{path}", "/image/nothing", {}, 404),
    ("HEAD", "/{repository}/{path}", "/image/metadata/timestamp.json", {}, 200),
]


@pytest.fixture
def described(served: ServedHub) -> dict[str, Any]:
    answer = served.http.get(f"{served.url}/openapi.json")
    assert answer.status_code == 200
    said: dict[str, Any] = answer.json()
    return said


def test_each_operation_has_a_name_of_its_own(described: dict[str, Any]) -> None:
    names = Counter(
        operation["operationId"] for methods in described["paths"].values() for operation in methods.values()
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_making_the_description_warns_of_nothing(served: ServedHub) -> None:
    from hub.api.app import make_app
    from hub.db.connection import open_database

    engine = open_database(served.hub.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_app(served.hub, engine, "t" * 32).openapi()
    engine.dispose()


def test_each_answer_is_one_that_is_described(served: ServedHub, described: dict[str, Any]) -> None:
    for method, path, url, asked, status in ASKED:
        options = dict(asked)
        token = options.pop("token", "right")
        headers = {"right": served.operator, "wrong": {"Authorization": "Bearer wrong"}, "none": {}}[token]
        answer = served.http.request(method, f"{served.url}{url}", headers=headers, **options)
        assert answer.status_code == status, (method, url, answer.text)
        operation = described["paths"][path][method.lower()]
        assert str(status) in operation["responses"], (method, path, status)
        if status >= 400 and method != "HEAD":
            assert operation["responses"][str(status)]["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/Declined"
            }
            assert set(answer.json()) == {"refusal", "detail"}
            assert all(isinstance(value, str) and value for value in answer.json().values())
    for method, path in (("DELETE", "/health"), ("PATCH", "/v1/robots"), ("GET", "/nowhere")):
        answer = served.http.request(method, f"{served.url}{path}")
        assert answer.status_code in (404, 405)
        assert set(answer.json()) == {"refusal", "detail"}


def test_who_has_no_token_is_told_how(served: ServedHub) -> None:
    answer = httpx.get(f"{served.url}/v1/robots")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer TOKEN" in json.loads(answer.text)["detail"]
