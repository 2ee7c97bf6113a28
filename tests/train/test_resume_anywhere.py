"""Wherever and however a run is cut, it ends with the bits of a run that was left alone."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from bench import Bench
from cut_runs import Cut, changes_of, cuts, history, in_child, read, weights
from hypothesis import HealthCheck, given, settings

from sgonz.events import Event, RunEnded
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import RunDir

ROWS = 21  # three steps of 8, the last one short
SETTINGS = {"epochs": 3, "weight_decay": 0.01, "patience": 2, "eval_every_steps": 2}
STEPS = 20  # questions whether to stop: between steps and between batches of validations
CASES = [(kind, dataset) for kind in (Kind.FINETUNE, Kind.DISTILL) for dataset in ("text", "tagging", "qa")]


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed."""

    run: RunDir
    told: list[Event]
    changes: int
    largest: int

    @property
    def end(self) -> RunEnded:
        return next(event for event in self.told if isinstance(event, RunEnded))


class Wholes:
    """A work folder with one undisturbed run of every case, made when it is first asked for."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.made, self.numbers = bench, {}, itertools.count()
        bench.datasets = {
            name: msgspec.structs.replace(dataset, limit={"train": ROWS, "validation": 9})
            for name, dataset in bench.datasets.items()
        }

    def fresh(self, kind: Kind, dataset: str, settings: Mapping[str, Any] = SETTINGS) -> RunDir:
        needs = {}
        if kind is Kind.DISTILL:
            needs = {"logits": f"logits-{dataset}"}
            if not self.bench.workdir.run(f"logits-{dataset}").root.exists():
                self.do(f"teacher-{dataset}", Kind.FINETUNE, dataset, {})
                self.do(f"logits-{dataset}", Kind.LOGITS, dataset, {"teacher": f"teacher-{dataset}"})
        return self.bench.run(
            f"r{next(self.numbers)}", kind, dataset, "bert", settings=dict(settings), needs=needs
        )

    def do(self, run_id: str, kind: Kind, dataset: str, needs: dict[str, str]) -> None:
        run = self.bench.run(run_id, kind, dataset, "bert", settings={"epochs": 1}, needs=needs)
        assert self.bench.do(run).outcome is Outcome.COMPLETED

    def whole(self, kind: Kind, dataset: str, settings: Mapping[str, Any] = SETTINGS) -> Whole:
        case = (kind, dataset, str(settings))
        if case not in self.made:
            run = self.fresh(kind, dataset, settings)
            sizes: list[int] = []

            def work() -> None:
                self.bench.events = []
                self.bench.events.append(self.bench.do(run, stop=lambda: sizes.append(largest(run)) or False))

            changes = changes_of(work, run.root)
            self.made[case] = Whole(run, self.bench.events, changes, max(sizes))
        return self.made[case]


def largest(run: RunDir) -> int:
    return max((file.stat().st_size for file in run.checkpoint.glob("*/*")), default=1)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory, folders, datasets_by_task) -> Wholes:
    return Wholes(Bench(tmp_path_factory.mktemp("cut") / "work", folders, datasets_by_task))


def finished_after(run: RunDir, planned: Sequence[Cut]) -> tuple[RunDir, list[Event]]:
    """A run that goes through these cuts and is then left alone to its end."""
    told = run.root / "told.jsonl"
    for attempt, cut in enumerate([*planned, None], 1):
        in_child(run, attempt, told, cut)
    return run, read(told)


def assert_same(whole: Whole, run: RunDir, told: list[Event]) -> None:
    assert told, "nothing was told"
    end = told[-1]
    assert isinstance(end, RunEnded)
    assert end.outcome is Outcome.COMPLETED, end.error
    assert weights(run) == weights(whole.run)
    assert history(told) == history(whole.told)
    same = ("validation_loss", "validation", "best_epoch", "epochs_done", "flags", "notes")
    assert [getattr(end, name) for name in same] == [getattr(whole.end, name) for name in same]
    assert not run.checkpoint.exists()


@pytest.mark.parametrize(("kind", "dataset"), CASES)
def test_run_cut_anywhere_any_number_of_times_ends_with_the_same_bits(wholes, kind, dataset):
    whole = wholes.whole(kind, dataset)
    assert len(history(whole.told)) > 3

    @settings(max_examples=4, suppress_health_check=list(HealthCheck))
    @given(cuts(STEPS, whole.changes, whole.largest))
    def ends_the_same(planned: list[Cut]) -> None:
        assert_same(whole, *finished_after(wholes.fresh(kind, dataset), planned))

    ends_the_same()


def test_killed_before_every_change_of_a_file_a_run_goes_on(wholes):
    short = {"epochs": 1, "eval_every_steps": 2}
    whole = wholes.whole(Kind.FINETUNE, "text", short)
    assert whole.changes > 10
    for at in range(whole.changes):
        assert_same(whole, *finished_after(wholes.fresh(Kind.FINETUNE, "text", short), [Cut("file", at)]))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_killed_inside_the_writing_of_a_file_a_run_goes_on(wholes, share):
    whole = wholes.whole(Kind.FINETUNE, "text")
    run = wholes.fresh(Kind.FINETUNE, "text")
    told = run.root / "told.jsonl"
    status = in_child(run, 1, told, Cut("byte", max(4096, int(share * whole.largest))))
    assert os.WIFSIGNALED(status)
    in_child(run, 2, told)
    assert_same(whole, run, read(told))


def test_stored_logits_are_told_the_same_whether_or_not_their_writer_could_say_so(wholes):
    bench = wholes.bench
    wholes.fresh(Kind.DISTILL, "qa")  # so that there is a teacher
    run = bench.run(
        f"told-{next(wholes.numbers)}", Kind.LOGITS, "qa", "bert", needs={"teacher": "teacher-qa"}
    )
    first = bench.do(run)
    run.result.unlink()  # as if it had been killed before it was written,
    (run.output / f".{run.result.name}.4242").write_text("")  # or while it was
    again = bench.do(run, attempt=2)
    assert first.notes["precision"] == "fp32"
    assert "train: windows" in first.notes
    assert again.notes == first.notes
    assert sorted(path.name for path in run.output.iterdir()) == ["logits", "scores.json"]
