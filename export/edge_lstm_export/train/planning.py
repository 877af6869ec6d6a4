"""From a data set and a request to a plan, with the knowledge of pretrained models about the
texts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_lstm_export.options import NO_TEACHER, SourceFile, TrainingRequest, is_model_file
from edge_lstm_export.train import defaults
from edge_lstm_export.train.data import Dataset
from edge_lstm_export.train.plan import Decided, decide
from edge_lstm_export.train.stats import DatasetStats, dataset_stats, english_share, try_teacher
from edge_lstm_export.train.teachers.transformer import classifier_labels


@dataclass(frozen=True)
class Planned:
    """A plan, the statistics that decided it, and the reasons of its fields."""

    stats: DatasetStats
    decided: Decided


def plan_training(dataset: Dataset, request: TrainingRequest, unlabelled: int = 0) -> Planned:
    """Plan a training. unlabelled: number of texts for the teachers to label.

    Raises DataError, ModelFileError, MissingPackageError.
    """
    stats = known_stats(dataset, request, unlabelled)
    return Planned(stats, decide(stats, request))


def known_stats(dataset: Dataset, request: TrainingRequest, unlabelled: int = 0) -> DatasetStats:
    """Return the statistics of a data set, also the ones that a pretrained model gives."""
    stats = dataset_stats(dataset, unlabelled)
    knows_nothing = stats.is_long or stats.kind == "unsegmented" or stats.multi_label
    if knows_nothing or request.preset == "seed":
        return stats
    stats = replace(stats, english=english_share(dataset))
    asked = request.teacher
    if asked is not None and (asked == NO_TEACHER or is_model_file(asked)):
        return stats
    is_english = stats.english >= defaults.LEAST_ENGLISH
    candidate = SourceFile(defaults.CANDIDATE)
    return replace(
        stats, trial=try_teacher(dataset, candidate, request.seed, is_english=is_english)
    )


def with_teacher_kind(request: TrainingRequest) -> TrainingRequest:
    """Return the request, with whether its teacher is a classifier.

    Raises DataError, MissingPackageError.
    """
    teacher = request.teacher
    if teacher is None or teacher == NO_TEACHER or is_model_file(teacher):
        return request
    return replace(request, classifier=classifier_labels(teacher) is not None)
