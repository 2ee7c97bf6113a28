"""Pages of runs in their order, what came into a state last and what is selected, without reading all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_runs_workspace_id_position", "runs", ["workspace_id", "position"], unique=False)
    op.create_index(
        "ix_runs_workspace_id_state_changed", "runs", ["workspace_id", "state", "changed"], unique=False
    )
    op.create_index(
        "ix_sweep_runs_workspace_id_sweep_id", "sweep_runs", ["workspace_id", "sweep_id"], unique=False,
        sqlite_where=sa.text("selected = 1"), postgresql_where=sa.text("selected"),
    )  # fmt: skip
