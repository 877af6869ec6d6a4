"""How accurate, how large and how fast the presets are: model files → accuracy.json, accuracy.md, curve.svg.

    python -m benchmarks.accuracy tiny=a.onnx,b.onnx,c.onnx small=d.onnx … [--data-dir FOLDER] [--cpu N]

NAME=FILE,FILE,… are files of one recipe that differ in their seed. Every file answers IMDB's test split and
what benchmarks.other_texts has; the first of each recipe is timed. Recipes that are not named keep their
figures, and the page says so. ``--draw`` makes page and picture again from accuracy.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import accuracy_page, conditions, other_texts, picture
from benchmarks.documents import DATA_VARIABLE
from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError, EdgeLSTMError
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.sources import load_labelled
from edge_lstm.modelfile import open_model

Json = dict[str, Any]
FOLDER = Path(__file__).parent
TIMED_TEXTS = 480
ROUNDS = 5


def main() -> None:
    """Measures what is named, or only draws again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipes", nargs="*", metavar="NAME=FILE,FILE,…")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get(DATA_VARIABLE))
    parser.add_argument("--cpu", type=int, help="run on this core only")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of accuracy.md and results/")
    parser.add_argument("--draw", action="store_true", help="page and picture again, from accuracy.json")
    given = parser.parse_args()
    results = given.output / "results"
    results.mkdir(parents=True, exist_ok=True)
    kept = results / "accuracy.json"
    if not given.draw:
        if not given.recipes:
            parser.error("name the model files: NAME=FILE,FILE,…")
        if given.cpu is not None:
            os.sched_setaffinity(0, {given.cpu})
        report = measure(dict(map(_recipe, given.recipes)), given.data_dir)
        if kept.is_file():
            report["recipes"] = joined(report, json.loads(kept.read_text(encoding="utf-8")))
        kept.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    report = json.loads(kept.read_text(encoding="utf-8"))
    latest = results / "latest.json"
    others = json.loads(latest.read_text(encoding="utf-8")) if latest.is_file() else None
    (given.output / "accuracy.md").write_text(accuracy_page.page(report), encoding="utf-8")
    (results / "curve.svg").write_text(picture.presets(report, others), encoding="utf-8")


def measure(recipes: dict[str, list[Path]], data_dir: Path | None) -> Json:
    """Every file's answers to the test split, and the times of each recipe's first file."""
    before = conditions.now()
    data = load_labelled("imdb", data_dir=data_dir)
    sets = other_texts.default_sets(data_dir)
    rows: list[Json] = []
    for name, paths in recipes.items():
        models = [open_model(path) for path in paths]
        found = evaluate(models, data.texts, data.labels, data="IMDB's test split")
        classifiers = [Classifier.load(path) for path in paths]
        files = [
            {
                "file": model.path.name,
                "sha256": result.sha256,
                "bytes": result.bytes,
                "precision": result.precision,
                "accuracy": result.accuracy,
                "interval": [result.interval.low, result.interval.high],
                "log_loss": result.log_loss,
                "calibration_error": result.calibration_error,
                "other_texts": other_texts.accuracies(classifier, sets),
                "certainty": other_texts.certainties(classifier, sets),
                "network": model.network,
                "training": model.training,
            }
            for model, classifier, result in zip(models, classifiers, found.models)
        ]
        rows.append({"name": name, "files": files})
        print(name, *(f"{file['accuracy']:.2%}" for file in files), flush=True)
    rng = np.random.default_rng(0)
    texts = [data.texts[i] for i in rng.permutation(len(data.texts))[:TIMED_TEXTS]]
    firsts = [Classifier.load(paths[0]) for paths in recipes.values()]
    for row, first, times in zip(rows, firsts, timed(firsts, texts)):
        row["times"], row["batch_size"] = times, first.batch_size
        print(row["name"], *(f"{key} {value:.1f}" for key, value in times.items()), flush=True)
    return {
        "schema": 1,
        "conditions": {"before": before, "after": conditions.now()},
        "data": {"name": "IMDB's test split", "texts": len(data.texts)},
        "timed_texts": len(texts),
        "rounds": ROUNDS,
        "recipes": rows,
    }


def joined(report: Json, earlier: Json) -> list[Json]:
    """The report's recipes in the places of the earlier ones, and of these what was not measured again, which
    says ``earlier``: its conditions."""
    new = {recipe["name"]: recipe for recipe in report["recipes"]}
    rows = []
    for recipe in earlier["recipes"]:
        kept = {"earlier": earlier["conditions"]["before"], **recipe}
        rows.append(new.pop(recipe["name"], kept))
    return [*rows, *new.values()]


def timed(classifiers: Sequence[Classifier], texts: Sequence[str]) -> list[Json]:
    """µs a text for each classifier, on one thread: the classifiers take turns at every text and batch, and
    of a text's or batch's rounds the fastest counts.

    words: text → ids, alone: batch 1, ids → answer: medians over the texts. batches: of similar length and
    of the classifier's own size, ids → answer: the mean over the texts.
    """
    rows = [[c.model.tokenizer.encode_text(text).ids for text in texts] for c in classifiers]
    batches = []
    for classifier, ids in zip(classifiers, rows):
        size = classifier.batch_size
        order = sorted(range(len(ids)), key=lambda i, ids=ids: len(ids[i]))
        batches.append([[ids[i] for i in order[k : k + size]] for k in range(0, len(ids), size)])
    words = _fastest([[_encoding(c, text) for text in texts] for c in classifiers])
    alone = _fastest([[_answering(c, [ids]) for ids in own] for c, own in zip(classifiers, rows)])
    together = _fastest([[_answering(c, batch) for batch in own] for c, own in zip(classifiers, batches)])
    return [
        {
            "words": statistics.median(words[k]),
            "alone": statistics.median(alone[k]),
            "batches": sum(together[k]) / len(texts),
        }
        for k in range(len(classifiers))
    ]


def _encoding(classifier: Classifier, text: str) -> Callable[[], Any]:
    return lambda: classifier.model.tokenizer.encode_text(text)


def _answering(classifier: Classifier, ids: list[list[int]]) -> Callable[[], Any]:
    return lambda: classifier.probabilities_of(ids)


def _fastest(tasks: Sequence[Sequence[Callable[[], Any]]]) -> list[list[float]]:
    """Each task's fastest of ROUNDS in µs; the first run of a turn brings it into the caches.

    A classifier of larger batches has fewer of them, and sits out the last turns.
    """
    best = [[float("inf")] * len(own) for own in tasks]
    for _ in range(ROUNDS):
        for column in range(max(map(len, tasks))):
            for own, times in zip(tasks, best):
                if column >= len(own):
                    continue
                own[column]()
                start = time.perf_counter()
                own[column]()
                times[column] = min(times[column], (time.perf_counter() - start) * 1e6)
    return best


def _recipe(given: str) -> tuple[str, list[Path]]:
    name, equals, files = given.partition("=")
    if not equals or not name or not files:
        raise DataError(f"{given!r} cannot be read; write NAME=FILE or NAME=FILE,FILE,…")
    return name, [Path(file) for file in files.split(",")]


if __name__ == "__main__":
    try:
        main()
    except EdgeLSTMError as error:
        sys.exit(f"error: {error}")
