"""Standard streams for commands: any encoding, open, closed or full.

Standard library only, since every command imports this module.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, BinaryIO, TextIO, cast

from edge_lstm.errors import OutputError
from edge_lstm.printable import json_escape, printable

_ESCAPES = "edge-lstm-escapes"


def prepare_streams() -> None:
    """Make standard output take every text; a closed one is an OutputError.

    Characters that the encoding lacks (ASCII, latin-1; a lone surrogate in UTF-8) become escapes of
    JSON, so that an answer in JSON stays JSON.
    """
    is_closed = sys.stdout is None
    # In their order, so that each gets its own number: prints of a library would end up in a file
    # that got it instead.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    if is_closed:
        raise OutputError("standard output is closed; send it to a file, a pipe or /dev/null")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lossy(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error(_ESCAPES, _escaped)
        sys.stdout.reconfigure(errors=_ESCAPES)


def abandon_output() -> None:
    """Drop the rest of standard output if it cannot be written.

    Called after an error, so that Python's exit does not fail, too.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def spared_output(outcome: str) -> Iterator[None]:
    """Keep failures of standard output from ending the work of the block.

    outcome: the result of the work, for the error.

    Raise OutputError after the block if standard output goes to a full disk. A pipe without a
    reader raises nothing.
    """
    spared = _LossyOutput(sys.stdout)
    try:
        with redirect_stdout(cast("TextIO", spared)):
            yield
            spared.flush()
    finally:
        if spared.error is not None:
            abandon_output()
    if spared.error is not None and not isinstance(spared.error, BrokenPipeError):
        raise OutputError(f"cannot write standard output: {spared.error.strerror}; {outcome}")


def standard_input(prompt: str) -> BinaryIO:
    """Return the bytes of standard input.

    prompt: shown to a person at a terminal.
    """
    if sys.stdin.isatty():
        print(prompt, file=sys.stderr)
    return sys.stdin.buffer


def say(*lines: str) -> None:
    """Print lines on standard error."""
    print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)


def say_what_is_a_file(texts: Collection[str]) -> None:
    """Say on standard error which of the texts of a command is the name of a file.

    It is read as a text all the same, as any other.
    """
    # os.path.isfile() is False for a text that is too long for a path; pathlib raises.
    if path := next((text for text in texts if os.path.isfile(text)), None):  # noqa: PTH113
        say(
            f"note: {path} is a file, but its name is read as the text; "
            f"'edge-lstm score {path}' reads what is in it"
        )


def decoded(line: bytes) -> str:
    """Return the text of a line, without the line end.

    Bytes that are not UTF-8 become U+FFFD, so that every text is answered.
    """
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Replace characters by JSON's escapes; an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(json_escape, error.object[error.start : error.end])), error.end


class _LossyOutput:
    """A standard output that keeps its first error.

    After the error it drops everything.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        self._unless_lost(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._unless_lost(self.stream.flush)

    def _unless_lost(self, act: Callable[[], object]) -> None:
        try:
            if self.error is None:
                act()
        except OSError as error:
            self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _LossyFile(io.FileIO):
    """A file that drops bytes it cannot write.

    So the work goes on if standard error is a full disk or a closed pipe.
    """

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _lossy(stream: Any) -> TextIO:
    """Return a standard error that drops text it cannot write."""
    return io.TextIOWrapper(
        io.BufferedWriter(_LossyFile(2, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
