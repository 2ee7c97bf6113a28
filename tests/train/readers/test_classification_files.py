"""JSON lines, MLDoc, PAWS-X and XNLI files."""

from __future__ import annotations

import pytest

from sgonz.errors import DataError
from sgonz.train.examples import TextExample
from sgonz.train.readers import is_placeholder, read

PAWSX = "id\tsentence1\tsentence2\tlabel\n"
LABEL = "FILE:2: expected a text or an integer under label"
XNLI = "language\tgold_label\tsentence1_binary_parse\tsentence1\tsentence2\n"


def refused(dataset, split: str = "train", **switches) -> str:
    with pytest.raises(DataError) as caught:
        read(dataset, split, switches)
    return str(caught.value).replace(dataset.files[split], "FILE")


# JSON lines


def test_json_lines_give_texts_with_labels_as_text(made) -> None:
    content = '{"sentence1": "Sí", "label": 1}\n{"sentence1": " no\\u00a0 ", "label": "0"}\n'
    reading = read(made("jsonl", splits={"train": content}), "train")
    assert reading.examples == (TextExample("Sí", None, "1"), TextExample(" no\u00a0 ", None, "0"))
    assert reading.rows == 2


def test_json_lines_with_sentence2_are_pairs(made) -> None:
    content = '{"sentence1": "a", "sentence2": "b", "label": 0}\n'
    assert read(made("jsonl", splits={"train": content}), "train").examples == (TextExample("a", "b", "0"),)


@pytest.mark.parametrize(
    ("row", "example"),
    [
        ('{"text": "a", "label": "x"}', TextExample("a", None, "x")),
        ('{"sentence": "a", "labels": "x", "text_pair": null}', TextExample("a", None, "x")),
        ('{"premise": "a", "hypothesis": "b", "gold_label": "x"}', TextExample("a", "b", "x")),
        ('{"text": "a", "text_pair": "b", "label": "x"}', TextExample("a", "b", "x")),
        ('{"id": 1, "text": "not this", "sentence1": "a", "label": "x"}', TextExample("a", None, "x")),
    ],
)
def test_json_lines_may_use_the_names_that_hub_data_sets_use(made, row: str, example: TextExample) -> None:
    assert read(made("jsonl", splits={"train": row + "\n"}), "train").examples == (example,)


def test_json_line_end_signs_inside_texts_are_text(made) -> None:
    content = '{"sentence1": "uno\u2028dos\u0085tres", "label": "x"}\n'
    reading = read(made("jsonl", splits={"train": content}), "train")
    assert reading.examples[0].text == "uno\u2028dos\u0085tres"


def test_blank_lines_are_passed_over_and_counted(made) -> None:
    content = '{"sentence1": "a", "label": 0}\n\n'
    reading = read(made("jsonl", splits={"train": content}), "train")
    assert (reading.rows, reading.remarks) == (1, {"blank line passed over": 1})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"sentence1": "a", "label": 0', "FILE:2: is not JSON: Expecting ',' delimiter at column 30"),
        ('["a", 0]', "FILE:2: expected a JSON object"),
        ('{"text": "a", "label": 0}', "FILE:2: expected a text under sentence1; found keys text, label"),
        ('{"words": "a", "label": 0}', "FILE:2: expected a text under sentence1, premise, text, sentence; found keys"),
        ('{"sentence1": 5, "label": 0}', "FILE:2: expected a text under sentence1; found sentence1 is 5"),
        ('{"sentence1": "a"}', f"{LABEL}; found keys sentence1"),
        ('{"sentence1": "a", "label": 1.0}', f"{LABEL}; found label is 1.0"),
        ('{"sentence1": "a", "label": true}', f"{LABEL}; found label is true"),
        ('{"sentence1": "a", "label": ""}', "FILE:2: the label is empty"),
        ('{"sentence1": "a", "sentence2": "b", "label": 0}', "FILE:2: holds sentence2, which"),
        ('{"sentence1": "a\\ud83d", "label": 0}', r"FILE:2: '\ud83d' is half of a surrogate pair"),
    ],
)  # fmt: skip
def test_broken_json_line_is_named(made, line: str, said: str) -> None:
    dataset = made("jsonl", splits={"train": '{"sentence1": "a", "label": 0}\n' + line + "\n"})
    assert refused(dataset).startswith(said)


def test_pair_data_set_wants_both_sentences(made) -> None:
    dataset = made("jsonl", splits={"train": '{"sentence1": "a", "label": 0}\n'}, pair=True)
    assert refused(dataset).startswith("FILE:1: expected a text under sentence2, hypothesis, ")


def test_label_outside_the_list_names_the_line_and_the_allowed(made) -> None:
    dataset = made("jsonl", splits={"train": '{"sentence1": "a", "label": 2}\n'}, labels=("0", "1"))
    assert refused(dataset) == "FILE:1: label '2' is not one of this data set's\nAllowed: 0, 1."


def test_limit_keeps_the_first_examples(made) -> None:
    content = "".join(f'{{"sentence1": "{n}", "label": 0}}\n' for n in range(5))
    dataset = made("jsonl", splits={"train": content, "test": content}, limit={"train": 2})
    assert [example.text for example in read(dataset, "train").examples] == ["0", "1"]
    assert len(read(dataset, "test").examples) == 5


def test_file_without_any_row_is_an_error(made) -> None:
    assert refused(made("pawsx", splits={"train": PAWSX})) == "FILE: gives no example (no rows)"


def test_split_without_a_file_is_an_error(made) -> None:
    with pytest.raises(
        DataError, match=r"data set made: has no test split \(it has train\)\nSet files.test."
    ):
        read(made("jsonl", splits={"train": "{}"}), "test")


# MLDoc


def test_mldoc_without_header(made) -> None:
    reading = read(
        made("mldoc", splits={"train": "CCAT\tuna  noticia\u00a0\u3000larga \nECAT\totra\tmás\n"}), "train"
    )
    assert reading.examples == (
        TextExample("una noticia larga", None, "CCAT"),
        TextExample("otra más", None, "ECAT"),
    )
    assert not reading.remarks


def test_mldoc_with_header_in_any_order(made) -> None:
    reading = read(made("mldoc", splits={"train": "sentence1\tlabel\nuna  noticia\tCCAT\n"}), "train")
    assert reading.examples == (TextExample("una noticia", None, "CCAT"),)
    assert reading.rows == 1


@pytest.mark.parametrize("text", ["canción, «sí»\n\tfin", 'it\'s \\ "dicho"', "l'été"])
def test_mldoc_bytes_literal_is_turned_back_and_counted(made, text: str) -> None:
    reading = read(made("mldoc", splits={"train": f"MCAT\t{text.encode()!r}\nMCAT\tllano\n"}), "train")
    assert reading.examples[0].text == " ".join(text.split())
    assert reading.remarks == {"bytes literal turned back into text": 1}


@pytest.mark.parametrize("text", [r"b'a' y b'", r"b'una \q rara'", "b'canción'"])
def test_text_that_only_looks_like_a_bytes_literal_stays(made, text: str) -> None:
    reading = read(made("mldoc", splits={"train": f"MCAT\t{text}\n"}), "train")
    assert reading.examples[0].text == text
    assert list(reading.remarks.values()) == [1]


def test_mldoc_bytes_literal_of_another_encoding_is_an_error(made) -> None:
    dataset = made("mldoc", splits={"train": "MCAT\tb'canci\\xf3n'\n"})
    assert refused(dataset) == "FILE:1: the bytes literal is not UTF-8 (invalid continuation byte)"


def test_mldoc_line_without_tab_is_an_error(made) -> None:
    dataset = made("mldoc", splits={"train": "CCAT\tuna\nCCAT una\n"})
    assert refused(dataset) == "FILE:2: expected LABEL, tab, text; found no tab in 'CCAT una'"


def test_mldoc_unknown_label_is_an_error(made) -> None:
    dataset = made("mldoc", splits={"train": "XCAT\tuna\n"}, labels=("CCAT", "ECAT"))
    assert refused(dataset).startswith("FILE:1: label 'XCAT' is not one of")


# PAWS-X


def test_pawsx_pairs_keep_quotes_as_text(made) -> None:
    content = PAWSX + '1\t"Hola, dijo\tEl ""dijo"\t1\n'
    reading = read(made("pawsx", splits={"train": content}), "train")
    assert reading.examples == (TextExample('"Hola, dijo', 'El ""dijo"', "1"),)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_placeholder_rows_go_from_train_and_validation(made, split: str) -> None:
    dataset = made("pawsx", splits={split: PAWSX + "1\tNS\tb\t1\n2\ta\tNS\t0\n3\ta NS\tb\t1\n"})
    reading = read(dataset, split, {"placeholder_rows": "drop"})
    assert reading.examples == (TextExample("a NS", "b", "1"),)
    assert (reading.rows, reading.dropped) == (3, {"placeholder NS for a sentence": 2})


def test_placeholder_rows_stay_in_test_and_are_counted(made) -> None:
    dataset = made("pawsx", splits={"test": PAWSX + "1\tNS\tb\t1\n3\ta\tb\t1\n"})
    reading = read(dataset, "test", {"placeholder_rows": "drop"})
    assert [is_placeholder(example) for example in reading.examples] == [True, False]
    assert reading.remarks == {"placeholder NS for a sentence": 1}


def test_placeholder_rows_stay_where_the_protocol_keeps_them(made) -> None:
    dataset = made("pawsx", splits={"train": PAWSX + "1\tNS\tb\t1\n"})
    assert len(read(dataset, "train", {"placeholder_rows": "keep"}).examples) == 1


def test_limit_counts_what_is_left(made) -> None:
    dataset = made(
        "pawsx", splits={"train": PAWSX + "1\tNS\tb\t1\n2\ta\tb\t1\n3\tc\td\t0\n"}, limit={"train": 1}
    )
    reading = read(dataset, "train", {"placeholder_rows": "drop"})
    assert reading.examples == (TextExample("a", "b", "1"),)
    assert (reading.rows, reading.dropped.total()) == (2, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id\tsentence1\tlabel\n", "FILE:1: the header lacks columns: expected sentence1 sentence2 label"),
        (PAWSX + "1\ta\tb\n", "FILE:2: expected 4 columns separated by tabs; found 3 in '1\\ta\\tb'"),
        (PAWSX + "1\ta\tb\t1\textra\n", "FILE:2: expected 4 columns separated by tabs; found 5"),
        (PAWSX + "1\ta\tb\t2\n", "FILE:2: label '2' is not one of PAWS-X's\nAllowed: 0, 1."),
        (PAWSX + "1\ta\tb\t\n", "FILE:2: label '' is not one of PAWS-X's"),
        (PAWSX + "\t\t\t\n", "FILE:2: label '' is not one of PAWS-X's"),
    ],
)
def test_broken_pawsx_is_named(made, content: str, said: str) -> None:
    assert refused(made("pawsx", splits={"train": content})).startswith(said)


# XNLI


def test_xnli_keeps_its_language_and_counts_the_others(made) -> None:
    content = XNLI + "ar\tneutral\t-\tx\ty\nes\tneutral\t-\tpremisa\thipótesis\n"
    reading = read(made("xnli", splits={"test": content}), "test")
    assert reading.examples == (TextExample("premisa", "hipótesis", "neutral"),)
    assert (reading.rows, reading.dropped) == (2, {"in another language": 1})


def test_xnli_translated_train_spells_contradiction_otherwise(made) -> None:
    content = "premise\thypo\tlabel\np\th\tcontradictory\np\th\tneutral\np\th\tentailment\n"
    reading = read(made("xnli", splits={"train": content}), "train")
    assert [example.label for example in reading.examples] == ["contradiction", "neutral", "entailment"]


def test_xnli_labels_as_numbers_become_words(made) -> None:
    content = "premise\thypo\tlabel\np\th\t0\np\th\t1\np\th\t2\n"
    reading = read(made("xnli", splits={"train": content}), "train")
    assert [example.label for example in reading.examples] == ["entailment", "neutral", "contradiction"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "premise\tlabel\n",
            "FILE:1: the header lacks columns: expected language sentence1 sentence2 gold_label or",
        ),
        (XNLI + "es\t-\t-\tp\th\n", "FILE:2: label '-' is not one of XNLI's\nAllowed: entailment or 0"),
        (XNLI + "es\tneutral\tp\th\n", "FILE:2: expected 5 columns separated by tabs; found 4"),
        (XNLI + "ar\tneutral\t-\tp\th\n", "FILE: gives no example (1 in another language)"),
    ],
)
def test_broken_xnli_is_named(made, content: str, said: str) -> None:
    assert refused(made("xnli", splits={"train": content})).startswith(said)
