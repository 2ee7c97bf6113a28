"""How a raw text is cut into units."""

from __future__ import annotations

import unicodedata

import pytest
from aligned_texts import texts
from hypothesis import given

from sgonz.train.units import segment


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in segment(text)]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", []),
        (" \n\u00a0\t", []),
        ("hola mundo", ["hola", "mundo"]),
        ("(¡hola!).", ["(", "¡", "hola", "!", ")", "."]),
        ("3.500,5 €", ["3", ".", "500", ",", "5", "€"]),
        ("bien-estar a_b", ["bien", "-", "estar", "a", "_", "b"]),
        ("e\u0301l n\u0303", ["e\u0301l", "n\u0303"]),  # combining marks belong to their letter
        ("a\u00a0b\u2028c", ["a", "b", "c"]),  # whitespace beyond ASCII separates
        ("cero\u200bancho", ["cero\u200bancho"]),  # zero width is not whitespace
        ("👍🏽", ["👍", "🏽"]),
        ("👩\u200d👧", ["👩", "\u200d", "👧"]),  # what stands between two symbols is a stretch
        ("日本語", ["日本語"]),
    ],
)
def test_text_is_cut_at_whitespace_and_around_each_sign(text: str, units: list[str]) -> None:
    assert words(text) == units


@given(texts)
def test_every_character_but_whitespace_lies_in_exactly_one_unit(text: str) -> None:
    covered = [place for start, end in segment(text) for place in range(start, end)]
    assert covered == [place for place, character in enumerate(text) if not character.isspace()]


@given(texts)
def test_a_sign_is_alone_and_other_units_are_as_long_as_can_be(text: str) -> None:
    def is_sign(place: int) -> bool:
        return unicodedata.category(text[place])[0] in "PS"

    for start, end in segment(text):
        if any(is_sign(place) for place in range(start, end)):
            assert end - start == 1
        else:
            assert start == 0 or text[start - 1].isspace() or is_sign(start - 1)
            assert end == len(text) or text[end].isspace() or is_sign(end)
