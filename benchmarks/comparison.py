"""Text classifiers that a person would choose between, side by side: trained and measured in one
run.

    python -m benchmarks.comparison --encoder FOLDER [--tools FOLDER] [--data FOLDER] [SET …]

Makes an environment with pip for each tool and one for the trainings, under ``--tools``; trains
each tool on the training split of each set where that was not done yet; and measures all of them in
turns, on one thread. ``--encoder`` is the folder of the encoder that is probed and distilled
(all-MiniLM-L6-v2). Writes results/comparison.json, results/comparison.svg, and the table in
docs/comparison.md; ``--draw`` writes the last two again. Tools that cannot take part are named.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import conditions, picture
from benchmarks.comparison_tools import TOOLS
from benchmarks.sets import DATA, Rows, read
from benchmarks.table import markdown_table, write_table

Json = dict[str, Any]
Interpreter = Callable[[str, Path], Path]
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "comparison.md"
SETS = ("banking77", "sst2", "trec6")
BATCH = 32
TOOLS_FILE = ROOT / "benchmarks" / "comparison_tools.py"
TRAINING = "training"  # the environment of all trainings
# What pip installs for a tool, and nothing else; its size is a result.
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "fastText": ("fasttext>=0.9.3,<0.10",),  # builds from source: needs a C++ compiler
    "scikit-learn": ("scikit-learn>=1.3",),
    "model2vec": ("model2vec>=0.10",),
    "encoder": ("onnxruntime>=1.20", "tokenizers>=0.20"),
    "edge-lstm": (".",),
    "edge-lstm-native": ("./engine/python",),
    # Beside the packages of the interpreter that runs this.
    TRAINING: (
        "fasttext>=0.9.3,<0.10",
        "model2vec[train,distill]>=0.10",
        "onnxscript",
    ),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Settings:
    """Where a run finds its things, and how much it measures. texts: of each set, that are
    timed.
    """

    tools: Path
    data: Path
    encoder: str
    sets: Sequence[str] = SETS
    texts: int = 192
    passes: int = 9
    cold_starts: int = 11


@dataclass(frozen=True)
class Entrant:
    """A tool that can take part: its interpreter, and set → the folder of its files."""

    name: str
    python: Path
    models: dict[str, Path]


def interpreter(name: str, tools: Path) -> Path:
    """Return the Python of an environment, made where it is missing. Raises CalledProcessError."""
    folder = tools / name.replace(" ", "-")
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        if name == TRAINING:
            parent = next(path for path in sys.path if path.endswith("site-packages"))
            (site_packages(folder) / "parent.pth").write_text(f"{parent}\n", encoding="utf-8")
        run(
            sys.executable,
            "-m",
            "pip",
            "--python",
            folder,
            "install",
            "--quiet",
            *ENVIRONMENTS[name],
        )
        (folder / "installed").touch()  # last: a half-made environment is made again
    return folder / "bin" / "python"


def run(*command: object) -> None:
    """Run a command in the repository's root. Raises CalledProcessError."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "export")))
    line = list(map(str, command))
    environment = {**os.environ, **QUIET, "PYTHONPATH": paths}
    subprocess.run(line, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)


def site_packages(environment: Path) -> Path:
    """Return where an environment's packages lie."""
    return next(environment.glob("lib/python3*/site-packages"))


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


class Child:
    """A tool's process, which answers texts; see comparison_tools."""

    def __init__(self, entrant: Entrant, sets: Sequence[str]) -> None:
        models = [f"{of}={entrant.models[of]}" for of in sets]
        command = [str(entrant.python), "-I", str(TOOLS_FILE), "serve", entrant.name, *models]
        environment = {**os.environ, **QUIET, **dict.fromkeys(THREADS, "1")}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    def ask(self, of: str, texts: Sequence[str], size: int) -> Json:
        """Return the labels of the texts in batches of `size`, and the nanoseconds of each batch.

        Raises CalledProcessError.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"set": of, "texts": texts, "size": size}) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise subprocess.CalledProcessError(
                self._process.wait(), "serve", stderr="it ended; see above"
            )
        answer: Json = json.loads(line)
        return answer

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def compare(settings: Settings, names: Sequence[str], python: Interpreter = interpreter) -> Json:
    """Train and measure; return the report. python: environment, folder of the tools → its
    interpreter.
    """
    before = conditions.now()
    skipped = {}
    results = {}
    tests = {of: read(settings.data / of / "test.csv") for of in settings.sets}
    order = random.Random(7)
    running = []
    timed = {
        of: order.sample(texts, min(settings.texts, len(texts))) for of, (texts, _) in tests.items()
    }
    for name in names:
        try:
            entrant = prepare(name, settings, python)
            results[name] = {"name": name, **sizes(entrant), **answers(entrant, tests)}
            running.append(entrant)
        except subprocess.CalledProcessError as error:
            skipped[name] = ((error.stderr or "").strip().splitlines() or [str(error)])[-1]
        print(name, skipped.get(name) or results[name]["accuracy"], file=sys.stderr, flush=True)
    for measured in (
        times(running, timed, settings.passes, order),
        cold_starts(running, timed, settings, order),
    ):
        for name, figures in measured.items():
            results[name] |= figures
    return {
        "conditions": {"before": before, "after": conditions.now()},
        "settings": {
            "texts": settings.texts,
            "passes": settings.passes,
            "cold_starts": settings.cold_starts,
        },
        "sets": {
            of: {"test_texts": len(truth), "labels": len({*truth})}
            for of, (_, truth) in tests.items()
        },
        "tools": list(results.values()),
        "skipped": skipped,
    }


def prepare(name: str, settings: Settings, python: Interpreter) -> Entrant:
    """Return a tool with its environment, trained where its files are missing. Raises
    CalledProcessError.
    """
    own, training = (python(part, settings.tools) for part in (TOOLS[name].environment, TRAINING))
    # both runtimes read the same file
    shared = name.removesuffix(", native engine").replace(" ", "-")
    models = {of: settings.tools / "models" / shared / of for of in settings.sets}
    for of, folder in models.items():
        if not folder.exists():
            part = folder.with_name(f"{of}.part")
            data = settings.data / of / "train.csv"
            shutil.rmtree(part, ignore_errors=True)
            run(
                training,
                "-m",
                "benchmarks.comparison_tools",
                "train",
                name,
                data,
                part,
                settings.encoder,
            )
            part.rename(folder)
    return Entrant(name, own, models)


def sizes(entrant: Entrant) -> Json:
    """Return bytes installed and shipped, and what is installed."""
    packages = site_packages(entrant.python.parents[1])
    return {
        "installed_bytes": size(packages),
        "model_bytes": {of: size(folder) for of, folder in entrant.models.items()},
        "packages": sorted(
            path.name.removesuffix(".dist-info") for path in packages.glob("*.dist-info")
        ),
    }


def answers(entrant: Entrant, tests: dict[str, Rows]) -> Json:
    """Return accuracy on each test split, 0 to 1, every text alone; and how many labels change in
    batches.
    """
    accuracy = {}
    changed = {}
    with Child(entrant, list(tests)) as child:
        for of, (texts, truth) in tests.items():
            alone, together = (child.ask(of, texts, size)["labels"] for size in (1, BATCH))
            accuracy[of] = statistics.mean(label == right for label, right in zip(alone, truth))
            changed[of] = sum(one != other for one, other in zip(alone, together))
    return {"accuracy": accuracy, "changed_in_batches": changed}


def times(
    running: Sequence[Entrant], timed: dict[str, list[str]], passes: int, order: random.Random
) -> dict[str, Json]:
    """Return the median µs of one text alone, and texts per second in batches; the fastest pass
    counts.

    All tools answer the same texts before the next ones come, in a new random order.
    """
    fastest: dict[tuple[str, int, str], list[int]] = {}
    with ExitStack() as stack:
        children = {e.name: stack.enter_context(Child(e, list(timed))) for e in running}
        for _ in range(passes):
            for of, size in itertools.product(timed, (1, BATCH)):
                for name in order.sample(list(children), len(children)):
                    taken = children[name].ask(of, timed[of], size)["ns"]
                    key = name, size, of
                    fastest[key] = list(map(min, taken, fastest.get(key, taken)))
    count = sum(map(len, timed.values()))
    return {
        name: {
            "alone_us": statistics.median(ns for of in timed for ns in fastest[name, 1, of]) / 1e3,
            "per_second": 1e9 * count / sum(sum(fastest[name, BATCH, of]) for of in timed),
        }
        for name in children
    }


def cold_starts(
    running: Sequence[Entrant],
    timed: dict[str, list[str]],
    settings: Settings,
    order: random.Random,
) -> dict[str, Json]:
    """Return the median milliseconds from process start to the first answer; the model is the first
    set's.
    """
    taken: dict[str, list[float]] = {entrant.name: [] for entrant in running}
    of = settings.sets[0]
    for _ in range(settings.cold_starts):
        for entrant in order.sample(running, len(running)):
            started = time.perf_counter()
            with Child(entrant, [of]) as child:
                child.ask(of, timed[of][:1], 1)
                taken[entrant.name].append((time.perf_counter() - started) * 1e3)
    return {name: {"cold_start_ms": statistics.median(values)} for name, values in taken.items()}


def table(report: Json) -> str:
    """Return the table, the tools that are missing, and what was measured, as Markdown."""
    sets = report["sets"]
    before = report["conditions"]["before"]
    after = report["conditions"]["after"]
    heads = ("tool", *sets, "installed", "model", "cold start", "one text", "texts/s in batches")
    parts = [markdown_table(heads, map(_row, report["tools"]))]
    parts += [f"Left out: {name} ({reason})." for name, reason in report["skipped"].items()]
    about = (
        f"{of} ({s['test_texts']:,} test texts, {s['labels']} labels)" for of, s in sets.items()
    )
    parts.append(
        f"Accuracy in %: {', '.join(about)}. Times: fastest of {report['settings']['passes']} "
        "passes; cold "
        f"start: median of {report['settings']['cold_starts']}. {conditions.cpu_of(before)}; "
        "one thread; "
        f"Python {before['python']}; {before['time'][:10]}; "
        f"load average {before['load_average']:.1f} before the run, {after['load_average']:.1f} "
        "after it."
    )
    return "\n\n".join(parts)


def _row(tool: Json) -> list[str]:
    return [
        tool["name"],
        *(f"{100 * share:.1f}" for share in tool["accuracy"].values()),
        _size(tool["installed_bytes"]),
        _size(statistics.mean(tool["model_bytes"].values())),
        f"{tool['cold_start_ms']:,.0f} ms",
        f"{tool['alone_us']:,.0f} µs",
        f"{tool['per_second']:,.0f}",
    ]


def _size(count: float) -> str:
    return f"{count / 1e3:,.0f} kB" if count < 1e6 else f"{count / 1e6:.3g} MB"


def write(report: Json, results: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the picture, and the table into the page."""
    (results / "comparison.svg").write_text(picture.comparison(report), encoding="utf-8")
    write_table(page, "benchmarks.comparison", f"\n{table(report)}\n")


def main() -> None:
    """Measure, or only draw again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add(
        "sets",
        nargs="*",
        default=SETS,
        metavar="SET",
        help="folders of --data with train.csv and test.csv",
    )
    add("--tools", type=Path, default=Path.home() / ".cache" / "edge-lstm" / "comparison")
    add("--data", type=Path, default=DATA)
    add("--encoder", default="", help="without it, what needs it is left out")
    add("--only", action="append", help="a tool's name; repeatable")
    add("--draw", action="store_true")
    asked = parser.parse_args()
    results = RESULTS / "comparison.json"
    if not asked.draw:
        settings = Settings(
            asked.tools.absolute(), asked.data.absolute(), asked.encoder, asked.sets
        )
        report = compare(settings, asked.only or list(TOOLS))
        results.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write(json.loads(results.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
