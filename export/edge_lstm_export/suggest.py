"""Which texts to label next: a model is unsure of them, and no two say the same.

A model learns most from labels that it cannot predict. But the texts that it is least sure of are
many times the same one, or odd ones that nothing else is like. So the unsure ones are divided into
as many clusters as texts are asked for, weighted by how unsure the model is (1 less the margin
between its two likeliest labels; Scheffer et al., 2001), and each cluster gives the text that
stands for it (Zhdanov, 2019).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.metrics import pairwise_distances_argmin_min

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.text import text_key
from edge_lstm.errors import DataError
from edge_lstm.printable import Pairs, json_text, well_formed
from edge_lstm.system.atomic import write_atomically
from edge_lstm.tables.csv import csv_text

POOL = 20_000  # texts that are classified: of more, a random part
FEWEST = 500
JSONL_SUFFIX = ".jsonl"


class Suggestions(NamedTuple):
    """Texts to label.

    rows: (text, predicted label), the most worth labelling first.
    texts: different ones that were read and are not labelled already.
    classified: number of them that were looked at.
    """

    rows: list[tuple[str, str]]
    texts: int
    classified: int


def suggest(
    classifier: Classifier, texts: Iterable[str], count: int, *, labelled: Sequence[str] = ()
) -> Suggestions:
    """Choose at most ``count`` texts to label next.

    They differ from the ``labelled`` ones and from each other.

    The order of the texts decides nothing.

    Raise DataError if all are labelled already.
    """
    different = {text_key(text): text for text in texts if text.strip()}
    new = sorted(different.keys() - set(map(text_key, labelled)))
    # Keys are hashes, so the smallest are a random part.
    pool = [different[key] for key in new[:POOL]]
    if not pool:
        raise DataError("every text is empty or labelled already; give a file with others")
    probabilities = classifier.probabilities(pool)
    two = np.sort(probabilities, axis=1)[:, -2:].astype(np.float64)
    unsure = 1 - (two[:, 1] - two[:, 0])
    order = np.argsort(-unsure, kind="stable")[: max(FEWEST, 20 * count)]
    candidates = [pool[i] for i in order]
    chosen = order[_diverse(candidates, unsure[order] + 1e-9, labelled, count)]
    best = probabilities.argmax(axis=1)
    rows = [(pool[i], classifier.labels[best[i]]) for i in chosen.tolist()]
    return Suggestions(rows, len(new), len(pool))


def _diverse(texts: Sequence[str], weights: Any, labelled: Sequence[str], count: int) -> list[int]:
    """Return the places of the texts to label, without near-copies.

    First comes the text that stands for each cluster, then the least sure of the others.

    weights: float64 [texts].
    """
    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 3), n_features=2**12, binary=True, alternate_sign=False
    )
    vectors = vectorizer.transform(map(well_formed, texts))
    clusters = min(count, 200, len(texts))
    with warnings.catch_warnings():
        # Of fewer different vectors than clusters: near-copies are left out below.
        warnings.simplefilter("ignore")
        k_means = KMeans(clusters, n_init=3, random_state=0).fit(vectors, sample_weight=weights)
    cluster = k_means.labels_
    to_centre = np.asarray(vectors.multiply(k_means.cluster_centers_[cluster]).sum(axis=1)).ravel()
    by_worth = np.argsort(-weights * to_centre, kind="stable")
    is_further = np.ones(len(texts), np.bool_)  # not the one that stands for its cluster
    is_further[by_worth[np.unique(cluster[by_worth], return_index=True)[1]]] = False
    nearest = np.zeros(len(texts))  # the cosine to the nearest text that is chosen or labelled
    if len(labelled):
        of_labelled = vectorizer.transform(map(well_formed, labelled))
        nearest = 1 - pairwise_distances_argmin_min(vectors, of_labelled, metric="cosine")[1]
    chosen: list[int] = []
    for i in np.lexsort((-weights, is_further)).tolist():
        # From this cosine of character trigrams on, a text counts as a copy of another.
        if nearest[i] < 0.85 and len(chosen) < count:
            chosen.append(i)
            nearest = np.maximum(nearest, (vectors @ vectors[i].T).toarray().ravel())
    return chosen


def write_suggestions(suggestions: Suggestions, path: Path) -> None:
    """Write a CSV file with the columns text and label, the predicted one, for a person to correct.

    A ``.jsonl`` file gets rows with fields, each with its label.

    Raise OutputError.
    """
    if path.suffix == JSONL_SUFFIX:
        lines = [_labelled(text, label) for text, label in suggestions.rows]
        write_atomically("".join(f"{line}\n" for line in lines), path)
        return
    write_atomically(csv_text([("text", "label"), *suggestions.rows]), path)


def _labelled(text: Any, label: str) -> str:
    """Return a row as JSON with this label. text: what was read of it."""
    pairs = text.fields.object_of(text.row)
    others = (pair for pair in pairs if pair[0] != "label")
    return json_text(Pairs([*others, ("label", label)]))
