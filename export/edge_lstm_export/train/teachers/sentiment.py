"""The package's own sentiment model as a teacher, where labels have to do with praise and complaint.

What it predicts of a text is one number, and a regression on the labelled texts finds what that means for the
labels at hand, whatever these are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_lstm import Classifier
from edge_lstm_export.train.data import Floats
from edge_lstm_export.train.teachers.base import Regression

_LEAST = 1e-4  # of a probability: what is beyond says no more of how sure it is
_SCALE = 3.0  # so that a text's number is about 1 in size, as vectors of length 1 are


def sentiment_features(texts: Sequence[str]) -> Floats:
    """float32 [texts, 1]: how sure the model is of praise."""
    probabilities = Classifier.load().probabilities(texts).clip(_LEAST, 1)
    return np.asarray(np.log(probabilities[:, 1:] / probabilities[:, :1]) / _SCALE, np.float32)


def sentiment_teacher(several: bool) -> Regression:
    """The model as a teacher. several: a text may have several labels."""
    return Regression("sentiment model", sentiment_features, several)
