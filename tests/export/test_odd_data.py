"""Odd data and plans: each ends in a checkpoint, or in one line that says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from math import nan
from typing import Any

import pytest
from cases import named
from edge_lstm_export import DatasetStats, Plan, TextClassifier, TrainingRequest, make_plan
from edge_lstm_export.options import Validation
from made import rows

from edge_lstm.errors import EdgeLSTMError

# Rows, and texts and labels that are repeated for them.
DATA = r"""
blank texts and two | 14 | ["", " ", "\\t", " \\n", "\\r", "good", "bad"] | ["a", "b"]
punctuation | 12 | ["!", "?", "...", "!!", "??", "-"] | ["a", "b"]
all equal | 12 | ["same"] | ["a", "b"]
all equal but one | 6 | ["same", "same", "same", "same", "same", "other"] | ["a", "b"]
one row of a label | 5 | ["a1 x", "a2 x", "a3 x", "a4 x", "a5 x"] | ["a", "a", "a", "a", "b"]
words that say nothing | 12 | ["the", "a", "of", "the a", "of the", "and"] | ["a", "b"]
NUL | 12 | ["\\u0000", "\\u0000\\u0000", "a\\u0000b", "\\u0000a", "b", "c"] | ["a", "b"]
half characters | 12 | ["\\ud800", "\\udfff", "a", "b"] | ["a", "b"]
Chinese | 12 | ["好", "坏", "好好", "坏坏"] | ["a", "b"]
one row | 1 | ["a"] | ["x"]
a label for each of three rows | 3 | ["a", "b", ""] | ["x", "y", "z"]
many labels of blank texts | 40 | ["", "", "", "", "", "", "", "", "", "", "a"]
    | ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17"]
sets, all empty but one | 5 | ["a1", "a2", "a3", "a4", "a5"] | [[], [], [], [], ["a", "b"]]
sets, all full | 6 | ["a1", "a2", "a3", "a4", "a5", "a6"] | [["a", "b"]]
sets of blank texts | 3 | ["", " ", "b"] | [["a"], ["b"], []]
"""
ASKED = [("tiny", None), ("tiny", "sentiment"), ("base", "none"), ("seed", "none")]


def small(labels: int, multi_label: bool, count: int, preset: str, teacher: str | None) -> Plan:
    """The plan of such data, with as small a network and one epoch."""
    made = make_plan(
        DatasetStats(count, labels, multi_label), TrainingRequest(preset, teacher, epochs=1)
    )
    if made.start.source:
        few = min(made.augmentation.texts_per_row, 2)
        return replace(made, augmentation=replace(made.augmentation, texts_per_row=few))
    return replace(made, network=replace(made.network, embedding_dim=4, hidden=4, num_words=50))


def ends_well(texts: Any, labels: Any, **settings: Any) -> None:
    try:
        model = TextClassifier(**settings).fit(texts, labels)
    except EdgeLSTMError as error:
        assert "\n" not in str(error) and any(mark in str(error) for mark in (";", ",")), error
    else:
        assert len(model.predict(["", "word"])) == 2


@pytest.mark.parametrize(("count", "texts", "labels"), named(DATA))
def test_odd_data_train_a_model_or_are_refused_in_a_line(
    count: str, texts: str, labels: str
) -> None:
    texts, labels = ([*islice(cycle(json.loads(each)), int(count))] for each in (texts, labels))
    multi_label = any(isinstance(label, list) for label in labels)
    names = {each for label in labels for each in (label if multi_label else (label,))}
    for preset, teacher in ASKED:
        if len(names) < 2:
            ends_well(texts, labels, preset=preset, teacher=teacher, epochs=1)
            continue
        plan = small(len(names), multi_label, len(texts), preset, teacher)
        ends_well(texts, labels, plan=plan)


ODD = ["x", "a\nb", [1], {"a": 1}, None, True, -1, 0, 1, 10**12, nan]


def paths(values: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from paths(value, (*above, name))


def changed(values: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    copied = json.loads(json.dumps(values))
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return copied  # type: ignore[no-any-return]


QUICK = replace(
    small(2, False, 12, "tiny", "none"),
    validation=Validation(0.0),
    teachers=(),
    hard_label_weight=1.0,
).to_dict()


@pytest.mark.parametrize("path", [*paths(QUICK)], ids=".".join)
def test_an_odd_value_in_a_plan_is_refused_in_a_line_or_trains(path: tuple[str, ...]) -> None:
    table = rows(12)
    for value in ODD:
        try:
            plan = Plan.from_dict(changed(QUICK, path, value))
        except EdgeLSTMError as error:
            assert len(str(error).splitlines()) == 1
            continue
        ends_well([text for text, _ in table], [label for _, label in table], plan=plan)


@pytest.mark.parametrize(
    "name", ["preset", "teacher", "plan", "epochs", "validation", "random_state"]
)
def test_an_odd_parameter_is_refused_in_a_line(name: str) -> None:
    table = rows(12)
    texts = [text for text, _ in table]
    labels = [label for _, label in table]
    for value in ("no such", [], {"a": 1}, True, -1, 10**30, nan):
        with pytest.raises(EdgeLSTMError) as raised:
            TextClassifier(**{"epochs": 1, name: value}).fit(texts, labels)
        assert len(str(raised.value).splitlines()) == 1
