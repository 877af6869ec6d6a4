"""No file with one changed byte is opened, by none of those that read model files."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest
import reference

from edge_lstm.core.modelfile import parse_model
from edge_lstm.errors import ModelFileError
from tests.engine.conftest import ENGINE, Compile, compiled  # noqa: F401
from tests.ports.conftest import Case

# Single bits, and what turns the tag of a metadata entry (0x72) into that of a text which readers
# skip.
MASKS = (1, 2, 4, 8, 16, 32, 64, 128, 0x72 ^ 0x12, 0x72 ^ 0x1A, 0x72 ^ 0x22, 0x72 ^ 0x2A)
STEP = 499  # bytes from one place to the next
# Files of both text rules, fp32 and int8, of one label per text and of several.
KINDS = {
    "multi_label.fp32.onnx",
    "multi_label-2.int8.onnx",
    "tiny.int8.onnx",
    "unsegmented.fp32.onnx",
}


def open_with_c(library: ctypes.CDLL, data: bytes) -> None:
    """Open the file with the engine; raise ModelFileError where it does not."""
    error = ctypes.c_char_p()
    size = ctypes.c_size_t(len(data))
    needs = library.edge_lstm_needs(data, size, None, ctypes.byref(error))
    room = ctypes.c_size_t(needs if needs < 1 << 26 else 0)
    memory = ctypes.create_string_buffer(room.value)
    if not library.edge_lstm_open(data, size, None, memory, room, ctypes.byref(error)):
        raise ModelFileError(str(error.value))


@pytest.fixture
def opens(compiled: Compile) -> dict[str, Callable[[bytes], object]]:  # noqa: F811
    """Reader → what opens a file's bytes, or raises its own error."""
    command = ("gcc", "-std=c99", "-O2", "-shared", "-fPIC")
    library = ctypes.CDLL(str(compiled(*command, sources=[str(ENGINE / "edge_lstm.c")])))
    library.edge_lstm_needs.restype = ctypes.c_size_t
    library.edge_lstm_open.restype = ctypes.c_void_p
    return {
        "python": lambda data: parse_model(data, Path("m.onnx")),
        "reference": reference.read,
        "c": lambda data: open_with_c(library, data),
    }


@pytest.mark.parametrize("reader", ["python", "reference", "c"])
def test_no_file_with_a_changed_byte_is_opened(
    reader: str, cases: list[Case], opens: dict[str, Callable[[bytes], object]]
) -> None:
    paths = [case.path for case in cases if case.name in KINDS]
    assert len(paths) == len(KINDS)
    for path in paths:
        data = bytearray(path.read_bytes())
        opens[reader](bytes(data))  # as it is, it opens
        for at in {*range(0, len(data), STEP), *range(len(data) - 100, len(data))}:
            for mask in MASKS:
                data[at] ^= mask
                with pytest.raises((ModelFileError, reference.ModelError)):
                    opens[reader](bytes(data))
                data[at] ^= mask
