"""The native engine: the package edge-lstm-native instead of ONNX Runtime.

It runs on request only, since its probabilities differ from ONNX Runtime's by up to 1e-6.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_lstm.checked import instance
from edge_lstm.core.model_checks import MOST_PROBABLE
from edge_lstm.errors import DataError, ModelFileError
from edge_lstm.extras import needs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Engines by name. An execution provider of ONNX Runtime may follow the first, as in
# onnxruntime:XNNPACK.
ONNXRUNTIME = "onnxruntime"
NATIVE = "native"

# The environment variable that names the engine.
VARIABLE = "EDGE_LSTM_ENGINE"


def engine_name(engine: str | None) -> str:
    """Return the full name of an engine, each in one spelling.

    engine: ``native``, ``onnxruntime``, or ``onnxruntime:`` and an execution provider; None: the
        engine that the variable EDGE_LSTM_ENGINE names, else ``onnxruntime``.

    Raises DataError if the engine is unknown, TypeError if it is not a string.
    """
    chosen = os.environ.get(VARIABLE) or ONNXRUNTIME if engine is None else engine
    instance("engine", chosen, str, "a string")
    kind, colon, provider = chosen.partition(":")
    if kind not in (ONNXRUNTIME, NATIVE) or (colon and (kind == NATIVE or not provider)):
        what = f"the engine {chosen!r}" if engine is not None else f"{VARIABLE}={chosen}"
        raise DataError(f"{what} is unknown; choose onnxruntime, onnxruntime:NAME or native")
    provider = provider.upper().removesuffix("EXECUTIONPROVIDER")
    return kind if provider in ("", "CPU") else f"{kind}:{provider}"


def fastest_engine() -> str:
    """Return the engine of the variable EDGE_LSTM_ENGINE, else native if it is installed."""
    is_installed = find_spec("edge_lstm_native") is not None
    return os.environ.get(VARIABLE) or (NATIVE if is_installed else ONNXRUNTIME)


# Columns of decide.Decisions.
Columns: TypeAlias = tuple[
    bytes, bytes, Sequence[tuple[bytes, bytes]], Sequence[int], Sequence[int]
]


class NativeSession:
    """A model file that is open in the engine.

    It has the methods of a session that :class:`edge_lstm.Classifier` needs. Threads may share it,
    and a forked process may go on with it.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        """Open a model file. data: its bytes; path: its name in an error.

        Raises MissingPackageError without the engine, ModelFileError if the engine refuses the
        file.
        """
        with needs("native", "the native engine"):
            from edge_lstm_native import Model
        try:
            self._model = Model(data)
        except ValueError as error:
            raise ModelFileError(f"{path}: {error}") from None

    def __str__(self) -> str:
        return f"the native engine ({self._model.kernel})"

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, npt.NDArray[np.int32]]
    ) -> list[npt.NDArray[Any]]:
        """Run the model, as a session of ONNX Runtime does.

        outputs: not used: the only output is the probabilities.
        inputs: the only one is the ids, int32 [batch, length].

        Returns a list of one array, float32 [batch, labels].
        """
        import numpy as np

        (ids,) = inputs.values()
        data = np.ascontiguousarray(ids, np.int32).tobytes()
        return [np.asarray(self._model.run(data, ids.shape[1]))]

    def classify(
        self, texts: Sequence[str | None], unfamiliar: float | None
    ) -> tuple[bytes, bytes]:
        """Classify n texts, from text to ids in C too.

        texts: None for a missing text.
        unfamiliar: mark texts that are out of distribution (OOD), and at most this share of the
            others.

        Returns the probabilities and the statuses as decide.Decisions has them.
        """
        answers, statuses = self._model._answer(texts, unfamiliar)  # noqa: SLF001
        return answers, statuses

    def decide(self, answers: bytes, statuses: bytes, top: int, threshold: float) -> Columns | None:
        """Decide on n texts, as classify returns them.

        top: labels to rank, the most probable first.
        threshold: a text whose best label is less probable, compared in float32, abstains.

        Returns the columns of decide.Decisions from ``answers`` to ``status_counts``; None if the
        answers are not probabilities.
        """
        columns: Columns | None = self._model._decide(  # noqa: SLF001
            answers, statuses, top, threshold, MOST_PROBABLE
        )
        return columns
