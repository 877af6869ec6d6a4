"""Rows in → rows out, for other programs: :func:`score`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.parameters import optional_whole, path, whole
from edge_lstm.scoring.columns import DEFAULT_SCORE_OPTIONS, ScoreOptions, added_columns, settled
from edge_lstm.scoring.worker import Answerer
from edge_lstm.tables.lines import RAW_COLUMN
from edge_lstm.tables.schema import column_index, find_text_column


@dataclass(frozen=True, kw_only=True)
class ScoredRow(Mapping[Any, Any]):
    """A row with its answer; as a mapping, the columns that a file would have.

    own: the values of the row itself, those that are kept.
    label: None for an error row and where the probability is below the threshold.
    probability: of the most probable label, None for an error row; probabilities: of every label,
        where they are asked for.
    status: of the text (see edge_lstm.text), ``unfamiliar``, ``abstained`` or ``error``; error: why
        there is no answer.
    added: the answer's columns, as the mapping has them: name → value. The next best labels, and
        ``predicted`` of an abstained row, are here alone.
    """

    own: Mapping[Any, Any]
    label: str | None
    probability: float | None
    probabilities: Mapping[str, float] | None
    status: str
    error: str | None
    added: Mapping[str, Any] = field(repr=False)

    def to_dict(self) -> dict[Any, Any]:
        """The columns of a file: the row's own, then the answer's."""
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
    """Classifies rows as they come: an iterator of rows in, an iterator of rows out, in order.

    rows: texts, or mappings of which one value is the text. Nothing is read before it is needed.
        (For the rows of files see :func:`edge_lstm.score_files`.)
    model: a model file, a loaded Classifier, or None for the embedded model.
    text_column: the key of the text; found in the first row if it is obvious.
    window: rows that are read before they are answered; 1 answers each row at once. It changes no
        answer.

    Each row comes back with its own values (``text`` for a plain text), label, probability, status
    and error; as a mapping it has them under names that the first row decides (see ScoreOptions). A
    row whose text is no string has status ``error``. So has a later row with a key of its own that
    is one of those names: it comes back whole under ``raw``.

    Raises DataError, ModelFileError (or a subclass) or ProviderError, and TypeError for a value of
    the wrong type. What does not fit the columns of the first row is raised with the first row.
    """
    row_iterator = _iterator(rows)
    window = min(whole("window", window), sys.maxsize)
    batch_size = optional_whole("batch_size", batch_size)
    if not isinstance(model, Classifier):
        model = Classifier.load(None if model is None else path("model", model))
    classifier = model
    options = settled(options, classifier.model)
    return _score(
        row_iterator, Answerer(classifier, options, batch_size), text_column, options, window
    )


def _iterator(rows: Any) -> Iterator[Any]:
    """DataError for what is no rows, though it may be gone through: a name, a single row, a
    table."""
    name = type(rows).__name__
    if isinstance(rows, (str, bytes, bytearray, PurePath)):
        raise DataError(
            f"the rows are one {name}, {rows!r:.60}; give a list of texts, or score_files a file"
        )
    if isinstance(rows, Mapping):
        raise DataError(f"the rows are one {name}; give a list of rows, such as [row]")
    # pandas, Polars: going through a table gives the names of its columns.
    if hasattr(rows, "columns") and not isinstance(rows, Iterator):
        raise DataError(f"the rows are a {name}; give its text column, or a list of dicts")
    try:
        return iter(rows)
    except TypeError:
        raise DataError(f"the rows are a {name}; give a list of texts or dicts") from None


def _score(
    rows: Iterator[Any],
    answerer: Answerer,
    text_column: str | None,
    options: ScoreOptions,
    window: int,
) -> Iterator[ScoredRow]:
    added: dict[str, bool] = {}
    key: Any = text_column
    kept: tuple[Any, ...] | None = None  # the keys that are written
    while chunk := list(islice(rows, window)):
        if not added:  # the first rows decide
            names = list(chunk[0]) if isinstance(chunk[0], Mapping) else [text_column or "text"]
            if key is None:
                key = names[find_text_column([str(name) for name in names], None, "the first row")]
            if options.keep is not None:
                kept = _kept(names, options.keep)
            input_columns = tuple(map(str, names if kept is None else kept))
            added = added_columns(input_columns, answerer.labels, options)
        taken = frozenset(added if options.keep is None else ())
        mappings = [dict(row) if isinstance(row, Mapping) else {key: row} for row in chunk]
        texts = [_text_or_reason(row, key, taken) for row in mappings]
        answers = answerer.answers(*zip(*texts))
        for i in answerer.chosen(answers):
            row, answer = mappings[i], [column[i] for column in answers]
            values = row if kept is None else {name: row.get(name) for name in kept}
            columns = dict(zip(added, answer))
            prefix, probabilities = next(iter(added)).removesuffix("label"), None
            if options.all_probabilities and answer[-1] is None:
                probabilities = {
                    label: columns[f"{prefix}probability_{label}"] for label in answerer.labels
                }
            yield ScoredRow(
                own=values if taken.isdisjoint(values) else {RAW_COLUMN: values},
                label=answer[0],
                probability=columns[f"{prefix}probability"],
                probabilities=probabilities,
                status=answer[-2],
                error=answer[-1],
                added=columns,
            )


def _kept(names: list[Any], asked: Sequence[Any]) -> tuple[Any, ...]:
    """Return the keys to write: those asked for, by name or number from 1. DataError where there is
    none, or one is there twice."""
    shown = [str(name) for name in names]
    kept: list[Any] = []
    for name in asked:
        key = name if name in names else names[column_index(shown, str(name), "the first row")]
        if key in kept:
            raise DataError(f"the column {key!r} is in keep twice; name it once")
        kept.append(key)
    return tuple(kept)


def _text_or_reason(
    row: dict[Any, Any], key: Any, taken: frozenset[str]
) -> tuple[str | None, str | None]:
    if not taken.isdisjoint(row):
        name = min(taken.intersection(row))
        return None, f"the row has a key {name!r}, which the first row does not have; rename it"
    text = row.get(key)
    if isinstance(text, str):
        return text, None
    return (
        None,
        f"no {key!r}" if text is None else f"the text is a {type(text).__name__}, not a string",
    )
