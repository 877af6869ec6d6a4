"""Model files of the shapes that presets make, ONNX Runtime's answers, and a program that runs the engine."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_lstm import Classifier
from tests.ports.conftest import KINDS, LABELS, Kind, damaged, tiny, trained  # noqa: F401
from tests.ports.texts import TEXTS, VOCABULARY

PROJECT = Path(__file__).parents[2]
ENGINE, HERE = PROJECT / "engine", Path(__file__).parent
SOURCES = [str(HERE / "answers.c"), str(ENGINE / "edge_lstm.c")]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wconversion"]
SANITIZED = ["-O1", "-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
SHAPES = {
    **KINDS,
    "two directions": Kind({"preset": "base"}, LABELS),
    "three labels": Kind({"preset": "small"}, ["a", "b", "c"]),
}


def _texts() -> list[bytes]:
    """Texts of several scripts, lengths from nothing to more than the limit, and bytes that are no UTF-8."""
    rng = random.Random(4)
    made = [" ".join(rng.choices(VOCABULARY, k=k)) for k in [*range(1, 20), 64, 599, 600, 601, 1500]]
    texts = [text.encode("utf-8", "surrogatepass") for text in [*TEXTS, *made]]
    return [*texts, b"\xff\xfe good \xe2\x82 film", b"\xf0\x9f\x8e", b"good\xc0\xafbad", b"\xed\xa0\x80 film"]


RECORDS = _texts()

Bits = npt.NDArray[np.uint32]  # of probabilities, [texts, labels]


@dataclass(frozen=True)
class Model:
    """A model file and what ONNX Runtime answers to RECORDS; probabilities: [texts, labels]."""

    name: str
    path: Path
    statuses: list[str]
    probabilities: npt.NDArray[np.float32]


def described(name: str, path: Path) -> Model:
    """The file with ONNX Runtime's answers, one text at a time."""
    classifier = Classifier.load(path)
    predictions = classifier.predict([text.decode("utf-8", "replace") for text in RECORDS], batch_size=1)
    return Model(
        name,
        path,
        [str(prediction.status) for prediction in predictions],
        np.array([[*prediction.probabilities.values()] for prediction in predictions], np.float32),
    )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """fp32 and int8 files of every shape."""
    folder, files = tmp_path_factory.mktemp("models"), []
    for name, kind in SHAPES.items():
        classifier = trained(kind)
        for precision in ("fp32", "int8"):
            path = folder / f"{name.replace(' ', '-')}.{precision}.onnx"
            classifier.export(path, quantize="int8" if precision == "int8" else None)
            files.append(described(path.name, path))
    return files


Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """A function: compiler, flags and sources → a program, by default ``answers``, compiled once each."""
    folder = tmp_path_factory.mktemp("engine")
    programs: dict[tuple[str, ...], Path] = {}

    def compile_with(*command: str, sources: list[str] = SOURCES) -> Path:
        tool = command[0]
        if not shutil.which(tool):
            pytest.skip(f"no {tool}")
        if (key := (*command, *sources)) not in programs:
            programs[key] = folder / f"program{len(programs)}"
            whole = [*command, f"-I{ENGINE}", *sources, "-o", str(programs[key])]
            run = subprocess.run(whole, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
        return programs[key]

    return compile_with


@pytest.fixture(scope="session")
def program(compiled: Compile) -> list[str]:
    """The program, of this machine's compiler."""
    return [str(compiled("gcc", *STRICT, "-O2"))]


def kernels(program: list[str]) -> list[str]:
    """The kernels that run here, the best first."""
    return subprocess.run([*program, "--kernels"], capture_output=True, text=True, check=True).stdout.split()


def answers(
    program: list[str], path: Path, kernel: str = "-", texts: list[bytes] = RECORDS, many: bool = False
) -> tuple[list[str], list[str], Bits]:
    """(statuses, ids, bits) of a program."""
    records = b"".join(b"%d\n" % len(text) + text for text in texts)
    command = [*program, str(path), kernel, "many" if many else "one"]
    run = subprocess.run(command, input=records, capture_output=True)
    assert run.returncode == 0 and not run.stderr, run.stderr.decode()[:2000]
    rows = [line.split("\t") for line in run.stdout.decode().split("\n")[:-1]]
    bits = np.array([[int(word, 16) for word in row[2:]] for row in rows], np.uint32)
    return [row[0] for row in rows], [row[1] for row in rows], bits


def zig() -> list[str]:
    """The command of zig's C compiler, as the package ziglang or by itself; none where there is neither."""
    if shutil.which("zig"):
        return ["zig", "cc"]
    run = subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True)
    return [sys.executable, "-m", "ziglang", "cc"] if run.returncode == 0 else []
