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


def _well_formed(text: str) -> str:
    """Return a text with the character of each surrogate pair, and U+FFFD for each lone surrogate."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _floats(answers: bytes, rows: int) -> memoryview:
    """Return float32 [rows, labels]."""
    view = memoryview(answers)
    return view.cast("f", (rows, len(answers) // 4 // rows)) if rows else view.cast("f")


class Model(_engine.Model):
    """A model file, open. Its check() is described in _engine.pyi."""

    kernel: str  # the one in use
    labels: tuple[str, ...]  # in the order of the probabilities
    thresholds: tuple[float, ...] | None  # where a text may have several: what each must reach

    def __new__(cls, source: str | os.PathLike[str] | bytes, kernel: str | None = None) -> Model:
        """Open a model file, by its path or its bytes.

        kernel: one of kernels(); the best without. Raises OSError where the path cannot be read, ValueError
        with one line where the file is no model, was changed, or is not supported.
        """
        if not isinstance(source, bytes):
            with open(os.fspath(source), "rb") as file:  # noqa: PTH123 - pathlib takes time to import
                source = file.read()
        model = super().__new__(cls, source, kernel)
        model.kernel, labels = model._describe()
        model.labels, thresholds = zip(*labels)
        model.thresholds = thresholds if thresholds[0] else None
        return model

    def classify(self, texts: Iterable[str], unfamiliar: float | None = None) -> tuple[memoryview, list[str]]:
        """Texts → (float32 [texts, labels], the status of each: ok, empty, unknown_words or truncated).

        unfamiliar: give texts unlike those that the model learnt from the status unfamiliar, and at most this
        share of the others, such as 0.05. Raises ValueError where the file has no threshold for it.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string; give a list of them")
        texts = tuple(texts)
        try:
            answers, statuses = self._classify(texts, unfamiliar)
        except UnicodeEncodeError:
            texts = tuple([_well_formed(text) if isinstance(text, str) else text for text in texts])
            answers, statuses = self._classify(texts, unfamiliar)
        return _floats(answers, len(texts)), statuses

    def probabilities(self, texts: Iterable[str]) -> memoryview:
        """Texts → float32 [texts, labels]; numpy.asarray takes it without a copy."""
        return self.classify(texts)[0]

    def run(self, ids: bytes, columns: int) -> memoryview:
        """Texts as ids, int32 [texts, columns], each filled up with 0 → float32 [texts, labels].

        Raises ValueError where ids are not the model's, or columns are more than its length.
        """
        answers = self._run(ids, columns)
        return _floats(answers, len(ids) // 4 // columns)

    def predict(
        self, texts: Iterable[str], unfamiliar: float | None = None
    ) -> list[tuple[str | tuple[str, ...], float, str]]:
        """Return (label, its probability, status) of each text, in their order.

        label: the most probable one; where a text may have several, a tuple of those that reach their
        thresholds, the most probable first. status, unfamiliar: see classify.
        """
        rows, statuses = self.classify(texts, unfamiliar)
        predictions: list[tuple[str | tuple[str, ...], float, str]] = []
        for row, status in zip(rows.tolist(), statuses):
            label: str | tuple[str, ...] = self.labels[row.index(max(row))]
            if self.thresholds is not None:
                order = sorted(range(len(row)), key=row.__getitem__, reverse=True)
                label = tuple(self.labels[i] for i in order if row[i] >= self.thresholds[i])
            predictions.append((label, max(row), status))
        return predictions
