"""An output is there as a whole or not at all, and nothing else is touched."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from edge_lstm import atomic
from edge_lstm.atomic import (
    check_distinct,
    check_writable,
    open_atomically,
    own_descriptor,
    write_atomically,
)
from edge_lstm.cli import run
from edge_lstm.errors import DataError, OutputError


def test_a_file_is_replaced_as_a_whole_with_an_ordinary_files_mode(tmp_path: Path) -> None:
    path = Path("a.txt")
    path.write_text("old")
    write_atomically("ü", path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.read_bytes() == "ü".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = Path("a.txt")
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_atomically(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = Path("a.txt")
    path.write_text("old")
    path.chmod(mode)
    seen = []
    with open_atomically(path) as file:
        seen = [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob(".*")]
        file.write(b"new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)
    assert seen == [mode | 0o600], "nor may others read it while it is written"


def test_a_link_that_is_replaced_is_a_new_file() -> None:
    Path("secret").write_text("old")
    Path("secret").chmod(0o600)
    Path("link").symlink_to("secret")
    write_atomically("new", "link")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(Path("link").lstat().st_mode) == 0o666 & ~mask
    assert Path("secret").read_text() == "old"


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
@pytest.mark.parametrize("mode", [None, 0o400])
def test_what_a_killed_process_left_goes_with_the_next_output(
    tmp_path: Path, moment: str, mode: int | None
) -> None:
    path = Path("a.html")
    if mode is not None:
        path.touch(mode)
    killed_at(moment, lambda: write_atomically("half", path))
    assert len(list(tmp_path.glob(".a.html.*.partial"))) == 1
    write_atomically("whole", path)
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "whole"


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize(
    "line",
    [
        "page -o out",
        "score in.csv -o out.csv",
        pytest.param("score in.csv -o out.parquet", marks=pytest.mark.needs("pyarrow")),
    ],
)
def test_and_with_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("text\nfine\n")
    killed_at(moment, lambda: run(line.split()))
    assert len(list(tmp_path.iterdir())) > 1
    run(line.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", line.split()[-1]]


def test_what_a_living_process_writes_stays_and_so_does_everything_else(tmp_path: Path) -> None:
    path = Path("a.txt")
    digits = "0123cdef"
    others = {f".{name}.{digits}.partial" for name in ("b.txt", "a.txt.b", "a")}
    others |= {
        tmp_path / name
        for name in (f".a.txt.{digits}.html", ".a.txt.0123.partial", "a.txt.partial")
    }
    for other in others:
        other.touch()
    linked, folder, soft = (f".a.txt.0000000{i}.partial" for i in range(3))
    linked.hardlink_to("a.txt.partial")
    folder.mkdir()
    soft.symlink_to("a.txt.partial")
    with open_atomically(path) as first:
        write_atomically("second", path)
        first.write(b"first")
    assert path.read_text() == "first"
    assert set(tmp_path.iterdir()) == {path, linked, folder, soft, *others}


def test_without_locks_what_is_left_goes_an_hour_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock(handle: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(atomic, "lock", lock)
    left, new = (f".a.html.{digits}.partial" for digits in ("0123cdef", "4567890a"))
    left.touch()
    new.touch()
    os.utime(left, (0, 0))
    write_atomically("", "a.html")
    assert set(tmp_path.iterdir()) == {"a.html", new}


def test_a_pipe_is_written_to_and_stays_a_pipe() -> None:
    pipe = Path("pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(b"through", pipe)
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_dev_stdout_is_this_process_s_own_also_where_a_file_or_a_link_leads_to_it() -> None:
    link = Path("out")
    target = Path("redirected")
    link.symlink_to("/dev/stdout")
    assert own_descriptor(link) == own_descriptor("/dev/stdout") == 1
    code = (
        "import sys; from pathlib import Path; from edge_lstm.atomic import write_atomically\n"
        "print('before')\n"
        "for name in sys.argv[1:]: write_atomically(b'by name\\n', Path(name))"
    )
    with target.open("wb") as file:
        subprocess.run(
            [sys.executable, "-c", code, "/dev/stdout", str(link)], stdout=file, check=True
        )
    assert target.read_text() == "before\nby name\nby name\n"
    assert link.is_symlink()


def test_two_names_of_one_file_are_found(tmp_path: Path) -> None:
    Path("a").write_text("a")
    Path("hard").hardlink_to("a")
    Path("soft").symlink_to("a")
    Path("loop").symlink_to("loop")
    for name in ("a", "hard", "soft", "./a", "../" + tmp_path.name + "/a"):
        with pytest.raises(DataError, match="one of the inputs"):
            check_distinct([tmp_path / name], ["a"])
    with pytest.raises(DataError, match="two outputs"):
        check_distinct(["new", f"{tmp_path}/./new"])
    check_distinct(["new", "loop", "/dev/null", "/dev/null"], ["a"])


def test_folders_that_are_missing_are_made_where_that_is_asked_for() -> None:
    with pytest.raises(OutputError, match="no folder"):
        check_writable("no" / "new")
    write_atomically(b"new", "no" / "new", parents=True)
    assert ("no" / "new").read_bytes() == b"new"
