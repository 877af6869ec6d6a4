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


class NgramLogits:
    """The share that the n-grams of a text have in the second label's logit."""

    def __init__(self, reference: Any, model: Any) -> None:
        """Take over a model that has n-grams. reference: the module that read it."""
        self._reference = reference
        self._model = model
        vectors = model.weights["ngram_vectors"]
        scales = model.weights.get("ngram_scales", 1)
        head = model.weights["head_w"] * model.weights.get("head_w_scales", 1)
        # Of each n-gram.
        self._shares = vectors * scales @ head[-vectors.shape[1] :, 0]

    def of(self, ids: npt.NDArray[np.int64]) -> float:
        """Return the share of a text that is ids."""
        words = self._model.network.ngram_words
        found = ids - self._reference.FIRST_NGRAM_ID
        rows = np.concatenate([found[(found >= 0) & (found < words)], self._pairs(ids) + words])
        kinds, times = np.unique(rows, return_counts=True)
        counts = np.array(self._model.network.ngram_counts)
        counted = counts[np.minimum(times, len(counts)) - 1]
        return float(self._shares[kinds] @ counted / np.sqrt(max(1, len(ids))))

    def _pairs(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the slots of the pairs of words that the model has."""
        slots = self._model.network.ngram_slots
        if not slots:
            return np.empty(0, np.int64)
        a = ids[:-1]
        b = ids[1:]
        # As slot_of_pair of the reference, for all pairs at once.
        reference = self._reference
        displacements = self._model.weights["pair_displacements"].astype(np.int64)
        key = (a * 2**17 + b) % reference.PRIME
        h = key * reference.MULTIPLIERS[0] % reference.PRIME
        g = key * reference.MULTIPLIERS[1] % reference.PRIME
        steps = 1 + h // len(displacements) % max(slots - 1, 1)
        found = (g % slots + displacements[h % len(displacements)] * steps) % slots
        fingerprints = 1 + g % reference.MOST_FINGERPRINTS
        weights = self._model.weights
        is_stored = (weights["pair_fingerprints"][found] == fingerprints) & (np.minimum(a, b) > 0)
        return np.asarray(found[is_stored])


def logits_of(answers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the second label's logits, float64 [n]. answers: of two labels."""
    values = np.clip(answers.astype(np.float64), 1e-30, 1)
    return np.asarray(np.log(values[:, 1]) - np.log(values[:, 0]))


def answers_of(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return probabilities of two labels, [n, 2]."""
    second = 1 / (1 + np.exp(-logits))
    return np.stack([1 - second, second], axis=1)


def with_all_ngrams(
    classifier: Classifier, texts: list[str], end: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the readings that take n-grams of the whole text, if the model has any.

    end: the answers to the last tokens.
    """
    spec = spec_from_file_location("reference", REFERENCE)
    assert spec is not None and spec.loader is not None
    reference: Any = module_from_spec(spec)
    sys.modules["reference"] = reference
    spec.loader.exec_module(reference)
    model = reference.read(classifier.model.path.read_bytes())
    if "ngram_vectors" not in model.weights:
        return {}
    ngrams = NgramLogits(reference, model)
    tokenizer = replace(classifier.model.tokenizer, length=sys.maxsize)
    length = classifier.model.tokenizer.length

    def shares(some: list[str], length: int) -> npt.NDArray[np.float64]:
        every = (np.array(tokenizer.encode_text(text).ids, np.int64) for text in some)
        return np.array([ngrams.of(ids[-length:]) for ids in every])

    whole = shares(texts, sys.maxsize)
    windows = [cut(text.encode()) for text in texts]
    pieces = [window.decode() for each in windows for window in each]
    owners = np.repeat(np.arange(len(texts)), [len(each) for each in windows])
    weights = [len(piece.encode()) for piece in pieces]
    lstm = logits_of(classifier.probabilities(pieces)) - shares(pieces, length)
    means = np.bincount(owners, lstm * weights) / np.bincount(owners, weights)
    of_end = logits_of(end) - shares(texts, length)
    return {
        "n-grams of all, LSTM of the end": answers_of(of_end + whole),
        "n-grams of all, LSTM of windows of 2,500 bytes": answers_of(means + whole),
    }


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
    readings |= with_all_ngrams(classifier, texts, end)
    is_right = {name: values.argmax(axis=1) == truth for name, values in readings.items()}
    base = is_right["its last tokens"]
    rows = [
        [name, percent(right.mean()), f"{(right & ~base).sum()}, {(base & ~right).sum()}"]
        for name, right in is_right.items()
    ]
    return markdown_table(("read", "accuracy", "better, worse"), rows)


if __name__ == "__main__":
    main()
