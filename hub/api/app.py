"""The hub over HTTP: public static files, an address for robots' reports, and an operator's side behind a token.

Guarantees: without the token nothing can be changed but by a signed report; every body has a ceiling; what is declined
is answered with a stable reason and a sentence. Refuses to hold state: all lies in the hub's folder, so a restart loses
nothing. Trusts whoever ends TLS in front of it, if it does not do so itself, to keep the operator's token secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import FastAPI, Header
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text

from edge_runtime.contracts.text import printable, printable_json
from hub.api import operator_api, robot_api
from hub.api.checkup import Checkup
from hub.api.declined import add_handlers, answers
from hub.api.static_files import read_public
from hub.hub import Hub

_DESCRIPTION = """\
Publishes what robots may install, assigns releases to robots, and collects their signed reports of what they run.

* **Files** need no token: they are signed, and a robot trusts only the signatures. Any web server, CDN or object store
  over the same folders does as well.
* **Robots** sign what they report with their own key, over a nonce from here.
* **Operators** send `Authorization: Bearer TOKEN`. The token chooses among releases that two people signed; it releases
  nothing by itself.

What is declined is answered as `{"refusal": ..., "detail": ...}`: the refusal is stable, the detail is for people.
"""
_FILE = "Metadata, release manifests and packs, by range where asked; see docs/guides/hub.md for caching."
_NO_BODY: dict[int | str, dict[str, str]] = {
    206: {"description": "a range of it"},
    304: {"description": "as it was"},
    400: {"description": "the range is none"},
    416: {"description": "the range is beyond its end"},
}


class Degraded(BaseModel):
    """Something that is not as it should be."""

    what: str = Field(description="a robot's name, or a part or duty of the hub")
    problem: str = Field(description="what is wrong with it")


class Health(BaseModel):
    """Alive, and the database answers."""

    healthy: bool = Field(description="whether everything is as it should be; a hub that is degraded goes on serving")
    degraded: list[Degraded] | None = Field(None, description="what is not; left out where there is nothing")


def make_app(hub: Hub, engine: Engine, operator_token: str, checkup: Checkup | None = None) -> FastAPI:
    """The application over one hub's folder and database; `checkup` knows of what the server does beside."""
    app = FastAPI(title="edge-hub", version="1", description=_DESCRIPTION, redirect_slashes=False, responses=answers())
    app.include_router(robot_api.routes(engine))
    app.include_router(operator_api.routes(hub, engine, operator_token))
    looks = checkup or Checkup(hub)

    @app.get("/health", tags=["hub"], summary="Whether the hub is well, and what is not", response_model=Health)
    def health() -> Response:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        found = [{"what": trouble.what, "problem": printable(trouble.problem)} for trouble in looks.troubles()]
        said = {"healthy": not found, **({"degraded": found} if found else {})}
        return Response(printable_json(msgspec.json.encode(said)), media_type="application/json")

    _add_files(app, hub.folder)
    add_handlers(app)
    return app


def _add_files(app: FastAPI, folder: Path) -> None:
    def read_file(
        repository: str, path: str, if_none_match: Annotated[str | None, Header(description="an ETag")] = None
    ) -> Response:
        return read_public(folder, f"{repository}/{path}", if_none_match)

    for method, name, summary in (
        ("GET", "read_file", "A published file"),
        ("HEAD", "look_at_file", "The size and the tag of a published file"),
    ):
        app.add_api_route(
            "/{repository}/{path:path}",
            read_file,
            methods=[method],
            tags=["files"],
            summary=summary,
            description=_FILE,
            response_class=Response,
            responses={**answers(404), **_NO_BODY},
            operation_id=name,
        )
