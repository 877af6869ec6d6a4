"""An output is there as a whole or not at all, and nothing else is touched."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge_lstm.atomic import check_distinct, check_writable, open_atomically, own_descriptor, write_atomically
from edge_lstm.cli.options import check_outputs
from edge_lstm.errors import DataError, OutputError


def test_a_file_is_replaced_as_a_whole_with_an_ordinary_files_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_atomically("ü", path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.read_bytes() == "ü".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_atomically(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_run_left_goes_an_hour_later(tmp_path: Path) -> None:
    left, new = (tmp_path / f".a.html.{digits}.partial" for digits in ("0123cdef", "4567890a"))
    left.touch()
    new.touch()
    os.utime(left, (0, 0))
    check_outputs([tmp_path / "a.html"], [])
    assert list(tmp_path.iterdir()) == [new]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(b"through", pipe)
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_dev_stdout_is_this_process_s_own_also_where_a_file_or_a_link_leads_to_it(tmp_path: Path) -> None:
    link, target = tmp_path / "out", tmp_path / "redirected"
    link.symlink_to("/dev/stdout")
    assert own_descriptor(link) == own_descriptor("/dev/stdout") == 1
    code = (
        "import sys; from pathlib import Path; from edge_lstm.atomic import write_atomically\n"
        "print('before')\n"
        "for name in sys.argv[1:]: write_atomically(b'by name\\n', Path(name))"
    )
    with target.open("wb") as file:
        subprocess.run([sys.executable, "-c", code, "/dev/stdout", str(link)], stdout=file, check=True)
    assert target.read_text() == "before\nby name\nby name\n"
    assert link.is_symlink()


def test_two_names_of_one_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    (tmp_path / "soft").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("a", "hard", "soft", "./a", "../" + tmp_path.name + "/a"):
        with pytest.raises(DataError, match="one of the inputs"):
            check_distinct([tmp_path / name], [tmp_path / "a"])
    with pytest.raises(DataError, match="two outputs"):
        check_distinct([tmp_path / "new", f"{tmp_path}/./new"])
    check_distinct([tmp_path / "new", tmp_path / "loop", "/dev/null", "/dev/null"], [tmp_path / "a"])


def test_folders_that_are_missing_are_made_where_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        check_writable(tmp_path / "no" / "new")
    write_atomically(b"new", tmp_path / "no" / "new", parents=True)
    assert (tmp_path / "no" / "new").read_bytes() == b"new"
