"""What a decision depends on, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from sgonz.plan.actions import Action
from sgonz.plan.nodes import NodeRecord
from sgonz.plan.orders import Orders
from sgonz.plan.spec import Sweep
from sgonz.plan.state import JobRow, RunRow


class Snapshot(Struct, frozen=True, kw_only=True):
    """All that a decision may depend on."""

    now: float
    sweep: Sweep
    runs: Sequence[RunRow]
    metrics: Mapping[str, str]  # data set -> headline score
    free_jobs: int | None  # how many jobs can be sent now; None for as many as there are
    full: str = "no free slot"  # why there are no more
    in_jobs: frozenset[str] = frozenset()  # runs in the list of a job that nobody has seen the end of
    target_seconds: float
    runs_per_job: int | None = None
    resource: Callable[[RunRow], str] = lambda row: ""  # class of machine; runs of two never share a job
    climbed: Callable[[RunRow], bool] = lambda row: False  # memory ended it, and it will be given more
    seconds: Callable[[RunRow], float]  # predicted length of a run
    macs: Mapping[str, float] = {}  # of a token by model, where known; decides between equals
    orders: Orders = Orders()  # what a person has said
    busy: Sequence[JobRow] = ()  # the sweep's jobs that are out, without workers that wait for more
    gpus: Callable[[RunRow], int] = lambda row: 0  # that a job of this run asks for
    tasks: Mapping[str, str] = {}  # data set -> task type
    untested: frozenset[str] = frozenset()  # data sets without a test split
    stepped: frozenset[str] = frozenset()  # running runs that have made a step
    nodes: Sequence[NodeRecord] = ()  # what happened on each, where one did badly lately
    used_gpu_hours: float = 0.0  # by the sweep's jobs so far; asked only where there is a budget
    begun: Mapping[
        str, float
    ] = {}  # running run -> when its attempt started; asked only where there is a budget


class Budget(Struct, frozen=True, kw_only=True):
    """Hours; a job without GPUs counts as one."""

    gpu_hours: float  # that may be used
    used: float
    promised: float  # predicted for what is left of runs that were sent and have not ended
    running: float = 0.0  # of that, for runs that have begun
    wanted: float  # predicted for runs that are planned and not sent

    @property
    def left(self) -> float:
        return self.gpu_hours - self.used - self.promised


class Decision(Struct, frozen=True, kw_only=True):
    actions: tuple[Action, ...]
    waiting: Mapping[str, str]  # run id -> why it is not sent
    teachers: Mapping[str, str | None]  # data set -> the run chosen, None while its gate is shut
    teachers_by_loss: Mapping[str, str | None] = {}  # what lowest validation loss would have chosen
    teachers_by_metric: Mapping[
        str, str | None
    ] = {}  # what the headline score on validation would have chosen
    finished: bool
    taken_back: Mapping[str, tuple[str, ...]] = {}  # submission -> runs that its workers are not to begin
    for_person: Mapping[str, str] = {}  # of those that wait: held until somebody says something
    budget: Budget | None = None
    over_budget: frozenset[str] = frozenset()  # runs that were sent, have not begun, and do not fit any more
    excluded: Mapping[str, str] = {}  # node that jobs are not to go to -> why
    stuck: bool = False  # nothing is out, nothing will happen by itself, and nobody has asked for a pause
