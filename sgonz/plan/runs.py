"""What a run is: the values that fill run.json, and nothing that computes them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sgonz.plan.protocol import Protocol, SwitchValue

RUN_FORMAT = 1  # version of run.json
NUMERICS = 1  # raised by hand when the training code would give other numbers for the same run

Task = Literal["classification", "tagging", "qa"]
Format = Literal["jsonl", "csv", "tsv", "mldoc", "pawsx", "xnli", "conllu", "conll2002", "squad"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Kind(StrEnum):
    FINETUNE = "finetune"  # a model trained on gold labels
    LOGITS = "logits"  # a teacher's outputs on a training split, stored once
    DISTILL = "distill"  # a student trained on stored logits
    EVALUATE = "evaluate"  # a selected run scored on the test split
    BENCHMARK = "benchmark"  # size, MACs and latency of one architecture
    NOOP = "noop"  # nothing, to measure what surrounds a run


class State(StrEnum):
    PENDING = "PENDING"  # planned, nobody works on it
    SUBMITTED = "SUBMITTED"  # in the list of a job that has been sent
    RUNNING = "RUNNING"  # a worker has said that it started
    COMPLETED = "COMPLETED"  # its result is on disk
    FAILED = "FAILED"  # it gave no result and is not tried again by itself
    CANCELLED = "CANCELLED"  # a person stopped it; held until run or retry
    SKIPPED = "SKIPPED"  # a need failed for good

    @property
    def is_final(self) -> bool:
        return self in _FINAL

    @property
    def is_live(self) -> bool:
        return self in _LIVE


# A decision asks for them once a run: through the enum that takes ten times as long.
PENDING, SUBMITTED, COMPLETED = State.PENDING, State.SUBMITTED, State.COMPLETED
FINETUNE, LOGITS, EVALUATE = Kind.FINETUNE, Kind.LOGITS, Kind.EVALUATE
TRAINED = (Kind.FINETUNE, Kind.DISTILL)  # kinds that leave weights, in their order
_LIVE = frozenset({State.SUBMITTED, State.RUNNING})
_FINAL = frozenset(State) - _LIVE - {State.PENDING}


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    CANCELLED = "CANCELLED"
    PRUNED = "PRUNED"
    UNKNOWN = "UNKNOWN"  # the job is gone and nobody knows why

    @property
    def is_interruption(self) -> bool:
        """Whether the run itself is not to blame, so that it goes on from its checkpoint."""
        return self in (Outcome.TIMEOUT, Outcome.NODE_FAIL, Outcome.PREEMPTED, Outcome.UNKNOWN)


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the values in run.json."""


class Dataset(Value, frozen=True, kw_only=True):
    """One data set, resolved: where its files are, how they read, what they are scored by."""

    name: str
    task: Task
    format: Format
    files: dict[str, str] = {}  # split (train, validation, test) -> absolute path
    hub: str | None = None  # read through `datasets` instead of from files
    hub_config: str | None = None
    revision: str | None = None
    hub_splits: dict[str, str] = {}  # our split -> the hub's
    labels: tuple[str, ...] | None = None  # ordered; None for qa, or to take the sorted labels of train
    metric: str = ""  # headline score: accuracy, f1
    language: str = "es"
    pair: bool = False  # classification of two sentences
    limit: dict[str, int] = {}  # split -> read only its first rows
    catalog: str | None = None  # the published data set that it is
    fingerprint: str = ""  # of content: every file's size and hash, or hub id and revision

    @property
    def is_tested(self) -> bool:
        """Whether it has a test split; one of which no splits are named is taken to."""
        named = self.hub_splits if self.hub else self.files
        return not named or "test" in named


class Model(Value, frozen=True, kw_only=True):
    """One model, resolved: its weights and tokenizer, or the configuration to build it from."""

    name: str
    path: str | None = None  # folder in the published format
    hub: tuple[str, ...] = ()  # ids under which it has been published, newest first
    revision: str | None = None
    architecture: dict[str, Any] | None = (
        None  # build from scratch: fields of the config, model_type included
    )
    overrides: dict[
        str, Any
    ] = {}  # fields set on the loaded config (num_hidden_layers cuts an ALBERT student)
    tokenizer: str | None = None  # folder or hub id, where it is not with the weights
    expected: dict[str, Any] = {}  # config fields as published; a loaded config that differs is a warning
    trust_remote_code: bool = False
    fingerprint: str = ""


class Settings(Value, frozen=True, kw_only=True):
    """What a grid can vary."""

    learning_rate: Positive = 5e-5
    batch_size: Count = 32  # examples per optimizer step, whatever the hardware
    epochs: Count = 3
    weight_decay: NotNegative = 0.0
    warmup_ratio: Share = 0.0
    max_grad_norm: NotNegative = 1.0  # 0 for none
    max_length: Annotated[int, Meta(ge=8)] = 512  # tokens
    overlap: Annotated[int, Meta(ge=0)] = (
        128  # tokens that two windows of one context share (question answering)
    )
    patience: Count | None = None  # epochs without improvement before stopping
    eval_every_steps: Count | None = None  # validate inside epochs too; None at their ends only
    answer_limit: Count = 30  # longest answer, in tokens
    n_best: Count = 20
    # distillation only
    loss: Literal["kl", "ce", "mse"] = "kl"
    alpha: Share = 0.0  # share of the gold labels in the loss
    temperature: Positive = 1.0
    pool: Literal["first", "edge", "logsumexp"] = (
        "logsumexp"  # how pieces make a unit's logit (qa, other vocabulary)
    )
    alignment: Literal["auto", "word"] = "auto"  # auto: token by token where both share a tokenizer


class Measure(Value, frozen=True, kw_only=True):
    """What a benchmark measures: every batch size at every length, on one device."""

    batch_sizes: tuple[Count, ...] = (1,)
    lengths: tuple[Count, ...] = (128, 256, 512)  # tokens
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    repeats: Annotated[int, Meta(ge=2)] = 100  # timed calls of each
    warm_up: Count = 10  # calls before the clock counts
    reference: str | None = None  # model timed in turns with this one
    reference_architecture: dict[str, Any] | None = None


class Need(Value, frozen=True, kw_only=True):
    """A run whose result is read, and what for."""

    role: Literal[
        "teacher", "logits", "model"
    ]  # weights to read logits from / stored logits / weights to score
    run_id: str


class RunSpec(Value, frozen=True, kw_only=True):
    """The whole of run.json: all that a worker needs to know."""

    version: int = RUN_FORMAT
    run_id: str
    kind: Kind
    dataset: Dataset
    model: Model
    teacher: Model | None = (
        None  # of a distillation, for its name and tokenizer; its weights are never loaded
    )
    settings: Settings
    switches: dict[str, SwitchValue] = {}
    protocol: Protocol = "sound"
    seed: int = 42
    threads: int = 1
    precision: Precision = "auto"
    criterion: str = "validation_loss"  # lowest loss, or a validation score's name: highest
    numerics: int = NUMERICS
    measure: Measure | None = None  # of a benchmark
    needs: tuple[Need, ...] = ()

    @property
    def trust_remote_code(self) -> bool:
        return self.model.trust_remote_code

    def need(self, role: str) -> str:
        """The id of the run needed in this role."""
        return next(need.run_id for need in self.needs if need.role == role)
