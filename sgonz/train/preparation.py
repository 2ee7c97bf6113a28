"""What every kind of run needs before it starts: labels, model, tokenizer, task and splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from sgonz.errors import ModelError
from sgonz.plan.protocol import BY_NAME
from sgonz.plan.runs import Kind, Model, RunSpec
from sgonz.train import batches, models, readers
from sgonz.train.alignment import Pool
from sgonz.train.needs import made_again
from sgonz.train.pieces import Splitter
from sgonz.train.running import Running
from sgonz.train.seeds import derived
from sgonz.train.tasks.classification import Classification
from sgonz.train.tasks.qa import Questions
from sgonz.train.tasks.tagging import Tagging
from sgonz.train.tasks.task import Feeding, Task
from sgonz.train.tokenise import Split, tokenised
from sgonz.workdir.fingerprints import FINGERPRINTS, Fingerprints

ON_LOGITS = (Kind.DISTILL, Kind.LOGITS)  # kinds for which the published code read its data differently


def labels(spec: RunSpec) -> tuple[str, ...]:
    """The ordered labels of the data set; none for question answering."""
    if spec.dataset.task == "qa" or spec.dataset.labels:
        return spec.dataset.labels or ()
    return readers.labels(spec.dataset, readers.read(spec.dataset, "train", spec.switches, kind=spec.kind))


def new_model(
    spec: RunSpec, ordered: Sequence[str], tokenizer: PreTrainedTokenizerFast
) -> tuple[PreTrainedModel, models.Notes]:
    """The run's model with a head of its own, and what is odd about it."""
    model, notes = models.load(
        spec.model, spec.dataset.task, ordered or None, seed=derived(spec.seed, "head"),
        extras={"sgonz": record(spec)}, trust_remote_code=spec.trust_remote_code,
    )  # fmt: skip
    return model, notes | models.check_padding(model.config, tokenizer)


def record(spec: RunSpec, units: Pool | None = None) -> dict[str, str | None]:
    """What the configuration of a trained model says of its training: the run, and what its answers are decoded on."""
    return {"run_id": spec.run_id, "decode": "units" if units else "tokens", "pool": units}


def check_unchanged(model: Model, cache: Path) -> None:
    """Raise ModelError where a folder holds another model than when the run was planned: it would pass for that."""
    if model.path is None or not model.fingerprint or not Path(model.path).is_dir():
        return
    if (
        Fingerprints(cache / FINGERPRINTS).of_local_model(Path(model.path), model.tokenizer)
        != model.fingerprint
    ):
        raise ModelError(
            f"{model.path} does not hold the model that this run was planned with",
            hint="Put that back and `sgonz retry`; or `sgonz run` the sweep again, which plans new runs for what is there now.",
        )


def saved_model(
    running: Running, role: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, tuple[str, ...], Pool | None]:
    """The model that a needed run trained, its tokenizer, its labels, and the pool it is decoded with on units.

    Raises NotYet where its weights are gone: some sites remove what nobody has read for weeks.
    """
    trained = running.run.workdir.run(running.spec.need(role))
    folder = trained.output / "model"
    if not (folder / "config.json").exists() or not any(folder.glob("*.safetensors")):
        raise made_again(running, trained, folder, f"{folder} holds no trained model")
    model = models.load_saved(folder, running.spec.dataset.task)
    tokenizer = tokenizer_of(running.spec, Model(name=role, path=str(folder)))
    record = getattr(model.config, "sgonz", {})
    ordered = () if running.spec.dataset.task == "qa" else models.ordered_labels(model.config)
    return model, tokenizer, ordered, record.get("pool") if record.get("decode") == "units" else None


def tokenizer_of(spec: RunSpec, model: Model) -> PreTrainedTokenizerFast:
    return models.load_tokenizer(
        model, words=spec.dataset.task == "tagging", trust_remote_code=spec.trust_remote_code
    )


def task_for(
    spec: RunSpec,
    config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    ordered: Sequence[str],
    units: Pool | None = None,
) -> Task:
    """The data set's task as this model and tokenizer do it."""
    longest = models.longest_input(config, tokenizer, spec.settings.max_length)
    feeding = Feeding(splitter=Splitter.of(tokenizer, longest), pad=tokenizer.pad_token_id,
                      segments=models.has_segments(config), order=batches.order_of(spec.switches))  # fmt: skip
    if spec.dataset.task == "classification":
        return Classification(ordered, feeding, spec.settings)
    if spec.dataset.task == "tagging":
        return Tagging(
            ordered, feeding, spec.settings, switches=spec.switches, distilling=spec.kind in ON_LOGITS
        )
    return Questions(
        feeding, spec.settings, switches=spec.switches, answer_limit=answer_limit(spec), units=units
    )


def answer_limit(spec: RunSpec) -> int:
    """The longest answer, in columns; the published distillation had a limit of its own while validating."""
    switch = BY_NAME["qa_distill_limit"]
    if spec.switches.get(switch.name) == switch.paper:
        return min(spec.settings.answer_limit, int(switch.paper))
    return spec.settings.answer_limit


def split(running: Running, task: Task, tokenizer: PreTrainedTokenizerFast, name: str) -> Split:
    """One tokenised split from the work folder's cache."""
    return tokenised(
        running.spec.dataset, name, task, switches=running.spec.switches, kind=running.spec.kind,
        tokenizer=models.tokenizer_hash(tokenizer), cache=running.run.workdir.cache,
    )  # fmt: skip


def counted(**splits: Split) -> models.Notes:
    """What reading and tokenising counted, zeros left out."""
    return {
        f"{name}: {what}": many for name, one in splits.items() for what, many in one.notes.items() if many
    }
