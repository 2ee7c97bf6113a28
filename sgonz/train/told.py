"""What a worker has been told by signals, in a form that can be waited for."""

from __future__ import annotations

import os
from _signal import SIGINT, SIGTERM, SIGUSR2, set_wakeup_fd, signal  # type: ignore[import-not-found]

TYPE_CHECKING = False  # a worker starts without typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

STOP = b"stop"  # the worker was told to go: write a checkpoint and leave
CANCEL = b"cancel"  # a person does not want this run any more
AGAIN = 75  # exit status of a run that can go on at once, in smaller parts
# That ask a worker to go. As plain numbers: the names that the module signal gives them take 5 ms to make.
NAMES: dict[int, str] = {SIGTERM: "SIGTERM", SIGINT: "SIGINT", SIGUSR2: "SIGUSR2"}
SIGNALS = tuple(NAMES)


class Told:
    """Holds a pipe that becomes readable when a signal arrives."""

    def __init__(self, signals: Sequence[int]) -> None:
        self._received: list[int] = []
        self._readable, written = os.pipe()
        for descriptor in (self._readable, written):
            os.set_blocking(descriptor, False)
        set_wakeup_fd(written)
        for number in signals:
            signal(number, self._note)

    def fileno(self) -> int:
        return self._readable

    @property
    def reason(self) -> str | None:
        """Why to leave; None while there is no reason to."""
        return f"told to stop by {NAMES[self._received[0]]}" if self._received else None

    @property
    def insisted(self) -> bool:
        """Whether to leave without a checkpoint: asked twice by more than the warning before a time limit."""
        return sum(number != SIGUSR2 for number in self._received) > 1

    def hear(self) -> None:
        """Empty the pipe, so that the next signal can be waited for."""
        try:
            os.read(self._readable, 4096)
        except BlockingIOError:
            return

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)
