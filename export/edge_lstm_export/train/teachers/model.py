"""A model file or a checkpoint as a teacher.

It may be any of edge-lstm: the package's sentiment model, or a network that was imported.

Its labels need not be those at hand: a regression on its log odds learns how the two are related.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.fields import without_fields
from edge_lstm.errors import DataError
from edge_lstm_export.arrays import Floats
from edge_lstm_export.onnx import open_source
from edge_lstm_export.options import SourceFile
from edge_lstm_export.train.teachers.base import Regression


def model_teacher(file: SourceFile, multi_label: bool) -> Regression:
    """Return a regression on the log odds of a model file's labels, divided by 3.

    Raise DataError or ModelFileError if the file cannot be read.
    """
    classifier = Classifier(open_source(file))
    if classifier.model.fields is not None:
        raise DataError(f"a teacher reads texts, and {file.source} reads fields; give another")
    has_sets = classifier.model.thresholds is not None

    def log_odds(texts: Sequence[str]) -> Floats:
        """float32 [texts, labels], or [texts, 1] for two labels of which a text has one."""
        chances = classifier.probabilities([*map(without_fields, texts)])
        least = 1e-4  # of a probability, so that no log odds are infinite
        if has_sets:
            rest = (1 - chances).clip(least, 1)
            odds = np.log(chances.clip(least, 1 - least)) - np.log(rest)
        elif len(classifier.labels) == 2:
            bounded = chances.clip(least, 1)
            odds = np.log(bounded[:, 1:] / bounded[:, :1])
        else:
            logs = np.log(chances.clip(least, 1))
            odds = logs - logs.mean(axis=1, keepdims=True)
        return np.asarray(odds / 3.0, np.float32)

    return Regression(log_odds, multi_label)
