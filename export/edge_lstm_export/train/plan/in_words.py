"""A plan in words: each field, its value and its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edge_lstm_export.options import TeacherOptions
from edge_lstm_export.train.plan.decisions import Decided


def fields_of(decided: Decided) -> Iterator[tuple[str, str, str]]:
    """Yield (path, value, reason) of every field, for a person."""
    values = decided.plan.to_dict()
    del values["format"]
    for path, value in _leaves(values, ""):
        part = path.partition(".")[0]
        reason = decided.reasons.get(path) or decided.reasons.get(part) or "as the plan says"
        yield path, value, reason


def _leaves(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}.")
        elif name == "teachers":
            shown = [TeacherOptions(**teacher).name for teacher in value]
            yield path, ", ".join(shown) or "none"
        else:
            yield path, "none" if value == "" else f"{value}"
