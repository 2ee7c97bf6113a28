"""The database's account of a run that was cut: what it would say of one that nobody disturbed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from cut_runs import Cut, in_child, read

from sgonz.events import RunStarted
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import RunDir
from sgonz.store.store import Store, open_store

SETTINGS = {"epochs": 3, "eval_every_steps": 5}


def rows_of(store: Store, run: RunDir, tag: str, attempts: list[Path]) -> list[object]:
    """Every epoch as the store has it after these attempts, each of a job of its own."""
    sweep = store.add_sweep(name=tag, text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(sweep, [run.read_spec()])
    run_id = run.root.name
    for number, told in enumerate(attempts, 1):
        name = f"{tag}-{number}"
        store.add_submission(tag=name, sequence=store.next_sequence(), sweep_id=sweep, cluster="here",
                             elements=[[run_id]], time=1.0)  # fmt: skip
        store.mark_sent(name, [f"{name}_0"], 1.0)
        found = [RunStarted(time=1.0, run_id=run_id, attempt=number), *read(told)]
        store.apply(f"jobs/{name}/events/0.0.jsonl", found, told.stat().st_size + 1, tag=name, element=0)
    (row,) = (row for row in store.snapshot(sweep) if row.run_id == run_id)
    assert row.state == "COMPLETED"
    assert row.attempts == len(attempts)
    epochs = [msgspec.structs.replace(epoch, run_id="") for epoch in store.epochs(run_id)]
    return [row.best_epoch, row.epochs_done, row.validation_loss, row.validation, *epochs]


def test_epochs_that_were_made_twice_stand_in_the_database_once(bench):
    whole = bench.run("whole", Kind.FINETUNE, "text", "bert", settings=SETTINGS)
    in_child(whole, 1, whole.root / "1.jsonl")
    cut = bench.run("cut", Kind.FINETUNE, "text", "bert", settings=SETTINGS)
    files = [cut.root / f"{number}.jsonl" for number in (1, 2, 3)]
    for number, how in enumerate((Cut("step", 25), Cut("asked", 9), None), 1):
        files[number - 1].touch()
        status = in_child(cut, number, files[number - 1], how)
        assert os.WIFSIGNALED(status) is (number == 1)
    assert cut.read_result().outcome is Outcome.COMPLETED
    with open_store(bench.workdir.store, workspace=bench.workdir.root, create=True) as store:
        expected = rows_of(store, whole, "whole", [whole.root / "1.jsonl"])
        assert rows_of(store, cut, "cut", files) == expected
        assert len(expected) > 4 + 3
