"""What happened in a sweep while nobody looked: one value, and the same in words for people and for notifications."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sgonz.coordinator.coordinator import Coordinator
from sgonz.plan.remedy import said
from sgonz.plan.runs import Kind, State
from sgonz.plan.wording import number_of
from sgonz.rundir import Workdir
from sgonz.store import happened, watched
from sgonz.store.reading import counts
from sgonz.store.store import Store

TOLD = (
    "gate",
    "held",
    "cancel",
    "retry",
    "invalidate",
    "pause",
    "resume",
    "drain",
    "set",
    "adopted",
    "never_sent",
)
STORE_LINE = b'"type":"store"'  # most lines, and the long ones: not decoded
HEAD = 80  # bytes in which the type of a line stands
SHOWN = 8  # lines of a kind; the rest are counted


@dataclass(frozen=True, kw_only=True)
class Of:
    """The sweep that is asked about."""

    store: Store
    workdir: Workdir
    sweep_id: int
    name: str
    datasets: Sequence[str]


def since(of: Of, moment: float, now: float) -> dict[str, Any]:
    """Everything that came about after the moment, as a JSON value."""
    with of.store.reading() as at:
        scope = watched.scope(at, of.sweep_id)
        ended = happened.ended(at, scope, moment)
        causes = happened.causes(at, scope, moment)
        bests = happened.bests(at, scope, moment)
        used, wasted, lost = happened.hours(at, scope, moment)
        states: Counter[State] = Counter()
        for found in counts(at, of.sweep_id).values():
            states.update(found)
    lines = list(_decisions(of, moment))
    return {
        "sweep": of.name,
        "since": moment,
        "until": now,
        "ended": _summed(ended),
        "stages": [
            {"kind": kind, "dataset": dataset, "state": state, "runs": size}
            for (kind, dataset, state), size in ended.items()
        ],
        "failures": [msgspec.to_builtins(row) for row in causes],
        "gates": _opened(line for line in lines if line["what"] == "gate"),
        "bests": [msgspec.to_builtins(row) for row in bests],
        "decisions": [line for line in lines if line["what"] != "gate"],
        "lost_attempts": lost,
        "gpu_hours": round(used, 4),
        "wasted_gpu_hours": round(wasted, 4),
        "runs": {str(state): states[state] for state in State if states[state]},
    }


def whole(at: Coordinator) -> tuple[dict[str, Any], list[str]]:
    """A sweep's history from its beginning, for notifications: as a value and in words."""
    of = Of(store=at.store, workdir=at.workdir, sweep_id=at.sweep_id, name=at.sweep.name,
            datasets=tuple(at.sources.datasets))  # fmt: skip
    found = since(of, 0.0, time.time())
    return found, told(found, teachers_of(at.store, found))


def teachers_of(store: Store, found: Mapping[str, Any]) -> dict[str, str]:
    """Models of the runs that gates name, by run id."""
    ids = [gate["run_id"] for gate in found["gates"] if gate["run_id"]]
    return {spec.run_id: spec.model.name for spec in store.specs(ids)}


def _summed(ended: Mapping[tuple[Kind, str, State], int]) -> dict[str, int]:
    total: Counter[State] = Counter()
    for (_, _, state), size in ended.items():
        total[state] += size
    return {str(state): total[state] for state in State if total[state]}


def _opened(gates: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gates that opened, each once: a sweep that is edited and run again goes through those that stand open."""
    teachers: dict[str, str] = {}
    found = []
    for gate in gates:
        if teachers.get(gate["dataset"]) != gate["run_id"]:
            found.append(gate)
        teachers[gate["dataset"]] = gate["run_id"]
    return found


def _decisions(of: Of, moment: float) -> Iterator[dict[str, Any]]:
    """What the coordinator and people decided, from coordinator.jsonl."""
    for line in _lines(of.workdir.journal):
        if line.get("time", 0.0) <= moment or line.get("type") not in TOLD:
            continue
        elsewhere = line.get("sweep") not in (None, of.name) or line.get("dataset") not in (
            None,
            *of.datasets,
        )
        if elsewhere:
            continue
        runs = line.get("runs")
        yield {
            "what": line["type"], "time": line["time"], "dataset": line.get("dataset"), "run_id": line.get("teacher"),
            "runs": len(runs) if isinstance(runs, list) else None, "reason": _reason(line),
        }  # fmt: skip


def _reason(line: Mapping[str, Any]) -> str | None:
    order = line.get("order")
    if isinstance(order, dict):
        parts = [order.get("reason"), f"where {order['where']}" if order.get("where") else None]
        return ", ".join(part for part in parts if part) or None
    if line["type"] == "set":
        skipped = ("v", "time", "type", "sweep")
        return ", ".join(f"{name} = {value}" for name, value in line.items() if name not in skipped)
    reason = line.get("reason") or line.get("tag")
    return str(reason) if reason else None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as stream:
            for text in stream:
                if STORE_LINE in text[:HEAD]:
                    continue
                try:
                    line = msgspec.json.decode(text)
                except msgspec.DecodeError:
                    continue
                if isinstance(line, dict):
                    yield line
    except FileNotFoundError:
        return


def told(history: Mapping[str, Any], models: Mapping[str, str]) -> list[str]:
    """The same in words; `models` by run id, for teachers."""
    began = time.strftime("%b %d %H:%M", time.localtime(history["since"])) if history["since"] else "it began"
    lines = [f"{history['sweep']} since {began}"]
    by_kind: Counter[str] = Counter()
    for stage in history["stages"]:
        if stage["state"] == State.COMPLETED:
            by_kind[stage["kind"]] += stage["runs"]
    if by_kind:
        lines.append(_line("finished", ", ".join(f"{size:,} {kind}" for kind, size in by_kind.items())))
    lines += _several("failed", [_failure(row) for row in history["failures"]])
    for state in (State.SKIPPED, State.CANCELLED):
        if history["ended"].get(state):
            lines.append(_line(state.lower(), number_of(history["ended"][state], "run")))
    if history["lost_attempts"]:
        named = (
            f"{size:,} {outcome.lower().replace('_', ' ')}"
            for outcome, size in history["lost_attempts"].items()
        )
        lines.append(_line("attempts", f"{', '.join(named)} gave nothing"))
    lines += _several("gates", [_gate(row, models) for row in history["gates"]])
    lines += _several("new bests", [_best(row) for row in history["bests"]])
    lines += _several("decided", [_decision(row) for row in history["decisions"]])
    lines.append(
        _line("GPU-hours", f"{history['gpu_hours']:,.2f} used, {history['wasted_gpu_hours']:,.2f} wasted")
    )
    now = ", ".join(f"{size:,} {state.lower()}" for state, size in history["runs"].items())
    lines.append(_line("now", now or "no runs"))
    return lines


def _line(heading: str, text: str) -> str:
    return f"{heading:<10} {text}"


def _several(heading: str, texts: Sequence[str]) -> list[str]:
    lines = [_line(heading if number == 0 else "", text) for number, text in enumerate(texts[:SHOWN])]
    return lines + ([_line("", f"and {len(texts) - SHOWN:,} more")] if len(texts) > SHOWN else [])


def _printable(text: str) -> str:
    """One line of what a terminal can show: other people's errors hold newlines and control codes."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _failure(row: Mapping[str, Any]) -> str:
    size = f"{row['runs']:,} x " if row["runs"] > 1 else ""
    cause = _printable(said(row["cause"]))
    return f"{size}{row['kind']} {row['dataset']} {row['model']}: {cause[:160]}  (sgonz logs {row['run_id'][:8]})"


def _gate(row: Mapping[str, Any], models: Mapping[str, str]) -> str:
    teacher = models.get(row["run_id"] or "", row["run_id"] or "a run")
    return _printable(f"{row['dataset']}: {teacher} teaches ({row['reason']})")


def _best(row: Mapping[str, Any]) -> str:
    score = "" if row["score"] is None else f"  {row['metric']} {row['score']:.2f}"
    before = "" if row["score_before"] is None else f" (before {row['score_before']:.2f})"
    loss = "" if row["loss"] is None else f"  loss {row['loss']:.4f}"
    return f"{row['kind']} {row['dataset']} {row['model']}{loss}{score}{before}"


def _decision(row: Mapping[str, Any]) -> str:
    parts = [
        row["what"].replace("_", " "),
        number_of(row["runs"], "run") if row["runs"] else "",
        row["reason"] or "",
    ]
    at = time.strftime("%b %d %H:%M", time.localtime(row["time"]))
    return _printable(f"{at}  {'  '.join(part for part in parts if part)}")


def as_rows(history: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each thing that happened, for tables that programs read."""
    rows = [{"what": "ended", **stage} for stage in history["stages"]]
    rows += [{"what": "failed", **row, "reason": row["cause"]} for row in history["failures"]]
    rows += [{"what": "best", **row} for row in history["bests"]]
    return [*rows, *history["gates"], *history["decisions"]]
