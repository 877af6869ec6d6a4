"""Models × labelled texts → how good each model is, and whether one is better than another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import RiskCoverage, is_unsure
from edge_lstm.classifier import DEFAULT_PROVIDER
from edge_lstm.errors import DataError
from edge_lstm.evaluation.answers import (
    Answers,
    Paired,
    Progress,
    answer,
    check_label_map,
    check_texts,
    paired,
)
from edge_lstm.evaluation.texts import Duplicates, find_duplicates
from edge_lstm.metrics import (
    CalibrationBin,
    Interval,
    LabelScores,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    label_scores,
    log_loss,
    macro_f1,
    wilson_interval,
)
from edge_lstm.modelfile import ModelFile
from edge_lstm.text import split_words, texts_digest


@dataclass(frozen=True, kw_only=True)
class ModelResult(Answers):
    """One model's answers, and what follows from them.

    truth: int64 [n], the true label's index.
    threshold: a text whose best label has a lower probability is unsure; wanted: the share of wrong answers
        that this is to keep to, where it was asked for as that; abstention: what the file says of it.
    same_texts: the thresholds of the file were found on the texts that are answered here.
    """

    truth: npt.NDArray[np.int64]
    threshold: float = 0.0
    wanted: float | None = None
    abstention: RiskCoverage | None = None
    same_texts: bool = False

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """int64 [n], the index of the most probable label."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """bool [n], whether the answer is the true label."""
        return np.asarray(self.predicted == self.truth)

    @cached_property
    def confidence(self) -> npt.NDArray[np.float32]:
        """float32 [n], the probability of the most probable label."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.correct.mean())

    @cached_property
    def answered(self) -> npt.NDArray[np.bool_]:
        """bool [n], which texts get an answer: those that are not unsure."""
        return ~is_unsure(self.confidence, self.threshold)

    @property
    def wrong_answers(self) -> int:
        """How many of the answered texts have a wrong answer."""
        return int((self.answered & ~self.correct).sum())

    @property
    def abstains(self) -> dict[str, Any] | None:
        """The threshold, the share of texts that is answered, and the share of these answers that is wrong
        with its interval (None without an answer), and whether the threshold was found on these texts; None
        where every text is answered."""
        if not self.threshold:
            return None
        answered, wrong = int(self.answered.sum()), self.wrong_answers
        return {
            "wanted": self.wanted,
            "threshold": self.threshold,
            "answered": answered / len(self.truth),
            "wrong": wrong / answered if answered else None,
            "wrong_interval": asdict(wilson_interval(wrong, answered)) if answered else None,
            "same_texts": self.same_texts and self.wanted is not None,
        }

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the accuracy."""
        return wilson_interval(int(self.correct.sum()), len(self.correct))

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """int64 [labels, labels], row = true label, column = answer."""
        return confusion_matrix(self.truth, self.predicted, len(self.labels))

    @cached_property
    def by_label(self) -> tuple[LabelScores, ...]:
        """Precision, recall and F1 of each label."""
        return label_scores(self.confusion, self.labels)

    @property
    def macro_f1(self) -> float:
        """See :func:`edge_lstm.metrics.macro_f1`."""
        return macro_f1(self.by_label)

    @cached_property
    def log_loss(self) -> float:
        """Mean negative logarithm of the true label's probability, in nats."""
        return log_loss(self.truth, self.probabilities)

    @cached_property
    def bins(self) -> tuple[CalibrationBin, ...]:
        """The reliability diagram's bins."""
        return calibration_bins(self.truth, self.probabilities)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return expected_calibration_error(self.bins)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the texts' own answers."""
        return {
            **self.model_json,
            "accuracy": self.accuracy,
            "accuracy_interval": asdict(self.interval),
            **({"abstention": self.abstains} if self.threshold else {}),
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "labels": [asdict(row) for row in self.by_label],
            "confusion": self.confusion.tolist(),
            "calibration": [asdict(b) for b in self.bins],
            **self.notes_json,
        }


@dataclass(frozen=True, kw_only=True)
class Comparison(Paired):
    """The second model against the first. other_label: texts to which they give another label."""

    other_label: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of :func:`evaluate`.

    data: what the texts are called; statuses: texts of each status, for the first model.
    comparisons: every further model against the first.
    """

    data: str
    texts: tuple[str, ...]
    statuses: dict[str, int]
    models: tuple[ModelResult, ...]
    comparisons: tuple[Comparison, ...]

    @cached_property
    def words(self) -> npt.NDArray[np.int64]:
        """int64 [n], each text's length in words."""
        return np.array([len(split_words(text)) for text in self.texts], dtype=np.int64)

    @cached_property
    def duplicates(self) -> Duplicates:
        """Texts of the same words."""
        return find_duplicates(self.texts, self.models[0].truth.tolist())

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``edge-lstm evaluate --json``."""
        return {
            "data": self.data,
            "texts": len(self.texts),
            "statuses": self.statuses,
            # The keys that a model file has for its training's texts.
            "repeated_texts": self.duplicates.repeated,
            "contradictory_texts": self.duplicates.conflicting,
            "models": [model.to_json() for model in self.models],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }


def evaluate(
    models: Sequence[ModelFile],
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    data: str = "",
    label_map: Mapping[str, str] | None = None,
    abstain: float | None = None,
    threshold: float | None = None,
    threads: int = 1,
    provider: str = DEFAULT_PROVIDER,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Classifies every text, empty ones too, with every model.

    labels: each text's true label. label_map: label in the data → label of the model, for those that are
    called otherwise. abstain, threshold: which texts are unsure, see Classifier.threshold; the figures are
    those of all texts, beside them stand those of the answered ones. progress: called with the number of
    texts that were classified since the last call.

    Raises DataError where there is no text, where a label is unknown to the models, where the models do not
    have the same labels, or one does not say its threshold.
    """
    check_texts(models, texts, data)
    first = models[0]
    for model in models:
        if model.thresholds is not None:
            raise DataError(f"{model.path} gives several labels a text; evaluate it by itself, on such texts")
    thresholds = [model.chosen_threshold(abstain=abstain, threshold=threshold) for model in models]
    truth = _truth(labels, first.labels, label_map or {}, data)
    every, statuses = answer(
        models, texts, threads=threads, provider=provider, batch_size=batch_size, progress=progress
    )
    digest = texts_digest(texts)
    results = [
        ModelResult(
            **vars(answers),
            truth=truth,
            threshold=least,
            wanted=_wanted(model, abstain, threshold),
            abstention=model.abstention,
            same_texts=model.abstention is not None and model.abstention.sha256 == digest,
        )
        for model, answers, least in zip(models, every, thresholds)
    ]
    comparisons = tuple(compare(results[0], other) for other in results[1:])
    return Evaluation(
        data=data, texts=tuple(texts), statuses=statuses, models=tuple(results), comparisons=comparisons
    )


def _wanted(model: ModelFile, abstain: float | None, threshold: float | None) -> float | None:
    """The share of wrong answers that a model keeps to."""
    if abstain is not None or threshold is not None or model.abstention is None:
        return abstain
    return model.abstention.default


def compare(first: ModelResult, second: ModelResult) -> Comparison:
    """The second model against the first; both have answered the same texts."""
    return Comparison(
        **vars(paired(first, second, first.correct, second.correct)),
        other_label=int((first.predicted != second.predicted).sum()),
    )


def parse_label_map(text: str) -> dict[str, str]:
    """``neg=0,pos=1`` → {"neg": "0", "pos": "1"}. DataError where it reads otherwise."""
    pairs: dict[str, str] = {}
    for part in text.split(","):
        theirs, equals, ours = (piece.strip() for piece in part.partition("="))
        if not equals or not theirs or not ours or theirs in pairs:
            raise DataError(
                f"the label map {text!r} cannot be read; write DATA=MODEL,DATA=MODEL, such as 0=neg,1=pos"
            )
        pairs[theirs] = ours
    return pairs


def _truth(
    labels: Sequence[str], known: tuple[str, ...], label_map: Mapping[str, str], data: str
) -> npt.NDArray[np.int64]:
    """Label names → their indices among the model's labels: int64 [n]."""
    table = check_label_map(sorted(set(labels)), known, label_map, data)
    return np.array([table[label] for label in labels], dtype=np.int64)
