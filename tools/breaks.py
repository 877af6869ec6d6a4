"""Breaks each promise of tests/promises.toml in a copy, and shows that its test goes red.

    python tools/breaks.py [FILE ...] [--register FILE] [--processes N]

FILE: of the project; only the breaks of these files, and those that these tests hold.

A break is a replacement of a few lines that makes a promise untrue, or an option or argument that
is ignored: it has its default, whatever is given. Each test is run without a break first, where it
must pass, and then with each of its breaks, where it must fail. A test that is skipped shows
nothing, so this counts as a failure, too. The exit code is 0 if every break was noticed.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parents[1]
REGISTER = ROOT / "tests" / "promises.toml"
LONGEST_SECONDS = 600  # of one test: what a break makes endless has been noticed
NO_TEST = "no test: "  # begins the reason why no test can notice that an argument is ignored

# Behind a module's last line: a function that is called as if one argument had not been given.
_IGNORING = """

def _ignoring(function, name):
    import functools
    import inspect

    signature = inspect.signature(function)

    @functools.wraps(function)
    def ignoring(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.arguments.pop(name, None)
        return function(*bound.args, **bound.kwargs)

    return ignoring


"""

# Runs tests again and again, each time in a child that has what takes seconds to import; a line of
# JSON names pytest's arguments and environment, and is answered by its exit code. The packages of
# the project are imported by the child. ONNX Runtime reads its variable when it is imported, and
# the project's own setting of it is tried, too.
_RUNNER = """
import json, os, signal, sys, time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
for name in ("pytest", "hypothesis", "numpy", "onnxruntime", "torch", "onnx", "onnx.reference"):
    try:
        __import__(name)
    except ImportError:
        pass
del os.environ["ORT_DISABLE_TELEMETRY"]


def run(arguments, variables, output):
    os.setsid()
    os.environ.update(variables)
    for number, name, how in ((0, os.devnull, os.O_RDONLY), (1, output, 577), (2, output, 577)):
        os.dup2(os.open(name, how, 0o600), number)
    os._exit(int(pytest.main(arguments)))


import pytest

for line in sys.stdin:
    arguments, variables, output, seconds = json.loads(line)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            run(arguments, variables, output)
        finally:
            os._exit(70)
    end = time.monotonic() + seconds
    code = None
    while code is None:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            code = "endless"
        else:
            time.sleep(0.01)
    print(json.dumps(code), flush=True)
"""

# A plugin of pytest that writes each test's outcomes as lines of JSON.
_OUTCOMES = """
import json, os

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        with open(os.environ["OUTCOMES"], "a", encoding="utf-8") as file:
            crash = getattr(report.longrepr, "reprcrash", None)
            line = crash.message.splitlines()[0] if crash and crash.message else ""
            file.write(json.dumps([report.nodeid, report.outcome, line]) + "\\n")
"""


@dataclass(frozen=True)
class Break:
    """A change that makes a promise untrue.

    promise: the sentence.
    test: pytest's name of the test that notices it.
    file: the changed file, from the project's root.
    old, new: what is replaced, once in the file; "" for old: ``new`` is written behind the end.
    """

    promise: str
    test: str
    file: str
    old: str
    new: str

    def applied(self, source: str) -> str:
        """Return the text of the file with the break in it.

        Raises ValueError if ``old`` is not there exactly once.
        """
        if not self.old:
            return source + self.new
        if source.count(self.old) != 1:
            raise ValueError(f"{self.file}: there {source.count(self.old)} times: {self.old!r}")
        return source.replace(self.old, self.new)


def load(path: Path) -> dict[str, Any]:
    """Return the register as it is written."""
    try:
        import tomllib
    except ImportError:  # Python 3.10; pytest brings it
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


def breaks_of(register: dict[str, Any]) -> Iterator[Break]:
    """Yield the breaks of all promises, then those of all ignored arguments."""
    for promise in register.get("promise", []):
        for each in promise["breaks"]:
            yield Break(promise["promise"], **each)
    for target, arguments in register.get("ignored", {}).items():
        for name, test in arguments.items():
            if not test.startswith(NO_TEST):
                yield ignored(target, name, test)


def ignored(target: str, name: str, test: str) -> Break:
    """Return the break that ignores an argument. target: ``module:name`` of a function or class."""
    function, file = found(target)
    if name not in inspect.signature(function).parameters:
        raise ValueError(f"{target} has no argument {name!r}")
    where = function.__qualname__
    if inspect.isclass(function):
        changed = f'{where}.__init__ = _ignoring({where}.__init__, "{name}")\n'
    elif inspect.ismethod(function):  # of the class
        changed = f'{where} = classmethod(_ignoring({where}.__func__, "{name}"))\n'
    else:
        changed = f'{where} = _ignoring({where}, "{name}")\n'
    return Break(f"{target} heeds {name}", test, file, "", _IGNORING + changed)


def found(target: str) -> tuple[Any, str]:
    """Return the function or class of ``module:name``, and the file that defines it."""
    module, _, names = target.partition(":")
    value = import_module(module)
    for each in names.split("."):
        value = getattr(value, each)
    file = sys.modules[value.__module__].__file__ or ""
    return value, Path(file).resolve().relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Outcome:
    """How a test ended. result: passed, failed, skipped, missing or endless."""

    test: str
    result: str
    message: str

    def is_of(self, name: str) -> bool:
        """Whether the test is the named one, or one of its cases."""
        return self.test == name or self.test.startswith((f"{name}[", f"{name}::"))


class Copy:
    """A copy of the work tree, with an environment whose packages are this copy's."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "main"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        environment = self.root / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        # The copy's packages first; then what is installed here. Lines of its .pth files, which
        # name this work tree, are not read.
        here = [path for path in sys.path if path.endswith("site-packages")]
        packages = next(environment.glob("[Ll]ib*/**/site-packages"))
        lines = [self.root, self.root / "export", *here]
        (packages / "copy.pth").write_text("\n".join(map(str, lines)) + "\n", encoding="utf-8")
        (packages / "outcomes.py").write_text(_OUTCOMES, encoding="utf-8")
        self.folder = folder
        self.compiled = folder / "compiled"
        variables = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPYCACHEPREFIX": str(self.compiled),
        }
        variables.pop("PYTEST_ADDOPTS", None)
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        data = ROOT.parent / "shared" / "data"
        if data.is_dir():
            variables.setdefault("EDGE_LSTM_DATA", str(data))
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.runner = subprocess.Popen(
            [environment / scripts / "python", "-c", _RUNNER],
            cwd=self.root,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *tests: str, first: bool = False) -> list[Outcome]:
        """Run tests, up to the first that fails or all.

        A test that is not found, or takes too long, has the outcome "missing" or "endless".
        """
        written = self.folder / "outcomes.jsonl"
        output = self.folder / "output.txt"
        written.unlink(missing_ok=True)
        arguments = ["-p", "outcomes", "-p", "no:xdist", *(["-x"] if first else [])]
        arguments += [f"--basetemp={self.folder / 'temporary'}", *tests]
        asked = [arguments, {"OUTCOMES": str(written)}, str(output), LONGEST_SECONDS]
        assert self.runner.stdin is not None
        assert self.runner.stdout is not None
        self.runner.stdin.write(json.dumps(asked) + "\n")
        self.runner.stdin.flush()
        code = json.loads(self.runner.stdout.readline())
        if code == "endless":
            return [Outcome(test, "endless", f"after {LONGEST_SECONDS} s") for test in tests]
        outcomes = []
        if written.exists():
            rows = written.read_text("utf-8").splitlines()
            outcomes = [Outcome(*json.loads(row)) for row in rows]
        if code not in (0, 1) or not outcomes:
            last = output.read_text("utf-8", "replace").strip().splitlines()[-1:]
            outcomes += [Outcome(test, "missing", "".join(last)) for test in tests]
        return outcomes

    def close(self) -> None:
        """End the process that runs the tests."""
        self.runner.communicate()

    def try_break(self, each: Break, tests: Sequence[str] = ()) -> str:
        """Apply a break and run its test, or others; return what is wrong, "" if one is red."""
        path = self.root / each.file
        source = path.read_text(encoding="utf-8")
        try:
            path.write_text(each.applied(source), encoding="utf-8")
            self._forget(path)
            outcomes = self.run(*(tests or [each.test]), first=True)
        except (ValueError, OSError) as error:
            return f"does not apply: {error}"
        finally:
            path.write_text(source, encoding="utf-8")
            self._forget(path)
        results = {each.result for each in outcomes}
        if results & {"failed", "endless"}:
            return ""
        if "missing" in results:
            return f"cannot be run with its break: {outcomes[-1].message}"
        return "stays green" if "passed" in results else "is skipped"

    def _forget(self, path: Path) -> None:
        """Remove what Python compiled of a file: two versions may have one size and second."""
        folder = self.compiled / path.parent.relative_to(path.anchor)
        for compiled in folder.glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def tried(breaks: Sequence[Break], processes: int) -> Iterator[tuple[Break, str]]:
    """Try each break in one of several copies; yield it with what is wrong, "" for nothing.

    The tests of a file are run together without a break; then come their breaks.
    """
    files: dict[str, list[Break]] = {}
    for each in breaks:
        files.setdefault(each.test.partition("::")[0], []).append(each)
    waiting = deque(sorted(files.values(), key=len, reverse=True))
    results: SimpleQueue[tuple[Break, str] | None] = SimpleQueue()

    def work(folder: Path) -> None:
        try:
            copy = Copy(folder)
            while waiting:
                some = waiting.popleft()
                tests = list(dict.fromkeys(each.test for each in some))
                outcomes = copy.run(*tests)
                without = {test: _wrong_without(test, outcomes) for test in tests}
                for each in some:
                    results.put((each, without[each.test] or copy.try_break(each)))
            copy.close()
        finally:
            results.put(None)

    with tempfile.TemporaryDirectory(prefix="breaks-") as folder, ThreadPoolExecutor() as threads:
        working = [threads.submit(work, Path(folder) / str(each)) for each in range(processes)]
        ended = 0
        while ended < processes:
            result = results.get()
            if result is None:
                ended += 1
            else:
                yield result
        for each in working:
            each.result()


def _wrong_without(test: str, outcomes: Sequence[Outcome]) -> str:
    """Return what is wrong with a test to which nothing was done, or ""."""
    own = [each for each in outcomes if each.is_of(test)]
    wrong = [each for each in own if each.result not in ("passed", "skipped")]
    if wrong:
        return f"is {wrong[0].result} without a break: {wrong[0].message}"
    return "" if any(each.result == "passed" for each in own) else "is skipped"


def main() -> None:
    """Try the breaks of the command line; exit code 1 if one is not noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", help="only breaks of these files or tests")
    parser.add_argument("--register", type=Path, default=REGISTER)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    asked = [Path(name).resolve().relative_to(ROOT).as_posix() for name in arguments.files]
    breaks = [
        each
        for each in breaks_of(load(arguments.register))
        if not asked or any(name in (each.file, each.test.partition("::")[0]) for name in asked)
    ]
    begin = time.monotonic()
    unnoticed = 0
    for each, wrong in tried(breaks, max(1, min(arguments.processes, len(breaks)))):
        unnoticed += bool(wrong)
        print(f"{wrong or 'red':14} {each.test}: {each.promise} [{each.file}]", flush=True)
    promises = len({each.promise for each in breaks})
    minutes = (time.monotonic() - begin) / 60
    print(
        f"\n{len(breaks)} breaks of {promises} promises: {len(breaks) - unnoticed} noticed, "
        f"{unnoticed} not; {minutes:.1f} minutes"
    )
    sys.exit(unnoticed > 0)


if __name__ == "__main__":
    main()
