"""A pretrained transformer that reads texts: an encoder with a linear layer above it, or a classifier.

Of a text's last layer the mean is taken, and one linear layer makes logits of it (as Sentence-BERT does,
Reimers & Gurevych, 2019). Where it comes from: hub.py; how an encoder learns: fine_tuning.py, and of
short texts tuned.py; what it says of texts, kept: answers.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_lstm.errors import DataError
from edge_lstm.machine import available_cores
from edge_lstm_export.teacher.labels import Floats, Ints
from edge_lstm_export.training import multiplies_bfloat16

# To be raised with every change that may give a text another label.
TRANSFORMER_VERSION = 2
LABELLING_BATCH = 32
_WIDE = 256  # of hidden states


@dataclass(frozen=True)
class TransformerOptions:
    """How an encoder is fine-tuned, and how texts are cut for it.

    crop, span: most word pieces of a random part of a text, and of a span; batch: texts a step, twice as many
    where they are spans. passes: over the training texts, as parts and as spans; more where they are few, so
    that there are ``fewest_steps``, and not more than ``most_steps``. layers: the last ones, which learn;
    those below stay as they were pretrained, which saves time. rate: of an encoder of 384 hidden states, as
    MiniLM has; a wider one learns more slowly, by the root of it. window: word pieces that are read at once
    of a text that is labelled; windows: most of them, spread over the text.
    """

    passes: int = 1
    fewest_steps: int = 300
    most_steps: int | None = None
    layers: int | None = None
    batch: int = 32
    crop: int = 128
    span: int = 64
    rate: float = 6e-5
    head_rate: float = 1e-3
    warmup: float = 0.06
    window: int = 254
    windows: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most_steps is not None and not 1 <= self.most_steps <= 1_000_000:
            raise DataError(f"teacher-steps must be from 1 to 1,000,000, not {self.most_steps}")
        if self.layers is not None and self.layers < 1:
            raise DataError(f"teacher-layers must be 1 or more, not {self.layers}")
        if not 8 <= self.span <= 512:
            raise DataError(f"teacher-span must be from 8 to 512, not {self.span}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def of_fine_tuning(self) -> dict[str, Any]:
        """Those that decide the weights, and not how texts are read with them."""
        return {name: value for name, value in asdict(self).items() if name not in ("window", "windows")}


class Transformer(nn.Module):
    """Pieces [B, T] and their mask → logits float32 [B, L]."""

    def __init__(self, encoder: Any, tokenizer: Any, labels: int) -> None:
        super().__init__()
        self.encoder, self.tokenizer, self.labels = encoder, tokenizer, labels
        plain = tokenizer("a", add_special_tokens=False)["input_ids"]
        framed = tokenizer("a")["input_ids"]
        start = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        self.frame = framed[:start], framed[start + len(plain) :]  # marks of beginning and end
        positions = getattr(encoder.config, "max_position_embeddings", None) or 1_000_000
        # Two are lost where positions count from the padding's id, as RoBERTa's do.
        self.most_pieces = max(1, positions - 2 - len(framed) + len(plain))


class Encoder(Transformer):
    """The mean over the text of the last layer, and one linear layer that is to learn."""

    def __init__(self, encoder: Any, tokenizer: Any, labels: int) -> None:
        super().__init__(encoder, tokenizer, labels)
        self.head = nn.Linear(encoder.config.hidden_size, labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.dropout = nn.Dropout(0.1)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T]."""
        logits: Tensor = self.head(self.dropout(self.mean(pieces, mask)))
        return logits

    def mean(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """Of the last layer, over the text: float32 [B, hidden]."""
        hidden = self.encoder(input_ids=pieces, attention_mask=mask).last_hidden_state.float()
        weight = mask.unsqueeze(2).float()
        mean: Tensor = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
        return mean


class ReadyClassifier(Transformer):
    """A classifier as it is. columns: of its logits, one for each label of the data."""

    def __init__(self, model: Any, tokenizer: Any, columns: Sequence[int]) -> None:
        super().__init__(model, tokenizer, len(columns))
        self.columns = list(columns)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T]."""
        logits: Tensor = self.encoder(input_ids=pieces, attention_mask=mask).logits.float()
        return logits[:, self.columns]


def pieces_of(model: Transformer, texts: Sequence[str]) -> list[Ints]:
    """The word pieces of each text, without the marks of beginning and end: int64 [pieces]."""
    found: list[Ints] = []
    for start in range(0, len(texts), 1000):
        batch = [text.replace("<br />", " ") for text in texts[start : start + 1000]]
        encoded = model.tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
        found += [np.array(ids, np.int64) for ids in encoded]
    return found


def logits_of(model: Transformer, texts: Sequence[str], options: TransformerOptions) -> Floats:
    """Logits float32 [n, L]; of a text longer than a window the mean of up to ``windows`` of them, spread
    over it evenly."""
    return _over_windows(model, model, model.labels, texts, options)


def vectors_of(model: Encoder, texts: Sequence[str], options: TransformerOptions) -> Floats:
    """The means of the last layer, as :func:`logits_of` reads a text, of length 1: float32 [n, hidden]."""
    vectors = means_of(model, texts, options)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9), np.float32)


def means_of(model: Encoder, texts: Sequence[str], options: TransformerOptions) -> Floats:
    """The same as they are: float32 [n, hidden]."""
    return _over_windows(model, model.mean, model.head.in_features, texts, options)


def _over_windows(
    model: Transformer,
    answer: Callable[[Tensor, Tensor], Tensor],
    width: int,
    texts: Sequence[str],
    options: TransformerOptions,
) -> Floats:
    model.eval()
    pieces = pieces_of(model, texts)
    most = min(options.window, model.most_pieces)
    windows = [(row, part) for row, ids in enumerate(pieces) for part in _windows(ids, most, options.windows)]
    windows.sort(key=lambda item: len(item[1]))
    total = np.zeros((len(texts), width), np.float32)
    counts = np.bincount([row for row, _ in windows], minlength=len(texts)).astype(np.float32)
    with torch.inference_mode(), precision(), threads(model):
        start = 0
        while start < len(windows):
            # As many short ones at once as there is room for in a batch of long ones.
            length = max(8, len(windows[min(start + LABELLING_BATCH, len(windows)) - 1][1]))
            size = LABELLING_BATCH * max(1, min(8, most // (2 * length)))
            batch = windows[start : start + size]
            found = answer(*framed(model, [window for _, window in batch])).float().numpy()
            np.add.at(total, [row for row, _ in batch], found)
            start += size
    return np.asarray(total / counts[:, None], np.float32)


def _windows(ids: Ints, size: int, most: int) -> list[Ints]:
    count = min(most, math.ceil(len(ids) / size))
    if count <= 1:
        return [ids[-size:]]
    starts = np.linspace(0, len(ids) - size, count).astype(int)
    return [ids[start : start + size] for start in starts]


def framed(model: Transformer, batch: list[Ints]) -> tuple[Tensor, Tensor]:
    """Pieces and mask, int64 [B, T]: with the marks of beginning and end, padded on the right."""
    before, after = model.frame
    framed = [[*before, *ids.tolist(), *after] for ids in batch]
    longest = max(map(len, framed))
    pieces = torch.full((len(framed), longest), model.tokenizer.pad_token_id or 0)
    mask = torch.zeros_like(pieces)
    for row, ids in enumerate(framed):
        pieces[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    return pieces, mask


def word_table(model: Transformer) -> Tensor | None:
    """What the encoder reads for each piece of its vocabulary: float32 [pieces, hidden]; None where it has no
    such table, as one that reads characters."""
    try:
        weight: Tensor = model.encoder.get_input_embeddings().weight
    except (NotImplementedError, AttributeError):
        return None
    return weight


@contextmanager
def threads(model: Transformer) -> Iterator[None]:
    """The products of a wide transformer are large enough for every CPU, those of a small one are not: its
    threads would wait for each other."""
    before = torch.get_num_threads()
    if model.encoder.config.hidden_size >= _WIDE:
        torch.set_num_threads(max(before, available_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def precision() -> AbstractContextManager[Any]:
    """bfloat16 products where the CPU has them; elsewhere they are slower than float32."""
    return torch.autocast("cpu", torch.bfloat16) if multiplies_bfloat16() else nullcontext()
