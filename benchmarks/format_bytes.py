"""What the bytes that format 1 saves are worth: the same preset with words and pairs for them, and
without.

    python -m benchmarks.format_bytes SET[:ROWS] … [--data FOLDER …] [--preset small] [--seeds 2]

A training fills its preset. A second one is planned for so many bytes less that, in the format
before 1, its words and pairs would fill the preset, too. That format had for each LSTM unit four
biases more, two bytes for the fingerprint and for the displacement of a pair, a byte for each of
up to three columns of an n-gram, no codes for letter pairs, and longer names in the graph.

A quarter of each training split judges the int8 files. A pair of trainings is a line of the
results and is not made again. Prints the means by kind of data.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from edge_lstm_export import Plan, TextClassifier, make_plan
from edge_lstm_export.onnx import ngram_bytes, with_codes
from edge_lstm_export.onnx.rounding import NARROWEST
from edge_lstm_export.options import TrainingRequest
from edge_lstm_export.train.plan.defaults import PRESETS
from edge_lstm_export.train.plan.planning import plan_training
from edge_lstm_export.train.sources.memory import dataset_from
from sklearn.metrics import accuracy_score

from benchmarks.sets import ALL, DATA, append, draw, lines, split
from benchmarks.table import markdown_table
from edge_lstm import Classifier
from edge_lstm.core.text import front_coded

RESULTS = Path(__file__).parent / "results" / "format_bytes.jsonl"
NAMES = 2_300  # bytes of the graph
FEW_ROWS = 300
MANY_LABELS = 16
Line = dict[str, Any]


def saved(model: TextClassifier) -> float:
    """Return the bytes that the file of a model would take more in the format before 1."""
    checkpoint = model.result_.checkpoint
    config = checkpoint.network.config
    network = model.plan_.network
    vocabulary = front_coded(checkpoint.tokenizer.entries)
    more = len(vocabulary.encode()) - len(with_codes(vocabulary).encode())
    # float32, of four gates
    more += 16 * network.hidden * (1 + network.bidirectional)
    more += config.ngram_slots * 4 / 3
    if config.ngram_dim < NARROWEST:
        vectors = config.ngram_words + config.ngram_slots
        more += vectors * (config.ngram_dim - ngram_bytes(config))
    return NAMES + more


def measure(folder: Path, rows: str, preset: str, seed: int) -> Line:
    """Train with the bytes and without, and return the figures of both: without, with."""
    train, (questions, truth) = split(folder, 0.25, seed)
    texts, labels = draw(train, rows or ALL, seed)
    request = TrainingRequest(preset=preset, seed=seed)
    planned = plan_training(dataset_from(texts, labels), request)

    def run(plan: Plan) -> tuple[TextClassifier, Line]:
        model = TextClassifier(plan=plan).fit(texts, labels)
        with TemporaryDirectory() as made:
            file = model.export(Path(made) / "model.onnx", quantize="int8")
            answers = [answer.label for answer in Classifier.load(file).predict(questions)]
            size = file.stat().st_size
        config = model.result_.checkpoint.network.config
        figures = {"accuracy": accuracy_score(truth, answers), "bytes": size}
        return model, {**figures, "words": config.num_words, "pairs": config.ngram_slots}

    model, whole = run(planned.plan)
    most = planned.plan.max_kilobytes
    size = whole["bytes"]
    more = saved(model)
    without = whole
    if size + more > 1000 * most:
        fewer = replace(PRESETS[preset], max_kilobytes=round(most * size / (size + more)))
        with mock.patch.dict(PRESETS, {preset: fewer}):
            plan = make_plan(planned.stats, request)
        without = run(plan)[1]
    about = {"kind": planned.plan.kind, "labels": len({*labels}), "rows": len(texts)}
    return {**about, "saved": round(more), **{k: [without[k], whole[k]] for k in whole}}


def kind(line: Line) -> str:
    """Return the kind of a set, for the page."""
    if line["rows"] <= FEW_ROWS:
        return "few rows"
    if line["kind"] == "topics":
        return "topics"
    return "many labels" if line["labels"] > MANY_LABELS else "short"


def table(results: Iterable[Line]) -> str:
    """Return the gain of each kind and preset in points, and its standard error over the sets."""
    found: dict[tuple[str, str], dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in results:
        found[line["preset"], kind(line)][line["set"]].append(line)
    rows = []
    for (preset, of_kind), sets in found.items():
        gains = [
            statistics.mean(100 * (b - a) for a, b in (line["accuracy"] for line in own))
            for own in sets.values()
        ]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
        every = [line for own in sets.values() for line in own]
        more = (
            f"{100 * statistics.mean(line[key][1] / line[key][0] - 1 for line in every):+.0f} %"
            for key in ("words", "pairs")
        )
        gain = f"{statistics.mean(gains):+.2f} ± {error:.2f}"
        rows.append((preset, of_kind, str(len(sets)), str(len(every)), *more, gain))
    heads = ("preset", "kind", "sets", "trainings", "words", "pairs", "points")
    return markdown_table(heads, rows, words=(0, 1))


def main() -> None:
    """Make the pairs that are not there, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", metavar="SET[:ROWS]")
    parser.add_argument("--data", nargs="+", type=Path, default=[DATA])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    results = lines(RESULTS)
    there = [(line["preset"], line["set"], line["seed"]) for line in results]
    for seed, name in itertools.product(range(asked.seeds), asked.sets):
        if (asked.preset, name, seed) not in there:
            named, _, rows = name.partition(":")
            folder = next(data / named for data in asked.data if (data / named).is_dir())
            cell = {"preset": asked.preset, "set": name, "seed": seed}
            results.append({**cell, **measure(folder, rows, asked.preset, seed)})
            append(RESULTS, results[-1])
    print(table(results))


if __name__ == "__main__":
    main()
