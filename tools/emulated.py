"""The device wheel on emulated CPUs: its answers can be compared with this machine's without
hardware.

    python tools/emulated.py    # once: packages, an arm64 Python (network; root for debootstrap)
    pytest -m emulated tests/end_to_end/test_emulated.py

Needs Debian's qemu-user; for ARM also debootstrap and dpkg. What it makes is kept in
EDGE_LSTM_EMULATED, or in edge-lstm/emulated of the user's cache folder.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.models import example_texts

PROJECT = Path(__file__).resolve().parents[1]
SUITE = "bookworm"  # its Python is 3.11, its C library new enough for the wheels
ARM_PYTHON = "3.11"
ARM_PLATFORMS = [f"manylinux{which}_aarch64" for which in ("_2_28", "_2_27", "_2_17", "2014")]
Answers = npt.NDArray[np.float64]  # [texts, labels]
TOLERANCE = 1e-3  # of a probability, where the CPU computes in another order

# Runs on the emulated CPU: texts on standard input as JSON, probabilities as exact hexadecimal
# floats.
ANSWER = """
import json, sys
from edge_lstm import Classifier
request = json.load(sys.stdin)
classifier = Classifier.load()
for row in classifier.probabilities(request["texts"], batch_size=request["batch_size"]).tolist():
    print(" ".join(value.hex() for value in row))
"""


@dataclass(frozen=True)
class Cpu:
    """An emulated CPU. exact: whether its answers must be the same bits as an AVX2 or AVX-512
    machine's.
    """

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
    """Everything the checks need, under ``folder``: a package folder for each architecture, an
    arm64 root.
    """
    wheel = build_wheel(folder / "wheel")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--upgrade")
    _run(*pip, "--target", folder / "packages-x86_64", wheel)
    platforms = [part for name in ARM_PLATFORMS for part in ("--platform", name)]
    arm = ("--python-version", ARM_PYTHON, "--implementation", "cp", *platforms)
    _run(*pip, "--only-binary=:all:", *arm, "--target", folder / "packages-aarch64", wheel)
    root = folder / "arm64"
    if not (root / f"usr/bin/python{ARM_PYTHON}").exists():
        shutil.rmtree(root, ignore_errors=True)
        # --foreign only downloads: nothing of another architecture is run, no binfmt is needed.
        _run(
            "debootstrap",
            "--arch=arm64",
            "--foreign",
            "--variant=minbase",
            "--include=python3",
            SUITE,
            root,
        )
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            _run("dpkg-deb", "-x", package, root)


def refresh(folder: Path) -> None:
    """Puts the package of this checkout, as its wheel holds it, into the folders that ``prepare``
    made.
    """
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
            raise NotPreparedError(f"{path} is missing; run: python tools/emulated.py")


def command_for(cpu: Cpu | None, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command that starts Python on this CPU (None: the machine's own), and its environment."""
    packages = folder / ("packages-aarch64" if cpu and cpu.arm else "packages-x86_64")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "PYTHONHASHSEED": "0"}
    # the installation's own: no venv's packages come in
    python = str(Path(sys.executable).resolve())
    if cpu is None:
        return [python, "-S"], environment
    if cpu.arm:
        root = folder / "arm64"
        python = str(root / f"usr/bin/python{ARM_PYTHON}")
        return [cpu.emulator, "-cpu", cpu.name, "-L", str(root), python, "-S"], environment
    return [cpu.emulator, "-cpu", cpu.name, python, "-S"], environment


def answers(cpu: Cpu | None, folder: Path, texts: Sequence[str], batch_size: int = 1) -> Answers:
    """Return the probabilities of the texts on this CPU, exact to the bit: float64 [texts,
    labels].
    """
    command, environment = command_for(cpu, folder)
    request = {"texts": list(texts), "batch_size": batch_size}
    line = [*command, "-c", ANSWER]
    done = subprocess.run(
        line,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        where = cpu.name if cpu else "this machine"
        raise RuntimeError(f"{where}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return np.array([[float.fromhex(p) for p in line.split()] for line in done.stdout.splitlines()])


def sample_texts(count: int = 240, seed: int = 0) -> list[str]:
    """The package's reviews, then texts made of their words: from 1 to 700 words long."""
    texts = [*example_texts()]
    words = [word for text in texts for word in text.split()]
    rng = random.Random(seed)
    while len(texts) < count:
        texts.append(" ".join(rng.choices(words, k=round(700 ** rng.random()))))
    return texts[:count]


@dataclass(frozen=True)
class Difference:
    """How two lists of answers differ. flipped: texts whose label differs; far: those of them whose
    best label was ahead by more than twice the tolerance.
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
    largest = float(np.abs(mine - theirs).max())
    identical = bool((mine == theirs).all())
    return Difference(len(mine), largest, identical, int(flipped.sum()), int(far.sum()))


def holds(cpu: Cpu, difference: Difference) -> bool:
    """Whether the promise holds: the same bits, or within the tolerance and no label flipped beyond
    it.
    """
    if cpu.exact:
        return difference.identical
    return difference.largest <= TOLERANCE and difference.far == 0


if __name__ == "__main__":
    try:
        prepare(work_folder())
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error}")
