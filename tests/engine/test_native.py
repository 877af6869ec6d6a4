"""edge-lstm-native: the engine as a Python module, built here and used without anything else
installed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import Classifier
from tests.cases import rows
from tests.engine.conftest import DECODED, answers
from tests.ports.conftest import Case


def python(installed: Path, code: str, *arguments: object, told: bytes = b"") -> str:
    """What a Python that sees the module, and no other package, prints."""
    run = subprocess.run(
        [sys.executable, "-S", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(installed)},
        input=told,
        capture_output=True,
    )
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout.decode()


READ = "import sys, json, edge_lstm_native as e; "
READ += "m = e.Model(sys.argv[1]); texts = json.load(sys.stdin); "


def test_it_gives_the_engines_bits_and_the_labels_of_predict(
    installed: Path, program: list[str], models: list[Case]
) -> None:
    code = READ + "print(json.dumps([bytes(m.probabilities(texts)).hex(), m.predict(texts)]))"
    for model in models:
        out = python(installed, code, model.path, told=json.dumps(DECODED).encode())
        told, answered = json.loads(out)
        bits = np.frombuffer(bytes.fromhex(told), np.uint32).reshape(len(DECODED), -1)
        assert (bits == answers(program, model.path)[2]).all(), model.name
        expected = Classifier.load(model.path).predict(DECODED, batch_size=1)
        for (label, probability, status), answer in zip(answered, expected, strict=True):
            assert (tuple(label) if isinstance(label, list) else (label,)) == answer.labels
            assert status == answer.status and abs(probability - answer.probability) <= 1e-6


def test_the_buffer_is_numpys_without_a_copy(
    installed: Path, models: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed)
    model = importlib.import_module("edge_lstm_native").Model(models[0].path.read_bytes())
    view = model.probabilities(["good", "bad", "never"])
    array = np.asarray(view)
    assert array.shape == (3, len(model.labels)) and array.dtype == np.float32
    assert np.shares_memory(array, np.frombuffer(view, np.float32))
    wrong, rows, worst = model.check()
    assert wrong == 0 and rows > 0 and worst <= 1e-3
    assert np.asarray(model.probabilities([])).size == 0


def test_the_same_texts_are_unfamiliar(
    installed: Path, strange: tuple[Path, list[str], list[str]]
) -> None:
    path, texts, expected = strange
    code = READ + "print(json.dumps([row[2] for row in m.predict(texts, unfamiliar=0.05)]))"
    assert json.loads(python(installed, code, path, told=json.dumps(texts).encode())) == expected


def test_scores_are_those_of_probabilities_from_lists_and_arrow(
    installed: Path, models: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow = pytest.importorskip("pyarrow")
    monkeypatch.syspath_prepend(installed)
    model = importlib.import_module("edge_lstm_native").Model(models[1].path.read_bytes())
    texts = [text[:500] for text in DECODED] * 9
    expected = np.asarray(model.probabilities(texts))
    arrays = [arrow.array(texts, kind()) for kind in (arrow.string, arrow.large_string)]
    arrays += [arrow.chunked_array([texts[:5], [], texts[5:]]), texts]
    if hasattr(arrow, "string_view"):
        arrays.append(arrow.array(texts, arrow.string_view()))
    for array in arrays:
        for threads in (1, 2, 7):
            assert (np.asarray(model.scores(array, threads)) == expected).all()
    assert (np.asarray(model.scores(arrays[0][3:9])) == expected[3:9]).all()
    for one_missing in (["good", None], arrow.array(["good", None])):
        rows = np.asarray(model.scores(one_missing))
        assert (np.isnan(rows).all(axis=1) == [False, True]).all()
    assert np.asarray(model.scores(arrow.array([], arrow.string()))).size == 0
    assert [label for label, _, _ in model.predict([None])] == [None]
    assert (np.asarray(model.scores(["\ud800"])) == model.scores(["\ufffd"])).all()
    with pytest.raises(TypeError, match="the Arrow type is l, not a string"):
        model.scores(arrow.array([1]))


THREADS = """
texts = texts * 3
expected = bytes(m.probabilities(texts))
import os, threading
wrong = []
def run():
    for _ in range(5):
        if bytes(m.probabilities(texts)) != expected: wrong.append(1)
threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
if os.fork() == 0:
    os._exit(bytes(m.probabilities(texts)) != expected)
print(len(wrong), os.wait()[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_threads_share_a_model_and_a_fork_keeps_it(installed: Path, models: list[Case]) -> None:
    texts = json.dumps([text[:500] for text in DECODED]).encode()
    assert python(installed, READ + THREADS, models[1].path, told=texts) == "0 0\n"


WRONG = """
m.predict('text') | TypeError: texts is one string; give a list of them
m.predict(['a', 1]) | TypeError: texts[1] is no string
e.Model(5) | TypeError: expected str, bytes or os.PathLike object, not int
e.Model('none') | FileNotFoundError: [Errno 2] No such file or directory: 'none'
m.scores('text') | TypeError: texts is one string; give a list of them
m.scores(['a', 1]) | TypeError: texts[1] is no string
m.scores(['a'], 0) | ValueError: threads is 0; give 1 or more
m.predict(['a'], unfamiliar=5) | ValueError: the file has no threshold for this share
m.predict(['a'], unfamiliar='5') | TypeError: must be real number, not str
e.Model(b'noise') | ValueError: not a model file
e.Model(sys.argv[1], kernel='altivec') | ValueError: this machine has no such kernel
"""


@pytest.mark.parametrize(("call", "error"), rows(WRONG))
def test_wrong_arguments(installed: Path, models: list[Case], call: str, error: str) -> None:
    code = "import sys, edge_lstm_native as e; m = e.Model(sys.argv[1])\n"
    code += f"try: {call}\nexcept Exception as x: print(type(x).__name__, x, sep=': ')"
    assert python(installed, code, models[0].path).startswith(error)


def test_lines_of_standard_input(installed: Path, models: list[Case]) -> None:
    lines = b"A wonderful film.\r\n\nnever \xff again \xed\xa0\x80\nno end"
    command = [sys.executable, "-m", "edge_lstm_native"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    run = subprocess.run(
        [*command, models[0].path], input=lines, capture_output=True, env=environment
    )
    rows = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert [row[2] for row in rows][1] == "empty" and len(rows) == 4 and not run.stderr
    run = subprocess.run([*command, "none"], input=lines, capture_output=True, env=environment)
    assert (run.returncode, run.stdout) == (1, b"") and run.stderr.count(b"\n") == 1
    assert subprocess.run(command, capture_output=True, env=environment).returncode == 2
