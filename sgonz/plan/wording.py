"""Numbers of things as people read them."""

from __future__ import annotations


def number_of(size: int, noun: str) -> str:
    return f"{size:,} {noun}" if size == 1 else f"{size:,} {noun}s"
