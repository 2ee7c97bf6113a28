"""Does a student learn from a teacher with another vocabulary as well as from gold labels?

For tagging (by word) and question answering (by units of the raw text): one teacher with its own tokenizer, and a
student with another one, trained from the same start for the same steps, once on gold labels and once on nothing but
the teacher's stored logits. Corpora and models are those that sgonz makes itself, so scores mean nothing beyond the
comparison. Noise is the spread over seeds.

    python benchmarks/cross_vocabulary.py --size 600 --seeds 3 > benchmarks/results/DATE-cross-vocabulary.md
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import msgspec

from sgonz import catalog
from sgonz.errors import RunError
from sgonz.events import RunEnded
from sgonz.plan.protocol import concerning, resolve
from sgonz.plan.runs import Dataset, Kind, Model, Need, Outcome, RunSpec, Settings
from sgonz.rundir import Workdir
from sgonz.sample import make

STUDENT = "sample-albert"  # lower-cased unigram pieces
TEACHERS = ("sample-bert", "sample-roberta")  # cased word pieces; bytes
METRIC = "f1"


@dataclass(frozen=True)
class Place:
    """Where runs are made, and what they have in common."""

    workdir: Workdir
    sample: Path
    settings: Settings

    def do(self, run_id: str, kind: Kind, dataset: str, model: str, seed: int, *needs: Need) -> RunEnded:
        """Make a run and do it here. Raises RunError where it fails."""
        from sgonz.train.execute import execute

        data = published(dataset, self.sample / "data")
        spec = RunSpec(
            run_id=run_id, kind=kind, dataset=data, model=Model(name=model, path=str(self.sample / "models" / model)),
            settings=self.settings, seed=seed, needs=needs,
            switches=concerning(resolve("sound", {}), kind=kind, task=data.task, dataset=dataset),
        )  # fmt: skip
        run = self.workdir.run(run_id)
        run.root.mkdir(parents=True)
        run.spec.write_bytes(msgspec.json.encode(spec))
        ended = execute(run, 1, lambda event: None)
        if ended.outcome is not Outcome.COMPLETED:
            raise RunError(f"{run_id}: {ended.error}")
        return ended

    def tested(self, run_id: str, kind: Kind, dataset: str, model: str, seed: int, *needs: Need) -> float:
        """The same, then the test score of what it trained."""
        self.do(run_id, kind, dataset, model, seed, *needs)
        trained = Need(role="model", run_id=run_id)
        return self.do(f"{run_id}-test", Kind.EVALUATE, dataset, model, seed, trained).test[METRIC]


def published(name: str, corpora: Path) -> Dataset:
    entry = catalog.datasets()[name]
    files = {split: str(corpora / name / file) for split, file in entry.files.items()}
    return Dataset(
        name=name, task=entry.task, format=entry.format, files=files, labels=entry.labels, metric=entry.metric
    )


def compared(place: Place, dataset: str, seeds: range) -> Iterator[str]:
    """A markdown row for the student on gold labels, and for each teacher."""
    gold = [place.tested(f"{dataset}-gold-{seed}", Kind.FINETUNE, dataset, STUDENT, seed) for seed in seeds]
    yield row(dataset, "gold labels", None, gold, gold)
    for teacher in TEACHERS:
        score = place.tested(f"{dataset}-{teacher}", Kind.FINETUNE, dataset, teacher, 1)
        stored = f"{dataset}-{teacher}-logits"
        place.do(
            stored, Kind.LOGITS, dataset, teacher, 1, Need(role="teacher", run_id=f"{dataset}-{teacher}")
        )
        needs = Need(role="logits", run_id=stored)
        taught = [
            place.tested(f"{dataset}-{teacher}-{seed}", Kind.DISTILL, dataset, STUDENT, seed, needs)
            for seed in seeds
        ]  # fmt: skip
        yield row(dataset, teacher, score, taught, gold)


def row(dataset: str, taught_by: str, teacher: float | None, scores: list[float], gold: list[float]) -> str:
    difference = fmean(scores) - fmean(gold)
    noise = (spread(scores) ** 2 + spread(gold) ** 2) ** 0.5
    verdict = "" if scores is gold else "not worse" if difference >= -2 * noise else "WORSE"
    cells = (dataset, taught_by, "" if teacher is None else f"{teacher:.2f}", f"{fmean(scores):.2f} ± {spread(scores):.2f}",
             ", ".join(f"{score:.2f}" for score in scores), "" if scores is gold else f"{difference:+.2f}", verdict)  # fmt: skip
    return f"| {' | '.join(cells)} |"


def spread(scores: list[float]) -> float:
    return stdev(scores) if len(scores) > 1 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=400, help="training examples of each data set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--datasets", default="sqac,pos")
    chosen = parser.parse_args()
    settings = Settings(
        learning_rate=1e-3, batch_size=16, epochs=chosen.epochs, warmup_ratio=0.1, max_length=128, overlap=32
    )
    began = time.monotonic()
    print(f"# A teacher with another vocabulary, {time.strftime('%Y-%m-%d')}\n")
    print(f"`{' '.join(['benchmarks/cross_vocabulary.py', *sys.argv[1:]])}`: {chosen.size} training examples, {chosen.epochs} epochs, "
          f"rate {settings.learning_rate:g}, batch {settings.batch_size}, student {STUDENT}, alpha 0 (no gold label in the loss), "
          f"{chosen.seeds} seeds; {platform.processor() or platform.machine()}, one thread.\n")  # fmt: skip
    print(
        "| data set | taught by | teacher's F1 | student's test F1 | by seed | difference to gold | within two spreads |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "sample", seed=1, size=chosen.size)
        place = Place(Workdir(Path(folder) / "work"), Path(folder) / "sample", settings)
        place.workdir.create()
        for dataset in chosen.datasets.split(","):
            for line in compared(place, dataset, range(chosen.seeds)):
                print(line, flush=True)
    print(f"\n{time.monotonic() - began:.0f} seconds.")


if __name__ == "__main__":
    main()
