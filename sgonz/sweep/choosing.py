"""Between the resource classes that a profile gives a model: which one, by what its runs are predicted to take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from sgonz.cluster.profile import Profile, Resource
from sgonz.errors import SpecError
from sgonz.plan.choice import Choice, Limit, Need, choose
from sgonz.plan.history import History
from sgonz.plan.prediction import Recall, minutes_for
from sgonz.plan.runs import RunSpec
from sgonz.plan.sizing import shape_of, training_bytes
from sgonz.sweep.architectures import architecture_of

GIB = 2**30


def choices(
    profile: Profile, specs: Iterable[RunSpec], measured: Recall, seconds: Callable[[RunSpec], float]
) -> dict[str, Choice]:
    """The class of every model for which the profile names several."""
    by_model: dict[str, list[RunSpec]] = {}
    for spec in specs:
        if len(profile.alternatives(spec.model.name)) > 1:
            by_model.setdefault(spec.model.name, []).append(spec)
    return {
        model: choose(_limits(profile, profile.alternatives(model)), _need(own, measured, seconds))
        for model, own in by_model.items()
    }


def resolved(profile: Profile, chosen: Mapping[str, Choice]) -> Profile:
    """The profile with one class for each of these models."""
    if not chosen:
        return profile
    return replace(profile, assign={**profile.assign, **{model: each.name for model, each in chosen.items()}})


def shorter_limit(
    profile: Profile, asked: Resource, history: History, jobs: Sequence[Sequence[RunSpec]]
) -> int | None:
    """A time limit below the class's own, which lets a job start sooner, where all of its runs were measured.

    A job that ends there all the same has lost nothing: its runs go on from their checkpoints in the next one.
    """
    if asked.max_minutes is None or profile.linger_seconds:
        return None
    limit = minutes_for(history, jobs)
    return limit if limit is not None and limit < asked.max_minutes else None


def first_memory_gb(spec: RunSpec) -> float | None:
    """A first estimate from the model's size; None where its configuration is not there yet."""
    fields = architecture_of(spec.model)
    try:
        shape = shape_of(fields["model_type"], fields) if fields else None
    except SpecError:
        return None
    settings = spec.settings
    return training_bytes(shape, settings.batch_size, settings.max_length) / GIB if shape else None


def _limits(profile: Profile, names: Sequence[str]) -> list[Limit]:
    asked = [(name, profile.resources[name]) for name in names]
    return [
        Limit(name=name, gpu_memory_gb=each.gpu_memory_gb, max_minutes=each.max_minutes)
        for name, each in asked
    ]


def _need(specs: Sequence[RunSpec], measured: Recall, seconds: Callable[[RunSpec], float]) -> Need:
    largest = max(specs, key=lambda spec: spec.settings.batch_size * spec.settings.max_length)
    known = measured(largest)
    if known is not None and known.peak_memory_mb is not None:
        memory: float | None = known.peak_memory_mb / 1024
    else:
        memory = first_memory_gb(largest)
    return Need(memory_gb=memory, minutes=max(map(seconds, specs)) / 60)
