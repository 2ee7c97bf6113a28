"""The terminal while a screen is on it: taken over, asked for keys, and given back whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import termios
import time
import tty
from types import FrameType
from typing import Any, Self, TextIO

from sgonz.view.sight import keys

ENTER = "\x1b[?1049h\x1b[?25l\x1b[0m\x1b[2J"  # the other screen, no cursor
LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
ESCAPE_SECONDS = 0.05  # after which a lone Escape is no beginning of anything
ASK = "\x1b[5n"  # a terminal that gets to it answers; over a slow link that says what has arrived
ANSWER = "answered"
PATIENCE = 30.0  # seconds without an answer after which it will not come
FAREWELL = 0.3  # seconds that a last answer is waited for, where none ever came; ten times that where they do
SMALLEST = (20, 6)


class Terminal:
    """Holds the terminal's settings, and the handlers of signals that would leave it as it is. For the main thread."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.out = stream.fileno()
        self.input: int | None = None
        self.owned = False  # whether `input` was opened here
        self.settings: list[Any] | None = None
        self.handlers: dict[signal.Signals, Any] = {}
        self.typed = b""
        self.answers = False  # whether it ever answered
        self.asked: float | None = None  # when an answer was asked for that has not come
        self.changed = True  # its size, or all that it shows
        self.woken, self.wake = os.pipe()
        for descriptor in (self.woken, self.wake):
            os.set_blocking(descriptor, False)

    def __enter__(self) -> Self:
        self.input = self._keyboard()
        self._take()
        for number, handler in ((signal.SIGTERM, _end), (signal.SIGHUP, _end), (signal.SIGWINCH, self._resized),
                                (signal.SIGTSTP, self._pause)):  # fmt: skip
            self.handlers[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *raised: object) -> None:
        self._give_back()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        if self.owned and self.input is not None:
            os.close(self.input)
        os.close(self.woken)
        os.close(self.wake)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; never so few that nothing could be shown."""
        try:
            lines, columns = struct.unpack("HHHH", fcntl.ioctl(self.out, termios.TIOCGWINSZ, bytes(8)))[:2]
        except OSError:
            lines, columns = 24, 80
        return max(SMALLEST[0], columns or 80), max(SMALLEST[1], lines or 24)

    def write(self, text: str) -> int:
        """How many bytes went out. A terminal that is gone is no reason to fail: its end comes as a signal."""
        left = text.encode(self.stream.encoding or "utf-8", errors="replace")
        size = len(left)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(self.out, left) :]
        return size

    @property
    def ready(self) -> bool:
        """Whether it shows all that it was sent, as far as it tells: more would only queue up on the way."""
        return not self.answers or self.asked is None or time.monotonic() - self.asked > PATIENCE

    def draw(self, text: str) -> None:
        """A change of what is shown, and the question whether it has arrived."""
        if not text:
            return
        if self.input is not None and (self.asked is None or self.answers):
            text, self.asked = text + ASK, time.monotonic()
        self.write(text)

    def notice(self) -> None:
        """Wake whoever waits for keys; from any thread."""
        with contextlib.suppress(OSError):
            os.write(self.wake, b"x")

    def wait(self, seconds: float) -> list[str]:
        """Keys that were typed, as soon as there are any; none when woken, or after so long."""
        sources = [self.woken] + ([self.input] if self.input is not None else [])
        ready = select.select(sources, [], [], ESCAPE_SECONDS if self.typed else max(0.0, seconds))[0]
        with contextlib.suppress(BlockingIOError):
            while os.read(self.woken, 4096):
                pass
        if self.input not in ready:
            found, self.typed = (["escape"] if self.typed[:1] == b"\x1b" else []), b""
            return found
        try:
            arrived = os.read(self.input, 4096) if self.input is not None else b""
        except OSError:
            arrived = b""
        if not arrived:
            self._lose_keyboard()
            return []
        self.typed += arrived
        if self.typed == b"\x1b":  # Escape, or the beginning of an arrow
            return []
        found, self.typed = keys(self.typed)
        if ANSWER in found:
            self.answers, self.asked = True, None
        return [key for key in found if key != ANSWER]

    def _keyboard(self) -> int | None:
        if os.isatty(0):
            return 0
        try:
            descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        except OSError:
            return None
        self.owned = True
        return descriptor

    def _lose_keyboard(self) -> None:
        """The terminal was closed; what is drawn goes nowhere, but a sweep that runs goes on."""
        if self.owned and self.input is not None:
            os.close(self.input)
        self.input, self.owned = None, False

    def _take(self) -> None:
        if self.input is not None:
            with contextlib.suppress(termios.error):
                self.settings = termios.tcgetattr(self.input)
                tty.setcbreak(self.input)  # signals of the keyboard stay signals
        self.write(ENTER)
        self.changed = True

    def _give_back(self) -> None:
        self.write(LEAVE)
        self._await_answer()
        if self.input is not None and self.settings is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.input, termios.TCSAFLUSH, self.settings)

    def _await_answer(self) -> None:
        """Take an answer that is still on its way: the shell would show it as if somebody had typed it."""
        end = time.monotonic() + FAREWELL * (10 if self.answers else 1)
        while self.asked is not None and self.input is not None and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(OSError):
                self.wait(left)

    def _resized(self, number: int, frame: FrameType | None) -> None:
        self.changed = True
        self.notice()

    def _pause(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its screen back, and we ours with `fg`."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self.notice()


def _end(number: int, frame: FrameType | None) -> None:
    """Leave as the signal asks, through every `finally` on the way."""
    raise SystemExit(128 + number)
