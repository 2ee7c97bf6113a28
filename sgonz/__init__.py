"""sgonz: fine-tune and distil language models on Slurm, from one sweep file."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it: a worker starts without typing
if TYPE_CHECKING:
    from typing import Any

    from sgonz.looking.frames import open_store

__version__ = "0.1.0"
__all__ = ["__version__", "open_store"]


def __getattr__(name: str) -> Any:
    """`sgonz.open_store` on first use, so that start-up does not wait for a database library."""
    if name == "open_store":
        from sgonz.looking.frames import open_store

        return open_store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
