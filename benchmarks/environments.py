"""The virtual environments of the benchmark: what each holds, making those that are missing, and their size.

A device environment holds what a device needs to run a tool's model and nothing else; its size is a result.
The others convert the seed network into the tools' own files.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    # device side
    # The checkout's own; its code is then run from the checkout, where peers are started.
    "edge-lstm": (".",),
    "pytorch": ("torch>=2.6,<3", "numpy>=1.26,<3"),
    "onnxruntime": ("onnxruntime>=1.20,<2", "numpy>=1.26,<3"),
    "litert": ("ai-edge-litert>=2.0,<3", "numpy>=1.26,<3"),
    "openvino": ("openvino>=2025.0,<2027", "numpy>=1.26,<3"),
    "ncnn": ("ncnn>=1.0.20250101", "numpy>=1.26,<3"),
    "fasttext": ("fasttext>=0.9.3,<0.10", "numpy>=1.26,<3"),  # builds from source: needs a C++ compiler
    # workstation side
    "convert-pytorch": (
        "torch>=2.6,<3",
        "numpy>=1.26,<3",
        "onnx>=1.18,<2",
        "onnxscript>=0.5,<1",
        "onnxruntime>=1.20,<2",
        "pnnx>=20250101",
    ),
    "convert-keras": ("tensorflow>=2.19,<3", "keras>=3.9,<4"),
}
_ROOT = Path(__file__).resolve().parent.parent
_NOT_THE_TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")


class EnvironmentUnavailableError(Exception):
    """This environment cannot be made here; the message is one line that says why."""


@dataclass(frozen=True)
class Environment:
    """A ready virtual environment."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def versions(self) -> list[str]:
        """What is installed, as `name-version` each."""
        return sorted(path.stem for path in self.folder.glob("lib/python3*/site-packages/*.dist-info"))

    def installed_bytes(self) -> int:
        """Bytes of all files in site-packages, without those of pip and setuptools."""
        total = 0
        for packages in self.folder.glob("lib/python3*/site-packages"):
            for entry in packages.iterdir():
                if entry.name.split("-")[0] in _NOT_THE_TOOLS or entry.name in _NOT_THE_TOOLS:
                    continue
                files = entry.rglob("*") if entry.is_dir() else [entry]
                total += sum(file.lstat().st_size for file in files if not file.is_dir())
        return total


def ensure(name: str, cache: Path) -> Environment:
    """The environment `name` under `cache`, made if it is missing or if its requirements changed.

    Raises EnvironmentUnavailableError with pip's last error line where it cannot be installed.
    """
    folder = cache / "environments" / name
    wanted = "\n".join((sys.version.split()[0], *REQUIREMENTS[name])) + "\n"
    if "." in REQUIREMENTS[name]:
        wanted += _digest_of_package() + "\n"
    stamp = folder / "installed.txt"
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], name)
        _run([str(folder / "bin" / "pip"), "install", "--quiet", *REQUIREMENTS[name]], name)
        stamp.write_text(wanted)  # last: a half-made environment is made again
    return Environment(name, folder)


def _digest_of_package() -> str:
    """Of all that is installed from the checkout, so that a changed package is installed again."""
    digest = hashlib.sha256((_ROOT / "pyproject.toml").read_bytes())
    for path in sorted((_ROOT / "edge_lstm").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(_ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no output"]
        raise EnvironmentUnavailableError(f"{name}: {errors[-1].strip()}")
