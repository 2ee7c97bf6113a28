"""What a decision can ask for. Carrying an action out makes the next decision not ask for it again."""

from __future__ import annotations

from msgspec import Struct


class Value(Struct, frozen=True, kw_only=True):
    """Base of actions."""


class Fail(Value, frozen=True, kw_only=True):
    """A run is given up."""

    run_id: str
    reason: str


class Skip(Value, frozen=True, kw_only=True):
    """A run cannot happen because something it needs failed for good."""

    run_id: str
    reason: str


class Revive(Value, frozen=True, kw_only=True):
    """A run that was skipped or superseded can happen after all."""

    run_ids: tuple[str, ...]


class Cancel(Value, frozen=True, kw_only=True):
    """Runs are no longer wanted."""

    run_ids: tuple[str, ...]
    reason: str


class OpenGate(Value, frozen=True, kw_only=True):
    """A data set has its teacher: store its logits and teach the students."""

    dataset: str
    teacher: str
    reason: str


class Evaluate(Value, frozen=True, kw_only=True):
    """Selected runs are to be scored on test."""

    run_ids: tuple[str, ...]


class Select(Value, frozen=True, kw_only=True):
    """Which runs stand for their group now, and which belong to a teacher that is no longer the best."""

    selected: frozenset[str]
    superseded: frozenset[str]


class Submit(Value, frozen=True, kw_only=True):
    """Send jobs, each an ordered list of runs."""

    jobs: tuple[tuple[str, ...], ...]


Action = Fail | Skip | Revive | Cancel | OpenGate | Evaluate | Select | Submit


def ended_by(action: Action) -> tuple[str, ...]:
    """The runs that an action takes out of play."""
    if isinstance(action, Fail | Skip):
        return (action.run_id,)
    return action.run_ids if isinstance(action, Cancel) else ()
