"""Who the hub's robots are: each has a name and an Ed25519 key, which an operator enrols and nobody else can."""

from __future__ import annotations

from pathlib import Path

import msgspec
from securesystemslib.signer import SSlibKey
from sqlalchemy import Engine, insert, select, update

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import Name
from hub.db.connection import open_to_read
from hub.db.schema import ROBOTS


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
        """From now on a robot's reports are signed with `key`; one that it had before counts no more.

        Raises:
            SigningError: no robot's name, not an Ed25519 key, or the key of another robot.
        """
        _require_name(robot_id)
        if (key.keytype, key.scheme) != ("ed25519", "ed25519"):
            raise SigningError(key.keyid, f"is a {key.keytype} key; Ed25519 is asked for")
        values = {"public_key": bytes.fromhex(key.keyval["public"]), "key_id": key.keyid, "enrolled_s": now_s}
        with self._engine.begin() as connection:
            # The write comes first: it takes the lock, and what is read after it stays true until the end.
            changed = connection.execute(update(ROBOTS).where(ROBOTS.c.robot_id == robot_id).values(**values)).rowcount
            if not changed:
                connection.execute(insert(ROBOTS).values(robot_id=robot_id, spent_nonce_ns=0, **values))
            holders = connection.execute(select(ROBOTS.c.robot_id).where(ROBOTS.c.public_key == values["public_key"]))
            other = next((holder for holder in holders.scalars() if holder != robot_id), None)
            if other is not None:
                raise SigningError(key.keyid, f"is the key of {other}; every robot has one of its own")

    def retire(self, robot_id: str) -> None:
        """Take no more reports of a robot; those it made stay.

        Raises:
            SigningError: there is no such robot.
        """
        with self._engine.begin() as connection:
            statement = update(ROBOTS).where(ROBOTS.c.robot_id == robot_id).values(public_key=None, key_id=None)
            if not connection.execute(statement).rowcount:
                raise SigningError(robot_id, "was never enrolled")

    def get(self, robot_id: str) -> Robot | None:
        """A robot that is or was enrolled."""
        with self._engine.connect() as connection:
            row = connection.execute(select(ROBOTS).where(ROBOTS.c.robot_id == robot_id)).first()
        return None if row is None else Robot(*row)

    def all(self) -> list[Robot]:
        """Every robot, by name."""
        with self._engine.connect() as connection:
            return [Robot(*row) for row in connection.execute(select(ROBOTS).order_by(ROBOTS.c.robot_id))]


def enrolled_in(folder: Path) -> list[str]:
    """The robots whose reports count at the hub in `folder`; none where nobody was ever enrolled."""
    engine = open_to_read(folder)
    if engine is None:
        return []
    return [robot.robot_id for robot in Robots(engine).all() if robot.public_key is not None]


def _require_name(robot_id: str) -> None:
    try:
        msgspec.convert(robot_id, type=Name)
    except msgspec.ValidationError as error:
        raise SigningError(robot_id, f"is no robot's name: {error}") from error
