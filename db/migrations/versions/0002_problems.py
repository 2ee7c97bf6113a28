"""What was wrong with event files, and what the last turn found to be true."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


INDEXES = (
    ("workspace_id", "kind", "dataset", "state"),
    ("workspace_id", "dataset", "model", "state"),
    ("workspace_id", "kind", "state", "dataset", "criterion_value", "run_id"),
)


def upgrade() -> None:
    for columns in INDEXES:
        op.create_index(f"ix_runs_{'_'.join(columns)}", "runs", list(columns), unique=False)
    op.add_column(
        "workspaces", sa.Column("changes", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_table(
        "problems",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("first", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_problems_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "file", "rule", name="pk_problems"),
    )
    op.create_table(
        "standings",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Float()),
        sa.Column("free_jobs", sa.Integer()),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "sweep_id"],
            ["sweeps.workspace_id", "sweeps.id"],
            name="fk_standings_workspace_id_sweep_id",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_standings_workspace_id"),
        sa.PrimaryKeyConstraint("workspace_id", "sweep_id", name="pk_standings"),
    )
