"""Hostile uses of the Python API: threads, forks, pickles, many texts, strings of other
libraries."""

from __future__ import annotations

import copy
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import finished

import edge_lstm
from edge_lstm import Classifier, ModelFileError, OnnxRuntime

CLASSIFIER = Classifier.load()
TEXTS = ["A wonderful, moving film.", "Dull, and far too long.", "", "qwxyzzy", "fine " * 700] * 5
ANSWERS = CLASSIFIER.probabilities(TEXTS)


def test_eight_threads_on_one_classifier() -> None:
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: CLASSIFIER.probabilities(TEXTS), range(16)):
            assert np.array_equal(answers, ANSWERS)


def test_a_forked_process_answers_the_same() -> None:
    classifier = Classifier.load(engine=OnnxRuntime(threads=2))
    classifier.predict(TEXTS)
    pid = os.fork()
    if pid == 0:  # no exception may leave the child: it would run the rest of the tests
        try:
            os._exit(0 if np.array_equal(classifier.probabilities(TEXTS), ANSWERS) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_pickled_classifier_answers_the_same_and_a_changed_one_is_refused() -> None:
    classifier = Classifier.load(engine=OnnxRuntime(threads=2))
    pickled = pickle.dumps(classifier)
    for again in (pickle.loads(pickled), copy.deepcopy(classifier)):
        assert again.engine.threads == classifier.engine.threads
        assert np.array_equal(again.probabilities(TEXTS), ANSWERS)
    with pytest.raises(edge_lstm.DamagedModelFileError):
        pickle.loads(pickled.replace(b'["neg","pos"]', b'["pos","neg"]'))


def test_texts_of_any_sequence() -> None:
    for texts in (
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        list(map(np.str_, TEXTS)),
    ):
        assert np.array_equal(CLASSIFIER.probabilities(texts), ANSWERS)
    assert len(CLASSIFIER.predict(iter(TEXTS))) == len(TEXTS)


@pytest.mark.parametrize("ask", [CLASSIFIER.predict, CLASSIFIER.probabilities])
@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (SimpleNamespace(columns=["text"]), "give a column"),  # a data frame of any library
        (["fine", None], r"texts\[1\] must be a string, not NoneType"),
        (np.array([["fine"]]), "not ndarray"),
    ],
)
def test_what_is_no_sequence_of_strings_is_a_clear_error(texts: Any, says: str, ask: Any) -> None:
    with pytest.raises(TypeError, match=says):
        ask(texts)


@pytest.mark.parametrize(
    "answers", [[[np.nan, 0.5]], [[0.5, np.nan]], [[-1, 2]], [[np.inf, 0]], [[1.0]], [1.0, 0.0]]
)
def test_what_is_no_probability_is_an_error_and_no_answer(answers: Any) -> None:
    class Engine(OnnxRuntime):
        def open(self, model: object) -> Any:
            return SimpleNamespace(run=lambda ids: np.array(answers, dtype=np.float32))

    with pytest.raises(ModelFileError, match="not probabilities"):
        Classifier(CLASSIFIER.model, Engine()).predict(["x"])


# Four daemon threads that predict when the interpreter ends.
DAEMONS = """
import atexit, os, threading
import edge_lstm
from edge_lstm import Classifier, OnnxRuntime

classifier = Classifier.load(engine=OnnxRuntime(threads={threads}))
answered = threading.Semaphore(0)

def work():
    while True:
        {work}
        answered.release()

def start():
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    for _ in range(8):
        answered.acquire()
"""
PREDICT = "classifier.predict(['A wonderful film.' * 20] * 16)"


def ended(code: str, threads: int = 1, work: str = PREDICT) -> tuple[int, str]:
    """(exit code, what was said) of a program."""
    program = DAEMONS.format(threads=threads, work=work) + code
    # Python 3.12 and later warn of a fork beside threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = finished(command, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("threads", "work"), [(1, PREDICT), (2, PREDICT), (1, "Classifier.load().predict(['fine'])")]
)
def test_a_program_ends_while_daemon_threads_predict(threads: int, work: str) -> None:
    for _ in range(2):
        assert ended("start()", threads, work) == (0, "")


def test_so_does_a_forked_one() -> None:
    fork = "start(); pid = os.fork(); pid and print(os.waitpid(pid, 0)[1])"
    assert ended(fork) == (0, "0\n")
    # No thread may be inside ONNX Runtime at the fork: its locks would stay shut in the child.
    fork = "pid = os.fork(); pid or start(); pid and print(os.waitpid(pid, 0)[1])"
    assert ended(fork) == (0, "0\n")


def test_what_a_program_does_at_its_end_may_predict_and_wait_for_threads_that_do() -> None:
    code = """
one = threading.Thread(target=lambda: (go.wait(), print(classifier.predict(["fine"])[0].label)),
                       daemon=True)
go = threading.Event()
one.start()
atexit.register(lambda: (go.set(), one.join(), print(classifier.predict(["fine"])[0].label)))
"""
    assert ended(code) == (0, "pos\npos\n")


def test_a_thread_that_predicts_too_late_is_told_and_keeps_nobody_waiting() -> None:
    code = """
from edge_lstm.system import ending
ending.LATE_SECONDS = 0.01
late = threading.Thread(target=lambda: classifier.predict(["fine"]), daemon=True)
edge_lstm._end()
late.start()
late.join()
"""
    code_, said = ended(code)
    assert code_ == 0 and "the interpreter is ending; join the threads" in said
