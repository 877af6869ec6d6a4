"""The encoding of a file that is not UTF-8, and the command that converts it.

The page that classifies (live_page/page.html) refuses the same files.
"""

from __future__ import annotations

import codecs
import re
import shlex
from contextlib import suppress
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.tables.compression import COMMANDS, MAGIC, SUFFIXES
from edge_lstm.tables.schema import BOM, STDIN, Source

# Excel writes CSV in it in western Europe and America. Latin-1 is a part of it.
WESTERN = "WINDOWS-1252"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZIP = b"PK\x03\x04"
_SAMPLE_BYTES = 200
# A file is in another encoding if at least this number of its lines, this share of its lines, and
# this multiple of the valid lines beyond ASCII are not UTF-8. Fewer are bad rows.
_FEWEST_LINES = 2
_LEAST_SHARE = 0.01
_LEAST_TO_VALID = 10
# The largest share of bytes beyond ASCII in lines of a western language, short ones too.
_MOST_WESTERN = 0.4
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# With fewer bytes beyond ASCII, lines in an unknown encoding may as well be no text at all.
_FEWEST_LETTERS = 16
# Bytes that WINDOWS-1252 does not use, or uses for a sign that is rare in texts.
_RARE = re.compile(
    rb"[\x81\x83\x86-\x88\x8d\x8f\x90\x98\x9d\xa4\xa6\xa8\xac\xad\xaf\xb8\xd7\xf7\xff]"
)
_MOST_RARE = 0.1  # the largest share of such bytes among the bytes beyond ASCII
_IN_WORD = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def check_text(source: Source, head: bytes) -> None:
    """Check that the beginning of an input is text in UTF-8.

    A few lines that are not UTF-8 are bad rows, not the end of the run.

    Raises DataError with the likely encoding and the command that converts it.
    """
    if head.startswith(_ZIP):
        raise DataError(
            f"{source.name} is a zip archive, as Excel's .xlsx is; in Excel, save as CSV UTF-8"
        )
    for magic, compression in MAGIC.items():
        if head.startswith(magic):
            raise DataError(_compressed(source, compression))
    sample = head[:_SAMPLE_BYTES]
    if head.startswith(_UTF_16_MARKS) or sample.count(0) > max(3, len(sample) // 5):
        raise DataError(_not_8_bit(source, head))
    encoding = None if head.startswith(BOM) else _of_lines(head)
    if encoding is not None:
        how = f"convert it with: {conversion(source, encoding or 'ENCODING')}"
        what = f" but probably {encoding}; {how}"
        if not encoding:
            what = f"; find its encoding (WINDOWS-1251, SHIFT_JIS or GB18030, …) and {how}"
        raise DataError(f"{source.name} is not UTF-8{what}")


def _compressed(source: Source, compression: str) -> str:
    """Return the error for a file that is compressed although its name does not say so."""
    suffix = next(suffix for suffix, name in SUFFIXES.items() if name == compression)
    hint = f"name it {source.path}{suffix}, or decompress it"
    if source.compression:
        hint = "decompress it once"
    if source.path == STDIN:
        hint = f"decompress it with: {COMMANDS[compression]} FILE | edge-lstm …"
    twice = "twice " if source.compression else ""
    return f"{source.name} is {twice}compressed ({compression}); {hint}"


def conversion(source: Source, encoding: str) -> str:
    """Return the command that converts an input from an encoding to UTF-8."""
    convert = f"iconv -f {encoding} -t UTF-8"
    if source.path == STDIN:
        return convert
    path = Path(source.path)
    if source.compression:
        plain = path.with_suffix("")
        target = plain.with_suffix(f".utf8{plain.suffix}")
        decompress = f"{COMMANDS[source.compression]} {shlex.quote(source.path)}"
        return f"{decompress} | {convert} > {shlex.quote(str(target))}"
    target = path.with_suffix(f".utf8{path.suffix}")
    return f"{convert} {shlex.quote(source.path)} > {shlex.quote(str(target))}"


def _not_8_bit(source: Source, head: bytes) -> str:
    """Return the error for a file with many zero bytes, or a mark of UTF-16."""
    encoding = _wide_encoding(head)
    if encoding is None:
        how = conversion(source, "UTF-16")
        look = "decompress it and look" if source.compression else "look into it"
        return (
            f"{source.name} is UTF-16 or binary, not UTF-8 text; {look}, or convert it with: {how}"
        )
    return (
        f"{source.name} is {encoding}, not UTF-8; convert it with: {conversion(source, encoding)}"
    )


def _wide_encoding(head: bytes) -> str | None:
    """Return UTF-16 or UTF-32, or None if it is neither.

    The name has the order of the bytes if no mark says it.
    """
    sample = head[:_SAMPLE_BYTES]
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    encoding = "UTF-16"
    # In a character of ASCII, the first or the second byte is zero.
    if not head.startswith(_UTF_16_MARKS):
        encoding = "UTF-16BE" if sample[::2].count(0) > sample[1::2].count(0) else "UTF-16LE"
    # The sample may end within a character.
    text = sample.decode(encoding, "replace").rstrip("\ufffd")
    is_text = all(c.isprintable() or c.isspace() for c in text)
    return encoding if is_text else None


def _of_lines(head: bytes) -> str | None:
    """Return the encoding of lines, or None if all but a few are UTF-8.

    An unknown encoding has an empty name.
    """
    with suppress(UnicodeDecodeError):
        # It may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(head)
        return None
    bad: list[bytes] = []
    valid = 0
    lines = head.split(b"\n")
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode()
            valid += 1
        except UnicodeDecodeError:
            bad.append(line)
    # The last line may be cut within a character, so it may be bad in any file.
    if len(bad) < max(_FEWEST_LINES, _LEAST_SHARE * len(lines), _LEAST_TO_VALID * valid):
        return None
    text = b"\n".join(bad)
    beyond_ascii = len(_BEYOND_ASCII.findall(text))
    if _CONTROL.search(text):
        return None
    rare = len(_RARE.findall(text))
    in_words = sum(_IN_WORD.search(line) is not None for line in bad)
    is_western = beyond_ascii <= _MOST_WESTERN * len(text) and rare <= _MOST_RARE * beyond_ascii
    if is_western and 2 * in_words > len(bad):
        return WESTERN
    return "" if beyond_ascii >= _FEWEST_LETTERS else None
