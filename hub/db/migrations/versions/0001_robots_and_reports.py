"""Robots, their reports, and the secret of nonces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "robots",
        sa.Column("robot_id", sa.String(64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(32), nullable=True),
        sa.Column("key_id", sa.String(64), nullable=True),
        sa.Column("enrolled_s", sa.Float, nullable=False),
        sa.Column("spent_nonce_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("robot_id", name="pk_robots"),
    )
    op.create_table(
        "reports",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("robot_id", sa.String(64), nullable=False),
        sa.Column("received_s", sa.Float, nullable=False),
        sa.Column("signed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_reports"),
        sa.ForeignKeyConstraint(["robot_id"], ["robots.robot_id"], name="fk_reports_robot_id"),
    )
    op.create_index("ix_reports_robot_id_number", "reports", ["robot_id", "number"])
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
