"""How a fleet stands: each robot, each update, and what of the hub is damaged."""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine

from hub.fleet.overview import Progress, RobotStatus, progress, robots
from hub.fleet.reports import Reports
from hub.fleet.robots import Robots
from hub.hub import Hub
from hub.trouble import DIRECTOR_ROOT, IMAGE, Trouble


class FleetStatus(msgspec.Struct, frozen=True):
    """All of it. `troubles`: of the parts that all robots share; what is damaged of one stands with that robot."""

    updates: tuple[Progress, ...]
    robots: tuple[RobotStatus, ...]
    troubles: tuple[Trouble, ...]


def robot_statuses(hub: Hub, engine: Engine) -> list[RobotStatus]:
    """Every robot that is enrolled or assigned something, by name."""
    return robots(hub, Robots(engine), Reports(engine))


def fleet_status(hub: Hub, engine: Engine) -> FleetStatus:
    """How the fleet of `hub` stands by the reports in its database."""
    everybody = robot_statuses(hub, engine)
    shared = tuple(trouble for trouble in hub.troubles() if trouble.what in (IMAGE, DIRECTOR_ROOT))
    return FleetStatus(tuple(progress(everybody)), tuple(everybody), shared)
