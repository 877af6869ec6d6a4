"""An output is there as a whole or not at all, and nothing else is touched."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from commands import command

from edge_lstm import OutputError
from edge_lstm.system import atomic
from edge_lstm.system.atomic import (
    open_atomically,
    write_atomically,
)


def test_a_file_that_is_made_has_an_ordinary_files_mode_and_a_link_is_replaced() -> None:
    secret = Path("secret")
    secret.write_text("old")
    secret.chmod(0o600)
    Path("a.txt").symlink_to(secret)
    write_atomically("ü", Path("a.txt"))
    mask = os.umask(0)
    os.umask(mask)
    assert Path("a.txt").read_bytes() == "ü".encode()
    assert stat.S_IMODE(Path("a.txt").lstat().st_mode) == 0o666 & ~mask
    assert secret.read_text() == "old"


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode(folder: Path, mode: int) -> None:
    path = Path("a.txt")
    path.write_text("old")
    path.chmod(mode)
    seen = []
    with open_atomically(path) as file:
        seen = [stat.S_IMODE(each.stat().st_mode) for each in folder.glob(".*")]
        file.write(b"new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)
    assert seen == [mode | 0o600], "nor may others read it while it is written"


def killed_at(name: str, act: Callable[[], object]) -> None:
    """A process that SIGKILL ends where it calls a function: fsync, or replace, which renames."""
    pid = os.fork()
    if pid == 0:  # no exception may leave the child: it would run the rest of the tests
        try:
            kill = partial(os.kill, os.getpid(), signal.SIGKILL)
            setattr(os if name == "fsync" else Path, name, lambda *_: kill())
            act()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(
    "line",
    [
        "page -o out",
        "score in.csv -o out.csv",
        pytest.param("score in.csv -o out.parquet", marks=pytest.mark.needs("pyarrow")),
    ],
)
def test_what_a_killed_command_left_goes_with_the_next_run(moment: str, line: str) -> None:
    Path("in.csv").write_text("text\nfine\n")
    killed_at(moment, lambda: command(*line.split()))
    assert len(list(Path().iterdir())) > 1
    command(*line.split())
    assert sorted(path.name for path in Path().iterdir()) == ["in.csv", line.split()[-1]]


def test_what_a_living_process_writes_stays_and_so_does_everything_else(folder: Path) -> None:
    path = Path("a.txt")
    digits = "0123cdef"
    others = {f".{name}.{digits}.partial" for name in ("b.txt", "a.txt.b", "a")}
    others |= {f".a.txt.{digits}.html", ".a.txt.0123.partial", "a.txt.partial"}
    for other in others:
        Path(other).touch()
    linked, inner, soft = (f".a.txt.0000000{i}.partial" for i in range(3))
    Path(linked).hardlink_to("a.txt.partial")
    Path(inner).mkdir()
    Path(soft).symlink_to("a.txt.partial")
    with open_atomically(path) as first:
        write_atomically("second", path)
        first.write(b"first")
    assert path.read_text() == "first"
    assert {each.name for each in folder.iterdir()} == {"a.txt", linked, inner, soft, *others}


def test_without_locks_what_is_left_goes_an_hour_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock(handle: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(atomic, "lock", lock)
    Path(".a.html.0123cdef.partial").touch()
    os.utime(".a.html.0123cdef.partial", (0, 0))
    Path(".a.html.4567890a.partial").touch()
    write_atomically("", Path("a.html"))
    assert {path.name for path in folder.iterdir()} == {"a.html", ".a.html.4567890a.partial"}


def test_what_another_user_left_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Path(".a.html.0123cdef.partial")
    left.touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
        write_atomically("", Path("a.html"))
    assert {path.name for path in folder.iterdir()} == {"a.html", left.name}
    write_atomically("", Path("a.html"))
    assert [path.name for path in folder.iterdir()] == ["a.html"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_sync = os.fsync
    real_replace = Path.replace

    def fsync(handle: int) -> None:
        real_sync(handle)
        state = os.fstat(handle)
        events.append("folder" if stat.S_ISDIR(state.st_mode) else f"{state.st_size} bytes")

    def replace(self: Path, target: Path) -> Path:
        events.append(f"rename to {target.name}")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomically("four", folder / "a.txt")
    assert events == ["4 bytes", "rename to a.txt", "folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_or_quota_says_that_room_is_needed(folder: Path, number: int) -> None:
    path = folder / "a.txt"
    path.write_text("old")
    with (
        pytest.raises(OutputError, match=r"no space left for .*a\.txt; free some, or choose"),
        open_atomically(path) as file,
    ):
        file.write(b"half")
        raise OSError(number, os.strerror(number))
    assert path.read_text() == "old" and [*folder.iterdir()] == [path]


def test_a_pipe_is_written_to_and_stays_a_pipe() -> None:
    pipe = Path("pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(b"through", pipe)
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
