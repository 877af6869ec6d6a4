"""Run the model files of edge-lstm without ONNX Runtime: one C module, no dependencies.

>>> model = Model("model.onnx")                                      # doctest: +SKIP
>>> model.predict(["A wonderful film."])                             # doctest: +SKIP
[('pos', 0.98, 'ok')]
>>> numpy.asarray(model.probabilities(texts))                        # doctest: +SKIP

The probabilities are the same bits on every machine. A model may be used by several threads at once.
"""

from __future__ import annotations

import os

from edge_lstm_native import _engine
from edge_lstm_native._engine import kernels

TYPE_CHECKING = False  # of typing, whose import would take longer than a model's
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Model", "kernels"]
__version__ = "1.0.0.dev0"


class Model(_engine.Model):
    """A model file, open. What else it has is in _engine.pyi."""

    def __new__(cls, source: str | os.PathLike[str] | bytes, kernel: str | None = None) -> Model:
        """Open a model file, by its path or its bytes.

        kernel: one of kernels(); the best without. Raises OSError where the path cannot be read, ValueError
        with one line where the file is no model, was changed, or is not supported.
        """
        if isinstance(source, bytes):
            return super().__new__(cls, source, kernel)
        with open(os.fspath(source), "rb") as file:  # noqa: PTH123 - pathlib takes time to import
            return super().__new__(cls, file.read(), kernel)

    def predict(self, texts: Iterable[str]) -> list[tuple[str | tuple[str, ...], float, str]]:
        """Return (label, its probability, status) of each text, in their order.

        label: the most probable one; where a text may have several, a tuple of those that reach their
        thresholds, the most probable first. status: ok, empty, unknown_words or truncated.
        """
        labels, thresholds = self.labels, self.thresholds
        rows, statuses = self.classify(texts)
        predictions: list[tuple[str | tuple[str, ...], float, str]] = []
        for row, status in zip(rows.tolist(), statuses):
            label: str | tuple[str, ...] = labels[row.index(max(row))]
            if thresholds is not None:
                order = sorted(range(len(row)), key=row.__getitem__, reverse=True)
                label = tuple(labels[i] for i in order if row[i] >= thresholds[i])
            predictions.append((label, max(row), status))
        return predictions
