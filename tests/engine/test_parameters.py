"""Values of the Python API that cannot be used: the same error from both engines, before any work.

TypeError for a value of the wrong type, which names the parameter; DataError for one out of range.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import (
    Classifier,
    DataError,
    ReadOptions,
    RunOptions,
    ScoreOptions,
    score,
    score_files,
)
from tests.engine.conftest import importable

PROVIDERS = {"onnxruntime": "CPUExecutionProvider", "native": "native"}


class Api:
    """The public functions with an engine; every method takes what may be wrong as keywords."""

    def __init__(self, engine: str) -> None:
        self._provider = PROVIDERS[engine]
        self.load: Callable[..., object] = partial(Classifier.load, engine=engine)
        self.classifier = Classifier.load(engine=engine)

    def from_model(self, **values: Any) -> object:
        return Classifier.from_model(
            **{"model": self.classifier.model, "provider": self._provider, **values}
        )

    def probabilities(self, texts: Any = ("fine",), **values: Any) -> object:
        return self.classifier.probabilities(texts, **values)

    def predict(self, texts: Any = ("fine",), **values: Any) -> object:
        return self.classifier.predict(texts, **values)

    def ids(self, rows: Any = ((1,),), **values: Any) -> object:
        return self.classifier.probabilities_of(rows, **values)

    def top(self, k: Any) -> object:
        return self.classifier.predict(["fine"])[0].top(k)

    def has_labels(self, probabilities: Any) -> object:
        return self.classifier.has_labels(probabilities)

    def score(self, rows: Any = ({"id": 1, "text": "fine"},), **values: Any) -> object:
        return list(score(rows, **{"model": self.classifier, **values}))

    def files(self, inputs: Any = "in.csv", output: Any = "out.csv", **values: Any) -> object:
        return score_files(inputs, output, **{"model": self.classifier, **values})

    def rows_options(self, **values: Any) -> object:
        return self.score(options=ScoreOptions(**values))

    def file_options(self, **values: Any) -> object:
        return self.files(options=ScoreOptions(**values))

    def run_options(self, **values: Any) -> object:
        return self.files(
            model=None, run=RunOptions(**{"provider": self._provider, "workers": 1, **values})
        )

    def read_options(self, **values: Any) -> object:
        return self.files(reading=ReadOptions(**values))


# Parameter → methods that have it; wrong types; values out of range; what can be used.
# fmt: off
TABLE: dict[str, tuple[tuple[str, ...], list[Any], list[Any], list[Any]]] = {
    "threads": (("load", "from_model"), [None, "2", 1.5, True], [0, -1, 1025, 10**30],
                [np.int64(1)]),
    "processes": (("load", "from_model"), [None, "2", 1.5], [0, -1], [np.int64(2)]),
    "provider": (("from_model", "run_options"), [None, 5, ["CPU"]], [], []),
    "arena": (("load", "from_model"), [None, "no", 1], [], [False]),
    "path": (("load",), [5, b"m.onnx", []], ["", "a\0b", "no.onnx"], [None]),
    "batch_size": (("probabilities", "predict", "ids", "score", "run_options"),
                   ["2", 1.5, True, [1]], [0, -1, -(10**30)], [None, 10**30, np.int64(2)]),
    "texts": (("probabilities", "predict"), [None, 5, "fine", b"fine", [1], [None], {"a": "b"}],
              [], [[], (), iter(["fine"])]),
    "rows": (("ids",),
             [None, 5, "ab", [1], ["ab"], [["a"]], [[1.0]], [[math.nan]], [[True]], [[None]],
                        [[[1]]], [[1, [2]]], {1: [1]}],
             [[[-1]], [[2**40]], [[-(2**70)]], [[99_999]], [[1], [2**31]], [[1] * 601]],
             [[], [[]], np.array([[1, 2]]), iter([(1, 2)]), [[15_000] * 600]]),
    "abstain": (("predict", "rows_options", "file_options"), ["x", True, [0.1]],
                [0, 1, -1, math.nan, math.inf, 1e-300], [None, 0.1, np.float32(0.1)]),
    "threshold": (("predict", "rows_options", "file_options"), ["x", True, [0.1]],
                  [-1, 1.5, math.nan, math.inf], [None, 0, 1, np.float32(0.5)]),
    "unfamiliar": (("predict", "rows_options", "file_options"), ["x", True, [0.1]],
                   [0, 1, -1, math.nan, math.inf, 1e-300], [None, 0.1, np.float32(0.1)]),
    "k": (("top",), [None, "1", 1.5, True], [0, -1, 3], [1, 2, np.int64(2)]),
    "top": (("rows_options", "file_options"), [None, "1", 1.5, True], [0, -1, 3],
            [1, 2, np.int64(2)]),
    "probabilities": (("has_labels",), [None, "x", [["a", "b"]], [[1, 2]]],
                      [[0.5, 0.5], [[0.5]], [[0.1, 0.2, 0.7]]],
                      [[[0.5, 0.5]], np.zeros((0, 2), np.float32)]),
    "keep": (("rows_options", "file_options"), [5, 1.5],
             ["id", ("nope",), ("id", "nope"), ("id", "id"), (5,), (None,), ("3",), (["id"],)],
             [None, (), ("text", "id"), ["id"], ("1",)]),
    "only_label": (("rows_options", "file_options"), [None, 5], ["pos", ("nope",), (5,), ([],)],
                   [(), ("pos",), ["neg"]]),
    "windows": (("predict", "rows_options", "file_options"), [None, "x", 1], [], [True]),
    "only_columns": (("rows_options", "file_options"), [5, 1.5],
                     ["id", ("nope",), (5,), (["id"],), ("id", "id")], [None, ("id", "label")]),
    "all_probabilities": (("rows_options", "file_options"), [None, "x", 1], [], [True]),
    "only_abstained": (("rows_options", "file_options"), [None, "x", 1], [True], [False]),
    "window": (("score",), [None, "x", 1.5, True], [0, -1], [1, 10**30, np.int64(2)]),
    "options": (("score", "files"), [None, {}, RunOptions()], [], [ScoreOptions()]),
    "model": (("score", "files"), [5, b"m.onnx", []], ["no.onnx", "a\0b"], []),
    "inputs": (("files",), [None, 5, [5], b"in.csv", [None]],
               [[], "", "no.csv", "a\0b", ["in.csv", "no.csv"]],
               [["in.csv"], Path("in.csv"), ("in.csv", "in.csv")]),
    "output": (("files",), [5, b"out.csv", ["out.csv"]], ["a\0b"], [Path("out.csv")]),
    "format": (("files", "read_options"), [5, b"csv", ["csv"]], ["no", ""], ["csv", None]),
    "run": (("files",), [None, {}, ScoreOptions()], [], [RunOptions(workers=1)]),
    "reading": (("files",), [None, {}, RunOptions()], [], [ReadOptions()]),
    "on_progress": (("files",), [5, "x"], [], [None, print]),
    "workers": (("run_options",), ["2", 1.5, True, [1]], [0, -1], [None, 10**30, np.int64(1)]),
    "chunk_rows": (("run_options",), ["2", 1.5, True, [1]], [0, -5], [None, 10**30, np.int64(2)]),
    "checkpoint_seconds": (("run_options",), ["x", True, [1]], [-1, math.nan], [None, 0, math.inf]),
    "low_memory": (("run_options",), [None, "x", 1], [], [True]),
    "resume": (("run_options",), [None, "x", 1], [], [False]),
    "also_written": (("run_options",), [None, 5, [5]],
                     ["a.json", Path("a.json"), ["a\0b"], ["in.csv"]],
                     [[], ("a.json",)]),
    "text_column": (("read_options",), [5, b"text", ["text"]], ["no", "3", "0"],
                    [None, "text", "2"]),
    "label_column": (("read_options",), [5, b"text", ["text"]], [], [None, "id"]),
    "delimiter": (("read_options",), [5, b",", [","]], ["", "ab", "é", "\n"], [None, ","]),
}
# fmt: on
CASES = [(name, method) for name, (methods, *_) in TABLE.items() for method in methods]


@pytest.fixture(scope="module", params=PROVIDERS)
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    found = nullcontext()
    if request.param == "native":
        found = importable(request.getfixturevalue("installed"))
    with found:
        yield Api(request.param)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("id,text\n1,fine\n2,dull\n")
    return tmp_path


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_value_that_cannot_be_used_is_one_error_before_any_work(
    api: Api, folder: Path, name: str, method: str
) -> None:
    _, wrong, out_of_range, good = TABLE[name]
    for error, values in ((TypeError, wrong), (DataError, out_of_range)):
        for value in values:
            with pytest.raises(error) as caught:
                getattr(api, method)(**{name: value})
            assert type(caught.value) is error and "\n" not in str(caught.value)
            assert error is DataError or str(caught.value).startswith(
                (name, "texts[0]", "rows[0]")
            ), value
            assert [path.name for path in folder.iterdir()] == ["in.csv"]
    for value in good:
        getattr(api, method)(**{name: value})


def test_every_parameter_is_in_the_table() -> None:
    functions = [
        Classifier.load,
        Classifier.predict,
        Classifier.probabilities_of,
        score,
        score_files,
    ]
    given = {name for each in functions for name in inspect.signature(each).parameters} - {"self"}
    options = {
        each.name for kind in (RunOptions, ScoreOptions, ReadOptions) for each in fields(kind)
    }
    # Which engines and addresses there are has tests of its own.
    assert (given | options) - {"engine", "address"} <= TABLE.keys()
