"""How accurate, how large and how fast the presets are on IMDB: model files → accuracy.json, .md,
curve.svg.

    python -m benchmarks.accuracy tiny=a.onnx,b.onnx,c.onnx small=d.onnx …

NAME=FILE,FILE,… are files of one preset that differ in their seed. Every file answers IMDB's test
split, from the folder that EDGE_LSTM_DATA names, and what benchmarks.other_texts has; the first of
each is timed. Presets that are not named keep what was measured before. ``--draw`` makes page and
picture again from accuracy.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import conditions, other_texts, picture
from benchmarks.clock import fastest
from benchmarks.sets import ALL, DATA, imdb, lines
from benchmarks.table import markdown_table, percent
from edge_lstm import Classifier
from edge_lstm.metrics import (
    calibration_bins,
    expected_calibration_error,
    log_loss,
    wilson_interval,
)

Json = dict[str, Any]
FOLDER = Path(__file__).parent
TIMED_TEXTS = 480
ROUNDS = 5
HEADS = (
    "preset", "file", "test accuracy", "seeds", "95 %", "log loss", "calibration error",
    "one review",
    "in batches", "text → ids",
)  # fmt: skip
TIMES = f"""Accuracy is the mean of the seeds, with the lowest and the highest if there are several.
The interval is Wilson's, of the first file. Times are on one thread, the fastest of {ROUNDS}
rounds. "One review" and "text → ids" are the median of {TIMED_TEXTS} test reviews, one at a time.
"In batches" is the mean over batches of reviews of similar length, at the file's default batch
size."""
OTHERS = """This is the accuracy of the same files on other texts, in %, the mean of the seeds. The
first two columns are `examples/reviews.csv` and `sentences.csv`. SST-2 has sentences about films,
Yelp about restaurants, Amazon about goods. Edited and negated are pairs of opposites, and a pair
counts if both are right. No file was trained on these texts, but `base` was trained on SST-2's
training split and on other reviews of goods. The last three columns are the mean probability, in %,
of the predicted label for texts without a sentiment (50: undecided)."""


def main() -> None:
    """Measure what is named, or only draw again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("presets", nargs="*", metavar="NAME=FILE,FILE,…")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="labelled sets, of benchmarks.other_texts"
    )
    parser.add_argument("--draw", action="store_true", help="page and picture again")
    asked = parser.parse_args()
    results = FOLDER / "results" / "accuracy.json"
    if not asked.draw:
        files = {
            name: paths.split(",") for name, _, paths in (p.partition("=") for p in asked.presets)
        }
        report = measure(files, asked.data)
        before = (
            json.loads(results.read_text(encoding="utf-8"))["presets"] if results.exists() else []
        )
        report["presets"] = [row for row in before if row["name"] not in files] + report["presets"]
        results.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    report = json.loads(results.read_text(encoding="utf-8"))
    runs = lines(FOLDER / "results" / "public_sets.jsonl")
    asked_for = {"set": "sst2", "rows": ALL, "teacher": "default", "held_out": 0}
    trained = [run for run in runs if run.items() >= asked_for.items()]
    (FOLDER / "accuracy.md").write_text(page(report), encoding="utf-8")
    (FOLDER / "results" / "curve.svg").write_text(
        picture.published(report, trained), encoding="utf-8"
    )


def measure(presets: dict[str, list[str]], data: Path) -> Json:
    """Ask every file for the test split, and time the first file of each preset."""
    before = conditions.now()
    dataset = imdb()
    assert dataset.test is not None
    texts = dataset.test.texts
    truth = dataset.test.labels.argmax(axis=1)
    chosen = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:TIMED_TEXTS]]
    rows: list[Json] = []
    for name, paths in presets.items():
        files = [_figures(path, texts, truth, data) for path in paths]
        rows.append({"name": name, "files": files, **times(Classifier.load(paths[0]), chosen)})
        print(name, *(f"{file['accuracy']:.2%}" for file in files), flush=True)
    return {"conditions": before, "texts": len(texts), "presets": rows}


def _figures(path: str, texts: Sequence[str], truth: Any, data: Path) -> Json:
    classifier = Classifier.load(path)
    model = classifier.model
    probabilities = classifier.probabilities(texts)
    right = probabilities.argmax(axis=1) == truth
    interval = wilson_interval(int(right.sum()), len(right))
    certain = other_texts.certainties(classifier, data)
    return {
        "sha256": model.sha256(),
        "bytes": len(model.data),
        "accuracy": float(right.mean()),
        "interval": [interval.low, interval.high],
        "log_loss": log_loss(truth, probabilities),
        "calibration_error": expected_calibration_error(calibration_bins(truth, probabilities)),
        "other_texts": {**other_texts.accuracies(classifier, data), **certain},
        "training": {
            name: model.training.get(name) for name in ("preset", "seed", "teachers", "parameters")
        },
    }


def times(classifier: Classifier, texts: Sequence[str]) -> Json:
    """Return the classifier's batch size, and µs per text on one thread; see TIMES."""
    encode = classifier.model.tokenizer.encode_text
    answer = classifier.probabilities_of
    ids = [encode(text).ids for text in texts]
    size = classifier.batch_size
    ordered = sorted(ids, key=len)
    batches = [ordered[k : k + size] for k in range(0, len(ids), size)]
    words = fastest({"words": encode}, texts, ROUNDS)["words"]
    alone = fastest({"alone": answer}, [[row] for row in ids], ROUNDS)["alone"]
    together = fastest({"batches": answer}, batches, ROUNDS)["batches"]
    return {
        "batch_size": size,
        "words": float(np.median(words)),
        "alone": float(np.median(alone)),
        "batches": float(together.sum() / len(texts)),
    }


def page(report: Json) -> str:
    """Return the tables as Markdown."""
    presets = report["presets"]
    machine = report["conditions"]
    busy = " Other programs ran at the same time." if machine["busy"] else ""
    parts = [
        "# Accuracy, size and speed",
        (
            f"Each int8 file on IMDB's {report['texts']:,} test reviews (`python -m "
            "benchmarks.accuracy`)."
        ),
        markdown_table(HEADS, map(_row, presets)),
        TIMES,
        f"{conditions.cpu_of(machine)}; Python {machine['python']}; {machine['time'][:16]}.{busy}",
        "![Accuracy on SST-2 against size, compared with BERT](results/curve.svg)",
        "## Other texts",
        OTHERS,
        markdown_table(("preset", *presets[0]["files"][0]["other_texts"]), map(_others, presets)),
        "## Files",
        "\n".join(
            f"- {preset['name']}: {'; '.join(map(_file, preset['files']))}" for preset in presets
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _row(preset: Json) -> list[str]:
    files = preset["files"]
    shares = [file["accuracy"] for file in preset["files"]]
    ends = f" ({percent(min(shares))} to {percent(max(shares))})" if len(files) > 1 else ""
    return [
        preset["name"],
        f"{files[0]['bytes'] / 1000:,.0f} kB",
        f"**{percent(statistics.mean(shares))} %**{ends}",
        str(len(files)),
        " to ".join(map(percent, files[0]["interval"])),
        f"{statistics.mean(file['log_loss'] for file in files):.4f}",
        f"{statistics.mean(file['calibration_error'] for file in files):.2%}",
        f"{preset['alone']:.0f} µs",
        f"{preset['batches']:.0f} µs ({preset['batch_size']} texts)",
        f"{preset['words']:.0f} µs",
    ]


def _others(preset: Json) -> list[str]:
    columns = zip(*(file["other_texts"].values() for file in preset["files"]))
    return [preset["name"], *(f"{100 * statistics.mean(shares):.1f}" for shares in columns)]


def _file(file: Json) -> str:
    return (
        f"seed {file['training']['seed']}, {file['bytes']:,} bytes, sha256 `{file['sha256'][:16]}…`"
    )


if __name__ == "__main__":
    main()
