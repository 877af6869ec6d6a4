"""Raw samples to a file while they are measured: a line for each run, flushed after each block."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from edge_lstm.errors import OutputError
from edge_lstm.latency.recorder import Block
from edge_lstm.latency.settings import Setting

HEADER = "setting,block_started_s,text,tokens,encode_us,run_us\n"


class CsvStream:
    """A CSV file of every run, none left out. What was written stays when the measurement is cut off.

    Raises OutputError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first_ns: int | None = None
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
            self._file.write(HEADER)
        except OSError as error:
            raise self._failed(error) from None

    def write(self, setting: Setting, block: Block) -> None:
        """One block of one setting. text is empty in batches."""
        if self._first_ns is None:
            self._first_ns = block.started_ns
        name = f'"{setting.name}"' if "," in setting.name else setting.name
        start = f"{name},{(block.started_ns - self._first_ns) / 1e9:.6f}"
        lines = [
            f"{start},{'' if text < 0 else text},{tokens},{encode / 1e3:.3f},{run / 1e3:.3f}\n"
            for text, tokens, encode, run in block.rows.tolist()
        ]
        try:
            self._file.writelines(lines)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> CsvStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as error:
            # What could not be written is tried once more on closing: the first error is the one to tell.
            if value is None:
                raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._path}: {error.strerror}; check the folder and the disk")
