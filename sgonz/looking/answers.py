"""What commands print, as JSON values: the contract that scripts build on. Tables are drawn from the same values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from sgonz.plan.decide import Decision
from sgonz.plan.health import suspect
from sgonz.plan.runs import TRAINED, Kind, State
from sgonz.plan.selection import best, collapsed_runs
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow
from sgonz.store.rows import FailedRow


def status(
    sweep: Sweep,
    rows: Sequence[RunRow],
    decision: Decision,
    memory: Sequence[Mapping[str, Any]] = (),
    to_come: int = 0,
    splits: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """`{"sweep", "runs": {STATE: count}, "attempts", "datasets": {id: {"teacher", ...}}, ...}`.

    `memory`: what starts smaller, or elsewhere, because memory did not suffice. `to_come`: bytes. `splits`: what runs
    tried in smaller parts, whether or not they have ended.
    """
    by_dataset: dict[str, list[RunRow]] = defaultdict(list)
    for row in rows:
        by_dataset[row.dataset].append(row)
    return {
        "sweep": sweep.name,
        "finished": decision.finished,
        "runs": _states(rows),
        "kinds": {kind: _states(group) for kind, group in _grouped(rows).items()},
        "attempts": sum(row.attempts for row in rows),
        "datasets": {name: _dataset(by_dataset[name], name, decision) for name in sweep.dataset_names},
        "failures": [_failure(row) for row in rows if row.state in (State.FAILED, State.SKIPPED)],
        "waiting": dict(Counter(decision.waiting.values())),
        "memory": list(memory),
        "splits": list(splits),
        "disk_to_come_gb": round(to_come / 2**30, 2),
        "excluded_nodes": dict(decision.excluded),
        "budget": None if decision.budget is None else msgspec.to_builtins(decision.budget),
    }  # fmt: skip


def brought_up_to_date(
    answer: Mapping[str, Any],
    counts: Mapping[tuple[Kind, str], Mapping[State, int]],
    failed: Sequence[FailedRow],
) -> dict[str, Any]:
    """What an earlier turn found, with runs as they stand now; teachers, reasons and attempts are that turn's."""
    kinds: dict[str, Counter[State]] = defaultdict(Counter)
    datasets: dict[str, dict[str, Counter[State]]] = defaultdict(lambda: defaultdict(Counter))
    for (kind, dataset), states in counts.items():
        kinds[kind].update(states)
        datasets[dataset][kind].update(states)
    now = _summed(kinds)
    return {
        **answer,
        "finished": answer["finished"] and all(state.is_final for state in map(State, now)),
        "runs": now,
        "kinds": {kind: _in_order(states) for kind, states in kinds.items()},
        "datasets": {
            name: {
                **facts,
                "runs": _summed(datasets[name]),
                "kinds": {kind: _in_order(states) for kind, states in datasets[name].items()},
            }
            for name, facts in answer["datasets"].items()
        },
        "failures": [_failure(row) for row in failed],
    }


def _failure(row: RunRow | FailedRow) -> dict[str, Any]:
    return {"run_id": row.run_id, "kind": row.kind, "dataset": row.dataset, "model": row.model, "state": row.state,
            "reason": row.reason, "error": row.signature}  # fmt: skip


def _summed(kinds: Mapping[str, Mapping[State, int]]) -> dict[str, int]:
    total: Counter[State] = Counter()
    for states in kinds.values():
        total.update(states)
    return _in_order(total)


def _in_order(counts: Mapping[State, int]) -> dict[str, int]:
    return {state: counts[state] for state in State if counts.get(state)}


def _dataset(rows: Sequence[RunRow], name: str, decision: Decision) -> dict[str, Any]:
    by_id = {row.run_id: row for row in rows}
    teacher = decision.teachers.get(name)
    by_loss, by_metric = decision.teachers_by_loss.get(name), decision.teachers_by_metric.get(name)
    chosen, other = (
        by_id.get(teacher or ""),
        by_id.get((by_loss if teacher == by_metric else by_metric) or ""),
    )
    return {
        "teacher": teacher,
        "teacher_model": chosen.model if chosen else None,
        "teacher_validation_loss": chosen.validation_loss if chosen else None,
        "teacher_flags": list(chosen.flags) if chosen else [],
        "teacher_by_loss": by_loss,
        "teacher_by_metric": by_metric,
        "other_teacher_model": other.model if other and other is not chosen else None,
        "runs": _states(rows),
        "kinds": {kind: _states(group) for kind, group in _grouped(rows).items()},
    }


def _grouped(rows: Sequence[RunRow]) -> dict[str, list[RunRow]]:
    groups: dict[str, list[RunRow]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    return groups


def _states(rows: Sequence[RunRow]) -> dict[str, int]:
    return _in_order(Counter(row.state for row in rows))


def results(
    rows: Sequence[RunRow],
    metrics: Mapping[str, str],
    notes: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """One row per finished or failed fine-tuning and distillation, test scores on the selected ones.

    `notes` is what runs counted, by run id: rows dropped, windows, coverage of an alignment.
    """
    tests = {
        need: row.test
        for row in rows
        if row.kind is Kind.EVALUATE and row.state is State.COMPLETED
        for need in row.needs
    }
    tests |= {row.run_id: row.test for row in rows if row.test and row.kind in TRAINED}  # imported with them
    ended = [row for row in rows if row.kind in TRAINED and row.state in (State.COMPLETED, State.FAILED)]
    order = {dataset: number for number, dataset in enumerate(dict.fromkeys(row.dataset for row in rows))}
    scores = {row.run_id: {**row.validation, **tests.get(row.run_id, {})} for row in rows}
    collapsed = collapsed_runs(rows, metrics)
    doubtful = _suspects(rows, metrics, tests)
    by_metric = _best_by_metric(rows, metrics, collapsed)
    return [
        {
            "run_id": row.run_id,
            "kind": row.kind,
            "dataset": row.dataset,
            "model": row.model,
            "teacher": row.teacher,
            "protocol": row.protocol,
            "seed": row.seed,
            "learning_rate": row.learning_rate,
            "batch_size": row.batch_size,
            "epochs": row.epochs,
            "best_epoch": row.best_epoch,
            "epochs_done": row.epochs_done,
            "validation_loss": row.validation_loss,
            "validation": _named(row.validation, scores[row.run_id]),
            "test": _named(tests.get(row.run_id, {}), scores[row.run_id]),
            "metric": metrics.get(row.dataset),
            "selected": row.selected,
            "selected_by_metric": row.run_id in by_metric,
            "superseded": row.superseded,
            "state": row.state,
            "flags": [
                *row.flags,
                *(["collapsed"] if row.run_id in collapsed else []),
                *(["suspect"] if row.run_id in doubtful else []),
            ],
            "notes": dict(notes.get(row.run_id, {})),
            "seconds": row.seconds,
            "reason": row.reason,
        }
        for row in sorted(ended, key=lambda row: (order[row.dataset], TRAINED.index(row.kind)))
    ]


def _suspects(
    rows: Sequence[RunRow], metrics: Mapping[str, str], tests: Mapping[str, Mapping[str, float]]
) -> set[str]:
    """Selected runs that are far below the best selected one of their stage and data set, on either split."""
    stages: dict[tuple[str, str], list[RunRow]] = defaultdict(list)
    for row in rows:
        if row.selected and row.kind in TRAINED:
            stages[row.kind, row.dataset].append(row)
    found: set[str] = set()
    for (_, dataset), stage in stages.items():
        metric = metrics.get(dataset, "")
        for split in ({row.run_id: row.validation for row in stage}, tests):
            scores = {row.run_id: split.get(row.run_id, {}).get(metric) for row in stage}
            there = {run_id: score for run_id, score in scores.items() if score is not None}
            found |= {run_id for run_id, score in there.items() if suspect(score, max(there.values()))}
    return found


def _best_by_metric(rows: Sequence[RunRow], metrics: Mapping[str, str], collapsed: set[str]) -> set[str]:
    """What would be selected if the headline score on validation decided."""
    groups: dict[tuple[Any, ...], list[RunRow]] = defaultdict(list)
    for row in rows:
        if row.kind in TRAINED and not row.superseded:
            groups[row.kind, row.dataset, row.model, row.needs, row.seed].append(row)
    winners = (
        best(group, f"validation_{metrics.get(group[0].dataset)}", collapsed)
        for group in groups.values()
        if all(row.state.is_final for row in group)
    )
    return {row.run_id for row in winners if row is not None}


def _named(found: Mapping[str, float], every: Mapping[str, float]) -> dict[str, float | None]:
    """The scores that the task has, null where this split's was not computed; a loss is no score of the other."""
    return {name: found.get(name) for name in every if name in found or name != "loss"}


def leaderboard(result_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The selected results by data set, best validation loss first within fine-tuned and distilled."""
    chosen = [row for row in result_rows if row["selected"] and not row["superseded"]]
    datasets = list(dict.fromkeys(row["dataset"] for row in result_rows))
    return [
        {
            **{
                name: row[name]
                for name in ("dataset", "kind", "model", "teacher", "seed", "learning_rate", "batch_size")
            },
            "epoch": row["best_epoch"],
            "validation_loss": row["validation_loss"],
            "metric": row["metric"],
            "validation": row["validation"].get(row["metric"]),
            "test": row["test"].get(row["metric"]),
            "flags": row["flags"],
            "run_id": row["run_id"],
        }
        for row in sorted(
            chosen,
            key=lambda row: (
                datasets.index(row["dataset"]),
                row["kind"] != Kind.FINETUNE,
                row["validation_loss"] or 0.0,
            ),
        )
    ]


def plain(value: Any) -> Any:
    """The value with plain JSON types only."""
    return msgspec.to_builtins(value)
