"""The selector as SQL, so that a page of a hundred thousand runs is chosen by the database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true

from sgonz.errors import SpecError
from sgonz.plan.where import Compare, Condition, Either, Every, Not
from sgonz.store.tables import runs, sweep_runs, sweep_tags, sweeps
from sgonz.store.transaction import Transaction

NUMBERS = {
    "seed",
    "learning_rate",
    "batch_size",
    "epochs",
    "attempts",
    "failures",
    "best_epoch",
    "validation_loss",
}
MARKS = {"selected", "superseded"}
NOTHING = ("none", "null", "")
COMPARE: Mapping[str, Callable[[Any, float], ColumnElement[bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def clause(at: Transaction, sweep_id: int, condition: Condition) -> ColumnElement[bool]:
    """What a row of `runs` has to fulfil in this sweep; as the predicate of the selector says."""
    match condition:
        case Compare():
            # What compares with nothing is false, not unknown: NOT of it has to be true.
            options = [
                func.coalesce(_one(at, sweep_id, condition.field, condition.sign, value), false())
                for value in condition.values
            ]
            return or_(*options)
        case Not(one=one):
            return not_(clause(at, sweep_id, one))
        case Every(parts=parts):
            return and_(*(clause(at, sweep_id, part) for part in parts))
        case Either(parts=parts):
            return or_(*(clause(at, sweep_id, part) for part in parts))


def _one(at: Transaction, sweep_id: int, field: str, sign: str, value: str) -> ColumnElement[bool]:
    if sign == "!=":
        return not_(func.coalesce(_one(at, sweep_id, field, "=", value), false()))
    if field == "tags":
        return _tagged(at, sign, value)
    if field in MARKS:
        return _marked(at, sweep_id, field, sign, value)
    column = runs.c[field]
    if sign == "~":
        return func.lower(func.coalesce(column, "")).like(_pattern(value), escape="\\")
    if sign in COMPARE:
        return COMPARE[sign](column, float(value)) if field in NUMBERS else false()
    if value.lower() in NOTHING and field not in NUMBERS:
        return or_(column.is_(None), func.lower(column) == value.lower())
    if value.lower() in NOTHING:
        return column.is_(None)
    if field in NUMBERS:
        try:
            return column == float(value)
        except ValueError:
            return false()
    if field == "run_id" and len(value) >= 4:
        return column.startswith(value.lower(), autoescape=True)
    return func.lower(column) == value.lower()


def _tagged(at: Transaction, sign: str, value: str) -> ColumnElement[bool]:
    """Whether a sweep with this tag holds the run."""
    same = (sweeps.c.workspace_id == sweep_tags.c.workspace_id) & (sweeps.c.name == sweep_tags.c.sweep)
    tag = func.lower(sweep_tags.c.tag)
    if sign in COMPARE:
        return false()
    nothing = sign == "=" and value.lower() in NOTHING
    if nothing:
        wanted: ColumnElement[bool] = true()
    elif sign == "~":
        wanted = tag.like(_pattern(value), escape="\\")
    else:
        wanted = tag == value.lower()
    holding = (
        select(sweep_runs.c.run_id)
        .select_from(sweep_tags)
        .join(sweeps, same)
        .join(sweep_runs, sweep_runs.c.sweep_id == sweeps.c.id)
        .where(sweep_tags.c.workspace_id == at.workspace, wanted)
    )
    return runs.c.run_id.not_in(holding) if nothing else runs.c.run_id.in_(holding)


def _marked(at: Transaction, sweep_id: int, field: str, sign: str, value: str) -> ColumnElement[bool]:
    """Whether the run has this mark in the sweep."""
    marked = select(sweep_runs.c.run_id).where(
        sweep_runs.c.workspace_id == at.workspace, sweep_runs.c.sweep_id == sweep_id, sweep_runs.c[field]
    )
    if sign != "=" or value.lower() not in ("true", "false"):
        return false()
    return runs.c.run_id.in_(marked) if value.lower() == "true" else runs.c.run_id.not_in(marked)


def _pattern(value: str) -> str:
    """A shell pattern as LIKE has it."""
    if "[" in value:
        raise SpecError(
            f"--where: the pattern {value!r} holds a set of signs", hint="Here patterns know * and ? alone."
        )
    escaped = value.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
