"""Functions for SQL: a connection of Python's sqlite3 classifies texts in its rows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from sqlite3 import Connection

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.decide import Prediction, check_label
from edge_lstm.core.modelfile import EMBEDDED
from edge_lstm.errors import DataError
from edge_lstm.printable import LABEL_JOINT, to_json


def register(
    connection: Connection,
    model: str | Path | None = None,
    *,
    others: Iterable[str | Path] = (),
    engine: str | None = None,
) -> None:
    """Give a connection the SQL functions ``classify``, ``probability`` and ``classify_json``.

    model: the file that answers if SQL names none; None for the file in the variable
        EDGE_LSTM_MODEL, else the embedded model.
    others: more files that SQL may name, as ``path`` or, with its SHA-256, ``path#digest``.
    engine: see :meth:`Classifier.load`, whose errors this raises.
    """
    default = str(model or os.environ.get("EDGE_LSTM_MODEL") or EMBEDDED)
    names = {path: Classifier.load(path, engine=engine) for path in (default, *map(str, others))}
    names.update({f"{path}#{each.model.sha256()}": each for path, each in names.items()})

    @lru_cache(maxsize=1)  # a query asks for the same text again, in each column and in WHERE
    def answer(text: str | None, name: str, lowest: float | None) -> Prediction | None:
        if name not in names:
            raise DataError(f"no model {name!r} is registered; reindex if its digest has changed")
        return None if text is None else names[name].predict([text], threshold=lowest)[0]

    def classify(text: str, name: str = default, lowest: float | None = None) -> str | None:
        found = answer(text, name, lowest)
        return None if found is None or found.label is None else LABEL_JOINT.join(found.labels)

    def probability(text: str, label: str, name: str = default) -> float | None:
        found = answer(text, name, None)
        check_label(label, names[name].labels)
        return None if found is None else found.probabilities[label]

    def classify_json(text: str, name: str = default) -> str | None:
        found = answer(text, name, None)
        return None if found is None else to_json(found.to_json())

    for function, least in ((classify, 1), (probability, 2), (classify_json, 1)):
        # Without a model argument the answer depends on what was registered.
        connection.create_function(function.__name__, least, function)
        connection.create_function(function.__name__, least + 1, function, deterministic=True)
    connection.create_function("classify", 3, classify, deterministic=True)
