"""Parameters, multiply-accumulates and memory of an encoder with a sequence classifier, from its shape alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from sgonz.errors import SpecError

COMMON = {
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
    "hidden": "hidden_size",
    "feed_forward": "intermediate_size",
    "layers": "num_hidden_layers",
}
ALBERT = {**COMMON, "embedding": "embedding_size", "groups": "num_hidden_groups", "inner": "inner_group_num"}
DISTILBERT = {
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "hidden": "dim",
    "feed_forward": "hidden_dim",
    "layers": "n_layers",
}
FIELDS: Mapping[str, Mapping[str, str]] = {  # model type -> what the fields of its configuration are called
    "albert": ALBERT,
    "bert": COMMON,
    "camembert": COMMON,
    "distilbert": DISTILBERT,
    "roberta": COMMON,
    "xlm-roberta": COMMON,
}


class Shape(Struct, frozen=True, kw_only=True):
    """What decides the size of an encoder; widths in features."""

    vocabulary: int
    positions: int
    hidden: int
    feed_forward: int
    layers: int
    types: int = 0  # token types; DistilBERT has none
    embedding: int | None = None  # width of the embeddings where it is not `hidden` (ALBERT)
    groups: int | None = None  # sets of weights that all layers share (ALBERT); None: each layer has its own
    inner: int = 1  # layers inside a group (ALBERT)


def shape_of(model_type: str, fields: Mapping[str, Any]) -> Shape:
    """The shape that the fields of a transformers configuration describe.

    Raises SpecError for a model type whose size has no formula here, and for a field that is not given.
    """
    names = FIELDS.get(model_type)
    if names is None:
        known = ", ".join(FIELDS)
        raise SpecError(f"no size formula for model type {model_type!r}", hint=f"Known types: {known}.")
    missing = [field for field in names.values() if field not in fields]
    if missing:
        raise SpecError(f"a {model_type} configuration without {missing[0]} has no known size")
    return Shape(**{name: fields[field] for name, field in names.items()})


def parameters(shape: Shape, labels: int) -> int:
    """Parameters with a classifier of `labels` outputs on a pooled or first position.

    Embeddings (with their layer norm) + layers of 4H² + 2HF + 9H + F + pooler H² + H + head HC + C, as
    Devlin et al. 2019 lay BERT out; ALBERT (Lan et al. 2020) embeds in E, projects to H, shares its layers.
    """
    h, f = shape.hidden, shape.feed_forward
    layer = 4 * h * h + 2 * h * f + 9 * h + f
    rows = shape.vocabulary + shape.positions + shape.types + 2
    head = h * h + h + h * labels + labels
    if shape.groups is None:
        return rows * h + shape.layers * layer + head
    e = shape.embedding or h
    return rows * e + e * h + h + shape.groups * shape.inner * layer + head


def macs(shape: Shape, batch: int, length: int, labels: int) -> int:
    """Multiply-accumulates of one forward pass of [batch, length] tokens, as THOP 0.1.1 counts them.

    Linear layers, and 4 per element of a layer norm; neither embeddings, softmax, activations nor the two
    products of attention. The published GMACs and Speedup are in this count.
    """
    h, f, depth = shape.hidden, shape.feed_forward, shape.layers * shape.inner
    linear = depth * (4 * h * h + 2 * h * f) * length + h * h + h * labels
    if shape.groups is None:
        norms = 4 * (2 * depth + 1) * h * length
        return batch * (linear + norms)
    e = shape.embedding or h
    norms = 4 * (e * length + 2 * depth * h * length)
    return batch * (e * h * length + linear + norms)


def macs_full(shape: Shape, batch: int, length: int, labels: int) -> int:
    """The same count with the two products of attention, 2·S²·H per layer (Vaswani et al. 2017)."""
    depth = shape.layers * shape.inner
    return macs(shape, batch, length, labels) + batch * depth * 2 * length * length * shape.hidden


def training_bytes(shape: Shape, batch: int, length: int) -> int:
    """A first estimate of what fine-tuning in 16 bit takes with [batch, length] tokens at a time.

    Float32 weights, gradients and AdamW's two moments, 16 bytes a parameter; and what backward reads of every
    layer, s·b·h·(34 + 5·a·s/h) bytes with heads of 64 features (Korthikanti et al. 2022).
    """
    h, heads = shape.hidden, max(1, shape.hidden // 64)
    layer = length * batch * (34 * h + 5 * heads * length)
    return 16 * parameters(shape, 3) + shape.layers * shape.inner * layer
