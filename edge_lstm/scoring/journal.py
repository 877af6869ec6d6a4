"""The journal of an unfinished run: its last point, and its inputs and options."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.system import atomic
from edge_lstm.system.os_file import NO_FOLLOW, NO_WAIT
from edge_lstm.tables.schema import Source

# The advice if no space is left.
ROOM = "free some and continue with --resume (from a pipe: start again)"
# Bytes that are read of a journal. It has some kilobytes, and 200 bytes for each input.
_MOST_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A point to go on from.

    rows: rows in the first ``output_bytes`` of the output.
    output_bytes: bytes of the output that were written for these rows.
    output_checksum: of those bytes.
    input_checksum: of the input that was read for these rows.
    counts: the state of the summary.
    """

    rows: int
    output_bytes: int
    output_checksum: str
    input_checksum: str
    counts: dict[str, Any]


def write_journal(path: Path, run: dict[str, Any], entry: Entry) -> None:
    """Replace the journal with a new point.

    run: everything that decides the bytes of the output.
    entry: the point; the output must be on the disk up to it.

    Raises OutputError.
    """
    content = {"run": run, **asdict(entry)}
    sealed = json.dumps({**content, "sha256": _digest(content)})
    atomic.write_atomically(sealed, path, room=ROOM)


def read_journal(path: Path) -> tuple[Entry, dict[str, Any]]:
    """Return the point of a journal, and everything that decides the bytes of its run's output.

    Raises DataError if the journal is damaged.
    """
    try:
        handle = os.open(path, os.O_RDONLY | NO_FOLLOW | NO_WAIT)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError("not a regular file")
            content = json.loads(file.read(_MOST_BYTES))
        if content.pop("sha256") != _digest(content):
            raise ValueError("wrong checksum")
        run = dict(content.pop("run"))
        entry = Entry(**content)
        if type(entry.rows) is not int:
            raise TypeError
        return entry, run
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            f"{path} is damaged or of another version; move it away and start again"
        ) from None


def fingerprint(source: Source) -> list[int] | str | None:
    """Return size and time of a file, or a digest of the sizes and times of a folder's files.

    They show at once that a file was changed or swapped. The digest of everything that is read
    shows the rest. None if the file cannot be found.
    """
    states: list[list[int] | None] = []
    for name in source.files or ("",):
        try:
            state = Path(source.path, name).stat()
            states.append([state.st_size, state.st_mtime_ns])
        except OSError:
            states.append(None)
    return _digest([source.files, states]) if source.files else states[0]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
