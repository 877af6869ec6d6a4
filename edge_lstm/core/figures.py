"""The figures of a training that it has for each label.

A checkpoint holds them by name. A model file holds them in the labels' order, since hundreds of
names and keys would be a good part of a small file.

=================== ==================================== =======================================
figure              checkpoint                           model file
=================== ==================================== =======================================
data.train_texts    {label: texts}                       [texts, …]
validation.labels,  {label: {precision, recall, f1,      {precision: […], recall: […], f1: […],
test.labels         texts}}                              texts: […]}, to four decimal places
=================== ==================================== =======================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def in_label_order(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a checkpoint as a model file holds them. They may be incomplete."""
    return _changed(training, lambda counts: list(counts.values()), _listed_scores)


def by_label(training: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the figures of a model file by the labels' names.

    Lists of another length stay as they are: the figures are for people, and the opening of a file
    does not check them.
    """

    def fits(values: Any) -> bool:
        return isinstance(values, list) and len(values) == len(labels)

    def named(values: Any) -> Any:
        return dict(zip(labels, values)) if fits(values) else values

    def named_scores(values: Any) -> Any:
        if not isinstance(values, dict) or not values or not all(map(fits, values.values())):
            return values
        rows = zip(*values.values())
        return {label: dict(zip(values, row)) for label, row in zip(labels, rows)}

    return _changed(training, named, named_scores)


def _listed_scores(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the scores of each label as a model file holds them.

    A whole number becomes an int, whose JSON is shorter.
    """
    listed: dict[str, list[float]] = {}
    for name in ("precision", "recall", "f1", "texts"):
        # Four decimal places: the model card shows them in percent.
        numbers = [round(row[name], 4) for row in scores.values()]
        listed[name] = [int(number) if number == int(number) else number for number in numbers]
    return listed


def _changed(training: Mapping[str, Any], counts: Any, scores: Any) -> dict[str, Any]:
    """Return the figures, with the figures of labels changed by two functions."""
    changed = dict(training)
    for part, name, change in (
        ("data", "train_texts", counts),
        ("validation", "labels", scores),
        ("test", "labels", scores),
    ):
        values = changed.get(part)
        if isinstance(values, dict) and name in values:
            changed[part] = {**values, name: change(values[name])}
    return changed
