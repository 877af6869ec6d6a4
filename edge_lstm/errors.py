"""Every error the package raises on purpose.

EdgeLSTMError                 base class: its text is one line, what is wrong; what to do ├──
ModelFileError            the file is not a usable model file of this project │   ├──
NotAModelFileError    another kind of file, or another kind of ONNX file │   ├──
DamagedModelFileError cut short or changed after it was written │   └── NewerFormatError
written by a later version of edge-lstm ├── ProviderError             the execution provider is not
in this ONNX Runtime, or failed ├── DataError                 an input file, row or option value
cannot be used ├── OutputError               the output cannot be written ├── CheckError
a gate (parity, accuracy, batch invariance) failed; nothing was written └── MissingPackageError
an optional package is needed; the text says how to install it
"""


class EdgeLSTMError(Exception):
    """Base class of all errors of this package. ``str(error)`` is one line for a person."""


class ModelFileError(EdgeLSTMError):
    """The file is not a usable model file of this project."""


class NotAModelFileError(ModelFileError):
    """The file is something else: no ONNX file, or an ONNX file of another project."""


class DamagedModelFileError(ModelFileError):
    """The file was cut short or its bytes were changed after it was written."""


class NewerFormatError(ModelFileError):
    """The file was written in a later format than this version reads."""


class ProviderError(EdgeLSTMError):
    """The execution provider is unknown to the installed ONNX Runtime, or could not run the
    model."""


class DataError(EdgeLSTMError):
    """An input file, one of its rows, or an option's value cannot be used."""


class OutputError(EdgeLSTMError):
    """The output cannot be written."""


class CheckError(EdgeLSTMError):
    """A gate failed: parity, accuracy, or the same answer in every batch. Nothing was written."""


class MissingPackageError(EdgeLSTMError):
    """An optional package is not installed; the text names the command that installs it."""


def first_line(error: Exception) -> str:
    """Return the first line of what another package's error says, else its name."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
