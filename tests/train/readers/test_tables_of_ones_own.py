"""CSV and TSV files under a header."""

from __future__ import annotations

import pytest

from sgonz.errors import DataError
from sgonz.train.examples import TextExample
from sgonz.train.readers import read


def refused(dataset) -> str:
    with pytest.raises(DataError) as caught:
        read(dataset, "train")
    return str(caught.value).replace(dataset.files["train"], "FILE")


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("csv", 'id,label,text\n1,good,"uno, ""dos"""\n'),
        ("csv", 'id;label;text\r\n1;good;"uno, ""dos"""\r\n'),
        ("csv", '\ufeffid,label,text\n1,good,"uno, ""dos"""\n\n'),
        ("tsv", 'id\tlabel\ttext\n1\tgood\tuno, "dos"\n'),
        ("tsv", 'text\tlabel\r\nuno, "dos"\tgood\r\n'),
    ],
)
def test_the_header_says_where_text_and_label_stand(made, format: str, content: str) -> None:
    reading = read(made(format, splits={"train": content}), "train")
    assert reading.examples == (TextExample('uno, "dos"', None, "good"),)
    assert reading.rows == 1


def test_two_texts_are_a_pair(made) -> None:
    dataset = made("csv", splits={"train": "premise,hypothesis,label\na,b,0\n"})
    assert read(dataset, "train").examples == (TextExample("a", "b", "0"),)


def test_a_cell_may_hold_lines(made) -> None:
    dataset = made("csv", splits={"train": 'text,label\n"uno\ndos",x\ntres,y,z\n'})
    assert refused(dataset) == "FILE:4: expected 2 cells (text, label); found 3"


def test_a_long_text_is_a_text(made) -> None:
    dataset = made("csv", splits={"train": f"text,label\n{'a' * 200_000},x\n"})
    assert len(read(dataset, "train").examples[0].text) == 200_000


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_a_header_without_a_text_says_what_it_may_be_called(made, format: str) -> None:
    found = refused(
        made(format, splits={"train": "body,stars\na,1\n".replace(",", "\t" * (format == "tsv") or ",")})
    )
    assert found.startswith("FILE:1: the header names no column text; found body, stars")
    assert found.endswith("this one may be called sentence1 or premise or text or sentence.")


@pytest.mark.parametrize(
    ("format", "header", "hint"), [("tsv", "id,text,label", 'format = "csv"'), ("csv", "id\ttext\tlabel", 'format = "tsv"')]
)  # fmt: skip
def test_a_table_of_the_other_kind_says_which_format_reads_it(
    made, format: str, header: str, hint: str
) -> None:
    assert hint in refused(made(format, splits={"train": f"{header}\n"}))


def test_a_stray_quotation_mark_names_its_line(made) -> None:
    found = refused(made("csv", splits={"train": 'text,label\na,x\n"a"b,x\n'}))
    assert found.startswith("FILE:3: is not CSV: ")
