"""How accurate and how large the presets are on IMDB: model files → accuracy.json, .md, curve.svg.

    python -m benchmarks.accuracy tiny=a.onnx base=b.onnx …

Every file answers IMDB's test split, from the folder that EDGE_LSTM_DATA names, and what
benchmarks.other_texts has. Presets that are not named keep what was measured before. ``--draw``
makes page and picture again from accuracy.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import other_texts, picture
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
HEADS = ("preset", "file", "test accuracy", "95 %", "log loss", "calibration error")
REVIEWS = """Each int8 file on IMDB's 25,000 test reviews (`python -m benchmarks.accuracy`). The
interval is Wilson's. [The engine](engine.md) has the times."""
OTHERS = """This is the accuracy of the same files on other texts, in %. The first two columns are
`examples/reviews.csv` and `sentences.csv`. SST-2 has sentences about films, Yelp about restaurants,
Amazon about goods. Edited and negated are pairs of opposites, and a pair counts if both are right.
No file was trained on these texts, but `base` was trained on SST-2's training split and on other
reviews of goods. The last three columns are the mean probability, in %, of the predicted label for
texts without a sentiment (50: undecided)."""


def main() -> None:
    """Measure what is named, or only draw again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("presets", nargs="*", metavar="NAME=FILE")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="labelled sets, of benchmarks.other_texts"
    )
    parser.add_argument("--draw", action="store_true", help="page and picture again")
    asked = parser.parse_args()
    results = FOLDER / "results" / "accuracy.json"
    report = json.loads(results.read_text(encoding="utf-8"))
    if not asked.draw:
        report |= measure(dict(preset.split("=", 1) for preset in asked.presets), asked.data)
        results.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    runs = lines(FOLDER / "results" / "public_sets.jsonl")
    asked_for = {"set": "sst2", "rows": ALL, "teacher": "default"}
    trained = [run for run in runs if run.items() >= asked_for.items()]
    (FOLDER / "accuracy.md").write_text(page(report), encoding="utf-8")
    drawn = picture.published(report, trained)
    (FOLDER / "results" / "curve.svg").write_text(drawn, encoding="utf-8")


def measure(files: dict[str, str], data: Path) -> dict[str, Json]:
    """Ask every file for the test split and the other texts."""
    dataset = imdb()
    assert dataset.test is not None
    truth = dataset.test.labels.argmax(axis=1)
    report = {}
    for name, path in files.items():
        classifier = Classifier.load(path)
        model = classifier.model
        probabilities = classifier.probabilities(dataset.test.texts)
        right = probabilities.argmax(axis=1) == truth
        interval = wilson_interval(int(right.sum()), len(right))
        certain = other_texts.certainties(classifier, data)
        report[name] = {
            "sha256": model.sha256(),
            "bytes": len(model.data),
            "accuracy": float(right.mean()),
            "interval": [interval.low, interval.high],
            "log_loss": log_loss(truth, probabilities),
            "calibration_error": expected_calibration_error(calibration_bins(truth, probabilities)),
            "other_texts": {**other_texts.accuracies(classifier, data), **certain},
        }
        print(name, f"{report[name]['accuracy']:.2%}", flush=True)
    return report


def page(report: dict[str, Json]) -> str:
    """Return the tables as Markdown."""
    rows = [
        [
            name,
            f"{told['bytes'] / 1000:,.0f} kB",
            f"**{percent(told['accuracy'])} %**",
            " to ".join(map(percent, told["interval"])),
            f"{told['log_loss']:.4f}",
            f"{told['calibration_error']:.2%}",
        ]
        for name, told in report.items()
    ]
    others = [
        [name, *(f"{100 * share:.1f}" for share in told["other_texts"].values())]
        for name, told in report.items()
    ]
    kinds = next(iter(report.values()))["other_texts"]
    files = (
        f"- {name}: {told['bytes']:,} bytes, sha256 `{told['sha256'][:16]}…`"
        for name, told in report.items()
    )
    parts = [
        "# Accuracy and size",
        REVIEWS,
        markdown_table(HEADS, rows),
        "![Accuracy on SST-2 against size, compared with BERT](results/curve.svg)",
        "## Other texts",
        OTHERS,
        markdown_table(("preset", *kinds), others),
        "## Files",
        "\n".join(files),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
