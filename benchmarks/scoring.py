"""From a file of texts to a file of answers: ``edge-lstm score``, a plain loop, fastText; time and
memory.

    python -m benchmarks.scoring [--rows 50000] [--rounds 3] [--short] [--formats csv jsonl parquet
    txt] python -m benchmarks.scoring --short --rows 10000000 --rounds 1 --only score python -m
    benchmarks.scoring --short --model tiny.onnx --engines onnxruntime native --only score
    python -m benchmarks.scoring --bytes 4000 --rows 50000 --formats jsonl csv txt parquet --engines
    native --model tiny.onnx --only native

The texts are IMDB's reviews if EDGE_LSTM_DATA names the archive's folder; with ``--bytes``,
documents of this size, made of the reviews; with ``--short``, and without the archive, rows of
three to nine words, any number of them: memory must not grow with the file. The yardstick is a
process that tokenizes and runs the model, the texts in memory, on one core; it is also run twice at
once, which is what this machine gives to two processes. With ``--before``, the command of another
checkout runs too. Entrants take turns within each round, so that a busy moment meets all alike;
figures are medians. Efficiency is rows per second by those of the yardstick (without it, of the
native engine alone), for each worker, by the clock and by the CPU seconds of all processes. Memory
is the most that the first process, and any other one, held (resident, shared libraries included).
Megabytes are those that the model reads: of a text with more tokens than its length, the share that
it does not read is not counted.
The checkouts are compiled before, as pip compiles what it installs.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import itertools
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.sets import imdb
from benchmarks.table import markdown_table
from edge_lstm.core.model_checks import MAX_LENGTH
from edge_lstm.core.modelfile import open_model

YARDSTICK = """
import json, sys
from edge_lstm import Classifier
texts, classifier = json.load(open(sys.argv[1])), Classifier.load()
for start in range(0, len(texts), 1024):
    classifier.probabilities(texts[start : start + 1024])
"""
PLAIN_LOOP = """
import csv, sys
from edge_lstm import Classifier
classifier = Classifier.load()
with open(sys.argv[1], newline="") as reading, open(sys.argv[2], "w", newline="") as writing:
    writer = csv.writer(writing)
    for row in csv.DictReader(reading):
        prediction = classifier.predict([row["text"]])[0]
        writer.writerow([*row.values(), prediction.label, prediction.probability])
"""
# The engine alone, the texts in memory: it prints its seconds and its CPU seconds.
ENGINE = """
import json, sys, time
from edge_lstm_native import Model
texts, model = json.load(open(sys.argv[1])), Model(sys.argv[2])
clock, cpu = time.monotonic(), time.process_time()
model.scores(texts)
print(time.monotonic() - clock, time.process_time() - cpu)
"""
# Modules are read as they were compiled, whatever this process does.
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
WORDS = (
    "film",
    "plot",
    "the",
    "good",
    "bad",
    "great",
    "awful",
    "boring",
    "dull",
    "fun",
    "not",
    "very",
    "a",
)
# seconds, CPU seconds, MiB of the first process, of any other
Figures = tuple[float, float, float, float]


def texts_of(count: int, *, short: bool) -> list[str]:
    """Return so many texts, each on one line."""
    if not short and os.environ.get("EDGE_LSTM_DATA"):
        dataset = imdb()
        assert dataset.test is not None
        return [" ".join(text.split()) for text in (*dataset.test.texts, *dataset.train.texts)][
            :count
        ]
    rng = random.Random(1)
    some = [" ".join(rng.choices(WORDS, k=rng.randint(3, 9))) for _ in range(10_000)]
    return [some[i % len(some)] for i in range(count)]


def documents_of(count: int, size: int) -> list[str]:
    """Return documents of this many characters, made of the reviews one after the other."""
    reviews = itertools.cycle(texts_of(50_000, short=False))
    documents: list[str] = []
    for _ in range(count):
        text = ""
        while len(text) < size:
            text += next(reviews) + " "
        documents.append(text[:size])
    return documents


def bytes_read(texts: Sequence[str], path: str | None) -> float:
    """Return the bytes of the texts that a model reads, by the share of some texts."""
    tokenizer = open_model(path).tokenizer
    whole = dataclasses.replace(tokenizer, length=MAX_LENGTH)
    some = texts[:200]
    tokens = [len(whole.encode_text(text).ids) for text in some]
    read = sum(
        len(text.encode()) * min(1, tokenizer.length / max(1, count))
        for text, count in zip(some, tokens)
    )
    share = read / sum(len(text.encode()) for text in some)
    return share * sum(len(text.encode()) for text in texts)


def engine_alone(command: Sequence[object]) -> Figures:
    """Run ENGINE. Return the seconds that it prints."""
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    seconds, cpu = map(float, run.stdout.split())
    return seconds, cpu, 0.0, 0.0


def write(path: Path, texts: Sequence[str]) -> None:
    """Write the texts in the format of the suffix, with an id where it has columns."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table({"id": range(len(texts)), "text": texts}), path)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".json":
            json.dump(texts, file)
        elif path.suffix == ".csv":
            csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
        elif path.suffix == ".jsonl":
            file.writelines(
                json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)
            )
        else:
            file.writelines(f"{text}\n" for text in texts)


def measured(*commands: Sequence[object], folder: str | None = None) -> Figures:
    """Run the commands at once, and watch all that they start. folder: in which they run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    running = [
        subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, cwd=folder, env=COMPILED
        )
        for command in commands
    ]
    peaks: dict[int, float] = {}
    while any([process.poll() is None for process in running]):  # noqa: C419 - each is asked
        for number in _tree([process.pid for process in running]):
            peaks[number] = max(peaks.get(number, 0.0), _resident(number))
        time.sleep(0.05)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if failed := [process.args for process in running if process.returncode]:
        raise SystemExit(f"this failed: {failed[0]!r}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    first = peaks.pop(running[0].pid, 0.0)
    return seconds, cpu, first, max(peaks.values(), default=0.0)


def _tree(processes: list[int]) -> list[int]:
    for number in processes:  # grows
        for task in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                processes += map(int, task.read_text().split())
            except OSError:
                continue
    return processes


def _resident(process: int) -> float:
    """MiB, 0 where the process is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--bytes", type=int, help="characters of a document made of reviews")
    parser.add_argument("--options", nargs="+", default=[""], help="of edge-lstm score, as texts")
    parser.add_argument("--before", help="another checkout, whose command runs too")
    parser.add_argument("--formats", nargs="+", default=["csv"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--engines", nargs="+", default=["onnxruntime"], help="of edge-lstm score")
    parser.add_argument("--model", help="of edge-lstm score; without it, the embedded one")
    parser.add_argument("--only", default="", help="entrants whose name holds this")
    parser.add_argument(
        "--fasttext", nargs=2, metavar=("PROGRAM", "MODEL"), help="its predict-prob too"
    )
    asked = parser.parse_args()
    if asked.bytes:
        texts = documents_of(asked.rows, asked.bytes)
    else:
        texts = texts_of(asked.rows, short=asked.short)
    python = (sys.executable, "-c")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        needed = ("json",) if asked.only else ("csv", "txt", "json")
        for suffix in {*asked.formats, *needed}:
            write(folder / f"in.{suffix}", texts)
        yardstick = [*python, YARDSTICK, folder / "in.json"]
        loop = [*python, PLAIN_LOOP, folder / "in.csv", folder / "out.csv"]
        entrants: dict[str, tuple[int, Callable[[], Figures]]] = {
            "yardstick": (1, lambda: measured(yardstick)),
            "yardstick, two at once": (2, lambda: measured(yardstick, yardstick)),
            "plain loop": (1, lambda: measured(loop)),
        }
        if asked.model and "native" in asked.engines:
            alone = [*python, ENGINE, folder / "in.json", asked.model]
            entrants["native engine alone"] = 1, lambda: engine_alone(alone)
        checkouts = {"": None, **({", before": asked.before} if asked.before else {})}
        for place in checkouts.values():
            compiling = [sys.executable, "-m", "compileall", "-q", "edge_lstm"]
            subprocess.run(compiling, cwd=place, env=COMPILED, check=True)
        for suffix, workers, engine, options, (when, place) in itertools.product(
            asked.formats, asked.workers, asked.engines, asked.options, checkouts.items()
        ):
            if place and options.startswith("--only-columns"):
                continue  # the other checkout may not have them
            command = [
                sys.executable,
                "-m",
                "edge_lstm",
                "score",
                folder / f"in.{suffix}",
                "--quiet",
            ]
            command += ["-o", folder / f"out.{suffix}", "--workers", workers, "--engine", engine]
            command += ["--model", asked.model] if asked.model else []
            command += options.split()
            name = (
                f"edge-lstm score, {suffix}, workers: {workers}, {engine}{when} {options}".strip()
            )
            entrants[name] = workers, functools.partial(measured, command, folder=place)
        if asked.fasttext:
            program = [asked.fasttext[0], "predict-prob", asked.fasttext[1], folder / "in.txt"]
            entrants["fastText predict-prob"] = 1, lambda: measured(program)
        entrants = {name: entrant for name, entrant in entrants.items() if asked.only in name}
        samples: dict[str, list[Figures]] = {name: [] for name in entrants}
        for _ in range(asked.rounds):
            for name, (_, run) in entrants.items():
                samples[name].append(run())
    print(f"{len(texts):,} rows; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    size = bytes_read(texts, asked.model)
    runs = {name: (entrants[name][0], samples[name]) for name in entrants}
    print(table(len(texts), size, runs))


def table(rows: int, size: float, samples: dict[str, tuple[int, list[Figures]]]) -> str:
    """Return the medians as Markdown. size: bytes that are read. samples: name → workers, runs."""
    heads = (
        "",
        "seconds",
        "rows/s",
        "MB/s",
        "CPU s",
        "MB per CPU s",
        "efficiency by clock, CPU",
        "MiB, first process, any other",
    )
    lines = []
    medians = {
        name: [statistics.median(f) for f in zip(*runs)] for name, (_, runs) in samples.items()
    }
    base = medians.get("yardstick") or medians.get("native engine alone") or [0.0, 0.0]
    for name, (seconds, cpu, first, other) in medians.items():
        answered = rows * (2 if "two" in name else 1)  # the yardstick answers every text twice
        clock = base[0] / samples[name][0] / seconds
        by_cpu = base[1] / cpu
        efficiency = f"{clock * answered / rows:.0%}, {by_cpu * answered / rows:.0%}"
        megabytes = size * answered / rows / 1e6
        figures = [f"{seconds:.1f}", f"{answered / seconds:,.0f}", f"{megabytes / seconds:.1f}"]
        figures += [f"{cpu:.1f}", f"{megabytes / cpu:.1f}"]
        lines.append([name, *figures, efficiency, f"{first:.0f}, {other:.0f}"])
    return markdown_table(heads, lines)


if __name__ == "__main__":
    main()
