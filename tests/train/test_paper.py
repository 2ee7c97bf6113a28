"""The published protocol: the whole chain under it, and every one of its choices making a difference of its own."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from bench import Bench
from toy_texts import ANIMAL, one_question, one_sentence, write

from sgonz.events import RunEnded
from sgonz.plan.protocol import SWITCHES, concerning, resolve
from sgonz.plan.runs import Dataset, Kind, Outcome
from sgonz.train.memory import leave_smaller

LIGHT = {"epochs": 2, "batch_size": 7, "weight_decay": 0.01}
CHAIN: dict[str, tuple[Kind, dict[str, str]]] = {
    "teacher": (Kind.FINETUNE, {}),
    "logits": (Kind.LOGITS, {"teacher": "teacher"}),
    "student": (Kind.DISTILL, {"logits": "logits"}),
    "scored": (Kind.EVALUATE, {"model": "student"}),
}
ELSEWHERE = {
    "auto_precision",
    "latency",
}  # on GPUs alone: see test_execute; of benchmarks: see test_measuring


@pytest.fixture
def odd(bench: Bench, tmp_path: Path) -> Bench:
    """Data sets with what the choices are about: long sentences, empty answers, placeholders, shared questions."""
    dice = random.Random(5)
    sizes = {"train": 28, "validation": 20, "test": 12}
    made: dict[str, dict[str, str]] = {"pos": {}, "tar": {}, "pawsx": {}}
    for split, size in sizes.items():
        sentences = [one_sentence(dice) for _ in range(size - 1)] + [
            [w for _ in range(40) for w in one_sentence(dice)]
        ]
        made["pos"][split] = write(tmp_path / f"pos-{split}", "tagging", sentences)
        made["tar"][split] = questions(tmp_path / f"tar-{split}.json", dice, size, split)
        rows = [
            ("la pera", "una pera", "1"),
            ("la pera", f"un {dice.choice(ANIMAL)}", "0"),
            ("NS", "NS", "1"),
        ] * (size // 3)
        made["pawsx"][split] = str(tmp_path / f"pawsx-{split}.tsv")
        table = "".join(f"{at}\t{one}\t{two}\t{label}\n" for at, (one, two, label) in enumerate(rows))
        Path(made["pawsx"][split]).write_text("id\tsentence1\tsentence2\tlabel\n" + table)
    bench.datasets = {
        "pos": Dataset(name="pos", task="tagging", format="conll2002", files=made["pos"], labels=("O", "B-LOC", "B-ANI")),
        "tar": Dataset(name="tar", task="qa", format="squad", files=made["tar"], catalog="tar"),
        "pawsx": Dataset(name="pawsx", task="classification", format="pawsx", pair=True, files=made["pawsx"],
                         labels=("0", "1"), catalog="pawsx"),
    }  # fmt: skip
    return bench


def questions(file: Path, dice: random.Random, size: int, split: str) -> str:
    paragraphs = []
    for at in range(size):
        row = one_question(dice)
        number = f"q{at}" if split == "test" or (split == "validation" and at < 4) else f"{split}{at}"
        good = {"text": row["answer"], "answer_start": row["start"]}
        listed = [{"text": "", "answer_start": -1}, good] if at % 4 == 1 else [good]
        asked = " " * (3 * (at % 2)) + row["question"]
        paragraphs.append(
            {"context": row["context"], "qas": [{"id": number, "question": asked, "answers": listed}]}
        )
    file.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return str(file)


def chain(
    bench: Bench, dataset: str, *, until: str = "scored", prefix: str = "", **fields: Any
) -> dict[str, RunEnded]:
    """Fine-tuning, stored logits, a student of them, its test scores, as far as asked, all under the same choices."""
    settings, model = LIGHT | fields.pop("settings", {}), fields.pop("model", "albert")
    micro_batch = fields.pop("micro_batch", None)
    ends: dict[str, RunEnded] = {}
    for name, (kind, needs) in CHAIN.items():
        needed = {role: prefix + need for role, need in needs.items()}
        run = bench.run(prefix + name, kind, dataset, model, needs=needed, settings=dict(settings), **fields)
        if micro_batch:
            leave_smaller(run, 2 * micro_batch, recompute=False)  # as if memory had not sufficed for more
        ends[name] = bench.do(run)
        assert ends[name].outcome is Outcome.COMPLETED, ends[name].error
        if name == until:
            break
    return ends


@pytest.mark.parametrize("dataset", ["pawsx", "pos", "tar"])
def test_the_whole_chain_under_the_published_protocol(odd: Bench, dataset: str) -> None:
    ends = chain(odd, dataset, protocol="paper")
    specs = {name: odd.workdir.run(name).read_spec() for name in ends}
    published = resolve("paper", {})
    for spec in specs.values():
        given = odd.datasets[dataset]
        assert spec.switches == concerning(published, kind=spec.kind, task=given.task, dataset=dataset)
    assert ends["student"].validation_loss is not None
    assert (odd.workdir.run("logits").output / "logits" / "manifest.json").read_text().count('"float32"') == 1
    assert ends["scored"].test["accuracy" if dataset == "pawsx" else "f1"] >= 0


def came_to(bench: Bench, name: str, ended: RunEnded) -> Any:
    """All of a run that a choice could change: losses, scores, counts, the bytes of what it left."""
    told = (ended.validation_loss, ended.validation, ended.test, ended.notes, ended.epochs_done)
    output = bench.workdir.run(name).output
    files = sorted(
        [*output.glob("model/*.safetensors"), *output.glob("logits/logits*"), *output.glob("logits/pieces*")]
    )
    assert files
    return told, [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


CASES: dict[
    str, tuple[str, str, dict[str, Any]]
] = {  # choice: in which run it shows, on which data, under what
    "patience_rule": ("student", "pawsx", {"settings": {"patience": 1, "epochs": 6, "learning_rate": 1e-9}}),
    "validation_mean": ("teacher", "pawsx", {}),
    "distill_order": ("student", "pawsx", {}),
    "batching": ("teacher", "pos", {}),
    "distill_decay": ("student", "pawsx", {"settings": {"weight_decay": 0.5}}),
    "distill_clipping": ("student", "pawsx", {"settings": {"max_grad_norm": 0.01}}),
    "accumulation": ("teacher", "pos", {"micro_batch": 2}),
    "qa_columns": ("teacher", "tar", {}),
    "qa_distill_limit": ("student", "tar", {"settings": {"learning_rate": 1e-9}}),
    "qa_answers": ("teacher", "tar", {}),
    "qa_questions": ("teacher", "tar", {"model": "roberta"}),
    "test_overlap": ("teacher", "tar", {}),
    "placeholder_rows": ("teacher", "pawsx", {}),
    "tagging_length": ("student", "pos", {}),
    "tagging_labels": ("teacher", "pos", {}),
    "logits_dtype": ("logits", "pawsx", {}),
}


@pytest.mark.parametrize("choice", CASES)
def test_a_single_choice_changes_what_it_speaks_of(odd: Bench, choice: str) -> None:
    until, dataset, fields = CASES[choice]
    published = {switch.name: switch.paper for switch in SWITCHES}[choice]
    sound = chain(odd, dataset, until=until, prefix="sound-", **fields)
    other = chain(odd, dataset, until=until, prefix="other-", switches={choice: published}, **fields)
    assert came_to(odd, f"sound-{until}", sound[until]) != came_to(odd, f"other-{until}", other[until])


@pytest.mark.parametrize("dataset", ["pawsx", "pos", "tar"])
def test_the_same_choices_come_to_the_same(odd: Bench, dataset: str) -> None:
    one, other = (chain(odd, dataset, until="student", prefix=prefix) for prefix in ("one-", "other-"))
    for name in one:
        assert came_to(odd, f"one-{name}", one[name]) == came_to(odd, f"other-{name}", other[name])


def test_every_choice_has_a_case() -> None:
    assert set(CASES) | ELSEWHERE == {switch.name for switch in SWITCHES}
