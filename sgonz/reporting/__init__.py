"""A sweep's report as one JSON value: tables, what figures show, gaps, where it came from. Drawn by `sgonz.view.report`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from sgonz import __version__
from sgonz.looking import comparison
from sgonz.plan.runs import Kind
from sgonz.reporting import accounts, pictures, scores, work
from sgonz.reporting.source import Source, read

__all__ = ["Source", "read", "report"]
FORMAT = 1


def report(source: Source) -> dict[str, Any]:
    """`{"sweep", "states", "gaps", "tables": [...], "figures": {...}, "provenance", "reproduce"}`."""
    found = scores.cells(source)
    published_as = {name: dataset.catalog for name, dataset in source.sources.datasets.items()}
    compared = comparison.compare(source.selected, published_as, source.architectures)
    comparable = any(row["difference"] is not None for row in compared["results"])
    points = work.weighed(work.points(source, found, comparable))
    curves, curves_note = pictures.curves(source)
    hours = accounts.hours(source)
    drawn = pictures.best_models(source)
    figures = {
        "scores": pictures.scores(source, found), "points": points, "curves": curves, "grid": pictures.grid(source),
        "hours": hours["rows"], "differences": pictures.differences(compared, source),
    }  # fmt: skip
    return {
        "version": FORMAT,
        "sweep": _head(source),
        "states": accounts.states(source),
        "gaps": [*accounts.gaps(source), *pictures.left_out(source)],
        "tables": [
            scores.summary(source, found, compared), *scores.task_tables(source, found), scores.teachers(source, comparable),
            work.speed(source), work.areas(points), scores.published(source, compared), accounts.selected(source),
            hours, accounts.failures(source), accounts.flagged(source),
        ],
        "figures": {
            name: [row for row in rows if row.get("model") is None or row["model"] in drawn or row["stage"].startswith("published")]
            for name, rows in figures.items()
        },
        "notes": {"curves": curves_note},
        "provenance": _provenance(source),
        "reproduce": _reproduce(source),
    }  # fmt: skip


def _head(source: Source) -> dict[str, Any]:
    kinds = [run.kind for run in source.runs]
    return {
        "name": source.row.name, "created": source.row.created, "made": source.made, "cluster": source.row.cluster,
        "protocol": source.sweep.protocol, "seeds": list(source.sweep.seeds), "runs": len(source.runs),
        "kinds": {kind: kinds.count(kind) for kind in Kind if kind in kinds}, "datasets": len(source.datasets),
        "models": len(source.models),
        "notes": [{"time": note.time, "author": note.author, "text": note.text} for note in source.notes],
        "tags": list(source.tags),
    }  # fmt: skip


def _provenance(source: Source) -> list[dict[str, str]]:
    """What is known of where and with what it was made, as pairs."""
    told: dict[str, Any] = {**source.row.provenance}
    packages: Mapping[str, str] = told.pop("packages", None) or {}
    command = told.pop("command", None)
    pairs: dict[str, Any] = {"reported by": f"sgonz {__version__}", **told,
                             **{f"{name}": version for name, version in packages.items()}}  # fmt: skip
    if command:
        pairs["command"] = shlex.join(["sgonz", *command[1:]])
    for name, dataset in source.datasets.items():
        if dataset.fingerprint:
            pairs[f"data set {name}"] = dataset.fingerprint
    for name in source.models:
        model = source.sources.models.get(name)
        if model and (model.fingerprint or model.revision):
            pairs[f"model {name}"] = model.fingerprint or model.revision
    return [
        {"name": name, "value": value if isinstance(value, str) else json.dumps(value)}
        for name, value in pairs.items()
        if value
    ]


def _reproduce(source: Source) -> dict[str, Any]:
    """The sweep file as it was after merging, and what to type."""
    file = f"{source.row.name}.toml"
    told = source.row.provenance
    wanted = f"sgonz[train]=={told.get('sgonz', __version__)}"
    commands = [f"pip install {shlex.quote(wanted)}"]
    if told.get("commit"):
        commands.append(f"# the code that ran: commit {told['commit']}")
    commands += [f"sgonz plan {shlex.quote(file)}", f"sgonz run {shlex.quote(file)} --cluster {shlex.quote(source.row.cluster)}",
                 f"sgonz report {shlex.quote(source.row.name)}"]  # fmt: skip
    return {"file": file, "sweep": source.row.text, "commands": commands}
