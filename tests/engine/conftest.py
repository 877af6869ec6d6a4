"""Model files of the shapes that presets make, ONNX Runtime's answers, and a program that runs the
engine."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_lstm import Classifier
from tests.commands import finished
from tests.model_files import compact, edited
from tests.ports.conftest import (  # noqa: F401
    LABELS,
    Case,
    Kind,
    case,
    cases,
    damaged,
    export_both,
    made_once,
    tiny,
    trained,
)
from tests.ports.texts import TEXTS, VOCABULARY

PROJECT = Path(__file__).parents[2]
ENGINE = PROJECT / "engine"
HERE = Path(__file__).parent
SOURCES = [str(HERE / "answers.c"), str(ENGINE / "edge_lstm.c")]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wconversion"]
# Without optimization, which would take 12 of 15 seconds of such a build.
SANITIZED = [
    "-O0",
    "-g",
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
]


def _texts() -> list[bytes]:
    """Texts of several scripts, lengths from nothing to more than the limit, and bytes that are no
    UTF-8."""
    rng = random.Random(4)
    made = [
        " ".join(rng.choices(VOCABULARY, k=k)) for k in [*range(1, 20), 64, 599, 600, 601, 1500]
    ]
    texts = [text.encode("utf-8", "surrogatepass") for text in [*TEXTS, *made]]
    return [
        *texts,
        b"\xff\xfe good \xe2\x82 film",
        b"\xf0\x9f\x8e",
        b"good\xc0\xafbad",
        b"\xed\xa0\x80 film",
    ]


RECORDS = _texts()
DECODED = [record.decode("utf-8", "replace") for record in RECORDS]


Bits = npt.NDArray[np.uint32]  # of probabilities, [texts, labels]


@pytest.fixture(scope="session")
def models(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> list[Case]:  # noqa: F811
    """fp32 and int8 files of every kind and of two directions, with ONNX Runtime's answers to
    RECORDS."""
    paths = {each.name: each.path for each in cases if each.name != "embedded"}

    def make(folder: Path) -> None:
        export_both(trained(Kind("base", LABELS)), folder, "both")

    folder = made_once(tmp_path_factory, "both", make)
    paths |= {path.name: path for path in sorted(folder.iterdir())}
    return [case(name, path, DECODED) for name, path in paths.items()]


@pytest.fixture(scope="session")
def strange(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A file with thresholds, texts without lone surrogates, and the status of each with
    unfamiliar=0.05."""
    curve = {
        "data": "",
        "texts": 99,
        "points": [[0.0, 99, 9]],
        "unfamiliar": [[0.01, 1.9], [0.05, 1.1]],
    }
    path = tmp_path_factory.mktemp("strange") / "m.onnx"
    path.write_bytes(edited({"abstention": compact(curve)}))
    texts = [*TEXTS, "A wonderful film.", "the film the film", "dull and long"]
    texts = [" ".join(re.sub("[\ud800-\udfff]", "\ufffd", text).split()) for text in texts]
    statuses = [p.status for p in Classifier.load(path).predict(texts, unfamiliar=0.05)]
    assert {"ok", "unfamiliar", "empty", "unknown_words"} <= {*statuses}
    return path, texts, statuses


Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """A function: compiler, flags and sources → a program, by default ``answers``, compiled once
    each."""
    counted = os.environ.get("EDGE_LSTM_COVERAGE")  # by tools/c_coverage.py
    folder = Path(tempfile.mkdtemp(dir=counted)) if counted else tmp_path_factory.mktemp("engine")
    programs: dict[tuple[str, ...], Path] = {}

    def compile_with(*command: str, sources: list[str] = SOURCES) -> Path:
        tool = command[0]
        if counted and tool == "gcc":
            kept = [part for part in command if not part.startswith(("-O", "-fsan", "-fno-san"))]
            # Without inlining, which copies branches into each caller.
            command = (*kept, "-O0", "--coverage", "-Dalways_inline=", "-Wno-psabi")
        if not shutil.which(tool):
            pytest.skip(NO_COMPILER if tool == "gcc" else f"no {tool}")
        if (key := (*command, *sources)) not in programs:
            programs[key] = folder / f"program{len(programs)}"
            whole = [*command, f"-I{ENGINE}", *sources, "-o", str(programs[key])]
            run = finished(whole)
            assert run.returncode == 0, run.stderr
        return programs[key]

    return compile_with


@pytest.fixture(scope="session")
def program(compiled: Compile) -> list[str]:
    """The program, of this machine's compiler."""
    return [str(compiled("gcc", *STRICT, "-O2"))]


def kernels(program: list[str]) -> list[str]:
    """The kernels that run here, the best first."""
    return finished([*program, "--kernels"], check=True).stdout.split()


def answers(
    program: list[str],
    path: Path,
    kernel: str = "-",
    texts: list[bytes] = RECORDS,
    many: bool = False,
) -> tuple[list[str], list[str], Bits]:
    """(statuses, ids and the bits of how unfamiliar they are, bits) of a program."""
    records = b"".join(b"%d\n" % len(text) + text for text in texts)
    command = [*program, str(path), kernel, "many" if many else "one"]
    run = subprocess.run(command, input=records, capture_output=True)
    assert run.returncode == 0 and not run.stderr, run.stderr.decode()[:2000]
    rows = [line.split("\t") for line in run.stdout.decode().split("\n")[:-1]]
    bits = np.array([[int(word, 16) for word in row[2:]] for row in rows], np.uint32)
    return [row[0] for row in rows], [row[1] for row in rows], bits


NO_COMPILER = "no C compiler (gcc)"
PIP_WHEEL = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]


def zig() -> list[str]:
    """The command of zig's C compiler, as the package ziglang or by itself; none where there is
    neither."""
    if shutil.which("zig"):
        return ["zig", "cc"]
    run = subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True)
    return [sys.executable, "-m", "ziglang", "cc"] if run.returncode == 0 else []


MOST_BYTES = 400_000  # of the wheel


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Within the block, this process imports the native module from a folder, and none before."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("edge_lstm_native")]:
            del sys.modules[name]

    forget()
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    forget()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module, from a wheel that pip built of engine/python."""
    if not any(map(shutil.which, ("cc", "gcc", "clang", "cl"))):
        pytest.skip(NO_COMPILER)
    return made_once(tmp_path_factory, "wheel", build_wheel) / "installed"


def build_wheel(folder: Path) -> None:
    """Build the module's wheel, and unpack it in ``installed``."""
    # Newer compilers refuse a function that no header declares.
    environment = {**os.environ, "CFLAGS": "-Werror=implicit-function-declaration"}
    line = [*PIP_WHEEL, "-w", folder, PROJECT / "engine" / "python"]
    run = finished(line, env=environment)
    if "No module named" in run.stderr:
        pytest.skip("no pip or no setuptools")
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,) = folder.glob("*.whl")
    assert "-cp310-abi3-" in wheel.name and wheel.stat().st_size <= MOST_BYTES
    with zipfile.ZipFile(wheel) as file:
        metadata = next(name for name in file.namelist() if name.endswith("METADATA"))
        assert b"Requires-Dist" not in file.read(metadata)
        file.extractall(folder / "installed")
