"""Is the promise of ``--abstain`` kept? Share answered and share wrong on test splits, for fp32 and
int8.

    python -m benchmarks.abstention [SET …] [--data FOLDER] [--seed 0]

Each set's training split trains ``small`` from its labels alone; the curve is of its validation
part. Each file answers the test texts once, and each share of wrong answers that is asked for gives
a threshold by the file's curve. Intervals are Wilson's (95 %).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from edge_lstm_export import TextClassifier

from benchmarks.sets import DATA, Rows, split
from edge_lstm import Classifier
from edge_lstm.core.risk_coverage import SHOWN_RISKS, is_abstained
from edge_lstm.metrics import wilson_interval

HEADER = """\
| set | file | validation texts | test texts | allowed | threshold | answered | wrong | 95 % |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""


def rows(name: str, classifier: Classifier, test: Rows) -> Iterator[str]:
    """Yield a row of the table for each share of wrong answers; first without any, all texts
    answered.
    """
    curve = classifier.model.abstention
    assert curve is not None
    probabilities = classifier.probabilities(test[0])
    wrong = np.array(classifier.labels)[probabilities.argmax(axis=1)] != np.array(test[1])
    start = f"| {name} | {classifier.model.precision} | {curve.texts:,} | {len(wrong):,} |"
    yield f"{start} – | 0 | 100 % | {wrong.mean():.2%} | |"
    for risk in SHOWN_RISKS:
        point = curve.operating_point(risk)
        if point is None:
            yield f"{start} {risk:.0%} | none: {curve.min_risk:.2g} is the least | | | |"
            continue
        answered = ~is_abstained(probabilities.max(axis=1), point.threshold)
        interval = wilson_interval(int(wrong[answered].sum()), int(answered.sum()))
        yield (
            f"{start} {risk:.0%} | {point.threshold:.4f} | {answered.mean():.1%} | "
            f"**{wrong[answered].mean():.2%}** | {interval.low:.2%} to {interval.high:.2%} |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=["banking77", "trec6"])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(HEADER)
    for name in asked.sets:
        train, test = split(asked.data / name)
        model = TextClassifier(teacher="none", random_state=asked.seed).fit(*train)
        with tempfile.TemporaryDirectory() as folder:
            for precision in (None, "int8"):
                path = model.export(Path(folder) / "model.onnx", quantize=precision)
                print(*rows(name, Classifier.load(path), test), sep="\n", flush=True)


if __name__ == "__main__":
    main()
