"""Which device a run gets, what it does without the one it was promised, and when the device is to blame."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch
from job_folders import ends, job_list, told, write_job
from workers import TAG, Start, work

from sgonz.plan.history import History
from sgonz.plan.nodes import at_node
from sgonz.plan.runs import Kind, Measure, Outcome
from sgonz.train import ahead, device, worker
from sgonz.train import execute as execute_module
from sgonz.train.device import blamed, take_device
from sgonz.train.execute import begin, execute
from sgonz.train.meeting import here
from sgonz.train.seat import Seat

NEEDS_CPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
PROMISED = Seat(on_gpu=True)
# A worker's processes on a machine that has a GPU of which torch knows nothing.
UNKNOWN_GPU = """
import importlib.abc, importlib.util, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "sgonz.train.execute":
            sys.meta_path.remove(self)
            from sgonz.train import device
            device.nvidia_is_here = lambda: True
            return importlib.util.find_spec(name)
sys.meta_path.insert(0, Watch())
"""


@pytest.fixture
def taken(monkeypatch):
    """A node of four GPUs, or of as many as `gpus` is set to; what was asked of torch.cuda."""
    found = SimpleNamespace(gpus=4, current=None, fraction=None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found.gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found.gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: vars(found).update(current=device.index))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share: vars(found).update(fraction=share))  # fmt: skip
    return found


@pytest.mark.parametrize(("gpus", "rank", "number"), [(4, 0, None), (4, 3, 3), (1, 3, 0), (2, 1, 1)])
def test_a_process_takes_the_gpu_of_its_number_or_the_only_one_it_sees(taken, gpus, rank, number):
    taken.gpus = gpus
    found = take_device(Seat(local_rank=rank, world=4))
    assert (found.type, found.index, taken.current) == ("cuda", number, number)
    assert taken.fraction is None


def test_runs_that_share_a_gpu_share_its_memory(taken, bench, monkeypatch):
    take_device(Seat(sharers=4))
    assert taken.fraction == pytest.approx(0.2375)
    asked = []
    monkeypatch.setattr(
        execute_module, "micro_batch_within", lambda history, spec, name, room: asked.append(room)
    )
    monkeypatch.setattr(execute_module, "device_name", lambda: "GPU")
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=40 * 2**30)
    )
    spec = bench.run("run", Kind.FINETUNE, "text", "albert").read_spec()
    begin(History(), spec, torch.device("cuda"), Seat(sharers=4))
    assert asked == [10 * 2**10]


@NEEDS_CPU
def test_a_run_whose_node_has_a_gpu_does_not_compute_on_processors(bench, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "g1")
    monkeypatch.setattr(device, "nvidia_is_here", lambda: True)
    run = bench.run("run", Kind.FINETUNE, "text", "albert")
    ended = execute(run, 1, bench.events.append, seat=PROMISED)
    assert ended.outcome is Outcome.FAILED
    assert "asked for a GPU, and torch sees none" in ended.error
    assert f"torch {torch.__version__}" in ended.error
    assert ended.signature.startswith("DeviceError in device.check_device")
    assert ended.signature.endswith(at_node("g1"))
    timed = bench.run("timed", Kind.BENCHMARK, "text", "albert", measure=Measure(device="cpu"))
    assert "GPU" not in execute(timed, 1, bench.events.append, seat=PROMISED).error


@NEEDS_CPU
@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_hands_the_promise_on(bench, start: Start, tmp_path: Path, processes: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(UNKNOWN_GPU)
    bench.run("run", Kind.FINETUNE, "text", "albert")
    jobs = msgspec.structs.replace(job_list(TAG, ["run"]), on_gpu=True, processes=processes)
    folder = write_job(bench.workdir, jobs)
    for rank in range(processes if processes > 1 else 0):
        start(folder, "0", module="member", SGONZ_RANK=str(rank), PYTHONPATH=str(tmp_path))
    work(start, bench.workdir, jobs, PYTHONPATH=str(tmp_path))
    (end,) = ends(told(bench.workdir.job(TAG)))
    assert end.outcome is Outcome.FAILED
    assert "torch sees none" in end.error


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"), True),
        (torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), True),
        (RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable"), True),
        (
            RuntimeError("Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized"),
            True,
        ),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (torch.OutOfMemoryError("CUDA out of memory"), False),
    ],
)
def test_only_what_no_run_can_do_to_a_device_is_the_nodes_fault(error, named, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "g1")
    assert blamed(error) == (at_node("g1") if named else "")


def test_processes_of_several_nodes_listen_where_others_can_come(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_NUM_NODES", raising=False)
    assert here() == ("127.0.0.1", "127.0.0.1")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    name, address = here()
    assert name == socket.gethostname()
    with socket.create_server((address, 0)) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize(
    ("vendor", "kind", "there"),
    [("0x10de", "0x030200", True), ("0x10de", "0x020000", False), ("0x1002", "0x030000", False)],
)
def test_a_gpu_is_seen_without_its_driver(tmp_path, monkeypatch, vendor, kind, there):
    monkeypatch.setattr(device, "DRIVER", tmp_path / "absent")
    monkeypatch.setattr(device, "DEVICES", tmp_path)
    (tmp_path / "0000:00:00.0").mkdir()  # of which nothing can be read
    card = tmp_path / "0000:17:00.0"
    card.mkdir()
    (card / "vendor").write_text(f"{vendor}\n")
    (card / "class").write_text(f"{kind}\n")
    assert device.nvidia_is_here() is there


def test_on_a_trial_cluster_gpus_are_names(bench, monkeypatch):
    monkeypatch.setattr(device, "nvidia_is_here", lambda: False)
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings={"epochs": 1})
    assert execute(run, 1, bench.events.append, seat=PROMISED).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(("driver", "nvml", "asked"), [(True, 4, True), (True, -1, False), (False, -1, True)])
def test_gpus_are_asked_for_ahead_only_where_that_does_not_begin_the_driver(
    monkeypatch, tmp_path, driver, nvml, asked
):
    """torch says -1 where NVML cannot answer: without its library, or with MIG-… in CUDA_VISIBLE_DEVICES."""
    monkeypatch.setattr(device, "DRIVER", tmp_path if driver else tmp_path / "absent")
    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: nvml)
    assert ahead.may_ask_for_gpus() is asked


def test_torch_says_that_it_cannot_count_parts_of_gpus_without_the_driver(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-b9fe5a0c-9d4c-5c30-9d5c-7f1e1c1a2b3c")
    assert torch.cuda._device_count_nvml() < 0


def test_a_driver_that_does_not_begin_is_told_as_the_nodes_fault(bench, monkeypatch):
    def refuse(seat):
        raise RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment")

    monkeypatch.setenv("SLURMD_NODENAME", "g1")
    monkeypatch.setattr(execute_module, "take_device", refuse)
    ended = execute(bench.run("run", Kind.FINETUNE, "text", "albert"), 1, bench.events.append)
    assert ended.outcome is Outcome.FAILED
    assert ended.signature.endswith(at_node("g1"))


def test_a_worker_begins_where_the_driver_does_not_name_its_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(
        os.path, "isdir", lambda path: True
    )  # a container shows the folder, and nothing in it
    assert worker.device() == "gpu"
