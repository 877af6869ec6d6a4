"""The values of rows, as text and as JSON.

Strings of files that are bytes (all formats but JSONL) have a surrogate, U+DC80 to U+DCFF, for each
byte that is not UTF-8, as Python's ``surrogateescape`` makes it. So the same bytes can be written
again.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable
from itertools import compress, count
from json.scanner import make_scanner
from operator import ne
from typing import Any

from edge_lstm.checked import depth
from edge_lstm.printable import Number, Pairs, counted, json_text

# Lists and objects may be nested this deep. The code that walks through them is recursive, and
# Python's stack is finite.
MAX_DEPTH = 200
NULL_TEXT = "the text is null"  # the reason why a row has no text
BAD_BYTE = "(byte 0x"  # part of the reason if bytes of a row are not in the file's encoding
# It follows a byte that is not in the encoding of a file that is not UTF-8.
OTHER_ENCODING = "\udcfd\udcfe"
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"


class RowError(Exception):
    """A row without a usable text, or one that cannot be written; the message says why."""


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)
_Scan = Callable[[str, int], tuple[Any, int]]
_scan: _Scan = make_scanner(_DECODER)  # type: ignore[arg-type]
# As json.loads on one line, without its checks: the value and its end.
scan_json: _Scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]
_KINDS = {
    bool: "true or false",
    Number: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def json_value(text: str) -> Any:
    """Return the value of JSON, its numbers as :class:`Number`.

    Raises ValueError if the text is not JSON, RecursionError if it is nested too deep.
    """
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except StopIteration:
        pass
    # The decoder skips the spaces around a value, and its errors describe the text.
    return _DECODER.decode(text)


def json_object(line: str, read: Callable[[str], Any] = json_value) -> Any:
    """Return the object that a line of JSON holds, its numbers as :class:`Number`.

    read: parses the line.

    Raises RowError if the line holds something else, is nested too deep or is not UTF-8.
    """
    where = utf8_error(line)
    if where:
        raise RowError(f"the row {where}")
    try:
        row = read(line)
    except RecursionError:
        raise RowError(_TOO_DEEP) from None
    except ValueError as error:
        raise RowError(f"the row is not JSON: {error}") from None
    # Counting brackets is fast, and few lines have enough of them.
    if line.count("{") + line.count("[") > MAX_DEPTH and depth(row) > MAX_DEPTH:
        raise RowError(_TOO_DEEP)
    if not isinstance(row, (dict, Pairs)):
        raise RowError(f"the row is {kind_of(row)}, not an object")
    return row


def kind_of(value: Any) -> str:
    """Return what a message calls a value of JSON."""
    return _KINDS.get(type(value), "null")


def float32_texts(values: Iterable[float]) -> list[str]:
    """Return float32 values as text, in the shortest digits that tell them apart.

    The digits are as ``str(numpy.float32(value))`` has them. NaN becomes an empty text.
    """
    numbers = [*values]
    texts = [*map("%.7g".__mod__, numbers)]
    for longer in ("%.8g", "%.9g"):
        read = array("f", map(float, texts))
        for i in compress(count(), map(ne, read, numbers)):
            texts[i] = longer % numbers[i]
    for i, number in enumerate(numbers):
        # Elsewhere, seven digits may be more than it takes, or a whole number has no point.
        if not 0.001 <= number < 1:
            texts[i] = _shortest(number)
    return texts


def _shortest(number: float) -> str:
    """Return the digits of any float32."""
    if math.isnan(number):
        return ""
    if number.is_integer():
        return repr(number)
    texts = (f"{number:.{digits}g}" for digits in range(6, 10))
    return next(text for text in texts if array("f", [float(text)])[0] == number)


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell: a string as it is, None as an empty one, else JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    text = json_text(value)
    # A cell needs no quotes around NaN.
    return text.strip('"') if isinstance(value, float) else text


def utf8_error(text: str) -> str | None:
    """Return the fault of a file's text, with its first byte; None if it is UTF-8.

    The position is counted in bytes of UTF-8.
    """
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = f"{BAD_BYTE}{ord(text[error.start]) - 0xDC00:02x}"
        if OTHER_ENCODING in text[error.start :][:3]:
            before = counted(error.start, "character")
            return f"is not in the file's encoding {byte} after {before})"
        return f"is not UTF-8 {byte} at position {len(text[: error.start].encode())})"
    return None


def refuse_bytes(texts: list[str | None], reasons: list[str | None]) -> None:
    """Replace each text of a file that is not UTF-8 by None, and its reason by that."""
    # One look at all texts: files with such bytes are rare.
    if not utf8_error("".join(filter(None, texts))):
        return
    for i, text in enumerate(texts):
        where = utf8_error(text or "")
        if where:
            texts[i] = None
            reasons[i] = f"the text {where}"


def replaced(text: str) -> str:
    """Return a text of a file with U+FFFD for the bytes that are not UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
