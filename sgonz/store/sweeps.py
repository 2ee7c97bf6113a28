"""Sweeps and the runs that they plan."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from sgonz.errors import StoreError
from sgonz.plan.runs import Kind, RunSpec, State
from sgonz.store.rows import SweepRow
from sgonz.store.tables import needs, runs, sweep_runs, sweeps, tallies
from sgonz.store.transaction import Transaction, as_text, chunks

MANY = 1000  # new runs after which the planner's idea of the tables is out of date
FEW_TIMES = 10  # a store of up to this many runs for each that is asked for is read whole, which is quicker

_spec_encoder = msgspec.json.Encoder()
_spec_decoder = msgspec.json.Decoder(RunSpec)


def add_sweep(
    at: Transaction,
    *,
    name: str,
    text: str,
    spec_json: str,
    cluster: str,
    time: float,
    provenance: Mapping[str, object],
    newest: bool = True,
) -> int:
    """The sweep's id; the same name and resolved content give the same one. It becomes the newest either way.

    What a file names is part of that content: a data set that changed makes another sweep of the same text.
    """
    digest = hashlib.sha256(spec_json.encode()).hexdigest()
    here = sweeps.c.workspace_id == at.workspace
    known = at.connection.execute(
        select(sweeps.c.id).where(here, sweeps.c.name == name, sweeps.c.digest == digest)
    ).scalar()
    last = at.connection.execute(select(func.max(sweeps.c.recency)).where(here)).scalar()
    latest: dict[str, Any] = {
        "recency": (last or 0) + 1 if newest else 0,
        "cluster": cluster,
        "submitted": time,
        "provenance": as_text(provenance),
    }
    if known is not None:
        at.connection.execute(update(sweeps).where(sweeps.c.id == known).values(latest))
        return int(known)
    said = select(sweeps.c.orders).where(here, sweeps.c.name == name).order_by(sweeps.c.recency.desc())
    added = at.connection.execute(
        insert(sweeps).values(
            workspace_id=at.workspace,
            orders=at.connection.execute(
                said.limit(1)
            ).scalar(),  # a file that was edited is not let go by that
            name=name,
            digest=digest,
            text=text,
            spec_json=spec_json,
            created=time,
            **latest,
        )
    )
    key = added.inserted_primary_key
    assert key is not None  # an INSERT of one row has one
    return int(key[0])


def list_sweeps(at: Transaction) -> list[SweepRow]:
    """Newest first, each with its runs counted by state."""
    counted: dict[int, dict[State, int]] = defaultdict(dict)
    counts = (
        select(tallies.c.sweep_id, tallies.c.state, func.sum(tallies.c.runs))
        .where(tallies.c.workspace_id == at.workspace, tallies.c.runs > 0)
        .group_by(tallies.c.sweep_id, tallies.c.state)
    )
    for sweep_id, state, count in at.connection.execute(counts):
        counted[sweep_id][State(state)] = int(count)
    found = select(sweeps).where(sweeps.c.workspace_id == at.workspace).order_by(sweeps.c.recency.desc())
    return [
        SweepRow(
            id=row.id,
            name=row.name,
            text=row.text,
            spec_json=row.spec_json,
            cluster=row.cluster,
            created=row.created,
            provenance=msgspec.json.decode(row.provenance),
            states=counted[row.id],
        )
        for row in at.connection.execute(found)
    ]


def add_runs(at: Transaction, sweep_id: int, specs: Sequence[RunSpec]) -> int:
    """Link runs to the sweep, adding those that are not there; how many that were.

    What a run needs has to be in the store, or to come before it in `specs`.
    """
    unique = {spec.run_id: spec for spec in specs}
    new = new_runs(at, specs)
    if new:
        last = at.connection.execute(
            select(func.max(runs.c.position)).where(runs.c.workspace_id == at.workspace)
        ).scalar()
        first = 0 if last is None else last + 1
        rows = [_columns(spec, position) for position, spec in enumerate(new, first)]
        at.fill(runs, rows)
        needed = [
            {"run_id": spec.run_id, "role": need.role, "needed_id": need.run_id}
            for spec in new
            for need in spec.needs
        ]
        at.fill(needs, needed)
    link_runs(at, sweep_id, unique)
    if len(new) >= MANY:
        at.refresh_statistics()
    return len(new)


def link_runs(at: Transaction, sweep_id: int, run_ids: Iterable[str]) -> None:
    """Make runs that are in the store part of a sweep; nothing for those that are."""
    linked = select(sweep_runs.c.run_id).where(
        sweep_runs.c.workspace_id == at.workspace, sweep_runs.c.sweep_id == sweep_id
    )
    there = set(at.connection.execute(linked).scalars())
    links = [
        {"sweep_id": sweep_id, "run_id": run_id, "selected": False, "superseded": False}
        for run_id in sorted(set(run_ids))  # in the order of the key, which is several times faster
        if run_id not in there
    ]
    at.fill(sweep_runs, links)


def read_specs(at: Transaction, run_ids: Iterable[str]) -> list[RunSpec]:
    """In the order asked for. Raises StoreError for a run that is not there."""
    wanted = list(run_ids)
    found: dict[str, str] = {}
    for chunk in chunks(wanted):
        chosen = select(runs.c.run_id, runs.c.spec).where(
            runs.c.workspace_id == at.workspace, runs.c.run_id.in_(chunk)
        )
        found.update((run_id, spec) for run_id, spec in at.connection.execute(chosen))
    if missing := [run_id for run_id in wanted if run_id not in found]:
        raise StoreError(
            f"run {missing[0]} is not in the store", hint="sgonz status lists the runs that are."
        )
    return [_spec_decoder.decode(found[run_id]) for run_id in wanted]


def mark_selected(
    at: Transaction, selected: Collection[str], superseded: Collection[str], *, sweep_id: int
) -> None:
    """Set both marks of all of the sweep's runs."""
    in_sweep = (sweep_runs.c.workspace_id == at.workspace) & (sweep_runs.c.sweep_id == sweep_id)
    marked = sweep_runs.c.selected | sweep_runs.c.superseded
    at.connection.execute(update(sweep_runs).where(in_sweep, marked).values(selected=False, superseded=False))
    marks = [
        {"this": run_id, "selected": run_id in selected, "superseded": run_id in superseded}
        for run_id in sorted({*selected, *superseded})
    ]
    if marks:
        at.connection.execute(
            update(sweep_runs).where(in_sweep, sweep_runs.c.run_id == bindparam("this")), marks
        )


def new_runs(at: Transaction, specs: Iterable[RunSpec]) -> list[RunSpec]:
    """Those of them that are not in the store, each once, in order."""
    unique = {spec.run_id: spec for spec in specs}
    known = known_runs(at, unique)
    return [spec for run_id, spec in unique.items() if run_id not in known]


def known_runs(at: Transaction, run_ids: Iterable[str]) -> set[str]:
    """Which of these runs are in the store."""
    asked = set(run_ids)
    stored = select(runs.c.run_id).where(runs.c.workspace_id == at.workspace)
    counted = select(func.sum(tallies.c.runs)).where(
        tallies.c.workspace_id == at.workspace, tallies.c.sweep_id == 0
    )
    if (at.connection.execute(counted).scalar() or 0) <= FEW_TIMES * len(asked):
        return asked.intersection(at.connection.execute(stored).scalars())
    known: set[str] = set()
    for chunk in chunks(asked):
        known.update(at.connection.execute(stored.where(runs.c.run_id.in_(chunk))).scalars())
    return known


def criterion_value(criterion: str, loss: float | None, validation: Mapping[str, float]) -> float | None:
    """What selection compares, smaller is better; None where there is no finite one."""
    if criterion == "validation_loss":
        return loss if loss is not None and math.isfinite(loss) else None
    score = validation.get(criterion.removeprefix("validation_"))
    return None if score is None else -score


def _columns(spec: RunSpec, position: int) -> dict[str, Any]:
    settings = spec.settings
    return {
        "run_id": spec.run_id,
        "position": position,
        "kind": spec.kind,
        "dataset": spec.dataset.name,
        "task": spec.dataset.task,
        "model": spec.model.name,
        "teacher": _teacher(spec),
        "protocol": spec.protocol,
        "seed": spec.seed,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "epochs": settings.epochs,
        "loss": settings.loss,
        "alpha": settings.alpha,
        "temperature": settings.temperature,
        "criterion": spec.criterion,
        "metric": spec.dataset.metric,
        "state": State.PENDING,
        "attempts": 0,
        "failures": 0,
        "interruptions": 0,
        "signature_repeats": 0,
        "spec": _spec_encoder.encode(spec).decode(),
    }


def _teacher(spec: RunSpec) -> str | None:
    if spec.teacher is not None:
        return spec.teacher.name
    return spec.model.name if spec.kind is Kind.LOGITS else None
