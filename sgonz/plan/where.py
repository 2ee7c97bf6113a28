"""The one selector: `dataset in (pos, ner) and state = FAILED`, the same for every command.

condition := all { "or" all }
all       := one { "and" one }
one       := "not" one | "(" condition ")" | field operator value | field ["not"] "in" "(" value, ... ")"
operator  := "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"        (~ is a shell pattern)
"""

from __future__ import annotations

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sgonz.errors import SpecError
from sgonz.plan.protocol import Protocol
from sgonz.plan.runs import Kind, State

Predicate = Callable[[Any], bool]


@dataclass(frozen=True)
class Compare:
    """One field against one value, or several of which any may do."""

    field: str
    sign: str  # =, !=, <, <=, >, >=, ~
    values: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    one: Condition


@dataclass(frozen=True)
class Every:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Condition, ...]


Condition = Compare | Not | Every | Either

FIELDS = ("run_id", "kind", "dataset", "model", "teacher", "state", "protocol", "seed", "learning_rate", "batch_size", "epochs",
          "attempts", "failures", "best_epoch", "validation_loss", "selected", "superseded", "reason", "signature", "tags")  # fmt: skip
# What a field can be, where that is known; a number may also be none.
WORDS: Mapping[str, tuple[str, ...]] = {
    "state": tuple(State), "kind": tuple(Kind), "protocol": get_args(Protocol),
    "selected": ("true", "false"), "superseded": ("true", "false"),
}  # fmt: skip
NOTHING = ("none", "null", "")
NUMBERS = frozenset(
    {"seed", "learning_rate", "batch_size", "epochs", "attempts", "failures", "best_epoch", "validation_loss"}
)
_TOKEN = re.compile(r"""\s*(?:(<=|>=|!=|==|=|<|>|~|\(|\)|,)|"([^"]*)"|'([^']*)'|([^\s=<>!~(),"']+))""")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def read(text: str) -> Condition:
    """A selector as a tree.

    Raises SpecError with the place, what was expected and the fields there are. Text compares without
    regard to case; a run id may be shortened to its first digits; of several tags one is enough.
    """
    parser = _Parser(text)
    condition = parser.condition()
    if parser.peek() is not None:
        raise parser.error("the end, 'and' or 'or'")
    return condition


def parse(text: str) -> Predicate:
    """A predicate over anything that has the run's fields as attributes; raises as `read` does."""
    return _predicate(read(text))


def _predicate(condition: Condition) -> Predicate:
    match condition:
        case Compare(field=field, sign=sign, values=values):
            options = [_compare(field, sign, value) for value in values]
            return options[0] if len(options) == 1 else lambda row: any(option(row) for option in options)
        case Not(one=one):
            inner = _predicate(one)
            return lambda row: not inner(row)
        case Every(parts=parts):
            wanted = [_predicate(part) for part in parts]
            return lambda row: all(part(row) for part in wanted)
        case Either(parts=parts):
            enough = [_predicate(part) for part in parts]
            return lambda row: any(part(row) for part in enough)


class _Parser:
    """A cursor over the words of one selector."""

    def __init__(self, text: str) -> None:
        self.text, self.words, self.at = text, _words(text), 0

    def peek(self) -> str | None:
        return self.words[self.at] if self.at < len(self.words) else None

    def take(self) -> str | None:
        word = self.peek()
        self.at += 1
        return word

    def accept(self, word: str) -> bool:
        found = self.peek()
        if found is not None and found.lower() == word:
            self.at += 1
            return True
        return False

    def error(self, expected: str) -> SpecError:
        found = self.peek()
        return SpecError(
            f"--where {self.text!r}: expected {expected}, found {'the end' if found is None else repr(found)}",
            hint="Example: dataset in (pos, ner) and state = FAILED.",
        )

    def condition(self) -> Condition:
        options = [self.all()]
        while self.accept("or"):
            options.append(self.all())
        return options[0] if len(options) == 1 else Either(tuple(options))

    def all(self) -> Condition:
        parts = [self.one()]
        while self.accept("and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def one(self) -> Condition:
        if self.accept("not"):
            return Not(self.one())
        if self.accept("("):
            inner = self.condition()
            if not self.accept(")"):
                raise self.error("')'")
            return inner
        return self.comparison()

    def comparison(self) -> Condition:
        """`field = value`, `field [not] in (…)`, or an order of numbers. Raises SpecError: no such field, sign or value."""
        field = self.peek()
        if field not in FIELDS:
            near = difflib.get_close_matches(field or "", FIELDS, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            raise SpecError(
                f"--where {self.text!r}: {field or 'the end'} is not a field{guess}",
                hint=f"Fields: {', '.join(FIELDS)}.",
            )
        self.at += 1
        negated = self.accept("not")
        if self.accept("in"):
            among = Compare(field, "=", tuple(self.values(field)))
            return Not(among) if negated else among
        sign = self.peek()
        if negated or sign not in ("=", "==", "!=", "~", *_COMPARE):
            raise self.error("in, =, !=, <, <=, >, >= or ~")
        self.at += 1
        value = self.take()
        if value is None or value in ("(", ")", ","):
            self.at -= 1
            raise self.error("a value")
        if sign in _COMPARE and _number(value) is None:
            raise SpecError(f"--where: {field} {sign} {value}: {value!r} is not a number")
        if sign in ("=", "==", "!="):
            self.checked(field, value)
        return Compare(field, "=" if sign == "==" else sign, (value,))

    def checked(self, field: str, value: str) -> str:
        """The value, if it is one that the field can have: a slip must not look like "there is none"."""
        allowed = WORDS.get(field, ())
        if allowed and value.lower() not in (word.lower() for word in allowed):
            near = difflib.get_close_matches(value.lower(), [word.lower() for word in allowed], n=1)
            guess = (
                f" (did you mean {next(word for word in allowed if word.lower() == near[0])}?)"
                if near
                else ""
            )
            raise SpecError(
                f"--where {self.text!r}: {value!r} is no {field}{guess}",
                hint=f"Allowed: {', '.join(allowed)}.",
            )
        if field in NUMBERS and _number(value) is None and value.lower() not in NOTHING:
            raise SpecError(f"--where {self.text!r}: {field} is a number, and {value!r} is none")
        return value

    def values(self, field: str) -> list[str]:
        """What stands between parentheses, separated by commas; at least one."""
        if not self.accept("("):
            raise self.error("'('")
        values: list[str] = []
        while True:
            value = self.take()
            if value is None or value in ("(", ")", ","):
                self.at -= 1
                raise self.error("a value")
            values.append(self.checked(field, value))
            if self.accept(")"):
                return values
            if not self.accept(","):
                raise self.error("',' or ')'")


def _words(text: str) -> list[str]:
    words, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise SpecError(f"--where {text!r}: cannot read {text[at:].strip()!r}")
        words.append(next(group for group in found.groups() if group is not None))
        at = found.end()
    return words


def _compare(field: str, sign: str, value: str) -> Predicate:
    if sign == "=":
        return lambda row: _equal(field, getattr(row, field), value)
    if sign == "!=":
        return lambda row: not _equal(field, getattr(row, field), value)
    if sign == "~":
        return lambda row: any(
            fnmatch.fnmatchcase(part, value.lower()) for part in _words_of(getattr(row, field))
        )
    number = float(value)
    return lambda row: (
        isinstance(getattr(row, field), int | float) and _COMPARE[sign](getattr(row, field), number)
    )


def _equal(field: str, fact: Any, value: str) -> bool:
    if isinstance(fact, tuple):  # one of several
        return any(_equal(field, part, value) for part in fact or (None,))
    if fact is None:
        return value.lower() in NOTHING
    if isinstance(fact, bool):
        return value.lower() == str(fact).lower()
    if isinstance(fact, int | float):
        return _number(value) == fact
    if field == "run_id" and len(value) >= 4:
        return str(fact).startswith(value.lower())
    return str(fact).lower() == value.lower()


def _words_of(fact: Any) -> list[str]:
    """What a pattern is compared with: every part of a value that has several."""
    parts = fact if isinstance(fact, tuple) else (fact,)
    return [str(part or "").lower() for part in parts or ("",)]


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
