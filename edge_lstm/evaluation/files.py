"""An evaluation of files: its request, its texts and models, and its run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.evaluation.baseline import check_trainable, train_baseline
from edge_lstm.evaluation.evaluate import Progress, evaluate
from edge_lstm.evaluation.result import Evaluation, Pricing
from edge_lstm.evaluation.sources import TRAINING_SPLIT, load_labelled, read_foreign
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


@dataclass(frozen=True)
class _Question:
    """The models of a question, its texts, and the training texts of its baseline."""

    classifiers: tuple[Classifier, ...]
    labelled: LabelledTexts
    training: LabelledTexts | None


class FileEvaluation:
    """An evaluation that has read its files."""

    def __init__(self, request: Request) -> None:
        """Read the files.

        Raise DataError, ModelFileError, or MissingPackageError.
        """
        self._request = request
        if request.baseline:
            check_trainable()
        # Models first: an error of theirs comes before the data is read, which may take long.
        classifiers = {name: self._load(paths) for name, paths in request.models.items()}
        self._foreign = read_foreign(request.foreign) if request.foreign else ()
        self._questions = {name: self._read(name, of) for name, of in classifiers.items()}

    @property
    def texts(self) -> int:
        """Number of texts to classify, a text once for each model."""
        return sum(
            (len(question.labelled.texts) + len(self._foreign)) * len(question.classifiers)
            for question in self._questions.values()
        )

    def run(self, progress: Progress) -> dict[str, Evaluation]:
        """Return the evaluation of each question.

        progress: called with the number of texts classified since the last call.

        Raise DataError.
        """
        return {name: self._evaluate(each, progress) for name, each in self._questions.items()}

    def _load(self, paths: Sequence[str | None]) -> tuple[Classifier, ...]:
        request = self._request
        classifiers = []
        for path in paths:
            classifier = Classifier.load(
                path, engine=request.engine, threads=request.threads, provider=request.provider
            )
            classifier.threshold(abstain=request.abstain, threshold=request.threshold)
            if request.pricing and classifier.model.thresholds is not None:
                raise DataError(f"{path} gives several labels per text; leave --price out")
            classifiers.append(classifier)
        return tuple(classifiers)

    def _read(self, name: str, classifiers: tuple[Classifier, ...]) -> _Question:
        request = self._request
        multi_label = classifiers[0].model.thresholds is not None
        options = replace(
            request.reading,
            label_column=name or request.reading.label_column,
            multi_label=multi_label or None,
            skip_unlabelled=bool(name),
        )
        labelled = load_labelled(request.data, split=request.split, options=options)
        training = None
        if request.baseline:
            # The suffix says its format, and it needs no times.
            options = replace(options, format=None, time_column=None)
            training = load_labelled(
                request.baseline, default_split=TRAINING_SPLIT, options=options
            )
        return _Question(classifiers, labelled, training)

    def _evaluate(self, question: _Question, progress: Progress) -> Evaluation:
        request = self._request
        evaluation = evaluate(
            question.classifiers,
            question.labelled,
            data=request.data,
            label_map=request.label_map,
            foreign=self._foreign,
            abstain=request.abstain,
            threshold=request.threshold,
            windows=request.windows,
            progress=progress,
        )
        evaluation = replace(evaluation, pricing=request.pricing)
        if request.baseline and question.training:
            baseline = train_baseline(
                evaluation, question.training, request.baseline, request.label_map
            )
            evaluation = replace(evaluation, baseline=baseline)
        return evaluation


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
