"""coordinator.jsonl: what the coordinator itself decided, one line each, append-only."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

JOURNAL_FORMAT = 1
STORE, UNDONE = (
    "store",
    "undone",
)  # types of lines: a write of the store, and that an earlier one never happened


class Mark(msgspec.Struct, frozen=True):
    """As much of a line as tells what it is."""

    type: str
    at: int = 0  # UNDONE: the byte at which the line begins that is not true


_mark = msgspec.json.Decoder(Mark)


@dataclass(frozen=True)
class Journal:
    path: Path

    def write(self, what: str, **facts: Any) -> int:
        """Append one line, and say where it ends; the file is enough to restore what no event file tells."""
        line = msgspec.json.encode({"v": JOURNAL_FORMAT, "time": time.time(), "type": what, **facts})
        with self.path.open("ab+") as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # torn by a full disk: this line must not become part of it
                    line = b"\n" + line
            stream.write(line + b"\n")
            return stream.tell()

    def tells_of_writes(self) -> bool:
        """Whether something was ever written into a database from here."""
        try:
            with self.path.open("rb") as stream:
                return any(mark_of(line).type == STORE for line in stream)
        except FileNotFoundError:
            return False

    def mark_undone(self, committed: int | None) -> None:
        """Say that the write told of after byte `committed` never happened, where there is one.

        A line is written before its transaction is committed, so that a kill in between can leave one too many. Where
        there are more, the database is an older one, from a backup perhaps: nothing is said of what it has forgotten.
        """
        if committed is None or not self.path.exists() or self.path.stat().st_size <= committed:
            return
        told: set[int] = set()
        with self.path.open("rb") as stream:
            position = stream.seek(committed)
            for line in stream:
                mark = mark_of(line)
                if mark.type == STORE:
                    told.add(position)
                elif mark.type == UNDONE:
                    told.discard(mark.at)
                position += len(line)
        if len(told) == 1:
            self.write(UNDONE, at=told.pop())


def undone(path: Path) -> set[int]:
    """Where the lines begin that are not true."""
    with path.open("rb") as stream:
        marks = (mark_of(line) for line in stream if b'"type":"undone"' in line)
        return {mark.at for mark in marks if mark.type == UNDONE}


def mark_of(line: bytes) -> Mark:
    try:
        return _mark.decode(line)
    except msgspec.DecodeError:
        return Mark(type="torn")
