"""An evaluation of files: its request, its models and texts, and its run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.evaluation.baseline import check_trainable, train_baseline
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.result import Evaluation, Pricing
from edge_lstm.evaluation.sources import TRAINING_SPLIT, load_labelled, read_foreign
from edge_lstm.modelfile import ModelFile
from edge_lstm.native import DEFAULT_PROVIDER
from edge_lstm.tables.labelled import DEFAULT_LABEL_OPTIONS, LabelledTexts, LabelOptions


@dataclass(frozen=True, kw_only=True)
class Request:
    """The files of an evaluation, and its options.

    models: name of a question → paths of its model files, None for the embedded one. The name is
        also the question's label column. A single question may have an empty name; its label column
        is found.
    data: source of the labelled texts, see load_labelled.
    reading: how it is read.
    split: of the data.
    label_map: label in the data → label of the model.
    foreign: source of texts that belong to none of the labels.
    baseline: source of the training texts of the baseline, read as the data are.
    pricing: of the questions that a model hands back.
    abstain, threshold: see Classifier.threshold.
    windows: see evaluate().
    engine, threads, provider: see Classifier.load.
    """

    models: Mapping[str, Sequence[str | None]]
    data: str
    reading: LabelOptions = DEFAULT_LABEL_OPTIONS
    split: str | None = None
    label_map: Mapping[str, str]
    foreign: str | None = None
    baseline: str | None = None
    pricing: Pricing | None = None
    abstain: float | None = None
    threshold: float | None = None
    windows: bool = False
    engine: str | None = None
    threads: int = 1
    provider: str = DEFAULT_PROVIDER


def evaluate_files(
    request: Request, progress: Callable[[int], AbstractContextManager[Any]]
) -> dict[str, Evaluation]:
    """Return the evaluation of each question.

    progress: makes a progress bar, such as cli.progress.ProgressBar, of the number of texts to
        classify, a text once for each model.

    Raise DataError, ModelFileError, or MissingPackageError.
    """
    if request.baseline:
        check_trainable()
    # Models first: an error of theirs comes before the data is read, which may take long.
    classifiers = {name: _load(request, paths) for name, paths in request.models.items()}
    foreign = read_foreign(request.foreign) if request.foreign else ()
    data = {name: _read(request, name, of[0].model) for name, of in classifiers.items()}
    texts = 0
    for name, (labelled, _) in data.items():
        texts += (len(labelled.texts) + len(foreign)) * len(classifiers[name])
    evaluations = {}
    with progress(texts) as bar:
        for name, (labelled, training) in data.items():
            evaluation = evaluate(
                classifiers[name],
                labelled,
                data=request.data,
                label_map=request.label_map,
                foreign=foreign,
                abstain=request.abstain,
                threshold=request.threshold,
                windows=request.windows,
                progress=bar.advance,
            )
            evaluation = replace(evaluation, pricing=request.pricing)
            if request.baseline and training:
                baseline = train_baseline(evaluation, training, request.baseline, request.label_map)
                evaluation = replace(evaluation, baseline=baseline)
            evaluations[name] = evaluation
    return evaluations


def _load(request: Request, paths: Sequence[str | None]) -> list[Classifier]:
    classifiers = []
    for path in paths:
        classifier = Classifier.load(
            path, engine=request.engine, threads=request.threads, provider=request.provider
        )
        classifier.threshold(abstain=request.abstain, threshold=request.threshold)
        if request.pricing and classifier.model.thresholds is not None:
            raise DataError(f"{path} gives several labels per text; leave --price out")
        classifiers.append(classifier)
    return classifiers


def _read(
    request: Request, name: str, model: ModelFile
) -> tuple[LabelledTexts, LabelledTexts | None]:
    """Return the texts of a question, and the training texts of its baseline."""
    options = replace(
        request.reading,
        label_column=name or request.reading.label_column,
        multi_label=None if model.thresholds is None else True,
        skip_unlabelled=bool(name),
    )
    labelled = load_labelled(request.data, split=request.split, options=options)
    if not request.baseline:
        return labelled, None
    # The suffix says its format, and it needs no times.
    options = replace(options, format=None, time_column=None)
    return labelled, load_labelled(request.baseline, default_split=TRAINING_SPLIT, options=options)


def parse_pricing(price: float | None, per_month: int | None) -> Pricing | None:
    """Return the price of questions that are handed back; None if neither value is given.

    price: of one question, finite, not below 0.
    per_month: number of questions a month.

    Raise DataError if a value is wrong, or missing.
    """
    if price is None and per_month is None:
        return None
    if price is None or per_month is None:
        raise DataError("--price and --per-month go together; give both, or leave both out")
    if not 0 <= price < math.inf:
        raise DataError(f"--price must be 0 or more for one question, not {price}")
    return Pricing(price, per_month)
