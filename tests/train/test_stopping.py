from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgonz.errors import SpecError
from sgonz.train.stopping import EarlyStopping

NAN, INF = math.nan, math.inf


def stop_epoch(stopping: EarlyStopping, losses: list[float]) -> int | None:
    return next((epoch for epoch, loss in enumerate(losses, start=1) if stopping.update(loss)), None)


# losses, patience, best epoch, stop epoch when sound, stop epoch on paper
TABLE = [
    ([3, 2, 1, 1, 1, 1, 1], 2, 3, 5, 6),  # ties are bad epochs
    ([3, 4, 5, 6, 7], 1, 1, 2, 3),
    ([3, 4, 2, 4, 1, 4, 4, 4], 2, 5, 7, 8),  # an improvement starts the count anew
    ([3, 4, 4, 2, 4, 4, 4], 3, 4, 7, None),
    ([1.0] + [2.0] * 20, 10, 1, 11, 12),  # the earliest stop that patience 10 allows
    ([5, 4, 3, 2, 1], 1, 5, None, None),
    ([1, NAN, INF, 2], 3, 1, 4, None),
    ([1, 1 - 1e-15, 2, 2, 2], 2, 2, 4, 5),  # any improvement counts, however small
]


@pytest.mark.parametrize(("losses", "patience", "best", "sound", "paper"), TABLE)
def test_stop_and_best_epoch(losses, patience, best, sound, paper):
    for protocol, expected in (("sound", sound), ("paper", paper)):
        stopping = EarlyStopping(patience, protocol)
        assert stop_epoch(stopping, losses) == expected
        assert stopping.best_epoch == best
        assert stopping.best == losses[best - 1]


@pytest.mark.parametrize(("protocol", "stop"), [("sound", 3), ("paper", 4)])
def test_nothing_finite_is_never_best_and_still_stops(protocol, stop):
    stopping = EarlyStopping(3, protocol)
    assert stop_epoch(stopping, [NAN, INF, -INF, NAN, NAN]) == stop
    assert (stopping.best, stopping.best_epoch, stopping.improved) == (None, None, False)


def test_no_patience_never_stops():
    stopping = EarlyStopping(None)
    assert stop_epoch(stopping, [1.0] + [2.0] * 200) is None
    assert stopping.patience_left is None
    assert stopping.bad_epochs == 200


@pytest.mark.parametrize("patience", [0, -1])
def test_patience_below_one_is_refused(patience):
    with pytest.raises(SpecError, match="at least 1"):
        EarlyStopping(patience)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(SpecError, match="must be one of sound, paper"):
        EarlyStopping(2, protocol="other")


def test_higher_is_better_turns_the_comparison_round():
    stopping = EarlyStopping(2, higher_is_better=True)
    assert stop_epoch(stopping, [70.0, 71.0, 71.0, INF, 90.0]) == 4
    assert (stopping.best, stopping.best_epoch) == (71.0, 2)


@pytest.mark.parametrize(("protocol", "left"), [("sound", [2, 1, 2, 1, 0]), ("paper", [3, 2, 3, 2, 1])])
def test_patience_left_counts_down_and_starts_anew(protocol, left):
    stopping = EarlyStopping(2, protocol)
    seen = []
    for loss in [5, 6, 4, 4, 4]:
        stopping.update(loss)
        seen.append(stopping.patience_left)
    assert seen == left


def test_improved_speaks_of_the_last_epoch():
    stopping = EarlyStopping(5)
    assert stopping.improved is False
    assert [(stopping.update(loss), stopping.improved)[1] for loss in [2.0, 3.0, 1.0]] == [True, False, True]


losses_of_epochs = st.lists(st.floats() | st.sampled_from([1.0, 2.0]), max_size=12)


@settings(deadline=None)
@given(
    losses=losses_of_epochs,
    cut=st.integers(0, 12),
    patience=st.none() | st.integers(1, 4),
    protocol=st.sampled_from(["sound", "paper"]),
    higher=st.booleans(),
)
def test_resumed_from_json_goes_on_as_if_never_interrupted(losses, cut, patience, protocol, higher):
    whole = EarlyStopping(patience, protocol, higher_is_better=higher)
    decisions = [whole.update(loss) for loss in losses]
    first = EarlyStopping(patience, protocol, higher_is_better=higher)
    before = [first.update(loss) for loss in losses[:cut]]
    second = EarlyStopping.from_state(json.loads(json.dumps(first.state(), allow_nan=False)))
    after = [second.update(loss) for loss in losses[cut:]]
    assert before + after == decisions
    assert second.state() == whole.state()


@settings(deadline=None)
@given(losses=losses_of_epochs, patience=st.integers(1, 4))
def test_paper_stops_exactly_one_bad_epoch_later_than_sound(losses, patience):
    paper, later = EarlyStopping(patience, "paper"), EarlyStopping(patience + 1, "sound")
    assert [paper.update(loss) for loss in losses] == [later.update(loss) for loss in losses]
