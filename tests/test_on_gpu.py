"""What runs on a GPU, on a machine without one: torch is given a device that refuses what a GPU refuses.

See pretended_gpu: tensors of its own kind, memory with a limit, kernels that run behind the call, no use after a fork.
What only real hardware shows stays with the tests that ask for one: the speed, and kernels of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch

from sgonz.sample import make

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.version.cuda is not None, reason="torch was built for real GPUs"),
]

PRETENDED = Path(__file__).parent / "pretended_gpu"
NAME = "Pretended A100"
SWEEP = """
name = "gpu"
datasets = ["mldoc", "pos", "sqac"]
[sample]
size = 60
[models.student]
cut_from = "sample-albert"
layers = 2
[finetune]
models = ["sample-albert"]
max_length = 64
overlap = 16
grid.learning_rate = [1e-3]
grid.batch_size = 16
grid.epochs = 1
[distill]
students = ["student"]
max_length = 64
overlap = 16
epochs = 1
grid.learning_rate = [1e-3]
grid.batch_size = 16
[benchmark]
lengths = [16]
batch_sizes = [1]
repeats = 3
reference = "none"
"""
TIMED = """
import json, sys, time, torch
from types import SimpleNamespace
from sgonz.train import latency
from sgonz.train.benchmark import Timing, rows
latency.time = SimpleNamespace(perf_counter=torch.cuda.kernels_done, get_clock_info=time.get_clock_info)
shape = dict(model_type="bert", vocab_size=50, hidden_size=16, num_attention_heads=2, intermediate_size=32,
             max_position_embeddings=16, type_vocab_size=2)
models = {"one": shape | {"num_hidden_layers": 1}, "two": shape | {"num_hidden_layers": 2}}
timing = Timing(warm_up=1, repeats=4, reference="one", protocol=sys.argv[1])
print(json.dumps([row["latencies_ms"] for row in rows(models, [2], [8], "cuda", timing)]))
"""


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a process that has one."""
    library = tmp_path_factory.mktemp("device") / "device.so"
    home = Path(torch.__file__).parent
    includes = [f"-I{home / folder}" for folder in ("include", "include/torch/csrc/api/include")]
    subprocess.run(
        [sysconfig.get_config_var("CXX").split()[0], "-std=c++20", "-O1", "-shared", "-fPIC", *includes,
         str(PRETENDED / "device.cpp"), "-o", str(library), f"-L{home / 'lib'}", "-ltorch_cpu", "-lc10"],
        check=True,
    )  # fmt: skip
    return {"PRETENDED_GPU": str(library), "PYTHONPATH": str(PRETENDED)}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "sample"
    make(folder, seed=1, size=60)
    return folder


def sgonz(work: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "sgonz", *arguments], capture_output=True, text=True, check=False, cwd=work.parent,
                          env={**os.environ, "SGONZ_WORKDIR": str(work), **environment})  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def swept(folder: Path, sample: Path, environment: dict[str, str], *settings: str) -> list[dict[str, Any]]:
    """The results of the sweep, none of which was made anywhere else than on the GPU, where there is one."""
    work = folder / "work"
    (work / "sample").mkdir(parents=True)
    (folder / "gpu.toml").write_text(SWEEP)
    (work / "sample" / "1-60").symlink_to(sample)
    sgonz(work, environment, "run", "gpu.toml", *(part for each in settings for part in ("--set", each)))
    used = "select distinct device from attempts where precision is not null"
    devices = {
        row["device"] for row in json.loads(sgonz(work, environment, "query", used, "--format", "json"))
    }
    assert devices == {NAME if environment else "cpu"}
    return json.loads(sgonz(work, environment, "results", "--format", "json"))


def losses(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {row["run_id"]: row["validation_loss"] for row in rows}


def test_in_less_memory_than_a_batch_takes_a_gpu_learns_what_a_cpu_learns(tmp_path, sample, gpu):
    exact = (
        "precision=fp32",
        'datasets=["mldoc", "sqac"]',
    )  # dropout before a tagger's last layer falls otherwise on parts
    here = swept(tmp_path / "cpu", sample, {}, *exact)
    there = swept(tmp_path / "gpu", sample, gpu | {"PRETENDED_GPU_MIB": "10"}, *exact)
    assert losses(there) == pytest.approx(losses(here), rel=1e-4)
    assert {row["kind"] for row in there if row["notes"]["micro_batch"] < 16} >= {"finetune"}


def test_by_itself_a_gpu_uses_bf16_and_times_what_it_trained(tmp_path, sample, gpu):
    rows = swept(tmp_path, sample, gpu, 'benchmark.device="cuda"')
    assert {row["notes"]["precision"] for row in rows} == {"bf16"}
    assert all(row["test"][row["metric"]] is not None for row in rows)
    timed = json.loads(sgonz(tmp_path / "work", gpu, "query", "benchmarks", "--format", "json"))
    assert {row["model"] for row in timed} == {"sample-albert", "student"}
    assert all(row["device"].startswith(f"cuda: {NAME}") and row["latency_ms"] > 0 for row in timed)


def test_fp16_scales_its_losses(tmp_path, sample, gpu):
    rows = swept(tmp_path, sample, gpu, "precision=fp16", 'datasets=["pos"]')
    assert {row["notes"]["precision"] for row in rows} == {"fp16"}


@pytest.mark.parametrize("protocol", ["sound", "paper"])
def test_the_clock_stops_when_the_device_is_done_and_as_published_when_the_call_is(gpu, protocol):
    done = subprocess.run([sys.executable, "-c", TIMED, protocol], capture_output=True, text=True, check=False,
                          env={**os.environ, **gpu})  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (set(calls) for calls in json.loads(done.stdout))  # in kernels
    assert len(one) == len(two) == 1  # nothing of the call before
    assert (0 < one.pop() < two.pop()) if protocol == "sound" else (one == two == {0})
