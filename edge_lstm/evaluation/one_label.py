"""The metrics of texts with one label each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm import metrics
from edge_lstm.core.modelfile import ModelFile
from edge_lstm.core.question import SCORE, Question
from edge_lstm.core.risk_coverage import SHOWN_RISKS, RiskCoverage, is_abstained
from edge_lstm.metrics import Bools


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

    @classmethod
    def of(
        cls,
        confidence: npt.NDArray[np.float32],
        correct: Bools,
        threshold: float,
        abstain: float | None,
        same_texts: bool,
    ) -> Abstention:
        """Count the texts.

        confidence: float32 [n], probability of the answer.
        correct: bool [n], whether it is right.
        """
        is_answered = ~is_abstained(confidence, threshold)
        answered = int(is_answered.sum())
        wrong = int((is_answered & ~correct).sum())
        return cls(
            abstain=abstain,
            threshold=threshold,
            answered=answered / len(correct),
            wrong=wrong / answered if answered else None,
            wrong_interval=metrics.wilson_interval(wrong, answered) if answered else None,
            same_texts=same_texts and abstain is not None,
        )


@dataclass(frozen=True)
class ScaleMetrics:
    """How far scores are from the true numbers.

    mae: the mean absolute error.
    within_one: share of scores at most one step of the scale away, its least distance.
    in_interval: share of true numbers within the interval of the score.
    """

    mae: float
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
            within_one=float((away <= step).mean()),
            in_interval=float(((scores.low <= true) & (true <= scores.high)).mean()),
        )


@dataclass(frozen=True, kw_only=True)
class OneLabel:
    """What is measured if each text has one label.

    score: how far scores are from the true numbers; None unless the answer is a score.
    auroc: the area under the ROC curve of two labels; None if there are more, or if all texts
        have the same one.
    curve: the file's risk-coverage curve; if it has none, the curve of the evaluated texts.
    operating_points: the effect of the thresholds for SHOWN_RISKS, and of the threshold that was
        asked for. A share that the curve's texts are too few to show has none.
    calibration_error: the expected one.
    confusion: int64 [labels, labels], row = true label, column = predicted label.
    calibration: accuracy by probability, see metrics.calibration_bins.
    """

    score: ScaleMetrics | None
    auroc: float | None
    curve: RiskCoverage
    operating_points: tuple[Abstention, ...]
    calibration_error: float
    confusion: npt.NDArray[np.int64]
    calibration: tuple[metrics.CalibrationBin, ...]

    @classmethod
    def of(
        cls,
        model: ModelFile,
        labels: tuple[str, ...],
        truth: Bools,
        probabilities: npt.NDArray[np.float32],
        *,
        threshold: float,
        abstain: float | None,
        same_texts: bool,
    ) -> OneLabel:
        """Measure the predictions of a model.

        labels: the names of the columns.
        truth: bool [n, labels].
        probabilities: float32 [n, labels].
        threshold, abstain, same_texts: see ModelResult.
        """
        true = truth.argmax(axis=1)
        predicted = probabilities.argmax(axis=1)
        score = None
        if model.is_score:
            score = ScaleMetrics.of(Question.of(SCORE, labels), probabilities, truth)
        curve = model.abstention or RiskCoverage.from_predictions(
            probabilities, true, "the evaluated texts"
        )
        shares = {*SHOWN_RISKS, *([] if abstain is None else [abstain])}
        chosen = [(share, curve.operating_point(share)) for share in sorted(shares)]
        thresholds: list[tuple[float, float | None]] = [
            (point.threshold, share) for share, point in chosen if point is not None
        ]
        if threshold and abstain is None:
            thresholds.append((threshold, None))
        auroc = None
        has_second = truth[:, 1]
        if len(labels) == 2 and has_second.any() and not has_second.all():
            second = probabilities[:, 1]
            auroc = metrics.auroc(second[~has_second], second[has_second])
        confidence = probabilities.max(axis=1)
        bins = metrics.calibration_bins(true, probabilities)
        return cls(
            score=score,
            auroc=auroc,
            curve=curve,
            operating_points=tuple(
                Abstention.of(confidence, predicted == true, least, share, same_texts)
                for least, share in thresholds
            ),
            calibration_error=metrics.expected_calibration_error(bins),
            confusion=metrics.confusion_matrix(true, predicted, len(labels)),
            calibration=bins,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the curve and what was not measured."""
        values = {**asdict(self), "confusion": self.confusion.tolist(), "curve": None}
        return {name: value for name, value in values.items() if value is not None}
