"""Hostile cases: a command, the condition it meets, the exit code, and what may be on the disk
afterwards.

A module of cases is one table of :class:`Case` and one parametrized test that calls :func:`check`.
A case runs in this process where it can (a tenth of the time), and as a process of its own where
streams, signals or
limits are what is hostile: then ``shell`` is a line of bash in which ``$EL`` is the command.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cases import raw, rows

TIMEOUT_SECONDS = 120  # nothing here takes so long: it is for what hangs


@dataclass(frozen=True, kw_only=True)
class Case:
    """One hostile case.

    name: what is hostile, in a few words; the test's id.
    arguments: those of ``edge-lstm``; or shell: a line of bash, in which ``$EL`` is the command.
    given: prepares the folder that the command runs in.
    exit: the exit code, or those that are right.
    says: a part of standard error (exit code 0: of either stream).
    leaves: names that the command may have made in the folder; each other name must be as it was
        before.
    changes: names that were there and may be different afterwards.
    then: checks the folder afterwards.
    """

    name: str
    arguments: tuple[str, ...] = ()
    shell: str = ""
    given: Callable[[Path], object] = lambda _: None
    stdin: bytes = b""
    environment: dict[str, str] = field(default_factory=dict)
    exit: int | tuple[int, ...] = 1
    says: str = ""
    leaves: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    then: Callable[[Path], object] = lambda _: None

    def __str__(self) -> str:
        return self.name


def cases(table: str, *, before: str = "", **shared: Any) -> list[Case]:
    """Cases from a table of text (see ``cases.rows``): ``name | arguments | end | more``.

    arguments: split as a shell does, behind ``before``; or after ``$ `` a line of bash.
    end: what is said by what ends with 1; or ``exit 2``, ``exit 0: what is said``.
    more: cells of what is given, ``a.csv: its content``, ``link -> target``, ``folder/``; and
        ``leaves a b``, ``changes a b``, as in :class:`Case`.
    shared: fields of all cases.
    """
    return [_case(*cells, before=before, shared=shared) for cells in rows(table)]


def _case(
    name: str, line: str, end: str, *more: str, before: str = "", shared: dict[str, Any]
) -> Case:
    fields = dict(shared)
    if line.startswith("$ "):
        fields["shell"] = line[2:]
    else:
        fields["arguments"] = (*shlex.split(before), *shlex.split(line))
        name = f"{fields['arguments'][0]}: {name}"
    ending = re.fullmatch(r"exit ([\d,]+)(?:: (.*))?", end)
    if ending:
        fields["exit"] = tuple(map(int, ending[1].split(",")))
        end = ending[2] or ""
    steps = [shared.get("given", lambda _: None)]
    for cell in more:
        key, _, names = cell.partition(" ")
        if key in ("leaves", "changes"):
            fields[key] = frozenset(names.split(" "))
        else:
            steps.append(given(cell))
    return Case(**{**fields, "name": name, "says": end, "given": both(*steps)})


Prepare = Callable[[Path], object]


def both(*steps: Prepare) -> Prepare:
    """Prepare a folder in steps."""
    return lambda folder: [step(folder) for step in steps]


def given(cell: str) -> Prepare:
    """Make ``link -> target``, ``folder/`` or ``file: its content``."""
    name, arrow, target = cell.partition(" -> ")
    if arrow:
        return lambda folder: (folder / name).symlink_to(target)
    if cell.endswith("/"):
        return lambda folder: (folder / cell).mkdir()
    name, _, content = cell.partition(":")
    return put(name, content.removeprefix(" "))


def put(name: str, content: bytes | str = "precious") -> Prepare:
    """Write a file."""
    data = raw(content) if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


@dataclass(frozen=True)
class Done:
    """What a command did: its exit code and the bytes of both streams."""

    exit: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.stdout.decode()

    @property
    def err(self) -> str:
        """Standard error as text."""
        return self.stderr.decode()


def check(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Done:
    """Runs a case in ``folder`` and holds it to what every command promises.

    The exit code is the wanted one; no traceback; an error is one line that begins with ``error:``
    and says what is wrong and what to do; nothing is left behind or changed that the case does not
    name.
    """
    case.given(folder)
    before = _contents(folder)
    done = in_bash(case, folder) if case.shell else in_process(case, folder, monkeypatch)
    text = done.stderr.decode("utf-8", "replace")
    wanted = case.exit if isinstance(case.exit, tuple) else (case.exit,)
    assert done.exit in wanted, f"exit code {done.exit}\n{text[-2000:]}"
    assert "Traceback" not in text, text[-2000:]
    if done.exit == 1:
        *stages, error = text.strip().splitlines()  # of what takes seconds, on a slow machine
        assert all(re.fullmatch(r"[a-z][\w ,()-]{2,40}", stage) for stage in stages), text
        assert error.startswith("error: "), text
        assert ";" in error or "," in error or "with" in error, f"does not say what to do: {text}"
    assert case.says in text or (done.exit == 0 and case.says.encode() in done.stdout), text
    after = _contents(folder)
    assert after.keys() - before.keys() <= case.leaves, sorted(after.keys() - before.keys())
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed <= case.changes, sorted(changed)
    case.then(folder)
    return done


def in_process(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Done:
    """Runs the command's entry point here, in ``folder``."""
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        for name, value in case.environment.items():
            patch.setenv(name, value)
        return run_here(case.arguments, case.stdin)


def run_here(arguments: Sequence[str], stdin: bytes = b"") -> Done:
    """Runs the command's entry point in this process, with streams of its own."""
    from edge_lstm.cli import main

    streams = [io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")]
    streams += [
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)
    ]
    code: object = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edge-lstm", *arguments])
        for name, stream in zip(("stdin", "stdout", "stderr"), streams):
            patch.setattr(sys, name, stream)
        try:
            main()
        except SystemExit as end:
            code = end.code
    # As Python ends: None is 0, and a message is 1.
    exit_code = 0
    if code is not None:
        exit_code = code if isinstance(code, int) else 1
    return Done(exit_code, *map(_bytes_of, streams[1:]))


def in_bash(case: Case, folder: Path) -> Done:
    """Runs the case's line of bash in a process group of its own; what hangs is killed, and
    fails."""
    # Found by its name, since the path to it may have spaces.
    python = Path(sys.executable)
    environment = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "EL": f"{python.name} -m edge_lstm",
        **case.environment,
    }
    repository = str(Path(__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [repository, environment.get("PYTHONPATH")])
    )
    with subprocess.Popen(
        ["bash", "-c", case.shell],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(case.stdin, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            out, err = process.communicate()
            pytest.fail(f"hangs: {case.shell}\n{err.decode('utf-8', 'replace')[-2000:]}")
    return Done(process.returncode, out, err)


def _bytes_of(stream: io.TextIOWrapper) -> bytes:
    """What was written, also where the command closed the stream."""
    try:
        stream.flush()
        return stream.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]
    except ValueError:
        return b""


def _contents(folder: Path) -> dict[str, bytes]:
    """Relative name → what is there: bytes of a file, the target of a link, the kind of anything
    else."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = b"-> " + os.fsencode(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = b"<%d>" % (path.lstat().st_mode & 0o170000)
    return found


def tar_bytes(
    files: Mapping[str, bytes],
    mode: str = "w:gz",
    extra: Iterable[tuple[tarfile.TarInfo, bytes]] = (),
) -> bytes:
    """A tar of these files, and behind them of members of any kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            tar.addfile(member(name, len(content)), io.BytesIO(content))
        for info, content in extra:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    """What stands in a tar before a file."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    info.linkname = link
    return info
