"""A pretrained transformer that reads texts: an encoder, or a classifier.

Of an encoder's last layer the mean over the text is taken, as Sentence-BERT does (Reimers & Gurevych, 2019).
Where a transformer comes from: hub.py; how its outputs are kept: reader.py; how it learns: fine_tuning.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_lstm.machine import available_cores
from edge_lstm_export.train.data import Floats, Ints
from edge_lstm_export.train.loop import multiplies_bfloat16

WINDOW, MOST_WINDOWS = 254, 3  # word pieces read at once; parts of a longer text, spread over it evenly
_BATCH = 32  # windows of full length that are read at once
_WIDE = 256  # hidden states from which one product keeps several cores busy


class Transformer(nn.Module):
    """Word pieces and their mask, int64 [B, T] → float32 [B, width]."""

    def __init__(self, body: Any, tokenizer: Any, width: int) -> None:
        super().__init__()
        self.body, self.tokenizer, self.width = body, tokenizer, width
        plain = tokenizer("a", add_special_tokens=False)["input_ids"]
        framed = tokenizer("a")["input_ids"]
        start = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        self.frame = framed[:start], framed[start + len(plain) :]  # special pieces before and after a text
        positions = getattr(body.config, "max_position_embeddings", None) or 1_000_000
        # Two are lost where positions count from the padding's id, as RoBERTa's do.
        self.most_pieces = max(1, positions - 2 - len(framed) + len(plain))

    @property
    def word_table(self) -> Tensor | None:
        """The embeddings of its word pieces: float32 [pieces, hidden]; None where it reads characters."""
        try:
            weight: Tensor = self.body.get_input_embeddings().weight
        except (NotImplementedError, AttributeError):
            return None
        return weight

    def tokenize(self, texts: Sequence[str]) -> list[Ints]:
        """The word pieces of each text, without special ones: int64 [pieces]."""
        plain = [text.replace("<br />", " ") for text in texts]
        ids = self.tokenizer(plain, add_special_tokens=False, verbose=False)["input_ids"] if plain else []
        return [np.array(row, np.int64) for row in ids]

    def batch(self, rows: Sequence[Ints]) -> tuple[Tensor, Tensor]:
        """Pieces and mask, int64 [B, T]: with the special pieces, padded on the right."""
        before, after = self.frame
        framed = [torch.tensor([*before, *ids.tolist(), *after]) for ids in rows]
        mask = [torch.ones_like(ids) for ids in framed]
        pad = nn.utils.rnn.pad_sequence
        return pad(framed, batch_first=True, padding_value=self.tokenizer.pad_token_id or 0), pad(mask, True)


class Encoder(Transformer):
    """Gives the mean of the last layer over the text, float32 [B, hidden]."""

    def __init__(self, body: Any, tokenizer: Any) -> None:
        super().__init__(body, tokenizer, body.config.hidden_size)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.body(input_ids=pieces, attention_mask=mask).last_hidden_state.float()
        weight = mask.unsqueeze(2).float()
        return (states * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)


class SequenceClassifier(Transformer):
    """Gives the logits of all labels that it knows, float32 [B, labels]."""

    def __init__(self, body: Any, tokenizer: Any) -> None:
        super().__init__(body, tokenizer, body.config.num_labels)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.body(input_ids=pieces, attention_mask=mask).logits.float()
        return logits


def read_texts(model: Transformer, texts: Sequence[str], progress: Callable[[float], None]) -> Floats:
    """The model's outputs, float32 [n, width]; of a text longer than a window the mean over its windows.

    progress: called with the share of the work that is done, 0 to 1.
    """
    model.eval()
    size = min(WINDOW, model.most_pieces)
    windows = [(row, part) for row, ids in enumerate(model.tokenize(texts)) for part in _windows(ids, size)]
    windows.sort(key=lambda window: len(window[1]))
    total = np.zeros((len(texts), model.width), np.float32)
    counts = np.bincount([row for row, _ in windows], minlength=len(texts))[:, None]
    work = np.cumsum([0, *(len(part) + 2 for _, part in windows)])
    start = 0
    with torch.inference_mode(), precision(), threads(model):
        while start < len(windows):
            # As many short ones at once as there is room for in a batch of long ones.
            length = max(8, len(windows[min(start + _BATCH, len(windows)) - 1][1]))
            rows, parts = zip(*windows[start : start + _BATCH * max(1, min(8, size // (2 * length)))])
            np.add.at(total, list(rows), model(*model.batch(parts)).float().numpy())
            start += len(rows)
            progress(float(work[start] / work[-1]))
    return np.asarray(total / counts, np.float32)


def _windows(ids: Ints, size: int) -> list[Ints]:
    count = min(MOST_WINDOWS, math.ceil(len(ids) / size))
    if count <= 1:
        return [ids]
    return [ids[start : start + size] for start in np.linspace(0, len(ids) - size, count).astype(int)]


@contextmanager
def threads(model: Transformer) -> Iterator[None]:
    """The products of a wide transformer are large enough for every core; of a small one threads would wait
    for each other."""
    before = torch.get_num_threads()
    if model.body.config.hidden_size >= _WIDE:
        torch.set_num_threads(max(before, available_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def precision() -> AbstractContextManager[Any]:
    """bfloat16 products where the CPU has them; elsewhere they are slower than float32."""
    return torch.autocast("cpu", torch.bfloat16) if multiplies_bfloat16() else nullcontext()
