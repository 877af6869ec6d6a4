"""The results of an evaluation: what each model answered, and the metrics that follow from it.

Truth and predictions are label matrices, bool [texts, labels]. If each text has one label, each row
has one True, and an answer is right if its row is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm import metrics
from edge_lstm.answering import (
    SHOWN_RISKS,
    USUAL_SHARE,
    RiskCoverage,
    apply_thresholds,
    is_abstained,
)
from edge_lstm.metrics import Bools
from edge_lstm.modelfile import ModelFile
from edge_lstm.question import SCORE, Question

# A text of the training's domain has about the expected share of out-of-vocabulary words. Above
# this many times that share and these two points more, the texts are of another domain; texts by
# other writers of the same domain stay below.
OOV_TIMES = 1.25
OOV_POINTS = 0.02
# The same limit for models that do not say which share to expect.
OOV_MANY = 0.2

# Share of the other label's texts, or of familiar texts, at which recall is reported.
FALSE_ALARMS = 0.01

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """The effect of a threshold on the texts.

    abstain: share of wrong answers that the threshold was chosen for; None if the threshold itself
        was given.
    threshold: the model abstains below this probability.
    answered: share of texts whose best label reaches the threshold.
    wrong: share of these answers that is wrong; None if nothing is answered.
    wrong_interval: its 95 % interval; None if nothing is answered.
    same_texts: whether the threshold was chosen on the evaluated texts, which flatters it.
    """

    abstain: float | None
    threshold: float
    answered: float
    wrong: float | None
    wrong_interval: metrics.Interval | None
    same_texts: bool


@dataclass(frozen=True)
class Gate:
    """How well two labels are told apart.

    auroc: the area under the ROC curve.
    recalls: recall of each label if FALSE_ALARMS of the other's texts are taken for it.
    """

    auroc: float
    recalls: tuple[float, float]


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
            threshold = model.choose_unfamiliar_threshold(USUAL_SHARE)
            found = float((foreign > threshold).mean())
            lost = float((own > threshold).mean())
        auroc = metrics.auroc(own, foreign)
        recall = metrics.recall_at(own, foreign, FALSE_ALARMS)
        return cls(auroc, recall, found, lost)


@dataclass(frozen=True)
class ScaleMetrics:
    """How far scores are from the true numbers.

    mae: the mean absolute error.
    spearman: the rank correlation; None if all scores or all true numbers are equal.
    within_one: share of scores at most one step of the scale away, its least distance.
    in_interval: share of true numbers within the interval of the score.
    """

    mae: float
    spearman: float | None
    within_one: float
    in_interval: float

    @classmethod
    def of(
        cls, question: Question, probabilities: npt.NDArray[np.float32], truth: Bools
    ) -> ScaleMetrics:
        """Compare scores with the truth.

        question: its levels are in the order of the columns.
        probabilities: float32 [n, labels].
        truth: bool [n, labels], one label in each row.
        """
        scores = question.estimate(probabilities)
        levels = np.array(question.levels)
        true = levels[truth.argmax(axis=1)]
        step = float(np.diff(np.sort(levels)).min())
        away = np.abs(scores.values - true)
        return cls(
            mae=float(away.mean()),
            spearman=metrics.spearman(scores.values, true),
            within_one=float((away <= step).mean()),
            in_interval=float(((scores.low <= true) & (true <= scores.high)).mean()),
        )


@dataclass(frozen=True)
class OovRate:
    """The share of words outside the vocabulary.

    rate: of the evaluated texts' words, 0 to 1.
    expected: of new texts like the training texts; None if the model does not say it.
    out_of_domain: whether the texts are of another kind than the training texts.
    """

    rate: float
    expected: float | None
    out_of_domain: bool

    @classmethod
    def of(cls, model: ModelFile, texts: Sequence[str]) -> OovRate:
        """Count the words of every text, even if the model cuts the text off."""
        counts = [model.tokenizer.count_words(text) for text in texts]
        words, known = np.sum(counts, axis=0).tolist()
        rate = 1 - known / words if words else 0.0
        data = model.training.get("data")
        expected = data.get("unknown_words") if isinstance(data, dict) else None
        if not isinstance(expected, (int, float)):
            return cls(rate, None, rate > OOV_MANY)
        return cls(rate, float(expected), rate > OOV_TIMES * expected + OOV_POINTS)

    @property
    def note(self) -> str:
        """One line for a person, with advice if the texts are out of domain."""
        usual = "" if self.expected is None else f" ({self.expected:.1%} in its training domain)"
        advice = ": add texts like these to the training data" if self.out_of_domain else ""
        return f"{self.rate:.1%} of the words are out of vocabulary{usual}{advice}"


@dataclass(frozen=True, kw_only=True)
class Result:
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
    oov: the words outside the vocabulary.
    runtime: what ran the model, see Classifier.runtime.
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
    oov: OovRate | None = None
    runtime: str = ""
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
    def accuracy(self) -> float:
        """Share of texts that are right; with several labels per text, the subset accuracy."""
        return self.scores.subset_accuracy

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

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the texts' predictions."""
        labels = list(map(asdict, self.scores.labels))
        values: dict[str, Any] = {"name": self.name, **self.model.facts()}
        if self.thresholds is None:
            values |= self._one_label_json()
        else:
            values["micro_f1"] = self.scores.micro_f1
            values["subset_accuracy"] = self.accuracy
            values["subset_accuracy_interval"] = asdict(self.interval)
            for row, threshold in zip(labels, self.thresholds):
                row["threshold"] = threshold
        return {
            **values,
            "macro_f1": self.scores.macro_f1,
            "log_loss": self.log_loss,
            "labels": labels,
            "oov": self.oov and asdict(self.oov),
            "training_warnings": self.model.warnings,
        }

    # ---- metrics of texts with one label each

    def _one_label_json(self) -> dict[str, Any]:
        """Return the part of :meth:`to_json` that several labels per text do not have."""
        values: dict[str, Any] = {
            "accuracy": self.accuracy,
            "accuracy_interval": asdict(self.interval),
        }
        parts = {"score": self.scale, "gate": self.gate, "foreign": self.foreign}
        for name, part in parts.items():
            if part is not None:
                values[name] = asdict(part)
        return {
            **values,
            "operating_points": list(map(asdict, self.operating_points)),
            "calibration_error": self.calibration_error,
            "confusion": self.confusion.tolist(),
            "calibration": list(map(asdict, self.bins)),
        }

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """int64 [labels, labels], row = true label, column = predicted label."""
        true = self.truth.argmax(axis=1)
        predicted = self.predicted.argmax(axis=1)
        return metrics.confusion_matrix(true, predicted, len(self.labels))

    @cached_property
    def scale(self) -> ScaleMetrics | None:
        """How far scores are from the true numbers; None unless the answer is a score."""
        if not self.model.is_score:
            return None
        question = Question.of(SCORE, self.labels)
        return ScaleMetrics.of(question, self.probabilities, self.truth)

    @cached_property
    def gate(self) -> Gate | None:
        """How well two labels are told apart.

        None if there are more labels, or if all texts have the same one.
        """
        if len(self.labels) != 2 or self.thresholds is not None:
            return None
        has_second = self.truth[:, 1]
        if has_second.all() or not has_second.any():
            return None
        scores = self.probabilities[:, 1]
        first = scores[~has_second]
        second = scores[has_second]
        recall_of_first = metrics.recall_at(-second, -first, FALSE_ALARMS)
        recall_of_second = metrics.recall_at(first, second, FALSE_ALARMS)
        return Gate(metrics.auroc(first, second), (recall_of_first, recall_of_second))

    @cached_property
    def bins(self) -> tuple[metrics.CalibrationBin, ...]:
        """Accuracy by probability, see metrics.calibration_bins."""
        return metrics.calibration_bins(self.truth.argmax(axis=1), self.probabilities)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return metrics.expected_calibration_error(self.bins)

    @cached_property
    def curve(self) -> RiskCoverage:
        """The file's risk-coverage curve; if it has none, the curve of the evaluated texts."""
        if self.model.abstention is not None:
            return self.model.abstention
        truth = self.truth.argmax(axis=1)
        return RiskCoverage.from_predictions(self.probabilities, truth, "the evaluated texts")

    @cached_property
    def operating_points(self) -> tuple[Abstention, ...]:
        """The effect of the thresholds for SHOWN_RISKS, and of the threshold that was asked for.

        A share that the curve's texts are too few to show has none. Empty with several labels per
        text.
        """
        if self.thresholds is not None:
            return ()
        shares = set(SHOWN_RISKS)
        if self.abstain is not None:
            shares.add(self.abstain)
        found = []
        for share in sorted(shares):
            point = self.curve.operating_point(share)
            if point is not None:
                found.append(self._abstention(point.threshold, share))
        if self.threshold and self.abstain is None:
            found.append(self._abstention(self.threshold, None))
        return tuple(found)

    def _abstention(self, threshold: float, share: float | None) -> Abstention:
        """Return the effect of a threshold.

        share: of wrong answers that it was chosen for, if any.
        """
        is_answered = ~is_abstained(self.confidence, threshold)
        answered = int(is_answered.sum())
        wrong = int((is_answered & ~self.correct).sum())
        return Abstention(
            abstain=share,
            threshold=threshold,
            answered=answered / len(self.truth),
            wrong=wrong / answered if answered else None,
            wrong_interval=metrics.wilson_interval(wrong, answered) if answered else None,
            same_texts=self.same_texts and share is not None,
        )


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
    results: tuple[Result, ...]
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
