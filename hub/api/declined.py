"""How a request is declined: a status, a refusal that stays the same, and a sentence for people; everywhere alike."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException as StarletteHTTPException

from edge_runtime.contracts.errors import (
    EdgeError,
    HubError,
    HubRefusal,
    OtaError,
    ReportError,
    ReportRefusal,
)
from edge_runtime.contracts.text import printable
from hub.storage import storage_refusal

_DETAIL_CHARACTERS = 2000
_REPORT = {
    ReportRefusal.OVERSIZED: 413,
    ReportRefusal.MALFORMED: 422,
    ReportRefusal.UNKNOWN_ROBOT: 404,
    ReportRefusal.SPENT_NONCE: 409,
    ReportRefusal.EXPIRED_NONCE: 409,
}
_HUB = {
    HubRefusal.IN_USE: 503,
    HubRefusal.UPLOADS_FULL: 507,
    HubRefusal.NO_SPACE: 507,
    HubRefusal.STORAGE_FAULT: 500,
}
_NAMES = {
    400: "broken_off",
    401: "unauthorised",
    404: "not_found",
    405: "wrong_method",
    408: "too_slow",
    413: "oversized",
}
_SAID = {
    400: "the request ended before its end, or is none",
    401: "no operator's token, or another one",
    403: "not signed as it has to be; the refusal says what is wrong",
    404: "there is none",
    408: "the body came too slowly",
    409: "the nonce was spent or is too old; ask for a new one",
    413: "the body is too large",
    422: "not as it should be; the detail says what",
    500: "a fault of the hub or of its disk",
    503: "all connections are in use, or another process writes to the hub; ask again",
    507: "no space left, on the disk or for uploads",
}


class Declined(BaseModel):
    """Why a request was declined; nothing was changed by it."""

    refusal: str = Field(description="stable, for programs")
    detail: str = Field(description="for people")


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses with the body above, as the description of a route has them."""
    return {status: {"model": Declined, "description": _SAID[status]} for status in sorted({422, 500, 503, *statuses})}


def status_of(refusal: HubRefusal) -> int:
    """The status that goes with a refusal."""
    return _HUB.get(refusal, 422)


def decline(status: int, refusal: str, detail: object, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer. What a peer has put into `detail` is shown, and does nothing."""
    return JSONResponse({"refusal": refusal, "detail": printable(detail, _DETAIL_CHARACTERS)}, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Have everything that is raised answered like this."""
    for kind in (EdgeError, OSError, DBAPIError, Exception):
        app.add_exception_handler(kind, _declined)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)


def _declined(_: Request, error: Exception) -> JSONResponse:
    error = storage_refusal(error) or error
    if isinstance(error, ReportError):
        return decline(_REPORT.get(error.refusal, 403), error.refusal.value, error.detail)
    if isinstance(error, HubError):
        return decline(status_of(error.refusal), error.refusal.value, error)
    if isinstance(error, OtaError):
        return decline(422, error.refusal.value, error.detail)
    if isinstance(error, EdgeError):
        return decline(422, "refused", error)
    return decline(500, "failed", f"{type(error).__name__}: {error}")


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = None if error.headers is None else dict(error.headers)
    return decline(error.status_code, _NAMES.get(error.status_code, "refused"), error.detail, headers)


def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return decline(422, "malformed", "; ".join(faults))


def unauthorised(words: str) -> HTTPException:
    """Who asks has no token, or another one."""
    return HTTPException(401, words, {"WWW-Authenticate": "Bearer"})
