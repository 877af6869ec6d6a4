"""CSV and TSV: rows are passed on as the bytes they had, the added columns behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.blocks import Lines, Records, split_record
from edge_lstm.tables.dialect import Dialect, sniff
from edge_lstm.tables.format import Encoded, OutputColumns, Refuse, RowWriter
from edge_lstm.tables.lines import LineFormat, check_not_empty, decoded, field
from edge_lstm.tables.records import Rows, RowText
from edge_lstm.tables.schema import BOM, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES
from edge_lstm.tables.values import RowError, json_text


class CsvLines(Lines):
    """Records of one or several lines. A blank line is no row, as for csv.DictReader; in CSV of one column it
    may be one.
    """

    def __init__(self, dialect: Dialect, columns: int) -> None:
        super().__init__(bool if columns > 1 else None)
        self._dialect = dialect
        self.quote = dialect.quote_byte

    def is_open(self, line: bytes, was_open: bool) -> bool:
        """See Lines."""
        return self._dialect.is_open(line, was_open)

    def next_line(self, data: bytes, begin: int) -> int:
        """See Lines."""
        return self._dialect.next_line(data, begin)

    def cut(self, data: bytes, *, whole: bool = True) -> Records:
        """See Lines."""
        if self.quote and self.quote in data:
            return self._rows(*self._dialect.cut(data, whole=whole))
        return super().cut(data, whole=whole)


class CsvFormat(LineFormat):
    """CSV of any delimiter, or with the one that is given."""

    def __init__(self, name: str, suffixes: tuple[str, ...], delimiter: str | None) -> None:
        self.name = name
        self.suffixes = suffixes
        self._delimiter = delimiter

    def schema_of(self, source: Source, head: bytes, options: ReadOptions) -> Schema:
        check_not_empty(source, head)
        body = head.removeprefix(BOM)
        if b"\n" not in body and b"\r" in body:
            raise DataError(
                f"{source.name} ends its lines in CR alone; convert it with: tr '\\r' '\\n' < {source.path}"
            )
        dialect = sniff(body, options.delimiter or self._delimiter, options.quote)
        record, is_open = split_record(body, CsvLines(dialect, 0))
        if is_open and len(head) >= HEAD_BYTES:
            raise DataError(
                f"{source.name}: the header has a quote that does not close within 1 MiB; "
                'check it, or read without quotes: --quote ""'
            )
        names = [value for value, _ in dialect.spans(record)]
        if not options.header:
            columns = tuple(str(i) for i in range(1, len(names) + 1))
            return Schema(self.name, columns, options.find_text(columns, source), dialect)
        try:
            columns = tuple(name.decode() for name in names)
        except UnicodeDecodeError:
            raise DataError(
                f"{source.name}: its header is not UTF-8; "
                f"convert it with: iconv -f WINDOWS-1252 -t UTF-8 {source.path}"
            ) from None
        header = (BOM if head.startswith(BOM) else b"") + record
        return Schema(self.name, columns, options.find_text(columns, source), dialect, header)

    def lines(self, schema: Schema) -> Lines:
        return CsvLines(_dialect(schema), len(schema.columns))

    def texts(
        self, schema: Schema, forbidden: frozenset[str], known: frozenset[str] | None
    ) -> Callable[[Sequence[bytes]], list[RowText]]:
        dialect, columns, text = _dialect(schema), len(schema.columns), schema.text
        delimiter, quote = dialect.delimiter_byte, dialect.quote_byte

        def text_of(record: bytes) -> str:
            fields, is_open = dialect.read(record)
            if is_open:
                raise RowError("a quote opens in this row and never closes")
            if len(fields) != columns:
                raise RowError(
                    f"the row has {len(fields)} column{'s' * (len(fields) != 1)}, the header {columns}"
                )
            return decoded(fields[text])

        match = dialect.field_pattern(columns, text).fullmatch if quote else None

        def texts(records: Sequence[bytes]) -> list[RowText]:
            read = list[RowText]()
            for record in records:
                found = None
                if match is None or quote not in record:
                    fields = record.split(delimiter)
                    if len(fields) == columns:
                        found = fields[text]
                elif regular := match(record):
                    found = regular[1]
                    if found.startswith(quote):
                        found = found[1:-1].replace(quote * 2, quote)
                try:
                    read.append((text_of(record) if found is None else decoded(found), None))
                except RowError as error:
                    read.append((None, str(error)))
            return read

        return texts

    def values_of(self, schema: Schema) -> Callable[[bytes], Sequence[Any]]:
        """What a row has too much stays with its last column."""
        dialect, count = _dialect(schema), len(schema.columns)

        def values_of(record: bytes) -> Sequence[Any]:
            fields, _ = dialect.read(record)
            values: list[bytes | None] = [*fields[:count]]
            if len(fields) > count:
                values[-1] = dialect.delimiter_byte.join(fields[count - 1 :])
            return values + [None] * (count - len(values))

        return values_of

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of CSV may repeat."""
        return tuple(name.encode("utf-8", "replace").decode() for name in columns)

    def taken(self, schema: Schema, columns: Sequence[str]) -> Sequence[str]:
        """Where the input names no columns, nor does the output."""
        return () if schema.dialect is not None and schema.header is None else columns

    def writer(self, columns: OutputColumns) -> CsvWriter:
        is_same = columns.schema.format == self.name
        dialect = _dialect(columns.schema) if is_same else Dialect(self._delimiter or ",")
        return CsvWriter(columns, dialect, is_same=is_same)


class CsvWriter(RowWriter):
    """dialect: of the output. is_same: the input is of this format.

    A row with an error is written anew, in as many columns as the header: the error may be one of its form.
    """

    def __init__(self, columns: OutputColumns, dialect: Dialect, *, is_same: bool) -> None:
        self._columns = columns
        self._dialect = dialect
        self._delimiter = dialect.delimiter_byte
        self._newline = dialect.newline.encode()
        self._passes_on = is_same and columns.kept is None
        self._is_in_numbers = dialect.delimiter in "+-.0123456789e"  # the delimiter
        self._added = Encoded(lambda value: dialect.field(field(value)))
        self.header = self._header()

    def _header(self) -> bytes:
        schema, line = self._columns.schema, self._dialect.line
        if schema.dialect is not None and schema.header is None:
            return b""  # the input names no columns
        own = line(name.encode() for name in self._columns.columns)
        if self._passes_on and schema.header is not None:
            own = schema.header
        added = line(name.encode() for name in self._columns.added)
        return (own + self._delimiter if self._columns.columns else b"") + added + self._newline

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None], refuse: Refuse) -> bytes:
        """See Writer."""
        if not self._passes_on or self._is_in_numbers:
            return super().write(rows, added, refuse)
        written = list[bytes]()
        delimiter, newline, added_fields = self._delimiter, self._newline, self._added
        numbers = self._columns.numbers
        for i, (record, (text, _), values) in enumerate(zip(rows.records, rows.texts, added)):
            if values is not None and text is not None:
                fields = [
                    str(value).encode() if number else added_fields[value]
                    for value, number in zip(values, numbers)
                ]
                written += record, delimiter, delimiter.join(fields), newline
            elif values is not None:
                written.append(self.row(rows, i, values, "replace"))
        return b"".join(written)

    def row(self, rows: Rows, index: int, added: Sequence[Any], errors: str) -> bytes:
        behind = self._delimiter.join([self._added[value] for value in added]) + self._newline
        if self._passes_on and errors == "strict":
            return bytes(rows.records[index]) + self._delimiter + behind
        values = self._columns.pick(rows.values(index))
        if not values:
            return behind
        named = zip(values, self._columns.columns)
        own = self._dialect.line(_as_bytes(value, name, errors) for value, name in named)
        return own + self._delimiter + behind


def _as_bytes(value: Any, name: str, errors: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    if isinstance(value, str):  # numbers of a JSON row too, in their own digits
        return value.encode("utf-8", "replace")
    text = json_text(value, name, errors)
    return (text.strip('"') if isinstance(value, float) else text).encode()  # "NaN"


def _dialect(schema: Schema) -> Dialect:
    assert schema.dialect is not None
    return schema.dialect


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
