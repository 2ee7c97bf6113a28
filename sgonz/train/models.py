"""Models and tokenizers: loaded from folders or hubs, built from an architecture, saved, compared with what was published."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import cached_file

from sgonz.errors import ModelError
from sgonz.plan.runs import Model, Task
from sgonz.train.checkpoint import apart

AUTO_CLASSES = {
    "classification": AutoModelForSequenceClassification,
    "tagging": AutoModelForTokenClassification,
    "qa": AutoModelForQuestionAnswering,
}
POSITIONS_AFTER_PAD = {"roberta", "xlm-roberta", "camembert", "roberta-prelayernorm"}  # 514 means 512
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
Notes = dict[str, str | int | float]
Found = TypeVar("Found")


def load(
    wanted: Model,
    task: Task,
    labels: Sequence[str] | None,
    *,
    seed: int,
    extras: dict[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> tuple[PreTrainedModel, Notes]:
    """The model with float32 weights and a new head drawn from the seed, and what is odd about it.

    Raises ModelError where it is missing, or where weights that no head explains are.
    """
    loader = AUTO_CLASSES[task]
    fields = {**wanted.overrides, **(label_fields(labels) if labels is not None else {}), **(extras or {})}
    with torch.random.fork_rng(devices=[]):  # the head owes nothing to what was drawn before
        torch.manual_seed(seed)
        if wanted.architecture is not None:
            config = AutoConfig.for_model(**(wanted.architecture | fields))
            return loader.from_config(config, dtype=torch.float32), {}

        def open_at(source: str, **where: Any) -> tuple[PreTrainedModel, Notes]:
            where["trust_remote_code"] = trust_remote_code
            config = AutoConfig.from_pretrained(source, **where)
            notes = differences(config, wanted.expected)
            for name, value in fields.items():
                setattr(config, name, value)
            model, found = loader.from_pretrained(
                source, config=config, dtype=torch.float32, output_loading_info=True,
                ignore_mismatched_sizes=True, **where,
            )  # fmt: skip
            return model, notes | check_weights(wanted.name, model, found)

        model, notes = first_found(wanted, open_at)
        renew_head(model)
    return model, notes


def load_saved(folder: Path, task: Task) -> PreTrainedModel:
    """A model that an earlier run trained; raises ModelError where it is not whole."""
    try:
        model, found = AUTO_CLASSES[task].from_pretrained(
            str(folder), dtype=torch.float32, output_loading_info=True, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: no trained model can be read: {first_line(error)}") from error
    if found["missing_keys"] or found["unexpected_keys"]:
        raise ModelError(f"{folder}: weights do not fit their config",
                         hint=f"Missing: {sorted(found['missing_keys'])[:3]}.")  # fmt: skip
    return model


def save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write weights, config and tokenizer in the published format."""
    model.save_pretrained(folder, state_dict=apart(model))
    tokenizer.save_pretrained(folder)


def label_fields(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: at for at, label in enumerate(labels)},
    }


def ordered_labels(config: PreTrainedConfig) -> tuple[str, ...]:
    """The label list stored with a model."""
    return tuple(config.id2label[at] for at in range(len(config.id2label)))


def first_found(wanted: Model, open_at: Callable[..., Found]) -> Found:
    """Open the model at the first place that has it. Raises ModelError where none does."""
    refusals = []
    for source, where in places(wanted):
        try:
            return open_at(source, **where)
        except (OSError, ValueError, KeyError) as error:
            refusals.append(f"{source}: {first_line(error)}")
    raise ModelError(
        f"{wanted.name} cannot be loaded from {refusals[-1]}",
        hint="Give a local folder as its path, or fetch it first with sgonz prefetch.",
    )


def places(wanted: Model) -> list[tuple[str, dict[str, Any]]]:
    """The model's folder; or its hub ids in order, files at hand before the network."""
    if wanted.path is not None:
        if not Path(wanted.path).is_dir():
            raise ModelError(f"{wanted.name}: {wanted.path} is not a folder")
        return [(wanted.path, {"local_files_only": True})]
    if not wanted.hub:
        raise ModelError(f"{wanted.name} names no place to load from: no path, no hub id")
    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")
    revision = wanted.revision or "main"
    return [
        (source, {"local_files_only": local, "revision": revision})
        for local in ((True,) if offline else (True, False))
        for source in wanted.hub
    ]


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def differences(config: PreTrainedConfig, expected: dict[str, Any]) -> Notes:
    """Fields of a loaded config that are not as published."""
    return {
        f"config.{name}": f"{getattr(config, name, None)}, published {value}"
        for name, value in expected.items()
        if getattr(config, name, None) != value
    }


def check_weights(name: str, model: PreTrainedModel, found: dict[str, Any]) -> Notes:
    """Every weight below the head must come from the files; a pooler may be new, unused ones are counted."""
    body = model.base_model_prefix + "."
    missing = [key for key in found["missing_keys"] if key.startswith(body)]
    new = [key for key in missing if ".pooler" not in key]
    wrong = [key for key, *_ in found["mismatched_keys"] if key.startswith(body)]
    if new or wrong:
        raise ModelError(
            f"{name}: its files lack {len(new)} weights and {len(wrong)} have another shape, "
            f"for example {(new + wrong)[0]}",
            hint="Check that the config in the folder belongs to the weights.",
        )
    unused = [key for key in found["unexpected_keys"] if key.startswith(body) and ".pooler" not in key]
    notes: Notes = {"weights_unused": len(unused)} if unused else {}
    return notes | ({"pooler": "new"} if missing else {})


def renew_head(model: PreTrainedModel) -> None:
    """Draw every parameter outside the encoder anew, whatever the files held."""
    for name, module in model.named_children():
        if name != model.base_model_prefix:
            for part in module.parameters():
                part._is_hf_initialized = False
            module.apply(model._init_weights)


def load_tokenizer(wanted: Model, *, words: bool, trust_remote_code: bool = False) -> PreTrainedTokenizerFast:
    """The model's tokenizer exactly as its own tokenizer.json says, ready for pre-split words where asked.

    Raises ModelError where it is missing or has no fast form.
    """
    where_from = wanted
    if wanted.tokenizer is not None:
        folder = Path(wanted.tokenizer).is_dir()
        where_from = Model(name=wanted.name, path=wanted.tokenizer if folder else None,
                           hub=() if folder else (wanted.tokenizer,))  # fmt: skip

    def open_at(source: str, **where: Any) -> PreTrainedTokenizerFast:
        return tokenizer_at(source, words=words, trust_remote_code=trust_remote_code, **where)

    return first_found(where_from, open_at)


def tokenizer_at(
    source: str, *, words: bool, trust_remote_code: bool, **where: Any
) -> PreTrainedTokenizerFast:
    found = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code, **where)
    if not found.is_fast:
        raise ModelError(f"{source} has no fast tokenizer", hint="Save one with tokenizer.json beside it.")
    file = cached_file(source, "tokenizer.json", _raise_exceptions_for_missing_entries=False, **where)
    if file is None and getattr(found, "keep_accents", True) is False and has_accents(found):
        # the bare SentencePiece file says nothing of accents, and the class would drop them
        found = AutoTokenizer.from_pretrained(source, keep_accents=True, **where)
    # the model's own class would rebuild normaliser and pre-tokenizer from its defaults
    state = json.loads(Path(file).read_text("utf-8") if file else found.backend_tokenizer.to_str())
    state |= {"truncation": None, "padding": None}
    if words:
        for part in (state["pre_tokenizer"], state["post_processor"]):
            prefix_space(part)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        model_max_length=found.model_max_length,
        **{name: token for name in SPECIAL_TOKENS if (token := getattr(found, name)) is not None},
    )


def has_accents(tokenizer: PreTrainedTokenizerFast) -> bool:
    return any("ó" in piece for piece in tokenizer.get_vocab())


def prefix_space(part: Any) -> None:
    """Switch on add_prefix_space wherever a byte-level part of the tokenizer has it."""
    if isinstance(part, dict):
        if "add_prefix_space" in part:
            part["add_prefix_space"] = True
        for value in part.values():
            prefix_space(value)
    elif isinstance(part, list):
        for value in part:
            prefix_space(value)


def tokenizer_hash(tokenizer: PreTrainedTokenizerFast) -> str:
    """One name for the whole serialised state: vocabulary, normaliser, flags and special tokens."""
    state = json.loads(tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
    specials = {name: str(getattr(tokenizer, name)) for name in SPECIAL_TOKENS}
    text = json.dumps([state, specials], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def longest_input(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast, asked: int) -> int:
    """Tokens that fit: what was asked, but no more than the model's positions."""
    positions = config.max_position_embeddings
    if config.model_type in POSITIONS_AFTER_PAD:
        positions -= config.pad_token_id + 1
    return min(asked, positions, tokenizer.model_max_length)


def has_segments(config: PreTrainedConfig) -> bool:
    """Whether the model tells first from second text by token_type_ids."""
    return getattr(config, "type_vocab_size", 0) > 1


def check_padding(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast) -> Notes:
    """Note a pad id that the config names otherwise; refuse it where positions are counted from it."""
    if tokenizer.pad_token_id == config.pad_token_id:
        return {}
    problem = f"{tokenizer.pad_token_id} in the tokenizer, {config.pad_token_id} in the config"
    if config.model_type in POSITIONS_AFTER_PAD:
        raise ModelError(
            f"{config.model_type}: pad id {problem}", hint="Its positions start after the pad id."
        )
    return {"pad_id": problem}
