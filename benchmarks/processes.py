"""The environments of a run, made where they are missing, and its processes: the converters that make every
tool's file, and each peer with its model loaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lineup import REQUIREMENTS, Contender, Conversion

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
_NOT_THE_TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
# Set by some hosts for old builds of OpenBLAS; they would slow the newer one that the peers bring.
_NOT_PASSED_ON = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "VIRTUAL_ENV")


class CannotTakePartError(Exception):
    """An environment cannot be made, a conversion failed, or a peer ended or answered with an error: one line
    that says why."""


@dataclass(frozen=True)
class Environment:
    """A ready virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def installed_bytes(self) -> int:
        """Return the bytes of all files in site-packages, without those of pip and setuptools."""
        entries = self.folder.glob("lib/python3*/site-packages/*")
        counted = [e for e in entries if not {e.name, e.name.split("-")[0]} & {*_NOT_THE_TOOLS}]
        files = [f for entry in counted for f in (entry.rglob("*") if entry.is_dir() else [entry])]
        return sum(file.lstat().st_size for file in files if not file.is_dir())


def ensure(name: str, cache: Path) -> Environment:
    """Return the environment `name` under `cache`, made if it is missing or if its requirements changed; that
    of the checkout is always made. Raises CannotTakePartError with pip's last error line where it cannot be
    installed.
    """
    folder = cache / "environments" / name
    asked = "\n".join((sys.version.split()[0], *REQUIREMENTS[name])) + "\n"
    stamp = folder / "installed.txt"
    if "." in REQUIREMENTS[name] or not (stamp.exists() and stamp.read_text() == asked):
        shutil.rmtree(folder, ignore_errors=True)
        _pip([sys.executable, "-m", "venv", str(folder)], name)
        _pip([str(folder / "bin" / "pip"), "install", "--quiet", *REQUIREMENTS[name]], name)
        stamp.write_text(asked)  # last: a half-made environment is made again
    return Environment(folder)


def _pip(command: list[str], name: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no output"]
        raise CannotTakePartError(f"{name}: {errors[-1].strip()}")


@dataclass(frozen=True)
class Workplace:
    """What all peers share. texts: see documents.prepare; weights: of the seed network, .npz; threads: of a
    process."""

    cache: Path
    texts: Path
    weights: Path
    threads: int = 1
    ensure: Callable[[str, Path], Environment] = ensure

    @property
    def models(self) -> Path:
        """The folder of the converted files, named by the digest of the seed network's weights."""
        return self.cache / "models" / hashlib.sha256(self.weights.read_bytes()).hexdigest()[:12]


class Entrant:
    """A contender with its environment and its files. Raises CannotTakePartError where one cannot be had."""

    def __init__(self, contender: Contender, place: Workplace) -> None:
        self.contender, self.place = contender, place
        self.environment = place.ensure(contender.environment, place.cache)
        # What has to be copied to the device.
        self.model_files = [place.models / name for name in (contender.model, *contender.files)]
        for path in self.model_files:
            if not path.exists():
                raise CannotTakePartError(f"there is no {path.name}: it could not be converted")


class Child:
    """One contender's process with its model and texts loaded; raises CannotTakePartError. `started_ns` to
    `first_answer_ns` is its cold start."""

    def __init__(self, entrant: Entrant, texts: Path) -> None:
        contender, place = entrant.contender, entrant.place
        self._name, self._log = contender.name, place.cache / "peers.log"
        command = [str(entrant.environment.python), "-m", *contender.runner]
        self.started_ns = time.perf_counter_ns()
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=_environment(place.threads), text=True, bufsize=1,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        model, documents = entrant.model_files[0], texts / contender.documents
        asked = {"model": str(model), "documents": str(documents), "options": dict(contender.options)}
        try:
            self.loaded = self.ask(cmd="load", threads=place.threads, **asked)
        except CannotTakePartError:
            self.__exit__()
            raise
        self.first_answer_ns = time.perf_counter_ns()

    def ask(self, **command: Any) -> Json:
        """Send one command and wait for its answer. Raises CannotTakePartError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            raise CannotTakePartError(f"{self._name}: process ended with status {status}; see {self._log}")
        answer: Json = json.loads(line)
        if "error" in answer:
            raise CannotTakePartError(f"{self._name}: {answer['error']}")
        return answer

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process by closing its input; it is killed if it does not end within 10 s."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def convert_all(conversions: Sequence[Conversion], place: Workplace) -> dict[str, str]:
    """Convert the networks into every tool's files unless that was done; return what failed → why."""
    place.models.mkdir(parents=True, exist_ok=True)
    failed = {}
    for conversion in conversions:
        source = place.weights if conversion.source == "weights" else place.texts / conversion.source
        done = place.models / f"{conversion.name}.{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.done"
        try:
            if not done.exists():
                convert(conversion, source, place.models, place)
                done.touch()
        except CannotTakePartError as error:
            failed[f"conversion, {conversion.name}"] = str(error)
    return failed


def convert(conversion: Conversion, source: Path, target: Path, place: Workplace) -> None:
    """Run a converter. Raises CannotTakePartError, also where it ends with an error."""
    print(f"converting: {conversion.name}", file=sys.stderr)
    python = place.ensure(conversion.environment, place.cache).python
    command = [python, "-m", "benchmarks.convert", conversion.name, source.absolute(), target.absolute()]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=_environment(1), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise CannotTakePartError(f"status {done.returncode}: {last}")


def _environment(threads: int) -> dict[str, str]:
    """This process's, without its packages, and with every thread pool that reads a variable held to
    `threads`."""
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return inherited | dict.fromkeys(pools, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "2"}
