"""What a release needs: ``make release`` checks it, builds it, and says what a person does then.

    python tools/release.py [--tag v1.2.3] [--tested] [--dry]

It publishes nothing. ``--tested`` leaves out .ci/run, which takes an hour. ``--dry`` leaves it out,
too, lists what is missing and goes on. One line for each thing that is wrong, and exit code 1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
# Files that a wheel without an error can lack.
NEEDED = (
    "edge_lstm/py.typed",
    "edge_lstm/models/sentiment.int8.onnx",
    "edge_lstm/live_page/edge-lstm.mjs",
    "edge_lstm_export/sentiment-small.int8.onnx",
    "edge_lstm_export/tickets/tickets.csv",
)
# Says the version of the native engine, whose self-test ends with an error if a row is wrong.
NATIVE = """
from sys import argv
from edge_lstm_native import Model, __version__
wrong, rows, _ = Model(argv[1]).check()
assert rows and not wrong
print(__version__)
"""
# What no program decides. The tag starts .github/workflows/release.yml.
STEPS = """\
{number} is built and checked, in dist/. What a person does:
1. Read CHANGELOG.md and docs/stability.md as somebody who comes from the version before.
2. On a board of each kind in docs/devices: pip install the wheel, edge-lstm doctor.
3. python tools/wheels.py dist: the wheels of edge-lstm-native for every system.
4. git tag --sign v{number}, and push the tag: the workflow publishes what it builds itself.
5. npm publish in engine/js.
6. pip install edge-lstm=={number} where nothing of it is, and go through the README.
7. Take out "there is no release yet" and "until the first release" in README.md and docs/.
"""


def version(root: Path = ROOT) -> str:
    """The version that the package says."""
    return _first(r'__version__ = "(.+)"', root / "edge_lstm" / "_version.py")


def missing(root: Path = ROOT, tag: str | None = None) -> list[str]:
    """Return what keeps the sources at ``root`` from being released under the name ``tag``, a line
    each.
    """
    number = version(root)
    heading = _first(r"^## (.+)$", root / "CHANGELOG.md")
    cited = _first(r"^version: (.+)$", root / "CITATION.cff")
    # npm writes 1.2.3-rc.4.
    for_npm = number.replace("rc", "-rc.")
    package = _first(r'"version": "(.+)"', root / "engine" / "js" / "package.json")
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    changed = _run("git", "status", "--porcelain", cwd=str(root)).rstrip()
    checks = {
        f"version {number} is not of the form 1.2.3 or 1.2.3rc4: change edge_lstm/_version.py":
            re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", number),
        f"the tag is {tag}, the version {number}: change edge_lstm/_version.py or the tag":
            tag in (None, f"v{number}"),
        f"the changelog begins with {heading!r}, the version is {number}":
            heading.split()[0] == number,
        f"the changelog's {heading!r} has no date: write '## {number} (YYYY-MM-DD)'":
            re.fullmatch(r"\S+ \(\d{4}-\d\d-\d\d\)", heading),
        f"CITATION.cff says version {cited}, the package {number}": cited == number,
        f"engine/js/package.json says version {package}: change it to {for_npm}":
            package == for_npm,
        f"not committed, so not in the release:\n{changed}": not changed,
        "pyproject.toml has no [project.urls]: say where the project lives":
            "[project.urls]" in project,
    }  # fmt: skip
    return [reason for reason, holds in checks.items() if not holds]


def build(dist: Path, root: Path = ROOT) -> None:
    """Write the wheel and both sdists into ``dist``, which holds nothing else then."""
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        python = _new_python(folder)
        _run(python, *PIP, "build", "twine")
        _run(python, "-m", "build", "--outdir", str(dist), str(root))
        native = str(root / "engine" / "python")
        _run(python, "-m", "build", "--sdist", "--outdir", str(dist), native)
        _run(python, "-m", "twine", "check", "--strict", *map(str, sorted(dist.iterdir())))


def install(dist: Path, root: Path = ROOT) -> None:
    """Install each distribution in ``dist`` where nothing else is. SystemExit where one is not fit.

    They are the wheel and the sdist of edge-lstm, and the sdist of edge-lstm-native.
    """
    number = version(root)
    (wheel,) = dist.glob("edge_lstm-*.whl")
    (sdist,) = dist.glob("edge_lstm-*.tar.gz")
    (native,) = dist.glob("edge_lstm_native-*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for needed in NEEDED:
        if needed not in names:
            sys.exit(
                f"error: {wheel.name} does not hold {needed}; see [tool.hatch.build] in "
                "pyproject.toml"
            )
    for package in (wheel, sdist):
        with tempfile.TemporaryDirectory() as folder:
            python = _new_python(folder)
            _run(python, *PIP, str(package.resolve()))
            command = shutil.which("edge-lstm", path=str(Path(python).parent))
            if command is None:
                sys.exit(f"error: {package.name} installs no command edge-lstm")
            said = _run(command, "--version", cwd=folder)
            if said.split() != ["edge-lstm", number]:
                sys.exit(f"error: {package.name} installs {said.strip()}, not {number}")
            _run(command, "doctor", cwd=folder)
            print(f"{package.name}: installs, {said.strip()}, fit")
    with tempfile.TemporaryDirectory() as folder:
        python = _new_python(folder)
        _run(python, *PIP, str(native.resolve()))
        model = str(root / "edge_lstm" / "models" / "sentiment.int8.onnx")
        said = _run(python, "-c", NATIVE, model, cwd=folder).strip()
        if said != number:
            sys.exit(f"error: {native.name} installs {said}, not {number}")
        print(f"{native.name}: installs, {said}, fit")


def _new_python(folder: str) -> str:
    """The interpreter of a new virtual environment."""
    _run(sys.executable, "-m", "venv", folder)
    return str(Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python")


def _run(*command: str, cwd: str | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"error: '{' '.join(command)}' ended with {done.returncode}\n{done.stdout}".rstrip()
        )
    return done.stdout


def _first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tag", default=None)
    parser.add_argument("--tested", action="store_true")
    parser.add_argument("--dry", action="store_true")
    arguments = parser.parse_args()
    wrong = missing(tag=arguments.tag)
    for line in wrong:
        print(f"{'would stop' if arguments.dry else 'error'}: {line}", file=sys.stderr)
    if wrong and not arguments.dry:
        sys.exit(1)
    untested = not arguments.tested and not arguments.dry
    if untested and subprocess.run([ROOT / ".ci" / "run"], check=False).returncode:
        sys.exit("error: .ci/run failed")
    dist = ROOT / "dist"
    build(dist)
    install(dist)
    if shutil.which("npm"):
        _run("npm", "pack", "--dry-run", cwd=str(ROOT / "engine" / "js"))
    _run("make", "docs", cwd=str(ROOT))
    print(STEPS.format(number=version()), end="")


if __name__ == "__main__":
    main()
