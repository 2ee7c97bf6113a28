"""The store: everything known about a work folder's sweeps, in SQLite or Postgres.

Each method is one transaction. Writing is for whoever holds the work folder's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from sgonz.errors import StoreError
from sgonz.events import AnyEvent, Progress
from sgonz.plan.orders import Orders
from sgonz.plan.runs import RunSpec, State
from sgonz.rundir import Workdir
from sgonz.store import (
    collect,
    generations,
    jobs,
    labels,
    measured,
    migrate,
    orders,
    problems,
    standings,
    sweeps,
    usage,
)
from sgonz.store.answers import Answers
from sgonz.store.connect import (
    Journal,
    begin,
    is_url,
    make_file,
    new_engine,
    shown,
    workspace_name,
)
from sgonz.store.imported import Imported, add_imported
from sgonz.store.refusals import store_errors
from sgonz.store.rows import (
    Applied,
    BenchmarkRow,
    EndedJob,
    Problem,
    StandingRow,
    Stretch,
    UsageRow,
)
from sgonz.store.tables import workspaces
from sgonz.store.transaction import Transaction
from sgonz.workdir.journal import Journal as Record


def open_store(
    location: str | Path,
    *,
    workspace: Path,
    create: bool = False,
    read_only: bool = False,
    journal: Journal | None = None,
    recorded: bool = True,
) -> Store:
    """Open the database at a path or postgresql:// URL, for one work folder.

    `create` makes what is missing. What is written stands in coordinator.jsonl too, unless not `recorded`. `journal` of SQLite is chosen by the file system where it is not given.
    Raises StoreError where the database is missing, damaged, or of another version.
    """
    if not is_url(location):
        location = Path(location).absolute()
        if create:
            make_file(location)
        elif not location.is_file():
            raise StoreError(
                f"there is no database at {location}", hint="sgonz run or sgonz submit makes one."
            )
    engine = new_engine(location, read_only=read_only, journal=journal)
    try:
        with store_errors(location), begin(engine, writes=create) as connection:
            if create:
                migrate.create_tables(connection)
            migrate.check_version(connection, location)
            number = _workspace(connection, location, workspace, create=create)
    except BaseException:
        engine.dispose()
        raise
    record = None if read_only or not recorded else Record(Workdir(workspace.absolute()).journal)
    return Store(engine, location, number, record)


def upgrade(location: str | Path) -> tuple[str | None, str]:
    """Bring an older database up to date, nothing where it is; the schemas before and after."""
    return migrate.upgrade(location)


class Store(Answers):
    """One open database, seen from one work folder. Use as a context manager, or close."""

    # sweeps and runs

    def add_sweep(
        self,
        *,
        name: str,
        text: str,
        spec_json: str,
        cluster: str,
        time: float,
        provenance: Mapping[str, object],
    ) -> int:
        """The sweep's id; the same name and resolved content give the same one. It becomes the newest either way."""
        facts: dict[str, Any] = {
            "name": name,
            "text": text,
            "spec_json": spec_json,
            "cluster": cluster,
            "time": time,
            "provenance": provenance,
        }
        with self._writing("add_sweep", facts) as at:
            number = sweeps.add_sweep(at, **facts)
            facts["id"] = number
        return number

    def add_runs(self, sweep_id: int, runs: Sequence[RunSpec]) -> int:
        """Link runs to the sweep, adding those that are not there; how many that were."""
        facts: dict[str, Any] = {"sweep_id": sweep_id, "run_ids": [run.run_id for run in runs]}
        with self._writing("add_runs", facts) as at:
            facts["new"] = sweeps.new_runs(at, runs)
            return sweeps.add_runs(at, sweep_id, runs)

    def set_state(
        self, run_ids: Iterable[str], state: State, *, reason: str | None = None, time: float
    ) -> None:
        """Move runs by decision; one that is not live any more is in nobody's hands."""
        ids = list(run_ids)
        facts = {"run_ids": ids, "state": state, "reason": reason, "time": time}
        with self._writing("set_state", facts) as at:
            jobs.set_state(at, ids, state, reason=reason, time=time)

    def renew(self, fences: Mapping[str, int], reason: str, at_work: str, time: float) -> None:
        """Begin another generation of runs; attempts up to a run's fence do not count any more."""
        facts = {"fences": fences, "reason": reason, "at_work": at_work, "time": time}
        with self._writing("renew", facts) as at:
            generations.renew(at, fences, reason, at_work, time)

    def set_orders(self, sweep_id: int, said: Orders) -> None:
        """Write down what a person has said about a sweep, whole."""
        with self._writing("set_orders", {"sweep_id": sweep_id, "orders": said}) as at:
            orders.set_orders(at, sweep_id, said)

    def reset_failures(self, run_ids: Iterable[str]) -> None:
        """Forget what counted against runs; their attempts stay on record."""
        ids = list(run_ids)
        with self._writing("reset_failures", {"run_ids": ids}) as at:
            jobs.reset_failures(at, ids)

    def mark_selected(self, selected: Collection[str], superseded: Collection[str], *, sweep_id: int) -> None:
        """Set both marks of all of the sweep's runs."""
        facts = {"selected": sorted(selected), "superseded": sorted(superseded), "sweep_id": sweep_id}
        with self._writing("mark_selected", facts) as at:
            sweeps.mark_selected(at, selected, superseded, sweep_id=sweep_id)

    def import_results(self, sweep_id: int, rows: Sequence[Imported], time: float) -> int:
        """Add finished results of another study to a sweep; how many were new."""
        facts = {"sweep_id": sweep_id, "rows": rows, "time": time}
        with self._writing("import_results", facts) as at:
            return add_imported(at, sweep_id, rows, time)

    def add_note(self, sweep: str, text: str, *, author: str, time: float) -> int:
        """Write something about the sweep of this name; the note's number."""
        facts: dict[str, Any] = {"sweep": sweep, "text": text, "author": author, "time": time}
        with self._writing("add_note", facts) as at:
            return labels.add_note(at, **facts)

    def remove_note(self, sweep: str, number: int) -> None:
        with self._writing("remove_note", {"sweep": sweep, "number": number}) as at:
            labels.remove_note(at, sweep, number)

    def set_tags(self, sweep: str, tags: Collection[str]) -> None:
        """From now on these are the tags of the sweep of this name, and no others."""
        facts = {"sweep": sweep, "tags": sorted(tags)}
        with self._writing("set_tags", facts) as at:
            labels.set_tags(at, sweep, facts["tags"])

    # jobs

    def add_submission(
        self,
        *,
        tag: str,
        sequence: int,
        sweep_id: int,
        cluster: str,
        elements: Sequence[Sequence[str]],
        time: float,
    ) -> None:
        """Write down what is about to be sent: from here on these runs are in its hands."""
        facts: dict[str, Any] = {
            "tag": tag,
            "sequence": sequence,
            "sweep_id": sweep_id,
            "cluster": cluster,
            "elements": elements,
            "time": time,
        }
        with self._writing("add_submission", facts) as at:
            jobs.add_submission(at, **facts)

    def extend_job(self, tag: str, element: int, run_ids: Sequence[str], time: float) -> None:
        """Write down that a job is about to be given more runs."""
        facts = {"tag": tag, "element": element, "run_ids": run_ids, "time": time}
        with self._writing("extend_job", facts) as at:
            jobs.extend_job(at, tag, element, run_ids, time)

    def mark_sent(self, tag: str, external_ids: Sequence[str], time: float) -> None:
        """The cluster has taken the submission; one external id per element."""
        facts = {"tag": tag, "external_ids": external_ids, "time": time}
        with self._writing("mark_sent", facts) as at:
            jobs.mark_sent(at, tag, external_ids, time)

    def end_jobs(self, ended: Sequence[EndedJob], time: float) -> None:
        """Close jobs; the runs that they still carry are pending again, and those to blame are counted."""
        facts: dict[str, Any] = {"ended": ended, "time": time}
        with self._writing("end_jobs", facts) as at:
            facts["read"] = collect.offsets(at, {job.tag for job in ended})
            jobs.end_jobs(at, ended, time)

    # events

    def apply(self, file: str, events: Sequence[AnyEvent], offset: int, *, tag: str, element: int) -> Applied:
        """Apply the events that end at byte `offset` of `file`, once."""
        return self.collect(
            [Stretch(file=file, events=events, offset=offset, tag=tag, element=element)], 0.0
        )[0]

    def collect(self, stretches: Sequence[Stretch], time: float) -> list[Applied]:
        """Apply what one look at several event files gave, in one transaction."""
        telling = [one for one in stretches if any(not isinstance(event, Progress) for event in one.events)]
        facts = {"read": [(one.file, one.offset, one.tag, one.element) for one in telling], "time": time}
        with self._writing("collect" if telling else None, facts) as at:
            return collect.apply_stretches(at, stretches, time)

    def note_problems(self, found: Sequence[Problem]) -> None:
        """Remember what is wrong with files that gave nothing."""
        with self.transaction() as at:
            problems.note(at, found)

    # what was measured and left on disk, and what a turn leaves for the next one

    def account_jobs(self, usages: Sequence[UsageRow], time: float) -> None:
        """Keep what jobs used, and each attempt's part of it."""
        with self._writing("account_jobs", {"usages": usages, "time": time}) as at:
            usage.account_jobs(at, usages, time)

    def add_benchmarks(self, rows: Sequence[BenchmarkRow]) -> None:
        with self._writing("add_benchmarks", {"rows": rows}) as at:
            measured.add_benchmarks(at, rows)

    def forget_artifacts(self, run_ids: Sequence[str]) -> None:
        """What these runs left is no longer on disk."""
        with self._writing("forget_artifacts", {"run_ids": run_ids}) as at:
            measured.forget_artifacts(at, run_ids)

    def keep_standing(self, sweep_id: int, standing: StandingRow) -> None:
        """Remember what a turn found; this alone does not count as a change."""
        with store_errors(self.location), begin(self._engine, writes=True) as connection:
            standings.keep_standing(Transaction(connection, self._workspace), sweep_id, standing)


def _workspace(connection: Connection, location: str | Path, folder: Path, *, create: bool) -> int:
    """The number of this work folder."""
    name = workspace_name(location, folder)
    found = connection.execute(select(workspaces.c.id).where(workspaces.c.path == name)).scalar()
    if found is not None:
        return int(found)
    if not create:
        raise StoreError(
            f"the database {shown(location)} knows nothing of the work folder {folder.resolve()}",
            hint="Give the folder that the sweep was submitted from with --workdir.",
        )
    added = connection.execute(insert(workspaces).values(path=name)).inserted_primary_key
    assert added is not None  # an INSERT of one row has one
    return int(added[0])
