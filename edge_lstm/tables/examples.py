"""Example texts, for people to try: they stand in a model file and on a page."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.printable import CONTROL_CHARACTER
from edge_lstm.tables.lines import TEXT
from edge_lstm.tables.reader import format_of, read_rows
from edge_lstm.tables.schema import ReadOptions

MOST_EXAMPLES = 8
LONGEST_EXAMPLE = 500  # characters


def checked_examples(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that people may try, each once.

    Raises DataError for more than MOST_EXAMPLES of them, and for one that is not a text, blank,
    longer than LONGEST_EXAMPLE characters, not UTF-8, or has a control character (a line end is
    one).
    """
    if isinstance(texts, str):
        raise DataError("the examples are one text; give a list of texts")
    examples = list(islice(texts, MOST_EXAMPLES + 1))
    if len(examples) > MOST_EXAMPLES:
        raise DataError(f"more than {MOST_EXAMPLES} example texts; give {MOST_EXAMPLES} or fewer")
    for number, text in enumerate(examples, 1):
        if reason := _unfit(text):
            raise DataError(f"example text {number} {reason}")
    return tuple(dict.fromkeys(examples))


def _unfit(text: Any) -> str | None:
    """Return why a text cannot be an example, and what to do; None if it can."""
    if not isinstance(text, str):
        return f"is {text!r:.40}; give a string"
    if not text.strip():
        return "is blank; leave it out"
    if len(text) > LONGEST_EXAMPLE:
        return f"has {len(text):,} characters; give at most {LONGEST_EXAMPLE}"
    if CONTROL_CHARACTER.search(text):
        return "has a line end or another control character; write it on one line"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8; write it in UTF-8"
    return None


def read_examples(path: str | Path) -> tuple[str, ...]:
    """Read example texts from a table that ``score`` reads, or from lines.

    A file of another kind has one text per line; blank lines are left out.

    Raises DataError, also for a file without texts; see checked_examples.
    """
    rows = read_rows([path], options=ReadOptions(format=format_of(str(path)) or TEXT.name))
    texts = (text for row in rows if (text := row.required_text()).strip())
    examples = checked_examples(texts)
    if not examples:
        raise DataError(f"{path} holds no text; give a file with one text per line")
    return examples
