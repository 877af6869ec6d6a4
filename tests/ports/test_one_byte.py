"""No file with one changed byte is opened, by none of the four that read model files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edge_lstm.errors import ModelFileError
from edge_lstm.modelfile import parse_model
from tests.ports.conftest import Case
from tests.ports.test_c import Compile, compiled  # noqa: F401
from tests.ports.test_javascript import MODULE, NODE, needs_node
from tests.ports.test_reference import reference  # noqa: F401

# Single bits, and what turns the tag of a metadata entry (0x72) into that of a text which readers skip.
MASKS = (1, 2, 4, 8, 16, 32, 64, 128, 0x72 ^ 0x12, 0x72 ^ 0x1A, 0x72 ^ 0x22, 0x72 ^ 0x2A)
STEPS = [1499, pytest.param(53, marks=pytest.mark.slow)]
KINDS = ("several.fp32.onnx", "several-2.int8.onnx", "tiny.int8.onnx", "unsegmented.fp32.onnx")


def changed_bytes(path: Path, step: int, opens: Callable[[bytes], bool]) -> str:
    """What one_byte.c prints: the places of files that were opened, and how many were tried."""
    data = bytearray(path.read_bytes())
    tried, opened = 0, []
    for at in range(len(data)):
        for mask in MASKS if at % step == 0 or at + 200 >= len(data) else ():
            data[at] ^= mask
            tried += 1
            if opens(bytes(data)):
                opened.append(at)
            data[at] ^= mask
    return " ".join(map(str, [*opened, "of", tried]))


def opens(read: Callable[[bytes], object], error: type[Exception]) -> Callable[[bytes], bool]:
    def is_opened(data: bytes) -> bool:
        try:
            read(data)
        except error:
            return False
        return True

    return is_opened


def told(*command: object) -> str:
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.fixture
def files(cases: list[Case]) -> list[Path]:
    """Files of both text rules, fp32 and int8, of one label a text and of several."""
    found = [case.path for case in cases if case.name in KINDS]
    assert len(found) == len(KINDS)
    return found


@pytest.mark.parametrize("step", STEPS)
def test_python_opens_no_file_with_a_changed_byte(files: list[Path], step: int) -> None:
    for path in files:
        said = changed_bytes(
            path, step, opens(lambda data: parse_model(data, Path("m.onnx")), ModelFileError)
        )
        assert said.startswith("of "), (path.name, said)


@pytest.mark.parametrize("step", STEPS)
def test_the_reference_opens_no_file_with_a_changed_byte(
    files: list[Path],
    step: int,
    reference: ModuleType,  # noqa: F811
) -> None:
    for path in files:
        said = changed_bytes(path, step, opens(reference.read, reference.ModelError))
        assert said.startswith("of "), (path.name, said)


@needs_node
@pytest.mark.parametrize("step", STEPS)
def test_javascript_opens_no_file_with_a_changed_byte(files: list[Path], step: int) -> None:
    for path in files:
        said = told(NODE, Path(__file__).with_name("one_byte.mjs"), MODULE, path, step, *MASKS)
        assert said.startswith("of "), (path.name, said)


@pytest.mark.parametrize("step", STEPS)
def test_c_opens_no_file_with_a_changed_byte(
    files: list[Path],
    step: int,
    compiled: Compile,  # noqa: F811
) -> None:
    folder = MODULE.parents[1] / "c"
    main = str(Path(__file__).with_name("one_byte.c"))
    program = compiled("gcc", "-O2", f"-I{folder}", main=main)
    for path in files:
        said = told(program, path, step, *MASKS)
        assert said.startswith("of "), (path.name, said)
