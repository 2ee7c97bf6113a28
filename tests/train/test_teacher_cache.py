"""A teacher's logits on disk: what goes in comes out, and what is damaged is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgonz.errors import RunError
from sgonz.train.alignment import Window
from sgonz.train.cache_format import read_manifest, write_manifest
from sgonz.train.examples import QuestionExample, TaggedExample, TextExample
from sgonz.train.teacher_cache import (
    CorruptEntry,
    Entry,
    Writer,
    example_key,
    is_complete,
    key_of,
    permutation,
)

ABOUT = {
    "teacher": "7f3a", "data": "1c2d", "tokenizer": "99aa", "precision": "bf16",
    "preprocessing": {"version": 1, "max_length": 512, "overlap": 128, "left_strip": True, "units": 1},
}  # fmt: skip
LABELS = ("no", "quizás", "sí")
DTYPES = ("float16", "float32")


def writer(folder: Path, task: str = "classification", dtype: str = "float16", **more: Any) -> Writer:
    return Writer(
        folder, task=task, labels=() if task == "qa" else LABELS, dtype=dtype, manifest=ABOUT | more
    )


def numbers(seed: int, *shape: int, dtype: str = "float16") -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=5, size=shape).astype(dtype)


def question(seed: int, dtype: str) -> tuple[list[Window], list[np.ndarray], list[np.ndarray]]:
    lengths = np.random.default_rng(seed).integers(1, 30, size=1 + seed % 3)
    of = np.random.default_rng(seed + 1)
    windows = [
        Window(of.integers(0, 60_000, n), np.arange(n) + 70_000, np.arange(n) + 70_003, of.integers(0, 3, n))
        for n in lengths
    ]
    return (
        windows,
        [numbers(seed, n, dtype=dtype) for n in lengths],
        [numbers(seed + 2, n, dtype=dtype) for n in lengths],
    )


def fill(folder: Path, task: str, dtype: str = "float16", count: int = 5) -> list[bytes]:
    """An entry with some examples; their keys."""
    keys = [key_of(str(number)) for number in range(count)]
    with writer(folder, task, dtype) as made:
        for number, key in enumerate(keys):
            if task == "classification":
                made.add_classification(key, numbers(number, 3, dtype=dtype))
            elif task == "tagging":
                made.add_tagging(key, numbers(number, number, 3, dtype=dtype))
            else:
                made.add_question(key, *question(number, dtype))
    return keys


# What goes in comes out


@pytest.mark.parametrize("dtype", DTYPES)
def test_classification_comes_back_bit_for_bit_in_any_order(tmp_path, dtype) -> None:
    keys = fill(tmp_path / "entry", "classification", dtype)
    entry = Entry.open(tmp_path / "entry")
    asked = [3, 0, 4, 3]
    batch = entry.classification(entry.rows([keys[number] for number in asked]))
    expected = np.stack([numbers(number, 3, dtype=dtype) for number in asked])
    np.testing.assert_array_equal(batch, expected)
    assert batch.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_tagging_gathers_the_words_asked_for(tmp_path, dtype) -> None:
    keys = fill(tmp_path / "entry", "tagging", dtype)  # sentence n has n words
    entry = Entry.open(tmp_path / "entry")
    rows = entry.rows([keys[4], keys[0], keys[2], keys[4]])
    words = [np.array([3, 1]), np.array([], dtype=int), np.array([0, 1]), np.array([0])]
    batch = entry.tagging(rows, np.array([2, 0, 2, 1]), np.concatenate(words))
    expected = [
        numbers(number, number, 3, dtype=dtype)[chosen]
        for number, chosen in zip((4, 0, 2, 4), words, strict=True)
    ]
    np.testing.assert_array_equal(batch, np.concatenate(expected))
    assert entry.word_counts(rows).tolist() == [4, 0, 2, 4]
    assert batch.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_question_windows_come_back_with_pieces_offsets_and_logits(tmp_path, dtype) -> None:
    keys = fill(tmp_path / "entry", "qa", dtype)
    entry = Entry.open(tmp_path / "entry")
    for number in (4, 0, 2):
        windows, start, end = entry.windows(entry.rows([keys[number]])[0])
        expected, expected_start, expected_end = question(number, dtype)
        assert len(windows) == len(expected) == 1 + number % 3
        for window, wanted in zip(windows, expected, strict=True):
            for name in ("ids", "offset_start", "offset_end", "part"):
                np.testing.assert_array_equal(getattr(window, name), getattr(wanted, name))
        for given_, wanted in zip(start + end, expected_start + expected_end, strict=True):
            np.testing.assert_array_equal(given_, wanted.astype(np.float32))
            assert given_.dtype == np.float32


random_keys = st.binary(min_size=16, max_size=16) | st.integers(0, 9).map(lambda n: n.to_bytes(16, "big"))


@given(keys=st.lists(random_keys, min_size=1, max_size=40), order=st.randoms())
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_do_not_depend_on_the_order_of_writing_and_duplicates_share_one(tmp_path, keys, order) -> None:
    folder = tmp_path / "entry"
    shuffled = order.sample(keys, len(keys))
    logits = {key: numbers(number, 3) for number, key in enumerate(dict.fromkeys(keys))}
    with writer(folder) as made:
        for key in shuffled:
            made.add_classification(key, logits[key])
    entry = Entry.open(folder)
    np.testing.assert_array_equal(
        entry.classification(entry.rows(keys)), np.stack([logits[key] for key in keys])
    )
    assert entry.manifest["rows"] == len(logits)
    assert entry.manifest["examples"] == len(keys)


@pytest.mark.parametrize("task", ["classification", "tagging", "qa"])
def test_an_entry_of_no_examples_is_an_entry(tmp_path, task) -> None:
    fill(tmp_path / "entry", task, count=0)
    entry = Entry.open(tmp_path / "entry")
    assert entry.rows([]).tolist() == []
    with pytest.raises(RunError, match="lack 1 of 1"):
        entry.rows([key_of("a")])


def test_manifest_says_what_the_entry_is(tmp_path) -> None:
    fill(tmp_path / "entry", "tagging", "float32")
    manifest = Entry.open(tmp_path / "entry").manifest
    own = {"format": 1, "task": "tagging", "labels": LABELS, "dtype": "float32", "rows": 5, "examples": 5}
    assert manifest == ABOUT | own


def test_a_manifest_that_does_not_say_where_logits_come_from_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="teacher, data"):
        Writer(tmp_path / "entry", task="qa", labels=(), dtype="float16",
               manifest={"tokenizer": "", "preprocessing": {}, "precision": "fp32"})  # fmt: skip


# Keys


def test_keys_tell_texts_apart_by_their_borders_and_by_what_is_missing() -> None:
    alike = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", None),
        ("abc", ""),
        ("", "abc"),
        (),
        ("",),
        ("abc", "", ""),
    ]
    assert len({key_of(*texts) for texts in alike}) == len(alike)
    assert {len(key_of(*texts)) for texts in alike} == {16}


def test_the_key_of_an_example_is_of_its_texts_and_not_of_its_labels() -> None:
    assert example_key(TextExample("a", None, "x")) == example_key(TextExample("a", None, "y"))
    assert example_key(TextExample("a", None, "x")) != example_key(TextExample("a", "", "x"))
    assert example_key(TaggedExample(("a", "b"), ("X", "Y"))) == example_key(
        TaggedExample(("a", "b"), ("Y", "X"))
    )
    assert example_key(TaggedExample(("a", "b"), ())) != example_key(TaggedExample(("ab",), ()))
    asked = QuestionExample("1", "¿a?", "b", (("b", 0),))
    assert example_key(asked) == example_key(QuestionExample("2", "¿a?", "b", ()))
    assert key_of("\ud800") != key_of("?")  # half a surrogate, as some files hold


# Labels


def test_labels_in_another_order_are_permuted() -> None:
    teacher, student = ("b", "c", "a"), ("a", "b", "c")
    order = permutation(teacher, student)
    assert order is not None
    assert [teacher[column] for column in order] == list(student)
    assert permutation(student, student) is None


def test_other_labels_are_refused_naming_both() -> None:
    with pytest.raises(RunError, match=r"b, a; the student's are a, c"):
        permutation(("b", "a"), ("a", "c"))
    with pytest.raises(RunError):
        permutation(("a", "a", "b"), ("a", "b", "b"))


# What does not fit


def test_missing_examples_are_counted(tmp_path) -> None:
    keys = fill(tmp_path / "entry", "classification")
    with pytest.raises(RunError, match="lack 2 of 4 examples"):
        Entry.open(tmp_path / "entry").rows([keys[0], b"\xff" * 16, keys[1], b"\0" * 16])


def test_a_word_that_the_teacher_did_not_see_is_an_error(tmp_path) -> None:
    keys = fill(tmp_path / "entry", "tagging")
    entry = Entry.open(tmp_path / "entry")
    for words in ([2], [-1]):
        with pytest.raises(RunError, match="more words"):
            entry.tagging(entry.rows([keys[2]]), np.ones(1, dtype=int), np.array(words))


@pytest.mark.parametrize("logits", [[np.nan, 0, 0], [np.inf, 0, 0], [70_000.0, 0, 0]])
def test_logits_that_cannot_be_stored_end_the_run_and_leave_nothing(tmp_path, logits) -> None:
    with pytest.raises(RunError, match="float16"), writer(tmp_path / "entry") as made:
        made.add_classification(key_of("a"), logits)
    assert list(tmp_path.iterdir()) == []


def test_logits_of_another_shape_are_refused(tmp_path) -> None:
    with pytest.raises(RunError, match=r"shape \(2,\), expected \(3,\)"), writer(tmp_path / "entry") as made:
        made.add_classification(key_of("a"), [0, 0])
    with (
        pytest.raises(RunError, match=r"\(4, 2\), expected \(4, 3\)"),
        writer(tmp_path / "entry", "tagging") as made,
    ):
        made.add_tagging(key_of("a"), np.zeros((4, 2)))


# Damage


@pytest.mark.parametrize("task", ["classification", "tagging", "qa"])
def test_a_changed_byte_is_noticed_in_every_file(tmp_path, task) -> None:
    fill(tmp_path / "entry", task)
    for file in sorted((tmp_path / "entry").iterdir()):
        whole = file.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 40)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
            with pytest.raises(CorruptEntry):
                Entry.open(tmp_path / "entry")
        file.write_bytes(whole)
    assert is_complete(tmp_path / "entry")


@pytest.mark.parametrize("task", ["classification", "tagging", "qa"])
def test_a_short_long_or_missing_file_is_noticed_without_reading_all(tmp_path, task) -> None:
    fill(tmp_path / "entry", task)
    for file in sorted((tmp_path / "entry").iterdir()):
        whole = file.read_bytes()
        for content in (whole[:-1], whole + b"\0", b""):
            file.write_bytes(content)
            with pytest.raises(CorruptEntry):
                Entry.open(tmp_path / "entry", verify=False)
        file.unlink()
        with pytest.raises(CorruptEntry):
            Entry.open(tmp_path / "entry", verify=False)
        file.write_bytes(whole)
    assert is_complete(tmp_path / "entry")


def test_another_format_is_refused(tmp_path) -> None:
    fill(tmp_path / "entry", "qa")
    manifest = read_manifest(tmp_path / "entry")
    write_manifest(tmp_path / "entry" / "manifest.json", msgspec.structs.replace(manifest, format=2))
    with pytest.raises(CorruptEntry, match="format 2"):
        Entry.open(tmp_path / "entry")


def test_a_file_or_nothing_is_no_entry(tmp_path) -> None:
    fill(tmp_path / "entry", "qa")
    assert not is_complete(tmp_path / "entry" / "manifest.json")
    assert not is_complete(tmp_path / "nowhere")


def test_a_damaged_entry_is_replaced_and_a_reader_keeps_what_it_mapped(tmp_path) -> None:
    keys = fill(tmp_path / "entry", "classification")
    reader = Entry.open(tmp_path / "entry")
    (tmp_path / "entry" / "manifest.json").unlink()
    assert not is_complete(tmp_path / "entry")
    fill(tmp_path / "entry", "classification", "float32")
    assert Entry.open(tmp_path / "entry").manifest["dtype"] == "float32"
    np.testing.assert_array_equal(reader.classification(reader.rows(keys[:1]))[0], numbers(0, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_readers_cannot_change_an_entry(tmp_path) -> None:
    fill(tmp_path / "entry", "classification")
    entry = Entry.open(tmp_path / "entry")
    entry.classification(np.array([0]))[:] = 7  # a copy
    assert is_complete(tmp_path / "entry")
    with pytest.raises(ValueError, match="read-only"):
        entry._files["logits"][0] = 7


# Being killed, and company

KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from sgonz.train.teacher_cache import Writer, key_of

folder, when = Path(sys.argv[1]), sys.argv[2]

def strike(event, arguments):
    place = os.path.basename(str(arguments[0])) if arguments else ""
    if (event, place) == ("open", "manifest.json") and when == "manifest":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "os.rename" and when == "rename":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(strike)
writer = Writer(folder, task="classification", labels=("a", "b"), dtype="float16", manifest={
    "teacher": "", "data": "", "tokenizer": "", "preprocessing": "", "precision": ""})
for number in range(300_000):
    writer.add_classification(key_of(str(number)), np.zeros(2))
    if number == 299_000 and when == "writing":
        print("deep in", flush=True)
        sys.stdin.read()
writer.close()
"""


@pytest.mark.parametrize("when", ["writing", "manifest", "rename"])
def test_a_killed_writer_leaves_no_entry_and_the_next_one_tidies_up(tmp_path, when) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "entry", when], env=environment,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    with child:
        if when == "writing":
            child.stdout.readline()
            child.kill()
    assert child.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1  # its draft
    with pytest.raises(CorruptEntry, match="no complete logits"):
        Entry.open(tmp_path / "entry")
    fill(tmp_path / "entry", "classification")
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
    assert is_complete(tmp_path / "entry")


def test_nothing_stands_in_place_before_close(tmp_path) -> None:
    made = writer(tmp_path / "entry")
    made.add_classification(key_of("a"), np.zeros(3))
    assert not (tmp_path / "entry").exists()
    made.close()
    assert is_complete(tmp_path / "entry")


def test_two_writers_of_one_entry_leave_one_whole_entry(tmp_path) -> None:
    both = [writer(tmp_path / "entry") for _ in range(2)]
    for made in both:
        made.add_classification(key_of("a"), np.ones(3))
    for made in both:
        made.close()
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
    assert Entry.open(tmp_path / "entry").classification(np.array([0])).tolist() == [[1, 1, 1]]


def test_a_large_entry_passes_through_little_memory(tmp_path) -> None:
    sentence = np.zeros((20_000, 3), dtype=np.float16)  # 0.11 MiB
    tracemalloc.start()
    with writer(tmp_path / "entry", "tagging") as made:
        for number in range(200):
            made.add_tagging(key_of(str(number)), sentence)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = (tmp_path / "entry" / "logits").stat().st_size
    assert size == 200 * sentence.nbytes > 4 * peak
