"""The log of decisions: a line of JSON for each request that the upstream answered.

``train`` reads it: a column for the text, and one for each question.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_lstm.errors import OutputError
from edge_lstm.printable import json_text
from edge_lstm.system.os_file import lock

# The other keys of a line. A question with one of these names is left out of the log.
TIME = "time"
TEXT = "text"
STATE = "state"
MODEL = "model"
BECAUSE = "because"

# Why a sure answer was checked.
SHADOW = "shadow"

# How a line begins. It is shorter than the bytes, since a body has a bound.
_BEGINNING = f'{{"{TIME}": '.encode()
_MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Because:
    """Why the upstream was asked a question, and what the file said.

    why: "no file" answers the question, "shadow", or the status of the file's answer.
    chance: the probability that such a request is logged, above 0 to 1.
    label, probability: the file's best; None without a file.
    sha256: of the file; None without one.
    """

    why: str
    chance: float = 1.0
    label: str | None = None
    probability: float | None = None
    sha256: str | None = None


class DecisionLog:
    """A file that grows by whole lines, written by one server.

    A file that was moved away, as logrotate does, is begun anew.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OutputError if it cannot be written, or another server does it."""
        self.path = path
        try:
            self._file = self._open()
        except OSError as error:
            raise self._error(error) from None

    @property
    def is_public(self) -> bool:
        """Whether every user of the machine can read the file."""
        return os.name != "nt" and bool(os.fstat(self._file.fileno()).st_mode & stat.S_IROTH)

    def write(
        self,
        text: str,
        answers: dict[str, tuple[str, float | None]],
        *,
        model: str,
        because: dict[str, Because],
        state: Any = None,
    ) -> None:
        """Append a line.

        text: as a model file reads it.
        state: as it came; it is written if it is an object, and more than the text.
        answers: the upstream's: name of the question → its label, and the label's probability.
        model: the upstream's name for its model.
        because: by question, why the upstream was asked.

        Raises OutputError. The file is then as it was.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {TIME: now, TEXT: text, MODEL: model}
        if isinstance(state, dict) and state != {TEXT: text}:
            line[STATE] = state
        for name, (label, probability) in answers.items():
            if name in (TIME, TEXT, STATE, MODEL, BECAUSE):
                continue
            line[name] = label
            column = f"{name}_probability"
            if probability is not None and column not in answers:
                line[column] = round(probability, 6)
        line[BECAUSE] = {name: asdict(each) for name, each in because.items()}
        data = json_text(line).encode("utf-8", "replace") + b"\n"
        try:
            if not self._is_there():
                moved = self._file
                self._file = self._open()
                moved.close()
            written = self._file.write(data)
            if written < len(data):
                self._file.truncate(self._file.tell() - written)
        except OSError as error:
            raise self._error(error) from None
        if written < len(data):
            raise OutputError(f"cannot write {self.path}: there is no room; check the disk")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> io.FileIO:
        """Open the file, so that it ends with a whole line."""
        # Only its owner may read the texts.
        file = io.FileIO(self.path, "a+", opener=lambda path, flags: os.open(path, flags, 0o600))
        try:
            lock(file.fileno())
        except BlockingIOError:
            raise OutputError(
                f"another server writes {self.path}; give each server a log of its own"
            ) from None
        except OSError:
            pass  # a file system without locks
        size = os.fstat(file.fileno()).st_size
        if size:
            file.seek(max(0, size - _MOST_BYTES))
            rest = file.readall().rpartition(b"\n")[2]
            if rest.startswith(_BEGINNING) and not rest.endswith(b"}"):
                # A server that was killed left a part of a line.
                file.truncate(size - len(rest))
            elif rest:
                file.write(b"\n")
        return file

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror}; check its folder and disk")
