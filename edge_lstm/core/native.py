"""The native engine: the package edge-lstm-native instead of ONNX Runtime.

It runs on request only, since its probabilities differ from ONNX Runtime's by up to 1e-6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from edge_lstm.core.fields import READ_MARK, RowText
from edge_lstm.core.modelfile import ModelFile
from edge_lstm.errors import ModelFileError
from edge_lstm.extras import needs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Columns of decide.Decisions.
Columns: TypeAlias = tuple[bytes, bytes, Sequence[tuple[bytes, bytes]]]


@dataclass(frozen=True)
class Native:
    """The native engine, as the engine of a :class:`Classifier`.

    It needs the package edge-lstm-native. Its probabilities are within 1e-6 of ONNX Runtime's.
    """

    name: ClassVar[str] = "native"
    package: ClassVar[str] = "edge_lstm_native"
    threads: ClassVar[int] = 1

    def with_threads(self, threads: int) -> Native:
        """Return this engine, which uses one thread."""
        return self

    def open(self, model: ModelFile) -> NativeSession:
        """Open a model file.

        Raises MissingPackageError without the package, ModelFileError if the engine refuses the
        file.
        """
        return NativeSession(model)


class NativeSession:
    """A model file that is open in the native engine.

    Threads may share it, and a forked process may go on with it.
    """

    def __init__(self, model: ModelFile) -> None:
        with needs("native", "the native engine"):
            from edge_lstm_native import Model
        try:
            self._model = Model(model.data)
        except ValueError as error:
            raise ModelFileError(f"{model.path}: {error}") from None

    def __str__(self) -> str:
        return f"the native engine ({self._model.kernel})"

    def run(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Run the model. ids: int32 [batch, length]. Returns float32 [batch, labels]."""
        import numpy as np

        data = np.ascontiguousarray(ids, np.int32).tobytes()
        return np.array(self._model.run(data, ids.shape[1]))

    def classify(
        self, texts: Sequence[str | None], unfamiliar: float | None
    ) -> tuple[bytes, bytes]:
        """Classify n texts, from text to ids in C too.

        texts: None for a missing text.
        unfamiliar: mark texts that are out of distribution (OOD), and at most this share of the
            others.

        Returns the probabilities and the statuses as decide.Decisions has them.
        """
        texts = [READ_MARK + text if type(text) is RowText else text for text in texts]
        answers, statuses = self._model._answer(texts, unfamiliar)  # noqa: SLF001
        return answers, statuses

    def decide(self, answers: bytes, statuses: bytes, top: int, threshold: float) -> Columns | None:
        """Decide on n texts, as classify returns them.

        top: labels to rank, the most probable first.
        threshold: a text whose best label is less probable, compared in float32, abstains.

        Returns the columns ``answers``, ``statuses`` and ``ranks`` of decide.Decisions; None if the
        answers are not probabilities.
        """
        columns = self._model._decide(answers, statuses, top, threshold)  # noqa: SLF001
        if columns is None:
            return None
        labels, decided, best, probabilities = columns
        size = len(labels)
        parts = [slice(rank * size, (rank + 1) * size) for rank in range(top)]
        return labels, decided, [(best[part], probabilities[part]) for part in parts]
