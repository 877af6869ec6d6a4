"""The texts that are measured: real ones, all different, never one cached input."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.modelfile import ModelFile, embedded_model
from edge_lstm.models import embedded_reviews

MAX_TEXTS = 5000  # more would only cost memory: these are varied enough


@dataclass(frozen=True)
class Sample:
    """Texts and where they are from. Raises DataError where there is none."""

    source: str
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError(f"{self.source} holds no texts; give a file with at least one")

    def sha256(self) -> str:
        """Digest of the texts in order: two results compare only over the same texts."""
        digest = hashlib.sha256()
        for text in self.texts:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(data)}\n".encode() + data)
        return digest.hexdigest()


def texts_of(model: ModelFile) -> Sample:
    """What a model is measured with where no texts are given: the package's reviews for the package's model,
    else the examples in the model file."""
    if model.data == embedded_model().read_bytes():
        return Sample("the package's reviews", embedded_reviews())
    texts = tuple(row.text for row in model.golden if row.text)
    return Sample(f"the examples in {model.path.name}", texts)


def read_texts(path: Path, *, text_column: str | None = None, input_format: str | None = None) -> Sample:
    """The first MAX_TEXTS texts of a file or folder that ``score`` reads. Raises DataError."""
    from edge_lstm.tables.reader import read_rows

    rows = read_rows([path], format=input_format, text_column=text_column)
    texts = tuple(islice((row.text for row in rows if row.text is not None), MAX_TEXTS))
    return Sample(path.name or str(path), texts)


def shuffled_forever(count: int, rng: random.Random) -> Iterator[int]:
    """0 … count − 1 in random order, then again in another: every text comes equally often."""
    order = list(range(count))
    while True:
        rng.shuffle(order)
        yield from order
