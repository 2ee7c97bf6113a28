"""Turns in the background, one after the other, while a screen stands in front of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from sgonz.coordinator.turn import Turn

SHARE = 0.05  # of one core, for turns that only look: others work on a login node too
LONGEST = 10.0  # seconds between turns, however long each takes
PATIENCE = 120.0  # for the turn that is being made when somebody leaves


def pause_after(last: Turn, least: float) -> float:
    """Seconds until the next turn; one that has just sent jobs is followed soon, since short ones may be done."""
    return least if last.sent else min(LONGEST, max(least, last.cpu_seconds / SHARE))


class Turning(threading.Thread):
    """Makes turns until the sweep is done or waits for somebody, somebody leaves, or one fails."""

    def __init__(self, next_turn: Callable[[Turn | None], Turn], pause: float) -> None:
        super().__init__(name="turning", daemon=True)
        self.next_turn, self.pause = next_turn, pause
        self.last: Turn | None = None
        self.error: BaseException | None = None
        self.left = threading.Event()
        self.over = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.left.set()
        self.join(PATIENCE)

    def run(self) -> None:
        try:
            while not self.left.is_set():
                self.last = self.next_turn(self.last)
                if self.last.decision.finished or self.last.decision.stuck:
                    break
                self.left.wait(pause_after(self.last, self.pause))
        except BaseException as error:
            self.error = error
        self.over = True

    def result(self) -> Turn:
        """The last turn. Raises what a turn raised."""
        if self.error is not None:
            raise self.error
        assert self.last is not None  # it is over, and nothing was raised
        return self.last
