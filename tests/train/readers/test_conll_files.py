"""CoNLL-U and CoNLL-2002 files."""

from __future__ import annotations

import pytest

from sgonz.errors import DataError
from sgonz.train.examples import TaggedExample
from sgonz.train.readers import read


def row(id: str, form: str, tag: str) -> str:
    return f"{id}\t{form}\tx\t{tag}" + "\t_" * 6 + "\n"


def refused(dataset) -> str:
    with pytest.raises(DataError) as caught:
        read(dataset, "train")
    return str(caught.value).replace(dataset.files["train"], "FILE")


# CoNLL-U


def test_range_rows_stay_before_their_parts(made) -> None:
    content = (
        "# text = del río\n" + row("1-2", "del", "_") + row("1", "de", "ADP") + row("2", "el", "DET") + "\n"
    )
    reading = read(made("conllu", splits={"train": content}), "train")
    assert reading.examples == (TaggedExample(("del", "de", "el"), ("_", "ADP", "DET")),)
    assert reading.remarks == {"multiword token kept before its parts": 1}


def test_rows_with_decimal_ids_go(made) -> None:
    content = row("8", "va", "VERB") + row("8.1", "_", "PRON") + "\n"
    reading = read(made("conllu", splits={"train": content}), "train")
    assert reading.examples == (TaggedExample(("va",), ("VERB",)),)
    assert reading.remarks == {"empty node (decimal id) left out": 1}


def test_sentences_end_at_blank_lines_and_at_the_end(made) -> None:
    content = row("1", "Sí", "INTJ") + "\n\n# sent_id = 2\n" + row("1", "a b\u00a0c", "NOUN").rstrip("\n")
    reading = read(made("conllu", splits={"train": content}), "train")
    assert reading.examples == (TaggedExample(("Sí",), ("INTJ",)), TaggedExample(("a b\u00a0c",), ("NOUN",)))
    assert reading.rows == 2


def test_form_that_is_a_number_sign_is_a_word(made) -> None:
    reading = read(made("conllu", splits={"train": row("1", "#", "SYM")}), "train")
    assert reading.examples == (TaggedExample(("#",), ("SYM",)),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\tsí\tsí\tINTJ\n", "FILE:2: expected 10 columns separated by tabs; found 4"),
        (row("uno", "sí", "INTJ"), "FILE:2: expected an id such as 8, 8-9 or 8.1; found 'uno'"),
        (row("1", "", "INTJ"), "FILE:2: the form (column 2) is empty"),
        (row("1", "sí", ""), "FILE:2: the label is empty"),
        (row("1", "sí", "INTX"), "FILE:2: label 'INTX' is not one of this data set's\nAllowed: INTJ, _."),
    ],
)
def test_broken_conllu_is_named(made, line: str, said: str) -> None:
    assert refused(made("conllu", splits={"train": "# text\n" + line}, labels=("INTJ", "_"))).startswith(said)


# CoNLL-2002


@pytest.mark.parametrize("middle", ["", " NC"])
def test_first_column_is_the_word_and_last_the_tag(made, middle: str) -> None:
    content = f"Sao{middle} B-LOC\nPaulo{middle} I-LOC\n\n({middle} O\n\n"
    reading = read(made("conll2002", splits={"train": content}), "train")
    assert reading.examples == (
        TaggedExample(("Sao", "Paulo"), ("B-LOC", "I-LOC")),
        TaggedExample(("(",), ("O",)),
    )
    assert not reading.remarks


def test_no_break_space_is_a_word(made) -> None:
    reading = read(made("conll2002", splits={"train": "\u00a0 O\na O\n"}), "train")
    assert reading.examples[0].words == ("\u00a0", "a")


def test_latin_1_file_is_read_with_a_remark(made) -> None:
    content = "España B-LOC\n\n".encode("iso-8859-1")
    reading = read(made("conll2002", splits={"train": content}), "train")
    assert reading.examples == (TaggedExample(("España",), ("B-LOC",)),)
    assert reading.remarks == {"file is not UTF-8: read as ISO-8859-1": 1}


def test_empty_sentence_is_accepted_and_counted(made) -> None:
    reading = read(made("conll2002", splits={"train": "a O\n\n\nb O\n\n"}), "train")
    assert reading.examples[1] == TaggedExample((), ())
    assert (reading.rows, reading.remarks) == (3, {"sentence without words": 1})


def test_orphan_inside_tag_is_kept_and_counted(made) -> None:
    content = "x I-ORG\ny I-ORG\nz I-LOC\n\na B-PER\nb I-PER\n"
    reading = read(made("conll2002", splits={"train": content}), "train")
    assert reading.examples[0].tags == ("I-ORG", "I-ORG", "I-LOC")
    assert reading.remarks == {"I- tag that opens an entity": 2}


def test_sentence_of_1238_words_is_whole(made) -> None:
    reading = read(made("conll2002", splits={"train": "a O\n" * 1238}), "train")
    assert len(reading.examples[0].words) == 1238


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a O\nb\n", "FILE:2: expected 2 columns separated by spaces; found 1: 'b'"),
        ("a NC O\nb O\n", "FILE:2: expected 3 columns separated by spaces; found 2: 'b O'"),
        ("a b c O\n", "FILE:1: expected 2 or 3 columns separated by spaces; found 4"),
        ("a O\nb B-PRE\n", "FILE:2: label 'B-PRE' is not one of this data set's"),
    ],
)
def test_broken_conll2002_is_named(made, content: str, said: str) -> None:
    assert refused(made("conll2002", splits={"train": content}, labels=("O", "B-PER"))).startswith(said)
