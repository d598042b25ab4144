"""What an operator asks and says: releases, assignments, and how robots stand to them.

Guarantees: nothing here without the token. An upload is kept only if its bytes have the hash that its name says, and is
public only once exporter and approver signed for it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from edge_runtime.contracts.assignment import AssignmentTerms
from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import MAX_BUNDLE_BYTES, MAX_PACK_BYTES, MAX_RELEASE_BYTES, load
from edge_runtime.contracts.text import printable, printable_json
from edge_runtime.storage.lasting import make_folder, put_in_place
from hub.api.declined import answers, unauthorised
from hub.api.request_body import parts_of, whole_body
from hub.fleet.assignment_state import Standing
from hub.fleet.overview import progress, releases, robots
from hub.fleet.reports import Reports
from hub.fleet.robots import Robots
from hub.fleet.selection import select
from hub.hub import Hub
from hub.lock import writing
from hub.services.uploads import UPLOADS, held_bytes

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
        False, description="also names that nobody enrolled: robots that don't report, or whose key comes later"
    )
    hardware: str = Field(description="what the robots are, as the release was signed for", examples=["sim_arm"])
    counter: int | None = Field(None, description="release counter; without, the newest approved for the release")
    not_before_s: int | None = Field(None, description="earliest install, Unix seconds; without, now")
    rollout: str = Field("manual", description="name under which this is counted")
    probation_s: int = Field(600, description="seconds in which the release has to prove itself")


class Published(BaseModel):
    """What a draft brought."""

    new: list[str] = Field(description="paths of releases that were not there before")


class Assigned(BaseModel):
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
        raise SigningError("the assignment", f"is not as it should be: {'; '.join(faults)}") from error


def routes(hub: Hub, engine: Engine, token: str) -> APIRouter:
    """The operator's side of the application."""

    def authorised(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        if given is None:
            raise unauthorised("the operator's token is due: Authorization: Bearer TOKEN")
        if not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise unauthorised("this is not the operator's token")

    router = APIRouter(
        prefix="/v1", tags=["operators"], dependencies=[Depends(authorised)], responses=answers(401, 507)
    )
    _add_releases(router, hub)
    registry, reports = Robots(engine), Reports(engine)
    _add_assignments(router, hub, registry)

    @router.get("/robots", summary="How every robot stands to its assignment, by its own signed word")
    def get_robots(
        standing: Annotated[list[Standing] | None, Query(description="only these; may be given again")] = None,
    ) -> Response:
        listed = robots(hub, registry, reports)
        return _json([status for status in listed if not standing or status.standing in standing])

    @router.get("/progress", summary="How far every update is over the robots that were told to run it")
    def get_progress() -> Response:
        return _json(progress(robots(hub, registry, reports)))

    return router


def _add_releases(router: APIRouter, hub: Hub) -> None:
    incoming = hub.folder / UPLOADS

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
        await _receive(request, incoming, Path("packs") / f"{digest}.pack", digest, MAX_PACK_BYTES)

    @router.put(
        "/bundles/{name}/{digest}.json",
        status_code=204,
        summary="Upload the manifest of a release to come",
        responses=answers(400, 408, 413),
    )
    async def put_manifest(name: _Name, digest: _Digest, request: Request) -> None:
        await _receive(request, incoming, Path("bundles") / name / f"{digest}.json", digest, MAX_RELEASE_BYTES)

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
    def post_release(body: Annotated[bytes, Depends(_draft)]) -> Published:
        try:
            draft: Metadata[Any] = Metadata.from_bytes(body)
        except RepositoryError as error:
            raise SigningError("the draft", f"is no metadata: {error}") from error
        with writing(hub.folder, "an operator who publishes", _LOCK_PATIENCE_S):
            fresh = hub.image.publish_release(draft, incoming, hub.online(), time.time())
            _clear(hub, incoming, fresh)
        return Published(new=list(fresh))


def _add_assignments(router: APIRouter, hub: Hub, registry: Robots) -> None:
    @router.get("/assignments", summary="What every robot is told to run, as far as its files can be read")
    def get_assignments() -> Response:
        return _json([known for robot_id in hub.director.robots() if (known := hub.director.known(robot_id))])

    @router.post(
        "/assignments",
        response_model_exclude_none=True,
        summary="Tell robots what to run",
        description=(
            "A robot's counter never goes down: to go back to an older release, have it signed again under a new "
            "counter. Where one robot is refused, nobody was told."
        ),
        openapi_extra=_body_of(AssignmentRequest.model_json_schema()),
        responses=answers(400, 408, 413),
    )
    def post_assignment(asked: Annotated[AssignmentRequest, Depends(_asked)]) -> Assigned:
        now_s = time.time()
        with writing(hub.folder, "an operator who assigns", _LOCK_PATIENCE_S):
            counter = hub.image.newest(asked.release) if asked.counter is None else asked.counter
            enrolled = [robot.robot_id for robot in registry.all() if robot.public_key]
            told = [
                AssignmentTerms(
                    robot_id=robot_id,
                    release_counter=counter,
                    hardware=asked.hardware,
                    not_before_s=int(now_s) if asked.not_before_s is None else asked.not_before_s,
                    rollout_id=asked.rollout,
                    probation_s=asked.probation_s,
                )
                for robot_id in select(asked.robots, enrolled, also_unknown=asked.not_enrolled)
            ]
            failed = hub.director.assign_all(asked.release, told, hub.image, hub.online(), now_s)
        assigned = [terms.robot_id for terms in told if terms.robot_id not in failed]
        return Assigned(
            counter=counter, robots=assigned, failed={name: printable(why) for name, why in failed.items()} or None
        )


def _clear(hub: Hub, incoming: Path, published: tuple[str, ...]) -> None:
    """Remove what was copied into the repository. What belongs to another release stays until that is published."""
    for path in published:
        for pack in load(hub.image.manifest(path)).packs:
            (incoming / pack.path).unlink(missing_ok=True)
        (incoming / path).unlink(missing_ok=True)


async def _receive(request: Request, incoming: Path, path: Path, digest: str, ceiling_bytes: int) -> None:
    """Keep an upload if its bytes have the hash that it was announced with."""
    if held_bytes(incoming) + ceiling_bytes > MAX_BUNDLE_BYTES:
        raise HTTPException(507, "too much is uploaded and not released; publish it or remove incoming/")
    place = incoming / path
    make_folder(place.parent)
    beside = place.with_name(f".{place.name}.{time.monotonic_ns()}.new")
    found = hashlib.sha256()
    try:
        with beside.open("xb") as file:
            async for part in parts_of(request, ceiling_bytes, _UPLOAD_WITHIN_S):
                found.update(part)
                file.write(part)
        if found.hexdigest() != digest:
            raise SigningError(str(path), f"the bytes that came have the SHA-256 {found.hexdigest()}")
        await run_in_threadpool(put_in_place, beside, place)
    finally:
        beside.unlink(missing_ok=True)


def _body_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _json(value: object) -> Response:
    return Response(printable_json(msgspec.json.encode(value)), media_type="application/json")
