"""What an operator asks and says: releases, assignments, and how robots stand to them.

Guarantees: nothing here without the token. An upload is kept only if its bytes have the hash that its name says, and is
public only once exporter and approver signed for it.
"""

from __future__ import annotations

import hmac
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from edge_runtime.contracts.errors import HubError, HubRefusal
from edge_runtime.contracts.release import MAX_PACK_BYTES, MAX_RELEASE_BYTES
from edge_runtime.contracts.text import printable, printable_json
from hub.api.declined import answers, unauthorised
from hub.api.request_body import parts_of, whole_body
from hub.fleet.assignment_state import AssignmentState
from hub.fleet.overview import progress, releases
from hub.hub import Hub
from hub.services.assignments import DEFAULT_PROBATION_S, MANUAL_ROLLOUT, Order, assign, assignments
from hub.services.fleet_status import robot_statuses
from hub.services.publishing import draft_in, publish_uploaded
from hub.services.unit_of_work import unit_of_work
from hub.services.uploads import Upload

MAX_DRAFT_BYTES = 5_000_000
MAX_ASKED_BYTES = 200_000
_LOCK_PATIENCE_S = 10.0
_DRAFT_WITHIN_S = 120.0
_UPLOAD_WITHIN_S = 3600.0
_Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the bytes")]
_Name = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}$", description="the bundle's name")]

_BEARER = HTTPBearer(description="the operator's token", auto_error=False)


class AssignmentRequest(BaseModel, extra="forbid"):
    """Which release which robots are to run."""

    release: str = Field(description="path of a release", examples=["bundles/reach/DIGEST.json"])
    robots: list[str] = Field(
        min_length=1, max_length=1000, description="enrolled robots by name; `arm-*` stands for those that match"
    )
    not_enrolled: bool = Field(
        False, description="also names that are not enrolled: robots that don't report, or whose key comes later"
    )
    hardware: str = Field(description="what the robots are, as the release was signed for", examples=["sim_arm"])
    counter: int | None = Field(None, description="release counter; without, the newest approved for the release")
    not_before_s: int | None = Field(None, description="earliest install, Unix seconds; without, now")
    rollout: str = Field(MANUAL_ROLLOUT, description="name under which this is counted")
    probation_s: int = Field(DEFAULT_PROBATION_S, description="seconds in which the release has to prove itself")

    def order(self) -> Order:
        """The same for the service."""
        return Order(
            release=self.release,
            robots=tuple(self.robots),
            hardware=self.hardware,
            counter=self.counter,
            not_before_s=self.not_before_s,
            rollout_id=self.rollout,
            probation_s=self.probation_s,
            not_enrolled=self.not_enrolled,
        )


class PublishAnswer(BaseModel):
    """What a draft brought."""

    new: list[str] = Field(description="paths of releases that were not there before")


class AssignmentAnswer(BaseModel):
    """What was assigned."""

    counter: int = Field(description="release counter that the robots were given")
    robots: list[str] = Field(description="to whom it is assigned; each learns it when it asks")
    failed: dict[str, str] | None = Field(
        None,
        description="robots whose files are damaged and could not be made anew, and why; left out where all went well",
    )


async def _draft(request: Request) -> bytes:
    return await whole_body(request, MAX_DRAFT_BYTES, _DRAFT_WITHIN_S)


async def _asked(request: Request) -> AssignmentRequest:
    # Read here and not by the framework, which would read a body without end before it looks at the token.
    try:
        return AssignmentRequest.model_validate_json(await whole_body(request, MAX_ASKED_BYTES, _DRAFT_WITHIN_S))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors())
        problem = f"is not as it should be: {'; '.join(faults)}"
        raise HubError(HubRefusal.MALFORMED, "the assignment", problem) from error


def routes(hub: Hub, engine: Engine, token: str) -> APIRouter:
    """The operator's side of the application."""

    def authorised(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        if given is None:
            raise unauthorised("this needs the operator's token: Authorization: Bearer TOKEN")
        if not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise unauthorised("this is not the operator's token")

    router = APIRouter(
        prefix="/v1", tags=["operators"], dependencies=[Depends(authorised)], responses=answers(401, 507)
    )
    _add_releases(router, hub)
    _add_assignments(router, hub, engine)

    @router.get("/robots", summary="How every robot stands to its assignment, by its own signed word")
    def get_robots(
        standing: Annotated[list[AssignmentState] | None, Query(description="only these; may be given again")] = None,
    ) -> Response:
        listed = robot_statuses(hub, engine)
        return _json([status for status in listed if not standing or status.standing in standing])

    @router.get("/progress", summary="How far every update is over the robots that it is assigned to")
    def get_progress() -> Response:
        return _json(progress(robot_statuses(hub, engine)))

    return router


def _add_releases(router: APIRouter, hub: Hub) -> None:
    @router.get("/releases", summary="Every release that exporter and approver signed")
    def get_releases() -> Response:
        return _json(releases(hub))

    @router.put(
        "/packs/{digest}.pack",
        status_code=204,
        summary="Upload a pack of a release to come",
        responses=answers(400, 408, 413),
    )
    async def put_pack(digest: _Digest, request: Request) -> None:
        await _receive(request, hub, Path("packs") / f"{digest}.pack", digest, MAX_PACK_BYTES)

    @router.put(
        "/bundles/{name}/{digest}.json",
        status_code=204,
        summary="Upload the manifest of a release to come",
        responses=answers(400, 408, 413),
    )
    async def put_manifest(name: _Name, digest: _Digest, request: Request) -> None:
        await _receive(request, hub, Path("bundles") / name / f"{digest}.json", digest, MAX_RELEASE_BYTES)

    @router.post(
        "/releases",
        summary="Publish what was uploaded",
        description=(
            "The body is the draft that exporter and approver signed. Refused unless every file of each new release "
            "comes out of the uploaded packs as the manifest says; then nothing changes."
        ),
        openapi_extra=_body_of({"type": "object"}),
        responses=answers(400, 408, 413),
    )
    def post_release(body: Annotated[bytes, Depends(_draft)]) -> PublishAnswer:
        draft = draft_in(body)
        with unit_of_work(hub, "an operator who publishes", time.time(), patience_s=_LOCK_PATIENCE_S) as work:
            return PublishAnswer(new=[fresh.release for fresh in publish_uploaded(work, draft)])


def _add_assignments(router: APIRouter, hub: Hub, engine: Engine) -> None:
    @router.get("/assignments", summary="What every robot is assigned, as far as its files can be read")
    def get_assignments() -> Response:
        return _json(assignments(hub))

    @router.post(
        "/assignments",
        response_model_exclude_none=True,
        summary="Assign a release to robots",
        description=(
            "A robot's counter never goes down: to go back to an older release, have it signed again under a new "
            "counter. If one robot is refused, none is assigned."
        ),
        openapi_extra=_body_of(AssignmentRequest.model_json_schema()),
        responses=answers(400, 408, 413),
    )
    def post_assignment(asked: Annotated[AssignmentRequest, Depends(_asked)]) -> AssignmentAnswer:
        who, now_s = "an operator who assigns", time.time()
        with unit_of_work(hub, who, now_s, engine=engine, patience_s=_LOCK_PATIENCE_S) as work:
            assigned = assign(work, asked.order())
        failed = {name: printable(why) for name, why in assigned.failed.items()}
        return AssignmentAnswer(counter=assigned.counter, robots=list(assigned.robots), failed=failed or None)


async def _receive(request: Request, hub: Hub, path: Path, digest: str, ceiling_bytes: int) -> None:
    with Upload(hub.folder, path, digest, ceiling_bytes) as upload:
        async for part in parts_of(request, ceiling_bytes, _UPLOAD_WITHIN_S):
            upload.write(part)
        await run_in_threadpool(upload.keep)


def _body_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _json(value: object) -> Response:
    return Response(printable_json(msgspec.json.encode(value)), media_type="application/json")
