"""Runs the device wheel on emulated CPUs and compares its answers with this machine's, without hardware.

    python tools/emulated.py prepare     once: packages, an arm64 Python (network; root for debootstrap)
    python tools/emulated.py check       answers for at least 200 texts on every CPU, against this one
    python tools/emulated.py count       instructions that ONNX Runtime executes for a text, per CPU

Needs Debian's qemu-user; for ARM also debootstrap and dpkg. What it makes is kept in
EDGE_LSTM_EMULATED, or in edge-lstm/emulated of the user's cache folder.

Times under emulation say nothing of a real CPU; counts of instructions do say something: they are those
the real CPU would execute, though not how many of them it executes in a nanosecond.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.models import embedded_reviews

PROJECT = Path(__file__).resolve().parents[1]
SUITE = "bookworm"  # its Python is 3.11, its C library new enough for the wheels
ARM_PYTHON = "3.11"
ARM_PLATFORMS = [f"manylinux{which}_aarch64" for which in ("_2_28", "_2_27", "_2_17", "2014")]
Answers = npt.NDArray[np.float64]  # [texts, labels]
TOLERANCE = 1e-3  # of a probability, where the CPU computes in another order

# Runs on the emulated CPU: texts on standard input as JSON, probabilities as exact hexadecimal floats.
ANSWER = """
import json, sys
from edge_lstm import Classifier
request = json.load(sys.stdin)
classifier = Classifier.load(request["model"])
for row in classifier.probabilities(request["texts"], batch_size=request["batch_size"]).tolist():
    print(" ".join(value.hex() for value in row))
"""

# Says where ONNX Runtime's code is in memory; with addresses not randomised, the same in every run.
WHERE = """
import sys
from edge_lstm import Classifier
Classifier.load(sys.argv[1])
for line in open("/proc/self/maps"):
    if "onnxruntime_pybind11_state" in line and line.split()[1].startswith("r-x"):
        print(line.split()[0])
"""

# Marks the log with a system call before and after each text, once everything is warm.
COUNT = """
import json, os, sys
from edge_lstm import Classifier
request = json.load(open(sys.argv[1]))
classifier = Classifier.load(request["model"])
rows = [classifier.model.tokenizer.encode_text(text).ids for text in request["texts"]]
classifier.probabilities_of(rows[:1], batch_size=1)
for row in rows:
    os.getppid()
    classifier.probabilities_of([row], batch_size=1)
    os.getppid()
"""


@dataclass(frozen=True)
class Cpu:
    """An emulated CPU. exact: whether its answers must be the same bits as an AVX2 or AVX-512 machine's."""

    name: str
    emulator: str
    exact: bool

    @property
    def arm(self) -> bool:
        """Whether it needs the arm64 Python."""
        return self.emulator == "qemu-aarch64"


CPUS = (
    Cpu("Haswell", "qemu-x86_64", True),
    Cpu("SandyBridge", "qemu-x86_64", False),
    Cpu("cortex-a72", "qemu-aarch64", False),
    Cpu("cortex-a76", "qemu-aarch64", False),
)


class NotPreparedError(RuntimeError):
    """Something is missing; the text says what, and how to get it."""


def work_folder() -> Path:
    """Where packages and the arm64 Python are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EDGE_LSTM_EMULATED") or cache / "edge-lstm" / "emulated")


def _run(*command: str | Path) -> None:
    print("+", *command, file=sys.stderr)
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def build_wheel(folder: Path) -> Path:
    """The device wheel of this checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("edge_lstm-*.whl"):
        old.unlink()
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, PROJECT)
    return next(folder.glob("edge_lstm-*.whl"))


def prepare(folder: Path) -> None:
    """Everything the checks need, under ``folder``: a package folder for each architecture, an arm64 root."""
    wheel = build_wheel(folder / "wheel")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--upgrade")
    _run(*pip, "--target", folder / "packages-x86_64", wheel)
    platforms = [part for name in ARM_PLATFORMS for part in ("--platform", name)]
    _run(*pip, "--only-binary=:all:", *platforms, "--python-version", ARM_PYTHON, "--implementation", "cp",
         "--target", folder / "packages-aarch64", wheel)  # fmt: skip
    root = folder / "arm64"
    if not (root / f"usr/bin/python{ARM_PYTHON}").exists():
        shutil.rmtree(root, ignore_errors=True)
        # --foreign only downloads: nothing of another architecture is run, no binfmt is needed.
        _run(
            "debootstrap", "--arch=arm64", "--foreign", "--variant=minbase", "--include=python3", SUITE, root
        )
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            _run("dpkg-deb", "-x", package, root)


def refresh(folder: Path) -> None:
    """Puts the package of this checkout, as its wheel holds it, into the folders that ``prepare`` made."""
    wheel = build_wheel(folder / "wheel")
    for packages in (folder / "packages-x86_64", folder / "packages-aarch64"):
        shutil.rmtree(packages / "edge_lstm", ignore_errors=True)
        shutil.unpack_archive(wheel, packages, "zip")


def check_prepared(cpu: Cpu, folder: Path) -> None:
    """Raises NotPreparedError where an emulator, packages or the arm64 Python are missing."""
    if shutil.which(cpu.emulator) is None:
        raise NotPreparedError(f"{cpu.emulator} is missing; install it with: apt install qemu-user")
    needed = [folder / ("packages-aarch64" if cpu.arm else "packages-x86_64")]
    needed += [folder / f"arm64/usr/bin/python{ARM_PYTHON}"] if cpu.arm else []
    for path in needed:
        if not path.exists():
            raise NotPreparedError(f"{path} is missing; run: python tools/emulated.py prepare")


def command_for(cpu: Cpu | None, folder: Path, *options: str) -> tuple[list[str], dict[str, str]]:
    """The command that starts Python on this CPU (None: the machine's own), and its environment."""
    packages = folder / ("packages-aarch64" if cpu and cpu.arm else "packages-x86_64")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "PYTHONHASHSEED": "0"}
    python = str(Path(sys.executable).resolve())  # the installation's own: no venv's packages come in
    if cpu is None:
        return [python, "-S"], environment
    if cpu.arm:
        root = folder / "arm64"
        python = str(root / f"usr/bin/python{ARM_PYTHON}")
        options = ("-L", str(root), *options)
    return [cpu.emulator, "-cpu", cpu.name, *options, python, "-S"], environment


def answers(
    cpu: Cpu | None, folder: Path, texts: Sequence[str], model: Path | None = None, batch_size: int = 1
) -> Answers:
    """Return the probabilities of the texts on this CPU, exact to the bit: float64 [texts, labels]."""
    command, environment = command_for(cpu, folder)
    request = {"texts": list(texts), "model": str(model) if model else None, "batch_size": batch_size}
    line = [*command, "-c", ANSWER]
    done = subprocess.run(
        line, input=json.dumps(request), capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        where = cpu.name if cpu else "this machine"
        raise RuntimeError(f"{where}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return np.array([[float.fromhex(p) for p in line.split()] for line in done.stdout.splitlines()])


def sample_texts(count: int = 240, seed: int = 0) -> list[str]:
    """The package's reviews, then texts made of their words: from 1 to 700 words long."""
    texts = [*embedded_reviews()]
    words = [word for text in texts for word in text.split()]
    rng = random.Random(seed)
    while len(texts) < count:
        texts.append(" ".join(rng.choices(words, k=round(700 ** rng.random()))))
    return texts[:count]


@dataclass(frozen=True)
class Difference:
    """How two lists of answers differ. flipped: texts whose label differs; far: those of them whose best
    label was ahead by more than twice the tolerance.
    """

    texts: int
    largest: float
    identical: bool
    flipped: int
    far: int


def compare(mine: Answers, theirs: Answers) -> Difference:
    """Return how answers differ; RuntimeError where there are more or fewer of them."""
    if mine.shape != theirs.shape:
        raise RuntimeError(f"{len(theirs)} answers for {len(mine)} texts")
    flipped = mine.argmax(axis=1) != theirs.argmax(axis=1)
    top = np.sort(mine, axis=1)
    far = flipped & (top[:, -1] - top[:, -2] > 2 * TOLERANCE)
    largest, identical = float(np.abs(mine - theirs).max()), bool((mine == theirs).all())
    return Difference(len(mine), largest, identical, int(flipped.sum()), int(far.sum()))


def holds(cpu: Cpu, difference: Difference) -> bool:
    """Whether the promise holds: the same bits, or within the tolerance and no label flipped beyond it."""
    if cpu.exact:
        return difference.identical
    return difference.largest <= TOLERANCE and difference.far == 0


def code_range(cpu: Cpu, folder: Path, model: Path) -> str:
    """Where ONNX Runtime's code lies in the emulated process, as qemu's -dfilter takes it."""
    command, environment = command_for(cpu, folder)
    line = ["setarch", "-R", *command, "-c", WHERE, str(model)]
    where = subprocess.run(line, capture_output=True, text=True, env=environment, check=True).stdout
    low, high = (int(part, 16) for part in where.split()[0].split("-"))
    return f"{low:#x}..{high - 1:#x}"


def count_instructions(cpu: Cpu, folder: Path, model: Path, texts: Sequence[str]) -> list[int]:
    """Instructions executed inside ONNX Runtime's own code for each text alone.

    Debian's qemu-user has no plugins. Its log does as well: it lists the instructions of every block it
    translates and every execution of a block, and a system call before and after each text marks where
    the text begins and ends. Only code between two addresses is logged, which are known beforehand as
    addresses are not randomised (setarch -R).
    """
    request = folder / "count.json"
    request.write_text(json.dumps({"model": str(model), "texts": list(texts)}))
    log = ("-d", "exec,nochain,in_asm,strace", "-dfilter", code_range(cpu, folder, model))
    command, environment = command_for(cpu, folder, *log)
    with subprocess.Popen(
        ["setarch", "-R", *command, "-c", COUNT, str(request)], stderr=subprocess.PIPE, env=environment
    ) as process:
        stream = process.stderr
        assert stream is not None
        counts = count_between_marks(iter(lambda: stream.read(1 << 20), b""))
    if process.returncode or len(counts) != len(texts):
        counted = f"{len(counts)} of {len(texts)} texts counted"
        raise RuntimeError(f"{cpu.name}: exit {process.returncode}, {counted}")
    return counts


_MARK = re.compile(rb"^\d+ getppid\(.*\n", re.MULTILINE)
_TRANSLATED = re.compile(rb"^IN:.*\n0x0*([0-9a-f]+):.*\n(?:0x.*\n)*", re.MULTILINE)
# Trace 0 is the first thread, which runs the network. ONNX Runtime has others, which wait, and poll now and
# then: with them the counts differ from run to run, on a slow emulated CPU twofold.
_EXECUTED = re.compile(rb"^Trace 0: .*\[[0-9a-f]+/0*([0-9a-f]+)/", re.MULTILINE)


def count_between_marks(chunks: Iterable[bytes]) -> list[int]:
    """qemu's log in pieces → instructions executed between each pair of marks."""
    sizes: dict[bytes, int] = {}  # of a translated block, by the address of its first instruction
    counts: list[int] = []
    inside, total, rest = False, 0, b""
    for chunk in chain(chunks, (b"Trace ",)):
        # The list of a block's instructions is complete where the next execution begins.
        whole, trace, after = (rest + chunk).rpartition(b"Trace ")
        rest = trace + after
        for i, part in enumerate(_MARK.split(whole)):
            if i:
                if inside:
                    counts.append(total)
                inside, total = not inside, 0
            for block in _TRANSLATED.finditer(part):
                sizes[block[1]] = block[0].count(b"\n0x")
            if inside:
                total += sum(sizes[address] for address in _EXECUTED.findall(part))
    return counts


def _print_check(cpus: Sequence[Cpu], folder: Path, texts: Sequence[str], model: Path | None) -> bool:
    mine = answers(None, folder, texts, model)
    print(f"{len(texts)} texts, {np.bincount(mine.argmax(axis=1)).tolist()} of each label")
    print(f"{'CPU':<14}{'largest difference':>20}{'same bits':>12}{'labels differ':>15}  promise")
    fine = True
    for cpu in cpus:
        d = compare(mine, answers(cpu, folder, texts, model))
        fine &= holds(cpu, d)
        same, verdict = "yes" if d.identical else "no", "holds" if holds(cpu, d) else "BROKEN"
        print(f"{cpu.name:<14}{d.largest:>20.2e}{same:>12}{d.flipped:>15}  {verdict}", flush=True)
    return fine


def _print_count(cpus: Sequence[Cpu], folder: Path, model: Path, lengths: Sequence[int]) -> None:
    words = " ".join(sample_texts(92)).split()
    # Words that are one token each make a text of exactly that many tokens, the start token included.
    plain = [word for word in words if word.isascii() and word.isalpha()]
    texts = [" ".join(plain[start : start + n - 1]) for start, n in zip(range(0, 10_000, 700), lengths)]
    print("instructions executed inside ONNX Runtime for one text, batch 1")
    print(f"{'CPU':<14}" + "".join(f"{f'{n} tokens':>14}" for n in lengths) + f"{'per token':>12}")
    for cpu in cpus:
        counts = count_instructions(cpu, folder, model, texts)
        slope = (counts[-1] - counts[0]) / (lengths[-1] - lengths[0])
        print(f"{cpu.name:<14}{''.join(f'{n:>14,}' for n in counts)}{slope:>12,.0f}", flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("step", choices=("prepare", "check", "count"))
    parser.add_argument("--cpu", action="append", choices=[cpu.name for cpu in CPUS], help="default: all")
    parser.add_argument("--model", type=Path, help="default: the embedded model")
    parser.add_argument("--texts", type=int, default=240)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 50, 200, 600])
    arguments = parser.parse_args()
    folder = work_folder()
    if arguments.step == "prepare":
        prepare(folder)
        return 0
    cpus = [cpu for cpu in CPUS if not arguments.cpu or cpu.name in arguments.cpu]
    for cpu in cpus:
        check_prepared(cpu, folder)
    refresh(folder)
    if arguments.step == "check":
        return 0 if _print_check(cpus, folder, sample_texts(arguments.texts), arguments.model) else 1
    model = arguments.model or PROJECT / "edge_lstm/models/sentiment.int8.onnx"
    _print_count(cpus, folder, model.resolve(), arguments.lengths)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NotPreparedError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
