from collections.abc import Iterable

from typing_extensions import Self

def kernels() -> list[str]:
    """The names of the kernels that this machine runs, the best first."""

class Model:
    def __new__(cls, data: bytes, kernel: str | None = None) -> Self: ...
    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """Where a text may have several labels or none: from which probability on it has each; else None."""

    @property
    def kernel(self) -> str:
        """The name of the kernel in use."""

    def classify(self, texts: Iterable[str]) -> tuple[memoryview, list[str]]:
        """Texts → (float32 [texts, labels], the status of each: ok, empty, unknown_words or truncated)."""

    def probabilities(self, texts: Iterable[str]) -> memoryview:
        """float32 [texts, labels]; numpy.asarray takes it without a copy."""

    def run(self, ids: bytes, columns: int) -> memoryview:
        """Texts as ids, int32 [texts, columns], each filled up with 0 → float32 [texts, labels].

        Raises ValueError where ids are not the model's, or columns are more than its length.
        """

    def check(self) -> tuple[int, int, float]:
        """Run the file's golden rows: (wrong ones, how many there are, the largest difference)."""
