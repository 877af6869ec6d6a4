"""Models × texts with several labels each → how good each model is: F1 of the labels, texts exactly right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.classifier import DEFAULT_PROVIDER, Classifier
from edge_lstm.errors import DataError
from edge_lstm.evaluation.evaluate import Progress, answers_of, check_label_map, check_same_labels, names_of
from edge_lstm.evaluation.texts import OovRate, oov_rate
from edge_lstm.metrics import (
    SMALLEST_PROBABILITY,
    Interval,
    McNemar,
    SetScores,
    mcnemar,
    paired_difference_interval,
    set_scores,
    wilson_interval,
)
from edge_lstm.modelfile import ModelFile

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SeveralResult:
    """One model's answers, and what follows from them.

    name, path, sha256, precision, bytes, oov, warnings: as of evaluate.ModelResult.
    labels: the first model's, in its order; thresholds: this model's, for each of them.
    truth: bool [n, labels], the labels that each text has; given: the same of the answers.
    probabilities: float32 [n, labels].
    """

    name: str
    path: str
    sha256: str
    precision: str
    bytes: int
    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    truth: Bools
    given: Bools
    probabilities: npt.NDArray[np.float32]
    oov: OovRate | None = None
    warnings: tuple[str, ...] = field(default=())

    @cached_property
    def scores(self) -> SetScores:
        """Precision, recall and F1 of each label, and what they make together."""
        return set_scores(self.truth, self.given, self.labels)

    @cached_property
    def correct(self) -> Bools:
        """bool [n], whether a text was given its labels and no other."""
        return np.asarray((self.truth == self.given).all(axis=1))

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the subset accuracy."""
        return wilson_interval(int(self.correct.sum()), len(self.correct))

    @cached_property
    def log_loss(self) -> float:
        """Mean of a text's binary cross entropies, added up over its labels, in nats."""
        right = np.where(self.truth, self.probabilities, 1 - self.probabilities).astype(np.float64)
        return float(-np.log(np.clip(right, SMALLEST_PROBABILITY, 1.0)).sum(axis=1).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the texts' own answers."""
        return {
            "name": self.name,
            "path": self.path,
            "sha256": self.sha256,
            "precision": self.precision,
            "bytes": self.bytes,
            "micro_f1": self.scores.micro_f1,
            "macro_f1": self.scores.macro_f1,
            "subset_accuracy": self.scores.subset_accuracy,
            "subset_accuracy_interval": asdict(self.interval),
            "log_loss": self.log_loss,
            "labels": [
                {**asdict(row), "threshold": threshold}
                for row, threshold in zip(self.scores.labels, self.thresholds)
            ],
            "oov": self.oov and self.oov.to_json(),
            "training_warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True)
class SeveralComparison:
    """The second model against the first, on the same texts.

    micro_f1: second's - first's. difference, interval, test: of the texts that are exactly right.
    other_labels: texts to which they give other labels; largest_change: of any probability.
    """

    first: str
    second: str
    micro_f1: float
    difference: float
    interval: Interval
    test: McNemar
    other_labels: int
    largest_change: float


@dataclass(frozen=True, kw_only=True)
class SeveralEvaluation:
    """The result of :func:`evaluate_several`, as evaluate.Evaluation is that of texts with one label."""

    data: str
    texts: tuple[str, ...]
    statuses: dict[str, int]
    models: tuple[SeveralResult, ...]
    comparisons: tuple[SeveralComparison, ...]

    @property
    def labels_of_a_text(self) -> float:
        """How many labels a text has on average."""
        return float(self.models[0].truth.sum(axis=1).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``edge-lstm evaluate --json``."""
        return {
            "data": self.data,
            "texts": len(self.texts),
            "labels_of_a_text": self.labels_of_a_text,
            "statuses": self.statuses,
            "models": [model.to_json() for model in self.models],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }


def evaluate_several(
    models: Sequence[ModelFile],
    texts: Sequence[str],
    labels: Sequence[Sequence[str]],
    *,
    data: str = "",
    label_map: Mapping[str, str] | None = None,
    threads: int = 1,
    provider: str = DEFAULT_PROVIDER,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> SeveralEvaluation:
    """Classifies every text with every model; labels: each text's own. Else as evaluate.evaluate.

    Raises DataError as that does, and where a model gives one label a text.
    """
    if not texts:
        raise DataError(f"{data or 'the data'} holds no labelled text; give a file with at least one")
    first = models[0]
    check_same_labels(models)
    for model in models:
        if model.thresholds is None:
            raise DataError(
                f"{model.path} gives one label a text, {data or 'the data'} has several; use another"
            )
    truth = truth_of_sets(labels, first.labels, label_map or {}, data)
    results = []
    statuses: dict[str, int] = {}
    for model, name in zip(models, names_of(models)):
        classifier = Classifier.from_model(model, threads=threads, provider=provider)
        answers, counted = answers_of(classifier, texts, batch_size, progress)
        statuses = statuses or counted
        columns = [model.labels.index(label) for label in first.labels]
        results.append(
            SeveralResult(
                name=name,
                path=str(model.path),
                sha256=model.sha256(),
                precision=model.precision,
                bytes=len(model.data),
                labels=first.labels,
                thresholds=tuple((model.thresholds or ())[i] for i in columns),
                truth=truth,
                given=classifier.has_labels(answers)[:, columns],
                probabilities=answers[:, columns],
                oov=oov_rate(model, texts),
                warnings=tuple(map(str, model.training.get("warnings", ()))),
            )
        )
    return SeveralEvaluation(
        data=data,
        texts=tuple(texts),
        statuses=statuses,
        models=tuple(results),
        comparisons=tuple(_compared(results[0], other) for other in results[1:]),
    )


def truth_of_sets(
    labels: Sequence[Sequence[str]], known: Sequence[str], label_map: Mapping[str, str], data: str
) -> Bools:
    """Label names of each text → bool [n, labels]. DataError where one is unknown to the model."""
    present = sorted({name for own in labels for name in own})
    table = check_label_map(present, known, label_map, data)
    truth = np.zeros((len(labels), len(known)), dtype=np.bool_)
    for row, own in zip(truth, labels):
        row[[table[name] for name in own]] = True
    return truth


def _compared(first: SeveralResult, second: SeveralResult) -> SeveralComparison:
    only_first = int((first.correct & ~second.correct).sum())
    only_second = int((second.correct & ~first.correct).sum())
    n = len(first.truth)
    return SeveralComparison(
        first=first.name,
        second=second.name,
        micro_f1=second.scores.micro_f1 - first.scores.micro_f1,
        difference=(only_second - only_first) / n,
        interval=paired_difference_interval(only_first, only_second, n),
        test=mcnemar(only_first, only_second),
        other_labels=int((first.given != second.given).any(axis=1).sum()),
        largest_change=float(np.abs(first.probabilities - second.probabilities).max()),
    )
