"""A database server that is away for a while: the sweep waits for it, says so, and loses nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from servers import Server

from sgonz.cluster.local import LocalCluster
from sgonz.cluster.profile import load_profile
from sgonz.commands import running
from sgonz.control.runs import add_grid
from sgonz.coordinator import turn as coordinator
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.errors import StoreSilent
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Kind, Model, Outcome, RunSpec, Settings, State
from sgonz.plan.spec import decode
from sgonz.rundir import Workdir
from sgonz.store.store import open_store

TABLE = {"name": "nothing", "datasets": ["d"], "finetune": {"models": ["m"]}, "evaluate": False}


def nothing(number: int) -> RunSpec:
    dataset = Dataset(name="d", task="tagging", format="conllu", metric="f1")
    return RunSpec(
        run_id=f"{number:04d}", kind=Kind.NOOP, dataset=dataset, model=Model(name="m"), settings=Settings()
    )


def test_sweep_waits_for_a_server_that_was_stopped_and_loses_nothing(
    own_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Workdir(tmp_path / "work")
    work.create()
    url = own_server.url.format(database="postgres")
    store = open_store(url, workspace=work.root, create=True)
    sweep = store.add_sweep(name="nothing", text="", spec_json="{}", cluster="local", time=1.0, provenance={})
    profile = load_profile("local")
    dataset = Dataset(name="d", task="tagging", format="conllu", metric="f1")
    at = Coordinator(
        workdir=work,
        store=store,
        cluster=LocalCluster(profile),
        profile=profile,
        sweep_id=sweep,
        sweep=decode(TABLE, "test"),
        sources=Sources(datasets={"d": dataset}, models={"m": Model(name="m")}),
    )
    back = threading.Timer(2.0, own_server.control, ["start"])
    observe, looks = coordinator.observe, 0

    def stopped_at_the_second_look(held: Coordinator) -> tuple[list[str], list[str]]:
        nonlocal looks
        looks += 1
        if looks == 2:  # jobs have been sent and nothing has been collected from them
            own_server.control("stop")
            back.start()
        return observe(held)

    monkeypatch.setattr(coordinator, "observe", stopped_at_the_second_look)
    with closing(at):
        add_grid(at, [nothing(number) for number in range(30)])
        last = running._turn_until_done(at)
        attempts = store.attempts()
    back.join()
    said = capsys.readouterr().err
    assert "does not answer" in said
    assert "answers again" in said
    assert {row.state for row in last.rows} == {State.COMPLETED}
    assert sorted(row.run_id for row in attempts) == [f"{number:04d}" for number in range(30)]
    assert {row.outcome for row in attempts} == {Outcome.COMPLETED}
    assert looks > 3


def test_silence_is_told_apart_from_a_refusal(own_server: Server, tmp_path: Path) -> None:
    url = own_server.url.format(database="postgres")
    with open_store(url, workspace=tmp_path, create=True) as store:
        own_server.control("stop")
        with pytest.raises(StoreSilent):
            store.snapshot()
        own_server.control("start")
        assert store.snapshot() == []
