"""What was used beside what was asked for, and what would have been enough."""

from __future__ import annotations

from sgonz.cluster.profile import Profile, Resource
from sgonz.looking import efficiency
from sgonz.plan.history import History, Trial, noted
from sgonz.plan.runs import Dataset, Kind, Model, Outcome, RunSpec, Settings, State
from sgonz.plan.state import RunRow
from sgonz.store.rows import AttemptRow

A100 = "NVIDIA A100"
PROFILE = Profile(name="here", scheduler="slurm", resources={"a100": Resource(memory_gb=64, max_minutes=600)})
ROW = RunRow(run_id="r", kind=Kind.FINETUNE, dataset="pos", model="beto", state=State.COMPLETED)
SPEC = RunSpec(
    run_id="r", kind=Kind.FINETUNE, settings=Settings(batch_size=16), model=Model(name="beto"),
    dataset=Dataset(name="pos", task="tagging", format="conllu"),
)  # fmt: skip


def test_a_gpu_run_shows_both_memories_how_busy_the_device_was_and_its_energy():
    attempt = AttemptRow(run_id="r", attempt=1, tag="t", element=0, device=A100, started=0.0, seen=1.0, peak_memory_mb=20480.0,
                         seconds=1800.0, outcome=Outcome.COMPLETED)  # fmt: skip
    trial = Trial(device=A100, batch_size=16, peak_memory_mb=20480.0, host_memory_mb=4096.0, device_use=71.6,
                  energy_joules=3.6e5)  # fmt: skip
    (found,) = efficiency.rows(PROFILE, [ROW], [attempt], {"t": "a100"}, noted(History(), [(SPEC, trial)]))
    assert (found["memory_gb"], found["host_gb"], found["asked_memory_gb"]) == (20.0, 4.0, 64)
    assert (found["device_use"], found["kwh"]) == (72, 0.1)
    assert found["proposal"] == "memory_gb = 5, max_minutes = 38 for one run at a time"


def test_without_a_history_a_run_on_the_host_still_shows_its_memory():
    attempt = AttemptRow(run_id="r", attempt=1, tag="t", element=0, device="cpu", started=0.0, seen=1.0, peak_memory_mb=60000.0,
                         seconds=35000.0, outcome=Outcome.COMPLETED)  # fmt: skip
    (found,) = efficiency.rows(PROFILE, [ROW], [attempt], {}, History())
    assert found["proposal"] is None
    assert (found["host_gb"], found["device_use"], found["kwh"]) == (58.59, None, None)
