"""Standard streams as commands need them: any encoding, closed or not, and nothing that steers a
terminal.

Standard library only: imported by every command, also by those that import nothing else.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, BinaryIO, TextIO, cast

from edge_lstm.errors import DataError, OutputError
from edge_lstm.printable import json_escape

_ESCAPES = "edge-lstm-escapes"


def prepare_streams() -> None:
    """Makes standard output take every text; one that is closed raises OutputError when it is
    written to.

    What the encoding lacks (ASCII, latin-1; a lone surrogate in UTF-8) becomes an escape, and the
    one that JSON has, so that an answer in JSON stays JSON.
    """
    _take_closed_numbers()
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    elif sys.stderr is sys.__stderr__:
        sys.stderr = _forgiving(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error(_ESCAPES, _escaped)
        sys.stdout.reconfigure(errors=_ESCAPES)


def _take_closed_numbers() -> None:
    """Opens /dev/null under the numbers of standard streams that are closed.

    Else the next file that is opened gets the number, and what a library prints ends up in that
    file.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            try:
                os.fstat(number)
            except OSError:
                handle = os.open(os.devnull, os.O_RDWR)
                if handle != number:
                    os.dup2(handle, number)
                    os.close(handle)


def abandon_output() -> None:
    """After an error: drops what standard output cannot take, so that Python's exit does not fail
    too."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def spared_output(outcome: str) -> Iterator[None]:
    """Within the block, drop what standard output cannot take: a long work does not end for want of
    a reader.

    outcome: what the work has made, for the error. Raises OutputError after the block where
    standard output is a full disk; one that is closed, or a pipe that nobody reads, is no error.
    """
    spared = _Spared(sys.stdout)
    try:
        with redirect_stdout(cast("TextIO", spared)):
            yield
            spared.flush()
    finally:
        if spared.error is not None:
            abandon_output()
    if isinstance(spared.error, OSError) and not isinstance(spared.error, BrokenPipeError):
        raise OutputError(f"cannot write standard output: {spared.error.strerror}; {outcome}")


def standard_input(prompt: str) -> BinaryIO:
    """The bytes of standard input. prompt: what a person at a terminal is told. Raise DataError
    where it is closed."""
    if sys.stdin is None:
        raise DataError("standard input is closed; give the text as an argument, or a file with <")
    if sys.stdin.isatty():
        print(prompt, file=sys.stderr)
    return sys.stdin.buffer


def check_text(text: str | None, model: object) -> None:
    """Raises DataError for a model file where a text belongs."""
    # pathlib raises where a text is too long for a path.
    if model is None and text and text.endswith(".onnx") and os.path.isfile(text):  # noqa: PTH113
        raise DataError(f"{text} is a model file, not a text; put -m before it")


def decoded(line: bytes) -> str:
    """The text without its line end; what is not UTF-8 becomes U+FFFD, so that every text is
    answered."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Error handler of an encoding: JSON's escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(json_escape, error.object[error.start : error.end])), error.end


def is_closed(stream: object) -> bool:
    """Whether a standard output prepared here was closed when the process began."""
    return isinstance(stream, _Closed)


class _Closed(io.TextIOBase):
    """What stands for a closed standard output."""

    def write(self, text: str) -> int:
        raise OutputError("standard output is closed; send it to a file or a pipe")


class _Spared:
    """A standard output whose first error is kept, and which takes everything from then on."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.error: OSError | OutputError | None = None

    def write(self, text: str) -> int:
        self._unless_lost(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._unless_lost(self.stream.flush)

    def _unless_lost(self, act: Callable[[], object]) -> None:
        try:
            if self.error is None:
                act()
        except (OSError, OutputError) as error:
            self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Forgiving(io.FileIO):
    """Standard error on a full disk or a closed pipe: what cannot be said is dropped, the work goes
    on."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _forgiving(stream: Any) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Forgiving(2, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
