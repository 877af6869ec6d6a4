"""Text: a document a line; and what CSV, TSV and JSONL share with it.

Written as text, a row is what was added to it, tab-separated.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.blocks import Block, Content, Lines, Position, line_blocks
from edge_lstm.tables.dialect import Dialect
from edge_lstm.tables.format import Format, OutputColumns, RowWriter
from edge_lstm.tables.records import Row, Rows, RowText, TooLong
from edge_lstm.tables.schema import BOM, ReadOptions, Schema, Source
from edge_lstm.tables.stream import MAX_ROW_BYTES, Stream
from edge_lstm.tables.values import RowError

FASTTEXT_PREFIX = "__label__"
_TABS = Dialect("\t", quote="")

# Why a row of bytes has no text, and else its text.
TextOf = Callable[[bytes], str]


class LineFormat(Format):
    """A format in which a row is a line, or a few."""

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        """See Format."""
        assert stream is not None
        head = stream.head()
        if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[:200:2].count(0) + head[1:200:2].count(0) > 40:
            hint = f"convert it with: iconv -f UTF-16 -t UTF-8 {source.path}"
            if source.compression:
                hint = "decompress it and look, or convert it with: iconv -f UTF-16 -t UTF-8"
            raise DataError(f"{source.name} is UTF-16 or binary, not UTF-8 text; {hint}")
        return self.schema_of(source, head, options)

    @abstractmethod
    def schema_of(self, source: Source, head: bytes, options: ReadOptions) -> Schema:
        """What the first MiB of an input says. Raises DataError."""

    def lines(self, schema: Schema) -> Lines:
        """Where records end."""
        return Lines()

    def blocks(
        self, source: Source, stream: Stream | None, schema: Schema, start: Position, rows: int, size: int
    ) -> Iterator[Block]:
        """See Format."""
        assert stream is not None
        has_header = schema.header is not None
        return line_blocks(stream, self.lines(schema), start, rows, size, has_header=has_header)

    def reader(
        self, schema: Schema, *, forbidden: frozenset[str] = frozenset(), known: frozenset[str] | None = None
    ) -> Callable[[Content], Rows]:
        """See Format."""
        lines = self.lines(schema)
        texts = self.texts(schema, forbidden, known)
        values_of = self.values_of(schema)
        nothing = [None] * len(schema.columns)

        def read(content: Content) -> Rows:
            if isinstance(content, bytes):
                records = lines.cut(content).records
                return Rows(records, texts(records), values_of)
            reasons: list[RowText] = [
                (None, f"the row has {record.size:,} bytes, more than {MAX_ROW_BYTES // 2**20} MiB")
                for record in content
                if isinstance(record, TooLong)
            ]
            return Rows(content, reasons, lambda _: nothing)

        return read

    @abstractmethod
    def texts(
        self, schema: Schema, forbidden: frozenset[str], known: frozenset[str] | None
    ) -> Callable[[Sequence[bytes]], list[RowText]]:
        """The function that takes records to their texts."""

    @abstractmethod
    def values_of(self, schema: Schema) -> Callable[[bytes], Sequence[Any]]:
        """The function that takes a record to the values of its columns (see Rows.values)."""


def each(text_of: TextOf) -> Callable[[Sequence[bytes]], list[RowText]]:
    """A function of one record, which may raise RowError → one of all records of a block."""

    def texts(records: Sequence[bytes]) -> list[RowText]:
        return [text_or_reason(text_of, record) for record in records]

    return texts


def text_or_reason(text_of: TextOf, record: bytes) -> RowText:
    """The text of a record, or why it has none."""
    try:
        return text_of(record), None
    except RowError as error:
        return None, str(error)


def decoded(data: bytes, what: str = "text") -> str:
    """Bytes as UTF-8. Raises RowError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            f"the {what} is not UTF-8 (byte 0x{data[error.start]:02x} at position {error.start})"
        ) from None


def check_not_empty(source: Source, head: bytes) -> None:
    """DataError where there is nothing in an input."""
    if not head.removeprefix(BOM).strip():
        raise DataError(f"{source.name} is empty; {source.format} needs at least its columns")


class TextFormat(LineFormat):
    """Text files."""

    name = "text"
    suffixes = (".txt", ".text", ".ft")
    has_fixed_columns = False
    has_labels = True
    lacking_label = f"the line does not begin with {FASTTEXT_PREFIX}NAME; a text file needs it on every line"

    def schema_of(self, source: Source, head: bytes, options: ReadOptions) -> Schema:
        return Schema(self.name, ("text",), 0)

    def texts(
        self, schema: Schema, forbidden: frozenset[str], known: frozenset[str] | None
    ) -> Callable[[Sequence[bytes]], list[RowText]]:
        return each(decoded)

    def values_of(self, schema: Schema) -> Callable[[bytes], Sequence[Any]]:
        return lambda record: (record,)

    def labels(self, row: Row) -> tuple[str, tuple[str, ...]] | None:
        """Of a line of fastText: ``__label__x text``, or several labels before the text."""
        names, rest = [], row.required_text().lstrip()
        while rest.startswith(FASTTEXT_PREFIX):
            first, _, rest = rest.partition(" ")
            name = first.removeprefix(FASTTEXT_PREFIX)
            if not name:
                raise DataError(f"{row.source} row {row.number}: {FASTTEXT_PREFIX} without a name; name it")
            names.append(name)
            if rest.lstrip().startswith(FASTTEXT_PREFIX):
                rest = rest.lstrip()
        return rest, tuple(names)

    def writer(self, columns: OutputColumns) -> RowWriter:
        return TextWriter()


class TextWriter(RowWriter):
    """The added columns alone."""

    def row(self, rows: Rows, index: int, added: Sequence[Any], errors: str) -> bytes:
        return _TABS.line(map(field, added)) + b"\n"


def field(value: Any) -> bytes:
    """An added value as the text of a field."""
    return b"" if value is None else str(value).encode("utf-8", "replace")


TEXT = TextFormat()
