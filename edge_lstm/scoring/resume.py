"""The journal of an unfinished run: how far it is, and what it was a run of."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_lstm import __version__, atomic
from edge_lstm.atomic import JOURNAL, JOURNAL_NEW
from edge_lstm.errors import DataError
from edge_lstm.os_file import NO_FOLLOW, NO_WAIT
from edge_lstm.scoring.output import write_error
from edge_lstm.tables.schema import Source

_MOST_BYTES = 2**28  # a journal is some kilobytes, and 200 bytes for each input


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A point to go on from.

    rows: so many rows are in the first ``output_bytes`` of the output.
    output_sha256, input_sha256: of those bytes, and of the input that was read for these rows.
    counts: the state of the summary.
    """

    rows: int
    output_bytes: int
    output_sha256: str
    input_sha256: str
    counts: dict[str, Any]


class Journal:
    """The file ``<output>.resume.json``, replaced as a whole at each step.

    run: everything that decides the bytes of the output, but the versions of the packages.
    """

    def __init__(self, output: str, run: dict[str, Any]) -> None:
        self.path = Path(output + JOURNAL)
        self._new = Path(output + JOURNAL_NEW)
        self._identity = run

    @cached_property
    def _run(self) -> dict[str, Any]:
        """As it is read again, through JSON: tuples are lists there."""
        import onnxruntime

        versions = {"edge-lstm": __version__, "onnxruntime": onnxruntime.__version__}
        return dict(json.loads(json.dumps({**self._identity, "versions": versions})))

    def write(self, entry: Entry) -> None:
        """Note a point. What it says must be on the disk before. Raises OutputError."""
        content = {"run": self._run, **asdict(entry)}
        data = json.dumps({**content, "sha256": _digest(content)}).encode()
        try:
            # What has this name is of a run that was killed while it wrote; a link is not followed.
            self._new.unlink(missing_ok=True)
            handle = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o666)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._new.replace(self.path)
        except OSError as error:
            raise write_error(str(self.path), error) from None
        atomic.sync_folder(self.path.parent)

    def read(self) -> Entry:
        """Return the last point. Raises DataError where the journal is of another run: what is different."""
        entry, run = read(self.path)
        for key, value in self._run.items():
            if run.get(key) != value:
                raise DataError(
                    f"cannot resume: {_difference(key, run.get(key), value)}; "
                    f"run with what it was started with, or delete {self.path} and start again"
                )
        return entry

    def remove(self) -> None:
        """The run is complete."""
        self.path.unlink(missing_ok=True)
        self._new.unlink(missing_ok=True)


def read(path: Path) -> tuple[Entry, dict[str, Any]]:
    """Return the point of a journal, and the identity of its run. Raises DataError where it is damaged."""
    try:
        handle = os.open(path, os.O_RDONLY | NO_FOLLOW | NO_WAIT)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError("no ordinary file")
            content = json.loads(file.read(_MOST_BYTES))
        if content.pop("sha256") != _digest(content):
            raise ValueError("another checksum")
        run = dict(content.pop("run"))
        entry = Entry(**content)
        if type(entry.rows) is not int:
            raise TypeError
        return entry, run
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            f"{path} is damaged, or no journal of this version; move it away and start again"
        ) from None


def fingerprint(source: Source) -> list[Any]:
    """Return path, and size and time of each file: enough to see at once that one was changed or swapped.
    (The digest of all that is read shows the rest.)
    """
    path, states = Path(source.path), []
    with suppress(OSError):  # the working folder was removed
        path = path.absolute()
    for name in source.files or ("",):
        try:
            state = (path / name).stat()
            states.append([name, state.st_size, state.st_mtime_ns])
        except OSError:
            states.append([name, None])
    return [str(path), hashlib.sha256(json.dumps(states).encode()).hexdigest()]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _difference(key: str, then: Any, now: Any) -> str:
    if key == "inputs":
        if then and [row[0] for row in then] == [row[0] for row in now]:
            changed = next(new[0] for old, new in zip(then, now) if old != new)
            return f"the input {changed} was changed since the run was started"
        return "the inputs are not those the run was started with"
    if key == "model":
        return "the model is not the one the run was started with"
    if isinstance(then, dict):
        for name, value in now.items():
            if then.get(name) != value:
                return f"{name.replace('_', '-')} was {then.get(name)!r} and is {value!r}"
    return f"the {key} is not that of the run that was started"
