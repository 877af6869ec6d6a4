"""Records with their answers → bytes of the output.

Where input and output are of the same format a record is written as it came, and the added columns are
put behind it: what is not understood is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.scoring.columns import Plan
from edge_lstm.tables import parquet
from edge_lstm.tables.rows import TooLong, values_reader
from edge_lstm.tables.values import json_text, parse_json

if TYPE_CHECKING:
    from edge_lstm.scoring.answers import Answer

Encoder = Callable[[Any, "Answer"], bytes]

RAW_COLUMN = "raw"  # of a JSONL row that is no JSON object: the row as a string


def header(plan: Plan) -> bytes:
    """What stands before the first row."""
    if plan.format not in ("csv", "tsv"):
        return b""
    layout, dialect = plan.layout, plan.dialect
    end = dialect.newline.encode()
    added = dialect.line(name.encode() for name in plan.added)
    if layout.dialect is None:
        own = dialect.line(name.encode() for name in plan.columns)
    elif layout.header is None:
        return b""
    elif plan.kept is None and layout.format == plan.format:
        own = layout.header
    else:
        own = dialect.line(name.encode() for name in plan.columns)
    return own + dialect.delimiter_byte + added + end if own or plan.columns else added + end


def encoder(plan: Plan) -> Encoder:
    """The function that turns a record and its answer into the bytes of its row. It may raise RowError
    where a record cannot be written in the output's format; called again with an error, it does not.
    """
    if plan.format == "text":
        return lambda record, answer: plan.dialect.line(_fields(plan, answer)) + b"\n"
    if plan.format == "jsonl":
        return _json_encoder(plan)
    return _csv_encoder(plan)


def _fields(plan: Plan, answer: Answer) -> list[bytes]:
    """The added columns as text."""
    if answer.probability is None:
        middle = [b""] * (1 + (len(plan.labels) if plan.options.all_probabilities else 0))
    else:
        middle = [str(answer.probability).encode()]
        if answer.probabilities is not None:
            middle += [str(value).encode() for value in answer.probabilities]
    return [(answer.label or "").encode(), *middle, answer.status.encode(), (answer.error or "").encode()]


def _csv_encoder(plan: Plan) -> Encoder:
    dialect, layout = plan.dialect, plan.layout
    delimiter, newline = dialect.delimiter_byte, dialect.newline.encode()
    values_of = values_reader(layout) if layout.format != "parquet" else None
    as_it_came = plan.kept is None and layout.dialect is not None and layout.format == plan.format
    ends = {label: dialect.field(label.encode()) for label in plan.labels}

    def tail(answer: Answer) -> bytes:
        if answer.error is None and answer.label is not None and answer.probabilities is None:
            return b"%b%b%b%b%b%b%b%b" % (
                delimiter,
                ends[answer.label],
                delimiter,
                str(answer.probability).encode(),
                delimiter,
                answer.status.encode(),
                delimiter,
                newline,
            )
        return delimiter + dialect.line(_fields(plan, answer)) + newline

    def converted(record: Any, answer: Answer) -> bytes:
        values = record if values_of is None else values_of(record)
        if plan.kept is not None:
            values = [values[i] for i in plan.kept]
        if not values:
            return tail(answer).removeprefix(delimiter)
        errors = "strict" if answer.error is None else "replace"
        fields = (_as_bytes(value, name, errors) for name, value in zip(plan.columns, values))
        return dialect.line(fields) + tail(answer)

    def passed_on(record: Any, answer: Answer) -> bytes:
        # An error may be one of the record's form: it is written anew, in as many columns as the header.
        if answer.error is None:
            return bytes(record) + tail(answer)
        return converted(record, answer)

    return passed_on if as_it_came else converted


def _as_bytes(value: Any, name: str, errors: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    if isinstance(value, str):  # numbers of a JSON row too, in their own digits
        return value.encode("utf-8", "replace")
    return json_text(value, name, errors).encode()


def _json_encoder(plan: Plan) -> Encoder:
    layout = plan.layout
    added = [json.dumps(name, ensure_ascii=False) for name in plan.added]
    labels: dict[str | None, str] = {label: json.dumps(label, ensure_ascii=False) for label in plan.labels}
    labels[None] = "null"

    def tail(answer: Answer) -> bytes:
        values = [labels[answer.label]]
        if answer.probability is None:
            values += ["null"] * (1 + (len(plan.labels) if plan.options.all_probabilities else 0))
        else:
            values.append(str(answer.probability))
            values += map(str, answer.probabilities if answer.probabilities is not None else ())
        values += [f'"{answer.status}"', json.dumps(answer.error, ensure_ascii=False)]
        return ", ".join(f"{name}: {value}" for name, value in zip(added, values)).encode() + b"}\n"

    def put_behind(row: bytes, answer: Answer) -> bytes:
        inside = row[:-1]
        return inside + (b"" if inside.strip() == b"{" else b", ") + tail(answer)

    if layout.format == "jsonl" and plan.kept is None:

        def passed_on(record: Any, answer: Answer) -> bytes:
            if answer.error is not None:
                record = _as_object(record, plan)
            return put_behind(record.strip(), answer)

        return passed_on

    values_of = values_reader(layout) if layout.format != "parquet" else None

    def converted(record: Any, answer: Answer) -> bytes:
        values = record if values_of is None else values_of(record)
        if plan.kept is not None:
            values = [values[i] for i in plan.kept]
        errors = "strict" if answer.error is None else "replace"
        items = [
            f"{json_text(name, name)}: {json_text(value, name, errors)}"
            for name, value in zip(plan.columns, values)
        ]
        return put_behind(("{" + ", ".join(items) + "}").encode(), answer)

    return converted


def _as_object(record: Any, plan: Plan) -> bytes:
    """A JSONL row with an error → an object that the added columns can be put into."""
    if isinstance(record, TooLong):
        return b"{}"
    try:
        row = parse_json(record.decode())
        if isinstance(row, dict) and row.keys().isdisjoint(plan.added):
            return bytes(record)
    except (ValueError, RecursionError):
        pass
    return json.dumps({RAW_COLUMN: record.decode("utf-8", "replace")}, ensure_ascii=False).encode()


def parquet_values(table: Any, plan: Plan) -> Sequence[Sequence[Any]]:
    """The rows of an Arrow table as values that the encoders write."""
    read = parquet.plain_values if plan.format == "jsonl" else parquet.as_strings
    return list(zip(*map(read, table.columns)))
