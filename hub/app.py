"""The hub over HTTP: public static files, an address for robots' reports, and an operator's side behind a token.

Guarantees: without the token nobody changes anything but by a signed report; every body has a ceiling; what is declined
is answered with a stable reason and a sentence. Refuses to hold state: all lies in the hub's folder, so a restart loses
nothing. Trusts whoever ends TLS in front of it, if it does not do so itself, to keep the operator's token secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from contracts.errors import EdgeError, OtaError, OtaRefusal, ReportError, ReportRefusal
from hub import operator_api, robot_api
from hub.house import Hub
from hub.static_files import read_public
from hub.storage import storage_refusal

_STATUS = {
    ReportRefusal.OVERSIZED: 413,
    ReportRefusal.MALFORMED: 422,
    ReportRefusal.UNKNOWN_ROBOT: 404,
    ReportRefusal.SPENT_NONCE: 409,
    ReportRefusal.EXPIRED_NONCE: 409,
}
_DESCRIPTION = """\
Publishes what robots may install, tells each robot what to run, and takes their signed word for what does run.

* **Files** need no token: they are signed, and a robot believes nobody's word for them. Any web server, CDN or object
  store over the same folders does as well.
* **Robots** sign what they report with their own key, over a nonce from here.
* **Operators** send `Authorization: Bearer TOKEN`. The token chooses among releases that two people signed; it releases
  nothing by itself.

What is declined is answered as `{"refusal": ..., "detail": ...}`: the refusal is stable, the detail is for people.
"""


class Health(BaseModel):
    """Alive, and the database answers."""

    healthy: bool = Field(description="always true; a hub that is not well does not answer with 200")


def make_app(hub: Hub, engine: Engine, operator_token: str) -> FastAPI:
    """The application over one hub's folder and database."""
    app = FastAPI(title="edge-hub", version="1", description=_DESCRIPTION, redirect_slashes=False)
    app.include_router(robot_api.routes(engine))
    app.include_router(operator_api.routes(hub, engine, operator_token))

    @app.get("/health", tags=["hub"], summary="Whether the hub is well")
    def health() -> Health:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return Health(healthy=True)

    _add_files(app, hub.folder)
    for kind in (EdgeError, OSError, DBAPIError):
        app.add_exception_handler(kind, _declined)
    return app


def _add_files(app: FastAPI, folder: Path) -> None:
    @app.api_route(
        "/{repository}/{path:path}",
        methods=["GET", "HEAD"],
        tags=["files"],
        summary="A published file",
        description="Metadata, release manifests and packs, by range where asked; see docs/guides/hub.md for caching.",
        response_class=Response,
        responses={206: {"description": "a range of it"}, 304: {"description": "as it was"}},
        operation_id="read_file",
    )
    def read_file(
        repository: str, path: str, if_none_match: Annotated[str | None, Header(description="an ETag")] = None
    ) -> Response:
        return read_public(folder, f"{repository}/{path}", if_none_match)


def _declined(_: Request, error: Exception) -> JSONResponse:
    fault = storage_refusal(error)
    if fault is not None:
        status = 507 if fault.refusal is OtaRefusal.NO_SPACE else 500
        return JSONResponse({"refusal": fault.refusal.value, "detail": fault.detail}, status_code=status)
    if isinstance(error, ReportError):
        status, refusal, detail = _STATUS.get(error.refusal, 403), error.refusal.value, error.detail
    elif isinstance(error, OtaError):
        status, refusal, detail = 422, error.refusal.value, error.detail
    elif not isinstance(error, EdgeError):
        status, refusal, detail = 500, "failed", str(error)
    else:
        status, refusal, detail = 422, "refused", str(error)
    return JSONResponse({"refusal": refusal, "detail": detail}, status_code=status)
