"""A trial of a teacher, on the rows of a data set."""

from __future__ import annotations

import numpy as np

from edge_lstm_export.arrays import Bools, Floats
from edge_lstm_export.options import SourceFile
from edge_lstm_export.train.data import english
from edge_lstm_export.train.plan import defaults
from edge_lstm_export.train.plan.stats import DatasetStats, TeacherTrial
from edge_lstm_export.train.sources import Dataset, folds_of
from edge_lstm_export.train.teachers import (
    LinearTeacher,
    Teacher,
    accuracy,
    accuracy_gain,
    cross_fit,
    log_loss_gain,
    model_teacher,
    stacked,
)


def try_teacher(dataset: Dataset, stats: DatasetStats, file: SourceFile, seed: int) -> TeacherTrial:
    """Cross-fit a model file as a teacher on some rows, together with a linear one."""
    order = np.random.default_rng([seed, 0x5E]).permutation(stats.rows)
    train = dataset.train.subset(np.sort(order[: defaults.TRIAL_ROWS]))
    labels = train.labels
    reason = _why_untried(stats, labels)
    if reason:
        return TeacherTrial(file.source, False, f"not tried: {reason}")
    fold = folds_of(train, defaults.TRIAL_FOLDS, seed)

    def predict(teacher: Teacher) -> Floats:
        teacher.read(train.texts)
        nothing = np.zeros((defaults.TRIAL_FOLDS + 1, 0), np.bool_)
        return cross_fit(teacher, labels, fold, nothing).labelled

    def surely_better(with_it: Floats, without: Floats) -> bool:
        if accuracy_gain(with_it, without, labels, False) < defaults.TRIAL_ACCURACY_GAIN:
            return False
        return log_loss_gain(with_it, without, labels, False) >= defaults.TRIAL_LOG_LOSS_GAIN

    def rate(logits: Floats) -> str:
        return f"{accuracy(logits, labels, False):.1%}"

    alone = predict(model_teacher(file, False))
    shares = labels.mean(axis=0).clip(defaults.TRIAL_UNSEEN)
    frequent = np.broadcast_to(np.log(shares), alone.shape).astype(np.float32)
    if not surely_better(alone, frequent):  # asked first: it takes no time
        rates = f"accuracy {rate(alone)} alone, {rate(frequent)} by the most frequent label"
        return TeacherTrial(file.source, False, f"tried: {rates}, no sure gain")
    words = english() if stats.english >= defaults.LEAST_ENGLISH else None
    linear = predict(LinearTeacher(False, words=words))
    without = stacked([linear], labels, False)
    with_it = stacked([without, alone], labels, False)
    rates = f"cross-validated accuracy {rate(with_it)} with it, {rate(without)} without"
    if surely_better(with_it, without):
        return TeacherTrial(file.source, True, f"tried: {rates}")
    return TeacherTrial(file.source, False, f"tried: {rates}, no sure gain")


def _why_untried(stats: DatasetStats, labels: Bools) -> str:
    """Return why a model file is not tried as a teacher of these rows; "" if it is."""
    if stats.kind != "short":
        return stats.kind if stats.kind in ("many labels", "topics") else f"{stats.kind} texts"
    if stats.multi_label:
        return "several labels per text"
    if stats.rows < defaults.FEWEST_TO_CROSS_VALIDATE:
        return f"{stats.rows} rows are too few"
    if stats.rows > defaults.MOST_WITH_EMBEDDINGS:
        return f"more than {defaults.MOST_WITH_EMBEDDINGS:,} rows"
    if (labels.sum(axis=0) > 1).sum() < 2:
        return "fewer than two labels have two rows"
    return ""
