"""A line on the terminal while something takes long: what is done, how far it is, for how long; nothing in pipes and logs."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TextIO, TypeVar

DELAY = 1.0  # seconds until the line appears: what is quick needs none
PERIOD = 0.25  # seconds between two drawings
BAR = 24  # columns
ERASE = "\r\x1b[K"

Thing = TypeVar("Thing")


class Working:
    """What is being done. Use as a context manager; it stands on stderr only where that is a terminal."""

    def __init__(self, label: str, stream: TextIO | None = None, delay: float = DELAY) -> None:
        self.label = label
        self.done = 0
        self.total: int | None = None
        self._stream = stream or sys.stderr
        self._delay = delay
        self._begun = time.monotonic()
        self._over = threading.Event()
        self._drawing = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Working:
        if can_draw(self._stream):
            if not self._delay:  # what follows may keep other threads from drawing
                self._write(self.line(0.0, shutil.get_terminal_size().columns))
            self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            if not self._delay:
                self._write(ERASE)

    def at(self, done: int, total: int | None = None) -> None:
        """How far it is."""
        self.done, self.total = done, total

    def say(self, text: str) -> None:
        """A remark that stays, above the line."""
        with self._drawing:
            self._write((ERASE if self._thread else "") + text + "\n")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The line is taken away while something else is printed."""
        with self._drawing:
            if self._thread is not None:
                self._write(ERASE)
            yield
            sys.stdout.flush()

    def through(self, things: Iterable[Thing], total: int | None = None) -> Iterator[Thing]:
        """The same things, counted as they go by."""
        size = total if total is not None else len(things) if isinstance(things, Sized) else None
        for number, thing in enumerate(things):
            self.at(number, size)
            yield thing
        self.at(size or self.done, size)

    def line(self, seconds: float, width: int) -> str:
        """What is shown, never wider than the terminal."""
        parts = [self.label]
        if self.total:
            share = min(1.0, self.done / self.total)
            full = int(share * BAR)
            parts.append(f"{'#' * full}{'.' * (BAR - full)} {self.done:,}/{self.total:,}")
        elif self.done:
            parts.append(f"{self.done:,}")
        parts.append(f"{int(seconds) // 60}:{int(seconds) % 60:02}")
        return "  ".join(parts)[: max(1, width - 1)]

    def _draw(self) -> None:
        drawn = self._over.wait(self._delay)
        while not drawn:
            text = self.line(time.monotonic() - self._begun, shutil.get_terminal_size().columns)
            with self._drawing:
                self._write(ERASE + text)
            if self._over.wait(PERIOD):
                self._write(ERASE)
                return

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone; the work is not
            self._over.set()


def can_draw(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


@contextmanager
def working(label: str, delay: float = DELAY) -> Iterator[Working]:
    """Show that this is being done until the block is left, after a moment or (without a delay) at once."""
    with Working(label, delay=delay) as shown:
        yield shown
