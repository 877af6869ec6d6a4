"""From a CSV of reviews to a CSV of answers: edge-lstm score, fastText's predict-prob, a plain loop.

    python benchmarks/scoring.py reviews.csv --text-column review --rounds 3 -o scoring.json

Entrants, in turns within each round, so that a busy moment of the machine meets all of them alike:

  tokenize + model  texts in memory → probabilities, one core, nothing read or written: the yardstick
  ... two at once   the same twice at the same time: what this machine gives to two processes
  edge-lstm score   the command, from start to exit, with 1 and with 2 workers
  plain loop        csv.DictReader, the package's tokenizer, one run of ONNX Runtime a row, csv.DictWriter
  fastText          predict-prob (--fasttext BINARY --fasttext-model MODEL), texts already one a line

Efficiency is rows a second of the command by those of the yardstick, for each worker. It is given by the
clock, which means something on an idle machine only, and by the CPU seconds of all processes; with two
workers also against the yardstick run twice at once.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm import Classifier


def yardstick(texts: list[str], window: int) -> None:
    """Tokenizing and the model alone, on one core."""
    classifier = Classifier.load()
    for start in range(0, len(texts), window):
        classifier.probabilities(texts[start : start + window])


def plain_loop(source: Path, target: Path, column: str) -> None:
    """What a script of one's own does: a row at a time."""
    classifier = Classifier.load()
    with source.open(newline="") as reading, target.open("w", newline="") as writing:
        reader = csv.DictReader(reading)
        writer = csv.DictWriter(writing, [*(reader.fieldnames or []), "label", "probability"])
        writer.writeheader()
        for row in reader:
            probabilities = classifier.probabilities([row[column]])[0]
            best = int(np.argmax(probabilities))
            writer.writerow({**row, "label": classifier.labels[best], "probability": probabilities[best]})


def timed(command: list[str], output: Path | None = None) -> tuple[float, float]:
    """(seconds by the clock, CPU seconds) of a command and everything it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with output.open("wb") if output else open(os.devnull, "wb") as sink:  # noqa: PTH123
        subprocess.run(command, check=True, stdout=sink)
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu


def main() -> None:
    """Runs the rounds, prints a table and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--text-column", default="review")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fasttext", help="fastText's program")
    parser.add_argument("--fasttext-model")
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--part", choices=["yardstick", "plain-loop"], help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    csv.field_size_limit(2**30)
    column = arguments.text_column
    if arguments.part == "plain-loop":
        plain_loop(arguments.source, arguments.target, column)
        return
    with arguments.source.open(newline="") as file:
        texts = [row[column] for row in csv.DictReader(file)]
    if arguments.part == "yardstick":
        wall, cpu = time.monotonic(), time.process_time()
        yardstick(texts, 1024)
        print(json.dumps([time.monotonic() - wall, time.process_time() - cpu]))
        return
    with tempfile.TemporaryDirectory() as folder:
        report = rounds(arguments, texts, Path(folder))
    print(table(report))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


def rounds(arguments: Any, texts: list[str], folder: Path) -> dict[str, Any]:
    """Every entrant once a round → medians."""
    target = folder / "out.csv"
    me = [sys.executable, __file__, str(arguments.source), "--text-column", arguments.text_column]
    score = [sys.executable, "-m", "edge_lstm", "score", str(arguments.source), "-o", str(target), "--quiet"]
    score += ["--text-column", arguments.text_column]

    def measure_yardstick() -> tuple[float, float]:
        wall, cpu = json.loads(
            subprocess.run([*me, "--part", "yardstick"], check=True, capture_output=True).stdout
        )
        return wall, cpu

    def measure_two() -> tuple[float, float]:
        both = [subprocess.Popen([*me, "--part", "yardstick"], stdout=subprocess.PIPE) for _ in range(2)]
        measured = [json.loads(process.communicate()[0]) for process in both]
        return max(wall for wall, _ in measured), sum(cpu for _, cpu in measured)

    entrants: dict[str, Callable[[], tuple[float, float]]] = {
        "tokenize + model, one core": measure_yardstick,
        "... two at once": measure_two,
        "edge-lstm score, 1 worker": lambda: timed([*score, "--workers", "1"]),
        "edge-lstm score, 2 workers": lambda: timed([*score, "--workers", "2"]),
        "plain loop": lambda: timed([*me, "--part", "plain-loop", "--target", str(target)]),
    }
    if arguments.fasttext:
        lines = folder / "lines.txt"
        lines.write_text("".join(" ".join(text.split()) + "\n" for text in texts))
        command = [arguments.fasttext, "predict-prob", arguments.fasttext_model, str(lines)]
        entrants["fastText predict-prob"] = lambda: timed(command, target)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in entrants}
    for _ in range(arguments.rounds):
        for name, measure in entrants.items():
            times[name].append(measure())
    rows = len(texts)
    report: dict[str, Any] = {
        "rows": rows,
        "rounds": arguments.rounds,
        "cores": os.cpu_count(),
        "load_average_at_the_end": os.getloadavg()[0],
        "entrants": {
            name: {
                "seconds": statistics.median(wall for wall, _ in measured),
                "cpu_seconds": statistics.median(cpu for _, cpu in measured),
                "all": measured,
            }
            for name, measured in times.items()
        },
    }
    facts = report["entrants"]
    base = facts["tokenize + model, one core"]
    for workers in (1, 2):
        run = facts[f"edge-lstm score, {workers} worker{'s' * (workers > 1)}"]
        run["efficiency_by_clock"] = base["seconds"] / (run["seconds"] * workers)
        run["efficiency_by_cpu"] = base["cpu_seconds"] / run["cpu_seconds"]
    two, run = facts["... two at once"], facts["edge-lstm score, 2 workers"]
    run["efficiency_to_two_at_once_by_clock"] = two["seconds"] / 2 / run["seconds"]
    run["efficiency_to_two_at_once_by_cpu"] = two["cpu_seconds"] / 2 / run["cpu_seconds"]
    return report


def table(report: dict[str, Any]) -> str:
    """The medians as lines."""
    lines = [f"{'':<28}{'seconds':>9}{'rows/s':>9}{'CPU s':>9}{'efficiency (clock, CPU)':>26}"]
    for name, facts in report["entrants"].items():
        efficiency = ""
        if "efficiency_by_clock" in facts:
            efficiency = f"{facts['efficiency_by_clock']:.0%}, {facts['efficiency_by_cpu']:.0%}"
        speed = report["rows"] * (2 if "two" in name else 1) / facts["seconds"]
        lines.append(
            f"{name:<28}{facts['seconds']:>9.1f}{speed:>9,.0f}{facts['cpu_seconds']:>9.1f}{efficiency:>26}"
        )
    run = report["entrants"]["edge-lstm score, 2 workers"]
    by_clock, by_cpu = (run[f"efficiency_to_two_at_once_by_{kind}"] for kind in ("clock", "cpu"))
    lines.append(
        f"2 workers against two yardsticks at once: {by_clock:.0%} by the clock, {by_cpu:.0%} by CPU"
    )
    lines.append(
        f"load average at the end: {report['load_average_at_the_end']:.1f} on {report['cores']} cores"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
