"""Seeded choices: words, names, numbers, and sentences grown from a small grammar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from sgonz.sample import words

T = TypeVar("T")
HELD_OUT = 5  # one word in so many of an open class is kept from training text
Token = tuple[str, str]  # form, tag


@dataclass(frozen=True)
class Draw:
    """A source of choices; `unseen` where words that training never shows may come."""

    random: Random
    unseen: bool

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.random.randrange(len(choices))]

    def open(self, choices: Sequence[T]) -> T:
        """One of an open class, of which training text only ever shows the first four fifths."""
        many = len(choices) if self.unseen else len(choices) - len(choices) // HELD_OUT
        return choices[self.random.randrange(many)]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def number(self, low: int, high: int) -> int:
        return self.random.randrange(low, high + 1)

    def weighted(self, choices: Mapping[str, int]) -> str:
        """A key, as often as its weight says."""
        at = self.random.randrange(sum(choices.values()))
        for key, weight in choices.items():
            at -= weight
            if at < 0:
                return key
        raise AssertionError("weights are positive")

    def person(self) -> str:
        first = self.open(words.WOMEN if self.chance(0.5) else words.MEN)
        return f"{first} {self.open(words.SURNAMES)}"

    def organisation(self) -> str:
        kind = self.number(0, 5)
        if kind == 0:
            return self.open(words.ACRONYMS)
        if kind == 1:
            return f"Universidad de {self.open(words.CITIES)}"
        if kind == 2:
            return f"Banco de {self.open(words.COUNTRIES)}"
        return self.open(words.COMPANIES)

    def year(self) -> str:
        return str(self.number(1900, 2019))

    def date(self) -> str:
        return f"{self.number(1, 28)} de {self.one(words.MONTHS)} de {self.year()}"


def capital(sentence: str) -> str:
    """The sentence with its first letter, after an opening sign, as a capital."""
    at = next((at for at, letter in enumerate(sentence) if letter.isalpha()), 0)
    return sentence[:at] + sentence[at].upper() + sentence[at + 1 :]


Grow = Callable[[Draw], list[Token]]
Grammar = Mapping[str, Sequence[str] | Grow]


def grow(draw: Draw, grammar: Grammar, symbol: str) -> list[Token]:
    """Expand a symbol: an alternative is words as form/TAG and other symbols as <SYMBOL>."""
    rule = grammar[symbol]
    if not isinstance(rule, Sequence):
        return rule(draw)
    tokens: list[Token] = []
    for part in draw.one(rule).split():
        if part.startswith("<"):
            tokens += grow(draw, grammar, part[1:-1])
        else:
            form, _, tag = part.rpartition("/")
            tokens.append((form, tag))
    return tokens
