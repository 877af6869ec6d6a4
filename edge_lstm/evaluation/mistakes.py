"""The texts that a model judges wrongly, as a file that a person corrects and ``train`` reads."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.atomic import write_atomically
from edge_lstm.evaluation.evaluate import Evaluation, ModelResult
from edge_lstm.evaluation.several import SeveralEvaluation, SeveralResult

COLUMNS = ("row", "label", "guess", "probability", "text")


def write_mistakes(evaluation: Evaluation | SeveralEvaluation, path: Path) -> int:
    """Writes the mistakes of the first model, the surest first, as CSV. → how many.

    row: the text's number in the data, from 1; label: the one it has there, by the model's name for it, to be
    corrected where it is wrong; guess, probability: the model's. Of several labels a text, label and guess
    are those it has and those it is given, joined by LABEL_JOINT, and probability is how sure the model was
    of its surest mistake. Written with a byte order mark, by which spreadsheets know UTF-8. Raises
    OutputError.
    """
    model = evaluation.models[0]
    wrong = np.flatnonzero(~model.correct)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i in wrong[np.argsort(-model.confidence[wrong], kind="stable")].tolist():
        label, guess = _label_and_guess(model, i)
        writer.writerow([i + 1, label, guess, f"{model.confidence[i]:.4f}", evaluation.texts[i]])
    write_atomically(buffer.getvalue().encode("utf-8-sig", "replace"), path)
    return len(wrong)


def _label_and_guess(model: ModelResult | SeveralResult, text: int) -> tuple[str, str]:
    if isinstance(model, ModelResult):
        return model.labels[model.truth[text]], model.labels[model.predicted[text]]
    has, given = (LABEL_JOINT.join(model.names(own[text])) for own in (model.truth, model.given))
    return has, given
