"""What a worker has been told by signals, in a form that can be waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import FrameType

STOP = b"stop"  # the worker was told to go: write a checkpoint and leave
CANCEL = b"cancel"  # a person does not want this run any more
AGAIN = 75  # exit status of a run that can go on at once, in smaller parts
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # that ask a worker to go


class Told:
    """Holds a pipe that becomes readable when a signal arrives."""

    def __init__(self, signals: Sequence[signal.Signals]) -> None:
        self._received: list[signal.Signals] = []
        self._readable, written = os.pipe()
        for descriptor in (self._readable, written):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(written)
        for number in signals:
            signal.signal(number, self._note)

    def fileno(self) -> int:
        return self._readable

    @property
    def reason(self) -> str | None:
        """Why to leave; None while there is no reason to."""
        return f"told to stop by {self._received[0].name}" if self._received else None

    @property
    def insisted(self) -> bool:
        """Whether to leave without a checkpoint: asked twice by more than the warning before a time limit."""
        return sum(number is not signal.SIGUSR2 for number in self._received) > 1

    def hear(self) -> None:
        """Empty the pipe, so that the next signal can be waited for."""
        try:
            os.read(self._readable, 4096)
        except BlockingIOError:
            return

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received.append(signal.Signals(number))
