"""The native engine: model files of edge-lstm in one C module, without dependencies.

>>> model = Model("model.onnx")                                      # doctest: +SKIP
>>> model.predict(["A wonderful film."])                             # doctest: +SKIP
[('pos', 0.991, 'ok')]
>>> numpy.asarray(model.scores(texts))                               # doctest: +SKIP

The probabilities are the same bits on every machine. Several threads may use a model at once.
"""

from __future__ import annotations

import os

from edge_lstm_native import _engine
from edge_lstm_native._engine import kernels

# As typing.TYPE_CHECKING. The import of typing would take longer than the load of a model.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class ArrowArray(Protocol):
        """An array of Arrow strings; a chunked one has ``__arrow_c_stream__`` instead."""

        def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...


__all__ = ["Model", "kernels"]
__version__ = _engine.__version__

# Fewer texts are not worth a thread.
_FEWEST_TEXTS = 64


def _well_formed(text: str) -> str:
    """Return a text without surrogates: a pair becomes its character, a lone one U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _strings(texts: Iterable[str | None]) -> _engine.Texts:
    """Return strings that are read in place. Raises TypeError."""
    if isinstance(texts, str):
        raise TypeError("texts is one string; give a list of them")
    strings = tuple(texts)
    try:
        return _engine.strings(strings)
    except UnicodeEncodeError:
        # Surrogates are rare: to search every text for them would take longer.
        return _engine.strings(
            tuple([_well_formed(text) if isinstance(text, str) else text for text in strings])
        )


def _texts(texts: Iterable[str | None] | ArrowArray) -> _engine.Texts:
    """Return strings or an Arrow array, which are read in place. Raises TypeError."""
    if hasattr(texts, "__arrow_c_stream__"):
        return _engine.arrow_stream(texts.__arrow_c_stream__())
    if hasattr(texts, "__arrow_c_array__"):
        return _engine.arrow_array(*texts.__arrow_c_array__())
    return _strings(texts)


def _floats(answers: bytes, rows: int) -> memoryview:
    """Return a view of the answers as float32 [rows, labels], without a copy."""
    view = memoryview(answers)
    if not rows:
        return view.cast("f")
    # A float32 has 4 bytes.
    labels = len(answers) // 4 // rows
    return view.cast("f", (rows, labels))


class Model(_engine.Model):
    """An open model file.

    kernel: the kernel in use, one of kernels().
    labels: in the order of the probabilities.
    thresholds: for each label, the least probability of a text that has it; None if a text has one
        label.

    check() is described in _engine.pyi. A copy by pickle has the bytes of the file, and no kernel
    but the one that was asked for.
    """

    kernel: str
    labels: tuple[str, ...]
    thresholds: tuple[float, ...] | None
    _made_of: tuple[bytes, str | None]

    def __new__(cls, source: str | os.PathLike[str] | bytes, kernel: str | None = None) -> Model:
        """Open a model file.

        source: its path or its bytes.
        kernel: one of kernels(); None: the best.

        Raises OSError if the path cannot be read, ValueError with one line if the file is not a
        model, was changed, or is not supported.
        """
        if not isinstance(source, bytes):
            # The import of pathlib takes time.
            with open(os.fspath(source), "rb") as file:  # noqa: PTH123
                source = file.read()
        model = super().__new__(cls, source, kernel)
        model.kernel, labels = model._describe()
        model.labels, thresholds = zip(*labels)
        model.thresholds = thresholds if thresholds[0] else None
        model._made_of = source, kernel
        return model

    def __reduce__(self) -> tuple[object, ...]:
        """Tell pickle how to make a copy, on this machine or another."""
        return type(self), self._made_of

    def classify(
        self, texts: Iterable[str | None], unfamiliar: float | None = None
    ) -> tuple[memoryview, list[str]]:
        """Classify texts.

        texts: None, a null, has NaN and the status error.
        unfamiliar: mark texts that are out of distribution (OOD) with the status unfamiliar, and at
            most this share of the other texts, such as 0.05. None: mark no text.

        Returns float32 [texts, labels], and the status of each text: ok, empty, unknown_words,
        truncated, unfamiliar or error. Raises ValueError if the file has no threshold for the
        share.
        """
        answers, codes = self._answer(texts, unfamiliar)
        return _floats(answers, len(codes)), [_engine.STATUSES[code] for code in codes]

    def _answer(
        self, texts: Iterable[str | None], unfamiliar: float | None = None
    ) -> tuple[bytes, bytes]:
        """Return classify's answers as the bytes of float32, and its statuses as places in it."""
        found = _strings(texts)
        return self._classify(found, 0, found.count, unfamiliar)

    def probabilities(self, texts: Iterable[str]) -> memoryview:
        """Return float32 [texts, labels]; numpy.asarray takes it without a copy."""
        return self.classify(texts)[0]

    def scores(self, texts: Iterable[str | None] | ArrowArray, threads: int = 1) -> memoryview:
        """Return float32 [texts, labels]; numpy.asarray takes it without a copy.

        texts: strings, or an Arrow array of strings, chunked or not (of PyArrow, Polars, DuckDB …),
            whose texts are read in place. A null, or None, has NaN.
        threads: that classify at once. The GIL is released.

        Raises TypeError if the array is not of strings.
        """
        found = _texts(texts)
        count = found.count
        if threads < 1:
            raise ValueError(f"threads is {threads}; give 1 or more")
        # Each thread has the same number of texts, and a few more than none.
        step = max(_FEWEST_TEXTS, -(-count // threads))
        starts = range(0, count, step)
        if len(starts) < 2:
            return _floats(self._classify(found, 0, count, None)[0], count)
        # The import takes time.
        from concurrent.futures import ThreadPoolExecutor

        def part(start: int) -> bytes:
            return self._classify(found, start, min(step, count - start), None)[0]

        with ThreadPoolExecutor(len(starts)) as pool:
            return _floats(b"".join(pool.map(part, starts)), count)

    def run(self, ids: bytes, columns: int) -> memoryview:
        """Classify texts that are ids already; return float32 [texts, labels].

        ids: int32 [texts, columns], each row padded with 0 on the right.
        columns: at most the model's length.

        Raises ValueError for an id that the model does not have, and for too many columns.
        """
        answers = self._run(ids, columns)
        return _floats(answers, len(ids) // 4 // columns)

    def predict(
        self, texts: Iterable[str | None], unfamiliar: float | None = None
    ) -> list[tuple[str | tuple[str, ...] | None, float, str]]:
        """Return (label, highest probability, status) for each text, in the order of the texts.

        label: the most probable label. If a text may have several, it is a tuple of the labels that
        reach their thresholds, the most probable first. None for a null.

        unfamiliar, status, errors: see classify. Raises ValueError, too, if the model gives values
        that are not probabilities.
        """
        predictions = self._predictions(*self._answer(texts, unfamiliar))
        if predictions is None:
            raise ValueError("the model gives values that are not probabilities; export it again")
        return predictions
