"""The texts that teachers labelled, and the files that keep their labels.

A file has a byte or two per text, and no text.

labels.safetensors: for each kind of texts (labelled, unlabelled, spans) uint16 [n, 1], the
    probability of the second label times 65,535; products.safetensors: uint8 [n], the one of "pos"
    times 254, 255 if the text is left out. Metadata: sha256 of the texts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export.arrays import Floats
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.dataset import Dataset, Split, hold_out
from edge_lstm_export.train.sources.read import read_dataset, read_texts
from safetensors import safe_open
from spans import NEGATIONS, random_spans, spans_around

from edge_lstm.errors import DataError

VALIDATION = 0.04
SEED = 0
SPANS = 4
KEPT = Path(__file__).with_name("labels.safetensors")
KEY = "edge_lstm_soft_labels"
_SCALE = np.float32(65_535)


@dataclass(frozen=True)
class Texts:
    """The texts that teachers label.

    dataset: IMDB.
    train: its labelled reviews, less the part that fit() holds out.
    unlabelled: reviews.
    spans: of all these.
    """

    dataset: Dataset
    train: Split
    unlabelled: list[str]
    spans: list[str]

    @property
    def digest(self) -> str:
        """sha256 (hex) of all that the kept labels depend on."""
        labels = self.train.labels.argmax(axis=1).tolist()
        parts = [self.train.texts, labels, self.unlabelled, SPANS, NEGATIONS]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def read_imdb() -> Texts:
    """Read IMDB and draw the spans.

    Raise DataError.
    """
    dataset = read_dataset(["imdb"], DataOptions())
    train, validation = hold_out(dataset.train, VALIDATION, SEED)
    assert dataset.test is not None
    left_out = {*validation.texts, *dataset.test.texts}
    unlabelled = [text for text in read_texts("imdb", DataOptions()) if text not in left_out]
    texts = [*train.texts, *unlabelled]
    spans = dict.fromkeys(
        [*random_spans(texts, SPANS, SEED), *spans_around(texts, NEGATIONS, SEED)]
    )
    return Texts(dataset, train, unlabelled, list(spans))


def read_kept(path: Path, digest: str, *names: str) -> list[Any]:
    """Read arrays, int [n …].

    Raise DataError if they are of texts with another digest.
    """
    with safe_open(path, framework="np") as file:
        if file.metadata().get(KEY) != digest:
            raise DataError(f"{path} holds labels of other texts than these data; get the original")
        return [file.get_tensor(name) for name in names]


def load_labels(path: Path, texts: Texts) -> tuple[Floats, Floats]:
    """Read the probabilities of the unlabelled reviews and of the spans, float32 [n, 2] each.

    Raise DataError if the file's are of other texts.
    """
    second = [kept / _SCALE for kept in read_kept(path, texts.digest, "unlabelled", "spans")]
    unlabelled, spans = (np.concatenate([1 - values, values], axis=1) for values in second)
    return unlabelled, spans[
        : len(texts.spans)
    ]  # the rest are spans of the reviews that are held out
