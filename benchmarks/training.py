"""What training costs beside Hugging Face's Trainer: fine-tuning, distillation from stored logits, reading those.

One student of ALBETO tiny's shape tags sentences; the teacher has BETO's shape; weights are random, so nothing is learned
that is worth looking at. Everything runs in one process on one thread, variants in turns, by the clock of the processor.

    python benchmarks/training.py --sentences 640 --rounds 2
"""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import joblib
import msgspec
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import AutoConfig, AutoModelForTokenClassification, Trainer, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from sgonz import catalog
from sgonz.plan.protocol import concerning, resolve
from sgonz.plan.runs import Dataset, Kind, Model, Need, Outcome, RunSpec, Settings
from sgonz.rundir import RunDir, Workdir
from sgonz.sample import make
from sgonz.train import batches, distill, finetune, loop, step
from sgonz.train.execute import execute, never, settle
from sgonz.train.running import Running
from sgonz.train.tasks.task import IGNORED
from sgonz.train.teacher_cache import Entry, Writer, key_of

BATCH = 32
LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
STORED = 4096  # sentences whose logits are read
TYPICAL = 30  # words of a sentence; their logarithms spread as in newspapers: one in twenty has twice as many
Measured = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Runs on one corpus in one work folder."""

    workdir: Workdir
    dataset: Dataset
    folder: Path  # of the teacher's tokenizer and, where the student's run begins, its own

    def run(self, run_id: str, kind: Kind, shape: str, *needs: Need) -> RunDir:
        fields = catalog.models()[shape].architecture() | {"vocab_size": 31_002}
        switches = concerning(resolve("sound", {}), kind=kind, task="tagging", dataset="ner")
        spec = RunSpec(
            run_id=run_id, kind=kind, dataset=self.dataset, needs=needs, switches=switches,
            settings=Settings(batch_size=BATCH, epochs=1, learning_rate=5e-5),
            model=Model(name=shape, architecture=fields, tokenizer=str(self.folder)),
        )  # fmt: skip
        run = self.workdir.run(run_id)
        run.root.mkdir(parents=True)
        run.spec.write_bytes(msgspec.json.encode(spec))
        return run

    def running(self, run: RunDir) -> Running:
        return Running(
            run=run, spec=run.read_spec(), attempt=1, emit=lambda _: None, stop=never, device=settle(1)
        )


def corpus(folder: Path, words: list[str], sentences: int) -> Dataset:
    """Sentences as long as those of newspapers, of words from the sample; a tag in ten is an entity."""
    files = {}
    for split, many in (("train", sentences), ("validation", 16)):
        dice = random.Random(f"{split}{sentences}")
        lengths = [min(max(3, round(dice.lognormvariate(np.log(TYPICAL), 0.5))), 150) for _ in range(many)]
        tagged = [
            [f"{dice.choice(words)} {'B-LOC' if dice.random() < 0.1 else 'O'}" for _ in range(length)]
            for length in lengths
        ]
        file = folder / f"{split}.txt"
        file.write_text("".join("\n".join(lines) + "\n\n" for lines in tagged))
        files[split] = str(file)
    return Dataset(name="ner", task="tagging", format="conll2002", files=files, labels=LABELS, metric="f1")


def ours(training: loop.Training) -> float:
    """CPU seconds of an epoch's steps."""
    rows, lengths = np.arange(len(training.train.rows)), training.train.lengths
    machine = loop.machine_of(training, "fp32", steps=batches.steps_per_epoch(len(rows), BATCH))
    began = time.process_time()
    plan = batches.epoch_batches(lengths, batch_size=BATCH, seed=1, epoch=0, order="length_aware")
    for number, chosen in enumerate(plan):
        step.take(machine, rows[chosen], number, step.Fit(BATCH))
    return time.process_time() - began


class WithTeacher(Trainer):
    """Distillation as it is usually written: the teacher answers every batch again."""

    teacher: Any = None

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        with torch.no_grad():
            taught = self.teacher(**inputs).logits
        counted = labels != IGNORED
        p, q = (logits[counted].log_softmax(-1) for logits in (taught, outputs.logits))
        loss = F.kl_div(q, p, log_target=True, reduction="batchmean")
        return (loss, outputs) if return_outputs else loss


def theirs(training: loop.Training, kind: type[Trainer], folder: Path, teacher: Any, **more: Any) -> float:
    """CPU seconds of Trainer's epoch on the same rows."""
    rows, pad = training.train.rows, training.tokenizer.pad_token_id
    examples = []
    for row in rows.with_format(None):
        labels = [IGNORED] * len(row["input_ids"])
        for place, tag in zip(row["first"], row["tag"], strict=True):
            labels[place] = tag
        examples.append({"input_ids": row["input_ids"], "labels": labels, "length": len(labels)})

    def collate(picked: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = max(len(each["input_ids"]) for each in picked)
        wide = {"input_ids": pad, "labels": IGNORED}
        found = {
            name: torch.tensor([each[name] + [fill] * (width - len(each[name])) for each in picked])
            for name, fill in wide.items()
        }
        lengths = torch.tensor([each["length"] for each in picked])
        return found | {"attention_mask": (torch.arange(width) < lengths[:, None]).long()}

    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=5e-5, save_strategy="no",
        report_to=[], use_cpu=True, disable_tqdm=True, logging_strategy="no", log_level="error", dataloader_pin_memory=False,
        remove_unused_columns=False, seed=1, **more,
    )  # fmt: skip
    trainer = kind(model=training.model, args=arguments, train_dataset=examples, data_collator=collate)
    if isinstance(trainer, WithTeacher):
        trainer.teacher = teacher
    began = time.process_time()
    trainer.train()
    return time.process_time() - began


def in_turns(variants: dict[str, Callable[[], float]], rounds: int) -> Measured:
    found: Measured = {name: [] for name in variants}
    for _ in range(rounds):
        for name, work in variants.items():
            found[name].append(work())
    return found


def beto() -> Any:
    fields = catalog.models()["beto-cased"].architecture()
    config = AutoConfig.for_model(**fields, num_labels=len(LABELS))
    return AutoModelForTokenClassification.from_config(config).eval()


def stored(folder: Path) -> tuple[Measured, dict[str, tuple[int, int]]]:
    """CPU seconds to read every sentence's logits once, shuffled in batches, and (files, bytes) on the disk."""
    random_state = np.random.default_rng(1)
    words = np.clip(random_state.lognormal(np.log(TYPICAL), 0.5, STORED).astype(int), 3, 150)
    logits = [random_state.normal(size=(many, len(LABELS))).astype(np.float32) for many in words]
    keys = [key_of(str(at)) for at in range(STORED)]
    source = dict.fromkeys(("teacher", "data", "tokenizer", "preprocessing", "precision"), "x")
    with Writer(folder / "ours", task="tagging", labels=LABELS, dtype="float16", manifest=source) as writer:
        for key, values in zip(keys, logits, strict=True):
            writer.add_tagging(key, values)
    entry = Entry.open(folder / "ours")
    rows = entry.rows(keys)
    (folder / "torch").mkdir()
    for at, values in enumerate(logits):
        torch.save(torch.from_numpy(values), folder / "torch" / f"{at}.pt")
    memory = joblib.Memory(folder / "joblib", verbose=0)
    in_file_order = batches.cut(np.arange(STORED), BATCH)

    @memory.cache
    def of_batch(ids: np.ndarray) -> np.ndarray:
        part = [logits[at] for at in ids[:, 0]]
        wide = np.zeros((len(part), max(map(len, part)), len(LABELS)), dtype=np.float32)
        for at, values in enumerate(part):
            wide[at, : len(values)] = values
        return wide

    padded = [np.repeat(chosen[:, None], int(words[chosen].max() * 1.4), axis=1) for chosen in in_file_order]
    for ids in padded:
        of_batch(ids)

    def shuffled() -> Iterator[np.ndarray]:
        yield from batches.cut(random_state.permutation(STORED), BATCH)

    def timed(work: Callable[[], None]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    asked = [np.arange(many) for many in words]

    def read_ours() -> None:
        for chosen in shuffled():
            of_words = np.concatenate([asked[at] for at in chosen])
            torch.from_numpy(entry.tagging(rows[chosen], words[chosen], of_words)).float()

    def read_torch() -> None:
        for chosen in shuffled():
            torch.cat([torch.load(folder / "torch" / f"{at}.pt") for at in chosen])

    def read_joblib() -> None:
        for ids in padded:
            torch.from_numpy(of_batch(ids))

    variants = {"sgonz, shuffled": read_ours, "joblib.Memory by padded batch, in file order": read_joblib,
                "torch.save by example, shuffled": read_torch}  # fmt: skip
    found = in_turns({name: partial(timed, work) for name, work in variants.items()}, 5)
    places = dict(zip(variants, ("ours", "joblib", "torch"), strict=True))
    return found, {name: on_disk(folder / place) for name, place in places.items()}


def on_disk(folder: Path) -> tuple[int, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def spread(lengths: np.ndarray, plan: list[np.ndarray], multiple: int) -> str:
    """Share of padding in an epoch's batches, and the tokens of the largest of them, padding included."""
    sizes = [len(rows) * -(-int(lengths[rows].max()) // multiple) * multiple for rows in plan]
    return f"{1 - int(lengths.sum()) / sum(sizes):.1%} padding, at most {max(sizes)} tokens"


def show_spread(what: str, lengths: np.ndarray) -> None:
    drawn, alike = (
        batches.epoch_batches(lengths, batch_size=BATCH, seed=1, epoch=0, order=order)
        for order in ("plain", "length_aware")
    )
    grouped = get_length_grouped_indices(lengths.tolist(), BATCH, generator=torch.Generator().manual_seed(1))
    for name, plan, multiple in (
        ("random batches", drawn, 1),
        ("group_by_length", batches.cut(np.array(grouped), BATCH), 1),
        ("sgonz", alike, batches.MULTIPLE),
    ):
        print(f"{what} | {name} | {spread(lengths, plan, multiple)}")


def planned() -> None:
    """What does not depend on a model: batches of a tagging corpus, and the time to plan an epoch of XNLI."""
    dice = np.random.default_rng(1)
    show_spread("8,324 sentences", np.clip(dice.lognormal(np.log(40), 0.5, 8324).astype(int), 4, 200))
    lengths = dice.integers(5, 128, 392_702)
    began = time.process_time()
    batches.epoch_batches(lengths, batch_size=BATCH, seed=1, epoch=0, order="length_aware")
    print(f"an epoch of 392,702 examples is planned in {time.process_time() - began:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=640)
    parser.add_argument(
        "--online", type=int, default=96, help="sentences for a teacher that answers every batch"
    )
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make(root / "sample", seed=1, size=200)
        text = (root / "sample/data/mldoc/spanish.train.10000").read_text()
        words = sorted(set(text.split()))
        print(f"{platform.processor() or platform.machine()}, 1 thread, torch {torch.__version__}, transformers "
              f"{transformers.__version__}; CPU seconds, {given.rounds} rounds in turns")  # fmt: skip
        planned()
        train(root, words, given.sentences, given.rounds, given.online)
        read(root)


def train(root: Path, words: list[str], sentences: int, rounds: int, online: int) -> None:
    place, small = (placed(root / str(many), root, words, many) for many in (sentences, online))
    ce = finetune.prepare(place.running(place.run("student", Kind.FINETUNE, "albeto-tiny")))
    start = {name: value.clone() for name, value in ce.model.state_dict().items()}
    kd, few = taught(place), taught(small)
    teacher = beto()

    def again(training: loop.Training, work: Callable[[], float]) -> Callable[[], float]:
        def timed() -> float:
            training.model.load_state_dict(start)
            return work()

        return timed

    found = in_turns({
        "Trainer": again(ce, lambda: theirs(ce, Trainer, root / "t", None)),
        "Trainer, group_by_length": again(ce, lambda: theirs(ce, Trainer, root / "t", None,
                                                              train_sampling_strategy="group_by_length")),
        "sgonz": again(ce, lambda: ours(ce)),
        "sgonz, stored logits": again(kd, lambda: ours(kd)),
    }, rounds)  # fmt: skip
    few_found = in_turns({
        "Trainer, teacher in the loop": again(few, lambda: theirs(few, WithTeacher, root / "t", teacher)),
        "sgonz, stored logits": again(few, lambda: ours(few)),
    }, rounds)  # fmt: skip
    for listed, many in ((found, sentences), (few_found, online)):
        first = median(next(iter(listed.values())))
        for name, seconds in listed.items():
            middle = median(seconds)
            print(
                f"{many} sentences | {name} | {middle:.2f} s | {many / middle:.1f}/s | {first / middle:.2f}x"
            )
    show_spread(f"{sentences} sentences", ce.train.lengths)


def placed(folder: Path, root: Path, words: list[str], sentences: int) -> Place:
    (folder / "data").mkdir(parents=True)
    workdir = Workdir(folder / "work")
    workdir.create()
    return Place(workdir=workdir, dataset=corpus(folder / "data", words, sentences),
                 folder=root / "sample/models/sample-albert")  # fmt: skip


def taught(place: Place) -> loop.Training:
    """A student before its first step, on the stored logits of a teacher (of its own shape: they are read alike)."""
    for run in (place.run("teacher", Kind.FINETUNE, "albeto-tiny"),
                place.run("logits", Kind.LOGITS, "albeto-tiny", Need(role="teacher", run_id="teacher"))):  # fmt: skip
        ended = execute(run, 1, lambda _: None)
        assert ended.outcome is Outcome.COMPLETED, ended.error
    need = Need(role="logits", run_id="logits")
    return distill.prepare(place.running(place.run("taught", Kind.DISTILL, "albeto-tiny", need)))


def read(root: Path) -> None:
    folder = root / "stored"
    folder.mkdir()
    found, sizes = stored(folder)
    first = median(next(iter(found.values())))
    for name, seconds in found.items():
        files, size = sizes[name]
        print(f"{STORED} stored | {name} | {median(seconds):.4f} s | {median(seconds) / first:.1f}x | {files} files | "
              f"{size / 1e6:.1f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
