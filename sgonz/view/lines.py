"""What is written where nobody draws: a line for everything that happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sgonz.plan.nodes import is_of_job
from sgonz.plan.remedy import said
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of
from sgonz.view.figures import done_of, headline, loss, printable, rate
from sgonz.view.stages import counts_line


def name_of(row: RunRow) -> str:
    """`distill  pos  sample-albert-2  lr 5e-4`."""
    words = [str(row.kind), printable(row.dataset), printable(row.model)]
    if row.learning_rate is not None:
        words.append(f"lr {rate(row.learning_rate)}")
    return "  ".join(words)


def reason_of(row: RunRow) -> str:
    """What went wrong, before what was made of it."""
    fault = None if row.state in (State.CANCELLED, State.SKIPPED) else row.signature
    if is_of_job(fault) and row.reason:
        return printable(f"{fault}: {row.reason}")
    return printable(said(fault or row.reason or row.signature or "no reason is known"))


def result_of(row: RunRow, metric: str | None) -> str:
    """What a completed run gave: loss and headline score, or the headline score on test."""
    if row.kind is Kind.EVALUATE:
        name, value = headline(row.test, metric)
        return "" if value is None else f"  test {printable(name)} {value:.1f}"
    name, value = headline(row.validation, metric)
    found = "" if row.validation_loss is None else f"  loss {loss(row.validation_loss)}"
    return found if value is None else f"{found}  {printable(name)} {value:.1f}"


def ended_lines(rows: Sequence[RunRow], runs: Mapping[str, int], metrics: Mapping[str, str]) -> Iterator[str]:
    """A line for each run that ended, counting up to how many are done now; what was never tried is one line."""
    done, every = done_of(runs)
    done -= len(rows)
    untried: Counter[tuple[State, str, str]] = Counter()
    for row in rows:
        if row.state in (State.SKIPPED, State.CANCELLED):
            untried[(row.state, row.dataset, reason_of(row))] += 1
            continue
        done += 1
        if row.state is State.FAILED:
            yield f"FAILED  {name_of(row)}  {reason_of(row)}  ({done}/{every})"
        else:
            yield f"{name_of(row)}{result_of(row, metrics.get(row.dataset))}  ({done}/{every})"
    for (state, dataset, reason), size in untried.items():
        done += size
        yield f"{state}  {number_of(size, 'run')} of {printable(dataset)}  {reason}  ({done}/{every})"


def again_line(row: RunRow) -> str:
    return f"tried again  {name_of(row)}  {reason_of(row)}"


def teacher_line(dataset: str, facts: Mapping[str, Any]) -> str:
    model = printable(facts["teacher_model"])
    return (
        f"teacher of {printable(dataset)}: {model} (validation loss {loss(facts['teacher_validation_loss'])})"
    )


def heartbeat_line(status: Mapping[str, Any]) -> str:
    done, every = done_of(status["runs"])
    return f"{printable(status['sweep'])}: {done} of {number_of(every, 'run')} done ({counts_line(status['runs']).plain})"
