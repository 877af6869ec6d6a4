"""What a checkpoint keeps of the rows it was trained on, so that a later training can go on from it.

Always: the keys (64-bit hashes of a text's words, ``Split.keys``) of its validation part and of its test
split, 8 bytes each, so that they are not trained on when the rows come back, and of some training texts, by
which these rows are known. Of many labels the vectors of the n-grams as they were before they learnt from the
validation part: the next ones begin with them. Only where it is asked for: the rows themselves, compressed:
texts may be private, and whoever has the checkpoint then has them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from edge_lstm_export.datasets import Dataset, Split
from edge_lstm_export.ngram_svm import Vectors

# More is a sample of the rows: a checkpoint is to stay a file of a few MB.
MOST_CHARACTERS = 4_000_000
_MOST_BYTES = 64 * 2**20  # of the rows, decompressed: what is longer was not written by this module
MOST_TRAINING_KEYS = 256
TRAIN, VALIDATION, TEST = range(3)

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Kept:
    """validation, test: uint64 [n], the keys of these parts; train: of a sample of the training part. rows:
    (part, indices of its labels, text) of the rows that are kept, or None. ngrams: the n-gram part as it was
    fitted to the training part, kept in float16; None where the next one does not begin with it."""

    validation: Keys
    test: Keys
    rows: tuple[tuple[int, tuple[int, ...], str], ...] | None = None
    train: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    ngrams: Vectors | None = None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        train: Split,
        validation: Split,
        *,
        rows: bool,
        seed: int = 0,
        ngrams: Vectors | None = None,
    ) -> Kept:
        """Of a training's parts; ``rows``: keep these too, of many a sample drawn by ``seed``."""
        test = dataset.test
        keys_of_test = np.zeros(0, np.uint64) if test is None else test.keys
        rng = np.random.default_rng([seed, 0x7EC])
        some = rng.permutation(np.unique(train.keys))[:MOST_TRAINING_KEYS]
        if not rows:
            return cls(validation.keys, keys_of_test, train=some, ngrams=ngrams)
        parts = [(TRAIN, train), (VALIDATION, validation), *([(TEST, test)] if test is not None else [])]
        every = [
            (part, own, text) for part, split in parts for own, text in zip(_labels_of(split), split.texts)
        ]
        order = np.random.default_rng([seed, 0x4E9]).permutation(len(every))
        ends = np.cumsum([len(every[i][2]) for i in order])
        chosen = np.sort(order[ends <= MOST_CHARACTERS])
        return cls(validation.keys, keys_of_test, tuple(every[i] for i in chosen), some, ngrams)

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """For the checkpoint's file."""
        tensors = {
            name: torch.from_numpy(keys.view(np.int64).copy())
            for name, keys in (("validation", self.validation), ("test", self.test), ("train", self.train))
        }
        if self.ngrams is not None:
            for name, value in asdict(self.ngrams).items():
                tensors[f"ngrams.{name}"] = torch.from_numpy(value).half()
        if self.rows is not None:
            plain = [(part, own[0] if len(own) == 1 else own, text) for part, own, text in self.rows]
            data = zlib.compress(json.dumps(plain).encode())
            tensors["rows"] = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], labels: int) -> Kept | None:
        """The inverse of :meth:`to_tensors`; None where there are none. ValueError, KeyError or TypeError
        where they are no kept rows of so many labels."""
        if not tensors:
            return None
        validation, test = _keys(tensors["validation"]), _keys(tensors["test"])
        train = _keys(tensors["train"]) if "train" in tensors else np.zeros(0, np.uint64)
        ngrams = _vectors(tensors, labels)
        if "rows" not in tensors:
            return cls(validation, test, train=train, ngrams=ngrams)
        if tensors["rows"].dtype != torch.uint8:
            raise ValueError("its rows are no bytes")
        unpacked = zlib.decompressobj()
        try:
            data = unpacked.decompress(tensors["rows"].numpy().tobytes(), _MOST_BYTES)
        except zlib.error as error:
            raise ValueError(f"its rows cannot be unpacked: {error}") from None
        if not unpacked.eof:
            raise ValueError("its rows are more than a checkpoint keeps, or cut short")
        rows: list[tuple[int, tuple[int, ...], str]] = []
        for part, label, text in json.loads(data):
            own = tuple(label) if isinstance(label, list) else (label,)
            if part not in (TRAIN, VALIDATION, TEST) or type(text) is not str:
                raise ValueError("its rows are no rows")
            if not all(type(i) is int and 0 <= i < labels for i in own) or len(set(own)) < len(own):
                raise ValueError(f"a kept row has label {str(label)[:40]} of {labels}")
            rows.append((part, own, text))
        return cls(validation, test, tuple(rows), train, ngrams)


def _labels_of(split: Split) -> list[tuple[int, ...]]:
    """The indices of each text's labels."""
    if split.sets is None:
        return [(label,) for label in split.labels.tolist()]
    return [tuple(np.flatnonzero(own).tolist()) for own in split.sets]


def _vectors(tensors: Mapping[str, torch.Tensor], labels: int) -> Vectors | None:
    found = {name: tensors.get(f"ngrams.{name}") for name in ("vectors", "head", "bias")}
    every = [value for value in found.values() if value is not None]
    if not every:
        return None
    if len(every) < len(found) or any(v.dtype != torch.float16 or not v.isfinite().all() for v in every):
        raise ValueError("its vectors of n-grams are none")
    vectors, head, bias = (value.float().numpy() for value in every)
    if (
        (vectors.ndim, head.ndim) != (2, 2)
        or vectors.shape[1] != head.shape[1]
        or bias.shape != head.shape[:1]
    ):
        raise ValueError("its vectors of n-grams do not fit their head")
    if not len(head) == len(bias) == labels:
        raise ValueError(f"a head of n-grams for {len(head)} labels of {labels}")
    return Vectors(vectors, head, bias)


def _keys(tensor: torch.Tensor) -> Keys:
    if tensor.dtype != torch.int64 or tensor.ndim != 1:
        raise ValueError("the keys of its rows are no keys")
    return tensor.numpy().view(np.uint64)
