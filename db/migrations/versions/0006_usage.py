"""What jobs used by the cluster's own count, and each attempt's part of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("accounted", "elapsed", "peak_memory_mb"):
        op.add_column("jobs", sa.Column(name, sa.Float()))
    for name in ("counted_by", "owner", "node", "gres", "cluster_state", "exit_code"):
        op.add_column("jobs", sa.Column(name, sa.Text()))
    op.add_column("jobs", sa.Column("gpus", sa.Integer()))
    op.add_column("attempts", sa.Column("device_seconds", sa.Float()))
    op.create_index("ix_jobs_workspace_id_accounted", "jobs", ["workspace_id", "accounted"], unique=False)
