"""The engines that run a model file, as values: made once, where options are read."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TypeAlias

from edge_lstm.checked import instance
from edge_lstm.core.native import Native
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.errors import DataError

Engine: TypeAlias = OnnxRuntime | Native

# The environment variable that names the engine.
VARIABLE = "EDGE_LSTM_ENGINE"


def chosen_engine(given: Engine | str | None, usual: Engine = OnnxRuntime()) -> Engine:
    """Return the engine that a caller chose.

    given: an engine, or the name of one: ``native``, ``onnxruntime``, or ``onnxruntime:`` and an
        execution provider. None: the name in the variable EDGE_LSTM_ENGINE, else ``usual``.

    Raises DataError if the engine is unknown, TypeError if it is of another type.
    """
    if isinstance(given, Engine):
        return given
    name = given
    if name is None:
        name = os.environ.get(VARIABLE)
        if not name:
            return usual
    instance("engine", name, str, "a string")
    if name == Native.name:
        return Native()
    kind, colon, provider = name.partition(":")
    if kind != OnnxRuntime.package or (colon and not provider):
        what = f"{VARIABLE}={name}" if given is None else f"the engine {name!r}"
        raise DataError(f"{what} is unknown; choose onnxruntime, onnxruntime:NAME or native")
    return OnnxRuntime(provider) if provider else OnnxRuntime()


def fastest_engine() -> Engine:
    """Return the native engine if it is installed, else ONNX Runtime."""
    return OnnxRuntime() if find_spec(Native.package) is None else Native()
