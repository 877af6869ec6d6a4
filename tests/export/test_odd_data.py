"""Odd data and plans: each ends in a checkpoint, or in one line that says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import nan
from typing import Any

import pytest
from edge_lstm_export import TextClassifier
from edge_lstm_export.options import EnsembleOptions, TrainingRequest, Validation
from edge_lstm_export.train.plan import Plan, make_plan
from edge_lstm_export.train.stats import DatasetStats
from made import rows

from edge_lstm.errors import EdgeLSTMError

AB = list("ab") * 6
BLANK = ["", " ", "\t", " \n", "\r"] * 2
DATA: dict[str, tuple[list[str], list[Any]]] = {
    "ten blank texts and two": ([*BLANK, "a good one", "a bad one"], AB),
    "punctuation": (["!", "?", "...", "!!", "??", "-"] * 2, AB),
    "all equal": (["same"] * 12, AB),
    "all equal but one": ([*["same"] * 11, "other"], AB),
    "one row of a label": ([f"word{i} same" for i in range(12)], ["a"] * 11 + ["b"]),
    "words that say nothing": (["the", "a", "of", "the a", "of the", "and"] * 2, AB),
    "NUL": (["\0", "\0\0", "a\0b", "\0a", "b", "c"] * 2, AB),
    "half characters": (["\ud800", "\udfff", "a", "b"] * 3, AB),
    "Chinese": (["好", "坏", "好好", "坏坏"] * 3, AB),
    "one row": (["a"], ["x"]),
    "a label for each of three rows": (["a", "b", ""], ["x", "y", "z"]),
    "many labels of blank texts": ([""] * 38 + ["a", "b"], [f"label{i % 20}" for i in range(40)]),
    "sets, all empty but one": ([f"word{i}" for i in range(12)], [set()] * 11 + [{"a", "b"}]),
    "sets, all full": ([f"word{i}" for i in range(12)], [{"a", "b"}] * 12),
    "sets of blank texts": (["", " ", "b"], [{"a"}, {"b"}, set()]),
}
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


@pytest.mark.parametrize("name", DATA)
def test_odd_data_train_a_model_or_are_refused_in_a_line(name: str) -> None:
    texts, labels = DATA[name]
    multi_label = any(isinstance(label, set) for label in labels)
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
    ensemble=EnsembleOptions(),
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


@pytest.mark.parametrize("fit", ["low-rank", "low-rank+svm"])
def test_vectors_of_a_lower_rank_are_refused_for_one_logit(fit: str) -> None:
    with pytest.raises(EdgeLSTMError, match="needs three labels or more; use svm or logistic"):
        Plan.from_dict(changed(QUICK, ("sparse", "fit"), fit))


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
