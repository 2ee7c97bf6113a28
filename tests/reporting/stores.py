"""Stores to report on: the published study, a sweep half done with several seeds, one with names that bite, an empty one."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec

from sgonz import catalog
from sgonz.events import EpochEnded, JobStarted, RunEnded, RunStarted
from sgonz.importing import import_csv
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Kind, Model, Need, Outcome, RunSpec, Settings, State
from sgonz.rundir import Workdir
from sgonz.store.rows import BenchmarkRow
from sgonz.store.store import Store, open_store
from sgonz.sweep.opening import Stored

HEADER = ("data set", "student", "teacher", "learning rate", "batch", "epochs", "validation loss", "validation metric",
          "seconds", "test score", "exact match")  # fmt: skip
NOTHING = {"metric": None, "task": None, "teacher": None}
BITES = "<script>window.bitten = 1</script>\"'&{{ 7 * 7 }} \\input{x} $_%#~^ | `a` ñ 漢 \u2028"


def published_study(folder: Path) -> Workdir:
    """The published test scores as imported results, with their speeds as measurements."""
    rows = [
        (dataset, row.model, catalog.published().teachers[dataset] if row.stage == "distill" else "", 5e-5, 32, 3,
         f"{1 - value / 100:.4f}", value - 0.5, 3600, value, row.exact_match.get(dataset, ""))
        for row in catalog.published().rows for dataset, value in row.headline.items()
    ]  # fmt: skip
    workdir = imported(folder, "published", rows)
    with open_store(workdir.store, workspace=workdir.root) as store:
        run_of = {row.model: row.run_id for row in store.results()}
        store.add_benchmarks(
            [BenchmarkRow(run_id=run_of[row.model], model=row.model, device="gpu: somebody's", batch_size=1, length=512,
                          latency_ms=1000 / row.per_second.gpu) for row in catalog.published().rows]
        )  # fmt: skip
    return workdir


def imported(folder: Path, name: str, rows: list[tuple[object, ...]]) -> Workdir:
    workdir = Workdir(folder / "work")
    workdir.create()
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        writer.writerows(rows)
    import_csv(path, workdir, workdir.store, name=None, columns=(), given=NOTHING)
    return workdir


def biting(folder: Path) -> Workdir:
    """Imported results whose every name is an attack."""
    rows = [(f"{BITES}{dataset}", f"{BITES}{model}", f"{BITES}t", 5e-5, 16, 3, 0.5, 80 + model, 60, 79 + model, "")
            for dataset in range(2) for model in range(3)]  # fmt: skip
    return imported(folder, "bites", rows)


def half_done(folder: Path) -> Workdir:
    """Two data sets, a published model and one of unknown shape, three seeds; a failed run, pending ones, a student."""
    datasets = {
        "xnli": Dataset(name="xnli", task="classification", format="xnli", metric="accuracy"),
        "mine": Dataset(name="mine", task="qa", format="squad", metric="f1"),
    }
    models = {name: Model(name=name) for name in ("beto-cased", "own-model", "albeto-tiny")}
    table = {"name": "half", "datasets": list(datasets), "seeds": [1, 2, 3], "finetune": {"models": ["beto-cased", "own-model"]},
             "distill": {"students": ["albeto-tiny"]}}  # fmt: skip
    stored = Stored(sweep=table, sources=Sources(datasets=datasets, models=models), workloads={})
    runs = [
        RunSpec(run_id=f"{dataset}-{model}-{seed}-{rate:g}", kind=Kind.FINETUNE, dataset=datasets[dataset], model=models[model], seed=seed,
                settings=Settings(learning_rate=rate, batch_size=16))
        for dataset in datasets for model in ("beto-cased", "own-model") for seed in (1, 2, 3) for rate in (1e-5, 5e-5)
    ]  # fmt: skip
    exams = [
        RunSpec(run_id=f"exam-{run.run_id}", kind=Kind.EVALUATE, dataset=run.dataset, model=run.model, settings=Settings(),
                seed=run.seed, needs=(Need(role="model", run_id=run.run_id),))
        for run in runs if run.dataset.name == "xnli" and run.settings.learning_rate == 5e-5
    ]  # fmt: skip
    workdir = Workdir(folder / "work")
    workdir.create()
    with open_store(workdir.store, workspace=workdir.root, create=True) as store:
        sweep = store.add_sweep(name="half", text="name = 'half'\n", spec_json=msgspec.json.encode(stored).decode(),
                                cluster="local", time=1e9, provenance={"sgonz": "0.1", "commit": "abc", "packages": {"torch": "2.8"}})  # fmt: skip
        store.add_runs(sweep, [*runs, *exams])
        done = [run for run in runs if run.dataset.name == "xnli"]
        failed, done = done[0], done[1:]
        _submit(store, sweep, [run.run_id for run in (*runs[:6], *runs[6:12], *exams)])
        for run in done:
            base = 80 + run.seed + (0 if run.model.name == "beto-cased" else -4)
            _end(store, run.run_id, curve=[base - 2, base], loss=1 - base / 100)
        for exam in exams:
            _end(store, exam.run_id, test={"accuracy": 79.0 + exam.seed})
        _end(store, failed.run_id, error="CUDA error: device-side assert triggered")
        store.set_state(
            [failed.run_id], State.FAILED, time=1e9 + 100, reason="CUDA error: device-side assert triggered"
        )
        best = {run.run_id for run in done if run.settings.learning_rate == 5e-5}
        store.mark_selected(best, set(), sweep_id=sweep)
    return workdir


def _submit(store: Store, sweep: int, run_ids: list[str]) -> None:
    store.add_submission(
        tag="t", sequence=store.next_sequence(), sweep_id=sweep, cluster="local", elements=[run_ids], time=1e9
    )
    store.mark_sent("t", ["t_0"], 1e9)


def _end(
    store: Store, run_id: str, *, curve: list[float] | None = None, loss: float | None = None, error: str | None = None,
    test: dict[str, float] | None = None,
) -> None:  # fmt: skip
    begun = 1e9 + 10
    events = [
        JobStarted(time=begun, host="n1", pid=7, device="cuda"),
        RunStarted(time=begun, run_id=run_id, attempt=1),
        *(EpochEnded(time=begun + number, run_id=run_id, attempt=1, epoch=number, step=number * 10, train_loss=2.0 / number,
                     validation_loss=1 - score / 100, validation={"accuracy": score}, learning_rate=1e-5, seconds=3.0, improved=True)
          for number, score in enumerate(curve or (), 1)),
        RunEnded(time=begun + 60, run_id=run_id, attempt=1, outcome=Outcome.FAILED if error else Outcome.COMPLETED, seconds=1800.0,
                 best_epoch=2, epochs_done=2, validation_loss=loss, validation={"accuracy": curve[-1]} if curve else {},
                 test=test or {}, error=error, signature=error),
    ]  # fmt: skip
    store.apply(f"{run_id}.jsonl", events, len(events), tag="t", element=0)


def empty(folder: Path) -> Workdir:
    """A sweep without a single run."""
    workdir = Workdir(folder / "work")
    workdir.create()
    table = {"name": "empty", "datasets": ["xnli"], "finetune": {"models": ["beto-cased"]}}
    stored = Stored(sweep=table, sources=Sources(datasets={}, models={}), workloads={})
    with open_store(workdir.store, workspace=workdir.root, create=True) as store:
        store.add_sweep(name="empty", text="", spec_json=msgspec.json.encode(stored).decode(), cluster="local", time=1e9,
                        provenance={})  # fmt: skip
    return workdir
