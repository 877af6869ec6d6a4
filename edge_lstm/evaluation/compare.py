"""The comparison of two models on the same texts: paired, text by text."""

from __future__ import annotations

import numpy as np

from edge_lstm import metrics
from edge_lstm.evaluation.result import Comparison, ModelResult


def compare(first: ModelResult, second: ModelResult) -> Comparison:
    """Compare two models by their predictions for the same texts."""
    n = len(first.truth)
    test = metrics.mcnemar(first.correct, second.correct)
    only_first = test.only_first_right
    only_second = test.only_second_right
    return Comparison(
        first=first.name,
        second=second.name,
        difference=(only_second - only_first) / n,
        interval=metrics.paired_difference_interval(only_first, only_second, n),
        test=test,
        micro_f1=second.scores.micro_f1 - first.scores.micro_f1,
        disagreements=int((first.predicted != second.predicted).any(axis=1).sum()),
        largest_change=float(np.abs(first.probabilities - second.probabilities).max()),
    )
