"""When a score says that training went wrong: rules over percentages, and nothing else."""

from __future__ import annotations

# Flags of runs whose predictions say that they learned nothing.
CONSTANT = "constant_predictions"
MAJORITY = "majority_level"
COLLAPSED_POINTS = 15.0  # below the best run of the same model and data set in one stage
SUSPECT_POINTS = 25.0  # below the best model of one stage on a data set
MAJORITY_POINTS = 2.0  # above the share of the most common label
ROUNDING = 1e-9  # points; 65.3 and 80.3 are exactly 15 apart on paper, not in binary


def collapsed(metric: float, best_of_group: float) -> bool:
    """Whether a run is so far below the best run of its model and data set that it learned nothing.

    NaN counts as collapsed.
    """
    return _below(metric, best_of_group, COLLAPSED_POINTS)


def suspect(metric: float, best_of_dataset: float) -> bool:
    """Whether a model's selected run is too far below the best model on a data set to be trusted.

    NaN counts as suspect.
    """
    return _below(metric, best_of_dataset, SUSPECT_POINTS)


def at_majority_level(accuracy: float, majority_share: float) -> bool:
    """Whether an accuracy is no better than naming the most common label every time; both in percent."""
    return not accuracy > majority_share + MAJORITY_POINTS + ROUNDING


def _below(metric: float, best: float, points: float) -> bool:
    return not best - metric < points - ROUNDING
