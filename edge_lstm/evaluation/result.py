"""The results of an evaluation: what each model answered, and the metrics that follow from it.

Truth and predictions are label matrices, bool [texts, labels]. If each text has one label, each row
has one True, and an answer is right if its row is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm import metrics
from edge_lstm.core.decide import Policy, apply_thresholds
from edge_lstm.core.modelfile import ModelFile
from edge_lstm.core.risk_coverage import USUAL_SHARE
from edge_lstm.evaluation.one_label import OneLabel
from edge_lstm.metrics import Bools

Scores = npt.NDArray[np.float64]

# Share of familiar texts at which the recall of foreign ones is reported.
FALSE_ALARMS = 0.01


@dataclass(frozen=True)
class ForeignScores:
    """How well foreign texts are found.

    auroc: the area under the ROC curve of the scores of familiarity.py.
    recall: share of foreign texts found if FALSE_ALARMS of the evaluated texts are lost.
    found: share of foreign texts that the file's threshold for USUAL_SHARE marks as unfamiliar;
        None if the file has no such threshold.
    lost: the same share of the evaluated texts.
    """

    auroc: float
    recall: float
    found: float | None
    lost: float | None

    @classmethod
    def of(cls, model: ModelFile, own: Scores, foreign: Scores) -> ForeignScores:
        """Compare the scores of the evaluated texts with the scores of foreign ones.

        own: float64 [n], evaluated texts.
        foreign: float64 [m], foreign texts.
        """
        curve = model.abstention
        found = None
        lost = None
        if curve is not None and any(share <= USUAL_SHARE for share, _ in curve.unfamiliar):
            threshold = Policy.of(model, unfamiliar=USUAL_SHARE).highest_score
            found = float((foreign > threshold).mean())
            lost = float((own > threshold).mean())
        return cls(
            metrics.auroc(own, foreign), metrics.recall_at(own, foreign, FALSE_ALARMS), found, lost
        )


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """One model's predictions and their metrics.

    model: the model file.
    name: the file's name, with folders if two models have the same one.
    labels: the labels of the first model, in its order, whatever the order in this file.
    truth: bool [n, labels].
    probabilities: float32 [n, labels].
    thresholds: one for each label if a text may have several; None if each text has one.
    threshold: the model abstains below this probability.
    abstain: share of wrong answers that the threshold was chosen for; None if the threshold itself
        was given, or the model answers every text.
    same_texts: whether the file's risk-coverage curve comes from the evaluated texts, or the file
        has none.
    foreign: None without foreign texts.
    """

    model: ModelFile
    name: str
    labels: tuple[str, ...]
    truth: Bools
    probabilities: npt.NDArray[np.float32]
    thresholds: tuple[float, ...] | None = None
    threshold: float = 0.0
    abstain: float | None = None
    same_texts: bool = False
    foreign: ForeignScores | None = None

    @cached_property
    def predicted(self) -> Bools:
        """bool [n, labels], the labels that each text is given."""
        return apply_thresholds(self.probabilities, self.thresholds)

    @cached_property
    def correct(self) -> Bools:
        """bool [n], whether a text is given its labels and no other."""
        return np.asarray((self.truth == self.predicted).all(axis=1))

    @cached_property
    def confidence(self) -> npt.NDArray[np.float32]:
        """float32 [n], the probability of the predicted label.

        With several labels per text: the probability of the most confident mistake, an extra label
        or a missing one.
        """
        if self.thresholds is None:
            return np.asarray(self.probabilities.max(axis=1))
        return np.asarray(1 - self._true_probabilities.min(axis=1))

    @property
    def _true_probabilities(self) -> npt.NDArray[np.float32]:
        """float32 [n, labels], the probability given to the truth: the label, or its absence."""
        return np.where(self.truth, self.probabilities, 1 - self.probabilities)

    @cached_property
    def scores(self) -> metrics.SetScores:
        """Precision, recall and F1 of each label and over all of them."""
        return metrics.set_scores(self.truth, self.predicted, self.labels)

    @property
    def interval(self) -> metrics.Interval:
        """Wilson's 95 % interval of the accuracy."""
        return metrics.wilson_interval(self.scores.exact, self.scores.texts)

    @cached_property
    def log_loss(self) -> float:
        """Mean negative log-likelihood of a text's labels, in nats.

        With several labels per text, a text's loss is the sum over the labels.
        """
        if self.thresholds is None:
            return metrics.log_loss(self.truth.argmax(axis=1), self.probabilities)
        right = self._true_probabilities.astype(np.float64)
        clipped = np.clip(right, metrics.SMALLEST_PROBABILITY, 1.0)
        return float(-np.log(clipped).sum(axis=1).mean())

    @cached_property
    def one_label(self) -> OneLabel | None:
        """What is measured if each text has one label."""
        if self.thresholds is not None:
            return None
        return OneLabel.of(
            self.model,
            self.labels,
            self.truth,
            self.probabilities,
            threshold=self.threshold,
            abstain=self.abstain,
            same_texts=self.same_texts,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the texts' predictions."""
        labels = list(map(asdict, self.scores.labels))
        values: dict[str, Any] = {}
        measure = "accuracy"
        if self.one_label is not None:
            values |= self.one_label.to_json()
        else:
            measure = "subset_accuracy"
            values["micro_f1"] = self.scores.micro_f1
            for row, threshold in zip(labels, self.thresholds or ()):
                row["threshold"] = threshold
        if self.foreign is not None:
            values["foreign"] = asdict(self.foreign)
        return {
            "name": self.name,
            **self.model.facts(),
            measure: self.scores.subset_accuracy,
            f"{measure}_interval": asdict(self.interval),
            **values,
            "macro_f1": self.scores.macro_f1,
            "log_loss": self.log_loss,
            "labels": labels,
            "training_warnings": self.model.warnings,
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The second model against the first.

    first, second: names of the models.
    difference: second's accuracy - first's.
    interval: its 95 % interval.
    test: McNemar's test of it.
    micro_f1: second's micro F1 - first's; equal to ``difference`` with one label per text.
    disagreements: number of texts that get other labels.
    largest_change: of any probability.
    """

    first: str
    second: str
    difference: float
    interval: metrics.Interval
    test: metrics.McNemar
    micro_f1: float
    disagreements: int
    largest_change: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of ``evaluate``.

    data: name of the texts' source, for reports.
    texts: the evaluated texts.
    statuses: number of texts with each status, by the first model.
    results: one for each model.
    comparisons: every further model against the first.
    foreign: texts that belong to none of the labels.
    numbers: of each text's row in the data, from 1.
    left_out: number of rows that are not evaluated, since they have no label.
    """

    data: str
    texts: tuple[str, ...]
    statuses: dict[str, int]
    results: tuple[ModelResult, ...]
    comparisons: tuple[Comparison, ...]
    numbers: tuple[int, ...]
    foreign: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels."""
        return self.results[0].thresholds is not None

    @property
    def labels_per_text(self) -> float:
        """Mean number of labels per text."""
        return float(self.results[0].truth.sum(axis=1).mean())

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for ``edge-lstm evaluate --json``."""
        return {
            "data": self.data,
            "texts": len(self.texts),
            "left_out": self.left_out,
            "labels_per_text": self.labels_per_text,
            "statuses": self.statuses,
            "models": [result.to_json() for result in self.results],
            "comparisons": list(map(asdict, self.comparisons)),
        }
