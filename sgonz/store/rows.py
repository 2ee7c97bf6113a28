"""The values that the store takes and gives, beside those of `sgonz.plan.state`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sgonz.events import AnyEvent
from sgonz.plan.runs import Kind, Outcome, State


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of rows."""


class SweepRow(Row, frozen=True, kw_only=True):
    """One sweep as it was submitted, and how its runs stand."""

    id: int
    name: str
    text: str  # the sweep file
    spec_json: str  # the sweep after defaults, extensions and --set
    cluster: str
    created: float
    provenance: Mapping[str, object]
    states: Mapping[State, int]

    @property
    def runs(self) -> int:
        return sum(self.states.values())


class NoteRow(Row, frozen=True, kw_only=True):
    """Something that a person wrote about a sweep."""

    sweep: str  # name
    number: int
    time: float
    author: str
    text: str


class SubmissionRow(Row, frozen=True, kw_only=True):
    """A submission that was written down and not confirmed."""

    tag: str
    sequence: int
    sweep_id: int
    cluster: str
    elements: int  # how many jobs
    time: float


class EndedJob(Row, frozen=True, kw_only=True):
    """A job that is over, and how that is known."""

    tag: str
    element: int
    outcome: Outcome
    evidence: str
    node: str = ""  # it was on, where the cluster says so


class EndedJobRow(Row, frozen=True, kw_only=True):
    """A job that is over, before it is known what it used."""

    tag: str
    element: int
    external_id: str
    started: float | None  # its worker's first words
    left: float | None  # and last ones
    ended: float  # when it was seen to be over
    host: str | None


class UsageRow(Row, frozen=True, kw_only=True):
    """What a job used."""

    tag: str
    element: int
    elapsed: float  # seconds, all its starts together
    gpus: int
    counted_by: str  # sacct, or events where the cluster kept no account
    owner: str = ""
    node: str = ""
    gres: str = ""
    peak_memory_mb: float | None = None  # the host's, of its largest process
    cluster_state: str = ""
    exit_code: str = ""


class Applied(Row, frozen=True, kw_only=True):
    """What the lines of one event file changed."""

    read: bool = False  # whether they were new
    started: tuple[str, ...] = ()  # runs
    ended: tuple[str, ...] = ()  # runs whose attempt ended, whatever the outcome
    completed: tuple[str, ...] = ()  # those of them that have their result
    epochs: int = 0
    unknown: int = 0  # events about runs that are not in this store


class Problem(Row, frozen=True, kw_only=True):
    """Something that is wrong with an event file, and how it was handled."""

    file: str  # relative to the work folder
    rule: str
    count: int = 1
    detail: str = ""
    first: float = 0.0  # when it was seen
    last: float = 0.0


class Stretch(Row, frozen=True, kw_only=True):
    """What one look at one event file gave."""

    file: str  # relative to the work folder
    events: Sequence[AnyEvent]
    offset: int  # where it ends
    tag: str
    element: int
    problems: Sequence[Problem] = ()


class GenerationRow(Row, frozen=True, kw_only=True):
    """A run that was begun again from the start."""

    run_id: str
    generation: int
    fence: int  # attempts up to it belong to earlier generations


class JobUse(Row, frozen=True, kw_only=True):
    """How long one job has worked, by its own events and by the cluster's count, whichever is more."""

    run_ids: tuple[str, ...]
    seconds: float
    gpus: int | None = None  # as the cluster counted them, once it did


class StandingRow(Row, frozen=True, kw_only=True):
    """What the last turn of a sweep left, while nothing has been written since."""

    changes: int
    until: float | None  # when time alone makes something due
    free_jobs: int | None
    answer: str


class FailedRow(Row, frozen=True, kw_only=True):
    """A run that has no result and will have none."""

    run_id: str
    kind: Kind
    dataset: str
    model: str
    state: State
    reason: str | None
    signature: str | None


class AttemptRow(Row, frozen=True, kw_only=True):
    """One try at one run."""

    run_id: str
    attempt: int
    tag: str
    element: int
    external_id: str | None = None
    host: str | None = None
    device: str | None = None
    precision: str | None = None
    micro_batch: int | None = None
    peak_memory_mb: float | None = None
    started: float
    seen: float  # time of its last event
    ready: float | None = None  # model and data were loaded
    ended: float | None = None
    seconds: float | None = None
    outcome: Outcome | None = None
    error: str | None = None
    signature: str | None = None
    evidence: str | None = None  # where the outcome is known from, if not from the worker


class SplitAt(msgspec.Struct, frozen=True, array_like=True):
    """A smaller part that memory made an attempt try."""

    step: int
    micro_batch: int
    recompute: bool  # activations
    reading: bool  # rows were scored or answered, not learned from


_split_decoder = msgspec.json.Decoder(tuple[SplitAt, ...])


def decoded_splits(text: str | None) -> tuple[SplitAt, ...]:
    """In the order in which they were tried."""
    return () if text is None else _split_decoder.decode(text)


class SplitRow(Row, frozen=True, kw_only=True):
    """An attempt that did not fit its device as a whole."""

    run_id: str
    attempt: int
    kind: Kind
    dataset: str
    model: str
    device: str | None
    outcome: str | None  # None while it goes on
    splits: tuple[SplitAt, ...]


class TryRow(Row, frozen=True, kw_only=True):
    """What the live screen shows of an attempt."""

    run_id: str
    attempt: int
    external_id: str | None = None  # of the job
    host: str | None = None
    device: str | None = None
    micro_batch: int | None = None
    splits: str | None = None  # JSON, see decoded_splits
    peak_memory_mb: float | None = None
    started: float
    ready: float | None = None
    seconds: float | None = None
    outcome: str | None = None
    error: str | None = None


class GroupRow(Row, frozen=True, kw_only=True):
    """Runs that are alike, as far as a prediction goes."""

    kind: Kind
    dataset: str
    model: str
    open: bool  # not in a final state
    measured: bool  # completed, with the time that it took
    runs: int
    seconds: float
    epochs: int  # planned, of all of them
    epochs_done: int


class CauseRow(Row, frozen=True, kw_only=True):
    """Why runs of a kind, data set and model failed."""

    kind: Kind
    dataset: str
    model: str
    cause: str
    runs: int
    run_id: str  # one of them
    time: float  # of the last one


class BestRow(Row, frozen=True, kw_only=True):
    """A run that became the best of its kind and data set."""

    kind: Kind
    dataset: str
    model: str
    metric: str
    score: float | None
    score_before: float | None  # None where it is the first
    loss: float | None
    loss_before: float | None
    run_id: str
    time: float


class HoursRow(Row, frozen=True, kw_only=True):
    """Device hours of a kind and model."""

    kind: Kind
    model: str
    used: float
    wasted: float


class ResultRow(Row, frozen=True, kw_only=True, gc=False):
    """One run with its settings and its final scores, for tables."""

    run_id: str
    kind: Kind
    dataset: str
    task: str
    model: str
    teacher: str | None
    protocol: str
    seed: int
    learning_rate: float
    batch_size: int
    epochs: int
    loss: str
    alpha: float
    temperature: float
    state: State
    reason: str | None
    needs: tuple[str, ...]
    metric: str  # name of the headline score
    best_epoch: int | None
    epochs_done: int | None
    validation_loss: float | None
    validation_score: float | None
    test_score: float | None  # from the run that evaluated it, where that is another one
    validation: Mapping[str, float]
    test: Mapping[str, float]
    flags: tuple[str, ...]
    notes: Mapping[str, str | int | float]
    seconds: float | None
    attempts: int
    selected: bool
    superseded: bool


class BenchmarkRow(Row, frozen=True, kw_only=True):
    """Size and speed of one model at one input shape on one device."""

    run_id: str
    model: str
    device: str
    batch_size: int
    length: int  # tokens
    parameters: int | None = None
    size_mb: float | None = None
    macs: float | None = None
    latency_ms: float | None = None  # None where it did not fit in memory


class ArtifactRow(Row, frozen=True, kw_only=True):
    """Something on disk that a run left: weights, logits, an export."""

    run_id: str
    kind: str
    path: str  # relative to the work folder
    size: int  # bytes
    created: float
