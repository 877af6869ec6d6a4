"""The texts that a model judges wrongly, as a file that a person corrects and ``train`` reads."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from edge_lstm.atomic import write_atomically
from edge_lstm.evaluation.evaluate import Evaluation

COLUMNS = ("row", "label", "guess", "probability", "text")


def write_mistakes(evaluation: Evaluation, path: Path) -> int:
    """Writes the mistakes of the first model, the surest first, as CSV. → how many.

    row: the text's number in the data, from 1; label: the one it has there, by the model's name for it, to be
    corrected where it is wrong; guess, probability: the model's. Written with a byte order mark, by which
    spreadsheets know UTF-8. Raises OutputError.
    """
    model = evaluation.models[0]
    wrong = np.flatnonzero(~model.correct)
    highest = model.probabilities[wrong].max(axis=1)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i in wrong[np.argsort(-highest, kind="stable")].tolist():
        label, guess = model.labels[model.truth[i]], model.labels[model.predicted[i]]
        probability = f"{model.probabilities[i].max():.4f}"
        writer.writerow([i + 1, label, guess, probability, evaluation.texts[i]])
    write_atomically(buffer.getvalue().encode("utf-8-sig", "replace"), path)
    return len(wrong)
