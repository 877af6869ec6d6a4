"""Python imports this first where PYTHONPATH names its folder: what Windows lacks is gone in that
process.

Over what macOS lacks too: fcntl and its kin do not import, no fork, a child inherits no
descriptors, half of the signals are missing, ``select`` takes sockets only, a file that is open can
be neither renamed nor removed. The lock that Windows has instead (msvcrt) is played by the one that
is here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import runpy
import select
import shutil
import signal
import stat
import subprocess
import sys
import types
from pathlib import PurePath
from typing import Any

_flock = fcntl.flock
_exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
_select = select.select
_statvfs = os.statvfs


def _locking(handle: int, mode: int, size: int) -> None:
    assert mode == msvcrt.LK_NBLCK and size == 1
    # Nothing is written there: Windows would let nobody else read it.
    assert os.lseek(handle, 0, os.SEEK_CUR) > 2**40
    try:
        _flock(handle, _exclusive)
    except OSError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


msvcrt = types.ModuleType("msvcrt")
msvcrt.LK_NBLCK = 2  # type: ignore[attr-defined]
msvcrt.locking = _locking  # type: ignore[attr-defined]


def _is_open(path: Any) -> bool:
    try:
        there = os.lstat(path)
    except OSError:
        return False
    for number in range(256):
        try:
            if stat.S_ISREG(there.st_mode) and os.path.samestat(os.fstat(number), there):
                return True
        except OSError:
            pass
    return False


def _of_a_closed_file(function: Any) -> Any:
    def call(path: Any, *rest: Any, **named: Any) -> Any:
        if any(map(_is_open, [path, *rest[:1]])):
            raise PermissionError(errno.EACCES, "the file is used by a process", path)
        return function(path, *rest, **named)

    return call


def _sockets_only(*waiting: Any) -> Any:
    for one in (*waiting[0], *waiting[1], *waiting[2]):
        if not stat.S_ISSOCK(os.fstat(one if isinstance(one, int) else one.fileno()).st_mode):
            raise OSError(
                errno.ENOTSOCK, "an operation was attempted on something that is not a socket"
            )
    return _select(*waiting)


def _inherits_nothing(self: Any, *arguments: Any, **named: Any) -> None:
    for name in ("pass_fds", "preexec_fn", "start_new_session", "process_group", "umask", "user"):
        assert not named.get(name), f"{name} is not supported on Windows"
    _popen(self, *arguments, **named)


def _disk_usage(path: Any) -> Any:
    state = _statvfs(path)
    return types.SimpleNamespace(free=state.f_bavail * state.f_frsize)


subprocess._USE_POSIX_SPAWN = False  # type: ignore[attr-defined]
shutil.disk_usage = _disk_usage  # Windows has this one
_popen = subprocess.Popen.__init__
subprocess.Popen.__init__ = _inherits_nothing  # type: ignore[method-assign]
select.select = _sockets_only
for _name in ("rename", "replace", "unlink", "remove"):
    setattr(os, _name, _of_a_closed_file(getattr(os, _name)))
for _name in (
    *(
        "fork",
        "forkpty",
        "posix_spawn",
        "statvfs",
        "fstatvfs",
        "getuid",
        "geteuid",
        "getgid",
        "sysconf",
    ),
    *("mkfifo", "killpg", "getpgid", "setsid", "pread", "pwrite", "fchmod", "getloadavg", "nice"),
    *("register_at_fork", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "fdatasync"),
):
    if hasattr(os, _name):
        delattr(os, _name)
for _name in ("SIGHUP", "SIGPIPE", "SIGALRM", "SIGUSR1", "pthread_sigmask", "setitimer", "sigwait"):
    delattr(signal, _name)
for _name in ("fcntl", "resource", "termios", "pwd", "grp", "syslog"):
    sys.modules[_name] = None  # type: ignore[assignment]
sys.modules["msvcrt"] = msvcrt
runpy.run_path(str(PurePath(__file__).parents[1] / "macos" / "sitecustomize.py"))
