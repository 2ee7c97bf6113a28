"""A model card: what a trained model is, what it scored and how it was made, as model hubs read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgonz.plan.runs import RunSpec, Task

PIPELINES: Mapping[Task, str] = {
    "classification": "text-classification", "tagging": "token-classification", "qa": "question-answering"
}  # fmt: skip
USE: Mapping[Task, str] = {
    "classification": 'from transformers import pipeline\n\nclassify = pipeline("text-classification", model="{folder}")',
    "tagging": "from transformers import pipeline\n\n"
    'tag = pipeline("token-classification", model="{folder}", aggregation_strategy="first")',
    "qa": "from transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\n"
    'model = AutoModelForQuestionAnswering.from_pretrained("{folder}")\n'
    'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
}


def model_card(
    spec: RunSpec,
    scores: Mapping[str, Mapping[str, float]],
    made: Mapping[str, str],
    *,
    folder: str,
) -> str:
    """README.md of a model folder: metadata that a hub understands, then scores, use, settings and origin.

    `scores` by split, then by name, in percent; `made` says with what and where, as pairs.
    """
    from huggingface_hub import EvalResult, ModelCardData

    name, task = f"{spec.model.name} on {spec.dataset.name}", spec.dataset.task
    data = ModelCardData(
        library_name="transformers", pipeline_tag=PIPELINES[task], language=spec.dataset.language, model_name=name,
        base_model=spec.model.hub[0] if spec.model.hub else None,
        datasets=[spec.dataset.hub] if spec.dataset.hub else None,
        tags=["sgonz", *(["distillation"] if spec.teacher else [])],
        eval_results=[
            EvalResult(task_type=PIPELINES[task], dataset_type=spec.dataset.hub or spec.dataset.name,
                       dataset_name=spec.dataset.name, dataset_split="test", metric_type=score, metric_value=round(value, 2))
            for score, value in scores.get("test", {}).items()
        ] or None,
    )  # fmt: skip
    told = f"distilled from the logits of {spec.teacher.name}" if spec.teacher else "fine-tuned"
    parts = [
        f"---\n{data.to_yaml()}\n---\n", f"# {name}\n", f"{spec.model.name}, {told} on {spec.dataset.name} ({task}).\n",
        "## Scores\n", _score_table(scores), "## Use\n", f"```python\n{USE[task].format(folder=folder)}\n```\n",
        "## Training\n", _table(("setting", "value"), _settings(spec)), "## Origin\n", _table(("what", "value"), list(made.items())),
    ]  # fmt: skip
    return "\n".join(parts)


def _score_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for found in scores.values() for name in found))
    rows = [
        (split, *(f"{found[name]:.2f}" if name in found else "–" for name in names))
        for split, found in scores.items()
    ]
    return _table(("split", *names), rows)


def _settings(spec: RunSpec) -> list[tuple[str, str]]:
    given = spec.settings
    told: dict[str, Any] = {
        "learning rate": f"{given.learning_rate:g}", "batch size": given.batch_size, "epochs at most": given.epochs,
        "patience": given.patience, "weight decay": f"{given.weight_decay:g}", "warm-up": f"{given.warmup_ratio:g}",
        "tokens at most": given.max_length, "seed": spec.seed, "protocol": spec.protocol,
        "chosen by": spec.criterion.replace("_", " "),
    }  # fmt: skip
    if spec.teacher:
        told |= {
            "loss": given.loss,
            "share of the labels": f"{given.alpha:g}",
            "temperature": f"{given.temperature:g}",
        }
    return [(name, str(value)) for name, value in told.items() if value is not None]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )
