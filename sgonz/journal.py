"""coordinator.jsonl: what the coordinator itself decided, one line each, append-only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

JOURNAL_FORMAT = 1


@dataclass(frozen=True)
class Journal:
    path: Path

    def write(self, what: str, **facts: Any) -> None:
        """Append one line; the file is enough to restore what no event file tells."""
        line = msgspec.json.encode({"v": JOURNAL_FORMAT, "time": time.time(), "type": what, **facts})
        with self.path.open("ab") as stream:
            stream.write(line + b"\n")
