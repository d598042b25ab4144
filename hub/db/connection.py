"""Opens the hub's database and brings it up to date.

Guarantees: what was committed survives a power cut (`synchronous=FULL`), readers don't wait for the writer, a wait for
a lock ends after `_BUSY_S`. The file is its owner's alone: it holds the secret that nonces are made with.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, insert, select

from hub.db.schema import SECRETS
from hub.nonces import SECRET_BYTES

DATABASE_NAME = "hub.sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_S = 10.0
_NONCES = "nonces"


def open_database(folder: Path) -> Engine:
    """The database of the hub in `folder`, made if it is not there. Nobody else may open it for the first time."""
    path = folder / DATABASE_NAME
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _prepare)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.execute(select(SECRETS.c.name).where(SECRETS.c.name == _NONCES)).first() is None:
            value = secrets.token_bytes(SECRET_BYTES)
            connection.execute(insert(SECRETS).values(name=_NONCES, value=value))
    return engine


def nonce_secret(engine: Engine) -> bytes:
    """What nonces are made with; it stays over restarts."""
    with engine.connect() as connection:
        value: bytes = connection.execute(select(SECRETS.c.value).where(SECRETS.c.name == _NONCES)).scalar_one()
    return value


def _prepare(connection: Any, _: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
