"""A run's identity: a hash over everything that can change its numbers, and over nothing else.

Ids outlive upgrades. A setting or switch that stands at the value it had before it existed is left out, and
a name that was changed is hashed under the name it was first published with; so a new option never makes a
finished study new. The tables here are history: entries are added, never changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from sgonz.plan.protocol import SWITCHES
from sgonz.plan.runs import Kind, RunSpec

ID_LENGTH = 16  # hex digits: 64 bits, so that a million runs collide with probability 3e-8

# What held before a setting could be written in a sweep file.
SETTINGS_BEFORE: Mapping[str, Any] = {
    "weight_decay": 0.0, "warmup_ratio": 0.0, "max_grad_norm": 1.0, "max_length": 512, "overlap": 128, "patience": None,
    "eval_every_steps": None, "answer_limit": 30, "n_best": 20, "loss": "kl", "alpha": 0.0, "temperature": 1.0,
    "pool": "logsumexp", "alignment": "auto",
}  # fmt: skip
SWITCHES_BEFORE: Mapping[str, Any] = {
    "patience_rule": "reached", "validation_mean": "rows", "distill_order": "shuffled", "batching": "length_aware",
    "distill_decay": "weights", "distill_clipping": "norm", "auto_precision": "best", "accumulation": "global",
    "qa_columns": "text", "qa_distill_limit": 30, "qa_answers": "valid", "qa_questions": "stripped", "test_overlap": "drop",
    "placeholder_rows": "drop", "tagging_length": "windows", "tagging_labels": "first_piece", "logits_dtype": "float16",
    "latency": "synchronised",
}  # fmt: skip
FIRST_NAMES: Mapping[str, str] = {}  # today's name -> the name it was first published with
FIELDS_BEFORE: Mapping[str, Any] = {
    "threads": 1,
    "precision": "auto",
    "criterion": "validation_loss",
    "numerics": 1,
}

ALWAYS = frozenset({"learning_rate", "batch_size", "epochs"})
QA_ONLY = frozenset({"overlap", "answer_limit", "n_best", "pool"})
DISTILL_ONLY = frozenset({"loss", "alpha", "temperature", "pool", "alignment"})
TOKENISING = frozenset({"max_length", "overlap"})
SCORING = TOKENISING | {"answer_limit", "n_best"}


def identity(run: RunSpec) -> dict[str, Any]:
    """What makes this run another run, by field; `diff` shows it, `run_id` hashes it."""
    settings = {
        name: value
        for name, value in _relevant(run).items()
        if name in ALWAYS or value != SETTINGS_BEFORE[name]
    }
    switches = {name: value for name, value in run.switches.items() if value != SWITCHES_BEFORE[name]}
    fields = {name: getattr(run, name) for name in FIELDS_BEFORE}
    measured = _measured(run) if run.measure is not None else {}
    return {
        "kind": str(run.kind),
        "dataset": _dataset(run),
        "model": _model(run.model),
        "settings": {FIRST_NAMES.get(name, name): value for name, value in settings.items()},
        "switches": {FIRST_NAMES.get(name, name): value for name, value in switches.items()},
        "seed": run.seed,
        "needs": sorted(need.run_id for need in run.needs),
        **{name: value for name, value in fields.items() if value != FIELDS_BEFORE[name]},
        **measured,
    }


def run_id(run: RunSpec) -> str:
    """The first 16 hex digits of the sha256 over the canonical JSON of the identity."""
    canonical = msgspec.json.encode(identity(run), order="sorted")
    return hashlib.sha256(canonical).hexdigest()[:ID_LENGTH]


def with_id(run: RunSpec) -> RunSpec:
    return msgspec.structs.replace(run, run_id=run_id(run))


def difference(one: RunSpec, other: RunSpec) -> dict[str, tuple[Any, Any]]:
    """The fields in which two runs differ, as dotted names; None where one of them leaves a field out."""
    left, right = _flat(identity(one)), _flat(identity(other))
    return {
        name: (left.get(name), right.get(name))
        for name in [*left, *(name for name in right if name not in left)]
        if left.get(name) != right.get(name)
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, entry in value.items():
        flat |= _flat(entry, f"{prefix}{name}.") if isinstance(entry, dict) else {f"{prefix}{name}": entry}
    return flat


def _relevant(run: RunSpec) -> dict[str, Any]:
    """The settings that can change this run's numbers."""
    settings = msgspec.structs.asdict(run.settings)
    if run.kind in (Kind.FINETUNE, Kind.DISTILL):
        keep = set(settings) - (set() if run.kind == Kind.DISTILL else DISTILL_ONLY)
    else:
        keep = set(TOKENISING if run.kind == Kind.LOGITS else SCORING)
    if run.dataset.task != "qa":
        keep -= QA_ONLY
    return {name: value for name, value in settings.items() if name in keep}


def _measured(run: RunSpec) -> dict[str, Any]:
    told = msgspec.structs.asdict(run.measure) if run.measure is not None else {}
    return {"measure": {name: value for name, value in told.items() if value is not None}}


def _dataset(run: RunSpec) -> dict[str, Any]:
    dataset = run.dataset
    described = {"name": dataset.name, "task": dataset.task, "format": dataset.format, "content": dataset.fingerprint,
                 "labels": dataset.labels, "limit": dataset.limit or None, "pair": dataset.pair or None,
                 "language": None if dataset.language == "es" else dataset.language}  # fmt: skip
    return {name: value for name, value in described.items() if value is not None}


def _model(model: Any) -> dict[str, Any]:
    described = {"name": model.name, "content": model.fingerprint, "overrides": model.overrides or None}
    return {name: value for name, value in described.items() if value is not None}


assert set(SWITCHES_BEFORE) >= {switch.name for switch in SWITCHES}, (
    "a new switch needs its value before it existed"
)
