"""The two protocols as data: one row for each choice in which they differ.

A switch enters a run's identity only where it can change that run's numbers, so that setting a
question-answering switch does not make a finished classification run new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sgonz.errors import SpecError

Protocol = Literal["sound", "paper"]
SwitchValue = str | int

TRAINING = frozenset({"finetune", "distill"})
EVERY_TASK = frozenset({"classification", "tagging", "qa"})


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One deciding difference between the protocols."""

    name: str
    paper: SwitchValue
    sound: SwitchValue
    meaning: str
    tasks: frozenset[str] = EVERY_TASK
    kinds: frozenset[str] = TRAINING
    dataset: str | None = None  # a catalog data set, where the switch speaks of one alone

    @property
    def allowed(self) -> tuple[SwitchValue, SwitchValue]:
        return (self.sound, self.paper)


QA = frozenset({"qa"})
TAGGING = frozenset({"tagging"})
DISTILL = frozenset({"distill"})
FINETUNE = frozenset({"finetune"})
READING = frozenset({"finetune", "logits", "distill", "evaluate"})

SWITCHES: tuple[Switch, ...] = (
    Switch(name="patience_rule", paper="exceeded", sound="reached",
           meaning="stop on bad epoch patience + 1, or on bad epoch patience"),
    Switch(name="validation_mean", paper="batches", sound="rows",
           meaning="validation loss: mean of batch means, or mean over examples, words or windows"),
    Switch(name="distill_order", paper="file", sound="shuffled", kinds=DISTILL,
           meaning="distillation sees the training split in file order, or shuffled by (seed, epoch)"),
    Switch(name="batching", paper="plain", sound="length_aware",
           meaning="batches as they come, or of similar length within shuffled blocks"),
    Switch(name="distill_decay", paper="all", sound="weights", kinds=DISTILL,
           meaning="weight decay on every parameter, or on none of biases and layer norms"),
    Switch(name="distill_clipping", paper="none", sound="norm", kinds=DISTILL,
           meaning="distillation without gradient clipping, or at max_grad_norm"),
    Switch(name="auto_precision", paper="published", sound="best",
           meaning="precision 'auto' on a GPU: fp16 fine-tuning and fp32 distillation, or bf16 (fp16 on older ones)"),
    Switch(name="accumulation", paper="micro_means", sound="global",
           meaning="a step's loss: mean of micro-batch means, or divided once by the rows of the whole batch"),
    Switch(name="qa_columns", paper="all", sound="text", tasks=QA,
           meaning="softmax over the full padded row, or over [CLS], question and context"),
    Switch(name="qa_distill_limit", paper=15, sound=30, tasks=QA, kinds=DISTILL,
           meaning="longest answer, in tokens, in the validation of a distillation"),
    Switch(name="qa_answers", paper="as_listed", sound="valid", tasks=QA, kinds=READING,
           meaning="train on the first answer as listed, empty ones included, or on the first valid one"),
    Switch(name="qa_questions", paper="published", sound="stripped", tasks=QA, kinds=READING,
           meaning="left-strip questions in distillation only, or always"),
    Switch(name="test_overlap", paper="keep", sound="drop", dataset="tar", kinds=READING,
           meaning="validation paragraphs that hold a test question stay, or go"),
    Switch(name="placeholder_rows", paper="keep", sound="drop", dataset="pawsx", kinds=READING,
           meaning="train and validation rows that hold 'NS' stay, or go"),
    Switch(name="tagging_length", paper="cut", sound="windows", tasks=TAGGING, kinds=READING,
           meaning="cut sentences (128 words in distillation, the piece limit elsewhere), or window over words"),
    Switch(name="tagging_labels", paper="all_pieces", sound="first_piece", tasks=TAGGING, kinds=FINETUNE,
           meaning="fine-tuning labels every piece of a word, or its first piece"),
    Switch(name="logits_dtype", paper="float32", sound="float16", kinds=frozenset({"logits"}),
           meaning="how teacher logits are stored"),
    Switch(name="latency", paper="published", sound="synchronised", kinds=frozenset({"benchmark"}),
           meaning="benchmarks read the clock without waiting for the GPU and filter outliers twice, or wait and filter once"),
)  # fmt: skip

BY_NAME: Mapping[str, Switch] = {switch.name: switch for switch in SWITCHES}


def resolve(protocol: Protocol, changed: Mapping[str, SwitchValue]) -> dict[str, SwitchValue]:
    """Every switch with its value: the protocol's, or the one that the sweep sets.

    Raises SpecError for a switch or a value that does not exist.
    """
    for name, value in changed.items():
        if name not in BY_NAME:
            raise SpecError(
                f"protocol_switches.{name} is not a switch", hint=f"Allowed: {', '.join(BY_NAME)}."
            )
        if value not in BY_NAME[name].allowed:
            allowed = " or ".join(repr(choice) for choice in BY_NAME[name].allowed)
            raise SpecError(f"protocol_switches.{name} is {value!r}", hint=f"Allowed: {allowed}.")
    standard = {switch.name: switch.paper if protocol == "paper" else switch.sound for switch in SWITCHES}
    return {**standard, **changed}


def concerning(
    switches: Mapping[str, SwitchValue], *, kind: str, task: str, dataset: str
) -> dict[str, SwitchValue]:
    """The switches that can change the numbers of such a run."""
    return {
        switch.name: switches[switch.name]
        for switch in SWITCHES
        if kind in switch.kinds and task in switch.tasks and switch.dataset in (None, dataset)
    }
