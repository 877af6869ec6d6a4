"""Fast readers of the rows that programs write.

Each returns exactly the rows of the slow reader of its format, or None if the bytes need that one.
A test compares the two on generated tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.tables.format import Rows
from edge_lstm.tables.schema import MAX_ROW_BYTES, Dialect, Schema
from edge_lstm.tables.values import RowError, json_object, json_text, json_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NEWLINE = ord("\n")
_RETURN = ord("\r")
_QUOTE = ord('"')
_CONTROLS = bytes(range(ord(" ")))
# The pattern of a JSON line takes memory for each escape of a line, so it gets no long lines.
_MAX_JSON_BYTES = 2**20
# The pattern has a part for each key, and compiling it takes time.
_MAX_JSON_KEYS = 64
# Up to this mean size of lines, a pattern finds their keys sooner than a parser.
_SHORT_LINE_BYTES = 500
_JSON_STRING = '[^"]*'
_JSON_STRING_WITH_ESCAPES = r'[^"\\]*(?:\\["\\nrtbf][^"\\]*)*'
_JSON_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"


def csv_row_ends(data: bytes, dialect: Dialect) -> npt.NDArray[np.int64] | None:
    """Return the ends of the rows of CSV, a row whose quote is still open not among them.

    data: whole lines.
    The ends are int64 [rows], counted in bytes from the beginning of ``data``. None if a line is
    blank, a row is too long, or a quote or carriage return is not as ``csv.writer`` writes it.
    """
    import numpy as np

    characters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE)
    # The byte before the first one is, at index -1, the last one: it ends a line, too.
    line_returns = np.count_nonzero(characters[ends - 1] == _RETURN)
    if b"\0" in data or np.count_nonzero(characters == _RETURN) > line_returns:
        return None
    if b'"' in data:
        quotes = np.flatnonzero(characters == _QUOTE)
        # Every other quote opens: it begins a field, or is the second half of a doubled one. The
        # next one closes: it ends a field, or is the first half.
        neighbours = [ord(dialect.delimiter), _NEWLINE, _QUOTE]
        before_opening = characters[quotes[::2] - 1]
        after_closing = characters[quotes[1::2] + 1]
        if not np.isin(before_opening, neighbours).all():
            return None
        if not np.isin(after_closing, [*neighbours, _RETURN]).all():
            return None
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    if not len(ends):
        return None
    sizes = np.diff(ends, prepend=-1)
    # A line of two bytes may be blank, with CR LF.
    if sizes.min() <= 2 or sizes.max() > MAX_ROW_BYTES:
        return None
    return ends + 1


def json_rows(data: bytes, schema: Schema, check_keys: Callable[[Any], None]) -> Rows | None:
    """Return the rows of JSONL whose objects all have the keys of the first.

    data: whole lines. check_keys: see ``Format.parse``.
    None if a line is not as ``json.dumps`` writes it, has a value that is a list or an object, or
    has no text.
    """
    keys = _first_json_keys(data)
    try:
        check_keys(keys)
    except RowError:
        return None
    if schema.text_column not in keys:
        return None
    found = _json_lines(data, keys, schema.text_column)
    if found is None:
        return None
    texts, decoded = found
    lines = decoded[len("{") : -len("}\n")].split("}\n{")
    has_escapes = b"\\" in data
    if has_escapes:
        texts = [json.loads(f'"{text}"') if "\\" in text else text for text in texts]

    def load() -> list[Sequence[Any]]:
        objects = json_value("[{" + "},{".join(lines) + "}]")
        return [[row.get(name) for row in objects] for name in schema.columns]

    return Rows(texts, [None] * len(texts), load, lines)


def json_keys(data: bytes) -> Sequence[str] | None:
    """Return the keys of the first object of JSONL if all others have them, in this order.

    data: whole lines. None as in :func:`json_rows`, and if the lines are long: then it is as soon
    done to read each.
    """
    if len(data) > _SHORT_LINE_BYTES * data.count(b"\n"):
        return None
    keys = _first_json_keys(data)
    return keys if keys and _json_lines(data, keys, None) else None


def _first_json_keys(data: bytes) -> Sequence[str]:
    """Return the keys of the first line, none if it is not an object."""
    first_line = data[: data.find(b"\n")]
    try:
        return [*json_object(first_line.decode("utf-8", "surrogateescape"))]
    except RowError:
        return []


def _json_lines(data: bytes, keys: Sequence[str], text: str | None) -> tuple[list[Any], str] | None:
    """Return the text of each line, as it stands between its quotes, and ``data`` as a string.

    text: its key; None for whole lines.
    None unless each line is an object with these keys, as ``json.dumps`` writes it.
    """
    if len(data) > _MAX_JSON_BYTES or len(keys) > _MAX_JSON_KEYS:
        return None
    # The pattern takes any character in quotes, but JSON has no control characters there.
    if len(data) - len(data.translate(None, _CONTROLS)) > data.count(b"\n"):
        return None
    string = _JSON_STRING_WITH_ESCAPES if b"\\" in data else _JSON_STRING
    values = dict.fromkeys(keys, f'(?:"{string}"|{_JSON_NUMBER}|true|false|null)')
    if text is not None:
        values[text] = f'"({string})"'
    items = [f"{re.escape(json_text(key))}: {value}" for key, value in values.items()]
    line = rf"^\{{{', '.join(items)}\}}\n"
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        return None
    texts = re.compile(line, re.MULTILINE).findall(decoded)
    # A match may span several lines, but then there are fewer matches than lines.
    return (texts, decoded) if len(texts) == data.count(b"\n") else None
