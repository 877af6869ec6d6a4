"""The log of decisions: a line of JSON for each request that the upstream answered.

``train`` reads it: a column for the text, and one for each question.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_lstm.errors import OutputError

# The other keys of a line. A question with one of these names is left out of the log.
TIME = "time"
TEXT = "text"
MODEL = "model"
ANSWERED = "answered_here"
_OWN = frozenset({TIME, TEXT, MODEL, ANSWERED})

# Windows would write other line ends.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)

# Only its owner may read the texts.
_MODE = 0o600


class DecisionLog:
    """A file that grows by whole lines.

    Each line is written with one call, so that lines of several servers do not mix. A file that
    was moved away, as logrotate does, is begun anew.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OutputError if it cannot be written."""
        self.path = path
        self._is_broken = False
        try:
            self._open()
        except OSError as error:
            raise self._error(error) from None

    def write(
        self,
        text: str,
        answers: dict[str, tuple[str, float | None]],
        *,
        model: str,
        answered: dict[str, str],
    ) -> None:
        """Append a line.

        text: as a model file reads it.
        answers: the upstream's: name of the question → its label, and the label's probability.
        model: the upstream's name for its model.
        answered: sure answers of the files to questions that the upstream was asked as well.

        Raises OutputError. The next line then begins on a line of its own.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {TIME: now, TEXT: text, MODEL: model}
        for name, (label, probability) in answers.items():
            if name in _OWN:
                continue
            line[name] = label
            if probability is not None:
                line.setdefault(f"{name}_probability", round(probability, 6))
        if answered:
            line[ANSWERED] = answered
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            if not self._is_there():
                os.close(self._descriptor)
                self._open()
            if self._is_broken:
                data = b"\n" + data
            self._is_broken = os.write(self._descriptor, data) < len(data)
        except OSError as error:
            raise self._error(error) from None
        if self._is_broken:
            raise OutputError(f"cannot write {self.path}: only a part was written; check the disk")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self.path, _FLAGS, _MODE)
        size = os.fstat(self._descriptor).st_size
        # A process that was killed may have left a part of a line.
        if size:
            os.lseek(self._descriptor, size - 1, os.SEEK_SET)
        self._is_broken = size > 0 and os.read(self._descriptor, 1) != b"\n"

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror}; check its folder and disk")
