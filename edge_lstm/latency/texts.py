"""The texts that are measured: real ones, all different, never one cached input."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.models import embedded_reviews
from edge_lstm.text import Tokenizer

MAX_TEXTS = 5000  # more would only cost memory: these are varied enough


@dataclass(frozen=True)
class Sample:
    """Texts and where they are from."""

    source: str
    texts: tuple[str, ...]

    def sha256(self) -> str:
        """Digest of the texts in order: two results compare only over the same texts."""
        digest = hashlib.sha256()
        for text in self.texts:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(data)}\n".encode() + data)
        return digest.hexdigest()


def embedded_sample() -> Sample:
    """The reviews that are installed with the package."""
    return Sample("the package's reviews", embedded_reviews())


def read_sample(
    path: Path | None, *, text_column: str | None = None, input_format: str | None = None
) -> Sample:
    """The first MAX_TEXTS texts of a file or folder that ``score`` reads, or the package's own.

    Raises DataError.
    """
    if path is None:
        return embedded_sample()
    from edge_lstm.tables.reader import read_rows

    rows = read_rows([path], format=input_format, text_column=text_column)
    texts = tuple(islice((row.text for row in rows if row.text is not None), MAX_TEXTS))
    return check_texts(Sample(path.name or str(path), texts))


def texts_of_length(sample: Sample, tokenizer: Tokenizer, length: int, count: int, seed: int) -> Sample:
    """``count`` texts of exactly ``length`` tokens: the sample's words from random places on.

    Raises DataError where the model cannot take such a length or no text has words.
    """
    if not 1 <= length <= tokenizer.length:
        raise DataError(f"length {length}: this model takes 1 to {tokenizer.length} tokens; choose within")
    words = [word for text in sample.texts for word in text.split()]
    # Only words that are one token each: 'well-made' is two, '...' none.
    words = [word for word in words if len(tokenizer.encode_text(word).ids) == 2]
    if not words and length > 1:
        raise DataError("the texts hold no words to make texts of a given length from; give other --data")
    rng = random.Random(seed * 1000 + length)
    texts = []
    for _ in range(count):
        start = rng.randrange(len(words)) if words else 0
        texts.append(" ".join(words[(start + i) % len(words)] for i in range(length - 1)))
    return Sample(f"{sample.source}, made {length} tokens long", tuple(texts))


def shuffled_forever(count: int, rng: random.Random) -> Iterator[int]:
    """0 … count − 1 in random order, then again in another: every text comes equally often."""
    order = list(range(count))
    while True:
        rng.shuffle(order)
        yield from order


def check_texts(sample: Sample) -> Sample:
    """The sample, if there is anything in it; DataError otherwise."""
    if not sample.texts:
        raise DataError(f"{sample.source} holds no texts; give a file with at least one")
    return sample


def lengths_of(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """Tokens of each text, at most those that the model takes."""
    return [len(tokenizer.encode_text(text).ids) for text in texts]
