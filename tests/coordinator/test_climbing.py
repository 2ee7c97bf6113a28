"""Ends that memory caused, from the database to the place where the next attempt is sent."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from sgonz import rundir
from sgonz.cluster.profile import Profile, Resource
from sgonz.coordinator import climbing
from sgonz.events import MemoryShort, RunEnded, RunReady, RunStarted
from sgonz.plan.ladder import Place
from sgonz.plan.runs import Dataset, Kind, Model, Outcome, RunSpec, Settings
from sgonz.rundir import Element, JobList, Workdir
from sgonz.store.store import Store, open_store
from sgonz.view.tables import show_status
from sgonz.workdir import costs

PROFILE = Profile(
    name="here", scheduler="slurm", assign={"default": "small"},
    resources={
        "small": Resource(memory_gb=16, max_memory_gb=32),
        "large": Resource(memory_gb=64),
        "several": Resource(gres="gpu:2", engine="deepspeed", deepspeed="zero2.json"),
    },
)  # fmt: skip
DEVICE = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
HOST = "killed by the kernel, out of memory of the host: epoch 1"


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    return workdir


@pytest.fixture
def store(workdir: Workdir):
    with open_store(workdir.store, workspace=workdir.root, create=True) as store:
        yield store


def spec(run_id: str) -> RunSpec:
    dataset = Dataset(name="pos", task="tagging", format="conllu", files={"train": "/t"}, metric="f1")
    return RunSpec(
        run_id=run_id, kind=Kind.FINETUNE, dataset=dataset, model=Model(name="big"), settings=Settings()
    )


def end_out_of_memory(
    workdir: Workdir, store: Store, tag: str, place: Place, error: str, attempt: int
) -> None:
    """A job of this run in this place, and its end."""
    sequence = store.next_sequence()
    store.add_submission(tag=tag, sequence=sequence, sweep_id=1, cluster="here", elements=[["r1"]], time=1.0)
    store.mark_sent(tag, [f"{tag}_0"], 2.0)
    jobs = JobList(tag=tag, sequence=sequence, resource=place.resource, memory_gb=place.memory_gb,
                   elements=(Element(run_ids=("r1",)),))  # fmt: skip
    rundir.write_atomic(workdir.job(tag) / "job.json", msgspec.json.encode(jobs))
    found = [
        RunStarted(time=attempt * 10.0, run_id="r1", attempt=attempt),
        RunReady(time=attempt * 10.0, run_id="r1", attempt=attempt, device="NVIDIA A100", precision="bf16",
                 epoch=0, steps=9, rows=9, micro_batch=1, parameters=1),
        RunEnded(time=attempt * 10.0 + 5, run_id="r1", attempt=attempt, outcome=Outcome.OUT_OF_MEMORY,
                 error=error, signature="same"),
    ]  # fmt: skip
    store.apply(f"jobs/{tag}/events/0.0.jsonl", found, 100, tag=tag, element=0)
    climbing.remember(workdir, store, PROFILE, ["r1"])


def place(workdir: Workdir) -> Place | None:
    return climbing.place_of(costs.read(workdir), PROFILE, Kind.FINETUNE, "big", "pos")


def test_runs_climb_step_by_step_and_every_step_is_written_down(workdir, store):
    sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(sweep, [spec("r1")])
    assert place(workdir) == Place(resource="small")
    end_out_of_memory(workdir, store, "t1", Place(resource="small"), HOST, 1)
    assert place(workdir) == Place(resource="small", memory_gb=32)
    (row,) = store.snapshot()
    assert climbing.climbed_since(costs.read(workdir), PROFILE, row)
    end_out_of_memory(workdir, store, "t2", Place(resource="small", memory_gb=32), DEVICE, 2)
    assert place(workdir) == Place(resource="large")
    end_out_of_memory(workdir, store, "t3", Place(resource="large"), DEVICE, 3)
    assert place(workdir) == Place(resource="several")
    end_out_of_memory(workdir, store, "t4", Place(resource="several"), DEVICE, 4)
    assert place(workdir) == Place(resource="several")
    (row,) = store.snapshot()
    assert not climbing.climbed_since(costs.read(workdir), PROFILE, row)  # nothing higher: it may be given up
    assert climbs(workdir) == ["small", "large", "several"]
    climbing.remember(workdir, store, PROFILE, ["r1"])  # a second look at the same end
    assert climbs(workdir) == ["small", "large", "several"]


def test_what_was_made_smaller_to_fit_below_begins_whole_higher_up(workdir, store):
    sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(sweep, [spec("r1")])
    smaller = workdir.run("r1").smaller
    smaller.parent.mkdir(parents=True)
    smaller.write_text("[1, true]")
    end_out_of_memory(workdir, store, "t1", Place(resource="small"), DEVICE, 1)
    assert not smaller.exists()


def test_what_does_not_train_starts_in_a_class_of_one_process_and_stays_there(workdir, store):
    profile = msgspec.structs.replace(PROFILE, assign={"default": "small", "big": "several"})
    history = costs.read(workdir)
    assert climbing.place_of(history, profile, Kind.FINETUNE, "big", "pos") == Place(resource="several")
    assert climbing.place_of(history, profile, Kind.LOGITS, "big", "pos") == Place(resource="small")
    assert [rung.name for rung in climbing.ladder_of(profile, Kind.LOGITS)] == ["small", "large"]


def climbs(workdir: Workdir) -> list[str]:
    lines = [msgspec.json.decode(line) for line in workdir.journal.read_bytes().splitlines()]
    return [line["to"]["resource"] for line in lines if line["type"] == "climbed"]


def test_other_models_stay_where_they_were(workdir, store):
    sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(sweep, [spec("r1")])
    end_out_of_memory(workdir, store, "t1", Place(resource="small"), DEVICE, 1)
    assert climbing.place_of(costs.read(workdir), PROFILE, Kind.FINETUNE, "tiny", "pos") == Place(
        resource="small"
    )


def test_a_profile_without_classes_has_no_ladder(workdir):
    assert (
        climbing.place_of(costs.read(workdir), Profile(name="l", scheduler="local"), Kind.FINETUNE, "b", "d")
        is None
    )


def test_status_says_what_is_tried_in_smaller_parts_while_it_is_and_after_it_failed(workdir, store):
    sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(sweep, [spec("r1")])
    end_out_of_memory(workdir, store, "t1", Place(resource="small"), DEVICE, 1)
    store.apply("jobs/t1/events/0.0.jsonl", [
        MemoryShort(time=12.0, run_id="r1", attempt=1, step=0, micro_batch=1),
        MemoryShort(time=13.0, run_id="r1", attempt=1, step=0, micro_batch=16, recompute=True),
        RunStarted(time=20.0, run_id="r1", attempt=2),
        RunReady(time=20.0, run_id="r1", attempt=2, device="NVIDIA A100", precision="bf16", epoch=0, steps=9, rows=9,
                 micro_batch=16, parameters=1),
        MemoryShort(time=21.0, run_id="r1", attempt=2, step=4, micro_batch=8, recompute=True),
        MemoryShort(time=22.0, run_id="r1", attempt=2, step=5, micro_batch=4, reading=True),
    ], 200, tag="t1", element=0)  # fmt: skip
    (found,) = climbing.splits(store.splits(sweep))
    assert (found["run_id"], found["runs"], found["under_way"]) == ("r1", 1, 1)
    assert [(step["attempt"], step["micro_batch"]) for step in found["steps"]] == [
        (1, 1),
        (1, 16),
        (2, 8),
        (2, 4),
    ]
    answer = {"sweep": "s", "runs": {}, "attempts": 1, "finished": False, "datasets": {}, "waiting": {},
              "failures": [], "memory": [], "splits": [found]}  # fmt: skip
    said = "memory: big on pos (finetune, r1) is tried in micro-batches of 1; recomputing activations, of 16, 8; scoring, of 4, since step 5 on NVIDIA A100"
    assert said in " ".join(shown_status(answer).split())
    settled = {"kind": "finetune", "model": "big", "dataset": "pos", "device": "NVIDIA A100", "micro_batch": 8, "recompute": True}  # fmt: skip
    shown = " ".join(shown_status(answer | {"memory": [settled]}).split())
    assert (
        "runs in micro-batches of 8, recomputing activations on NVIDIA A100, tried in micro-batches of 1;"
        in shown
    )
    assert "is tried" not in shown


def shown_status(answer: dict[str, object]) -> str:
    shown = io.StringIO()
    show_status(answer, console=Console(file=shown, width=120))
    return shown.getvalue()


def test_status_says_what_memory_moved(workdir, store):
    sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(sweep, [spec("r1")])
    end_out_of_memory(workdir, store, "t1", Place(resource="small"), HOST, 1)
    (step,) = climbing.steps(costs.read(workdir), PROFILE, store.snapshot())
    assert (step["model"], step["resource"], step["memory_gb"]) == ("big", "small", 32)
    assert "host" in step["reason"]
    answer = {"sweep": "s", "runs": {}, "attempts": 1, "finished": False, "datasets": {}, "waiting": {},
              "failures": [], "memory": [step]}  # fmt: skip
    assert "big on pos (finetune) starts in small with 32 GB, after small: the host had" in shown_status(
        answer
    )
