"""The figures of a training that it has for each label.

A checkpoint holds them by name. A model file holds them in the labels' order, since hundreds of
names and keys would be a good part of a small file.

=================== ==================================== =======================================
figure              checkpoint                           model file
=================== ==================================== =======================================
data.train_texts    {label: texts}                       [texts, …]
validation.labels,  {label: {precision, recall, f1,      [[precision, recall, f1, texts], …], to
test.labels         texts}}                              four decimal places
=================== ==================================== =======================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SCORES = ("precision", "recall", "f1", "texts")
_DECIMALS = 4  # as the model card shows them, in percent


def in_label_order(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a checkpoint as a model file holds them. They may be incomplete."""
    return _changed(training, lambda counts: list(counts.values()), _listed_scores)


def by_label(training: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the figures of a model file by the labels' names.

    Lists of another length stay as they are: the figures are for people, and the opening of a file
    does not check them.
    """

    def named(values: Any) -> Any:
        fits = isinstance(values, list) and len(values) == len(labels)
        return dict(zip(labels, values)) if fits else values

    def named_scores(values: Any) -> Any:
        rows = named(values)
        if not isinstance(rows, dict):
            return rows
        by_name = dict(rows)
        for label, row in rows.items():
            if isinstance(row, list):
                by_name[label] = dict(zip(_SCORES, row))
        return by_name

    return _changed(training, named, named_scores)


def _listed_scores(scores: Mapping[str, Mapping[str, Any]]) -> list[list[float]]:
    """Return the scores of each label as a model file holds them."""
    return [[round(row[name], _DECIMALS) for name in _SCORES] for row in scores.values()]


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
