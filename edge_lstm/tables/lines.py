"""Text: one document per line. Written as text, a row is what was added to it, tab-separated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edge_lstm.tables.format import Added, Format, OutputColumns, Rows, too_long
from edge_lstm.tables.schema import MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import LongLine, check_text

if TYPE_CHECKING:
    from hashlib import _Hash

_BREAKS = re.compile("[\t\r\n]")


class TextFormat(Format):
    """Text files; fastText's, where lines begin with labels."""

    name = "text"
    suffixes = (".txt", ".text", ".ft")
    has_fixed_columns = False

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        check_text(source, stream.head())
        return Schema(self.name, ("text",), 0)

    def rows(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[tuple[Any, int]]:
        """A row is a line without its end, the only field."""
        for piece in stream.pieces(digest):
            if piece is None:
                yield None, 0
            elif isinstance(piece, LongLine):
                yield too_long(piece.size), 0
            else:
                for line in piece.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n"):
                    size = len(line)
                    yield ([line.removesuffix("\r")] if size <= MAX_ROW_BYTES else too_long(size)), size

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """The added columns alone; a tab or a line end in a value becomes a space."""
        lines = [
            "\t".join(["" if value is None else _BREAKS.sub(" ", str(value)) for value in values]) + "\n"
            for values in added
            if values is not None
        ]
        return "".join(lines).encode()


TEXT = TextFormat()
