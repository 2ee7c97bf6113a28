"""What people write about sweeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "sweep_notes",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sweep", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_sweep_notes_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "sweep", "number", name="pk_sweep_notes"),
    )
    op.create_table(
        "sweep_tags",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sweep", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_sweep_tags_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "sweep", "tag", name="pk_sweep_tags"),
    )
