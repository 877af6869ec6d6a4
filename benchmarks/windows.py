"""Texts that are longer than a model reads: its end, its beginning, or windows of it.

    python -m benchmarks.windows MODEL… [--bytes 600 1000 2500 4000]

Of IMDB's test reviews, the ones of which a model reads only the end. A window is a piece of about
equal size (edge_lstm/windows.py); the means of the windows' logits and probabilities have the
weight of their bytes. Of a model with n-grams, they may be taken of the whole text, and the LSTM of
the end or of windows: the head is linear, so their share of a logit is exchanged for another.
"better, worse": reviews that the reading of the end gets wrong, and right.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.sets import imdb
from benchmarks.table import markdown_table, percent
from edge_lstm import Classifier
from edge_lstm.windows import combine, cut

REFERENCE = Path(__file__).parents[1] / "engine" / "reference.py"
# Characters of a text's beginning, which the models read to its end.
FIRST = 2_000


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--bytes", nargs="+", type=int, default=[600, 1000, 1500, 2500, 4000])
    asked = parser.parse_args()
    split = imdb().test
    assert split is not None
    for path in asked.models:
        classifier = Classifier.load(path)
        statuses = [answer.status for answer in classifier.predict(split.texts)]
        long = [i for i, status in enumerate(statuses) if status == "truncated"]
        texts = [split.texts[i] for i in long]
        truth = np.array([split.labels[i].argmax() for i in long])
        print(f"\n{path}: {len(long):,} of {len(split.texts):,} reviews are longer\n")
        print(table(classifier, texts, truth, asked.bytes))


def ngram_logits(
    path: Path, texts: list[str], length: int | None
) -> npt.NDArray[np.float64] | None:
    """Return the share of the n-grams in the second label's logit; None if there are no n-grams.

    length: tokens from the end of a text; None for all of them.
    """
    spec = spec_from_file_location("reference", REFERENCE)
    assert spec is not None and spec.loader is not None
    reference: Any = module_from_spec(spec)
    sys.modules["reference"] = reference
    spec.loader.exec_module(reference)
    model = reference.read(path.read_bytes())
    if "ngram_vectors" not in model.weights:
        return None
    model = replace(model, length=length or sys.maxsize)
    head = model.weights["head_w"] * model.weights.get("head_w_scales", 1)
    shares = []
    for text in texts:
        part = reference.ngram_part(model, reference.encode(model, text)[0])
        shares.append(float(part @ head[-len(part) :, 0]))
    return np.array(shares)


def logits_of(answers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the second label's logits, float64 [n]. answers: of two labels."""
    values = np.clip(answers.astype(np.float64), 1e-30, 1)
    return np.asarray(np.log(values[:, 1]) - np.log(values[:, 0]))


def answers_of(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return probabilities of two labels, [n, 2]."""
    second = 1 / (1 + np.exp(-logits))
    return np.stack([1 - second, second], axis=1)


def table(
    classifier: Classifier, texts: list[str], truth: npt.NDArray[np.int64], sizes: list[int]
) -> str:
    """Return the accuracy of each reading as Markdown."""
    end = classifier.probabilities(texts)
    beginning = classifier.probabilities([text[:FIRST] for text in texts])
    readings = {"its last tokens": end, f"its first {FIRST:,} characters": beginning}
    for size in sizes:
        windows = [cut(text.encode(), size) for text in texts]
        counts = [len(each) for each in windows]
        pieces = [window for each in windows for window in each]
        answers = classifier.probabilities([piece.decode() for piece in pieces])
        weights = [len(piece) for piece in pieces]
        name = f"windows of {size:,} bytes"
        logits = combine(answers, weights, counts, is_multi_label=False)
        readings[f"{name}, mean logits"] = logits
        weighted = answers * np.array(weights)[:, None]
        starts = np.cumsum([0, *counts[:-1]])
        readings[f"{name}, mean probabilities"] = np.add.reduceat(weighted, starts)
    path = classifier.model.path
    whole = ngram_logits(path, texts, None)
    ends = ngram_logits(path, texts, classifier.model.tokenizer.length)
    if whole is not None and ends is not None:
        readings["n-grams of the text, LSTM of its end"] = answers_of(logits_of(end) - ends + whole)
        windows = [cut(text.encode()) for text in texts]
        pieces = [window.decode() for each in windows for window in each]
        owners = np.repeat(np.arange(len(texts)), [len(each) for each in windows])
        weights = [len(piece.encode()) for piece in pieces]
        parts = ngram_logits(path, pieces, classifier.model.tokenizer.length)
        lstm = logits_of(classifier.probabilities(pieces)) - parts
        means = np.bincount(owners, lstm * weights) / np.bincount(owners, weights)
        readings["n-grams of the text, LSTM of windows of 2,500 bytes"] = answers_of(means + whole)
    is_right = {name: values.argmax(axis=1) == truth for name, values in readings.items()}
    base = is_right["its last tokens"]
    rows = [
        [name, percent(right.mean()), f"{(right & ~base).sum()}, {(base & ~right).sum()}"]
        for name, right in is_right.items()
    ]
    return markdown_table(("read", "accuracy", "better, worse"), rows)


if __name__ == "__main__":
    main()
