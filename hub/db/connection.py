"""Opens the hub's database and brings it up to date.

Guarantees: what was committed survives a power cut (`synchronous=FULL`), readers don't wait for the writer, a wait for
a lock ends after `_BUSY_S`. The file is its owner's alone: it holds the secret that nonces are made with.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select

from hub.db.schema import HEAD, SECRETS

DATABASE_NAME = "hub.sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_S = 10.0
_NONCES = "nonces"
_SECRET_BYTES = 32


def open_database(folder: Path) -> Engine:
    """The database of the hub in `folder`, made or brought up to date by whoever holds the hub's lock."""
    os.close(os.open(folder / DATABASE_NAME, os.O_RDWR | os.O_CREAT, 0o600))
    engine = _engine_of(folder)
    with engine.begin() as connection:
        if _is_current(connection):
            return engine
        # Only here, for it takes longer to load than most commands take.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.execute(select(SECRETS.c.name).where(SECRETS.c.name == _NONCES)).first() is None:
            value = secrets.token_bytes(_SECRET_BYTES)
            connection.execute(insert(SECRETS).values(name=_NONCES, value=value))
    return engine


def open_to_read(folder: Path) -> Engine | None:
    """The database as it is, for which nobody needs the lock; None where `open_database` would have to write."""
    if not (folder / DATABASE_NAME).exists():
        return None
    engine = _engine_of(folder)
    with engine.connect() as connection:
        return engine if _is_current(connection) else None


def nonce_secret(engine: Engine) -> bytes:
    """What nonces are made with; it stays over restarts."""
    with engine.connect() as connection:
        value: bytes = connection.execute(select(SECRETS.c.value).where(SECRETS.c.name == _NONCES)).scalar_one()
    return value


def _engine_of(folder: Path) -> Engine:
    engine = create_engine(f"sqlite:///{folder / DATABASE_NAME}", connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _prepare)
    return engine


def _is_current(connection: Connection) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    has_secret = connection.execute(select(SECRETS.c.name).where(SECRETS.c.name == _NONCES)).first() is not None
    return version == HEAD and has_secret


def _prepare(connection: Any, _: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
