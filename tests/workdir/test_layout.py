"""What a submission puts on disk, and what a worker makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from job_folders import job_list, noop

from sgonz import bare
from sgonz.plan.runs import RunSpec
from sgonz.rundir import Element, RunDir, Workdir
from sgonz.workdir.layout import add_specs, link, sent, write_job

TAG = "sgonz-test-000001"


def read_specs(folder: Path, element: Element) -> dict[str, RunSpec]:
    """As a worker finds them."""
    found = bare.specs(str(folder), msgspec.to_builtins(element))
    return {run_id: msgspec.json.decode(line, type=RunSpec) for run_id, line in found.items()}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_submission_is_two_files_and_every_element_finds_its_runs(tmp_path: Path):
    workdir = Workdir(tmp_path)
    specs = {run_id: noop(run_id) for run_id in ("aa01", "bb02", "cc03")}
    written = write_job(workdir, job_list(TAG, ["bb02"], ["cc03", "aa01"]), specs)
    assert files(tmp_path) == {f"jobs/{TAG}/job.json", f"jobs/{TAG}/runs.jsonl"}
    assert sent(workdir) == set(specs)
    found = [read_specs(workdir.job(TAG), element) for element in written.elements]
    assert found == [{"bb02": specs["bb02"]}, {"cc03": specs["cc03"], "aa01": specs["aa01"]}]


def test_runs_added_later_stand_behind_the_others(tmp_path: Path):
    workdir = Workdir(tmp_path)
    specs = {run_id: noop(run_id) for run_id in ("aa01", "bb02")}
    [first] = write_job(workdir, job_list(TAG, ["aa01"]), specs).elements
    [more] = add_specs(workdir.job(TAG), [Element(run_ids=("bb02",))], specs)
    assert [read_specs(workdir.job(TAG), element) for element in (first, more)] == [
        {"aa01": specs["aa01"]},
        {"bb02": specs["bb02"]},
    ]


def test_an_element_without_a_place_has_its_specs_in_the_folders_of_its_runs(tmp_path: Path):
    assert read_specs(tmp_path, Element(run_ids=("aa01",))) == {}


def test_a_run_that_a_dying_machine_left_half_written_is_laid_out_again(tmp_path: Path):
    run, spec = Workdir(tmp_path).run("aa01"), noop("aa01")
    run.root.mkdir(parents=True)
    run.spec.touch()
    for _ in range(2):
        bare.lay_out(str(run.root), msgspec.json.encode(spec))
        link(run, "a sweep", spec)
        assert run.read_spec() == spec
        [named] = links(tmp_path)
        assert RunDir(named.resolve()).read_spec() == spec


def links(folder: Path) -> list[Path]:
    return [Path(top, name) for top, folders, _ in os.walk(folder / "by-name") for name in folders if Path(top, name).is_symlink()]  # fmt: skip
