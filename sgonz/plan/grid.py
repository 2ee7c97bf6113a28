"""From the axes of a grid to its points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from sgonz.errors import SpecError
from sgonz.plan.converting import unknown_key
from sgonz.plan.spec import Stage, check_setting

RANGE_KEYS = ("from", "to", "num", "log")
MOST_RUNS = (
    1_000_000  # of one stage; a grid beyond that is a slip, and would fill the memory before it was seen
)


def points(stage: Stage, name: str, *, model: str, dataset: str, source: str) -> list[dict[str, Any]]:
    """Every combination of settings that a stage asks for one model on one data set.

    Overrides are applied in order, each replacing whole axes or fixed settings of what stands before it.
    Axes named together in `grid.zip` move together; the others are crossed, the first one slowest.
    """
    settings, values, groups = _axes(stage, name, model, dataset, source)
    combinations = itertools.product(*(_rows(values, group) for group in groups))
    return [settings | {key: value for row in rows for key, value in row.items()} for rows in combinations]


def check_size(stage: Stage, name: str, *, datasets: Sequence[str], seeds: int, source: str) -> None:
    """Raise SpecError where a stage has more runs than anybody means, before a single one is made."""
    runs = 0
    for dataset in datasets:
        for model in dict.fromkeys(stage.models):
            _, values, groups = _axes(stage, name, model, dataset, source)
            runs += seeds * math.prod(len(values[group[0]]) for group in groups)
            if runs > MOST_RUNS:
                raise SpecError(
                    f"{source}: {name} has more than {MOST_RUNS:,} runs",
                    hint=f"The axes of {name}.grid are crossed with each other, models, data sets and seeds; "
                    "shorten one, or let axes move together with grid.zip.",
                )


def _axes(
    stage: Stage, name: str, model: str, dataset: str, source: str
) -> tuple[dict[str, Any], dict[str, list[Any]], list[list[str]]]:
    """Fixed settings, the values of every axis, and the axes that move together."""
    settings: dict[str, Any] = dict(stage.settings)
    axes: dict[str, Any] = dict(stage.grid)
    for override in stage.override:
        if (override.models is None or model in override.models) and (
            override.datasets is None or dataset in override.datasets
        ):
            # An axis that an override fixes stops being an axis, and the other way round.
            axes = {key: value for key, value in axes.items() if key not in override.settings} | override.grid
            settings = {key: value for key, value in settings.items() if key not in override.grid}
            settings |= override.settings
    zipped = axes.pop("zip", [])
    values = {axis: _values(axis, value, f"{name}.grid.{axis}", source) for axis, value in axes.items()}
    settings = {key: check_setting(key, value, f"{name}.{key}", source) for key, value in settings.items()}
    return settings, values, _groups(values, zipped, f"{name}.grid.zip", source)


def excluded(conditions: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> bool:
    """Whether some [[exclude]] table matches: every key equal to the value, or among the list."""
    return any(all(_matches(facts.get(key), wanted) for key, wanted in table.items()) for table in conditions)


def check_exclusions(conditions: Sequence[Mapping[str, Any]], allowed: Sequence[str], source: str) -> None:
    for index, table in enumerate(conditions):
        if not table:
            raise SpecError(f"{source}: exclude[{index}] is empty and would exclude everything")
        for key in table:
            if key not in allowed:
                raise unknown_key(f"exclude[{index}].{key}", allowed, source)


def _matches(fact: Any, wanted: Any) -> bool:
    return fact in wanted if isinstance(wanted, list) else fact == wanted


def _values(axis: str, value: Any, path: str, source: str) -> list[Any]:
    """The values of an axis, typed as the setting is; a single value is an axis of one."""
    if isinstance(value, dict):
        value = _range(value, path, source)
    elif not isinstance(value, list):
        value = [value]
    if not value:
        raise SpecError(f"{source}: {path} is empty", hint="Give at least one value, or leave the axis out.")
    typed = [check_setting(axis, entry, f"{path}[{index}]", source) for index, entry in enumerate(value)]
    return list(dict.fromkeys(typed))


def _range(table: Mapping[str, Any], path: str, source: str) -> list[float | int]:
    """{from, to, num, log}: `num` values, both ends included, evenly spaced (or by equal factors)."""
    for key in table:
        if key not in RANGE_KEYS:
            raise unknown_key(f"{path}.{key}", RANGE_KEYS, source)
    try:
        low, high, count = table["from"], table["to"], table["num"]
    except KeyError as missing:
        raise SpecError(
            f"{source}: {path}.{missing.args[0]} is missing", hint="A range is {from, to, num}."
        ) from None
    log = table.get("log", False)
    numbers = all(type(entry) in (int, float) and math.isfinite(entry) for entry in (low, high))
    counted = isinstance(count, int) and 1 <= count <= MOST_RUNS
    if not numbers or not counted or (log and (low <= 0 or high <= 0)):
        raise SpecError(
            f"{source}: {path}: a range needs numbers from and to (above 0 with log) and num from 1 to {MOST_RUNS:,}"
        )
    parts = max(count - 1, 1)
    if log:
        spaced = [low * math.pow(high / low, step / parts) for step in range(count)]
    else:  # exact, so that whole numbers stay whole
        ends = Fraction(low), Fraction(high)
        spaced = [ends[0] + (ends[1] - ends[0]) * Fraction(step, parts) for step in range(count)]
    whole = isinstance(low, int) and isinstance(high, int) and not log
    # Twelve digits, so that a range and a list that mean the same values give the same run ids.
    return [
        int(entry) if whole and entry == int(entry) else float(f"{float(entry):.12g}") for entry in spaced
    ]


def _groups(values: Mapping[str, list[Any]], zipped: Any, path: str, source: str) -> list[list[str]]:
    if not isinstance(zipped, list) or not all(isinstance(group, list) for group in zipped):
        raise SpecError(
            f'{source}: {path}: expected lists of axes, such as [["batch_size", "learning_rate"]]'
        )
    taken: set[str] = set()
    for group in zipped:
        for axis in group:
            if axis not in values:
                raise SpecError(f"{source}: {path} names {axis!r}, which is not an axis of this grid")
            if axis in taken:
                raise SpecError(f"{source}: {path} names {axis!r} twice")
            taken.add(axis)
        lengths = {axis: len(values[axis]) for axis in group}
        if len(set(lengths.values())) > 1:
            raise SpecError(f"{source}: {path}: axes that move together differ in length: {lengths}")
    leaders = {group[0]: group for group in zipped if group}
    return [leaders.get(axis, [axis]) for axis in values if axis in leaders or axis not in taken]


def _rows(values: Mapping[str, list[Any]], group: Sequence[str]) -> list[dict[str, Any]]:
    return [dict(zip(group, row, strict=True)) for row in zip(*(values[axis] for axis in group), strict=True)]
