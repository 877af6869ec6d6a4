from typing_extensions import Self

__version__: str

# The statuses of texts by their code.
STATUSES: list[str]

def kernels() -> list[str]:
    """Return the names of the kernels that this machine runs, the best first."""

class Texts:
    """Texts that Python does not look into."""

    count: int

def strings(texts: tuple[str | None, ...]) -> Texts: ...
def arrow_array(schema: object, array: object) -> Texts: ...
def arrow_stream(stream: object) -> Texts: ...

class Model:
    """The base class of Model in __init__.py."""

    def __new__(cls, data: bytes, kernel: str | None = None) -> Self: ...
    def _describe(self) -> tuple[str, list[tuple[str, float]]]: ...
    def _classify(
        self, texts: Texts, first: int, count: int, unfamiliar: float | None
    ) -> tuple[bytes, bytes]: ...
    def _decide(
        self, answers: bytes, codes: bytes, top: int, threshold: float
    ) -> tuple[bytes, bytes, bytes, bytes] | None: ...
    def _predictions(
        self, answers: bytes, codes: bytes
    ) -> list[tuple[str | tuple[str, ...] | None, float, str]] | None: ...
    def _run(self, ids: bytes, columns: int) -> bytes: ...
    def check(self) -> tuple[int, int, float]:
        """Run the file's golden rows: (wrong rows, all rows, the largest difference)."""
