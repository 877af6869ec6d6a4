"""Models × labelled texts → how good each model is, and whether one is better than another.

Truth and predictions are label matrices, bool [texts, labels]. Where a text has one label, each row
has one True, and a text is right where its row is. What only one label per text has (a confusion
matrix, calibration, abstention) stands at the end of :class:`Result`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm import metrics
from edge_lstm.answering import USUAL_SHARE, apply_thresholds, is_abstained
from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.familiarity import unfamiliarity
from edge_lstm.modelfile import ModelFile, short_names
from edge_lstm.printable import listed, shorten
from edge_lstm.tables.labelled import Labelled
from edge_lstm.text import text_key, texts_digest

CHUNK = 1024  # texts between two calls of progress: a fifth of a second on a small device
# So many times the expected share of out-of-vocabulary words, and two points: other writers stay
# below.
OOV_TIMES, OOV_POINTS = 1.25, 0.02
OOV_MANY = 0.2  # for models that do not say what share to expect

FALSE_ALARMS = 0.01  # where the recall of a gate is told

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """What a threshold comes to on the evaluated texts.

    abstain: the share of wrong answers that the threshold was chosen for; None where it was given
        itself.
    answered: the share of texts whose best label reaches the threshold.
    wrong, wrong_interval: the share of these answers that is wrong; None where nothing is answered.
    same_texts: the threshold was chosen on the evaluated texts, so that it flatters.
    """

    abstain: float | None
    threshold: float
    answered: float
    wrong: float | None
    wrong_interval: metrics.Interval | None
    same_texts: bool


@dataclass(frozen=True)
class Gate:
    """How well two labels are told apart: the area under the ROC curve, and of each label the
    recall where FALSE_ALARMS of the other's texts are taken for it."""

    auroc: float
    recalls: tuple[float, float]


@dataclass(frozen=True)
class ForeignScores:
    """How well familiarity.py tells the evaluated texts from foreign ones.

    recall: share of foreign texts that is found where FALSE_ALARMS of the others are lost. found,
    lost: of foreign texts and others, the shares that are unfamiliar by the file's threshold for
    USUAL_SHARE; None where the file has none.
    """

    auroc: float
    recall: float
    found: float | None
    lost: float | None

    @classmethod
    def of(cls, model: ModelFile, own: Scores, foreign: Scores) -> ForeignScores:
        """own, foreign: float64 [n] and [m], the scores of the texts."""
        shares: list[float | None] = [None, None]
        if model.abstention is not None and any(
            s <= USUAL_SHARE for s, _ in model.abstention.unfamiliar
        ):
            threshold = model.choose_unfamiliar_threshold(USUAL_SHARE)
            shares = [float((scores > threshold).mean()) for scores in (foreign, own)]
        return cls(
            metrics.auroc(own, foreign), metrics.recall_at(own, foreign, FALSE_ALARMS), *shares
        )


@dataclass(frozen=True)
class OovRate:
    """rate: share of the texts' words that are out of the vocabulary, from 0 to 1.

    expected: the same of new texts like the training's; None where the model does not say it.
    out_of_domain: whether these are texts of another kind than the training's.
    """

    rate: float
    expected: float | None
    out_of_domain: bool

    @classmethod
    def of(cls, model: ModelFile, texts: Sequence[str]) -> OovRate:
        """Count the words of every text, the whole of it."""
        words, in_vocabulary = map(sum, zip(*map(model.tokenizer.count_words, texts)))
        rate = 1 - in_vocabulary / words if words else 0.0
        data = model.training.get("data")
        expected = data.get("unknown_words") if isinstance(data, dict) else None
        if not isinstance(expected, (int, float)):
            return cls(rate, None, rate > OOV_MANY)
        return cls(rate, float(expected), rate > OOV_TIMES * expected + OOV_POINTS)

    @property
    def note(self) -> str:
        """A line for a person: what it is, and what to do where it is bad."""
        usual = "" if self.expected is None else f" ({self.expected:.1%} in its training domain)"
        advice = ": add texts like these to the training data" if self.out_of_domain else ""
        return f"{self.rate:.1%} of the words are out of vocabulary{usual}{advice}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model's predictions, and the metrics that follow from them.

    name: the file's, with folders where two models have the same one.
    labels: the first model's, in its order, whatever the order in this file.
    truth: bool [n, labels]. probabilities: float32 [n, labels].
    thresholds: of each label, where a text may have several labels; None: each text has one.
    threshold: below this probability the model abstains; abstain: the share of wrong answers that
        it was chosen for, None where the threshold was given itself or nothing is left out.
    same_texts: the file's risk-coverage curve comes from the evaluated texts.
    runtime: what ran the model, see Classifier.runtime. foreign: None without foreign texts.
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
        """float32 [n], the probability of the predicted label; of several labels, that of the
        surest mistake: a label too many, or a missing one."""
        if self.thresholds is None:
            return np.asarray(self.probabilities.max(axis=1))
        return np.asarray(1 - self._true_probabilities.min(axis=1))

    @property
    def _true_probabilities(self) -> npt.NDArray[np.float32]:
        """float32 [n, labels], the probability that a text has the label, or has it not, as is
        true."""
        return np.where(self.truth, self.probabilities, 1 - self.probabilities)

    @cached_property
    def scores(self) -> metrics.SetScores:
        """Precision, recall and F1 of each label, and what they make together."""
        return metrics.set_scores(self.truth, self.predicted, self.labels)

    @property
    def accuracy(self) -> float:
        """Share of texts that are right; of several labels, the subset accuracy."""
        return self.scores.subset_accuracy

    @property
    def interval(self) -> metrics.Interval:
        """Wilson's 95 % interval of the accuracy."""
        return metrics.wilson_interval(self.scores.exact, self.scores.texts)

    @cached_property
    def log_loss(self) -> float:
        """Mean negative log-likelihood of a text's labels, in nats; of several, added up over the
        labels."""
        if self.thresholds is None:
            return metrics.log_loss(self.truth.argmax(axis=1), self.probabilities)
        right = self._true_probabilities.astype(np.float64)
        return float(-np.log(np.clip(right, metrics.SMALLEST_PROBABILITY, 1.0)).sum(axis=1).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the texts' predictions."""
        scores = self.scores
        values: dict[str, Any] = {"name": self.name, **self.model.facts()}
        labels = [asdict(row) for row in scores.labels]
        if self.thresholds is not None:
            values |= {"micro_f1": scores.micro_f1, "subset_accuracy": self.accuracy}
            values["subset_accuracy_interval"] = asdict(self.interval)
            labels = [{**row, "threshold": value} for row, value in zip(labels, self.thresholds)]
        else:
            values |= {"accuracy": self.accuracy, "accuracy_interval": asdict(self.interval)}
            parts = {"abstention": self.abstention, "gate": self.gate, "foreign": self.foreign}
            values |= {name: asdict(part) for name, part in parts.items() if part is not None}
            values |= {
                "calibration_error": self.calibration_error,
                "confusion": self.confusion.tolist(),
            }
            values["calibration"] = [asdict(b) for b in self.bins]
        values |= {"macro_f1": scores.macro_f1, "log_loss": self.log_loss, "labels": labels}
        oov = self.oov and asdict(self.oov)
        return {**values, "oov": oov, "training_warnings": self.model.warnings}

    # ---- one label per text

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """int64 [labels, labels], row = true label, column = predicted label."""
        true, predicted = self.truth.argmax(axis=1), self.predicted.argmax(axis=1)
        return metrics.confusion_matrix(true, predicted, len(self.labels))

    @cached_property
    def gate(self) -> Gate | None:
        """How well two labels are told apart; None of more labels, or where the texts have one
        alone."""
        has, scores = self.truth[:, 1], self.probabilities[:, 1]
        if len(self.labels) != 2 or self.thresholds is not None or has.all() or not has.any():
            return None
        second, first = scores[has], scores[~has]
        of_first = metrics.recall_at(-second, -first, FALSE_ALARMS)
        of_second = metrics.recall_at(first, second, FALSE_ALARMS)
        return Gate(metrics.auroc(first, second), (of_first, of_second))

    @cached_property
    def bins(self) -> tuple[metrics.CalibrationBin, ...]:
        """Accuracy by probability, see metrics.calibration_bins."""
        return metrics.calibration_bins(self.truth.argmax(axis=1), self.probabilities)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return metrics.expected_calibration_error(self.bins)

    @property
    def answered(self) -> Bools:
        """bool [n], the texts on which the model does not abstain."""
        return ~is_abstained(self.confidence, self.threshold)

    @property
    def abstention(self) -> Abstention | None:
        """What the threshold comes to; None where no text is left out."""
        if not self.threshold:
            return None
        answered, wrong = int(self.answered.sum()), int((self.answered & ~self.correct).sum())
        return Abstention(
            abstain=self.abstain,
            threshold=self.threshold,
            answered=answered / len(self.truth),
            wrong=wrong / answered if answered else None,
            wrong_interval=metrics.wilson_interval(wrong, answered) if answered else None,
            same_texts=self.same_texts and self.abstain is not None,
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The second model against the first, on the same texts.

    difference: of the accuracies, second's - first's, with its 95 % interval and McNemar's test.
    micro_f1: second's - first's; with one label per text it is the difference.
    disagreements: texts that get other labels. largest_change: of any probability.
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
    """The result of :func:`evaluate`.

    data: what the texts are called. statuses: texts of each status, by the first model.
    comparisons: every further model against the first. foreign: texts that belong to none of the
        labels.
    """

    data: str
    texts: tuple[str, ...]
    statuses: dict[str, int]
    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]
    foreign: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.results[0].thresholds is not None

    @property
    def labels_per_text(self) -> float:
        """How many labels a text has on average."""
        return float(self.results[0].truth.sum(axis=1).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``edge-lstm evaluate --json``."""
        return {
            "data": self.data,
            "texts": len(self.texts),
            "labels_per_text": self.labels_per_text,
            "statuses": self.statuses,
            "models": [result.to_json() for result in self.results],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }


def evaluate(
    classifiers: Sequence[Classifier],
    labelled: Labelled,
    *,
    data: str = "the data",
    label_map: Mapping[str, str] | None = None,
    foreign: Sequence[str] = (),
    abstain: float | None = None,
    threshold: float | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Classify every text, empty ones too, with every model.

    data: what errors and reports call the texts. label_map: label in the data → label of the model,
        for those
    that are called otherwise. foreign: texts that belong to none of the labels. abstain, threshold:
    on which texts a model abstains, see Classifier.threshold; the metrics are those of all texts.
    progress: called with the number of texts classified since the last call.

    Raise DataError where there is no text, a label is unknown to the models, the models have not
    the same labels, or one cannot abstain as asked.
    """
    models = [classifier.model for classifier in classifiers]
    _check_models(models, labelled, data)
    _check_foreign(models, labelled.texts, foreign)
    thresholds = [model.choose_threshold(abstain=abstain, threshold=threshold) for model in models]
    labels = models[0].labels
    truth = label_matrix(labelled.labels, labels, label_map or {}, data)
    digest, results = texts_digest(labelled.texts), []
    statuses: dict[str, int] = {}
    names = short_names([model.path for model in models])
    for classifier, name, chosen in zip(classifiers, names, thresholds):
        model, curve = classifier.model, classifier.model.abstention
        probabilities, own, counts = _classify(classifier, labelled.texts, progress)
        _, others, _ = _classify(classifier, foreign, progress)
        statuses = statuses or counts
        columns = [model.labels.index(label) for label in labels]
        share = (
            abstain if abstain is not None or threshold is not None or not curve else curve.default
        )
        result = Result(
            model=model,
            name=name,
            labels=labels,
            truth=truth,
            probabilities=probabilities[:, columns],
            thresholds=model.thresholds and tuple(model.thresholds[i] for i in columns),
            threshold=chosen,
            abstain=share,
            same_texts=curve is not None and curve.sha256 == digest,
            oov=OovRate.of(model, labelled.texts),
            runtime=classifier.runtime,
            foreign=ForeignScores.of(model, own, others) if foreign else None,
        )
        results.append(result)
    return Evaluation(
        data=data,
        texts=tuple(labelled.texts),
        statuses=statuses,
        results=tuple(results),
        comparisons=tuple(compare(results[0], other) for other in results[1:]),
        foreign=tuple(foreign),
    )


def compare(first: Result, second: Result) -> Comparison:
    """Compare two models by their predictions for the same texts."""
    n = len(first.truth)
    only_first = int((first.correct & ~second.correct).sum())
    only_second = int((second.correct & ~first.correct).sum())
    return Comparison(
        first=first.name,
        second=second.name,
        difference=(only_second - only_first) / n,
        interval=metrics.paired_difference_interval(only_first, only_second, n),
        test=metrics.mcnemar(only_first, only_second),
        micro_f1=second.scores.micro_f1 - first.scores.micro_f1,
        disagreements=int((first.predicted != second.predicted).any(axis=1).sum()),
        largest_change=float(np.abs(first.probabilities - second.probabilities).max()),
    )


def label_matrix(
    labels: Sequence[Sequence[str]], names: Sequence[str], label_map: Mapping[str, str], data: str
) -> Bools:
    """Label names of each text → bool [n, names]. Raise DataError where a label is unknown to the
    model."""
    index = {name: i for i, name in enumerate(names)}
    present = sorted({label for of_text in labels for label in of_text})
    for theirs, ours in label_map.items():
        if ours not in index:
            raise DataError(
                f"--label-map: the model has no label {ours!r}; it has {_listed(names)}"
            )
        if theirs not in present:
            raise DataError(
                f"--label-map: the data has no label {theirs!r}; it has {_listed(present)}"
            )
    columns = {label: index.get(label_map.get(label, label), -1) for label in present}
    if unknown := [label for label in present if columns[label] < 0]:
        example = ",".join(f"{label}=LABEL" for label in unknown[:3])
        raise DataError(
            f"{data} has the labels {_listed(present)}, the model has {_listed(names)}; "
            f"give a model with these labels, or map them: --label-map {example}"
        )
    matrix = np.zeros((len(labels), len(names)), dtype=np.bool_)
    for row, of_text in zip(matrix, labels):
        row[[columns[label] for label in of_text]] = True
    return matrix


def parse_label_map(text: str) -> dict[str, str]:
    """``neg=0,pos=1`` → {"neg": "0", "pos": "1"}. Raise DataError where it reads otherwise."""
    pairs: dict[str, str] = {}
    for part in text.split(","):
        theirs, equals, ours = (piece.strip() for piece in part.partition("="))
        if not equals or not theirs or not ours or theirs in pairs:
            raise DataError(
                f"--label-map {text!r} is not DATA=MODEL,DATA=MODEL; write it as in 0=neg,1=pos"
            )
        pairs[theirs] = ours
    return pairs


def _check_models(models: Sequence[ModelFile], labelled: Labelled, data: str) -> None:
    if not labelled.texts:
        raise DataError(f"{data} holds no labelled text; give a file with at least one")
    first = models[0]
    for model in models:
        if model.thresholds is None and labelled.several:
            raise DataError(
                f"{model.path} gives one label per text, {data} has several; give another model"
            )
        if (model.thresholds is None) != (first.thresholds is None):
            raise DataError(
                "one model gives one label per text, another several; evaluate them one by one"
            )
        if set(model.labels) != set(first.labels):
            raise DataError(
                f"{model.path} has the labels {_listed(model.labels)}, {first.path} has "
                f"{_listed(first.labels)}; evaluate them one by one"
            )


def _check_foreign(
    models: Sequence[ModelFile], texts: Sequence[str], foreign: Sequence[str]
) -> None:
    if not foreign:
        return
    if models[0].thresholds is not None:
        raise DataError("the models give several labels per text, or none; leave --foreign out")
    own = set(map(text_key, texts)) - {text_key("")}
    if shared := sum(text_key(text) in own for text in foreign):
        raise DataError(
            f"{shared:,} of the {len(foreign):,} foreign texts are labelled texts; foreign ones "
            "belong to none of the labels: take them out"
        )


def _classify(
    classifier: Classifier, texts: Sequence[str], progress: Progress | None
) -> tuple[npt.NDArray[np.float32], Scores, dict[str, int]]:
    """float32 [n, labels]; float64 [n], the scores of familiarity.py, where each has one label;
    how many texts have which status."""
    encode = classifier.model.tokenizer.encode_text
    probabilities = np.empty((len(texts), len(classifier.labels)), dtype=np.float32)
    scores = np.zeros(len(texts))
    statuses: Counter[str] = Counter()
    for start in range(0, len(texts), CHUNK):
        encoded = [encode(text) for text in texts[start : start + CHUNK]]
        ids = [text.ids for text in encoded]
        answers = classifier.probabilities_of(ids)
        probabilities[start : start + CHUNK] = answers
        if classifier.model.thresholds is None:
            scores[start : start + CHUNK] = unfamiliarity(
                answers, ids, classifier.model.tokenizer.num_ids
            )
        statuses.update(text.status for text in encoded)
        if progress:
            progress(len(encoded))
    return probabilities, scores, dict(statuses)


def _listed(labels: Sequence[str]) -> str:
    return listed([shorten(label, 40) for label in labels], most=8)
