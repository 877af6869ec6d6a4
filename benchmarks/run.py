"""Every tool side by side on the same texts, in one run.

    python -m benchmarks.run [--data-dir FOLDER] [--cache FOLDER] [--output FOLDER]

Makes the environments, trains the seed network and converts it where that was not done yet, starts every
contender as a process of its own, and writes latest.json, table.md and the pictures. Who cannot take part is
named with the reason. ``--draw`` writes table and pictures again from the output's latest.json.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import conditions, documents, lineup, measure, picture, table
from benchmarks.lineup import Contender, Conversion
from benchmarks.processes import ROOT, CannotTakePartError, Child, Entrant, Workplace, convert, convert_all
from edge_lstm.modelfile import embedded_model

Json = dict[str, Any]
BATCH_SIZES = (1, 8, 16, 32)
REFERENCE, PARITY, PARITY_TEXTS = "PyTorch", 1e-5, 64  # how far an fp32 tool may be from its probabilities


@dataclass(frozen=True)
class Settings:
    """How much is measured. sample: texts that are timed; rounds: turns that the peers take in a pass."""

    output: Path = ROOT / "benchmarks" / "results"
    sample: int = 600
    rounds: int = 20
    passes: int = 3
    cold_starts: int = 5
    accuracy_texts: int = 25_000


def main() -> None:
    """Measure, or only draw again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder with the IMDB archive (default: $EDGE_LSTM_DATA)")
    add("--cache", type=Path, default=Path.home() / ".cache" / "edge-lstm" / "benchmarks")
    add("--output", type=Path, default=Settings.output)
    add("--model", type=Path, action="append", help="an edge-lstm model file; repeatable (default: embedded)")
    add("--only", action="append", default=[], help="contenders whose name holds this; repeatable")
    for field in fields(Settings)[1:]:
        add(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    add("--threads", type=int, default=1)
    add("--draw", action="store_true")
    asked = parser.parse_args()
    if asked.draw:
        write(json.loads((asked.output / "latest.json").read_text(encoding="utf-8")), asked.output)
        return
    cache = asked.cache.absolute()
    texts = documents.prepare(asked.data_dir, cache)
    place = Workplace(cache, texts, cache / f"seed-{texts.name}.npz", asked.threads)
    if not place.weights.exists():
        convert(Conversion("seed", "convert-pytorch"), texts, place.weights, place)
    contenders = (*lineup.own_files(asked.model or [embedded_model()]), *lineup.PEERS)
    chosen = [one for one in contenders if not asked.only or any(part in one.name for part in asked.only)]
    settings = Settings(**{field.name: getattr(asked, field.name) for field in fields(Settings)})
    print(table.markdown(benchmark(place, settings, chosen, lineup.CONVERSIONS)))


def benchmark(
    place: Workplace, settings: Settings, contenders: Sequence[Contender], conversions: Sequence[Conversion]
) -> Json:
    """Return the report of a whole run, and write it into the output folder."""
    count = min(settings.sample, len(np.load(place.texts / "labels.npy", mmap_mode="r")))
    sample = documents.cut(place.texts, place.texts / f"sample-{count}", count)
    before, skipped = conditions.now(), convert_all(conversions, place)
    results: dict[str, Json] = {}
    first_answers: dict[str, Any] = {}
    running = []
    for contender in contenders:
        print(f"answers and cold start: {contender.name}", file=sys.stderr, flush=True)
        try:
            entrant = Entrant(contender, place)
            results[contender.name] = _answers(entrant, sample, settings, first_answers)
            cold = measure.cold_start(entrant, sample, settings.cold_starts, range(min(200, count)))
            results[contender.name] |= cold
            running.append(entrant)
        except CannotTakePartError as error:
            skipped[contender.name] = str(error)
    _times(running, sample, settings, results)
    report = {
        "conditions": {"before": before, "after": conditions.now(), "threads": place.threads},
        "settings": {"passes": settings.passes, "rounds": settings.rounds},
        "texts": documents.describe(sample),
        "contenders": [results[entrant.contender.name] for entrant in running],
        "skipped": [{"name": name, "reason": reason} for name, reason in skipped.items()],
    }
    settings.output.mkdir(parents=True, exist_ok=True)
    (settings.output / "latest.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write(report, settings.output)
    return report


def write(report: Json, output: Path) -> None:
    """Write the table and the pictures of a report."""
    (output / "table.md").write_text(table.markdown(report), encoding="utf-8")
    for name, drawn in picture.all_of(report).items():
        (output / name).write_text(drawn, encoding="utf-8")


def _answers(entrant: Entrant, sample: Path, settings: Settings, first_answers: dict[str, Any]) -> Json:
    """Begin a contender's result: what it is, its sizes and its answers."""
    contender, texts = entrant.contender, entrant.place.texts
    limit = min(settings.accuracy_texts, contender.accuracy_texts or settings.accuracy_texts)
    labels = np.load(texts / "labels.npy")[:limit]
    with Child(entrant, sample) as child:
        same = measure.same_answer(child, len(np.load(sample / "labels.npy", mmap_mode="r")), sample)
    with Child(entrant, texts) as child:
        answer = measure.probabilities(child, list(range(len(labels))), 1, sample)
    first = first_answers[contender.name] = answer[:PARITY_TEXTS]
    result = {
        "name": contender.name,
        "group": contender.group,
        "model_bytes": sum(path.stat().st_size for path in entrant.model_files),
        "installed_bytes": entrant.environment.installed_bytes(),
        "same_answer": same,
        "accuracy": measure.accuracy(answer, labels),
    }
    if contender.exact and REFERENCE in first_answers:
        difference = float(np.abs(first - first_answers[REFERENCE]).max())
        result["parity"] = {"largest_difference": difference, "holds": difference <= PARITY}
    return result


def _times(running: Sequence[Entrant], sample: Path, settings: Settings, results: dict[str, Json]) -> None:
    """Measure latency at batch 1 and throughput in batches, all peers in turn."""
    order = random.Random(7)
    timed: dict[str, dict[int, measure.Nanoseconds]] = {}
    with ExitStack() as stack:
        tools: dict[str, Child] = {}
        for entrant in running:
            name = entrant.contender.name
            tools[name] = stack.enter_context(Child(entrant, sample))
            results[name]["version"] = tools[name].loaded["version"]
        # Batches of similar length: a gain for edge-lstm, no loss for tools that run over the padding.
        by_length = np.argsort(np.load(sample / "lengths.npy"), kind="stable").tolist()
        for size in BATCH_SIZES if running else ():
            if size > len(by_length):
                continue
            print(f"times in batches of {size}: {len(tools)} peers", file=sys.stderr, flush=True)
            turns = measure.cut(by_length, size, settings.rounds if size == 1 else settings.rounds // 4)
            for name, samples in measure.interleaved(tools, turns, size, settings.passes, order).items():
                timed.setdefault(name, {})[size] = samples
    for name, of_sizes in timed.items():
        alone, first = of_sizes[1], timed[running[0].contender.name][1]
        speeds = {k: 1e3 * k / float(measure.undisturbed_ms(of).mean()) for k, of in of_sizes.items()}
        results[name] |= {
            "latency": measure.latency(alone),
            "times_the_first": measure.ratio(alone, first),
            "batches": {str(size): {"texts_per_second": speed} for size, speed in speeds.items()},
        }


if __name__ == "__main__":
    main()
