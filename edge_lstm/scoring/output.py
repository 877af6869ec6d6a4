"""The output: under another name until it is complete, on the disk before the journal says so."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import select
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from edge_lstm import atomic
from edge_lstm.atomic import ASSEMBLED, JOURNAL, JOURNAL_NEW, PARTIAL
from edge_lstm.errors import DataError, OutputError
from edge_lstm.os_file import NO_FOLLOW, NO_WAIT, lock

_READ_AT_ONCE = 2**20
_TRIES = 1000  # to lock what other runs make and rename all the while


def names_of(path: str | Path) -> list[str]:
    """Every name that a run may write for the output ``path``."""
    return [str(path) + suffix for suffix in ("", PARTIAL, JOURNAL, JOURNAL_NEW, ASSEMBLED)]


class StreamOutput:
    """Standard output, a pipe or a device: nothing can be renamed or resumed."""

    def __init__(self, path: str | None) -> None:
        self.path = path or "standard output"
        try:
            self._file = _standard_output() if path is None else atomic.open_stream(path)
        except OSError as error:
            raise write_error(self.path, error) from None

    def __enter__(self) -> StreamOutput:
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self._file, io.FileIO):  # of its own
            self._file.close()

    def write(self, data: bytes) -> None:
        """Writes bytes behind the others. Raises OutputError, or BrokenPipeError where the reader is gone."""
        try:
            _write_all(self._file, data)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self.path, error) from None


class FileOutput:
    """A file that has its name only when it is complete. Until then ``<name>.partial`` holds the rows and
    ``<name>.resume.json`` says how far it is. Use it as a context: a partial file that no journal speaks of
    goes with it.

    size, digest: what was written so far: bytes, and their SHA-256.
    is_new: whether there was no partial file. is_kept: whether it stays where the run ends before its end.
    """

    def __init__(self, path: str) -> None:
        """Opens or makes the partial file and locks it; changes nothing in it. Raises OutputError."""
        self.path = path
        self.partial, self.journal, self.assembled = (
            Path(path + suffix) for suffix in (PARTIAL, JOURNAL, ASSEMBLED)
        )
        parent = Path(path).parent
        if not parent.is_dir():
            raise OutputError(f"there is no folder {parent}; create it or choose another output")
        if Path(path).is_dir():
            raise OutputError(f"{path} is a folder; give the path of a file")
        self._file, self.is_new = self._open_locked()
        self.size = 0
        self._digest = hashlib.sha256()
        self.is_kept = not self.is_new and os.path.lexists(self.journal)

    def __enter__(self) -> FileOutput:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_kept and self._is_mine():
            try:
                self.partial.unlink(missing_ok=True)
            except PermissionError:  # nor does it remove one
                self._file.close()
                self.partial.unlink(missing_ok=True)
        self._file.close()

    @property
    def digest(self) -> str:
        """SHA-256 of everything written, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def descriptor(self) -> int:
        """Of the partial file."""
        return self._file.fileno()

    def begin(self) -> None:
        """Forgets whatever the partial file holds."""
        self._file.truncate(0)

    def go_on(self, size: int, digest: str) -> None:
        """Goes on behind the first ``size`` bytes, whose SHA-256 is ``digest``. Raises DataError."""
        left = size
        while left and (chunk := self._file.read(min(left, _READ_AT_ONCE))):
            self._digest.update(chunk)
            left -= len(chunk)
        if left or self.digest != digest:
            what = "is shorter than" if left else "does not hold what"
            raise DataError(f"{self.partial} {what} its journal says; delete {self.journal} and start again")
        self._file.truncate(size)
        self.size = size

    def write(self, data: bytes) -> None:
        """Writes bytes behind the others. Raises OutputError."""
        try:
            _write_all(self._file, data)
        except OSError as error:
            raise write_error(self.path, error) from None
        self.size += len(data)
        self._digest.update(data)

    def sync(self, assembled: Path | None = None) -> None:
        """Returns when everything written is on the disk, under the partial file's name, and what was
        assembled from it. Raises OutputError.
        """
        try:
            os.fsync(self._file.fileno())
            if assembled is not None:
                with open(assembled, "r+b", opener=_no_link) as file:
                    os.fsync(file.fileno())
        except OSError as error:
            raise write_error(self.path, error) from None
        if not self._is_mine():
            self.is_kept = False
            raise OutputError(
                f"{self.partial} was removed or replaced while this run wrote it; "
                f"delete {self.journal} and start again"
            )

    def complete(self, whole: Path) -> None:
        """Gives a complete file (the partial one, or what was assembled from it) the output's name."""
        try:
            try:
                whole.replace(self.path)
            except PermissionError:  # Windows renames no file that is open
                self._file.close()
                whole.replace(self.path)
        except OSError as error:
            raise write_error(self.path, error) from None
        atomic.sync_folder(Path(self.path).parent)
        self.is_kept = False

    def _open_locked(self) -> tuple[io.FileIO, bool]:
        """The partial file, and whether it is a new one."""
        for _ in range(_TRIES):
            is_new = not os.path.lexists(self.partial)
            try:
                file = io.FileIO(os.open(self.partial, _OPEN, 0o666), "r+")
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise self._foreign("a symbolic link") from None
                raise write_error(str(self.partial), error) from None
            with ExitStack() as unless_locked:
                unless_locked.callback(file.close)
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise self._foreign("no ordinary file")
                try:
                    lock(file.fileno())
                except BlockingIOError:
                    raise OutputError(
                        f"another run is writing {self.path}; wait for it or choose another output"
                    ) from None
                except OSError as error:
                    raise write_error(str(self.partial), error) from None
                # Until it was locked, another run may have finished: then this is its output by now.
                if self._leads_to(file.fileno()):
                    if os.fstat(file.fileno()).st_nlink > 1:
                        raise self._foreign("another file too (a hard link)")
                    unless_locked.pop_all()
                    return file, is_new
        raise OutputError(f"{self.partial} is another file each time; choose another output")

    def _foreign(self, what: str) -> OutputError:
        return OutputError(f"{self.partial} is {what}; move it away or choose another output")

    def _leads_to(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.lstat(self.partial), os.fstat(handle))
        except OSError:
            return False

    def _is_mine(self) -> bool:
        """Whether the partial file's name still leads to what this run writes."""
        return not self._file.closed and self._leads_to(self.descriptor)


_OPEN = os.O_RDWR | os.O_CREAT | NO_FOLLOW | NO_WAIT


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | NO_FOLLOW)


def _standard_output() -> BinaryIO:
    """Standard output without a buffer: what cannot be written is known at once, and only once."""
    buffer: BinaryIO | None = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        raise OutputError("standard output is closed; name an output with -o")
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # a program's own stream
        return buffer
    sys.stdout.flush()  # what was printed before comes before
    return cast(BinaryIO, io.FileIO(os.dup(descriptor), "w"))


def _write_all(file: BinaryIO | io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = file.write(view)  # a pipe may take a part, or for now nothing if it does not wait
        if written is None:
            select.select([], [file], [])
        else:
            view = view[written:]


def write_error(path: str, error: OSError) -> OutputError:
    """An OSError of writing → what a person can do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"no space left for {path}; free some and go on with --resume (from a pipe: start again)"
        )
    return atomic.write_error(path, error)
