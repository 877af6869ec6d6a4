"""Rows in → rows out, for other programs: :func:`score`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from edge_lstm.checked import optional_whole, path, whole
from edge_lstm.core.classifier import Classifier, Row
from edge_lstm.errors import DataError
from edge_lstm.scoring.answers import Predictor
from edge_lstm.scoring.columns import (
    DEFAULT_SCORE_OPTIONS,
    ScoreOptions,
    plan_output,
    resolve_options,
)
from edge_lstm.tables.format import values_of
from edge_lstm.tables.lines import JSONL, RAW_COLUMN
from edge_lstm.tables.schema import Schema, find_column


@dataclass(frozen=True, kw_only=True)
class ScoredRow(Mapping[Any, Any]):
    """A row with its prediction.

    As a mapping, it has the columns that a file would have.

    own: the values of the row itself that are kept.
    label: None for an error row, and if the probability is below the threshold.
    probability: of the most probable label; None for an error row.
    probabilities: of every label; None for an error row, or if they are not asked for.
    status: of the text (see edge_lstm.core.text), ``unfamiliar``, ``abstained`` or ``error``.
    error: the reason why the row has no prediction, or None.
    added: the columns of the prediction, as the mapping has them: name → value. The next best
        labels, and ``predicted`` of an abstained row, are only here.
    """

    own: Mapping[Any, Any]
    label: str | None
    probability: float | None
    probabilities: Mapping[str, float] | None
    status: str
    error: str | None
    added: Mapping[str, Any] = field(repr=False)

    def to_dict(self) -> dict[Any, Any]:
        """Return the columns of a file: the row's own, then the prediction's."""
        return {**self.own, **self.added}

    def __getitem__(self, name: Any) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())


def score(
    rows: Iterable[str | Mapping[Any, Any]],
    *,
    model: str | Path | Classifier | None = None,
    text_column: str | None = None,
    options: ScoreOptions = DEFAULT_SCORE_OPTIONS,
    window: int = 1024,
    batch_size: int | None = None,
) -> Iterator[ScoredRow]:
    """Classify rows as they come: an iterator of rows in, an iterator of rows out, in order.

    rows: texts, or mappings with the text as one value, or with the fields that the model reads.
        Nothing is read before it is needed. (For the rows of files, see
        :func:`edge_lstm.score_files`.)
    model: a model file, a loaded Classifier, or None for the embedded model.
    text_column: the key of the text; found in the first row if it is obvious.
    options: the columns that are added, and the rows that come back.
    window: rows that are read before they are classified; 1 classifies each row at once. It
        changes no prediction.
    batch_size: texts in one run of the model; None for the fastest number.

    Each row comes back with its own values (``text`` for a plain text), label, probability, status
    and error. As a mapping it has them under names that the first row decides (see ScoreOptions).

    A row whose text is not a string has the status ``error``. So has a later row with a key that is
    one of those names; the whole row is then under ``raw``.

    Raises DataError, ModelFileError (or a subclass) or ProviderError, and TypeError for a value of
    the wrong type. An error in the first row, or in an option that does not fit it, is raised when
    the first row is requested.
    """
    row_iterator = _iterator(rows)
    window = min(whole("window", window), sys.maxsize)
    batch_size = optional_whole("batch_size", batch_size)
    if not isinstance(model, Classifier):
        model = Classifier.load(None if model is None else path("model", model))
    resolve_options(options, model.model)
    return _score(row_iterator, model, text_column, options, window, batch_size)


def _iterator(rows: Any) -> Iterator[Any]:
    """Return an iterator of the rows.

    Raises DataError for other things that Python can iterate over: a name, one row, a table.
    """
    name = type(rows).__name__
    if isinstance(rows, (str, bytes, bytearray, PurePath, Mapping)):
        raise DataError(
            f"the rows are one {name}, {rows!r:.60}; give a list of rows, or score_files a file"
        )
    # A table of pandas or Polars gives the names of its columns, not its rows.
    if hasattr(rows, "columns") and not isinstance(rows, Iterator):
        raise DataError(f"the rows are a {name}; give its text column, or a list of dicts")
    try:
        return iter(rows)
    except TypeError:
        raise DataError(f"the rows are a {name}; give a list of texts or dicts") from None


def _score(
    rows: Iterator[Any],
    model: Classifier,
    text_column: str | None,
    options: ScoreOptions,
    window: int,
    batch_size: int | None,
) -> Iterator[ScoredRow]:
    chunk = list(islice(rows, window))
    if not chunk:
        return
    # The first row decides the names of the columns.
    keys = list(chunk[0]) if isinstance(chunk[0], Mapping) else [text_column or "text"]
    names = tuple(map(str, keys))
    key: Any = text_column
    has_fields = model.model.fields is not None
    if has_fields:
        key = keys[0]
    elif key is None:
        key = keys[find_column(names, None, "the first row", "text")]
    schema = Schema(JSONL.name, names, 0, is_unicode=True)
    planned, output = plan_output(schema, {"": model.model}, options, JSONL.name, "the first row")
    predictor = Predictor({"": model}, planned, batch_size)
    kept = None if output.kept is None else [keys[index] for index in output.kept]
    taken = frozenset(output.reserved)
    while chunk:
        mappings = [dict(row) if isinstance(row, Mapping) else {key: row} for row in chunk]
        # A model with fields reads whole rows.
        wholes = chunk if has_fields else [None] * len(chunk)
        read = [_text_or_reason(row, key, taken, each) for row, each in zip(mappings, wholes)]
        predictions = predictor.predict(*zip(*read))
        reasons = values_of(predictions.errors)
        answers = predictions.by_question[""]
        chosen = predictions.chosen
        labels = values_of(answers.labels)
        statuses = values_of(answers.statuses)
        highest = values_of(answers.probabilities)
        by_label = [*zip(*map(values_of, answers.by_label))]
        added = [*zip(*map(values_of, output.pick_added(predictions.columns)))]
        for i, own in enumerate(mappings):
            if chosen is not None and not chosen[i]:
                continue
            if kept is not None:
                own = {name: own.get(name) for name in kept}
            elif not taken.isdisjoint(own):
                own = {RAW_COLUMN: own}
            probabilities = None
            if by_label and reasons[i] is None:
                probabilities = dict(zip(model.labels, by_label[i]))
            yield ScoredRow(
                own=own,
                label=labels[i],
                probability=highest[i],
                probabilities=probabilities,
                status=statuses[i],
                error=reasons[i],
                added=dict(zip(output.added, added[i])),
            )
        chunk = list(islice(rows, window))


def _text_or_reason(
    row: dict[Any, Any], key: Any, taken: frozenset[str], whole: Row | None
) -> tuple[Row | None, str | None]:
    if not taken.isdisjoint(row):
        name = min(taken.intersection(row))
        return None, f"the row has a key {name!r}, which the first row does not have; rename it"
    if whole is not None:
        return whole, None
    text = row.get(key)
    if isinstance(text, str):
        return text, None
    if text is None:
        return None, f"no {key!r}"
    return None, f"the text is a {type(text).__name__}, not a string"
