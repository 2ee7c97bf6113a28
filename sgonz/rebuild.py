"""The store again, from coordinator.jsonl, event files and run folders: what was done is done once more, in order.

The journal says in which order the store was written and how far event files had been read by then; what the
events said stands in the files alone. Everything happens in one transaction, so a rebuild that is interrupted
has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sgonz.coordinator.collection import file_order, read_stretch
from sgonz.errors import StoreError
from sgonz.events import size
from sgonz.plan.orders import Orders
from sgonz.plan.runs import RunSpec, State
from sgonz.rundir import Workdir
from sgonz.store import collect, generations, jobs, labels, measured, orders, sweeps, usage
from sgonz.store.imported import Imported, add_imported
from sgonz.store.maintain import forget_workspace
from sgonz.store.rows import BenchmarkRow, EndedJob, Problem, Stretch, UsageRow
from sgonz.store.store import Store
from sgonz.store.transaction import Transaction
from sgonz.workdir.journal import JOURNAL_FORMAT, undone

FOUND = "found-on-disk"  # sweep of runs that the journal does not know


class Line(msgspec.Struct, frozen=True):
    """One line of the journal, as far as a rebuild reads it."""

    v: int
    time: float
    type: str
    do: str = ""
    facts: dict[str, Any] = {}


_line = msgspec.json.Decoder(Line)


@dataclass
class Replay:
    """What is being rebuilt, and what came to light on the way."""

    at: Transaction
    workdir: Workdir
    sweep_ids: dict[int, int] = field(default_factory=dict)  # as in the journal -> as now
    missing: list[str] = field(default_factory=list)  # event files
    shortened: list[str] = field(default_factory=list)  # shorter than what had been read
    steps: int = 0


def rebuild(store: Store, workdir: Workdir) -> Replay:
    """Forget what the store knows of the work folder and learn it anew.

    Raises StoreError where there is no journal, or one of a newer version.
    """
    if not size(workdir.journal):
        raise StoreError(
            f"{workdir.journal} is not there or empty, and holds what no other file tells",
            hint="Restore it from a backup; results of single runs stand in runs/*/*/output/scores.json.",
        )
    with store.transaction() as at:
        forget_workspace(at)
        replay = Replay(at, workdir)
        recorded = size(workdir.journal)
        for line in journal_lines(workdir.journal):
            if line.type == "store":
                STEPS[line.do](replay, line.facts)
                replay.steps += 1
        _read_to_the_end(replay)
        _adopt_found(replay)
        at.set_recorded(recorded)
    return replay


def journal_lines(path: Path) -> Iterator[Line]:
    """Whole lines that are true; one that is torn or marked as undone was never followed by its commit."""
    left_out, position = undone(path), 0
    with path.open("rb") as stream:
        for number, text in enumerate(stream, 1):
            start, position = position, position + len(text)
            try:
                line = _line.decode(text)
            except msgspec.DecodeError:
                continue
            if line.v > JOURNAL_FORMAT:
                raise StoreError(
                    f"{path}:{number} was written by a newer sgonz", hint="Rebuild with that version."
                )
            if start not in left_out:
                yield line


def _add_sweep(to: Replay, facts: Mapping[str, Any]) -> None:
    known = {name: value for name, value in facts.items() if name != "id"}
    to.sweep_ids[facts["id"]] = sweeps.add_sweep(to.at, **known)


def _add_runs(to: Replay, facts: Mapping[str, Any]) -> None:
    specs = msgspec.convert(facts["new"], list[RunSpec])
    number = to.sweep_ids[facts["sweep_id"]]
    sweeps.add_runs(to.at, number, specs)
    sweeps.link_runs(to.at, number, facts["run_ids"])


def _set_state(to: Replay, facts: Mapping[str, Any]) -> None:
    jobs.set_state(to.at, facts["run_ids"], State(facts["state"]), reason=facts["reason"], time=facts["time"])


def _reset_failures(to: Replay, facts: Mapping[str, Any]) -> None:
    jobs.reset_failures(to.at, facts["run_ids"])


def _renew(to: Replay, facts: Mapping[str, Any]) -> None:
    generations.renew(to.at, facts["fences"], facts["reason"], facts["at_work"], facts["time"])


def _set_orders(to: Replay, facts: Mapping[str, Any]) -> None:
    said = msgspec.convert(facts["orders"], Orders)
    orders.set_orders(to.at, to.sweep_ids[facts["sweep_id"]], said)


def _mark_selected(to: Replay, facts: Mapping[str, Any]) -> None:
    number = to.sweep_ids[facts["sweep_id"]]
    sweeps.mark_selected(to.at, set(facts["selected"]), set(facts["superseded"]), sweep_id=number)


def _add_submission(to: Replay, facts: Mapping[str, Any]) -> None:
    jobs.forget_submission(to.at, facts["tag"])  # a tag that comes again was not committed before
    jobs.add_submission(to.at, **{**facts, "sweep_id": to.sweep_ids[facts["sweep_id"]]})


def _extend_job(to: Replay, facts: Mapping[str, Any]) -> None:
    jobs.extend_job(to.at, facts["tag"], facts["element"], facts["run_ids"], facts["time"])


def _mark_sent(to: Replay, facts: Mapping[str, Any]) -> None:
    jobs.mark_sent(to.at, facts["tag"], facts["external_ids"], facts["time"])


def _end_jobs(to: Replay, facts: Mapping[str, Any]) -> None:
    over = msgspec.convert(facts["ended"], list[EndedJob])
    for file, position in facts["read"].items():
        tag, element = file.split("/")[1], int(file.split("/")[-1].split(".")[0])
        _read(to, file, position, tag, element, facts["time"])
    jobs.end_jobs(to.at, over, facts["time"])


def _collect(to: Replay, facts: Mapping[str, Any]) -> None:
    for file, position, tag, element in facts["read"]:
        _read(to, file, position, tag, element, facts["time"])


def _account_jobs(to: Replay, facts: Mapping[str, Any]) -> None:
    usage.account_jobs(to.at, msgspec.convert(facts["usages"], list[UsageRow]), facts["time"])


def _add_benchmarks(to: Replay, facts: Mapping[str, Any]) -> None:
    measured.add_benchmarks(to.at, msgspec.convert(facts["rows"], list[BenchmarkRow]))


def _forget_artifacts(to: Replay, facts: Mapping[str, Any]) -> None:
    measured.forget_artifacts(to.at, facts["run_ids"])


def _import_results(to: Replay, facts: Mapping[str, Any]) -> None:
    rows = msgspec.convert(facts["rows"], list[Imported])
    add_imported(to.at, to.sweep_ids[facts["sweep_id"]], rows, facts["time"])


def _add_note(to: Replay, facts: Mapping[str, Any]) -> None:
    labels.add_note(to.at, **facts)


def _remove_note(to: Replay, facts: Mapping[str, Any]) -> None:
    labels.remove_note(to.at, facts["sweep"], facts["number"])


def _set_tags(to: Replay, facts: Mapping[str, Any]) -> None:
    labels.set_tags(to.at, facts["sweep"], facts["tags"])


STEPS: dict[str, Callable[[Replay, Mapping[str, Any]], None]] = {
    "add_sweep": _add_sweep,
    "add_runs": _add_runs,
    "set_state": _set_state,
    "reset_failures": _reset_failures,
    "renew": _renew,
    "set_orders": _set_orders,
    "mark_selected": _mark_selected,
    "add_submission": _add_submission,
    "extend_job": _extend_job,
    "mark_sent": _mark_sent,
    "end_jobs": _end_jobs,
    "collect": _collect,
    "account_jobs": _account_jobs,
    "add_benchmarks": _add_benchmarks,
    "forget_artifacts": _forget_artifacts,
    "import_results": _import_results,
    "add_note": _add_note,
    "remove_note": _remove_note,
    "set_tags": _set_tags,
}


def _read(to: Replay, file: str, position: int | None, tag: str, element: int, time: float) -> None:
    """Apply a file's events up to a position, or to its end."""
    path = to.workdir.root / file
    done = collect.position(to.at, file)
    if not path.exists():
        to.missing.append(file)
        return
    there = size(path)
    last = there if position is None else position
    if there < last:
        to.shortened.append(file)
    while done < last:
        events, end, problems = read_stretch(path, done, last)
        if end == done:
            return
        named: list[Problem] = [msgspec.structs.replace(problem, file=file) for problem in problems]
        stretch = Stretch(file=file, events=events, offset=end, tag=tag, element=element, problems=named)
        collect.apply_stretches(to.at, [stretch], time)
        done = end


def _read_to_the_end(to: Replay) -> None:
    """What workers wrote and no turn had read yet; the first turn would find it too."""
    for job in jobs.live_jobs(to.at):
        folder = to.workdir.job(job.tag) / "events"
        for path in sorted(folder.glob(f"{job.element}.*.jsonl"), key=file_order):
            name = str(path.relative_to(to.workdir.root))
            if collect.position(to.at, name):  # a new file is left to a turn, which sees whether it is a copy
                _read(to, name, None, job.tag, job.element, 0.0)


def _adopt_found(to: Replay) -> None:
    """Finished runs whose folders are there although the journal knows nothing of them."""
    folders = [path.parent for path in sorted((to.workdir.root / "runs").glob("*/*/run.json"))]
    known = sweeps.known_runs(to.at, (folder.name for folder in folders))
    found: list[RunSpec] = []
    for folder in folders:
        run = to.workdir.run(folder.name)
        if folder.name not in known and run.result.exists():
            found.append(run.read_spec())
    there = known | {spec.run_id for spec in found}
    found = [spec for spec in found if all(need.run_id in there for need in spec.needs)]
    if not found:
        return
    number = sweeps.add_sweep(
        to.at, name=FOUND, text="", spec_json="{}", cluster="local", time=0.0, provenance={}, newest=False
    )
    sweeps.add_runs(to.at, number, _needs_first(found))
    for spec in found:
        result = to.workdir.run(spec.run_id).read_result()
        if result is not None:
            adopted = msgspec.structs.replace(result, adopted=True)
            file = f"runs/{spec.run_id[:2]}/{spec.run_id}/output/scores.json"
            stretch = Stretch(file=file, events=[adopted], offset=1, tag="", element=0)
            collect.apply_stretches(to.at, [stretch], 0.0)


def _needs_first(specs: list[RunSpec]) -> list[RunSpec]:
    by_id = {spec.run_id: spec for spec in specs}
    ordered: dict[str, RunSpec] = {}

    def place(spec: RunSpec) -> None:
        for need in spec.needs:
            if need.run_id in by_id and need.run_id not in ordered:
                place(by_id[need.run_id])
        ordered.setdefault(spec.run_id, spec)

    for spec in specs:
        place(spec)
    return list(ordered.values())
