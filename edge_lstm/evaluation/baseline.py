"""A linear SVM on the evaluated texts, to compare the models with."""

from __future__ import annotations

from collections.abc import Mapping

from edge_lstm import metrics
from edge_lstm.errors import DataError
from edge_lstm.evaluation.evaluate import label_matrix
from edge_lstm.evaluation.result import Baseline, Evaluation
from edge_lstm.extras import check_installed
from edge_lstm.tables.labelled import LabelledTexts
from edge_lstm.text import text_key


def check_trainable() -> None:
    """Raise MissingPackageError if a package is not installed; called before the work."""
    check_installed("train", "--baseline")


def train_baseline(
    evaluation: Evaluation, training: LabelledTexts, source: str, label_map: Mapping[str, str]
) -> Baseline:
    """Train the baseline, and compare each model with it on the evaluated texts.

    source: name of the training texts' source.
    label_map: as in evaluate(); a label that the training texts lack is left out.

    Raise DataError if the training texts do not fit.
    """
    from edge_lstm_export.options import LinearOptions
    from edge_lstm_export.train.baseline import NAME, linear_svm

    first = evaluation.results[0]
    if training.multi_label and not evaluation.multi_label:
        raise DataError(
            f"{source} has several labels per text, the model gives one; give other texts"
        )
    present = {label for of_text in training.labels for label in of_text}
    names = {theirs: ours for theirs, ours in label_map.items() if theirs in present}
    labels = label_matrix(training.labels, first.labels, names, source)
    try:
        predicted, size = linear_svm(
            training.texts, labels, evaluation.texts, evaluation.multi_label, LinearOptions()
        )
    except ValueError:  # scikit-learn's, of blank texts
        raise DataError(f"{source} holds blank texts only; give texts with words") from None
    correct = (first.truth == predicted).all(axis=1)
    scores = metrics.set_scores(first.truth, predicted, first.labels)
    known = set(map(text_key, training.texts)) - {text_key("")}
    return Baseline(
        name=NAME,
        source=source,
        training_texts=len(training.texts),
        shared=sum(text_key(text) in known for text in evaluation.texts),
        bytes=size,
        accuracy=scores.subset_accuracy,
        interval=metrics.wilson_interval(scores.exact, scores.texts),
        macro_f1=scores.macro_f1,
        tests=tuple(metrics.mcnemar(correct, each.correct) for each in evaluation.results),
    )
