"""What a checkpoint keeps of the rows it was trained on, so that a later training can go on from it.

Always: the keys (64-bit hashes of a text's words, ``Split.keys``) of its validation part and of its test
split, 8 bytes each, so that they are not trained on when the rows come back. Only where it is asked for: the
rows themselves, compressed: texts may be private, and whoever has the checkpoint then has them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from edge_lstm_export.datasets import Dataset, Split

# More is a sample of the rows: a checkpoint is to stay a file of a few MB.
MOST_CHARACTERS = 4_000_000
_MOST_BYTES = 64 * 2**20  # of the rows, decompressed: what is longer was not written by this module
TRAIN, VALIDATION, TEST = range(3)

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Kept:
    """validation, test: uint64 [n], the keys of these parts. rows: (part, label's index, text) of the rows
    that are kept, or None."""

    validation: Keys
    test: Keys
    rows: tuple[tuple[int, int, str], ...] | None = None

    @classmethod
    def of(cls, dataset: Dataset, train: Split, validation: Split, *, rows: bool, seed: int = 0) -> Kept:
        """Of a training's parts; ``rows``: keep these too, of many a sample drawn by ``seed``."""
        test = dataset.test
        keys_of_test = np.zeros(0, np.uint64) if test is None else test.keys
        if not rows:
            return cls(validation.keys, keys_of_test)
        parts = [(TRAIN, train), (VALIDATION, validation), *([(TEST, test)] if test is not None else [])]
        every = [
            (part, label, text)
            for part, split in parts
            for label, text in zip(split.labels.tolist(), split.texts)
        ]
        order = np.random.default_rng([seed, 0x4E9]).permutation(len(every))
        ends = np.cumsum([len(every[i][2]) for i in order])
        chosen = np.sort(order[ends <= MOST_CHARACTERS])
        return cls(validation.keys, keys_of_test, tuple(every[i] for i in chosen))

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """For the checkpoint's file."""
        tensors = {
            name: torch.from_numpy(keys.view(np.int64).copy())
            for name, keys in (("validation", self.validation), ("test", self.test))
        }
        if self.rows is not None:
            data = zlib.compress(json.dumps(self.rows).encode(), 9)
            tensors["rows"] = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], labels: int) -> Kept | None:
        """The inverse of :meth:`to_tensors`; None where there are none. ValueError, KeyError or TypeError
        where they are no kept rows of so many labels."""
        if not tensors:
            return None
        validation, test = _keys(tensors["validation"]), _keys(tensors["test"])
        if "rows" not in tensors:
            return cls(validation, test)
        if tensors["rows"].dtype != torch.uint8:
            raise ValueError("its rows are no bytes")
        unpacked = zlib.decompressobj()
        try:
            data = unpacked.decompress(tensors["rows"].numpy().tobytes(), _MOST_BYTES)
        except zlib.error as error:
            raise ValueError(f"its rows cannot be unpacked: {error}") from None
        if not unpacked.eof:
            raise ValueError("its rows are more than a checkpoint keeps, or cut short")
        rows = json.loads(data)
        for part, label, text in rows:
            if part not in (TRAIN, VALIDATION, TEST) or type(label) is not int or type(text) is not str:
                raise ValueError("its rows are no rows")
            if not 0 <= label < labels:
                raise ValueError(f"a kept row has label {label} of {labels}")
        return cls(validation, test, tuple((part, label, text) for part, label, text in rows))


def _keys(tensor: torch.Tensor) -> Keys:
    if tensor.dtype != torch.int64 or tensor.ndim != 1:
        raise ValueError("the keys of its rows are no keys")
    return tensor.numpy().view(np.uint64)
