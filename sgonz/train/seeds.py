"""Independent random streams from one seed."""

from __future__ import annotations

import hashlib


def derived(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose that owes nothing to the others, 63 bits."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
