"""Training examples: token ids of uneven length with targets, and batches of similar length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn

from edge_lstm.core.text import PAD_ID, Tokenizer
from edge_lstm_export.arrays import Floats, Ints


@dataclass(frozen=True)
class Examples:
    """Texts as ids, end to end, with one row of targets each.

    ids: int32 [tokens], all texts one after the other, without padding.
    offsets: int64 [n + 1]; text i is ``ids[offsets[i] : offsets[i + 1]]``, at least one id.
    targets: float32 [n, L], probabilities of the labels: 0 and 1, or a teacher's.
    """

    ids: npt.NDArray[np.int32]
    offsets: Ints
    targets: Floats

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def lengths(self) -> Ints:
        """int64 [n], in tokens."""
        return np.diff(self.offsets)

    @cached_property
    def roots(self) -> npt.NDArray[np.float64]:
        """float64 [n, 1], of the lengths."""
        return np.sqrt(self.lengths)[:, None]

    @property
    def by_length(self) -> sparse.dia_matrix:
        """float32 [n, n], diagonal: divides the counts of each text by its root."""
        return sparse.diags((1 / self.roots[:, 0]).astype(np.float32))

    @classmethod
    def from_texts(cls, tokenizer: Tokenizer, texts: Iterable[str], targets: Floats) -> Examples:
        """Encode the texts.

        targets: float32 [n, L], one row per text; else ValueError.
        """
        return cls.from_rows([tokenizer.encode_text(text).ids for text in texts], targets)

    @classmethod
    def from_rows(cls, rows: Iterable[npt.ArrayLike], targets: Floats) -> Examples:
        """Make examples of the ids of each text.

        targets: float32 [n, L], one row per text; else ValueError.
        """
        texts = [np.asarray(ids, np.int32) for ids in rows]
        if len(texts) != len(targets):
            raise ValueError(f"{len(texts)} texts but {len(targets)} targets")
        offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        return cls(np.concatenate([*texts, np.zeros(0, np.int32)]), offsets, targets)

    def joined(self, examples: Examples) -> Examples:
        """Return these, then the others."""
        return Examples(
            np.concatenate([self.ids, examples.ids]),
            np.concatenate([self.offsets, self.offsets[-1] + examples.offsets[1:]]),
            np.concatenate([self.targets, examples.targets]),
        )

    def subset(self, rows: Ints) -> Examples:
        """Return the given rows, in the given order."""
        return self.from_rows(self._texts(rows), self.targets[rows])

    def padded(self, rows: Ints) -> tuple[Tensor, Tensor]:
        """Return ids, int64 [B, T], 0 = padding on the right, and lengths, int64 [B]."""
        texts = [torch.tensor(ids, dtype=torch.int64) for ids in self._texts(rows)]
        padded = nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=PAD_ID)
        return padded, torch.from_numpy(self.lengths[rows])

    def _texts(self, rows: Ints) -> list[npt.NDArray[np.int32]]:
        return [self.ids[self.offsets[row] : self.offsets[row + 1]] for row in rows]


def cropped(ids: Tensor, lengths: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Leave only a run of tokens of some texts, all chosen at random.

    ids: int64 [B, T], padded on the right.
    lengths: int64 [B]. Both come back in the same form. PyTorch's random state decides.
    share: of the texts.
    """
    rows = len(lengths)
    # A shorter run than this, or one of fewer than 30 tokens, does not bear the label.
    least = 0.4
    part = least + (1 - least) * torch.rand(rows)
    left = torch.maximum((part * lengths).ceil().long(), lengths.clamp_max(30))
    left = torch.where(torch.rand(rows) < share, left, lengths)
    first = (torch.rand(rows) * (lengths - left + 1)).long()
    step = torch.arange(int(left.max())).unsqueeze(0)
    moved = ids.gather(1, (first.unsqueeze(1) + step).clamp_max(ids.shape[1] - 1))
    return torch.where(step < left.unsqueeze(1), moved, PAD_ID), left


def shuffled_batches(examples: Examples, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """Return every example once, in batches of similar length.

    The seed and the epoch alone decide the order.

    Nothing is carried from one epoch to the next, so a resumed training sees the same batches.
    Texts are sorted by length within a chunk of 50 batches: a larger chunk has less padding and a
    less random order.
    """
    return random_batches(examples.lengths, batch_size, 50, np.random.default_rng([seed, epoch]))


def random_batches(
    lengths: Ints, batch_size: int, batches_per_chunk: int, rng: np.random.Generator
) -> list[Ints]:
    """Return every row once, in a random order of batches of similar length.

    lengths: int64 [n], of all rows.
    """
    order = rng.permutation(len(lengths))
    chunk = batch_size * batches_per_chunk
    batches: list[Ints] = []
    for start in range(0, len(order), chunk):
        batches += sorted_batches(lengths, order[start : start + chunk], batch_size)
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(lengths: Ints, rows: Ints, batch_size: int) -> list[Ints]:
    """Return each of the rows once, the shortest first. lengths: int64 [n], of all rows."""
    by_length = rows[np.argsort(lengths[rows], kind="stable")]
    return [by_length[i : i + batch_size] for i in range(0, len(rows), batch_size)]
