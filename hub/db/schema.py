"""The tables as they are after all migrations. A change here comes with a migration; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

HEAD = "0001"
"""The last of the migrations."""

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

ROBOTS = Table(
    "robots",
    METADATA,
    Column("robot_id", String(64), primary_key=True),
    # Raw Ed25519 key; NULL once the robot is retired.
    Column("public_key", LargeBinary(32), nullable=True),
    Column("key_id", String(64), nullable=True),
    Column("enrolled_s", Float, nullable=False),
    # When the nonce of the last accepted report was made: an older one, or the same, is accepted no more.
    Column("spent_nonce_ns", BigInteger, nullable=False),
)

REPORTS = Table(
    "reports",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("robot_id", String(64), ForeignKey("robots.robot_id"), nullable=False),
    Column("received_s", Float, nullable=False),
    # The signed bytes as they came: evidence that anybody can check again.
    Column("signed", LargeBinary, nullable=False),
    Index(None, "robot_id", "number"),
)

SECRETS = Table(
    "secrets",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
