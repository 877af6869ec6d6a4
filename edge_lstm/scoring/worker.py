"""The work on one chunk: its rows in, the bytes of the output's rows out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edge_lstm.answering import ABSTAINED, is_abstained
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.direct import DirectScorer, direct_scorer
from edge_lstm.scoring.summary import MAX_LISTED_ERRORS, RowProblem, Summary
from edge_lstm.tables.compression import compressed
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.values import RowError, utf8_error
from edge_lstm.text import LABEL_JOINT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_lstm.classifier import Classification, Classifier

# The bytes of a chunk's rows, compressed by themselves, and their summary.
Scored = tuple[bytes, Summary]
# Rows of a chunk that take Python, each alone. If there are more, it reads the rest of the chunk.
_MOST_LEFT_OUT = 8


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of a model for rows, as columns.

    Each column has a value for each row. A probability is a float that is a float32, and None for
    an error row.

    labels: the label. A model that gives several labels has them joined by LABEL_JOINT. None for
        an error row, an abstained row and a text without any label.
    predicted: the most probable label, of abstained rows too; None if it is not asked for.
    probabilities: the probability of the most probable label.
    scores: three columns, the score and the ends of its interval, None for an abstained row; they
        are written instead of labels and probabilities. None if the model gives labels.
    next_best: two columns for each of the next best labels: the label, its probability.
    by_label: a column for each of the model's labels, with its probability; empty if it is not
        asked for.
    statuses: a status of edge_lstm.text, ``unfamiliar``, ``abstained`` or ``error``.
    named: each value of ``labels`` but None → the labels that it names.
    """

    labels: Sequence[str | None]
    predicted: Sequence[str | None] | None
    probabilities: Sequence[float | None]
    scores: Sequence[Sequence[float | None]] | None
    next_best: Sequence[Sequence[Any]]
    by_label: Sequence[Sequence[Any]]
    statuses: Sequence[str]
    named: Mapping[str, Sequence[str]]

    @property
    def columns(self) -> list[Sequence[Any]]:
        """The columns of the output, in the order of columns.plan_output."""
        predicted = [] if self.predicted is None else [self.predicted]
        first: list[Sequence[Any]] = [self.labels, *predicted, self.probabilities]
        if self.scores is not None:
            first = [*self.scores, *predicted]
        return [*first, *self.next_best, *self.by_label, self.statuses]


class _Question:
    """A classifier with the resolved options of a run."""

    def __init__(self, classifier: Classifier, options: ScoreOptions) -> None:
        self.labels = classifier.labels
        self._classifier = classifier
        self._options = options
        self._is_multi_label = classifier.model.thresholds is not None

    def answers(self, classification: Classification, reasons: Sequence[str | None]) -> Answers:
        """Return the answers for rows whose texts are classified.

        classification: of the rows that have a text.
        reasons: the reason why a row has no text; None for the others.
        """
        import numpy as np

        probabilities, classified = classification

        def spread(column: list[Any], missing: str | None = None) -> list[Any]:
            """Return the values of the good texts, and ``missing`` for each error row."""
            if len(column) == len(reasons):
                return column
            values = iter(column)
            return [next(values) if reason is None else missing for reason in reasons]

        options = self._options
        statuses: list[str] = [*classified]
        order = self._order(probabilities)
        names = []
        values = []
        for rank in order.T[: options.top]:
            names.append([self.labels[i] for i in rank.tolist()])
            values.append(probabilities[np.arange(len(probabilities)), rank])
        labels: list[str | None] = list(names[0])
        if self._is_multi_label:
            labels = self._joined(probabilities, order)
        else:
            is_unsure = is_abstained(values[0], options.threshold or 0.0)
            for i in is_unsure.nonzero()[0].tolist():
                labels[i] = None
                statuses[i] = ABSTAINED
        scores = None
        if self._classifier.model.is_score:
            scores = [spread(column) for column in self._scores(probabilities, labels)]
        next_best = []
        for name, value in zip(names[1:], values[1:]):
            next_best.append(spread(name))
            next_best.append(spread(value.tolist()))
        by_label = probabilities.T.tolist() if options.all_probabilities else []
        return Answers(
            labels=spread(labels),
            predicted=spread(names[0]) if options.only_abstained else None,
            probabilities=spread(values[0].tolist()),
            scores=scores,
            next_best=next_best,
            by_label=[spread(column) for column in by_label],
            statuses=spread(statuses, "error"),
            named={label: self._named(label) for label in set(labels) if label is not None},
        )

    def _order(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Return the indexes of each text's labels, the most probable first.

        probabilities: float32 [n, labels]. The result is int [n, labels], or [n, 1] if no more are
        needed.
        """
        if self._options.top > 1 or self._is_multi_label:
            return (-probabilities).argsort(axis=1, kind="stable")
        best: npt.NDArray[np.intp] = probabilities.argmax(axis=1)[:, None]
        return best

    def _scores(
        self, probabilities: npt.NDArray[np.float32], labels: Sequence[str | None]
    ) -> Iterator[list[float | None]]:
        """Yield the scores of texts, the low and the high ends; None for a text without a label."""
        for column in self._classifier.model.question.estimate(probabilities):
            values = column.astype("float32").tolist()
            yield [value if label is not None else None for value, label in zip(values, labels)]

    def _joined(
        self, probabilities: npt.NDArray[np.float32], order: npt.NDArray[np.intp]
    ) -> list[str | None]:
        """Return the labels that each text has, the most probable first; None for no label."""
        has = self._classifier.has_labels(probabilities)
        joined = []
        for row, flags in zip(order.tolist(), has.tolist()):
            names = [self.labels[i] for i in row if flags[i]]
            joined.append(LABEL_JOINT.join(names) or None)
        return joined

    def _named(self, label: str) -> Sequence[str]:
        return label.split(LABEL_JOINT) if self._is_multi_label else (label,)


@dataclass(frozen=True)
class Predictions:
    """The answers to the questions of a run for rows.

    by_question: name of the question → its answers. A single question has an empty name.
    errors: the reason why a row has no text, or None.
    """

    by_question: Mapping[str, Answers]
    errors: Sequence[str | None]

    @property
    def columns(self) -> list[Sequence[Any]]:
        """The columns of the output, in the order of columns.plan_output."""
        parts = [column for each in self.by_question.values() for column in each.columns]
        return [*parts, self.errors]

    @cached_property
    def statuses(self) -> Sequence[str]:
        """The status of each row: abstained if one of its questions is, else the first not ok."""
        first, *others = [each.statuses for each in self.by_question.values()]
        return [*map(_joint_status, zip(first, *others))] if others else first

    def label_counts(self) -> Counter[str]:
        """Return label → rows. The name of its question stands before a label."""
        counts = Counter[str]()
        for question, each in self.by_question.items():
            prefix = question and f"{question}="
            for value, count in Counter(each.labels).items():
                if value is not None:
                    counts.update({f"{prefix}{label}": count for label in each.named[value]})
        return counts


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
        from edge_lstm.questions import Questions

        self._classifiers = Questions(classifiers)
        self._options = options
        self._batch_size = batch_size
        self._questions = {
            name: _Question(classifier, options[name]) for name, classifier in classifiers.items()
        }
        self._highest = {
            name: classifier.model.choose_unfamiliar_threshold(options[name].unfamiliar)
            for name, classifier in classifiers.items()
        }

    def predict(self, texts: Sequence[str | None], reasons: Sequence[str | None]) -> Predictions:
        """Return the predictions for rows.

        texts: the text of each row; None for an error row.
        reasons: the reason why a row has no text; None for the others.
        """
        classified = self._classifiers.classify(
            [text for text in texts if text is not None],
            self._highest,
            batch_size=self._batch_size,
            windows=any(each.windows for each in self._options.values()),
        )
        answers = {
            name: question.answers(classified[name], reasons)
            for name, question in self._questions.items()
        }
        return Predictions(answers, reasons)

    def direct(self, output: OutputColumns) -> DirectScorer | None:
        """Return the scorer for rows that Python need not look into; None if it has to."""
        classifiers = self._classifiers.classifiers
        if [*classifiers] != [""]:
            return None
        return direct_scorer(classifiers[""], self._options[""], output)

    def selected(self, predictions: Predictions) -> Sequence[int]:
        """Return the indexes of the rows that are written."""
        options = self._options.get("")
        if options is not None and options.only_abstained:
            return [i for i, status in enumerate(predictions.statuses) if status == ABSTAINED]
        if options is None or not options.only_label:
            return range(len(predictions.errors))
        answers = predictions.by_question[""]
        wanted = {
            value
            for value, labels in answers.named.items()
            if not set(labels).isdisjoint(options.only_label)
        }
        return [i for i, label in enumerate(answers.labels) if label in wanted]


class Worker:
    """A predictor and the columns of the output. It can be pickled."""

    def __init__(self, predictor: Predictor, output: OutputColumns, compression: str) -> None:
        """Take over what a chunk needs.

        compression: of the output; see tables/compression.py.
        """
        self._predictor = predictor
        self._output = output
        self._compression = compression
        self._forbidden = frozenset(output.added)
        # If the columns are fixed, a row with another key would lose it.
        is_fixed = FORMATS[output.format].has_fixed_columns and output.kept is None
        self._allowed = frozenset(output.schema.columns) if is_fixed else None
        self._direct = predictor.direct(output)

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and return the bytes of the output's rows."""
        if self._direct is not None and isinstance(chunk.rows, bytes):
            data, summary = self._score_directly(self._direct, chunk)
        else:
            data, summary = self._score(chunk)
        return compressed(data, self._compression) if data else b"", summary

    def _score_directly(self, direct: DirectScorer, chunk: Chunk) -> Scored:
        """Score a chunk by the engine, and by Python the rows that the engine does not take."""
        pieces: list[bytes] = []
        summary = Summary()
        start = left_out = 0
        while start < len(chunk.rows):
            scored = direct.score(chunk, start)
            pieces.append(scored.data)
            summary.add(scored.summary)
            start = scored.end
            if start < len(chunk.rows):
                left_out += 1
                end = scored.next if left_out <= _MOST_LEFT_OUT else len(chunk.rows)
                count = 1 if end < len(chunk.rows) else chunk.count - summary.rows
                rows = chunk.rows[start:end]
                first = chunk.first + summary.rows
                data, part = self._score(replace(chunk, first=first, count=count, rows=rows))
                pieces.append(data)
                summary.add(part)
                start = end
        return b"".join(pieces), summary

    def _score(self, chunk: Chunk) -> Scored:
        """Score a chunk, row by row."""
        output = self._output
        schema = output.schema
        writing = FORMATS[output.format]
        rows = FORMATS[schema.format].parse(chunk.rows, schema, self._check_keys)
        if writing.needs_utf8 and schema.format != writing.name and not schema.is_unicode:
            _refuse_bytes(rows, output)
        predictions = self._predictor.predict(rows.texts, rows.reasons)
        columns = output.pick_added(predictions.columns)
        selected = self._predictor.selected(predictions)
        if 0 < len(selected) < chunk.count:
            rows = rows.only(selected)
            columns = [[column[i] for i in selected] for column in columns]
        data = writing.write(rows, columns, output) if selected else b""
        return data, _summary(chunk, predictions, len(selected))

    def _check_keys(self, row: dict[str, Any]) -> None:
        """Raise RowError if a row has a key that the output has no place for."""
        if self._forbidden.isdisjoint(row) and (
            self._allowed is None or self._allowed.issuperset(row)
        ):
            return
        for key in row:
            is_forbidden = key in self._forbidden
            if is_forbidden or (self._allowed is not None and key not in self._allowed):
                hint = "rename it" if is_forbidden else "write JSONL"
                raise RowError(
                    f"the row has a key {key!r}, which the first rows do not have; {hint}"
                )


def _summary(chunk: Chunk, predictions: Predictions, written: int) -> Summary:
    statuses = Counter(predictions.statuses)
    first_errors: list[RowProblem] = []
    most = min(statuses["error"], MAX_LISTED_ERRORS)
    for number, error in enumerate(predictions.errors, chunk.first + 1):
        if len(first_errors) == most:
            break
        if error is not None:
            first_errors.append(RowProblem(chunk.source, number, error))
    return Summary(
        rows=chunk.count,
        written=written,
        errors=statuses["error"],
        below_threshold=statuses[ABSTAINED],
        labels=predictions.label_counts(),
        statuses=statuses,
        first_errors=first_errors,
    )


def _refuse_bytes(rows: Rows, output: OutputColumns) -> None:
    """Make each row with another column that is not UTF-8 an error row."""
    for values, name in zip(output.pick(rows.columns), output.columns):
        reason = f"column {name!r} is not UTF-8; leave it out with --keep"
        for i, value in enumerate(values):
            if rows.texts[i] is not None and isinstance(value, str) and utf8_error(value):
                rows.texts[i] = None
                rows.reasons[i] = reason
