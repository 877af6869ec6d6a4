"""Each allocation of the module and of the command fails once: an error, nothing lost."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.engine.conftest import ENGINE, HERE, PROJECT, SANITIZED, Compile, finished
from tests.model_files import EMBEDDED

SMALL = PROJECT / "tests" / "data" / "keras.int8.onnx"
FAULTY = ["-include", str(HERE / "faulty.h")]
TEXTS = ["a good film", "never again", "", "\ud800"]

# Opens, answers alone and in batches, decides, closes; the n-th allocation fails, for each n until
# the run ends whole.
EACH_ALLOCATION = f"""
import ctypes, gc, sys
import edge_lstm_native as native
from edge_lstm_native import _engine
from tests.model_files import EMBEDDED

library = ctypes.CDLL(_engine.__file__)
faulty_at = ctypes.c_int.in_dll(library, "faulty_at")
faulty_live = ctypes.c_long.in_dll(library, "faulty_live")
data = open(sys.argv[1], "rb").read()
texts = {TEXTS!r}
try:
    import pyarrow
    arrays = [pyarrow.array(texts[:3]), pyarrow.chunked_array([texts[:1], texts[1:3]])]
except ImportError:
    arrays = []

def run():
    model = native.Model(data)
    answers = [model.predict(texts), bytes(model.probabilities(texts * 20)), model.check()]
    answers += [bytes(model.scores(each, 1)) for each in (texts, *arrays)]
    answers += [bytes(model.run(bytes(8), 2)), model.labels, _engine.kernels()]
    strings = _engine.strings(("good",) * 9)
    chances, statuses = model._classify(strings, 0, strings.count, None)
    return [*answers, *model._decide(chances, statuses, 2, 0.5)]

expected = run()
fired = 0
while True:
    gc.collect()
    live = faulty_live.value
    faulty_at.value = fired + 1
    try:
        answers = run()
    except MemoryError:
        answers = None
    is_whole = faulty_at.value > 0
    faulty_at.value = 0
    gc.collect()
    assert faulty_live.value == live, (fired, faulty_live.value - live)
    assert answers == expected or not (is_whole or answers), fired
    if is_whole:
        break
    fired += 1
print(fired)
"""


def test_each_allocation_of_the_module_fails_once(tmp_path: Path) -> None:
    if not shutil.which("gcc") or sys.platform != "linux":
        pytest.skip("no C compiler (gcc), or no Linux")
    asan = finished(["gcc", "-print-file-name=libasan.so"]).stdout.strip()
    include = sysconfig.get_path("include")
    source = ENGINE / "python" / "edge_lstm_native"
    if not Path(include, "Python.h").exists() or not Path(asan).exists():
        pytest.skip("no headers of Python, or no AddressSanitizer")
    package = shutil.copytree(source, tmp_path / source.name)
    files = [str(path) for path in sorted(package.glob("*.c"))]
    library = ["-shared", "-fPIC", "-std=gnu11", "-DFAULTY_MODULE"]
    library += ["-DPy_LIMITED_API=0x030A0000", '-DEDGE_LSTM_VERSION="1.2.3"']
    paths = [f"-I{include}", f"-I{ENGINE}", *files, str(ENGINE / "edge_lstm.c")]
    module = str(package / "_engine.abi3.so")
    command = ["gcc", *library, *SANITIZED, *FAULTY, *paths, "-o", module]
    built = finished(command)
    assert built.returncode == 0, built.stderr
    environment = {
        **os.environ,
        "LD_PRELOAD": asan,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(tmp_path),
    }
    run = finished(
        [sys.executable, "-c", EACH_ALLOCATION, SMALL],
        env=environment,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout) >= 50


def test_each_allocation_of_the_command_fails_once(compiled: Compile) -> None:
    sources = [str(ENGINE / "main.c"), str(ENGINE / "edge_lstm.c")]
    program = compiled("gcc", "-std=gnu99", *SANITIZED, *FAULTY, sources=sources)
    lines = "a good film\n" + "never " * 9000 + "\n"
    for at in range(1, 99):
        run = finished(
            [program, EMBEDDED],
            env={**os.environ, "FAULTY_AT": str(at), "ASAN_OPTIONS": "detect_leaks=0"},
            input=lines,
        )
        if run.returncode == 0:
            break
        assert run.returncode == 1
        assert run.stderr == "error: memory: there is not enough\n"
    assert at >= 6 and run.stdout.count("\n") == 2
