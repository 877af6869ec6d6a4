"""The encoding of a file: UTF-8, UTF-16 with a mark, or the one that is named.

The other modules see UTF-8 alone.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from contextlib import suppress

from edge_lstm.errors import DataError
from edge_lstm.printable import counted
from edge_lstm.tables.compression import COMMANDS, MAGIC
from edge_lstm.tables.schema import Source
from edge_lstm.tables.values import OTHER_ENCODING, utf8_error

_UTF_8 = "utf-8"
_ZIP = b"PK\x03\x04"
_MARKED = "edge-lstm-marked"
NAME_IT = "name the file's encoding with --encoding, such as cp1252"


class Utf8:
    """The bytes of a file, piece by piece, as UTF-8.

    A byte that cannot be decoded becomes bytes that are not UTF-8, so that its row is a bad one.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first = b""
        self._decode: Callable[[bytes, bool], bytes] | None = None

    def convert(self, data: bytes) -> bytes:
        """Return what the next bytes of the file give, perhaps nothing yet.

        data: empty at the end of the file.
        """
        is_last = not data
        if self._decode is None:
            data = self._first + data
            # The first byte of a mark does not tell yet.
            if not is_last and len(data) == 1 and data in b"\xff\xfe":
                self._first = data
                return b""
            self._decode = self._decoder(data)
        return self._decode(data, is_last)

    def _decoder(self, first: bytes) -> Callable[[bytes, bool], bytes]:
        """Return a function of bytes and whether they are the last ones. first: of the file."""
        name = self._source.encoding
        if not name and first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            name = "utf-16"
        if codecs.lookup(name or _UTF_8).name == _UTF_8:
            return lambda data, _: data
        decoder = codecs.getincrementaldecoder(name)(_MARKED)
        return lambda data, is_last: decoder.decode(data, is_last).encode(_UTF_8, "surrogateescape")


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be decoded by its first byte beyond ASCII and OTHER_ENCODING.

    It is an error handler of codecs.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    failed = error.object[error.start : error.end]
    byte = next((each for each in failed if each >= 0x80), None)
    shown = "" if byte is None else chr(0xDC00 + byte)
    return shown + OTHER_ENCODING, error.end


codecs.register_error(_MARKED, _marked)


def check_compression(source: Source, data: bytes) -> None:
    """Check that the first bytes of an input are neither compressed nor an archive.

    Raises DataError.
    """
    if data.startswith(_ZIP):
        raise DataError(
            f"{source.name} is a zip archive, as Excel's .xlsx is; in Excel, save as CSV UTF-8"
        )
    for magic, compression in MAGIC.items():
        if data.startswith(magic):
            raise DataError(
                f"{source.name} is compressed ({compression}), and its suffix does not say it; "
                f"give it the suffix, or send it through: {COMMANDS[compression]} FILE |"
            )


def check_text(source: Source, head: bytes) -> None:
    """Check that the beginning of an input, as Utf8 gives it, is text.

    A few lines that are not UTF-8 are bad rows, not the end of the run.

    Raises DataError that names the option for another encoding.
    """
    sample = head[:200]
    newline = head.find(b"\n")
    pair = head[newline - newline % 2 :][:2]
    if pair in (b"\n\0", b"\0\n") or sample.count(0) > max(3, len(sample) // 5):
        # In a character of ASCII, the first or the second byte is zero.
        order = "be" if sample[::2].count(0) > sample[1::2].count(0) else "le"
        raise DataError(
            f"{source.name} is binary, or UTF-16 without a mark; "
            f"look into it, or name its encoding: --encoding utf-16-{order}"
        )
    with suppress(UnicodeDecodeError):
        # It may end within a character.
        codecs.getincrementaldecoder(_UTF_8)().decode(head)
        return
    lines = head.decode(_UTF_8, "surrogateescape").split("\n")
    lines = lines[:-1] or lines  # the last one may be cut within a character
    bad = {i: where for i, line in enumerate(lines, 1) if (where := utf8_error(line))}
    valid = sum(not line.isascii() for line in lines) - len(bad)
    # A file is in another encoding as a whole if more of its lines than these are not UTF-8, and
    # more than this multiple of the lines beyond ASCII that are. Fewer are bad rows.
    most = max(1, 0.01 * len(lines), 10 * valid)
    if len(bad) > most:
        first, where = next(iter(bad.items()))
        share = f"{len(bad):,} of the first {counted(len(lines), 'line')}"
        raise DataError(f"{source.name} line {first} {where}, like {share}; {NAME_IT}")
