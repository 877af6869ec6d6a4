"""The output: under another name until it is complete, on the disk before the journal says so."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from edge_lstm.atomic import sync_folder
from edge_lstm.errors import DataError, OutputError
from edge_lstm.tables.sources import STDIN, Source

PARTIAL = ".partial"
JOURNAL = ".resume.json"


class Output:
    """Where rows go. Errors of writing are OutputError."""

    path: str

    def write(self, data: bytes) -> None:
        """Writes bytes behind the others."""
        raise NotImplementedError

    def flush(self) -> None:
        """Hands everything on to whoever reads the output."""

    def finish(self) -> None:
        """All rows are written."""

    def close(self) -> None:
        """Gives the output up, complete or not."""


class StreamOutput(Output):
    """Standard output, a pipe or a device: nothing can be renamed or resumed."""

    def __init__(self, path: str | None) -> None:
        self.path = path or "standard output"
        self._own = path not in (None, STDIN)
        try:
            self._file: BinaryIO = (
                open(path, "wb", buffering=0) if self._own and path else sys.stdout.buffer  # noqa: SIM115, PTH123
            )
        except OSError as error:
            raise write_error(self.path, error) from None

    def write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:  # an unbuffered pipe may take a part
                view = view[self._file.write(view) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self.path, error) from None

    def flush(self) -> None:
        self._file.flush()

    def finish(self) -> None:
        self._file.flush()

    def close(self) -> None:
        if self._own:
            self._file.close()


class FileOutput(Output):
    """A file that has its name only when it is complete. Until then ``<name>.partial`` holds the rows and
    ``<name>.resume.json`` says how far it is.
    """

    def __init__(self, path: str, *, resume: bool) -> None:
        """Opens or makes the partial file. Raises OutputError, or DataError where there is an unfinished
        run and ``resume`` is not wished.
        """
        self.path = path
        target = Path(path)
        self.partial = target.with_name(target.name + PARTIAL)
        self.journal = target.with_name(target.name + JOURNAL)
        if not target.parent.is_dir():
            raise OutputError(f"there is no folder {target.parent}; create it or choose another output")
        if target.is_dir():
            raise OutputError(f"{path} is a folder; give the path of a file")
        self.resumes = resume and self.journal.exists() and self.partial.exists()
        try:
            handle = os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise write_error(str(self.partial), error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise OutputError(
                    f"another run is writing {path}; wait for it or choose another output"
                ) from None
            raise write_error(str(self.partial), error) from None
        self._file = os.fdopen(handle, "r+b", buffering=0)
        if self.journal.exists() and not resume:
            self._file.close()
            raise DataError(
                f"{path} has an unfinished run; go on with --resume, or delete {self.journal} to start again"
            )
        if not self.resumes:
            self._file.truncate(0)
        self.size = 0

    def start_at(self, size: int) -> None:
        """Forgets what was written behind the first ``size`` bytes."""
        if os.fstat(self._file.fileno()).st_size < size:
            raise DataError(
                f"{self.partial} is shorter than its journal says; delete {self.journal} and start again"
            )
        self._file.truncate(size)
        self._file.seek(size)
        self.size = size

    def write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise write_error(self.path, error) from None
        self.size += len(data)

    def sync(self) -> None:
        """Returns when everything written is on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise write_error(self.path, error) from None

    def free(self) -> int:
        """Bytes that the disk still takes."""
        state = os.statvfs(self.partial)
        return state.f_bavail * state.f_frsize

    def finish(self) -> None:
        self.sync()
        self.rename(self.partial)

    def rename(self, complete: Path) -> None:
        """Gives a complete file the output's name."""
        try:
            complete.replace(self.path)
        except OSError as error:
            raise write_error(self.path, error) from None
        sync_folder(Path(self.path).parent)

    def discard(self) -> None:
        """Removes the partial file: there is nothing in it to go on from."""
        self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()


def is_stream(path: str | None) -> bool:
    """Whether the output is standard output, a pipe or a device."""
    if path is None or path == STDIN:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_not_an_input(path: str, sources: tuple[Source, ...]) -> None:
    """DataError where the output, or its partial file, is one of the inputs."""
    for source in sources:
        if source.path == STDIN:
            continue
        names = [Path(source.path, name) for name in source.files] or [Path(source.path)]
        outputs = [Path(path), Path(path + PARTIAL)]
        # os.path.realpath, since Path.resolve() raises where links form a loop.
        real = {os.path.realpath(output) for output in outputs}
        for name in names:
            if os.path.realpath(name) in real or any(
                o.exists() and name.exists() and o.samefile(name) for o in outputs
            ):
                raise DataError(f"the output {path} is one of the inputs; choose another output")


def write_error(path: str, error: OSError) -> OutputError:
    """An OSError of writing → what a person can do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"no space left for {path}; free some and go on with --resume (from a pipe: start again)"
        )
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}; check the folder and its permissions")
