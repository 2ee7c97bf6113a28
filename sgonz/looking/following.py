"""Logs of several runs as they grow, wherever on the shared disk they are written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MOST_BYTES = 2**20  # of one log in one look


@dataclass
class Followed:
    """One log, and how far it was read."""

    prefix: str
    path: Path
    offset: int = 0
    rest: bytes = field(default=b"", repr=False)  # of a line that is not whole yet

    def lines(self, *, last: bool = False) -> Iterator[str]:
        """What is new, line by line; with `last` also a line that nobody will end.

        The file is opened anew for every look: that is what makes a network file system ask for news.
        """
        try:
            with self.path.open("rb") as stream:
                if stream.seek(0, 2) < self.offset:  # begun anew
                    self.offset, self.rest = 0, b""
                stream.seek(self.offset)
                content = stream.read(MOST_BYTES)
        except FileNotFoundError:
            content = b""
        self.offset += len(content)
        *whole, self.rest = (self.rest + content).split(b"\n")
        if last and self.rest:
            whole, self.rest = [*whole, self.rest], b""
        for line in whole:
            # A progress bar rewrites its line: what stood there last is what counts.
            shown = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
            yield self.prefix + shown


def skip_to_end(log: Followed, lines: int) -> None:
    """Begin so many lines before the end."""
    try:
        content = log.path.read_bytes()
    except FileNotFoundError:
        return
    kept = content.split(b"\n")[-lines - 1 :]
    log.offset = len(content) - len(b"\n".join(kept))


def follow(
    wanted: Callable[[], tuple[Mapping[str, Followed], bool]], lines: int, wait: Callable[[], None]
) -> Iterator[str]:
    """Lines of all logs as they come, until there is nothing more to come.

    `wanted` says which runs are followed now, by id, and whether all of them are over; it is asked again and again,
    since runs start on other nodes while one watches.
    """
    known: dict[str, Followed] = {}
    while True:
        logs, over = wanted()
        for run_id, log in logs.items():
            if run_id not in known:
                known[run_id] = log
                skip_to_end(log, lines)
        for log in known.values():
            yield from log.lines(last=over)
        if over:
            return
        wait()
