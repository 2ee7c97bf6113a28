"""A cluster that is only imagined: slots, a clock that jumps, runs as long as predicted, and what goes wrong.

The decisions are those of a real sweep, made by the same function; only what they act on is made up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from sgonz.plan import actions
from sgonz.plan.decide import Decision, decide
from sgonz.plan.estimate import done_at
from sgonz.plan.runs import Outcome, RunSpec, State
from sgonz.plan.snapshot import Snapshot
from sgonz.plan.state import JobRow, RunRow
from sgonz.simulate.ledger import Ledger

LOOK_SECONDS = 60.0  # between turns in which nothing ended and something waits for its time
MOST_TURNS = 1_000_000


class Faults(Struct, frozen=True, kw_only=True):
    """What goes wrong: shares of runs that fail, and of jobs that are lost or stopped on their way."""

    failed: float = 0.0  # runs, each time that one is tried
    lost: float = 0.0  # jobs whose node goes down
    preempted: float = 0.0  # jobs that have to leave


@dataclass
class Job:
    """One job on its slot."""

    row: JobRow
    began: float
    left: list[str]  # not begun
    at_once: int  # runs that it does at the same time
    at_work: dict[str, float] = field(default_factory=dict)  # runs, and when they are done
    last: float = 0.0  # when a run was done
    stops: float = float("inf")  # when it is cut off
    how: Outcome = Outcome.COMPLETED


@dataclass(kw_only=True)
class World(Ledger):
    """What a store and a cluster would know together."""

    runs: Sequence[RunSpec]
    seconds: Callable[[RunRow], float]  # how long a run takes
    runs_at_once: Callable[[RunRow], int] = lambda row: 1  # of a job that begins with this run
    slots: int
    target_seconds: float
    gpus_per_job: int = 1
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    now: float = 0.0
    gpu_seconds: float = 0.0
    sent: int = 0
    turns: int = 0
    jobs: dict[int, Job] = field(default_factory=dict)
    completions: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.add(self.runs)

    def live_forever(self, told: Callable[[int], None] = lambda done: None) -> Decision:
        """Turn until nothing is left to do, or only a person could say how to go on; the last decision.

        `told` hears at every turn how many runs are done.
        """
        while self.turns < MOST_TURNS:
            decision = self.turn()
            told(len(self.completions))
            if decision.finished or (decision.stuck and not self.jobs):
                return decision
            self.wait(decision)
        raise RuntimeError(f"no end after {MOST_TURNS} turns")

    def turn(self) -> Decision:
        """Decide and act until only submissions are left, as a coordinator does."""
        self.turns += 1
        while True:
            decision = decide(self.snapshot())
            for action in decision.actions:
                self.act(action)
            if all(isinstance(action, actions.Submit) for action in decision.actions):
                return decision

    def snapshot(self) -> Snapshot:
        """What a turn would know now; a job holds its GPUs for as long as it is there."""
        running = {run_id for job in self.jobs.values() for run_id in job.at_work}
        return Snapshot(
            now=self.now, sweep=self.sweep, runs=list(self.rows.values()),
            metrics={name: dataset.metric for name, dataset in self.sources.datasets.items()},
            tasks={name: dataset.task for name, dataset in self.sources.datasets.items()},
            untested=frozenset(name for name, dataset in self.sources.datasets.items() if not dataset.is_tested),
            free_jobs=self.slots - len(self.jobs), target_seconds=self.target_seconds,
            seconds=lambda row: self.seconds(row) / self.runs_at_once(row),
            in_jobs=frozenset(run_id for job in self.jobs.values() for run_id in job.row.run_ids),
            busy=[job.row for job in self.jobs.values()], gpus=lambda row: self.gpus_per_job,
            stepped=frozenset(run_id for run_id in running if self.rows[run_id].state is State.RUNNING),
            used_gpu_hours=self.gpu_seconds / 3600,
        )  # fmt: skip

    def send(self, run_ids: Sequence[str]) -> None:
        """A job begins on a free slot at once; whether and when it is cut off is settled here."""
        assert len(self.jobs) < self.slots, "more jobs than slots"
        self.sent += 1
        tag = f"job{self.sent}"
        row = JobRow(tag=tag, element=0, sequence=self.sent, run_ids=tuple(run_ids), started=True)
        job = Job(row, self.now, list(run_ids), self.runs_at_once(self.rows[run_ids[0]]), last=self.now)
        self.jobs[self.sent] = job
        for run_id in run_ids:
            assert not self.rows[run_id].state.is_live, f"{run_id} is sent twice"
            self.change(run_id, state=State.SUBMITTED, tag=tag, element=0, reason=None)
        self.begin_more(job, self.now)
        fate = self.dice.random()
        if fate < self.faults.lost + self.faults.preempted:
            job.stops = self.now + self.dice.random() * (self.end_of(job) - self.now)
            job.how = Outcome.NODE_FAIL if fate < self.faults.lost else Outcome.PREEMPTED

    def begin_more(self, job: Job, now: float) -> None:
        """Take up runs in order while there is room, as a worker does.

        What needs a run of the same job waits for it; what needs a result that does not come is left out.
        """
        for run_id in list(job.left):
            if len(job.at_work) == job.at_once:
                return
            row = self.rows[run_id]
            absent = [need for need in row.needs if self.rows[need].state is not State.COMPLETED]
            if any(need in job.at_work or need in job.left for need in absent):
                continue
            job.left.remove(run_id)
            if row.state is not State.SUBMITTED or row.tag != job.row.tag:
                continue
            if absent:
                self.change(run_id, state=State.PENDING, tag=None, element=None)
            else:
                job.at_work[run_id] = now + self.seconds(row)
                self.change(run_id, state=State.RUNNING, attempts=row.attempts + 1)

    def wait(self, decision: Decision) -> None:
        """Let time pass until a job ends, or for a minute where something waits for no more than that."""
        due = {number: self.end_of(job) for number, job in self.jobs.items()}
        upcoming = list(due.values())
        if not upcoming or any(
            why.startswith(("canary", "failed before")) for why in decision.waiting.values()
        ):
            upcoming.append(self.now + LOOK_SECONDS)
        self.now = min(upcoming)
        for number in sorted(due, key=lambda number: due[number]):
            self.go_on(number, self.jobs[number])

    def end_of(self, job: Job) -> float:
        to_come = (self.seconds(self.rows[run_id]) for run_id in job.left)
        return min(job.stops, done_at(to_come, job.at_once, job.at_work.values() or [job.last]))

    def go_on(self, number: int, job: Job) -> None:
        """What a job did until now."""
        while job.at_work:
            run_id = min(job.at_work, key=lambda run_id: job.at_work[run_id])
            ended = job.at_work[run_id]
            if ended > min(self.now, job.stops):
                break
            del job.at_work[run_id]
            job.last = ended
            self.end_run(run_id, ended, self.seconds(self.rows[run_id]))
            self.begin_more(job, ended)
        if job.at_work and job.stops > self.now:
            return
        ended = min(self.now, job.stops) if job.at_work else job.last
        self.gpu_seconds += (ended - job.began) * max(1, self.gpus_per_job)
        for run_id in [*job.at_work, *job.left]:
            row = self.rows[run_id]
            if row.tag != job.row.tag or not row.state.is_live:
                continue
            cut = {"last_outcome": job.how, "ended": ended, "interruptions": row.interruptions + 1}
            at_work = run_id in job.at_work
            self.change(run_id, state=State.PENDING, tag=None, element=None, **(cut if at_work else {}))
        del self.jobs[number]

    def end_run(self, run_id: str, ended: float, took: float) -> None:
        """A run fails or has a result; its scores are thrown by dice, so that somebody becomes the teacher."""
        row = self.rows[run_id]
        at_rest = {"tag": None, "element": None, "ended": ended}
        if self.dice.random() < self.faults.failed:
            signature = f"ValueError in place {self.dice.randrange(3)}"
            repeats = row.signature_repeats + 1 if row.signature == signature else 1
            self.change(run_id, state=State.PENDING, last_outcome=Outcome.FAILED, failures=row.failures + 1,
                        signature=signature, signature_repeats=repeats, **at_rest)  # fmt: skip
            return
        self.completions[run_id] += 1
        metric = self.sources.datasets[row.dataset].metric if row.dataset in self.sources.datasets else ""
        loss = self.dice.uniform(0.1, 1.0)
        self.change(run_id, state=State.COMPLETED, last_outcome=Outcome.COMPLETED, seconds=took, validation_loss=loss,
                    validation={metric: 100 - 20 * loss}, epochs_done=row.epochs, **at_rest)  # fmt: skip
