"""Values of the Python API that cannot be used: the same error from both engines, before any work.

TypeError for a value of the wrong type, which names the parameter; DataError for one out of range.
"""

from __future__ import annotations

import inspect
import json
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
    OnnxRuntime,
    Policy,
    ReadOptions,
    RunOptions,
    ScoreOptions,
    score_files,
)
from tests.cases import rows
from tests.engine.conftest import importable

FILES: dict[str, Any] = {"inputs": "in.csv", "output": "out.csv"}
ENGINES = ("onnxruntime", "native")


def calls(engine: str) -> dict[str, Callable[..., object]]:
    """The public functions with an engine; each takes what may be wrong as keywords."""
    model = Classifier.load(engine=engine)
    texts = {"texts": ["fine"]}
    files = partial(score_files, **FILES, model=model)
    run = {"engine": engine, "workers": 1}
    return {
        "load": partial(Classifier.load, engine=engine),
        "classifier": partial(Classifier, model=model.model),
        "onnx_runtime": OnnxRuntime,
        "probabilities": partial(model.probabilities, **texts),
        "predict": partial(model.predict, **texts),
        "ids": partial(model.probabilities_of, rows=[[1]]),
        "top": model.predict(["fine"])[0].top,
        "classify": partial(model.classify, **texts),
        "policy": partial(Policy.of, model.model),
        "files": files,
        "file_options": lambda **values: files(options=ScoreOptions(**values)),
        "run_options": lambda **values: score_files(**FILES, run=RunOptions(**{**run, **values})),
        "read_options": lambda **values: files(reading=ReadOptions(**values)),
    }


# Parameter, methods that have it, wrong types, values out of range, and what can be used: as JSON.
VALUES = r"""
threads | onnx_runtime | [null, "2", 1.5, true] | [0, -1, 1025, 1000000000000] | [1]
processes | onnx_runtime | [null, "2", 1.5] | [0, -1] | [2]
engine | load run_options | [5, ["CPU"]] | ["tvm", "onnxruntime:"] | []
engine | classifier | [null, "native"] | [] | []
provider | onnx_runtime | [null, 5, ["CPU"]] | [] | ["cpu"]
path | load | [5, []] | ["", "a\\u0000b", "no.onnx"] | [null]
batch_size | classify probabilities predict ids
    | ["2", 1.5, true, [1]] | [0, -1] | [null, 1000000000000000000000000000000]
texts | probabilities predict | [null, 5, "fine", [1], [null], {"a": "b"}] | [] | [[]]
rows | ids
    | [null,5,"ab",[1],["ab"],[["a"]],[[1.0]],[[NaN]],[[true]],[[null]],[[[1]]],[[1,[2]]],{"1":[1]}]
    | [[[-1]], [[1099511627776]], [[99999]], [[1], [2147483648]]] | [[], [[]]]
abstain | policy predict file_options | ["x", true, [0.1]]
    | [0, 1, -1, NaN, Infinity, 1e-300] | [null, 0.1]
threshold | policy predict file_options | ["x", true, [0.1]]
    | [-1, 1.5, NaN, Infinity] | [null, 0, 1, 0.5]
unfamiliar | policy predict file_options | ["x", true, [0.1]]
    | [0, 1, -1, NaN, Infinity, 1e-300] | [null, 0.1]
k | top | [null, "1", 1.5, true] | [0, -1, 3] | [1, 2]
top | policy file_options | [null, "1", 1.5, true] | [0, -1, 3] | [1, 2]
texts | classify | [null, 5, "fine", [1], {"a": "b"}] | [] | [[], [null]]
policy | classify | [5, "x", {}] | [] | [null]
windows | policy predict file_options | [null, "x", 1] | [] | [true]
only_columns | file_options | [5, 1.5]
    | ["id", ["nope"], [5], [["id"]], ["id", "id"]] | [null, ["id", "label"]]
all_probabilities | file_options | [null, "x", 1] | [] | [true]
options | files | [null, {}] | [] | []
model | files | [5, []] | ["no.onnx", "a\\u0000b"] | []
inputs | files | [null, 5, [5], [null]]
    | [[], "", "no.csv", "a\\u0000b", ["in.csv", "no.csv"]] | [["in.csv"]]
output | files | [5, ["out.csv"]] | ["a\\u0000b"] | []
format | files read_options | [5, ["csv"]] | ["no", ""] | ["csv", null]
run | files | [null, {}] | [] | []
reading | files | [null, {}] | [] | []
on_progress | files | [5, "x"] | [] | [null]
workers | run_options | ["2", 1.5, true, [1]] | [0, -1] | [null, 1000000000000]
chunk_rows | run_options | ["2", 1.5, true, [1]] | [0, -5] | [null, 1000000000000]
checkpoint_seconds | run_options | ["x", true, [1]] | [-1, NaN] | [null, 0, Infinity]
resume | run_options | [null, "x", 1] | [] | [false]
text_column | read_options | [5, ["text"]] | ["no", "3", "0"] | [null, "text", "2"]
fields | read_options | [5] | ["id", ["no"], [5]] | [null, [], ["text"], ["text", "id"]]
label_column | read_options | [5, ["text"]] | [] | [null, "id"]
encoding | read_options | [5, ["utf-8"]]
    | ["no","","rot13","zip","idna","punycode","unicode_escape","utf-7","undefined","a\\u0000b"]
    | [null, "cp1252"]
"""
# What JSON cannot say.
BYTES = [b"fine"]
MORE: dict[str, tuple[list[Any], list[Any], list[Any]]] = {
    "path": (BYTES, [], []),
    "texts": (BYTES, [], [(), iter(["fine"])]),
    "rows": (
        [],
        [[[-(2**70)]], [[1] * 601]],
        [np.array([[1, 2]]), iter([(1, 2)]), [[15_000] * 600]],
    ),
    "options": ([RunOptions()], [], [ScoreOptions()]),
    "model": (BYTES, [], []),
    "inputs": (BYTES, [], [Path("in.csv"), ("in.csv", "in.csv")]),
    "output": (BYTES, [], [Path("out.csv")]),
    "run": ([ScoreOptions()], [], [RunOptions(workers=1)]),
    "reading": ([RunOptions()], [], [ReadOptions()]),
    "on_progress": ([], [], [print]),
}
TABLE = {
    name: (methods.split(), *map(json.loads, values)) for name, methods, *values in rows(VALUES)
}
for name, more in MORE.items():
    for values, others in zip(TABLE[name][1:], more):
        values.extend(others)
for *_, good in TABLE.values():
    good += [np.int64(value) for value in good if type(value) is int and value < 2**62]
    good += [np.float32(value) for value in good if type(value) is float]
CASES = [(name, method) for name, (methods, *_) in TABLE.items() for method in methods]


@pytest.fixture(scope="module", params=ENGINES)
def api(request: pytest.FixtureRequest) -> Iterator[dict[str, Callable[..., object]]]:
    found = nullcontext()
    if request.param == "native":
        found = importable(request.getfixturevalue("installed"))
    with found:
        yield calls(request.param)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("id,text\n1,fine\n2,dull\n")
    return tmp_path


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_value_that_cannot_be_used_is_one_error_before_any_work(
    api: dict[str, Callable[..., object]], folder: Path, name: str, method: str
) -> None:
    _, wrong, out_of_range, good = TABLE[name]
    for error, values in ((TypeError, wrong), (DataError, out_of_range)):
        for value in values:
            with pytest.raises(error) as caught:
                api[method](**{name: value})
            assert type(caught.value) is error and "\n" not in str(caught.value)
            assert error is DataError or str(caught.value).startswith(
                (name, "texts[0]", "rows[0]")
            ), value
            assert [path.name for path in folder.iterdir()] == ["in.csv"]
    for value in good:
        api[method](**{name: value})


def test_every_parameter_is_in_the_table() -> None:
    functions = [
        Classifier.load,
        Classifier.predict,
        Classifier.probabilities_of,
        score_files,
        OnnxRuntime,
    ]
    given = {name for each in functions for name in inspect.signature(each).parameters} - {"self"}
    options = {
        each.name for kind in (RunOptions, ScoreOptions, ReadOptions) for each in fields(kind)
    }
    # Which engines and addresses there are has tests of its own.
    assert (given | options) - {"engine", "address"} <= TABLE.keys()
