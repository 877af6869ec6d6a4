"""Which label a text gets, or none: the one place that decides it.

A :class:`Policy` is what a caller asks for. :func:`decide` makes :class:`Decisions` by it, of the
probabilities that a model gives and of how it read each text. Two functions follow it in other
languages: ``decide`` of the engine's ``src/decide.h``, for the module, SQL and the command in C,
and ``decide`` of ``edge-lstm.mjs``. ``tests/data/decisions.json`` holds all three to one answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from edge_lstm.checked import check_numbers, instance, whole
from edge_lstm.core.model_checks import MOST_PROBABLE
from edge_lstm.core.modelfile import ModelFile
from edge_lstm.core.risk_coverage import (
    choose_threshold,
    choose_unfamiliar_threshold,
    is_abstained,
)
from edge_lstm.errors import DataError, ModelFileError, did_you_mean

if TYPE_CHECKING:  # the native engine scores without NumPy
    import numpy as np
    import numpy.typing as npt

    from edge_lstm.core.native import NativeSession

# The statuses of texts, in the native engine's order. The first four say how a text was read.
STATUSES = ("ok", "empty", "unknown_words", "truncated", "error", "abstained", "unfamiliar")
OK, _EMPTY, _UNKNOWN_WORDS, TRUNCATED, ERROR, ABSTAINED, UNFAMILIAR = range(len(STATUSES))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What decides on a model's answers. Make one with :meth:`of`, which checks it.

    threshold: the probability below which a text gets no label, and the status ``abstained``;
        compared in float32.
    unfamiliar: give the status ``unfamiliar`` to texts that are out of distribution (OOD), and to
        at most this share of the others; None for no text.
    highest_score: a text whose score (familiarity.py) is above this is unfamiliar.
    windows: read a text that is longer than the model's ``length`` in windows, and take the mean of
        their logits. False: read its end, with the status ``truncated``.
    top: labels to rank, the most probable first.
    """

    threshold: float = 0.0
    unfamiliar: float | None = None
    highest_score: float = math.inf
    windows: bool = False
    top: int = 1

    @classmethod
    def of(
        cls,
        model: ModelFile,
        *,
        abstain: float | None = None,
        threshold: float | None = None,
        unfamiliar: float | None = None,
        windows: bool = False,
        top: int = 1,
    ) -> Policy:
        """Return the policy for a model.

        abstain: the share of answers that may be wrong, for which the model file has a threshold.
        threshold: the probability below which the model abstains. If neither is given, the model
            file's default counts, or 0. A model that gives several labels per text never abstains.

        The other parameters are the fields.

        Raises DataError if a value is out of range, or the model file has no threshold for a share,
        and TypeError for a value of another type.
        """
        check_numbers(abstain=abstain, threshold=threshold, unfamiliar=unfamiliar)
        instance("windows", windows, bool)
        top = whole("top", top, least=-math.inf)
        check_top(top, len(model.labels))
        if windows and unfamiliar is not None:
            raise DataError("--windows and --unfamiliar exclude each other; give one of them")
        if windows and model.fields is not None:
            raise DataError("--windows is for texts, and the model reads fields; leave it out")
        if model.thresholds is None:
            threshold = choose_threshold(
                model.abstention, model.path, abstain=abstain, threshold=threshold
            )
        elif abstain is not None or threshold:
            raise DataError(
                f"{model.path} gives several labels per text, each with a threshold of its own; "
                "leave --abstain and --threshold out"
            )
        highest_score = math.inf
        if unfamiliar is not None:
            highest_score = choose_unfamiliar_threshold(model.abstention, model.path, unfamiliar)
        return cls(
            threshold=float(threshold or 0),
            unfamiliar=unfamiliar,
            highest_score=highest_score,
            windows=windows,
            top=top,
        )


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    label: the most probable label; None if the model abstained.
    probability: the most probable label's probability, 0 to 1.
    probabilities: every label with its probability, in the order of the model's output.
    status: ``ok``, or why to be careful with the answer. ``empty``: the text has no words.
        ``unknown_words``: no word is in the vocabulary. ``truncated``: only the end of the text was
        read. ``unfamiliar``: the text is out of distribution (OOD), if the caller asked for this
        check. ``abstained`` replaces any of these if the probability is below the threshold; the
        prediction then has no label.
    labels: the text's labels, the most probable first: one, or none if the model abstained.
    """

    label: str | None
    probability: float
    probabilities: dict[str, float]
    status: str
    labels: tuple[str, ...]

    def top(self, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` most probable labels with their probabilities, the most probable first.

        Labels with equal probabilities keep the order of the model's output. Raises DataError
        unless k is from 1 to the number of labels.
        """
        k = whole("k", k, least=0)
        check_top(k, len(self.probabilities))
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for ``edge-lstm predict --json``."""
        return {
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "status": self.status,
        }


@dataclass(frozen=True)
class MultiLabelPrediction(Prediction):
    """The answer of a multi-label model.

    label: the most probable label; the text has it only if it is in ``labels``.
    labels: those whose probability reaches their threshold, the most probable first.
    thresholds: for every label, the lowest probability at which a text has it, above 0, at most 1.
    """

    thresholds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the labels, every probability and threshold, and the status."""
        return {
            "labels": list(self.labels),
            "probabilities": self.probabilities,
            "thresholds": self.thresholds,
            "status": self.status,
        }


@dataclass(frozen=True)
class ScorePrediction(Prediction):
    """The answer of a model whose labels are numbers on a scale.

    value: the score, the expected value over the labels' probabilities.
    low, high: the ends of its interval, see question.py.

    All three are None if the model abstained.
    """

    value: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the score with its interval first."""
        return {"score": self.value, "low": self.low, "high": self.high, **super().to_json()}


@dataclass(frozen=True)
class Decisions:
    """What was decided on n texts. A column is the bytes of int32 [n] or float32 [n].

    model: the model file.
    probabilities: float32 [n, labels]; NaN for a missing text.
    read: the status of each text before the model abstains, as uint8 [n], its place in STATUSES.
    label_sets: the labels that a text may get: one, several, or none.
    answers: the place of each text's labels in ``label_sets``.
    statuses: the place of its status in STATUSES.
    ranks: for each of the policy's top labels, its place in the model's labels, and its
        probability. A missing text has the number of labels, and NaN.
    scores: values, and low and high ends, float64 [n] each, if the labels are numbers on a scale;
        NaN for a text without a label.
    """

    model: ModelFile
    probabilities: bytes
    read: bytes
    label_sets: Sequence[tuple[str, ...]]
    answers: bytes
    statuses: bytes
    ranks: Sequence[tuple[bytes, bytes]]
    scores: Sequence[npt.NDArray[np.float64]] = ()

    @property
    def predictions(self) -> list[Prediction]:
        """The prediction for each text."""
        labels = self.model.labels
        width = len(labels)
        kind: Any = Prediction
        extras: Any = repeat(())
        if self.model.thresholds is not None:
            kind = MultiLabelPrediction
            extras = repeat((dict(zip(labels, self.model.thresholds)),))
        elif self.model.is_score:
            kind = ScorePrediction
            extras = zip(*(column.tolist() for column in self.scores))
        best, highest = self.ranks[0]
        ints = [memoryview(each).cast("i") for each in (best, self.answers, self.statuses)]
        chances = memoryview(self.probabilities).cast("f").tolist()
        columns = zip(*ints, memoryview(highest).cast("f"), extras)
        predictions = []
        for i, (place, answer, status, probability, extra) in enumerate(columns):
            label = None
            if status not in (ABSTAINED, ERROR):
                label = labels[place]
            elif kind is ScorePrediction:
                extra = (None,) * 3
            every = dict(zip(labels, chances[i * width : (i + 1) * width]))
            predictions.append(
                kind(label, probability, every, STATUSES[status], self.label_sets[answer], *extra)
            )
        return predictions


def decide(
    model: ModelFile,
    policy: Policy,
    probabilities: bytes,
    read: bytes,
    session: NativeSession | None = None,
) -> Decisions:
    """Decide on n texts.

    policy: made for this model.
    probabilities: float32 [n, labels]; NaN for a missing text.
    read: the status of each text, a byte each, see Decisions.
    session: decides instead, without NumPy, if the model gives each text one label and no score.

    Raises ModelFileError for values that are not probabilities.
    """
    label_sets: list[tuple[str, ...]] = [*((label,) for label in model.labels), ()]
    if session is None or model.is_score or model.thresholds is not None:
        return _decide(model, policy, probabilities, read, label_sets, session is not None)
    columns = session.decide(probabilities, read, policy.top, policy.threshold)
    if columns is None:
        raise not_probabilities(model)
    return Decisions(model, probabilities, read, label_sets, *columns)


def _decide(
    model: ModelFile,
    policy: Policy,
    probabilities: bytes,
    read: bytes,
    label_sets: list[tuple[str, ...]],
    is_unchecked: bool,
) -> Decisions:
    """Decide on the texts of any model, by NumPy. is_unchecked: as the native engine's answers."""
    import numpy as np

    none = len(model.labels)
    rows = np.frombuffer(probabilities, np.float32).reshape(len(read), none)
    statuses = np.frombuffer(read, np.uint8).astype(np.int32)
    if is_unchecked and not are_probabilities(rows[statuses != ERROR]):
        raise not_probabilities(model)
    if policy.top > 1 or model.thresholds is not None:
        order = (-rows).argsort(axis=1, kind="stable")
        highest = np.take_along_axis(rows, order, axis=1)
    else:
        order = rows.argmax(axis=1)[:, None]
        highest = rows.max(axis=1)[:, None]
    ranked = order.astype(np.int32)
    if ERROR in read:
        ranked[statuses == ERROR] = none
    answers = ranked[:, 0]
    if model.thresholds is not None:
        has = apply_thresholds(rows, model.thresholds)
        sets = [
            tuple(model.labels[i] for i in places if flags[i])
            for places, flags in zip(order.tolist(), has.tolist())
        ]
        label_sets = [*dict.fromkeys(sets)]
        places = {labels: place for place, labels in enumerate(label_sets)}
        answers = np.array([places[labels] for labels in sets], np.int32)
    elif policy.threshold:
        is_unsure = is_abstained(highest[:, 0], policy.threshold)
        answers = np.where(is_unsure, np.int32(none), answers)
        statuses[is_unsure] = ABSTAINED
    scores: Sequence[npt.NDArray[np.float64]] = ()
    if model.is_score:
        scores = model.question.estimate(rows)
        for column in scores:
            column[answers == none] = math.nan
    return Decisions(
        model,
        probabilities,
        read,
        label_sets,
        answers.tobytes(),
        statuses.tobytes(),
        [(ranked[:, k].tobytes(), highest[:, k].tobytes()) for k in range(policy.top)],
        scores,
    )


def mark_unfamiliar(read: bytes, scores: npt.NDArray[np.float64], highest_score: float) -> bytes:
    """Return the statuses of texts: a high score makes one with known words ``unfamiliar``.

    scores: float64 [n], see familiarity.py.
    """
    import numpy as np

    statuses = np.frombuffer(read, np.uint8).copy()
    has_known_words = (statuses == OK) | (statuses == TRUNCATED)
    statuses[(scores > highest_score) & has_known_words] = UNFAMILIAR
    return bytes(statuses)


def apply_thresholds(
    probabilities: npt.NDArray[np.floating[Any]], thresholds: Sequence[float] | None = None
) -> npt.NDArray[np.bool_]:
    """Return bool [n, labels]: the labels that each text gets.

    probabilities: float [n, labels].
    thresholds: one for each label; a text gets the labels whose probability is at least theirs,
        compared in float64. None: a text gets the most probable label, the first of equal ones.
    """
    import numpy as np

    if thresholds is None:
        best = probabilities.argmax(axis=1)
        return np.asarray(best[:, None] == np.arange(probabilities.shape[1]))
    return probabilities >= np.array(thresholds)


def are_probabilities(values: npt.NDArray[np.float32]) -> bool:
    """Return whether all values are from 0 to 1. A softmax may end a little above 1."""
    # NaN is the smallest and the largest value, and no comparison with it holds.
    return bool(values.min(initial=0) >= 0 and values.max(initial=0) <= MOST_PROBABLE)


def not_probabilities(model: ModelFile) -> ModelFileError:
    """Return the error for answers that are not probabilities."""
    return ModelFileError(
        f"{model.path} gives values that are not probabilities (NaN or out of range); "
        "its weights are damaged or badly trained: train or export it again"
    )


def check_label(label: str, labels: Sequence[str]) -> None:
    """Raise DataError unless the label is one of a model's."""
    if label not in labels:
        raise DataError(
            f"the model has no label {label!r}; its labels are {', '.join(labels)}"
            f"{did_you_mean(label, labels)}"
        )


def check_top(k: int, labels: int) -> None:
    """Raise DataError unless a model with this number of labels can give the ``k`` best."""
    if not 1 <= k <= labels:
        raise DataError(f"--top must be from 1 to {labels}, the number of labels, not {k}")
