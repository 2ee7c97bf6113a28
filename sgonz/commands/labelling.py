"""note and tag: what people write about sweeps."""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sgonz.cli import options
from sgonz.commands.planning import show
from sgonz.errors import SpecError
from sgonz.store.store import Store
from sgonz.sweep.opening import named, open_existing
from sgonz.sweep.planned import workdir_of
from sgonz.workdir import lock

TAG = re.compile(r"[\w.+-]{1,40}")  # nothing that a selector or a shell would read as its own


def note(sweep: str, text: str | None, remove: int | None, workdir: str | None, *, output: str) -> None:
    folder = workdir_of(workdir)
    with open_existing(folder) as store:
        name = named(store, sweep, folder).name
        if text is None and remove is None:
            rows = notes_of(store, name)
            if not rows and output == "table":
                options.say(f'no notes on {name}; write one with: sgonz note {name} "..."')
                return
            show(rows, output, ("number", "time", "author", "text"))
            return
        with lock.hold(folder, "note"):
            if remove is not None:
                if remove not in [row.number for row in store.notes(name)]:
                    raise SpecError(
                        f"{name} has no note {remove}", hint=f"`sgonz note {name}` shows those that it has."
                    )
                store.remove_note(name, remove)
            if text is not None:
                if not text.strip():
                    raise SpecError(
                        "a note needs words", hint=f'sgonz note {name} "seeds 1 to 5 for the paper"'
                    )
                store.add_note(name, text.strip(), author=getpass.getuser(), time=time.time())
    options.say(f"noted on {name}" if text is not None else f"note {remove} of {name} is gone")


def notes_of(store: Store, name: str) -> list[dict[str, Any]]:
    """What people wrote about the sweep of this name, oldest first, as answers show it."""
    return [
        {"number": row.number, "time": time.strftime("%Y-%m-%d %H:%M", time.localtime(row.time)),
         "author": row.author, "text": row.text}
        for row in store.notes(name)
    ]  # fmt: skip


def labels_of(store: Store, name: str) -> Mapping[str, Any]:
    """Tags and notes, for answers about a sweep."""
    return {"tags": list(store.sweep_tags().get(name, ())), "notes": notes_of(store, name)}


def tag(sweep: str, tags: Sequence[str], workdir: str | None, *, remove: bool, output: str) -> None:
    folder = workdir_of(workdir)
    wrong = next((tag for tag in tags if not TAG.fullmatch(tag)), None)
    if wrong is not None:
        raise SpecError(
            f"{wrong!r} cannot be a tag", hint="Letters, digits, and . _ + - make one, up to 40 of them."
        )
    if remove and not tags:
        raise SpecError("--remove needs the tags to take away", hint=f"sgonz tag {sweep} --remove TAG")
    with open_existing(folder) as store:
        name = named(store, sweep, folder).name
        if tags:
            with lock.hold(folder, "tag"):
                before = set(store.sweep_tags().get(name, ()))
                store.set_tags(name, before - set(tags) if remove else before | set(tags))
        now = store.sweep_tags().get(name, ())
    if output == "table":
        told = f"{name}: {', '.join(now) or 'no tags'}"
        options.say(told) if tags else click.echo(told)
    else:
        show([{"sweep": name, "tag": word} for word in now], output, ("sweep", "tag"))
