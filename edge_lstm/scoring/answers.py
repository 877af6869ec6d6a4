"""The answers to the questions of a run, as columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.core.native import STATUSES as STATUSES_OF_TEXTS
from edge_lstm.core.native import Decided, NativeSession
from edge_lstm.core.risk_coverage import ABSTAINED, UNFAMILIAR, is_abstained
from edge_lstm.printable import LABEL_JOINT
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import MAX_LISTED_ERRORS, RowProblem, Summary
from edge_lstm.tables.format import Coded, Column, values_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_lstm.core.classifier import Classifier

# The statuses of rows, in the engine's order.
STATUSES = (*STATUSES_OF_TEXTS, "error", ABSTAINED, UNFAMILIAR)
_TRUNCATED = STATUSES.index("truncated")
_ERROR = STATUSES.index("error")
_ABSTAINED = STATUSES.index(ABSTAINED)


class Classified(NamedTuple):
    """What a model says of rows.

    probabilities: float32 [rows, labels], as bytes; NaN for an error row.
    statuses: for each row the place of its status in STATUSES, a byte each.
    """

    probabilities: bytes
    statuses: bytes

    def without(self, rows: Sequence[int]) -> Classified:
        """Return it with error rows instead of these."""
        if not rows:
            return self
        probabilities = bytearray(self.probabilities)
        statuses = bytearray(self.statuses)
        step = len(probabilities) // len(statuses)
        none = array("f", [float("nan")]).tobytes() * (step // 4)
        for row in rows:
            probabilities[row * step : (row + 1) * step] = none
            statuses[row] = _ERROR
        return Classified(bytes(probabilities), bytes(statuses))


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers to a question for rows.

    labels: the label of each row. A model that gives several labels has them joined by LABEL_JOINT.
        None for an error row, an abstained row and a text without any label.
    statuses: the status of each row.
    probabilities: of the most probable label; none for an error row.
    by_label: a column for each of the model's labels, with its probability; empty if it is not
        asked for.
    columns: what the output has of all this, in the order of columns.plan_output.
    truncated: rows whose text is longer than the model reads, whatever their status.
    label_counts: label → rows.
    status_counts: status → rows.
    """

    labels: Coded
    statuses: Coded
    probabilities: bytes
    by_label: Sequence[bytes]
    columns: Sequence[Column]
    truncated: int
    label_counts: Counter[str]
    status_counts: Counter[str]


@dataclass(frozen=True)
class Answerer:
    """A classifier with the resolved options of a run. It can be pickled."""

    classifier: Classifier
    options: ScoreOptions

    @property
    def _labels(self) -> tuple[str, ...]:
        return self.classifier.labels

    @property
    def _is_multi_label(self) -> bool:
        return self.classifier.model.thresholds is not None

    @property
    def engine(self) -> NativeSession | None:
        """The native engine, if it can classify the texts as they are and decide on the answers."""
        is_asked_more = self.options.windows or self.options.unfamiliar is not None
        if is_asked_more or self._is_multi_label or self.classifier.model.is_score:
            return None
        return self.classifier.native

    def answer(self, classified: Classified) -> Answers:
        """Answer rows.

        Raises ModelFileError if the model gives values that are not probabilities.
        """
        if self.engine is None:
            return self._decide(classified)
        options = self.options
        decided = self.engine.decide(*classified, options.top, options.threshold or 0.0)
        if decided is None:
            raise self.classifier.not_probabilities()
        labels = Coded(decided.labels, (*self._labels, None))
        return self._answers(decided, labels, classified)

    def _decide(self, classified: Classified) -> Answers:
        """Answer rows by NumPy, for any engine and model."""
        import numpy as np

        none = len(self._labels)  # the code of no label
        probabilities = np.frombuffer(classified.probabilities, np.float32).reshape(-1, none)
        statuses = np.frombuffer(classified.statuses, np.uint8).astype(np.int32)
        if self.options.top > 1 or self._is_multi_label:
            order = (-probabilities).argsort(axis=1, kind="stable")
        else:
            order = probabilities.argmax(axis=1)[:, None]
        values = np.take_along_axis(probabilities, order, axis=1)
        ranked = np.where(statuses[:, None] == _ERROR, none, order).astype(np.int32)
        labels = ranked[:, 0].copy()
        if self._is_multi_label:
            has = self.classifier.has_labels(probabilities)
            column = self._joined(order, has)
            by_label = has.sum(axis=0)
        else:
            is_unsure = is_abstained(values[:, 0], self.options.threshold or 0.0)
            labels[is_unsure] = none
            statuses[is_unsure] = _ABSTAINED
            column = Coded(labels.tobytes(), (*self._labels, None))
            by_label = np.bincount(labels, minlength=none)[:none]
        scores = []
        if self.classifier.model.is_score:
            for ends in self.classifier.model.question.estimate(probabilities):
                score = ends.astype(np.float32)
                score[labels == none] = np.nan
                scores.append(score.tobytes())
        decided = Decided(
            labels=column.codes,
            statuses=statuses.tobytes(),
            ranks=[
                (ranked[:, k].tobytes(), values[:, k].tobytes()) for k in range(self.options.top)
            ],
            by_label=by_label.tolist(),
            by_status=np.bincount(statuses, minlength=len(STATUSES)).tolist(),
        )
        return self._answers(decided, column, classified, scores)

    def _joined(self, order: npt.NDArray[Any], has: npt.NDArray[np.bool_]) -> Coded:
        """Return the labels that each text has, the most probable first; None for no label."""
        joined = []
        for row, flags in zip(order.tolist(), has.tolist()):
            names = [self._labels[i] for i in row if flags[i]]
            joined.append(LABEL_JOINT.join(names) or None)
        return coded(joined)

    def _answers(
        self,
        decided: Decided,
        labels: Coded,
        classified: Classified,
        scores: Sequence[bytes] = (),
    ) -> Answers:
        """Return the answers as columns.

        labels: the label of each row.
        scores: the score and the ends of its interval, written instead of the labels.
        """
        names = (*self._labels, None)
        statuses = Coded(decided.statuses, STATUSES)
        (best, highest), *others = decided.ranks
        columns: list[Column] = [*scores] or [labels]
        if self.options.only_abstained:
            columns.append(Coded(best, names))
        if not scores:
            columns.append(highest)
        for codes, values in others:
            columns += [Coded(codes, names), values]
        by_label: list[bytes] = []
        if self.options.all_probabilities:
            every = memoryview(classified.probabilities).cast("f")
            step = len(self._labels)
            by_label = [every[i::step].tobytes() for i in range(step)]
        return Answers(
            labels=labels,
            statuses=statuses,
            probabilities=highest,
            by_label=by_label,
            columns=[*columns, *by_label, statuses],
            truncated=classified.statuses.count(_TRUNCATED),
            label_counts=_counted(decided.by_label, self._labels),
            status_counts=_counted(decided.by_status, STATUSES),
        )

    def chosen(self, answers: Answers) -> bytes | None:
        """Return a byte for each row, 1 if it is written; None for all of them."""
        column = answers.labels
        wanted = {*self.options.only_label}
        if self.options.only_abstained:
            column = answers.statuses
            wanted = {ABSTAINED}
        if not wanted:
            return None
        flags = [not wanted.isdisjoint(self._named(value)) for value in column.values]
        return bytes([flags[code] for code in column.places])

    def _named(self, label: str | None) -> Sequence[str]:
        if label is None:
            return ()
        return label.split(LABEL_JOINT) if self._is_multi_label else (label,)


@dataclass(frozen=True)
class Predictions:
    """The answers to the questions of a run for rows.

    by_question: name of the question → its answers. A single question has an empty name.
    errors: the reason why a row has no text, or None.
    """

    by_question: Mapping[str, Answers]
    errors: Coded

    @property
    def columns(self) -> list[Column]:
        """The columns of the output, in the order of columns.plan_output."""
        parts = [column for each in self.by_question.values() for column in each.columns]
        return [*parts, self.errors]

    def summary(self, source: str, first: int, chosen: bytes | None) -> Summary:
        """Return the summary of these rows.

        source: the name of their input.
        first: the number of rows before these.
        chosen: a byte for each row, 1 if it is written; None for all of them.
        """
        count = len(self.errors.places)
        statuses = self._status_counts()
        labels = Counter[str]()
        for question, each in self.by_question.items():
            prefix = question and f"{question}="
            labels.update({f"{prefix}{label}": n for label, n in each.label_counts.items()})
        problems = []
        if statuses["error"]:
            reasons = enumerate(values_of(self.errors), first + 1)
            every = (RowProblem(source, row, reason) for row, reason in reasons if reason)
            problems = [*islice(every, MAX_LISTED_ERRORS)]
        return Summary(
            rows=count,
            written=count if chosen is None else sum(chosen),
            errors=statuses["error"],
            below_threshold=statuses[ABSTAINED],
            truncated=max(each.truncated for each in self.by_question.values()),
            labels=labels,
            statuses=statuses,
            first_errors=problems,
        )

    def _status_counts(self) -> Counter[str]:
        """Return status → rows.

        A row is abstained if one of its questions is; else it has the first status but ok.
        """
        first, *others = self.by_question.values()
        if not others:
            return first.status_counts
        columns = [values_of(each.statuses) for each in (first, *others)]
        return Counter(map(_joint_status, zip(*columns)))


def _joint_status(statuses: Sequence[str]) -> str:
    if ABSTAINED in statuses:
        return ABSTAINED
    return next((status for status in statuses if status != "ok"), "ok")


class Predictor:
    """The classifiers of a run's questions, with their resolved options."""

    def __init__(
        self,
        classifiers: Mapping[str, Classifier],
        options: Mapping[str, ScoreOptions],
        batch_size: int | None,
    ) -> None:
        """Take over options that come from columns.plan_output.

        classifiers: name of the question → its classifier. A single question has an empty name.
        batch_size: texts in one run of a model; None for the fastest number.
        """
        from edge_lstm.core.questions import Questions

        self._classifiers = Questions(classifiers)
        self._batch_size = batch_size
        self._reads_windows = any(each.windows for each in options.values())
        self.answerers = {name: Answerer(each, options[name]) for name, each in classifiers.items()}
        self._highest = {
            name: classifier.model.choose_unfamiliar_threshold(options[name].unfamiliar)
            for name, classifier in classifiers.items()
        }

    def predict(self, texts: Sequence[str | None], reasons: Sequence[str | None]) -> Predictions:
        """Return the predictions for rows.

        texts: the text of each row; None for an error row.
        reasons: the reason why a row has no text; None for the others.
        """
        errors = [row for row, reason in enumerate(reasons) if reason] if any(reasons) else []
        # An error row is an empty text, whose answer is forgotten.
        classified = self._classify([text or "" for text in texts] if errors else texts)
        answers = {
            name: answerer.answer(classified[name].without(errors))
            for name, answerer in self.answerers.items()
        }
        return Predictions(answers, coded(reasons))

    def _classify(self, texts: Sequence[Any]) -> dict[str, Classified]:
        """Return what the model of each question says of texts."""
        engines = {name: answerer.engine for name, answerer in self.answerers.items()}
        direct = {name: engine for name, engine in engines.items() if engine is not None}
        if len(direct) == len(engines):
            return {name: Classified(*engine.classify(texts)) for name, engine in direct.items()}
        found = self._classifiers.classify(
            texts, self._highest, batch_size=self._batch_size, windows=self._reads_windows
        )
        return {
            name: Classified(
                probabilities.tobytes(), bytes([STATUSES.index(status) for status in statuses])
            )
            for name, (probabilities, statuses) in found.items()
        }

    def chosen(self, predictions: Predictions) -> bytes | None:
        """Return a byte for each row, 1 if it is written; None for all of them."""
        answerer = self.answerers.get("")
        return None if answerer is None else answerer.chosen(predictions.by_question[""])


def coded(values: Sequence[str | None]) -> Coded:
    """Return values as a column."""
    if not any(values):
        return Coded(bytes(4 * len(values)), (None,))
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return Coded(array("i", [places[value] for value in values]).tobytes(), [*places])


def _counted(counts: Sequence[int], names: Sequence[str]) -> Counter[str]:
    return Counter({name: count for name, count in zip(names, counts) if count})
