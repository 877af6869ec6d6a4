import os
from collections.abc import Iterable
from typing import final

def kernels() -> list[str]:
    """The names of the kernels that this machine runs, the best first."""

@final
class Model:
    def __init__(self, source: str | os.PathLike[str] | bytes, kernel: str | None = None) -> None:
        """Open a model file, by its path or its bytes.

        kernel: one of kernels(); the best without. Raises OSError where the path cannot be read, ValueError
        with one line where the file is no model, was changed, or is not supported.
        """

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """Where a text may have several labels or none: from which probability on it has each; else None."""

    @property
    def kernel(self) -> str:
        """The name of the kernel in use."""

    def predict(self, texts: Iterable[str]) -> list[tuple[str | tuple[str, ...], float, str]]:
        """(label, its probability, status) of each text, in their order.

        label: the most probable one; where a text may have several, a tuple of those that reach their
        thresholds, the most probable first. status: ok, empty, unknown_words or truncated.
        """

    def probabilities(self, texts: Iterable[str]) -> memoryview:
        """float32 [texts, labels]; numpy.asarray takes it without a copy."""

    def run(self, ids: bytes, columns: int) -> memoryview:
        """Texts as ids, int32 [texts, columns], each filled up with 0 → float32 [texts, labels].

        Raises ValueError where ids are not the model's, or columns are more than its length.
        """

    def check(self) -> tuple[int, int, float]:
        """Run the file's golden rows: (wrong ones, how many there are, the largest difference)."""
