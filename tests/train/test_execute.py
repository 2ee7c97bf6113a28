from __future__ import annotations

import json

import msgspec
import pytest
import torch

from sgonz.plan.runs import Dataset, Kind, Outcome
from sgonz.rundir import last_claim
from sgonz.train import execute as execution
from sgonz.train import precision
from sgonz.train.__main__ import main


def test_run_at_a_prompt_tells_what_it_does(bench, capsys):
    run = bench.run("r1", Kind.FINETUNE, "text", "albert", settings={"epochs": 1})
    assert main([str(run.root)]) == 0
    told = capsys.readouterr()
    assert "ready on cpu, fp32: 96 rows, 12 steps" in told.out
    assert "epoch 1 in" in told.out
    assert "COMPLETED after" in told.out
    assert told.err == ""
    assert last_claim(run).tag == "prompt"


def test_finished_run_at_a_prompt_is_only_told_again(bench, capsys):
    run = bench.run("r1", Kind.FINETUNE, "text", "albert", settings={"epochs": 1})
    bench.do(run)
    assert main([str(run.root)]) == 0
    assert "result was there already" in capsys.readouterr().out


def test_folder_that_is_no_run_is_bad_input(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "usage" in capsys.readouterr().err


def test_failed_run_at_a_prompt_says_so(bench, capsys):
    bench.folders = bench.folders | {"gone": bench.workdir.root / "gone"}
    assert main([str(bench.run("r1", Kind.FINETUNE, "text", "gone").root)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_run_that_does_nothing_returns_at_once(bench):
    ended = bench.do(bench.run("r1", Kind.NOOP, "text", "albert"))
    assert ended.outcome is Outcome.COMPLETED
    assert ended.validation == {}


def test_missing_need_is_waited_for_and_named(bench):
    ended = bench.do(bench.run("r1", Kind.EVALUATE, "text", "albert", needs={"model": "nothing"}))
    assert ended.outcome is Outcome.PREEMPTED
    assert "nothing makes it again first" in ended.error


def test_signature_names_type_and_place_and_forgets_numbers():
    texts = []
    for number in (3, 4711):
        try:
            execution.settle(-number)
        except Exception as error:
            texts.append(execution.signature(error))
    assert texts[0] == texts[1]
    assert "execute.settle" in texts[0]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (MemoryError(), Outcome.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), Outcome.OUT_OF_MEMORY),
        (KeyboardInterrupt(), Outcome.CANCELLED),
        (ValueError("no"), Outcome.FAILED),
    ],
)
def test_errors_become_outcomes(error, outcome):
    assert execution.outcome_of(error) is outcome


def test_untranslated_rows_are_scored_with_and_without(bench, tmp_path):
    def rows(count):
        pairs = [("la pera", "una pera", "1"), ("la pera", "un gato", "0"), ("NS", "NS", "1")]
        return "id\tsentence1\tsentence2\tlabel\n" + "".join(
            f"{at}\t{one}\t{two}\t{label}\n" for at, (one, two, label) in enumerate(pairs * count)
        )

    files = {}
    for split in ("train", "validation", "test"):
        files[split] = str(tmp_path / f"{split}.tsv")
        (tmp_path / f"{split}.tsv").write_text(rows(8))
    bench.datasets = {
        "pawsx": Dataset(
            name="pawsx", task="classification", format="pawsx", pair=True, files=files, labels=("0", "1")
        )
    }
    trained = bench.do(bench.run("r1", Kind.FINETUNE, "pawsx", "bert"))
    assert trained.notes["train: examples"] == 16
    assert "accuracy_without_placeholders" not in trained.validation
    scored = bench.do(bench.run("r2", Kind.EVALUATE, "pawsx", "bert", needs={"model": "r1"}))
    assert scored.notes["test: examples"] == 24
    assert {"accuracy", "accuracy_without_placeholders"} <= scored.test.keys()


CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_processors_compute_in_full_precision_unless_told():
    for kind in (Kind.FINETUNE, Kind.DISTILL, Kind.LOGITS):
        assert precision.resolve("auto", kind=kind, switches={}, device=CPU) == "fp32"
    assert precision.resolve("fp16", kind=Kind.FINETUNE, switches={}, device=CPU) == "fp32"
    assert precision.resolve("bf16", kind=Kind.FINETUNE, switches={}, device=CPU) == "bf16"


def test_published_precision_on_a_gpu_depends_on_the_stage():
    published = {"auto_precision": "published"}
    assert precision.resolve("auto", kind=Kind.FINETUNE, switches=published, device=GPU) == "fp16"
    assert precision.resolve("auto", kind=Kind.DISTILL, switches=published, device=GPU) == "fp32"
    full = {"logits_dtype": "float32"}
    assert precision.resolve("auto", kind=Kind.LOGITS, switches=full, device=GPU) == "fp32"
    assert precision.resolve("bf16", kind=Kind.FINETUNE, switches=published, device=GPU) == "bf16"


def test_half_precision_without_loss_scaling_is_full_precision() -> None:
    asked = {"kind": Kind.FINETUNE, "switches": {}, "device": GPU, "scales": False}
    assert precision.resolve("fp16", **asked) == "fp32"
    assert precision.resolve("bf16", **asked) == "bf16"


def test_half_precision_keeps_float32_weights(bench):
    run = bench.run("r1", Kind.FINETUNE, "text", "albert", precision="bf16", settings={"epochs": 1})
    ended = bench.do(run)
    assert ended.notes["precision"] == "bf16"
    config = json.loads((run.output / "model" / "config.json").read_text())
    assert config["dtype"] == "float32"
    assert config["sgonz"]["decode"] == "tokens"


def test_result_reads_back_as_it_was_returned(bench):
    run = bench.run("r1", Kind.FINETUNE, "qa", "albert", settings={"epochs": 1})
    ended = bench.do(run)
    assert msgspec.json.decode(run.result.read_bytes())["type"] == "run_ended"
    assert run.read_result() == ended
