"""What models are built like: the fields of their configurations, found without any weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgonz import catalog
from sgonz.plan.runs import Model

# What a config.json says beside the shape: about one trained head, and about who wrote the file.
BESIDE_THE_SHAPE = frozenset({
    "architectures", "transformers_version", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "sgonz",
    "problem_type", "finetuning_task", "auto_map", "_name_or_path", "return_dict", "output_attentions", "output_hidden_states",
})  # fmt: skip


def architectures_of(models: Mapping[str, Model]) -> dict[str, dict[str, Any]]:
    """The architecture of every one of these models that has one that can be known here."""
    found = {name: architecture_of(model) for name, model in models.items()}
    return {name: fields for name, fields in found.items() if fields is not None}


def architecture_of(model: Model) -> dict[str, Any] | None:
    """Fields of the model's configuration, model_type among them; None where only its hub knows them."""
    fields = _written(model) or _published(model)
    return {**fields, **model.overrides} if fields and "model_type" in fields else None


def _written(model: Model) -> dict[str, Any] | None:
    """As the sweep file says, or the config.json in the model's folder."""
    if model.architecture is not None:
        return model.architecture
    file = Path(model.path or "") / "config.json"
    if not model.path or not file.is_file():
        return None
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {name: value for name, value in written.items() if name not in BESIDE_THE_SHAPE}


def _published(model: Model) -> dict[str, Any] | None:
    """As the catalog has it, by name or by a hub id of the model."""
    known = catalog.models()
    named = known.get(model.name) or next(
        (entry for entry in known.values() if entry.cut_from is None and set(entry.hub) & set(model.hub)),
        None,
    )
    return named.architecture() if named else None
