"""What the live screen shows at one moment, as frozen values: made from the store, drawn by the view."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow, ScoreRow


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what stands in a scene."""


class LastTurn(Value, frozen=True, kw_only=True):
    """The newest turn that anybody made: turn.json."""

    time: float
    by: str  # run, advance, job 123, ...
    user: str
    host: str
    pid: int
    sent: int = 0  # jobs
    problems: tuple[str, ...] = ()


class Part(Value, frozen=True, kw_only=True):
    """The runs of one kind on one data set."""

    kind: Kind
    dataset: str
    states: Mapping[State, int]
    seconds_left: float | None = None  # of work, one after the other
    finish: float | None = None  # when they may all be done, at the pace of now


class Doing(Value, frozen=True, kw_only=True):
    """A run that is being worked on."""

    row: RunRow
    host: str | None = None
    device: str | None = None
    job: str | None = None  # as the cluster calls it
    began: float | None = None
    epoch: int | None = None
    share: float | None = None  # of the planned steps
    loss: float | None = None  # training loss now
    best: float | None = None  # lowest validation loss so far
    patience_left: int | None = None
    micro_batch: int | None = None
    per_second: float | None = None  # examples
    seconds_left: float | None = None  # at most: it may stop early
    curve: tuple[float, ...] = ()  # validation losses


class Rank(Value, frozen=True, kw_only=True):
    """A selected run."""

    row: RunRow
    metric: str
    validation: float | None
    test: float | None


class Spent(Value, frozen=True, kw_only=True):
    """Device hours of a kind and model."""

    kind: Kind
    model: str
    used: float
    wasted: float  # of attempts that gave nothing
    left: float | None = None  # predicted, of what is planned


class Tried(Value, frozen=True, kw_only=True):
    """One attempt at the opened run."""

    attempt: int
    host: str | None
    device: str | None
    job: str | None
    started: float
    seconds: float | None
    outcome: str | None
    error: str | None
    peak_memory_mb: float | None
    splits: tuple[str, ...] = ()  # smaller parts that memory made it try, in order


class Opened(Value, frozen=True, kw_only=True):
    """The one run that somebody looks at."""

    row: RunRow
    doing: Doing | None
    why: str | None  # it stands where it stands
    curve: tuple[ScoreRow, ...] = ()
    tried: tuple[Tried, ...] = ()
    log: tuple[str, ...] = ()  # its last lines
    folder: str = ""


class Rows(Value, frozen=True, kw_only=True):
    """A page of runs out of many."""

    rows: tuple[RunRow, ...] = ()
    first: int = 0  # place of the first one
    total: int = 0


class Scene(Value, frozen=True, kw_only=True):
    """All that can be seen."""

    sweep: str
    cluster: str
    now: float
    tags: tuple[str, ...] = ()
    turn: LastTurn | None = None
    requests: int | None = None  # to the controller in the last minute; None where there is no controller
    ceiling: float | None = None  # requests per minute
    problems: tuple[str, ...] = ()
    finished: bool = False
    parts: tuple[Part, ...] = ()
    finish: float | None = None
    waiting: Mapping[str, int] = {}  # reason -> runs
    running: tuple[Doing, ...] = ()  # a page of them
    running_first: int = 0
    running_total: int = 0
    failed: Rows = Rows()
    board: tuple[Rank, ...] | None = None  # None while it is not known yet
    spent: tuple[Spent, ...] | None = None
    listed: Rows = Rows()
    opened: Opened | None = None
    wrong: str | None = None  # what the store or the filter said

    @property
    def states(self) -> dict[State, int]:
        """Runs by state, over everything."""
        found = {state: sum(part.states.get(state, 0) for part in self.parts) for state in State}
        return {state: size for state, size in found.items() if size}


class Request(Value, frozen=True, kw_only=True):
    """What somebody looks at, so that no more than that is read."""

    page: str = "overview"
    where: str = ""
    first: int = 0  # row of the page's list
    rows: int = 20  # that fit
    run: str | None = None  # opened
