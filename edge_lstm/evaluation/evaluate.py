"""Models × labelled texts → how good each model is, and whether one is better than another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import RiskCoverage, is_unsure
from edge_lstm.classifier import DEFAULT_PROVIDER, Classifier
from edge_lstm.errors import DataError
from edge_lstm.evaluation.texts import Duplicates, OovRate, find_duplicates, oov_rate
from edge_lstm.metrics import (
    CalibrationBin,
    Interval,
    LabelScores,
    McNemar,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    label_scores,
    log_loss,
    mcnemar,
    paired_difference_interval,
    wilson_interval,
)
from edge_lstm.modelfile import ModelFile
from edge_lstm.printable import listed, shorten
from edge_lstm.text import split_words

CHUNK = 1024  # texts between two reports of progress: a fifth of a second on a small device

Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """One model's answers, and what follows from them.

    name: the file's name, or its path where two models have the same name.
    labels: the first model's, in its order, whatever the order in this file.
    truth: int64 [n], the true label's index; probabilities: float32 [n, labels].
    threshold: a text whose best label has a lower probability is unsure; wanted: the share of wrong answers
        that this is to keep to, where it was asked for as that; abstention: what the file says of it.
    oov: the share of the texts' words that it does not know, where that was counted.
    warnings: what its training said of its data and result, a line each.
    """

    name: str
    path: str
    sha256: str
    precision: str
    bytes: int
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    threshold: float = 0.0
    wanted: float | None = None
    abstention: RiskCoverage | None = None
    oov: OovRate | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """int64 [n], the index of the most probable label."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """bool [n], whether the answer is the true label."""
        return np.asarray(self.predicted == self.truth)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.correct.mean())

    @cached_property
    def answered(self) -> npt.NDArray[np.bool_]:
        """bool [n], which texts get an answer: those that are not unsure."""
        return ~is_unsure(self.probabilities.max(axis=1), self.threshold)

    @property
    def wrong_answers(self) -> int:
        """How many of the answered texts have a wrong answer."""
        return int((self.answered & ~self.correct).sum())

    @property
    def abstains(self) -> dict[str, Any] | None:
        """The threshold, the share of texts that is answered, and the share of these answers that is wrong
        with its interval (None without an answer); None where every text is answered."""
        if not self.threshold:
            return None
        answered, wrong = int(self.answered.sum()), self.wrong_answers
        return {
            "wanted": self.wanted,
            "threshold": self.threshold,
            "answered": answered / len(self.truth),
            "wrong": wrong / answered if answered else None,
            "wrong_interval": asdict(wilson_interval(wrong, answered)) if answered else None,
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
        """Mean F1 of the labels that occur, in the data or in the answers."""
        return float(np.mean([row.f1 for row in self.by_label if row.support or row.predicted]))

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
            "name": self.name,
            "path": self.path,
            "sha256": self.sha256,
            "precision": self.precision,
            "bytes": self.bytes,
            "accuracy": self.accuracy,
            "accuracy_interval": asdict(self.interval),
            **({"abstention": self.abstains} if self.threshold else {}),
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "labels": [asdict(row) for row in self.by_label],
            "confusion": self.confusion.tolist(),
            "calibration": [asdict(b) for b in self.bins],
            "oov": self.oov and self.oov.to_json(),
            "training_warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The second model against the first, on the same texts.

    difference: second's accuracy - first's, with its 95 % interval.
    other_label: texts to which they give another label; largest_change: of any probability.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    test: McNemar
    other_label: int
    largest_change: float


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
    if not texts:
        raise DataError(f"{data or 'the data'} holds no labelled text; give a file with at least one")
    first = models[0]
    check_same_labels(models)
    for model in models:
        if model.thresholds is not None:
            raise DataError(f"{model.path} gives several labels a text; evaluate it by itself, on such texts")
    thresholds = [model.chosen_threshold(abstain=abstain, threshold=threshold) for model in models]
    truth = _truth(labels, first.labels, label_map or {}, data)
    names = names_of(models)
    results = []
    statuses: dict[str, int] = {}
    for model, name, least in zip(models, names, thresholds):
        classifier = Classifier.from_model(model, threads=threads, provider=provider)
        answers, counted = answers_of(classifier, texts, batch_size, progress)
        statuses = statuses or counted
        columns = [model.labels.index(label) for label in first.labels]
        results.append(
            ModelResult(
                name=name,
                path=str(model.path),
                sha256=model.sha256(),
                precision=model.precision,
                bytes=len(model.data),
                labels=first.labels,
                truth=truth,
                probabilities=answers[:, columns],
                threshold=least,
                wanted=_wanted(model, abstain, threshold),
                abstention=model.abstention,
                oov=oov_rate(model, texts),
                warnings=tuple(map(str, model.training.get("warnings", ()))),
            )
        )
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
    only_first = int((first.correct & ~second.correct).sum())
    only_second = int((second.correct & ~first.correct).sum())
    n = len(first.truth)
    return Comparison(
        first=first.name,
        second=second.name,
        difference=(only_second - only_first) / n,
        interval=paired_difference_interval(only_first, only_second, n),
        test=mcnemar(only_first, only_second),
        other_label=int((first.predicted != second.predicted).sum()),
        largest_change=float(np.abs(first.probabilities - second.probabilities).max()),
    )


def check_same_labels(models: Sequence[ModelFile]) -> None:
    """DataError where models cannot be compared."""
    first = models[0]
    for model in models[1:]:
        if set(model.labels) != set(first.labels):
            raise DataError(
                f"{model.path} has the labels {_listed(model.labels)}, {first.path} has "
                f"{_listed(first.labels)}; evaluate them one by one"
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


def check_label_map(
    present: Sequence[str], known: Sequence[str], label_map: Mapping[str, str], data: str
) -> dict[str, int]:
    """The labels of the data → their indices among the model's. DataError where one has none."""
    index = {label: i for i, label in enumerate(known)}
    for theirs, ours in label_map.items():
        if ours not in index:
            raise DataError(f"the label map says {ours!r}; the model's labels are {_listed(known)}")
        if theirs not in present:
            raise DataError(f"the label map says {theirs!r}; the data's labels are {_listed(present)}")
    table = {label: index.get(label_map.get(label, label), -1) for label in present}
    unknown = [label for label in present if table[label] < 0]
    if unknown:
        example = ",".join(f"{label}=LABEL" for label in unknown[:3])
        raise DataError(
            f"{data or 'the data'} has the labels {_listed(present)}, the model has {_listed(known)}; "
            f"give a model that knows them, or say which means which: --label-map {example}"
        )
    return table


def answers_of(
    classifier: Classifier, texts: Sequence[str], batch_size: int | None, progress: Progress | None
) -> tuple[npt.NDArray[np.float32], dict[str, int]]:
    """float32 [n, labels], and how many texts have which status."""
    encode = classifier.model.tokenizer.encode_text
    answers = np.empty((len(texts), len(classifier.labels)), dtype=np.float32)
    statuses: Counter[str] = Counter()
    for start in range(0, len(texts), CHUNK):
        encoded = [encode(text) for text in texts[start : start + CHUNK]]
        answers[start : start + CHUNK] = classifier.probabilities_of(
            [text.ids for text in encoded], batch_size=batch_size
        )
        statuses.update(text.status for text in encoded)
        if progress:
            progress(len(encoded))
    return answers, dict(statuses)


def names_of(models: Sequence[ModelFile]) -> list[str]:
    short = [model.path.name for model in models]
    return [str(model.path) if short.count(name) > 1 else name for model, name in zip(models, short)]


def _listed(labels: Sequence[str]) -> str:
    return listed([shorten(label, 40) for label in labels], most=8)
