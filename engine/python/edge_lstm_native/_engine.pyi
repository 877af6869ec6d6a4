from typing_extensions import Self

def kernels() -> list[str]:
    """Return the names of the kernels that this machine runs, the best first."""

class Model:
    """The base class of Model in __init__.py."""

    def __new__(cls, data: bytes, kernel: str | None = None) -> Self: ...
    def _describe(self) -> tuple[str, list[tuple[str, float]]]: ...
    def _classify(
        self, texts: tuple[str, ...], unfamiliar: float | None
    ) -> tuple[bytes, list[str]]: ...
    def _run(self, ids: bytes, columns: int) -> bytes: ...
    def check(self) -> tuple[int, int, float]:
        """Run the file's golden rows: (wrong rows, all rows, the largest difference)."""
