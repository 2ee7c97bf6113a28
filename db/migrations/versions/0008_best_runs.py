"""The view of best runs passes over what selection passes over; views are made anew with every schema."""

from __future__ import annotations

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Tables stay as they are."""
