"""The live screen on a terminal: somebody looks in the background, keys and redraws are never kept waiting."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self, TextIO

import msgspec

from sgonz.looking.scene import Request, Scene
from sgonz.view.cells import console_for
from sgonz.view.dashboard import kept_scroll, rows_of, screen
from sgonz.view.paint import Painter
from sgonz.view.sight import Sight, kept_in_view, press, request, total
from sgonz.view.terminal import Terminal

Look = Callable[[Request, bool], Scene]  # what is asked for, and whether what takes long is waited for


class Looker(threading.Thread):
    """Looks again every so often, and at once when something else is asked for."""

    def __init__(self, look: Look, asked: Request, every: float, notice: Callable[[], None]) -> None:
        super().__init__(name="looker", daemon=True)
        self.look, self.asked, self.every, self.notice = look, asked, every, notice
        self.scene: Scene | None = None
        self.error: BaseException | None = None
        self.wanted = threading.Event()
        self.over = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.over = True
        self.wanted.set()
        self.join(timeout=5.0)

    def ask(self, asked: Request) -> None:
        if asked != self.asked:
            self.asked = asked
            self.wanted.set()

    def run(self) -> None:
        patient = False  # the first screen stands before everything is known
        try:
            while not self.over:
                self.wanted.clear()
                self.scene = self.look(self.asked, patient)
                self.notice()
                if patient:
                    self.wanted.wait(self.every)
                patient = True
        except BaseException as error:
            self.error = error
            self.notice()


def show(
    look: Look,
    *,
    stream: TextIO | None = None,
    where: str = "",
    every: float = 1.0,
    done: Callable[[], bool] = lambda: False,
) -> bool:
    """Draw until somebody leaves (True) or it is done (False); the terminal is as it was afterwards."""
    stream = stream or sys.stdout
    painter = Painter(console_for(stream, terminal=True))
    plain = "utf" not in (stream.encoding or "").lower()
    sight = Sight(where=where)
    with (
        Terminal(stream) as terminal,
        Looker(look, request(sight, terminal.size[1]), every, terminal.notice) as looker,
    ):
        while not done():
            sight = _step(sight, looker, terminal, painter, every, plain)
            if sight.leaving:
                return True
    return False


def _step(
    sight: Sight, looker: Looker, terminal: Terminal, painter: Painter, every: float, plain: bool
) -> Sight:
    """Draw what is known, wait for a key or for something new, and answer it."""
    if looker.error is not None:
        raise looker.error
    width, height = terminal.size
    if terminal.changed:
        terminal.changed = False
        painter.forget()
    scene = looker.scene
    if scene is not None:
        scene = msgspec.structs.replace(scene, now=time.time())
        rows = rows_of(scene, sight, height)
        sight = kept_in_view(sight, total(sight, scene), rows) if scene_is_of(sight, scene) else sight
        sight = kept_scroll(scene, sight, width, height)
        looker.ask(request(sight, max(rows, height)))
        if terminal.ready:
            terminal.draw(painter.paint(screen(scene, sight, width, height, plain=plain), width))
    for key in terminal.wait(every):
        if key == "redraw":
            painter.forget()
        elif scene is not None:
            sight = press(sight, key, scene, rows_of(scene, sight, height))
        elif key == "q":
            sight = replace(sight, leaving=True)
    if scene is not None:
        looker.ask(request(sight, max(rows_of(scene, sight, height), height)))
    return sight


def scene_is_of(sight: Sight, scene: Scene) -> bool:
    """Whether the page's list has been read, so that its size is known."""
    return sight.page != "runs" or bool(scene.listed.rows)
