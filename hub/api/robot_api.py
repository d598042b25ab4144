"""What robots ask and say: a nonce, then a signed report over it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field
from sqlalchemy import Engine

from edge_runtime.contracts.report import MAX_REPORT_BYTES
from hub.api.declined import answers
from hub.api.request_body import whole_body
from hub.fleet.nonces import NONCE_LIFE_S
from hub.fleet.reports import Reports

_REPORT_WITHIN_S = 30.0

RobotId = Annotated[str, InPath(description="the robot's name", examples=["arm-1"], max_length=64)]


class Nonce(BaseModel):
    """Good for one report of one robot."""

    nonce: str = Field(description="goes into the report as it is")
    expires_in_s: int = Field(description="seconds in which the report has to come")


class Accepted(BaseModel):
    """The report is stored."""

    accepted: bool = Field(description="always true; what is declined is answered with another status")


async def _body(request: Request) -> bytes:
    # One byte more than a report may have: the contract says what is too long, with its own reason.
    return await whole_body(request, MAX_REPORT_BYTES + 1, _REPORT_WITHIN_S)


def routes(engine: Engine) -> APIRouter:
    """The robots' side of the application."""
    reports = Reports(engine)
    router = APIRouter(prefix="/v1/robots/{robot_id}", tags=["robots"])

    @router.get("/nonce", summary="A nonce for the next report", responses=answers(404))
    def get_nonce(robot_id: RobotId) -> Nonce:
        return Nonce(nonce=reports.nonce(robot_id), expires_in_s=NONCE_LIFE_S)

    @router.post(
        "/reports",
        summary="A signed report: what runs, and where the update stands",
        description=(
            "The body is the canonical JSON of `SignedReport`: `report`, `key_id`, and `signature` "
            "(Ed25519, hex) over `edge status report\\n` and the canonical JSON of `report`.\n\nDeclined with 403 "
            "(`wrong_signature`, `other_key`, `other_robot`, `foreign_nonce`), 404 (`unknown_robot`), 409 "
            "(`expired_nonce`, `spent_nonce`: ask for a new one), 413 (`oversized`) or 422 (`malformed`)."
        ),
        responses=answers(400, 403, 404, 408, 409, 413),
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}},
    )
    def post_report(robot_id: RobotId, body: Annotated[bytes, Depends(_body)]) -> Accepted:
        reports.accept(robot_id, body)
        return Accepted(accepted=True)

    return router
