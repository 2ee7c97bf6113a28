"""A run that measures size and speed of one architecture."""

from __future__ import annotations

from typing import Any

import msgspec

from sgonz.errors import RunError
from sgonz.events import RunEnded
from sgonz.plan.runs import Measure, Outcome, RunSpec
from sgonz.rundir import write_atomic
from sgonz.train.benchmark import Timing, rows
from sgonz.train.running import Running, Stopped


def benchmark(running: Running) -> RunEnded:
    """Measure every batch size and length, and leave the rows in the run's output."""
    spec, measure = running.spec, running.spec.measure
    if measure is None or spec.model.architecture is None:
        raise RunError("a benchmark needs an architecture and what to measure of it")
    device = running.device.type if measure.device == "auto" else measure.device
    found: list[dict[str, Any]] = []
    try:
        for row in rows({spec.model.name: spec.model.architecture}, measure.batch_sizes, measure.lengths, device,
                        timing_of(spec, measure), reference_of(measure)):  # fmt: skip
            running.go_on()
            found.append(row)
    except Stopped:
        return running.ended(Outcome.PREEMPTED)
    write_atomic(running.run.measured, msgspec.json.encode(found))
    machine = found[0]["machine"]
    full = sum(row["status"] == "out_of_memory" for row in found)
    return running.ended(notes={"device": machine["device_name"], "rows": len(found), "out_of_memory": full})


def timing_of(spec: RunSpec, measure: Measure) -> Timing:
    published = spec.switches.get("latency") == "published"
    return Timing(protocol="paper" if published else "sound", warm_up=measure.warm_up, repeats=measure.repeats,
                  threads=spec.threads, reference=measure.reference)  # fmt: skip


def reference_of(measure: Measure) -> dict[str, dict[str, Any]]:
    if measure.reference is None or measure.reference_architecture is None:
        return {}
    return {measure.reference: measure.reference_architecture}
