"""Numbers of things as people read them."""

from __future__ import annotations


def number_of(size: int, one: str, several: str = "") -> str:
    """`1 run`, `2 runs`; with a verb `several` says the whole of it: `run waits`, `runs wait`."""
    return f"{size:,} {one if size == 1 else several or one + 's'}"
