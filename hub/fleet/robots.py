"""Who the hub's robots are: each has a name and an Ed25519 key, which only an operator enrols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from securesystemslib.signer import SSlibKey
from sqlalchemy import Engine, insert, select, update

from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from hub.db.schema import ROBOTS
from hub.robot_names import require_robot_names


class Robot(msgspec.Struct, frozen=True):
    """An enrolled robot; without a key once it is retired."""

    robot_id: str
    public_key: bytes | None
    key_id: str | None
    enrolled_s: float
    spent_nonce_ns: int


class Robots:
    """The robots in the hub's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def enrol(self, robot_id: str, key: SSlibKey, now_s: float) -> None:
        """Take a robot's reports from now on if they are signed with `key`; raises as `enrol_all`."""
        self.enrol_all({robot_id: key}, now_s)

    def enrol_all(self, keys: Mapping[str, SSlibKey], now_s: float) -> None:
        """Take the reports of robots from now on if they are signed with these keys; older keys of theirs end.

        All of them are enrolled, or none.

        Raises:
            HubError: NO_ROBOT_NAME, or KEY_TAKEN by another robot.
            SigningError: not an Ed25519 key.
        """
        require_robot_names(keys)
        rows = {robot_id: _values(key, now_s) for robot_id, key in keys.items()}
        with self._engine.begin() as connection:
            # The writes come first: they take the lock, and what is read after them stays true until the end.
            for robot_id, values in rows.items():
                change = update(ROBOTS).where(ROBOTS.c.robot_id == robot_id).values(**values)
                if not connection.execute(change).rowcount:
                    connection.execute(insert(ROBOTS).values(robot_id=robot_id, spent_nonce_ns=0, **values))
            holders: dict[bytes, list[str]] = {}
            for holder, held in connection.execute(select(ROBOTS.c.robot_id, ROBOTS.c.public_key)):
                holders.setdefault(held, []).append(holder)
            for robot_id, values in rows.items():
                other = next((holder for holder in holders[values["public_key"]] if holder != robot_id), None)
                if other is not None:
                    problem = f"is the key of {other}; every robot has one of its own"
                    raise HubError(HubRefusal.KEY_TAKEN, values["key_id"], problem)

    def retire(self, robot_id: str) -> None:
        """Take no more reports of a robot; those it made stay.

        Raises:
            HubError: NOT_ENROLLED: there is no such robot.
        """
        with self._engine.begin() as connection:
            statement = update(ROBOTS).where(ROBOTS.c.robot_id == robot_id).values(public_key=None, key_id=None)
            if not connection.execute(statement).rowcount:
                raise HubError(HubRefusal.NOT_ENROLLED, robot_id, "was never enrolled")

    def get(self, robot_id: str) -> Robot | None:
        """A robot that is or was enrolled."""
        with self._engine.connect() as connection:
            row = connection.execute(select(ROBOTS).where(ROBOTS.c.robot_id == robot_id)).first()
        return None if row is None else Robot(*row)

    def enrolled(self) -> list[str]:
        """Robots whose reports count, by name."""
        with self._engine.connect() as connection:
            have_keys = select(ROBOTS.c.robot_id).where(ROBOTS.c.public_key.is_not(None))
            return list(connection.execute(have_keys.order_by(ROBOTS.c.robot_id)).scalars())

    def all(self) -> list[Robot]:
        """Every robot, by name."""
        with self._engine.connect() as connection:
            return [Robot(*row) for row in connection.execute(select(ROBOTS).order_by(ROBOTS.c.robot_id))]


def _values(key: SSlibKey, now_s: float) -> dict[str, Any]:
    if (key.keytype, key.scheme) != ("ed25519", "ed25519"):
        raise SigningError(key.keyid, f"is a {key.keytype} key; Ed25519 is asked for")
    return {"public_key": bytes.fromhex(key.keyval["public"]), "key_id": key.keyid, "enrolled_s": now_s}
