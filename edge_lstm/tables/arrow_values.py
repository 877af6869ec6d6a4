"""Arrow's columns → Python values that every format can write, whatever their type."""

from __future__ import annotations

import math
from typing import Any

from edge_lstm.tables.values import Number


def plain_values(column: Any) -> list[Any]:
    """A column (chunked, or an array) → for each row what JSON has: None, bool, numbers, str, list, dict.

    float32 is a :class:`Number` in its own shortest digits. What JSON has no form for is text: dates (of any
    year, to the nanosecond), decimals, UUIDs. Bytes stay bytes, and so does a string that is not UTF-8.
    """
    arrow = _pyarrow()
    if isinstance(column, arrow.ChunkedArray):
        return [value for chunk in column.chunks for value in plain_values(chunk)]
    kind, types = column.type, arrow.types
    if isinstance(column, arrow.ExtensionArray):
        if kind.extension_name == "arrow.uuid":
            return [value and str(value) for value in column.to_pylist()]
        return plain_values(column.storage)
    if types.is_dictionary(kind):
        return plain_values(column.dictionary_decode())
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return list(column.to_pylist())
    if types.is_float64(kind):
        return list(column.to_pylist())
    if types.is_floating(kind):
        import numpy as np

        single = np.float32 if types.is_float32(kind) else np.float16
        return [
            value if value is None or not math.isfinite(value) else Number(single(value))
            for value in column.to_pylist()
        ]
    if types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        fields = [plain_values(field) for field in column.flatten()]
        rows = zip(*fields) if fields else [()] * len(column)
        return [dict(zip(names, row)) if valid else None for row, valid in zip(rows, _are_valid(column))]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        lengths = column.value_lengths().to_pylist()
        return _cut(plain_values(column.flatten()), lengths)
    if types.is_map(kind):
        entries = arrow.concat_arrays([column])  # offsets of a slice count from the beginning of the whole
        pairs = zip(plain_values(entries.keys), plain_values(entries.items))
        begins = entries.offsets.to_pylist()
        every, valid = [list(pair) for pair in pairs], _are_valid(entries)
        return [every[i:j] if v else None for i, j, v in zip(begins, begins[1:], valid)]
    return strings(column)


def strings(column: Any) -> list[Any]:
    """Values as Arrow writes them (dates and decimals in their shortest exact form; in UTC where the system
    does not know a time zone); bytes stay bytes, and so does a string that is not UTF-8.
    """
    arrow = _pyarrow()
    kind, types = column.type, arrow.types
    if types.is_dictionary(kind):
        kind, column = kind.value_type, column.cast(kind.value_type)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return list(column.to_pylist())
    try:
        return list(column.cast(arrow.string()).to_pylist())
    except UnicodeDecodeError:  # Arrow does not check what it is given
        return [_decoded(value) for value in column.cast(arrow.binary()).to_pylist()]
    except arrow.ArrowException:
        if types.is_timestamp(kind) and kind.tz not in (None, "UTC"):
            return strings(column.cast(arrow.timestamp(kind.unit, "UTC")))
        return [None if not scalar.is_valid else str(scalar) for scalar in column]


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _are_valid(column: Any) -> list[bool]:
    return list(column.is_valid().to_pylist())


def _cut(values: list[Any], lengths: list[int | None]) -> list[list[Any] | None]:
    """Values of lists, one behind the other → the lists; a length of None is a list that is null."""
    lists = list[Any]()
    begin = 0
    for length in lengths:
        end = begin + (length or 0)
        lists.append(None if length is None else values[begin:end])
        begin = end
    return lists


def _pyarrow() -> Any:
    import pyarrow  # there, or there would be no column

    return pyarrow
