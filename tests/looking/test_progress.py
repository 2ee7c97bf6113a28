"""Where running runs stand, as their jobs' event files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgonz import events
from sgonz.events import EpochEnded, Progress, RunReady
from sgonz.looking.progress import TAIL, Listener, Standing
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir


def row(run_id: str = "a3", element: int | None = 0) -> RunRow:
    return RunRow(run_id=run_id, kind=Kind.FINETUNE, dataset="pos", model="beto", batch_size=16, epochs=4,
                  state=State.RUNNING, tag="sgonz-1" if element is not None else None, element=element)  # fmt: skip


def progress(run_id: str, epoch: int, step: int) -> Progress:
    return Progress(time=1.0, run_id=run_id, epoch=epoch, step=step, steps=200, loss=0.5, rows_per_second=8.0)


def epoch_ended(run_id: str = "a3") -> EpochEnded:
    return EpochEnded(time=1.0, run_id=run_id, attempt=1, epoch=2, step=100, train_loss=0.4, validation_loss=0.3,
                      learning_rate=1e-5, seconds=30.0, improved=True, patience_left=3, micro_batch=8)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Workdir(tmp_path).job("sgonz-1") / "events"


def write(path: Path, *lines: events.Event, torn: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        for line in lines:
            events.append(stream, line)
        stream.write(torn)


def test_last_word_of_the_last_start_counts(folder: Path, tmp_path: Path) -> None:
    write(folder / "1.9.jsonl", progress("a3", 1, 10))
    write(folder / "11.12.jsonl", progress("a3", 9, 190))
    write(folder / "1.10.jsonl", progress("a3", 2, 60), progress("other", 3, 120), torn=b'{"type":"progr')
    found = Listener(Workdir(tmp_path)).hear([row(element=1)])["a3"]
    assert (found.epoch, found.share, found.loss, found.per_second) == (2, 0.3, 0.5, 8.0)


def test_listener_reads_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    listener, path = Listener(Workdir(tmp_path)), folder / "0.0.jsonl"
    write(path, progress("a3", 1, 40))
    assert listener.hear([row()])["a3"].step == 40
    write(path, epoch_ended(), progress("a3", 3, 120))
    found = listener.hear([row()])["a3"]
    assert (found.step, found.epoch, found.patience_left, found.micro_batch) == (120, 3, 3, 8)
    assert listener.offsets[path] == path.stat().st_size


def test_later_attempt_begins_anew(folder: Path, tmp_path: Path) -> None:
    ready = RunReady(time=1.0, run_id="a3", attempt=2, device="cpu", precision="fp32", epoch=1, steps=200, rows=9,
                     micro_batch=4, parameters=5)  # fmt: skip
    write(folder / "0.0.jsonl", epoch_ended(), ready)
    found = Listener(Workdir(tmp_path)).hear([row()])["a3"]
    assert (found.epoch, found.loss, found.micro_batch) == (1, None, 4)


def test_only_the_end_of_a_long_file_is_read_at_first(folder: Path, tmp_path: Path) -> None:
    path = folder / "0.0.jsonl"
    write(path, progress("a3", 1, 40), *(progress("other", 1, step) for step in range(200)))
    assert path.stat().st_size > TAIL
    assert Listener(Workdir(tmp_path)).hear([row(), row("other")]).keys() == {"other"}


def test_run_without_a_job_or_a_file_stands_nowhere(tmp_path: Path) -> None:
    assert Listener(Workdir(tmp_path)).hear([row(element=None), row("b")]) == {}


@pytest.mark.parametrize(
    ("standing", "seconds"),
    [
        (Standing(step=100, steps=200, epoch_seconds=30.0, per_second=8.0), 60.0),  # half of four epochs
        (Standing(step=100, steps=200, per_second=8.0), 200.0),  # 100 steps of 16
        (Standing(epoch=1), None),
    ],
)
def test_time_left_is_told_by_epochs_before_examples(standing: Standing, seconds: float | None) -> None:
    assert standing.seconds_left(row()) == seconds
