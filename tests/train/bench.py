"""A work folder in which tests make runs and do them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sgonz.events import Event, RunEnded
from sgonz.plan.protocol import concerning, resolve
from sgonz.plan.runs import Dataset, Kind, Model, Need, RunSpec, Settings
from sgonz.rundir import RunDir, Workdir
from sgonz.train.execute import execute, never, settle
from sgonz.train.running import Running


class Bench:
    """A work folder in which runs are made and done."""

    def __init__(self, root: Path, folders: dict[str, Path], datasets: dict[str, Dataset]) -> None:
        self.workdir, self.folders, self.datasets = Workdir(root), folders, datasets
        self.workdir.create()
        self.events: list[Event] = []

    def run(self, run_id: str, kind: Kind, dataset: str, model: str, **fields: Any) -> RunDir:
        """Write run.json; settings by name, needs as role=run_id, the rest as in RunSpec."""
        given = self.datasets[dataset]
        standard = {"max_length": 64, "overlap": 16, "batch_size": 8, "epochs": 4, "learning_rate": 2e-3}
        settings = Settings(**(standard | fields.pop("settings", {})))
        switches = resolve(fields.get("protocol", "sound"), fields.pop("switches", {}))
        spec = RunSpec(
            run_id=run_id, kind=kind, dataset=given, settings=settings,
            model=Model(name=model, path=str(self.folders[model]), **fields.pop("model_fields", {})),
            switches=concerning(switches, kind=kind, task=given.task, dataset=dataset),
            needs=tuple(Need(role=role, run_id=need) for role, need in fields.pop("needs", {}).items()),
            **fields,
        )  # fmt: skip
        run = self.workdir.run(run_id)
        run.root.mkdir(parents=True)
        run.spec.write_bytes(msgspec.json.encode(spec))
        return run

    def preparing(self, run: RunDir) -> Running:
        """What a kind of run is handed, for a test that looks at its parts."""
        return Running(run=run, spec=run.read_spec(), attempt=1, emit=self.events.append, stop=never,
                       device=settle(1))  # fmt: skip

    def do(self, run: RunDir, *, stop: Callable[[], bool] = never, attempt: int = 1) -> RunEnded:
        return execute(run, attempt, self.events.append, stop=stop)
