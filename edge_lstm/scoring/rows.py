"""Rows in → rows out, for other programs: :func:`score`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.files.columns import find_text_column
from edge_lstm.scoring.answers import Answerer
from edge_lstm.scoring.plan import DEFAULT_CHOICES, Choices, added_columns, check_choices


def score(
    rows: Iterable[str | Mapping[str, Any]],
    *,
    model: str | Path | Classifier | None = None,
    text_column: str | None = None,
    choices: Choices = DEFAULT_CHOICES,
    window: int = 1024,
    batch_size: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Classifies rows as they come: an iterator of rows in, an iterator of rows out, in order.

    rows: texts, or mappings of which one value is the text. Nothing is read before it is needed.
    model: a model file, a loaded Classifier, or None for the embedded model.
    text_column: the key of the text; found by itself in the first row where it is plain.
    window: rows that are read before they are answered; 1 answers each row at once.

    Each row comes back as a dict with its own values (``text`` for a plain text) and label,
    probability, status and error (see Choices for more and for their names). A row whose text is no
    string has status ``error``, or raises DataError with ``on_error="fail"``.

    Raises DataError, ModelFileError (and its kinds) or ProviderError.
    """
    classifier = model if isinstance(model, Classifier) else Classifier.load(model)
    check_choices(choices, classifier.labels)
    if window < 1:
        raise DataError(f"the window must be at least 1 row, not {window}")
    return _score(iter(rows), classifier, text_column, choices, window, batch_size)


def _score(
    rows: Iterator[str | Mapping[str, Any]],
    classifier: Classifier,
    text_column: str | None,
    choices: Choices,
    window: int,
    batch_size: int | None,
) -> Iterator[dict[str, Any]]:
    answerer = Answerer(classifier, choices, batch_size)
    added: tuple[str, ...] | None = None
    key = text_column
    number = 0
    while chunk := list(islice(rows, window)):
        values: list[dict[str, Any]] = []
        for row in chunk:
            if isinstance(row, str):
                values.append({key or "text": row})
            elif isinstance(row, Mapping):
                values.append(dict(row))
            else:
                raise DataError(f"row {number + len(values) + 1} is a {type(row).__name__}; give str or dict")
        if key is None:
            names = [str(name) for name in values[0]]
            key = names[find_text_column(names, None, "the first row")]
        if added is None:
            kept = choices.keep if choices.keep is not None else tuple(map(str, values[0]))
            added = added_columns(kept, classifier.labels, choices)
        read = [_text_or_reason(row.get(key), key) for row in values]
        for row, answer in zip(values, answerer.answers(read)):
            number += 1
            if answer.error is not None and choices.on_error == "fail":
                raise DataError(f"row {number}: {answer.error}; correct it, or use on_error='keep'")
            if not answerer.is_written(answer):
                continue
            own = row if choices.keep is None else {name: row.get(name) for name in choices.keep}
            probability = None if answer.probability is None else float(answer.probability)
            new: list[Any] = [answer.label, probability]
            if choices.all_probabilities:
                each = answer.probabilities
                new += [None] * len(classifier.labels) if each is None else [float(p) for p in each]
            new += [answer.status, answer.error]
            yield {**own, **dict(zip(added, new))}


def _text_or_reason(text: Any, key: str) -> tuple[str | None, str | None]:
    if isinstance(text, str):
        return text, None
    return None, f"no {key!r}" if text is None else f"the text is a {type(text).__name__}, not a string"
