"""What a person should know of a measured result before relying on it: each a line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch import Tensor

from edge_lstm_export.datasets.dataset import listed, shorten
from edge_lstm_export.evaluation import Measured, best_threshold, log_probabilities

# Points of accuracy: an interval this wide on either side cannot tell two trainings apart.
WIDE_INTERVAL = 5.0
# A label is rare below this part of an even share. With fewer of its texts a threshold is a guess.
RARE, FEWEST_OF_RARE = 1 / 3, 10


def remarks(measured: Measured, logits: Tensor, truth: npt.NDArray[np.int64]) -> Iterator[str]:
    """Of the validation part's result, since that is what epochs and options are chosen by.

    logits: float32 [n, 1 or L], calibrated; truth: int64 [n].
    """
    points = (measured.interval.high - measured.interval.low) * 50
    if points > WIDE_INTERVAL:
        yield (
            f"the validation part holds {measured.texts} texts: its accuracy is known to ±{points:.0f} "
            "points only; collect more texts, or hold out more with --validation"
        )
    frequent = max(measured.labels, key=lambda row: row.support)
    share = frequent.support / measured.texts
    if measured.interval.low <= share:
        yield (
            f"not shown to be better than always answering {shorten(frequent.label)} "
            f"({measured.accuracy:.1%} against {share:.1%}): do not rely on it, collect more texts"
        )
    never = [shorten(row.label) for row in measured.labels if row.support and not row.predicted]
    if never:
        yield f"{listed(never)} is never the answer on the validation part: collect more such texts"
    # Class weights in the loss were tried and left out. On 5,000 film reviews, 5 % of them positive, they
    # rank texts no better (AUC 0.837 and 0.860, without 0.844 and 0.860), cost log loss (0.171 and 0.177,
    # without 0.158 and 0.150), and their mean F1 (65 and 66 %) is that of a threshold (64 and 67 %).
    probabilities = log_probabilities(logits).exp().numpy()
    for label, row in enumerate(measured.labels):
        if FEWEST_OF_RARE <= row.support < RARE * measured.texts / len(measured.labels):
            threshold, f1 = best_threshold(truth == label, probabilities[:, label])
            if f1 > row.f1 + 0.02:
                yield (
                    f"{shorten(row.label)} is rare: answering it from a probability of {threshold:.2f} on "
                    f"gives it an F1 of {f1:.0%}, in place of {row.f1:.0%} (score --all-probabilities)"
                )
