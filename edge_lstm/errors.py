"""Every error the package raises on purpose.

EdgeLSTMError                 base class; its text is one line: the problem; the remedy
├── ModelFileError            the file is not a usable model file of this project
│   ├── NotAModelFileError    another kind of file, or another kind of ONNX file
│   ├── DamagedModelFileError cut short or changed after it was written
│   └── NewerFormatError      written by a later version of edge-lstm
├── ProviderError             the execution provider is not in this ONNX Runtime, or failed
├── DataError                 an input file, row or option value cannot be used
├── OutputError               the output cannot be written
├── RequestError              a request to 'edge-lstm serve' gets an error instead of an answer
├── CheckError                a gate (parity, accuracy, batches) failed; nothing was written
└── MissingPackageError       an optional package is needed; the text says how to install it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class EdgeLSTMError(Exception):
    """Base class of all errors of this package. ``str(error)`` is one line for a person."""


class ModelFileError(EdgeLSTMError):
    """The file is not a usable model file of this project."""


class NotAModelFileError(ModelFileError):
    """The file is not an ONNX file, or it is an ONNX file of another project."""


class DamagedModelFileError(ModelFileError):
    """The file was cut short or its bytes were changed after it was written."""


class NewerFormatError(ModelFileError):
    """The file was written in a later format than this version reads."""


class ProviderError(EdgeLSTMError):
    """The installed ONNX Runtime does not have the execution provider, or it failed."""


class DataError(EdgeLSTMError):
    """An input file, one of its rows, or an option's value cannot be used."""


class OutputError(EdgeLSTMError):
    """The output cannot be written."""


class RequestError(EdgeLSTMError):
    """A request to ``edge-lstm serve`` gets an error instead of an answer.

    status: the HTTP status code.
    kind: the type of the error, for programs.
    details: further keys of the JSON that the client gets.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 422,
        kind: str = "invalid_request",
        details: Mapping[str, object] | None = None,
    ) -> None:
        """text: one line, the problem and the remedy."""
        super().__init__(text)
        self.status = status
        self.kind = kind
        self.details = details or {}


class CheckError(EdgeLSTMError):
    """A check of the export failed. Nothing was written.

    It checks agreement with PyTorch, accuracy, and the same answer in every batch.
    """


class MissingPackageError(EdgeLSTMError):
    """An optional package is not installed; the text names the command that installs it."""


def first_line(error: Exception) -> str:
    """Return the first line of another package's error, 200 characters at most.

    An error without a text gives the name of its type.
    """
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Return names, those first that are spelled nearly as one is, in whatever case."""
    return [*dict.fromkeys((*_close(name, names), *names))]


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return the end of an error about a name that there is not: the one that was meant, if any."""
    close = _close(name, names)
    return f"; did you mean {close[0]!r:.80}?" if close else ""


def _close(name: str, names: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    # Of names that differ by case alone, the first.
    folded = {each.casefold(): each for each in reversed(names)}
    return [folded[each] for each in get_close_matches(name.casefold(), folded)]


def read_error(path: object, error: OSError) -> DataError:
    """Return the error for an input file that cannot be read, with advice."""
    return DataError(
        f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
    )
