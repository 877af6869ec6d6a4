"""From a file of texts to a file of answers: time and memory of ``edge-lstm score``.

    python -m benchmarks.scoring --bytes 4000 --rows 6000 --formats jsonl csv txt parquet
    python -m benchmarks.scoring --short --rows 500000 --formats jsonl csv txt parquet

The texts are documents of so many characters, made of IMDB's reviews (EDGE_LSTM_DATA), or with
``--short`` rows of three to nine words, any number of them: memory must not grow with the file. The
yardstick is the engine alone, the texts in memory, on one core. Entrants take turns within each
round, so that a busy moment meets all alike; figures are medians. CPU seconds are those of all
processes; relative is the yardstick's seconds by them. Memory is the most that the first process,
and any other one, held (resident, shared libraries included).
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.sets import imdb
from benchmarks.table import markdown_table
from edge_lstm.core.modelfile import embedded_model

# The engine alone, the texts in memory: it prints its CPU seconds.
ENGINE = """
import json, sys, time
from edge_lstm_native import Model
texts, model = json.load(open(sys.argv[1])), Model(sys.argv[2])
began = time.process_time()
model.scores(texts)
print(time.process_time() - began)
"""
WORDS = "film plot the good bad great awful boring dull fun not very a".split()  # noqa: SIM905
# CPU seconds, MiB of the first process, of any other
Figures = tuple[float, float, float]
Run = Callable[[], Figures]
YARDSTICK = "native engine alone"


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


def engine_alone(texts: Path, model: str) -> Figures:
    """Run ENGINE. Return the seconds that it prints."""
    command = [sys.executable, "-c", ENGINE, str(texts), model]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout), 0.0, 0.0


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


def measured(command: Sequence[object]) -> Figures:
    """Run a command, and watch all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    peaks: dict[int, float] = {}
    while process.poll() is None:
        for number in _tree([process.pid]):
            peaks[number] = max(peaks.get(number, 0.0), _resident(number))
        time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"this failed: {command!r}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    first = peaks.pop(process.pid, 0.0)
    return cpu, first, max(peaks.values(), default=0.0)


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


def entrants(asked: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Run]]:
    """Yield what is compared; the yardstick, if it can run, is the first."""
    model = asked.model or str(embedded_model())
    if importlib.util.find_spec("edge_lstm_native"):
        yield YARDSTICK, partial(engine_alone, folder / "in.json", model)
    for suffix, workers, engine in itertools.product(asked.formats, asked.workers, asked.engines):
        files = [folder / f"in.{suffix}", "-o", folder / f"out.{suffix}"]
        command = [sys.executable, "-m", "edge_lstm", "score", *files, "--quiet"]
        command += ["--workers", workers, "--engine", engine, "--model", model]
        yield f"{suffix}, workers: {workers}, {engine}", partial(measured, command)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--bytes", type=int, default=4_000, help="characters of a document")
    parser.add_argument("--formats", nargs="+", default=["jsonl"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--engines", nargs="+", default=["native"])
    parser.add_argument("--model", help="without it, the embedded one")
    asked = parser.parse_args()
    texts = (
        texts_of(asked.rows, short=True) if asked.short else documents_of(asked.rows, asked.bytes)
    )
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for suffix in {*asked.formats, "json"}:
            write(folder / f"in.{suffix}", texts)
        compared = dict(entrants(asked, folder))
        rounds = [{name: run() for name, run in compared.items()} for _ in range(asked.rounds)]
    samples = {name: [each[name] for each in rounds] for name in compared}
    print(f"{len(texts):,} rows; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(table(samples))


def table(samples: Mapping[str, Sequence[Figures]]) -> str:
    """Return the medians as Markdown. samples: runs by name."""
    heads = ("", "CPU s", "relative", "MiB, first process, any other")
    lines = []
    yardstick = None
    for name, runs in samples.items():
        cpu, first, other = map(statistics.median, zip(*runs))
        if name == YARDSTICK:
            yardstick = cpu
        relative = f"{yardstick / cpu:.2f}" if yardstick else ""
        lines.append([name, f"{cpu:.1f}", relative, f"{first:.0f}, {other:.0f}"])
    return markdown_table(heads, lines)


if __name__ == "__main__":
    main()
