"""Which runs share a job."""

from __future__ import annotations

from itertools import chain, groupby

from sgonz.plan.packing import pack
from sgonz.plan.runs import Kind
from sgonz.plan.state import RunRow


def row(number: int, dataset: str, model: str) -> RunRow:
    return RunRow(run_id=f"{number:04x}", kind=Kind.FINETUNE, dataset=dataset, model=model, seed=number)


def grid(seeds: int) -> list[RunRow]:
    """Seed by seed, as a sweep lists them: what shares a model stands far apart."""
    cells = [(dataset, model) for dataset in ("pos", "ner") for model in ("small", "large")]
    return [row(4 * seed + number, *cell) for seed in range(seeds) for number, cell in enumerate(cells)]


def packed(
    rows: list[RunRow], *, seconds: float, target: float, jobs: int | None = None
) -> list[tuple[str, ...]]:
    return pack(rows, seconds=lambda row: seconds, target_seconds=target, runs_per_job=None, jobs=jobs)


def test_runs_of_one_data_set_and_model_stand_together_wherever_the_sweep_lists_them():
    rows = grid(10)
    cell = {row.run_id: (row.dataset, row.model) for row in rows}
    jobs = packed(rows, seconds=10.0, target=100.0)
    assert sorted(chain(*jobs)) == sorted(cell)
    assert [len({cell[run_id] for run_id in job}) for job in jobs] == [1, 1, 1, 1]


def test_a_cell_that_fills_no_job_shares_one_and_is_not_torn_apart():
    rows = grid(3)
    cell = {row.run_id: (row.dataset, row.model) for row in rows}
    (job,) = packed(rows, seconds=10.0, target=1000.0)
    assert len(list(groupby(job, key=cell.__getitem__))) == 4


def test_jobs_are_as_long_as_asked_whatever_their_runs_take():
    assert [len(job) for job in packed(grid(10), seconds=10.0, target=200.0)] == [20, 20]
    assert [len(job) for job in packed(grid(10), seconds=5.0, target=200.0)] == [40]
    assert [len(job) for job in packed(grid(10), seconds=5.0, target=200.0, jobs=8)] == [5] * 8
