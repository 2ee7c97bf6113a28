"""How many runs stand in each state, kept with every change; how much of the journal was committed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("recorded", sa.BigInteger()))
    op.create_table(
        "tallies",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("runs >= 0", name=op.f("ck_tallies_runs")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_tallies_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "sweep_id", "kind", "dataset", "state", name="pk_tallies"),
    )
    op.execute(
        """INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
        SELECT workspace_id, 0, kind, dataset, state, COUNT(*) FROM runs GROUP BY workspace_id, kind, dataset, state"""
    )
    op.execute(
        """INSERT INTO tallies (workspace_id, sweep_id, kind, dataset, state, runs)
        SELECT runs.workspace_id, sweep_runs.sweep_id, runs.kind, runs.dataset, runs.state, COUNT(*)
        FROM sweep_runs
        JOIN runs ON runs.workspace_id = sweep_runs.workspace_id AND runs.run_id = sweep_runs.run_id
        GROUP BY runs.workspace_id, sweep_runs.sweep_id, runs.kind, runs.dataset, runs.state"""
    )
