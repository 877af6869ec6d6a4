"""The answers to the questions of a run, as columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from edge_lstm.core.decide import STATUSES, TRUNCATED, Decisions
from edge_lstm.errors import DataError
from edge_lstm.printable import LABEL_JOINT
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import MAX_LISTED_ERRORS, RowProblem, Summary
from edge_lstm.tables.format import Coded, Column, values_of

if TYPE_CHECKING:
    from edge_lstm.core.classifier import Classifier


@dataclass(frozen=True)
class Answers:
    """The answers to a question for rows, as the columns of an output."""

    decisions: Decisions
    options: ScoreOptions

    @property
    def labels(self) -> Coded:
        """The label of each row; several are joined by LABEL_JOINT, and None is for none."""
        sets = self.decisions.label_sets
        return Coded(
            self.decisions.answers, [LABEL_JOINT.join(each) if each else None for each in sets]
        )

    @property
    def statuses(self) -> Coded:
        """The status of each row."""
        return Coded(self.decisions.statuses, STATUSES)

    @property
    def by_label(self) -> Sequence[bytes]:
        """The probability of each of the model's labels; empty if it is not asked for."""
        if not self.options.all_probabilities:
            return []
        every = memoryview(self.decisions.probabilities).cast("f")
        step = len(self.decisions.model.labels)
        return [every[i::step].tobytes() for i in range(step)]

    @property
    def columns(self) -> list[Column]:
        """What the output has of all this, in the order of columns.plan_output."""
        names = (*self.decisions.model.labels, None)
        (_, highest), *others = self.decisions.ranks
        scores = [column.astype("float32").tobytes() for column in self.decisions.scores]
        columns: list[Column] = [*scores] or [self.labels]
        if not scores:
            columns.append(highest)
        for codes, values in others:
            columns += [Coded(codes, names), values]
        return [*columns, *self.by_label, self.statuses]

    @property
    def label_counts(self) -> Counter[str]:
        """Label → rows that have it."""
        counts = Counter[str]()
        for place, count in _counts(self.decisions.answers).items():
            counts.update(dict.fromkeys(self.decisions.label_sets[place], count))
        return counts

    @property
    def status_counts(self) -> Counter[str]:
        """Status → rows that have it."""
        counts = _counts(self.decisions.statuses)
        return Counter({STATUSES[place]: count for place, count in counts.items()})


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

    def summary(self, source: str, first: int) -> Summary:
        """Return the summary of these rows.

        source: the name of their input.
        first: the number of rows before these.
        """
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
            rows=len(self.errors.places),
            errors=statuses["error"],
            below_threshold=statuses["abstained"],
            truncated=max(map(_truncated, self.by_question.values())),
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


def _counts(column: bytes) -> Counter[int]:
    """Count the values of a column, int32 [n]."""
    return Counter(memoryview(column).cast("i").tolist())


def _truncated(answers: Answers) -> int:
    """Return how many rows have a text that is longer than the model reads."""
    return answers.decisions.read.count(TRUNCATED)


def _joint_status(statuses: Sequence[str]) -> str:
    if "abstained" in statuses:
        return "abstained"
    return next((status for status in statuses if status != "ok"), "ok")


class Predictor:
    """The classifiers of a run's questions, with their resolved options."""

    def __init__(
        self,
        classifiers: Mapping[str, Classifier],
        options: Mapping[str, ScoreOptions],
    ) -> None:
        """Take over options that come from columns.plan_output.

        classifiers: name of the question → its classifier. A single question has an empty name.
        """
        from edge_lstm.core.questions import Questions

        self._questions = Questions(classifiers)
        self._options = options
        self._policies = {
            name: options[name].policy(each.model) for name, each in classifiers.items()
        }

    def predict(self, texts: Sequence[str | None], reasons: Sequence[str | None]) -> Predictions:
        """Return the predictions for rows.

        texts: the text of each row; None for an error row.
        reasons: the reason why a row has no text; None for the others.
        """
        texts, reasons = self._read(texts, reasons)
        found = self._questions.classify(texts, self._policies)
        answers = {name: Answers(each, self._options[name]) for name, each in found.items()}
        return Predictions(answers, coded(reasons))

    def _read(
        self, rows: Sequence[str | None], reasons: Sequence[str | None]
    ) -> tuple[Sequence[str | None], Sequence[str | None]]:
        """Return rows as models with fields read them; an unreadable row becomes an error."""
        models = [each.model for each in self._questions.classifiers.values()]
        if models[0].fields is None:
            return rows, reasons
        read: list[str | None] = [*rows]
        why = [*reasons]
        for i, row in enumerate(rows):
            try:
                # Other fields read it again.
                read[i], *_ = [None if row is None else model.as_text(row) for model in models]
            except DataError as error:
                read[i] = None
                why[i] = str(error)
        return read, why


def coded(values: Sequence[str | None]) -> Coded:
    """Return values as a column."""
    if not any(values):
        return Coded(bytes(4 * len(values)), (None,))
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return Coded(array("i", [places[value] for value in values]).tobytes(), [*places])
