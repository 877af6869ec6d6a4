"""No file with one changed byte is opened, by none of the four that read model files."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import reference

from edge_lstm.errors import ModelFileError
from edge_lstm.modelfile import parse_model
from tests.engine.conftest import ENGINE, Compile, compiled  # noqa: F401
from tests.ports.conftest import Case
from tests.ports.test_javascript import MODULE, NODE, needs_node

# Single bits, and what turns the tag of a metadata entry (0x72) into that of a text which readers skip.
MASKS = (1, 2, 4, 8, 16, 32, 64, 128, 0x72 ^ 0x12, 0x72 ^ 0x1A, 0x72 ^ 0x22, 0x72 ^ 0x2A)
STEPS = [(4999, MASKS[::4]), pytest.param((211, MASKS), marks=pytest.mark.slow)]
KINDS = ("several.fp32.onnx", "several-2.int8.onnx", "tiny.int8.onnx", "unsegmented.fp32.onnx")


def changed_bytes(
    path: Path, tried: tuple[int, tuple[int, ...]], read: Callable[[bytes], object], error: type[Exception]
) -> str:
    """Return what one_byte.mjs prints: the places of files that were opened, and how many were tried."""
    data, (step, masks) = bytearray(path.read_bytes()), tried
    count, opened = 0, []
    for at in range(len(data)):
        for mask in masks if at % step == 0 or at + 100 >= len(data) else ():
            data[at] ^= mask
            count += 1
            with contextlib.suppress(error):
                read(bytes(data))
                opened.append(at)
            data[at] ^= mask
    return " ".join(map(str, [*opened, "of", count]))


def open_in_c(library: ctypes.CDLL, data: bytes) -> None:
    """Open the file with the engine; raise ModelFileError where it does not."""
    error, size = ctypes.c_char_p(), ctypes.c_size_t(len(data))
    needs = library.edge_lstm_needs(data, size, None, ctypes.byref(error))
    memory = ctypes.create_string_buffer(needs if needs < 1 << 26 else 0)
    if not library.edge_lstm_open(
        data, size, None, memory, ctypes.c_size_t(len(memory)), ctypes.byref(error)
    ):
        raise ModelFileError(str(error.value))


@pytest.fixture
def files(cases: list[Case]) -> list[Path]:
    """Files of both text rules, fp32 and int8, of one label per text and of several."""
    found = [case.path for case in cases if case.name in KINDS]
    assert len(found) == len(KINDS)
    return found


@pytest.mark.parametrize("tried", STEPS, ids=["some", "many"])
@pytest.mark.parametrize("reader", ["python", "reference", pytest.param("javascript", marks=needs_node), "c"])
def test_no_file_with_a_changed_byte_is_opened(
    reader: str, tried: tuple[int, tuple[int, ...]], files: list[Path], request: pytest.FixtureRequest
) -> None:
    step, masks = tried
    if reader == "c":
        compile_with: Compile = request.getfixturevalue("compiled")
        source = str(ENGINE / "edge_lstm.c")
        library = ctypes.CDLL(
            str(compile_with("gcc", "-std=c99", "-O2", "-shared", "-fPIC", sources=[source]))
        )
        library.edge_lstm_needs.restype, library.edge_lstm_open.restype = ctypes.c_size_t, ctypes.c_void_p
        open_in_c(library, files[0].read_bytes())
    for path in files:
        if reader == "python":
            told = changed_bytes(path, tried, lambda data: parse_model(data, Path("m.onnx")), ModelFileError)
        elif reader == "reference":
            told = changed_bytes(path, tried, reference.read, reference.ModelError)
        elif reader == "javascript":
            command = [
                NODE,
                Path(__file__).with_name("one_byte.mjs"),
                MODULE,
                path,
                str(step),
                *map(str, masks),
            ]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        else:
            told = changed_bytes(path, tried, lambda data: open_in_c(library, data), ModelFileError)
        assert told.startswith("of "), (path.name, told)
