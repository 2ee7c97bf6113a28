"""What a store is asked: each method looks at one moment of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sgonz.plan.nodes import NodeRecord
from sgonz.plan.orders import Orders
from sgonz.plan.runs import Kind, RunSpec, State
from sgonz.plan.state import JobRow, RunRow, ScoreRow
from sgonz.store import (
    collect,
    generations,
    jobs,
    labels,
    measured,
    nodes,
    orders,
    problems,
    query,
    reading,
    standings,
    sweeps,
    usage,
)
from sgonz.store.connected import Connected
from sgonz.store.rows import (
    ArtifactRow,
    AttemptRow,
    BenchmarkRow,
    EndedJobRow,
    FailedRow,
    GenerationRow,
    JobUse,
    NoteRow,
    Problem,
    ResultRow,
    SplitRow,
    StandingRow,
    SubmissionRow,
    SweepRow,
)


class Answers(Connected):
    """The part of a store that reads."""

    # sweeps and runs

    def sweeps(self) -> list[SweepRow]:
        """Newest first."""
        with self.reading() as at:
            return sweeps.list_sweeps(at)

    def notes(self, sweep: str | None = None) -> list[NoteRow]:
        """What people wrote about the sweep of this name, or about all; oldest first."""
        with self.reading() as at:
            return labels.notes(at, sweep)

    def sweep_tags(self) -> dict[str, tuple[str, ...]]:
        """Name of a sweep -> its tags; only sweeps that have any."""
        with self.reading() as at:
            return labels.tags(at)

    def spec(self, run_id: str) -> RunSpec:
        return self.specs([run_id])[0]

    def specs(self, run_ids: Iterable[str]) -> list[RunSpec]:
        """In the order asked for. Raises StoreError for a run that is not there."""
        with self.reading() as at:
            return sweeps.read_specs(at, run_ids)

    def snapshot(self, sweep_id: int | None = None) -> list[RunRow]:
        """All runs of a sweep, or of the workspace, needs before what needs them."""
        with self.reading() as at:
            return reading.snapshot(at, sweep_id)

    def results(self, sweep_id: int | None = None) -> list[ResultRow]:
        """The same runs with their settings and every final score."""
        with self.reading() as at:
            return reading.results(at, sweep_id)

    def epochs(self, run_id: str) -> list[ScoreRow]:
        """A run's validations, in order."""
        with self.reading() as at:
            return reading.epochs(at, run_id)

    def attempts(self, run_ids: Iterable[str] | None = None) -> list[AttemptRow]:
        """Attempts at these runs, or all of them, oldest first."""
        with self.reading() as at:
            return reading.list_attempts(at, run_ids)

    def counts(self, sweep_id: int | None = None) -> dict[tuple[Kind, str], dict[State, int]]:
        """How many runs stand in each state, by kind and data set."""
        with self.reading() as at:
            return reading.counts(at, sweep_id)

    def failed(self, sweep_id: int) -> list[FailedRow]:
        """Runs of a sweep that have no result and will have none."""
        with self.reading() as at:
            return reading.failed(at, sweep_id)

    def splits(self, sweep_id: int) -> list[SplitRow]:
        """Attempts at a sweep's runs that memory made try smaller parts, oldest first."""
        with self.reading() as at:
            return reading.splits(at, sweep_id)

    def query(self, name_or_sql: str, parameters: Mapping[str, Any] | None = None) -> query.Answer:
        """Column names and rows of a named query or of any SQL that only reads."""
        return query.ask(self.location, self._workspace, name_or_sql, parameters or {})

    def orders(self, sweep_id: int) -> Orders:
        """What a person has said about a sweep, as far as it still counts."""
        with self.reading() as at:
            return orders.orders_of(at, sweep_id)

    def generations(self) -> list[GenerationRow]:
        """Runs that were ever begun again from the start."""
        with self.reading() as at:
            return generations.generations(at)

    # jobs and event files

    def use(self, sweep_id: int, now: float) -> list[JobUse]:
        """How long the jobs of a sweep have worked by now."""
        with self.reading() as at:
            return usage.use_of(at, sweep_id, now)

    def next_sequence(self) -> int:
        with self.reading() as at:
            return jobs.next_sequence(at)

    def tags(self) -> set[str]:
        """Of every submission that was ever written down."""
        with self.reading() as at:
            return jobs.tags(at)

    def unsent(self) -> list[SubmissionRow]:
        """Submissions that were written down, not confirmed, and not given up."""
        with self.reading() as at:
            return jobs.unsent(at)

    def live_jobs(self) -> list[JobRow]:
        """Jobs that nobody has seen the end of, oldest first; a turn asks several times between two writes."""
        with self.reading() as at:
            changes = standings.changes(at)
            if self._live is None or self._live[0] != changes:
                self._live = changes, jobs.live_jobs(at)
            return list(self._live[1])

    def unaccounted(self, *, early: bool = False) -> list[EndedJobRow]:
        """Jobs that are over, with all of their submission where it is not `early`, and not accounted yet."""
        with self.reading() as at:
            return usage.unaccounted(at, early=early)

    def offsets(self) -> dict[str, int]:
        """How many bytes of every event file have been applied."""
        with self.reading() as at:
            return collect.offsets(at)

    def node_records(self, since: float) -> list[NodeRecord]:
        """What happened on every node, where one did badly since then."""
        with self.reading() as at:
            return nodes.node_records(at, since)

    def problems(self) -> list[Problem]:
        """What was ever wrong with event files, oldest first."""
        with self.reading() as at:
            return problems.list_problems(at)

    # what was measured and left on disk, and what the last turn left for the next one

    def benchmarks(self) -> list[BenchmarkRow]:
        with self.reading() as at:
            return measured.benchmarks(at)

    def artifacts(self) -> list[ArtifactRow]:
        with self.reading() as at:
            return measured.artifacts(at)

    def changes(self) -> int:
        """A number that is another one after anything was written."""
        with self.reading() as at:
            return standings.changes(at)

    def last_answer(self, sweep_id: int) -> str | None:
        """What `sgonz status` said after the last turn, whatever was written since."""
        with self.reading() as at:
            return standings.last_answer(at, sweep_id)

    def standing(self, sweep_id: int) -> StandingRow | None:
        """What the last turn found, where nothing has been written since."""
        with self.reading() as at:
            return standings.standing(at, sweep_id)
