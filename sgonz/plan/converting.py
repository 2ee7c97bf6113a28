"""Tables that people wrote as typed values; what does not fit is told in the words of their file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from sgonz.errors import SpecError


def convert(value: Any, kind: Any, source: str, prefix: str = "") -> Any:
    """msgspec's conversion, with errors that name the file, the key, and what is allowed."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise explain(error, kind, source, prefix) from None


def explain(error: msgspec.ValidationError, kind: Any, source: str, prefix: str = "") -> SpecError:
    """Say in the words of the file what msgspec found."""
    found = re.fullmatch(r"(?P<what>.*?)(?: - at `(?P<where>.*)`)?", str(error), re.DOTALL)
    assert found is not None
    what, where = found["what"], (found["where"] or "$")
    of_table = re.fullmatch(r"key` in `(.*)", where)  # a table whose keys are words to choose from
    where = (of_table[1] if of_table else where).removeprefix("$").lstrip(".")
    key = _as_written(".".join(part for part in (prefix, where) if part))
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    if unknown:
        allowed = _fields_at(kind, where)
        full = ".".join(part for part in (key, unknown[1]) if part)
        return unknown_key(full, allowed, source)
    missing = re.fullmatch(r"Object missing required field `(.*)`", what)
    if missing:
        full = ".".join(part for part in (key, missing[1]) if part)
        return SpecError(f"{source}: {full} is missing", hint=f"Add the key {full}.")
    choices = _choices_at(kind, where, keys=bool(of_table)) if what.startswith("Invalid enum value") else []
    if choices:
        value = what.removeprefix("Invalid enum value ").strip("'")
        if of_table:
            return unknown_key(f"{key}.{value}", choices, source)
        near = difflib.get_close_matches(value, choices, n=1, cutoff=0.6)
        guess = f"; did you mean {near[0]}?" if near else ""
        hint = f"Allowed: {', '.join(choices)}."
        return SpecError(f"{source}: {key}: {value!r} is not one of its values{guess}", hint=hint)
    return SpecError(f"{source}: {key or 'the file'}: {_plain(what)}")


def _as_written(key: str) -> str:
    """A distillation's models are called students in the file."""
    return re.sub(r"^(distill(?:\.override\[\d+\])?)\.models\b", r"\1.students", key)


def unknown_key(key: str, allowed: Sequence[str], source: str) -> SpecError:
    """An error for a key that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(key.rsplit(".", 1)[-1], allowed, n=1, cutoff=0.6)
    guess = f"; did you mean {near[0]}?" if near else ""
    return SpecError(f"{source}: {key} is not a setting{guess}", hint=f"Allowed: {', '.join(allowed)}.")


def _fields_at(kind: Any, where: str) -> list[str]:
    """The keys that the struct at a path such as `override[0]` accepts."""
    found = _options(_type_at(kind, where), msgspec.inspect.StructType)
    return [field.encode_name for field in found[0].fields] if found else []


def _choices_at(kind: Any, where: str, *, keys: bool = False) -> list[str]:
    """The words that stand to choose from at a path, as values or as the keys of its table."""
    there = _type_at(kind, where)
    if keys:
        there = _options(there, msgspec.inspect.DictType)[0].key_type
    found = _options(there, msgspec.inspect.LiteralType)
    return [str(value) for option in found for value in option.values]


def _type_at(kind: Any, where: str) -> Any:
    current = msgspec.inspect.type_info(kind)
    for part in re.findall(r"[^.\[\]]+|\[[^\]]*\]", where):
        listed = _options(current, msgspec.inspect.ListType)
        structs = _options(current, msgspec.inspect.StructType)
        if part.startswith("[") and listed:
            current = listed[0].item_type
        elif structs:
            current = next((field.type for field in structs[0].fields if field.encode_name == part), current)
        elif mapped := _options(current, msgspec.inspect.DictType):
            current = mapped[0].value_type
    return current


def _options(found: Any, wanted: type) -> list[Any]:
    options = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return [option for option in options if isinstance(option, wanted)]


def _plain(what: str) -> str:
    """msgspec's sentence without its punctuation for programmers."""
    words = {"`str`": "text", "`int`": "a whole number", "`float`": "a number", "`array`": "a list", "`object`": "a table",
             "`bool`": "true or false", "`null`": "nothing"}  # fmt: skip
    for technical, plain in words.items():
        what = what.replace(technical, plain)
    return what[0].lower() + what[1:]
