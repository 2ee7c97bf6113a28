"""Work folders with jobs in them, and waiting for what processes do, for tests that start workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from sgonz import events
from sgonz.events import AnyEvent, RunEnded
from sgonz.plan.runs import Dataset, Kind, Model, Need, RunSpec, Settings
from sgonz.rundir import Element, JobList, Workdir, write_atomic

T = TypeVar("T")
PATIENCE = 300.0  # seconds; only a failing test waits so long


def noop(run_id: str, *needs: str) -> RunSpec:
    return spec(run_id, Kind.NOOP, needs=tuple(Need(role="model", run_id=need) for need in needs))


def spec(
    run_id: str, kind: Kind, *, train: str = "/absent/train.jsonl", needs: tuple[Need, ...] = ()
) -> RunSpec:
    dataset = Dataset(
        name="toy",
        task="classification",
        format="jsonl",
        files={"train": train, "validation": train},
        metric="accuracy",
    )
    model = Model(name="none", path="/absent/model", tokenizer="/absent/model")
    return RunSpec(run_id=run_id, kind=kind, dataset=dataset, model=model, settings=Settings(), needs=needs)


def lay_out(workdir: Workdir, specs: Sequence[RunSpec]) -> None:
    for each in specs:
        write_atomic(workdir.run(each.run_id).spec, msgspec.json.encode(each))


def job_list(tag: str, *elements: Sequence[str], sequence: int = 1) -> JobList:
    return JobList(
        tag=tag, sequence=sequence, elements=tuple(Element(run_ids=tuple(ids)) for ids in elements)
    )


def write_job(workdir: Workdir, jobs: JobList) -> Path:
    folder = workdir.job(jobs.tag)
    write_atomic(folder / "job.json", msgspec.json.encode(jobs))
    return folder


def told(folder: Path, element: int = 0, restart: int = 0) -> list[AnyEvent]:
    """Every event of one start of an element; none may be unreadable."""
    found = [event for event, _ in events.read(folder / "events" / f"{element}.{restart}.jsonl", 0)]
    assert None not in found
    return [event for event in found if event is not None]


def ends(found: Sequence[AnyEvent]) -> list[RunEnded]:
    return [event for event in found if isinstance(event, RunEnded)]


def eventually(ask: Callable[[], T], *, patience: float = PATIENCE) -> T:
    """The first answer that is true; asks again until there is one, for a limited time."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return answer
