"""Models × texts with several labels each → how good each model is: F1 of the labels, texts exactly right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import reach
from edge_lstm.classifier import DEFAULT_PROVIDER
from edge_lstm.errors import DataError
from edge_lstm.evaluation.answers import (
    Answers,
    Bools,
    Paired,
    Progress,
    answer,
    check_label_map,
    check_texts,
    columns,
    paired,
)
from edge_lstm.metrics import SMALLEST_PROBABILITY, Interval, SetScores, set_scores, wilson_interval
from edge_lstm.modelfile import ModelFile


@dataclass(frozen=True, kw_only=True)
class SeveralResult(Answers):
    """One model's answers, and what follows from them.

    thresholds: this model's, for each label. truth: bool [n, labels], the labels that each text has.
    """

    thresholds: tuple[float, ...]
    truth: Bools

    @cached_property
    def given(self) -> Bools:
        """bool [n, labels], the labels that each text is given."""
        return reach(self.probabilities, self.thresholds)

    @cached_property
    def scores(self) -> SetScores:
        """Precision, recall and F1 of each label, and what they make together."""
        return set_scores(self.truth, self.given, self.labels)

    @cached_property
    def correct(self) -> Bools:
        """bool [n], whether a text was given its labels and no other."""
        return np.asarray((self.truth == self.given).all(axis=1))

    @cached_property
    def _right_probabilities(self) -> npt.NDArray[np.float32]:
        """float32 [n, labels], the probability that is given to what is true: to have the label or not."""
        return np.where(self.truth, self.probabilities, 1 - self.probabilities)

    @cached_property
    def confidence(self) -> npt.NDArray[np.float32]:
        """float32 [n], how sure the model is of its surest mistake: the probability that it gives to a label
        which the text has not, or to the text not having one which it has."""
        return np.asarray(1 - self._right_probabilities.min(axis=1))

    def names(self, own: Bools) -> list[str]:
        """own: bool [labels] → the names of these labels."""
        return [self.labels[i] for i in np.flatnonzero(own).tolist()]

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the subset accuracy."""
        return wilson_interval(int(self.correct.sum()), len(self.correct))

    @cached_property
    def log_loss(self) -> float:
        """Mean of a text's binary cross entropies, added up over its labels, in nats."""
        right = self._right_probabilities.astype(np.float64)
        return float(-np.log(np.clip(right, SMALLEST_PROBABILITY, 1.0)).sum(axis=1).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the texts' own answers."""
        return {
            **self.model_json,
            "micro_f1": self.scores.micro_f1,
            "macro_f1": self.scores.macro_f1,
            "subset_accuracy": self.scores.subset_accuracy,
            "subset_accuracy_interval": asdict(self.interval),
            "log_loss": self.log_loss,
            "labels": [
                {**asdict(row), "threshold": threshold}
                for row, threshold in zip(self.scores.labels, self.thresholds)
            ],
            **self.notes_json,
        }


@dataclass(frozen=True, kw_only=True)
class SeveralComparison(Paired):
    """The second model against the first; a text is answered rightly where its labels are exactly right.

    micro_f1: second's - first's. other_labels: texts to which they give other labels.
    """

    micro_f1: float
    other_labels: int


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
    check_texts(models, texts, data)
    first = models[0]
    for model in models:
        if model.thresholds is None:
            raise DataError(
                f"{model.path} gives one label a text, {data or 'the data'} has several; use another"
            )
    truth = truth_of_sets(labels, first.labels, label_map or {}, data)
    every, statuses = answer(
        models, texts, threads=threads, provider=provider, batch_size=batch_size, progress=progress
    )
    results = []
    for model, answers in zip(models, every):
        thresholds = model.thresholds or ()
        own = tuple(thresholds[i] for i in columns(model, first))
        results.append(SeveralResult(**vars(answers), truth=truth, thresholds=own))
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
    return SeveralComparison(
        **vars(paired(first, second, first.correct, second.correct)),
        micro_f1=second.scores.micro_f1 - first.scores.micro_f1,
        other_labels=int((first.given != second.given).any(axis=1).sum()),
    )
