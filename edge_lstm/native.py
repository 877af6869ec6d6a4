"""The native engine: the package edge-lstm-native in the place of ONNX Runtime.

It is taken where it is asked for, never by itself: its probabilities are ONNX Runtime's only within
    1e-6.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError, ModelFileError
from edge_lstm.extras import needs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_lstm.classifier import TextStatus

ENGINES = ("onnxruntime", "native")
NATIVE = "native"  # as a provider: what every part of this package passes on to the classifier
VARIABLE = "EDGE_LSTM_ENGINE"


def provider_of(engine: str | None, provider: str, default: str = "CPUExecutionProvider") -> str:
    """The provider that stands for an engine. engine: None for that of the variable
    EDGE_LSTM_ENGINE, if any.

    Raises DataError where there is no such engine, or where a provider of ONNX Runtime is given as
    well.
    """
    chosen = engine if engine is not None else os.environ.get(VARIABLE) or ENGINES[0]
    if chosen not in ENGINES:
        what = f"the engine {chosen!r}" if engine is not None else f"{VARIABLE}={chosen}"
        raise DataError(f"{what} is unknown; choose one of {', '.join(ENGINES)}")
    if chosen != NATIVE:
        return provider
    if provider not in (NATIVE, default):
        raise DataError(
            f"provider {provider} is one of ONNX Runtime; leave it out with the native engine"
        )
    return NATIVE


class NativeSession:
    """A model file, open in the engine: what :class:`edge_lstm.Classifier` needs of a session.

    Threads may share it, and a forked process may go on with it.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        """Raise MissingPackageError without the engine, ModelFileError for a file that it
        refuses."""
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
        """inputs: one, ids as int32 [batch, length] → [probabilities], float32 [batch, labels]."""
        import numpy as np

        (ids,) = inputs.values()
        return [
            np.asarray(self._model.run(np.ascontiguousarray(ids, np.int32).tobytes(), ids.shape[1]))
        ]

    def classify(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.float32], list[TextStatus]]:
        """Texts → (float32 [n, labels], the status of each), text → ids in C too."""
        import numpy as np

        rows, statuses = self._model.classify(texts)
        return np.asarray(rows, np.float32).reshape(len(texts), len(self._model.labels)), statuses
