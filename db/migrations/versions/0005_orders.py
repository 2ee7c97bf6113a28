"""What a person has said about a sweep, and runs that are done again from the start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("sweeps", sa.Column("orders", sa.Text()))
    op.add_column("runs", sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("runs", sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False))
