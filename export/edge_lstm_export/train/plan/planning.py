"""From a data set and a request to a plan, with what pretrained models know of the texts."""

from __future__ import annotations

from dataclasses import replace

from edge_lstm.core.question import Question
from edge_lstm.errors import DataError
from edge_lstm_export.onnx import open_source
from edge_lstm_export.options import ENCODERS, Plan, SourceFile, TrainingRequest
from edge_lstm_export.train.data import english
from edge_lstm_export.train.lstm import check_shape
from edge_lstm_export.train.plan import defaults
from edge_lstm_export.train.plan.decisions import Decided, decide
from edge_lstm_export.train.plan.stats import DatasetStats, dataset_stats
from edge_lstm_export.train.plan.trial import try_teacher
from edge_lstm_export.train.sources import Dataset
from edge_lstm_export.train.teachers import check_encoder


def plan_training(dataset: Dataset, request: TrainingRequest, plan: Plan | None = None) -> Decided:
    """Plan a training.

    plan: an edited plan, to hold against the data instead of making one.

    Raise DataError, ModelFileError, MissingPackageError.
    """
    stats = dataset_stats(dataset)
    if plan is None:
        if request.transformer is not None:
            check_encoder(request.transformer)
        decided = decide(known_stats(stats, dataset, request), request)
    else:
        check_fits(plan, dataset)
        decided = Decided(plan, stats)
    Question.of(decided.plan.question, dataset.labels)
    return decided


def known_stats(stats: DatasetStats, dataset: Dataset, request: TrainingRequest) -> DatasetStats:
    """Return the statistics of a data set with the ones that pretrained models give."""
    if request.preset == "seed":
        return stats
    if not (stats.is_long or stats.kind == "unsegmented" or stats.multi_label):
        stats = replace(stats, english=english().share_of(dataset.train.texts))
    if request.teacher is not None and request.transformer is None:
        return stats
    candidate = SourceFile(defaults.CANDIDATE)
    return replace(stats, trial=try_teacher(dataset, stats, candidate, request.seed))


def check_fits(plan: Plan, dataset: Dataset) -> None:
    """Check that the plan is for these labels, and fits its model files.

    DataError or ModelFileError if one of these cannot be read, or was changed after the plan
    was made.
    Raises DataError if not.
    """
    labels = len(dataset.labels)
    if (plan.network.labels, plan.network.multi_label) != (labels, dataset.multi_label):
        each = "several labels" if dataset.multi_label else "one label"
        raise DataError(
            f"the plan is for {plan.network.labels} labels, the data have {labels}, {each} "
            "per text; make a plan for these data with --dry-run"
        )
    planned = plan.validation.group_column
    if planned != dataset.group_column:
        own = f"{planned!r:.60}" if planned else "none"
        theirs = f"{dataset.group_column!r:.60}" if dataset.group_column else "none"
        how = f"give --group-column {own}" if planned else "leave --group-column out"
        raise DataError(
            f"the plan has the groups {own}, the data have {theirs}; {how}, or make a plan for "
            "these data with --dry-run"
        )
    if plan.start.source:
        check_shape(plan.start, plan.network)
    for teacher in plan.teachers:
        if teacher.kind == "model":
            open_source(teacher)
        elif teacher.kind in ENCODERS:
            check_encoder(teacher.source)
