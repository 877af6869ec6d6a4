"""What the beginning of an input says: its columns, its dialect, where the text is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables import parquet
from edge_lstm.tables.columns import find_text_column
from edge_lstm.tables.csv import Dialect, sniff, strip_newline
from edge_lstm.tables.sources import Format, Source
from edge_lstm.tables.stream import HEAD_BYTES, Stream
from edge_lstm.tables.values import parse_json

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ReadOptions:
    """How inputs are to be read where it should not be found by itself.

    text_column: name or number (from 1); delimiter, quote: of CSV and TSV ("" for no quotes at all);
    header: whether CSV and TSV files begin with the names of their columns.
    follow_links: whether what symbolic links inside a folder lead to is read.
    label_column: of labelled data, the column that is not the text: name or number.
    """

    text_column: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool = True
    follow_links: bool = False
    label_column: str | None = None


@dataclass(frozen=True)
class Schema:
    """How every record of an input is to be read. Small: it travels to each worker.

    columns: their names; for JSONL the keys of the first rows, in order of appearance.
    text: index of the text column.
    header: the header record as it stands in the file, with a byte order mark if there is one.
    """

    format: Format
    columns: tuple[str, ...]
    text: int
    dialect: Dialect | None = None
    header: bytes | None = None

    @property
    def text_column(self) -> str:
        """The name of the text column."""
        return self.columns[self.text]


def find_schema(source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
    """The schema of an input. ``stream``: its opened stream, None for Parquet and folders.

    Raises DataError.
    """
    if source.format == "folder":
        return Schema("folder", ("path", "text"), 1)
    if source.format == "parquet":
        columns = parquet.columns(source.path)
        text = _text_column(columns, source, options)
        parquet.check_text_column(source.path, text)
        return Schema("parquet", columns, text)
    assert stream is not None
    head = stream.head()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[:200:2].count(0) + head[1:200:2].count(0) > 40:
        hint = f"convert it with: iconv -f UTF-16 -t UTF-8 {source.path}"
        if source.compression:
            hint = "decompress it and look, or convert it with: iconv -f UTF-16 -t UTF-8"
        raise DataError(f"{source.name} is UTF-16 or binary, not UTF-8 text; {hint}")
    if source.format == "text":
        return Schema("text", ("text",), 0)
    if not head.removeprefix(BOM).strip():
        raise DataError(f"{source.name} is empty; {source.format} needs at least its columns")
    if source.format == "jsonl":
        return _jsonl(source, head, options)
    return _csv(source, head, options)


def _text_column(columns: tuple[str, ...], source: Source, options: ReadOptions) -> int:
    return find_text_column(columns, options.text_column, source.name, label=options.label_column)


def same_schema(first: Schema, other: Schema, first_name: str, name: str) -> None:
    """Raises DataError where a further input does not have the columns of the first.

    JSONL objects may differ from row to row, so only their text column must be the same.
    """
    if first.format == "jsonl":
        same = first.text_column == other.text_column
    else:
        same = replace(first, header=None) == replace(other, header=None)
    if not same:
        raise DataError(
            f"{name} does not have the columns of {first_name}, or not its delimiter; "
            "score them in separate runs"
        )


def _csv(source: Source, head: bytes, options: ReadOptions) -> Schema:
    body = head.removeprefix(BOM)
    if b"\n" not in body and b"\r" in body:
        raise DataError(
            f"{source.name} ends its lines in CR alone; convert it with: tr '\\r' '\\n' < {source.path}"
        )
    delimiter = options.delimiter or ("\t" if source.format == "tsv" else None)
    dialect = sniff(body, delimiter, options.quote)
    lines = body.split(b"\n")
    parts: list[bytes] = []
    was_open = False
    for line in lines:
        parts.append(line)
        was_open = dialect.is_open(line, was_open)
        if not was_open:
            break
    if was_open and len(head) >= HEAD_BYTES:
        raise DataError(
            f"{source.name}: the header has a quote that does not close within 1 MiB; "
            'check it, or read without quotes: --quote ""'
        )
    record = strip_newline(b"\n".join(parts))
    names = [value for value, _ in dialect.spans(record)]
    if not options.header:
        columns = tuple(str(i) for i in range(1, len(names) + 1))
        return Schema(source.format, columns, _text_column(columns, source, options), dialect)
    try:
        columns = tuple(name.decode() for name in names)
    except UnicodeDecodeError:
        raise DataError(
            f"{source.name}: its header is not UTF-8; "
            f"convert it with: iconv -f WINDOWS-1252 -t UTF-8 {source.path}"
        ) from None
    text = _text_column(columns, source, options)
    header = (BOM if head.startswith(BOM) else b"") + record
    return Schema(source.format, columns, text, dialect, header)


def _jsonl(source: Source, head: bytes, options: ReadOptions) -> Schema:
    lines = head.removeprefix(BOM).split(b"\n")
    if len(head) >= HEAD_BYTES:
        lines.pop()  # cut by the look, not by the file
    keys: dict[str, None] = {}
    array = lines[0].strip() == b"["  # a whole array over several lines
    for line in lines:
        try:
            row: Any = parse_json(line.decode())
        except (ValueError, RecursionError):
            continue  # a bad row is an error row, not the end of the run
        if isinstance(row, dict):
            keys.update(dict.fromkeys(row))
    if not keys or array:
        array = array or head.lstrip().startswith(b"[")
        hint = f"convert it with: jq -c '.[]' {source.path}" if array else "give one JSON object a line"
        raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
    columns = tuple(keys)
    return Schema("jsonl", columns, _text_column(columns, source, options))
