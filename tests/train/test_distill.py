from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from sgonz.events import RunEnded
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import RunDir
from sgonz.train import distill, loop, models, preparation
from sgonz.train.alignment import CONTEXT
from sgonz.train.tasks.task import flat, list_lengths
from sgonz.train.teacher_cache import Entry, Writer

GLUED = ("<pad>", "<unk>", "[CLS]", "[SEP]")  # a vocabulary in which every text is one unknown word
LIGHT = {"epochs": 1}


def taught(bench, dataset: str, teacher: str, student: str, *, run_id: str = "student", **fields) -> RunDir:
    """A student's run whose teacher is trained and whose logits are stored."""
    if not bench.workdir.run("teacher").root.exists():
        assert (
            bench.do(bench.run("teacher", Kind.FINETUNE, dataset, teacher, settings=LIGHT)).outcome
            is Outcome.COMPLETED
        )
        logits = bench.run("logits", Kind.LOGITS, dataset, teacher, needs={"teacher": "teacher"},
                           switches=fields.get("switches", {}))  # fmt: skip
        ended = bench.do(logits)
        assert ended.outcome is Outcome.COMPLETED, ended.error
    settings = LIGHT | fields.pop("settings", {})
    return bench.run(
        run_id, Kind.DISTILL, dataset, student, needs={"logits": "logits"}, settings=settings, **fields
    )


def completed(bench, run: RunDir) -> RunEnded:
    ended = bench.do(run)
    assert ended.outcome is Outcome.COMPLETED, ended.error
    return ended


def entry_of(bench) -> Entry:
    return Entry.open(bench.workdir.run("logits").output / "logits")


def batches_of(training, size: int = 8):
    """Every batch of the training split with the teacher's targets, and its rows."""
    for first in range(0, len(training.train.rows), size):
        table = training.train.take(np.arange(first, min(first + size, len(training.train.rows))))
        yield training.teach(training.task.collate(table), table), table


@pytest.mark.parametrize("dataset", ["text", "pair", "tagging", "qa"])
@pytest.mark.parametrize(("teacher", "student"), [("albert", "albert"), ("roberta", "albert")])
def test_student_learns_from_stored_logits_alone(bench, dataset, teacher, student):
    run = taught(bench, dataset, teacher, student)
    (bench.workdir.run("teacher").output / "model" / "model.safetensors").unlink()  # never loaded again
    ended = completed(bench, run)
    by = {"text": "examples", "pair": "examples", "tagging": "words", "qa": "tokens"}[dataset]
    assert ended.notes["alignment"] == ("units" if dataset == "qa" and teacher != student else by)
    assert ended.notes["coverage"] >= 0.99


def test_a_student_that_glues_words_together_is_refused_with_the_share_that_is_left(bench):
    run = taught(bench, "qa", "bert", "albert")
    folder = shutil.copytree(bench.folders["albert"], bench.workdir.root / "glued")
    engine = Tokenizer(WordLevel({token: at for at, token in enumerate(GLUED)}, unk_token="<unk>"))
    special = [(token, GLUED.index(token)) for token in ("[CLS]", "[SEP]")]
    engine.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                               special_tokens=special)  # fmt: skip
    PreTrainedTokenizerFast(tokenizer_object=engine, model_max_length=128, unk_token="<unk>", pad_token="<pad>",
                            cls_token="[CLS]", sep_token="[SEP]").save_pretrained(folder)  # fmt: skip
    spec = run.read_spec()
    model = msgspec.structs.replace(spec.model, path=str(folder))
    run.spec.write_bytes(msgspec.json.encode(msgspec.structs.replace(spec, model=model)))
    ended = bench.do(run)
    assert ended.outcome is Outcome.FAILED
    assert "context units" in ended.error
    assert "95%" in ended.error


@pytest.mark.parametrize("dataset", ["text", "pair", "tagging", "qa"])
def test_stored_logits_are_those_of_a_live_teacher(bench, dataset):
    training = distill.prepare(bench.preparing(taught(bench, dataset, "albert", "albert")))
    live = models.load_saved(
        bench.workdir.run("teacher").output / "model", training.running.spec.dataset.task
    ).eval()
    for batch, _ in batches_of(training):
        with torch.no_grad():
            outputs = live(**batch.inputs)
        if dataset == "qa":
            real = batch.targets["taught_columns"]
            for side in ("start", "end"):
                stored = batch.targets[f"teacher_{side}"][real]
                torch.testing.assert_close(stored, outputs[f"{side}_logits"][real], rtol=2e-3, atol=2e-3)
        elif dataset == "tagging":
            words = outputs.logits[batch.targets["row"], batch.targets["position"]]
            torch.testing.assert_close(batch.targets["teacher"], words, rtol=2e-3, atol=2e-3)
        else:
            torch.testing.assert_close(batch.targets["teacher"], outputs.logits, rtol=2e-3, atol=2e-3)


def test_alpha_one_is_fine_tuning(bench):
    settings = {"epochs": 2, "weight_decay": 0.01}
    alone = bench.run("alone", Kind.FINETUNE, "text", "albert", settings=settings)
    completed(bench, alone)
    student = taught(bench, "text", "roberta", "albert", settings=settings | {"alpha": 1.0})
    completed(bench, student)
    one, other = (load_file(run.output / "model" / "model.safetensors") for run in (alone, student))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("loss", ["kl", "ce", "mse"])
@pytest.mark.parametrize("dataset", ["text", "tagging", "qa"])
def test_every_loss_and_mixture_trains(bench, dataset, loss):
    run = taught(
        bench, dataset, "albert", "albert", settings={"loss": loss, "alpha": 0.3, "temperature": 2.0}
    )
    assert np.isfinite(completed(bench, run).validation_loss)


def test_published_protocol_distils(bench):
    fields = {"protocol": "paper", "switches": {"logits_dtype": "float32"}}
    for dataset in ("tagging", "qa"):
        bench.workdir = type(bench.workdir)(bench.workdir.root / dataset)
        bench.workdir.create()
        completed(bench, taught(bench, dataset, "albert", "albert", **fields))


def test_published_distillation_has_its_own_answer_limit(bench):
    run = taught(bench, "qa", "albert", "albert", settings={"answer_limit": 40})
    assert preparation.answer_limit(run.read_spec()) == 40
    published = msgspec.structs.replace(run.read_spec(), switches={"qa_distill_limit": 15})
    assert preparation.answer_limit(published) == 15


def test_student_of_a_live_teacher_ends_where_the_student_of_the_stored_logits_does(bench):
    run = taught(bench, "pair", "albert", "albert", settings={"epochs": 1})
    training = distill.prepare(bench.preparing(run))
    live = models.load_saved(bench.workdir.run("teacher").output / "model", "classification").eval()

    @torch.no_grad()
    def ask(batch, table):
        return distill.beside(batch, live(**batch.inputs).logits.numpy())

    asked = loop.train(replace(training, teach=ask)).validation_loss
    shutil.rmtree(run.checkpoint)
    assert completed(bench, run).validation_loss == pytest.approx(asked, abs=2e-3)


def test_labels_in_another_order_are_permuted(bench):
    training = distill.prepare(bench.preparing(taught(bench, "tagging", "bert", "albert")))
    plain = [batch.targets["teacher"] for batch, _ in batches_of(training)]
    names = training.task.labels
    turned = distill.teacher(training.running.spec, entry_of(bench), training.train, names[::-1], None)
    for expected, (_, table) in zip(plain, batches_of(training), strict=True):
        found = turned(training.task.collate(table), table).targets["teacher"]
        torch.testing.assert_close(found, expected.flip(-1))


def test_other_labels_are_refused(bench):
    run = taught(bench, "text", "bert", "albert")
    other = bench.datasets["text"]
    bench.datasets = bench.datasets | {"text": replace_labels(other, ("animal", "fruta", "mueble"))}
    ended = bench.do(bench.run("other", Kind.DISTILL, "text", "albert", needs={"logits": "logits"}))
    assert ended.outcome is Outcome.FAILED
    assert "labels" in ended.error
    assert run.read_result() is None


def replace_labels(dataset, labels):
    return msgspec.structs.replace(dataset, labels=labels)


def test_teacher_of_another_vocabulary_speaks_of_the_same_word(bench):
    """The stored logits of a word are made to name it; whatever the student's pieces, it must hear its own name."""
    training = distill.prepare(bench.preparing(taught(bench, "tagging", "bert", "albert")))
    examples = training.train.examples
    folder = bench.workdir.root / "named"
    labels = training.task.labels
    sentences = spoken(bench)
    numbers = {word: number for number, word in enumerate(sorted({w for words in sentences for w in words}))}
    manifest = dict.fromkeys(("teacher", "data", "tokenizer", "preprocessing", "precision"), "x")
    with Writer(folder, task="tagging", labels=labels, dtype="float32", manifest=manifest) as writer:
        for key, words in zip(examples.data.column("key").to_pylist(), sentences, strict=True):
            writer.add_tagging(
                key, np.array([[numbers[word]] * len(labels) for word in words], dtype=np.float32)
            )
    teach = distill.teacher(training.running.spec, Entry.open(folder), training.train, labels, None)
    splitter = training.task.feeding.splitter
    first_pieces = {word: splitter.words([[word]])[0][0][0] for word in numbers}
    for _, table in batches_of(training):
        batch = teach(training.task.collate(table), table)
        pieces = batch.inputs["input_ids"][batch.targets["row"], batch.targets["position"]]
        heard = batch.targets["teacher"][:, 0].int().tolist()
        words = sorted(numbers)
        assert [first_pieces[words[number]] for number in heard] == pieces.tolist()


def spoken(bench) -> list[list[str]]:
    text = Path(bench.datasets["tagging"].files["train"]).read_text("utf-8")
    return [
        [line.split()[0] for line in block.split("\n") if line]
        for block in text.split("\n\n")
        if block.strip()
    ]


@pytest.mark.parametrize("pool", ["first", "edge", "logsumexp"])
def test_question_teacher_of_another_vocabulary_points_at_the_same_text(bench, pool):
    """A teacher sure of the gold answer must make the student's best columns those of that answer."""
    run = taught(bench, "qa", "bert", "albert", settings={"pool": pool})
    running = bench.preparing(run)
    sure_of_gold(bench, bench.workdir.run("logits").output / "logits")
    training = distill.prepare(running)
    contexts = training.train.examples.data.column("context").to_pylist()
    golds = [answers[0] for answers in training.train.examples.data.column("answers").to_pylist()]
    inside = 0
    for batch, table in batches_of(training):
        starts, ends = (batch.targets[f"teacher_{side}"].argmax(dim=-1).tolist() for side in ("start", "end"))
        chars = [split_column(table, name) for name in ("char_start", "char_end")]
        for at, example in enumerate(table.column("example").to_pylist()):
            assert starts[at] == batch.targets["start"][at]
            assert ends[at] == batch.targets["end"][at]
            if starts[at]:
                inside += 1
                text = contexts[example][chars[0][at][starts[at]] : chars[1][at][ends[at]]]
                assert text == golds[example]
    assert inside >= len(golds)


def split_column(table, name):
    return np.split(flat(table.column(name)), np.cumsum(list_lengths(table.column(name)))[:-1])


def sure_of_gold(bench, folder) -> None:
    """Write the stored logits again, high at the gold answer and nowhere else."""
    manifest, entry = Entry.open(folder).manifest, Entry.open(folder)
    running = bench.preparing(bench.workdir.run("logits"))
    _, tokenizer, _, _ = preparation.saved_model(running, "teacher")
    model = models.load_saved(bench.workdir.run("teacher").output / "model", "qa")
    task = preparation.task_for(running.spec, model.config, tokenizer, ())
    train = preparation.split(running, task, tokenizer, "train")
    source = {name: manifest[name] for name in ("teacher", "data", "tokenizer", "preprocessing", "precision")}
    rows = train.rows.data
    owner = rows.column("example").to_numpy()
    gold = [rows.column(side).to_numpy() for side in ("start", "end")]
    with Writer(folder.with_name("sure"), task="qa", labels=(), dtype="float32", manifest=source) as writer:
        for at, key in enumerate(train.examples.data.column("key").to_pylist()):
            windows, _, _ = entry.windows(int(entry.rows([key])[0]))
            mine = np.flatnonzero(owner == at)
            sides = [[20.0 * (np.arange(len(window.ids)) == side[row])
                      for row, window in zip(mine, windows, strict=True)] for side in gold]  # fmt: skip
            writer.add_question(key, windows, *sides)
    shutil.rmtree(folder)
    folder.with_name("sure").rename(folder)


def test_mse_across_vocabularies_of_questions_is_refused(bench):
    ended = bench.do(taught(bench, "qa", "bert", "albert", settings={"loss": "mse"}))
    assert ended.outcome is Outcome.FAILED
    assert "mse" in ended.error


def test_units_and_tokens_agree_where_the_teacher_shares_the_vocabulary(bench):
    """With one tokenizer both alignments teach; only the columns differ."""
    by_token = distill.prepare(bench.preparing(taught(bench, "qa", "albert", "albert")))
    by_unit = distill.prepare(bench.preparing(
        taught(bench, "qa", "albert", "albert", run_id="units", settings={"alignment": "word"})))  # fmt: skip
    assert by_unit.notes["coverage"] == 1.0
    assert by_token.notes["alignment"] == "tokens"
    for (_, tokens), (batch, units) in zip(batches_of(by_token), batches_of(by_unit), strict=True):
        assert tokens.column("input_ids") == units.column("input_ids")
        probabilities = batch.targets["teacher_start"].exp().sum(dim=-1)
        torch.testing.assert_close(probabilities, torch.ones_like(probabilities))


def test_a_teacher_whose_windows_are_cut_otherwise_is_heard_unit_by_unit(bench):
    ended = completed(bench, taught(bench, "qa", "albert", "albert", settings={"overlap": 20}))
    assert (ended.notes["alignment"], ended.notes["coverage"]) == ("units", 1.0)


@pytest.mark.parametrize("dataset", ["pair", "tagging", "qa"])
def test_selected_run_is_scored_on_test_as_it_was_trained(bench, dataset):
    completed(bench, taught(bench, dataset, "bert", "albert"))
    scored = completed(bench, bench.run("test", Kind.EVALUATE, dataset, "albert", needs={"model": "student"}))
    assert scored.test
    assert scored.validation == {}
    headline = {"pair": "accuracy", "tagging": "f1", "qa": "f1"}[dataset]
    assert 0 <= scored.test[headline] <= 100


def test_windows_keep_offsets_into_the_raw_context(bench):
    training = distill.prepare(bench.preparing(taught(bench, "qa", "roberta", "roberta")))
    contexts = training.train.examples.data.column("context").to_pylist()
    for _, table in batches_of(training):
        parts, starts, ends = (split_column(table, name) for name in ("part", "offset_start", "offset_end"))
        for at, example in enumerate(table.column("example").to_pylist()):
            inside = parts[at] == CONTEXT
            assert (ends[at][inside] <= len(contexts[example])).all()
            assert (np.diff(starts[at][inside]) >= 0).all()


def test_stored_logits_are_reused_as_they_are(bench):
    taught(bench, "text", "albert", "albert")
    logits = bench.workdir.run("logits")
    before = logits.read_result()
    logits.result.unlink()  # killed between the entry and its result
    (bench.workdir.run("teacher").output / "model" / "model.safetensors").unlink()
    again = bench.do(logits)
    assert again.outcome is Outcome.COMPLETED
    assert again.notes["cache_rows"] == before.notes["cache_rows"]
