"""What memory made attempts try, one smaller part after the other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("splits", sa.Text()))
    there = sa.text("splits IS NOT NULL")
    op.create_index(
        "ix_attempts_workspace_id",
        "attempts",
        ["workspace_id"],
        unique=False,
        sqlite_where=there,
        postgresql_where=there,
    )
