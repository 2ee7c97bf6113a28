"""benchmark: size, work and speed of models, from their configurations alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgonz import catalog
from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.errors import SpecError
from sgonz.plan.protocol import Protocol
from sgonz.plan.runs import Model
from sgonz.plan.wording import number_of
from sgonz.sweep.architectures import architecture_of
from sgonz.train.benchmark import Timing, rows

COLUMNS = ("model", "batch_size", "length", "parameters", "macs", "macs_full")
TIMED = ("size_mb", "latency_ms", "latency_std_ms", "latency_median_ms", "reference_ms", "status")


def benchmark(
    names: str,
    lengths: Sequence[int],
    batch_sizes: Sequence[int],
    device: str | None,
    *,
    protocol: Protocol,
    repeats: int,
    reference: str,
    output: str,
) -> None:
    models = architectures(names)
    beside = architectures(reference) if device and reference != "none" else {}
    timing = Timing(protocol=protocol, repeats=repeats, reference=next(iter(beside), None))
    found = []
    points = len(models) * len(batch_sizes) * len(lengths)
    with working("measuring") as shown:
        for row in shown.through(rows(models, batch_sizes, lengths, device, timing, beside), points):
            found.append(row)
            if device:
                shown.say(f"{row['model']}, {row['batch_size']} x {row['length']}: {_latency(row)}")
    columns = (*COLUMNS, *TIMED) if device else (*COLUMNS, "latency_ms")
    if output != "table":
        options.print_rows(found, output, columns)
        return
    if device:
        from sgonz.view.speeds import show_speeds

        show_speeds(found, _machine(found, timing.reference))
        return
    from sgonz.view.tables import show_rows

    show_rows(COLUMNS, found)


def architectures(names: str) -> dict[str, Mapping[str, Any]]:
    """By name: `all` of the catalog, or a list of catalog names and model folders.

    Raises SpecError for a name that is neither.
    """
    if names == "all":
        return {name: entry.architecture() for name, entry in catalog.models().items()}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise SpecError("--models names no model", hint=f"Known: all, {', '.join(catalog.models())}.")
    return {name: _architecture(name) for name in wanted}


def _architecture(name: str) -> Mapping[str, Any]:
    found = architecture_of(Model(name=name, path=name if Path(name).is_dir() else None))
    if found is None:
        known = list(catalog.models())
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise SpecError(f"model {name!r} is not known{guess}",
                        hint=f"Known: all, {', '.join(known)}, or a folder with a config.json.")  # fmt: skip
    return found


def sizes(option: str, listed: str) -> tuple[int, ...]:
    """Whole numbers from 1, with commas between them."""
    parts = [part.strip() for part in listed.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        raise SpecError(f"{option} {listed}: expected whole numbers from 1, such as 128,256")
    return tuple(dict.fromkeys(map(int, parts)))


def _latency(row: Mapping[str, Any]) -> str:
    latency = row["latency_ms"]
    return f"{latency:.2f} ms" if latency is not None else row["status"].replace("_", " ")


def _machine(found: Sequence[Mapping[str, Any]], reference: str | None) -> str:
    machine = found[0]["machine"]
    where = f"{machine['device_name']}, {number_of(machine['threads'], 'thread')}, {machine['host']}"
    return f"{where}; speedup over {reference}" if reference else where
