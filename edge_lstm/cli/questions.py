"""Names of questions on the command line: NAME=FILE."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edge_lstm.core.questions import QUESTION_NAME
from edge_lstm.errors import DataError


def split_name(given: str) -> tuple[str | None, str]:
    """Split ``team=team.onnx`` into the name of a question, or None, and the path of its file.

    A name has letters, digits, _ and -. A file that exists under the whole string is that file.

    Raises DataError if the path is missing.
    """
    name, equals, path = given.partition("=")
    if not equals or QUESTION_NAME.fullmatch(name) is None or os.path.lexists(given):
        return None, given
    if not path:
        raise DataError(f"{given} names no file; write it as in {name}=model.onnx")
    return name, path


def parse_models(given: Sequence[str], *, by_file: bool = False) -> dict[str, str]:
    """Return name of the question → path.

    by_file: a file without a name gives its own, up to the first dot.

    Raises DataError if a name is missing or given twice.
    """
    models: dict[str, str] = {}
    for name, path in map(split_name, given):
        own = Path(path).name.partition(".")[0]
        if name is None and by_file and QUESTION_NAME.fullmatch(own) is not None:
            name = own
        if name is None:
            raise DataError(f"the model {path} needs a name; write NAME={path}")
        if name in models:
            raise DataError(f"two models have the name {name}; give each its own, NAME={path}")
        models[name] = path
    return models


def one_or_several(given: Sequence[str] | None) -> str | dict[str, str] | None:
    """Return the one model without a name, None for none, or name of the question → path.

    Raises DataError as :func:`parse_models`.
    """
    if not given:
        return None
    name, path = split_name(given[0])
    return path if name is None and len(given) == 1 else parse_models(given)
