"""A terminal that a program believes in, and that tests can look at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyte
from job_folders import PATIENCE


@dataclass
class Seen:
    """A program on a terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    screen: pyte.Screen
    stream: pyte.ByteStream
    before: list[object]  # the terminal's settings
    sent: bytearray = field(default_factory=bytearray)
    answering: bool = False  # whether it tells a program that asks that it has shown everything
    asked: int = 0  # questions that it has not answered

    def read(self, seconds: float = 0.1) -> None:
        while select.select([self.master], [], [], seconds)[0]:
            arrived = os.read(self.master, 65536)
            self.sent += arrived
            self.stream.feed(arrived)
            self.asked += arrived.count(b"\x1b[5n")
            if self.answering:
                self.answer()

    def answer(self) -> None:
        self.type("\x1b[0n" * self.asked)
        self.asked = 0

    def until(self, reached: Callable[[], object], *, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not reached():
            if time.monotonic() > deadline or (
                self.process.poll() is not None and not self.read() and not reached()
            ):
                raise AssertionError(f"not seen, exit {self.process.poll()}:\n{self.text}")
            self.read()

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def shows(self, *parts: str, patience: float = PATIENCE) -> None:
        self.until(lambda: all(part in self.text for part in parts), patience=patience)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.killpg(self.process.pid, signal.SIGWINCH)

    def ends(self, *, patience: float = PATIENCE) -> int:
        self.until(lambda: self.process.poll() is not None, patience=patience)
        self.read()
        return self.process.returncode

    def assert_given_back(self) -> None:
        """The other screen is left, the cursor is there, and keys are echoed as before."""
        sent = bytes(self.sent)
        assert sent.rfind(b"\x1b[?1049l") > sent.rfind(b"\x1b[?1049h")
        assert sent.rfind(b"\x1b[?25h") > sent.rfind(b"\x1b[?25l")
        assert termios.tcgetattr(self.slave)[:4] == self.before[:4]


@contextmanager
def on_terminal(
    command: Sequence[str],
    *,
    columns: int = 80,
    lines: int = 24,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Seen]:
    """`python -m sgonz COMMAND` on a terminal of this size."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    before = termios.tcgetattr(slave)
    known = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "sgonz", *command], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
        env={**known, "TERM": "xterm-256color", "TZ": "UTC", "SGONZ_WORKDIR": str(folder / "work"), **(environment or {})},
        preexec_fn=lambda: _lead(slave),
    )  # fmt: skip
    screen = pyte.Screen(columns, lines)
    seen = Seen(process, master, slave, screen, pyte.ByteStream(screen), before)
    try:
        yield seen
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def _lead(slave: int) -> None:
    """A session of its own, so that Ctrl-C of this terminal reaches it and nobody else."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
