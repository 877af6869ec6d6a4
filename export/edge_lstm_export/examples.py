"""Training examples: token ids of uneven length with soft targets, and batches of similar length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edge_lstm.text import PAD_ID, Tokenizer

Ints = npt.NDArray[np.int64]

# Batches whose texts are sorted together. More gives less padding and a less random order; at 50 batches
# of 32 reviews the padding is about 3 % of the tokens.
BATCHES_PER_CHUNK = 50

# A crop holds at least this part of its text, and at least so many tokens: less does not bear the label.
SMALLEST_CROP = 0.4
FEWEST_TOKENS = 30


@dataclass(frozen=True)
class Examples:
    """Texts as ids, end to end, with one target row each.

    ids: int32 [tokens], all texts one after the other, without padding.
    offsets: int64 [n + 1]; text i is ``ids[offsets[i] : offsets[i + 1]]``, at least one id.
    targets: float32 [n, labels], rows sum to 1: hard labels have a single 1, a teacher's are soft.
    """

    ids: npt.NDArray[np.int32]
    offsets: Ints
    targets: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> Ints:
        """int64 [n], in tokens."""
        return np.diff(self.offsets)

    @classmethod
    def from_texts(
        cls, tokenizer: Tokenizer, texts: Iterable[str], targets: npt.NDArray[np.float32]
    ) -> Examples:
        """Encodes the texts; targets: float32 [n, labels], one row a text."""
        rows = [np.array(tokenizer.encode_text(text).ids, dtype=np.int32) for text in texts]
        if len(rows) != len(targets):
            raise ValueError(f"{len(rows)} texts but {len(targets)} targets")
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        ids = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
        return cls(ids, offsets, targets)

    def joined(self, others: Examples) -> Examples:
        """These, then the others."""
        return Examples(
            np.concatenate([self.ids, others.ids]),
            np.concatenate([self.offsets, self.offsets[-1] + others.offsets[1:]]),
            np.concatenate([self.targets, others.targets]),
        )

    def subset(self, rows: Ints) -> Examples:
        """The given rows, in the given order."""
        own = [self.ids[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int64)
        return Examples(np.concatenate(own) if own else self.ids[:0], offsets, self.targets[rows])

    def split(self, first: int) -> tuple[Examples, Examples]:
        """The ``first`` examples, and the rest."""
        cut = int(self.offsets[first])
        return (
            Examples(self.ids[:cut], self.offsets[: first + 1], self.targets[:first]),
            Examples(self.ids[cut:], self.offsets[first:] - cut, self.targets[first:]),
        )

    def padded(self, rows: Ints) -> tuple[Tensor, Tensor]:
        """Rows → ids: int64 [B, T], 0 = padding on the right up to the longest; lengths: int64 [B]."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        matrix = np.full((len(rows), int(lengths.max())), PAD_ID, dtype=np.int64)
        for i, row in enumerate(rows):
            matrix[i, : lengths[i]] = self.ids[self.offsets[row] : self.offsets[row + 1]]
        return torch.from_numpy(matrix), torch.from_numpy(lengths)


def cropped(ids: Tensor, lengths: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Leaves of some texts, chosen at random, only a run of tokens of random length and place.

    ids: int64 [B, T], padded on the right; lengths: int64 [B]; share: how many texts are cut, of 1. Both come
    back in the same form. PyTorch's random state decides.
    """
    rows = len(lengths)
    part = SMALLEST_CROP + (1 - SMALLEST_CROP) * torch.rand(rows)
    left = torch.maximum((part * lengths).ceil().long(), lengths.clamp_max(FEWEST_TOKENS))
    left = torch.where(torch.rand(rows) < share, left, lengths)
    first = (torch.rand(rows) * (lengths - left + 1)).long()
    step = torch.arange(int(left.max())).unsqueeze(0)
    moved = ids.gather(1, (first.unsqueeze(1) + step).clamp_max(ids.shape[1] - 1))
    return torch.where(step < left.unsqueeze(1), moved, PAD_ID), left


def one_hot(labels: Sequence[int] | Ints, count: int) -> npt.NDArray[np.float32]:
    """Label indices [n] → targets: float32 [n, count]."""
    return np.eye(count, dtype=np.float32)[np.asarray(labels, dtype=np.int64)]


def shuffled_batches(examples: Examples, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """Every example once, in batches of similar length, in an order that (seed, epoch) alone decides.

    Shuffle, cut into chunks, sort each chunk by length, cut into batches, shuffle these. Nothing is
    carried from one epoch to the next, so a resumed training sees the same batches.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(examples))
    lengths = examples.lengths
    chunk = batch_size * BATCHES_PER_CHUNK
    batches = [
        batch
        for start in range(0, len(order), chunk)
        for batch in _sorted_batches(order[start : start + chunk], lengths, batch_size)
    ]
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(examples: Examples, batch_size: int) -> Iterator[Ints]:
    """Every example once, shortest first."""
    return iter(_sorted_batches(np.arange(len(examples)), examples.lengths, batch_size))


def _sorted_batches(rows: Ints, lengths: Ints, batch_size: int) -> list[Ints]:
    by_length = rows[np.argsort(lengths[rows], kind="stable")]
    return [by_length[i : i + batch_size] for i in range(0, len(by_length), batch_size)]
