"""The migrations make the tables that the code speaks of, once, and leave what is there alone."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select

from hub.db.connection import DATABASE_NAME, MIGRATIONS, nonce_secret, open_database, open_to_read
from hub.db.schema import HEAD, METADATA, ROBOTS


def test_migrations_and_schema_agree(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        for table in METADATA.sorted_tables:
            found = inspect(connection)
            assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
            assert {index["name"] for index in found.get_indexes(table.name)} == {index.name for index in table.indexes}
            keys = found.get_foreign_keys(table.name)
            assert {key["name"] for key in keys} == {key.name for key in table.foreign_key_constraints}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_last_migration_is_what_the_code_expects(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD
    # Who only reads makes nothing, and takes no older database for one of today.
    assert open_to_read(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with open_database(tmp_path).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert open_to_read(tmp_path) is None


def test_opened_again_it_is_the_same(tmp_path: Path) -> None:
    first = open_database(tmp_path)
    with first.begin() as connection:
        connection.execute(insert(ROBOTS).values(robot_id="arm-1", enrolled_s=1.0, spent_nonce_ns=5))
    second = open_database(tmp_path)
    assert nonce_secret(second) == nonce_secret(first)
    with second.connect() as connection:
        assert connection.execute(select(ROBOTS.c.spent_nonce_ns)).scalar_one() == 5
    assert open_to_read(tmp_path) is not None
    assert (tmp_path / DATABASE_NAME).stat().st_mode & 0o777 == 0o600
