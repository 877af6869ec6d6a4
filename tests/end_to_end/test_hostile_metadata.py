"""Model files of a right digest with odd values in their metadata: an answer or one line, no
traceback."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_lstm import Classifier, EdgeLSTMError
from edge_lstm.core.modelfile import ModelFile, embedded_model, open_model, parse_model
from edge_lstm.describe import describe, model_card, overview
from edge_lstm.explain import explain
from edge_lstm.live_page import build_page
from edge_lstm.printable import to_json
from tests.model_files import DATA, SMALL, compact, edited, multi_label

TEXT = "A wonderful, moving film."
ODD = ["x", {}, [], None, True, -1, 0, 0.5, 10**12, 10**400, 1e308, -1e308]
ODD += [[[[]]], {"a": {"b": []}}, [1, "x"]]
CURVE = json.loads(open_model(embedded_model()).onnx.metadata["edge_lstm.abstention"])
SCORES = open_model(embedded_model()).training  # of test texts too, which the small model lacks
SMALLS = {
    key.removeprefix("edge_lstm."): json.loads(text)
    for key, text in parse_model(DATA, SMALL).onnx.metadata.items()
    if text[:1] in "{["
}
ENTRIES: dict[str, Any] = {
    **SMALLS,
    "golden": SMALLS["golden"][:2],
    "training": SCORES,
    "abstention": {
        **CURVE,
        "default": 0.05,
        "points": CURVE["points"][::8],
        "unfamiliar": CURVE["unfamiliar"][:2],
    },
    "multi_label": {"thresholds": [0.4, 0.6]},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value in a value, itself included."""
    yield path
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, each in inner:
        yield from places(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """The value with another one at a path."""
    if not path:
        return odd
    value = outer = copy.deepcopy(value)
    for key in path[:-1]:
        outer = outer[key]
    outer[path[-1]] = odd
    return value


def everything(model: ModelFile, entry: str) -> None:
    """What the package makes of a model file."""
    to_json(describe(model), indent=2)
    assert all(isinstance(text, str) for text in overview(model).values())
    assert model_card(model) and model.facts() and model.warnings is not None
    if entry in ("training", "quantization"):  # nothing of these is asked for an answer
        return
    assert build_page(model)
    classifier = Classifier(model)
    classifier.predict([TEXT, ""])
    explain(classifier, TEXT)
    for share in ({"abstain": 0.1}, {"unfamiliar": 0.05}):
        try:
            classifier.predict([TEXT], **share)
        except EdgeLSTMError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("entry", ENTRIES)
def test_odd_metadata_gives_an_answer_or_one_line(entry: str) -> None:
    whole = ENTRIES[entry]
    opened = 0
    for path in places(whole):
        for odd in ODD:
            text = compact(replaced(whole, path, odd))
            changes = multi_label(0, multi_label=text) if entry == "multi_label" else {entry: text}
            start = time.process_time()
            try:
                model = parse_model(edited(changes), Path("m.onnx"))
                opened += 1
                everything(model, entry)
            except EdgeLSTMError as error:
                assert "\n" not in str(error) and ";" in str(error), (path, odd)
            except Exception as error:
                raise AssertionError((path, str(odd)[:40])) from error
            assert time.process_time() - start < 2, (path, odd)
    assert opened


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("training", '{"seed":1e999}'),
        ("golden", "[" + ",".join([compact(SMALLS["golden"][1])] * 65) + "]"),
        ("abstention", compact({**CURVE, "texts": 10**8, "points": [[0, 10**8, 1]]})),
        ("abstention", compact({**CURVE, "points": [[i / 100, 25_000 - i, 0] for i in range(65)]})),
    ],
)
def test_what_no_export_writes_is_refused(entry: str, text: str) -> None:
    with pytest.raises(EdgeLSTMError, match="do not fit together"):
        parse_model(edited({entry: text}), Path("m.onnx"))
