"""Measures on a device reachable over ssh: takes everything there, runs, brings the result back, cleans up.

The device needs an ssh server, tar and Python 3.10 or newer; not pip, not a network. What goes there is
this package as it is here (or its wheel from ``--wheels``), the wheels it needs, the model files and the
texts; it lies in one temporary folder, which is removed at the end, also after an error or Ctrl-C.

Nothing outlives the command that started it: standard input of the measurement stays open as long as the
command runs here, and where it ends (Ctrl-C, a kill, a lost connection) the device stops and cleans up.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError, EdgeLSTMError
from edge_lstm.latency.result import Result, SettingResult, parse_result
from edge_lstm.latency.settings import Settings
from edge_lstm.latency.texts import Sample, embedded_sample
from edge_lstm.modelfile import open_model

Tell = Callable[[str, float], None]
OLDEST_PYTHON = (3, 10)
OLDEST_GLIBC = 17  # manylinux2014 is glibc 2.17: what older wheels ask for

# On the device: what decides which wheels run there. Works with any Python 3.
_PROBE = (
    "import sys, platform, json; print(json.dumps([list(sys.version_info[:2]), sys.maxsize > 2**32,"
    " platform.machine(), list(platform.libc_ver()), platform.system()]))"
)
# On the device: a wheel is a zip file; nothing else is needed to use it.
_UNPACK = (
    "import sys, zipfile, glob\n"
    "for name in glob.glob('wheels/*.whl'): zipfile.ZipFile(name).extractall('site')"
)

# On the device, in a POSIX shell: measure, and stop when standard input ends. What runs in the background of
# a script has no standard input, so that the watcher gets it by another number. A measurement that does not
# heed the first signal, because it is in the middle of a run or waits for a child, gets the second.
_MEASURE = """\
cd {folder} || exit
PYTHONPATH={folder}/site python3 -m edge_lstm {arguments} & measuring=$!
exec 3<&0
{{ cat <&3; kill $measuring; sleep 2; kill -9 $measuring; }} >/dev/null 2>&1 & watching=$!
exec 3<&-
wait $measuring; code=$?
kill $watching
cd / && rm -rf {folder}
exit $code"""


@dataclass(frozen=True)
class Device:
    """What the probe found: Python version, architecture, C library."""

    host: str
    python: tuple[int, int]
    machine: str
    libc: tuple[str, str]

    def platforms(self) -> list[str]:
        """Tags of wheels that run there, the newest first (PEP 600)."""
        found = re.fullmatch(r"2\.(\d+)", self.libc[1]) if self.libc[0] == "glibc" else None
        newest = int(found[1]) if found else OLDEST_GLIBC
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, OLDEST_GLIBC - 1, -1)]
        return [*tags, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


def measure_over_ssh(
    host: str,
    settings: Settings,
    sample: Sample,
    wheels: Path | None = None,
    *,
    tell: Tell | None = None,
) -> Result:
    """The measurement that ``settings`` say, made on ``host``.

    host: as ``ssh`` takes it, user@host or a name of its configuration; wheels: a folder that holds what
    the device needs, else it is downloaded here with pip. Raises DataError and what the device reports.
    """
    if not host or host.startswith("-"):
        raise DataError(f"--ssh {host!r} is no host; write user@host")
    say: Tell = tell or (lambda what, part: None)
    _ = settings.block_texts  # what cannot be measured is found here, not after copying
    for model in settings.models:
        open_model(model)
    with _connection(host) as ssh, tempfile.TemporaryDirectory(prefix="edge-lstm-") as scratch:
        say(f"asking {host}", 0.0)
        device = _probe(host, ssh)
        say("collecting wheels", 0.1)
        files = wheel_files(device, wheels, Path(scratch))
        say(f"copying to {host}", 0.2)
        # The package's own texts are there already.
        texts = None if sample == embedded_sample() else sample.texts
        folder = ssh("mktemp -d /tmp/edge-lstm-latency-XXXXXXXX").decode().strip()
        if not re.fullmatch(r"/\S+/edge-lstm-latency-\w+", folder):
            raise DataError(f"{host} made no temporary folder ({folder[:80]!r}); check its /tmp")
        try:
            there = shlex.quote(folder)
            ssh(f"cd {there} && tar -xf -", _archive(files, settings.models, texts))
            ssh(f"cd {there} && mkdir -p site && python3 -c {shlex.quote(_UNPACK)}")
            say(f"measuring on {host}", 0.3)
            words = " ".join(map(shlex.quote, _arguments(settings, has_texts=texts is not None)))
            answer = ssh(_MEASURE.format(folder=there, arguments=words), stay=True)
        finally:
            say("cleaning up", 0.9)
            ssh(f"rm -rf {shlex.quote(folder)}")
            say("", 1.0)
    result = parse_result(answer.decode("utf-8", "replace"), f"the answer of {host}")
    return replace(
        result,
        host=host,
        texts=replace(result.texts, source=sample.source),
        settings=tuple(_with_path_here(one, settings) for one in result.settings),
    )


def _with_path_here(one: SettingResult, settings: Settings) -> SettingResult:
    """The path on the device is gone: the file is the one given here."""
    folder = Path(one.model.path).parent.name
    if not folder.isdecimal() or int(folder) >= len(settings.models):
        raise DataError(f"the device answered for another model ({one.model.path[:80]}); measure again")
    return replace(one, model=replace(one.model, path=str(settings.models[int(folder)])))


def wheel_files(device: Device, wheels: Path | None, scratch: Path) -> list[Path]:
    """The wheels to take along. Raises DataError where they cannot be found or downloaded."""
    if wheels is not None:
        found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
        if not found:
            raise DataError(
                f"{wheels} holds no wheels (.whl); fill it with 'pip download', see docs/latency.md"
            )
        return found
    command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "-d", str(scratch)]
    for tag in device.platforms():
        command += ["--platform", tag]
    command += ["--python-version", f"{device.python[0]}.{device.python[1]}", "--implementation", "cp"]
    done = subprocess.run([*command, *_requirements()], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word from pip"])[-1]
        raise DataError(
            f"cannot download wheels for {device.machine}, Python {device.python[0]}.{device.python[1]} "
            f"({last[:160]}); download them elsewhere and give --wheels"
        )
    return sorted(scratch.glob("*.whl"))


def _requirements() -> list[str]:
    try:
        requires = metadata.requires("edge-lstm") or []
    except metadata.PackageNotFoundError:
        raise DataError(
            "edge-lstm is not installed here, so what it needs is unknown; give --wheels"
        ) from None
    return [one for one in requires if "extra ==" not in one]


@contextmanager
def _connection(host: str) -> Iterator[Callable[..., bytes]]:
    """A function that runs a command on the host; one connection, so that a password is asked for once."""
    with tempfile.TemporaryDirectory(prefix="el") as sockets:
        options = ["-o", "ControlMaster=auto", "-o", f"ControlPath={sockets}/c", "-o", "ControlPersist=30"]
        options += ["-o", "ServerAliveInterval=30"]

        def run(command: str, data: bytes = b"", *, stay: bool = False) -> bytes:
            # stay: standard input stays open, and ends when this process does, however it does.
            reading, writing = os.pipe() if stay else (None, None)
            source: dict[str, Any] = {"stdin": reading} if stay else {"input": data}
            try:
                done = subprocess.run(
                    ["ssh", *options, host, command], capture_output=True, check=False, **source
                )
            except FileNotFoundError:
                raise DataError("there is no ssh here; install the OpenSSH client") from None
            finally:
                for handle in (reading, writing):
                    if handle is not None:
                        os.close(handle)
            if done.returncode:
                raise _failure(host, done.returncode, done.stderr.decode("utf-8", "replace"))
            answer: bytes = done.stdout
            return answer

        try:
            yield run
        finally:
            subprocess.run(["ssh", *options, "-O", "exit", host], capture_output=True, check=False)


def _failure(host: str, code: int, stderr: str) -> EdgeLSTMError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {code}"
    if last.startswith("error: "):  # our own line, from the device
        return EdgeLSTMError(f"{host}: {last.removeprefix('error: ')}")
    if code == 255:  # ssh's own
        return DataError(f"ssh cannot reach {host}: {last[:200]}; try 'ssh {host}' first")
    return DataError(f"{host}: {last[:200]}; try 'ssh {host}' and 'python3 --version' there")


def _probe(host: str, ssh: Callable[..., bytes]) -> Device:
    answer = ssh(f"python3 -c {shlex.quote(_PROBE)}").decode("utf-8", "replace")
    try:
        # A shell that greets (motd, .bashrc) writes lines before the answer.
        python, is_64_bit, machine, libc, system = json.loads(answer.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise DataError(f"{host}: python3 gave no usable answer ({answer[:80]!r}); check it there") from None
    if tuple(python) < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise DataError(f"{host} has Python {python[0]}.{python[1]}; edge-lstm needs {wanted} or newer")
    if not is_64_bit:
        raise DataError(
            f"{host} runs a 32-bit Python, for which ONNX Runtime has no wheel; install a 64-bit system"
        )
    if system != "Linux":
        raise DataError(f"{host} runs {system}; --ssh measures on Linux devices")
    return Device(host, (python[0], python[1]), machine, (libc[0], libc[1]))


def _archive(wheels: Sequence[Path], models: Sequence[Path], texts: Sequence[str] | None) -> bytes:
    """Everything the device needs, as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for wheel in wheels:
            tar.add(wheel, f"wheels/{wheel.name}")
        if not any(wheel.name.startswith("edge_lstm-") for wheel in wheels):
            package = Path(__file__).resolve().parents[1]
            tar.add(package, "site/edge_lstm", filter=_without_caches)
        for i, model in enumerate(models):
            tar.add(model, f"models/{i}/{model.name}")
        if texts is not None:
            data = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode("ascii")
            info = tarfile.TarInfo("texts.jsonl")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _without_caches(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info


def _arguments(settings: Settings, *, has_texts: bool) -> list[str]:
    """The options again, for the device's own ``edge-lstm latency``."""
    lists: dict[str, Sequence[object]] = {
        "--threads": settings.threads,
        "--batch-size": settings.batch_sizes,
        "--length": [length for length in settings.lengths if length is not None],
        "--provider": settings.providers,
        "--pin": settings.pin,
    }
    options = {
        "--data": "texts.jsonl" if has_texts else "",
        "--runs": str(settings.runs),
        "--duration": "" if settings.duration_s is None else f"{settings.duration_s:.3f}",
        "--interval": f"{settings.interval_s:.6f}",
        "--cold-starts": str(settings.cold_starts),
        "--seed": str(settings.seed),
        **{option: ",".join(map(str, values)) for option, values in lists.items()},
    }
    arguments = [
        "latency",
        *(f"models/{i}/{model.name}" for i, model in enumerate(settings.models)),
        "--json",
    ]
    for option, value in options.items():
        arguments += [option, value] if value else []
    return arguments
