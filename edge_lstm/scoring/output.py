"""The output of a run: a file that gets its name when it is complete, or a stream.

What the journal says is written is on the disk before.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from edge_lstm.checked import check_same
from edge_lstm.errors import DataError, OutputError
from edge_lstm.scoring.journal import ROOM, Entry, read_journal, write_journal
from edge_lstm.system import atomic
from edge_lstm.system.atomic import JOURNAL, PARTIAL, rename_or_remove, write_errors
from edge_lstm.system.os_file import NO_FOLLOW, NO_WAIT, leads_to, lock
from edge_lstm.tables.schema import Checksum

# Attempts to lock a partial file. Other runs may make and rename it all the while.
_TRIES = 1000


def names_of(path: str | Path) -> list[str]:
    """Return every name that a run may write for the output ``path``."""
    return [str(path) + suffix for suffix in ("", PARTIAL, JOURNAL)]


@contextmanager
def stream_output(path: str | None) -> Iterator[Callable[[bytes], None]]:
    """Open standard output, a pipe or a device, and yield a function that writes bytes into it.

    path: None for standard output.

    Raises OutputError. The function raises it too, or BrokenPipeError if the reader is gone.
    """
    name = path or "standard output"
    with write_errors(name, ROOM):
        file = _standard_output() if path is None else atomic.open_stream(path)

    def write(data: bytes) -> None:
        with write_errors(name, ROOM):
            _write_all(file, data)
            file.flush()

    try:
        yield write
    finally:
        # A program's own stream stays open.
        if isinstance(file, io.FileIO):
            file.close()


class FileOutput:
    """An output file that gets its name when it is complete.

    Until then ``<name>.partial`` holds the rows, and ``<name>.resume.json`` says how far it is. At
    the end of the context, a partial file without a journal is removed. If a killed process has
    left one, the next run takes it over. The output keeps the permissions of an earlier one.

    is_kept: whether the partial file stays if the run is interrupted.
    """

    def __init__(self, path: str, run: dict[str, Any] | None = None) -> None:
        """Open or make the partial file and lock it; change nothing in it.

        run: everything that decides the bytes of the output, as JSON has it; None for no journal.

        Raises OutputError.
        """
        self.path = path
        self.partial = Path(path + PARTIAL)
        self.journal = Path(path + JOURNAL)
        self._run = run
        atomic.check_writable(Path(path))
        self._file, self._is_new = self._open_locked()
        atomic.keep_mode(Path(path), self.descriptor)
        self._size = 0
        self._checksum = Checksum()
        self.is_kept = not self._is_new and os.path.lexists(self.journal)

    def __enter__(self) -> FileOutput:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_kept and self._is_mine():
            rename_or_remove(self._file, lambda: self.partial.unlink(missing_ok=True))
        self._file.close()

    @property
    def descriptor(self) -> int:
        """The descriptor of the partial file."""
        return self._file.fileno()

    def unfinished(self, *, resume: bool) -> Entry | None:
        """Return the point at which an unfinished run of this output stopped, or None.

        resume: this run goes on from there.

        Raises DataError if this run would destroy an unfinished one, or is not the same.
        """
        if not os.path.lexists(self.journal):
            return None
        if self._is_new:
            # Its run was killed after the output had got its name.
            read_journal(self.journal)
            self.journal.unlink()
            return None
        if not resume or self._run is None:
            raise DataError(
                f"{self.path} has an unfinished run; "
                f"continue with --resume, or delete {self.journal} to start again"
            )
        entry, run = read_journal(self.journal)
        check_same(run, self._run, self.journal)
        return entry

    def begin(self, head: bytes) -> None:
        """Write ``head`` to an empty partial file. Raises OutputError."""
        self._file.truncate(0)
        self.write(head)

    def go_on(self, entry: Entry) -> None:
        """Go on after the bytes that an unfinished run has written.

        Raises DataError if the partial file does not hold them.
        """
        left = entry.output_bytes
        while left and (chunk := self._file.read(min(left, 2**20))):
            self._checksum.update(chunk)
            left -= len(chunk)
        if left or str(self._checksum) != entry.output_checksum:
            what = "is shorter than its journal says" if left else "does not match its journal"
            raise DataError(f"{self.partial} {what}; delete {self.journal} and start again")
        self._size = self._file.truncate(entry.output_bytes)

    def write(self, data: bytes) -> None:
        """Append bytes. Raises OutputError."""
        with write_errors(self.path, ROOM):
            _write_all(self._file, data)
        self._size += len(data)
        self._checksum.update(data)

    def checkpoint(self, input_checksum: str, counts: dict[str, Any]) -> None:
        """Write the point that is reached to the journal, if there is one.

        input_checksum: of the input that was read for it.
        counts: the state of the summary.

        Raises OutputError.
        """
        if self._run is None:
            return
        self._sync()
        entry = Entry(
            rows=counts["rows"],
            output_bytes=self._size,
            output_checksum=str(self._checksum),
            input_checksum=input_checksum,
            counts=counts,
        )
        write_journal(self.journal, self._run, entry)
        self.is_kept = True

    def complete(self, assemble: Callable[[Path, BinaryIO], None] | None) -> None:
        """Give the output its name.

        assemble: writes the output, its second argument, from the partial file, its first; None if
            the partial file is the output.

        Raises OutputError.
        """
        self._sync()
        path = Path(self.path)
        if assemble is not None:
            with atomic.open_atomically(path, room=ROOM) as file:
                assemble(self.partial, file)
                self._sync()
        else:
            with write_errors(path, ROOM):
                atomic.give_name(self.partial, self._file, path)
            atomic.sync_folder(path.parent)
        self.forget()

    def forget(self) -> None:
        """Remove the journal: the run is complete, or its input is wrong."""
        self.is_kept = False
        if self._run is not None:
            self.journal.unlink(missing_ok=True)
        # A run that was killed while it wrote its journal may have left a part of one.
        atomic.remove_leftovers(self.journal)

    def _sync(self) -> None:
        """Return when the partial file is on the disk.

        Raises OutputError, also if the partial file has lost its name.
        """
        with write_errors(self.path, ROOM):
            os.fsync(self._file.fileno())
        if not self._is_mine():
            self.is_kept = False
            raise OutputError(
                f"{self.partial} was removed or replaced while this run wrote it; "
                f"delete {self.journal} and start again"
            )

    def _open_locked(self) -> tuple[io.FileIO, bool]:
        """Return the partial file, and whether it is a new one."""
        for _ in range(_TRIES):
            is_new = not os.path.lexists(self.partial)
            if self.partial.is_symlink():
                raise self._foreign("a symbolic link")
            with write_errors(self.partial, ROOM):
                handle = os.open(self.partial, os.O_RDWR | os.O_CREAT | NO_FOLLOW | NO_WAIT, 0o666)
                file = io.FileIO(handle, "r+")
            with ExitStack() as unless_locked:
                unless_locked.callback(file.close)
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise self._foreign("not a regular file")
                with write_errors(self.partial, ROOM):
                    try:
                        lock(file.fileno())
                    except BlockingIOError:
                        raise OutputError(
                            f"another run is writing {self.path}; "
                            "wait for it or choose another output"
                        ) from None
                # Another run may have finished before the lock. Then this is its output by now.
                if leads_to(self.partial, file.fileno()):
                    if os.fstat(file.fileno()).st_nlink > 1:
                        raise self._foreign("another file too (a hard link)")
                    unless_locked.pop_all()
                    return file, is_new
        raise OutputError(f"{self.partial} is a different file each time; choose another output")

    def _foreign(self, what: str) -> OutputError:
        return OutputError(f"{self.partial} is {what}; move it away or choose another output")

    def _is_mine(self) -> bool:
        """Return whether the partial file still has its name."""
        return not self._file.closed and leads_to(self.partial, self.descriptor)


def _standard_output() -> BinaryIO:
    """Return standard output without a buffer, so that each error is raised at once, and once."""
    buffer: BinaryIO | None = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        raise OutputError("standard output is closed; name an output with -o")
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        # It is a program's own stream.
        return buffer
    # Earlier output comes first.
    sys.stdout.flush()
    return cast(BinaryIO, io.FileIO(os.dup(descriptor), "w"))


def _write_all(file: BinaryIO | io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        # A pipe may take a part. One that does not block may take nothing for now.
        written = file.write(view)
        if written is None:
            select.select([], [file], [])
        else:
            view = view[written:]
