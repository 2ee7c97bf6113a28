"""db upgrade, check, backup, copy, rebuild, and import: care for the results database."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.commands.planning import show
from sgonz.errors import StoreError
from sgonz.plan.wording import number_of
from sgonz.rundir import Workdir
from sgonz.store.connect import is_url, shown
from sgonz.store.store import Store, open_store
from sgonz.sweep.opening import database, refuse_where_lost
from sgonz.sweep.planned import workdir_of
from sgonz.workdir import lock

BEST = ("dataset", "student", "teacher", "learning_rate", "batch_size", "epochs_done", "validation_loss",
        "validation_score", "run_id")  # fmt: skip
WIDE = ("teacher", "epochs_done", "run_id")  # what a terminal has no room for
SQLITE_FILES = ("", "-wal", "-shm", "-journal")  # the file and what SQLite keeps beside it


def upgrade(workdir: str | None) -> None:
    from sgonz.store.store import upgrade as upgrade_tables

    with working("changing the tables"):
        before, after = upgrade_tables(_existing(database(None, workdir_of(workdir))))
    done = "nothing to do, " if before == after else f"upgraded from schema {before}, "
    options.say(f"{done}the database has the tables of this version (schema {after})")


def check(workdir: str | None, *, output: str) -> int:
    """0 where nothing is wrong, 1 otherwise."""
    from sgonz.store.maintain import check as check_database

    location = _existing(database(None, workdir_of(workdir)))
    with working("checking"):
        wrong = check_database(location)
    if output != "table":
        show([{"problem": line} for line in wrong], output, ("problem",))
    else:
        for line in wrong:
            options.say(line)
        options.say(
            f"{shown(location)}: " + (number_of(len(wrong), "problem") if wrong else "nothing is wrong")
        )
    return 1 if wrong else 0


def backup(target: str | None, workdir: str | None) -> None:
    from sgonz.store.maintain import backup as back_up

    folder = workdir_of(workdir)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = Path(target) if target else folder.root / "backups" / f"sgonz-{stamp}.db"
    with working("copying"):
        back_up(_existing(database(None, folder)), path.absolute())
    options.say(f"the database as it was just now: {path}")


def copy(source: str, target: str, *, output: str) -> None:
    from sgonz.store.copying import copy as copy_database

    with working("copying") as bar:
        done = copy_database(_existing(_location(source)), _location(target), bar.say)
    rows = [
        {"folder": one.workspace, "table": one.table, "rows": one.rows, "written": one.written,
         "checksum": one.checksum}
        for one in done
    ]  # fmt: skip
    show(rows, output, ("folder", "table", "rows", "written", "checksum"))
    options.say("every table holds the same rows in both")


def rebuild(workdir: str | None) -> None:
    """Into a new file that takes the old one's place when it is whole; in a shared database in one transaction."""
    from sgonz.rebuild import rebuild as rebuild_store

    folder = workdir_of(workdir)
    location = database(None, folder)
    own = not is_url(location) and Path(location) == folder.store
    draft = folder.root / "sgonz.db.rebuilt"
    with lock.hold(folder, "rebuilding the database"):
        if own:
            _remove(draft)
        with open_store(
            draft if own else location, workspace=folder.root, create=True, recorded=False
        ) as store:
            with working("making the database again"):
                replay = rebuild_store(store, folder)
            runs, attempts = len(store.snapshot()), len(store.attempts())
        if own:
            _replace(folder.store, draft, folder.root / "sgonz.db.before-rebuild")
    for file in dict.fromkeys(replay.missing):
        options.say(f"{file} is not there; what it said is lost")
    for file in dict.fromkeys(replay.shortened):
        options.say(f"{file} is shorter than what was read; what its end said is lost")
    options.say(
        f"{number_of(replay.steps, 'step')} done again: {number_of(runs, 'run')}, {number_of(attempts, 'attempt')}"
    )


def import_results(
    file: str, workdir: str | None, *, name: str | None, columns: tuple[str, ...], given: Mapping[str, str | None],
    output: str,
) -> None:  # fmt: skip
    from sgonz.importing import import_csv

    folder = workdir_of(workdir)
    folder.create()
    location = database(None, folder)
    refuse_where_lost(location, folder)
    with working(f"importing {Path(file).name}"):
        done = import_csv(Path(file), folder, location, name=name, columns=columns, given=given)
    columns_shown = BEST if output != "table" else [name for name in BEST if name not in WIDE]
    show(done.best, output, columns_shown, title=f"best of {done.name}")
    options.say(
        f"{number_of(done.rows, 'row')}, {done.new} new; {done.unusable} without a loss that can be compared; "
        f"{done.hours:.1f} hours in all. They are the sweep {done.name}: sgonz results --sweep {done.name}"
    )


def problems(folder: Workdir, store: Store, *, output: str) -> None:
    """Event files that were not as they should be, and what was done about it."""
    known = store.tags()
    strange = sorted(path.name for path in folder.jobs.glob("*") if path.is_dir() and path.name not in known)
    rows = [
        {"file": row.file, "problem": row.rule, "count": row.count, "handled": row.detail, "first": _clock(row.first),
         "last": _clock(row.last)}
        for row in store.problems()
    ] + [{"file": f"jobs/{name}", "problem": "a submission that is not in the database", "count": 1,
          "handled": "not read; sgonz db rebuild may know it"} for name in strange]  # fmt: skip
    show(rows, output, ("file", "problem", "count", "handled", "first", "last"))
    if not rows:
        options.say("no problem with event files")


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _location(text: str) -> str | Path:
    """A URL, a database file, or a work folder that holds one."""
    if is_url(text):
        return text
    path = Path(text).expanduser().absolute()
    return path / "sgonz.db" if path.is_dir() else path


def _existing(location: str | Path) -> str | Path:
    if not is_url(location) and not Path(location).is_file():
        raise StoreError(f"there is no database at {location}", hint="sgonz run or sgonz submit makes one.")
    return location


def _remove(path: Path) -> None:
    for ending in SQLITE_FILES:
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _replace(old: Path, new: Path, kept: Path) -> None:
    """Put a whole new database in the place of an old one; a log of the old one must not meet the new one."""
    _remove(kept)
    for ending in SQLITE_FILES:
        if Path(f"{old}{ending}").exists():
            Path(f"{old}{ending}").rename(f"{kept}{ending}")
    new.rename(old)
