"""From a data set and a request to a plan, with what pretrained models know of the texts."""

from __future__ import annotations

from dataclasses import replace

from edge_lstm_export.options import SourceFile, TrainingRequest, is_transformer
from edge_lstm_export.train import defaults
from edge_lstm_export.train.data import Dataset
from edge_lstm_export.train.plan import Decided, decide
from edge_lstm_export.train.pretrained import english
from edge_lstm_export.train.stats import DatasetStats, dataset_stats, try_teacher
from edge_lstm_export.train.teachers.transformer import classifier_labels


def plan_training(dataset: Dataset, request: TrainingRequest, unlabelled: int = 0) -> Decided:
    """Plan a training.

    unlabelled: number of texts for the teachers to label.

    Raise DataError, ModelFileError, MissingPackageError.
    """
    return decide(known_stats(dataset, request, unlabelled), request)


def known_stats(dataset: Dataset, request: TrainingRequest, unlabelled: int = 0) -> DatasetStats:
    """Return the statistics of a data set, also the ones that a pretrained model gives."""
    stats = dataset_stats(dataset, unlabelled)
    if request.preset == "seed":
        return stats
    if not (stats.is_long or stats.kind == "unsegmented" or stats.multi_label):
        stats = replace(stats, english=english().share_of(dataset.train.texts))
    if request.teacher is not None and not is_transformer(request.teacher):
        return stats
    candidate = SourceFile(defaults.CANDIDATE)
    return replace(stats, trial=try_teacher(dataset, stats, candidate, request.seed))


def with_teacher_kind(request: TrainingRequest) -> TrainingRequest:
    """Return the request, with whether its teacher is a classifier.

    Raise DataError, MissingPackageError.
    """
    if not is_transformer(request.teacher):
        return request
    return replace(request, classifier=classifier_labels(str(request.teacher)) is not None)
