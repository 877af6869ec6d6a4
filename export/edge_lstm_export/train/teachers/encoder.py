"""An encoder as a teacher: a linear probe on its frozen vectors, or a copy that is fine-tuned.

The copy has a linear layer above it, which begins as the probe's regression. Frozen, an encoder
knows the topic of a text; fine-tuned, it knows what the labels are about. The probe takes seconds.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from edge_lstm.core.text import spaceless
from edge_lstm.printable import counted
from edge_lstm_export.arrays import Bools, Floats, Ints
from edge_lstm_export.network import random_batches, soft_cross_entropy
from edge_lstm_export.train.data import PretrainedWords
from edge_lstm_export.train.teachers.base import (
    Predict,
    Regression,
    Say,
    Teacher,
    fit_layer,
    log_chances,
)
from edge_lstm_export.train.teachers.transformer import (
    Transformer,
    enough_threads,
    load_transformer,
    outputs_of,
    progress,
)

SMALLEST = 1e-9  # divisors are at least this
LEARNING_RATE = 1e-4  # the peak, of an encoder as wide as MiniLM
MINILM_WIDTH = 384  # hidden states
FEWEST_STEPS = 60  # of a fine-tuning
BATCHES_PER_CHUNK = 16  # batches of texts that are sorted by length together


class EncoderReader:
    """An encoder that several teachers share; its vector of a text is computed once.

    source: a folder, or a name on the hub.

    Raise what :func:`load_transformer` raises.
    """

    def __init__(self, source: str, say: Say = lambda line: None) -> None:
        self.model = load_transformer(source)
        self.say = say
        self._memo: dict[str, Floats] = {}

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Return means of the last layer, float32 [n, hidden] of length 1, and their lengths."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._memo]:
            self._memo.update(zip(new, outputs_of(self.model, new, self.say)))
        read = np.array([self._memo[text] for text in texts], np.float32)
        means = read.reshape(-1, self.model.width)
        lengths = np.linalg.norm(means, axis=1).clip(SMALLEST)
        return np.asarray(means / lengths[:, None], np.float32), lengths

    def probe(self, multi_label: bool) -> Regression:
        """Return a logistic regression on the frozen encoder's vectors, of length 1."""
        return Regression(lambda texts: self.vectors(texts)[0], multi_label)


@dataclass
class FineTunedEncoder(Teacher):
    """The encoder, fine-tuned anew in each fit."""

    reader: EncoderReader
    multi_label: bool
    seed: int = 0

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """See Teacher."""
        texts = [self.texts[row] for row in rows]
        say = self.reader.say
        vectors, lengths = self.reader.vectors(texts)
        weights, bias = fit_layer(vectors, labels, self.multi_label)
        # The head reads means that are not of length 1, but of about one length.
        weights = weights / np.float32(lengths.mean())
        model = EncoderWithHead(self.reader.model, weights, bias)
        fine_tune(model, texts, labels, multi_label=self.multi_label, seed=self.seed, say=say)

        def predict(asked: Ints) -> Floats:
            outputs = outputs_of(model, [self.texts[row] for row in asked], say)
            return log_chances(outputs, self.multi_label)

        return predict


class EncoderWithHead(Transformer):
    """A copy of an encoder with a linear head.

    weights: float32 [L, hidden],
    bias: float32 [L], the head's first values.
    """

    def __init__(self, encoder: Transformer, weights: Floats, bias: Floats) -> None:
        super().__init__(copy.deepcopy(encoder.body), encoder.tokenizer)
        self.head = nn.Linear(self.width, len(bias))
        self.width = len(bias)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights))
            self.head.bias.copy_(torch.from_numpy(bias))

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T] → logits float32 [B, L]."""
        means = functional.dropout(super().forward(pieces, mask), 0.1, self.training)
        logits: Tensor = self.head(means)
        return logits


def fine_tune(
    model: EncoderWithHead,
    texts: Sequence[str],
    labels: Bools,
    *,
    multi_label: bool,
    seed: int,
    say: Say,
) -> None:
    """Fine-tune in place.

    labels: bool [n, L].
    multi_label: a text may have several of them.

    Word embeddings stay as they are, since few texts hold few of them. A step reads a random part
    of a long text.
    """
    pieces = model.tokenize(texts)
    longest = min(128, model.most_pieces)
    lengths = np.array([min(len(ids), longest) for ids in pieces], np.int64)
    # Two passes over the texts, and no more than a million word pieces.
    batch_size = 32
    steps = max(FEWEST_STEPS, 2 * math.ceil(len(texts) / batch_size))
    pieces_per_step = batch_size * max(1.0, float(lengths.mean()))
    steps = min(steps, math.ceil(1_000_000 / pieces_per_step))
    # As encoders are fine-tuned (Liu et al., 2019).
    optimizer = torch.optim.AdamW(_parameters(model), betas=(0.9, 0.98), fused=True)
    warmup = max(1, round(0.06 * steps))

    def share_of_rate(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * (1 - step / steps)

    schedule = LambdaLR(optimizer, share_of_rate)
    targets = torch.from_numpy(labels.astype(np.float32))
    rng = np.random.default_rng([seed, 0x7D])
    done = progress(f"fine-tuning on {counted(len(texts), 'text')}", say)
    model.train()
    with torch.random.fork_rng(devices=[]), enough_threads(model):
        torch.manual_seed(seed)
        batches = itertools.islice(_batches(lengths, batch_size, rng), steps)
        for step, rows in enumerate(batches, 1):
            ends = [max(1, len(pieces[row]) - longest + 1) for row in rows]
            starts = rng.integers(0, ends).tolist()
            crops = [pieces[row][start : start + longest] for row, start in zip(rows, starts)]
            logits = model(*model.batch(crops))
            loss = soft_cross_entropy(logits, targets[rows], multi_label=multi_label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done(step / steps)
    model.eval()


def _parameters(model: EncoderWithHead) -> list[dict[str, Any]]:
    """Return the parameters that learn, in groups.

    A wider encoder than MiniLM learns more slowly.
    """
    if (table := model.word_table) is not None:
        table.requires_grad_(False)
    body = [p for p in model.body.parameters() if p.requires_grad]
    slower = min(1.0, math.sqrt(MINILM_WIDTH / model.body.config.hidden_size))
    rate = LEARNING_RATE * slower
    matrices = [p for p in body if p.ndim > 1]
    vectors = [p for p in body if p.ndim == 1]
    head = list(model.head.parameters())
    return [
        {"params": matrices, "weight_decay": 0.01, "lr": rate},
        {"params": vectors, "weight_decay": 0.0, "lr": rate},
        {"params": head, "weight_decay": 0.0, "lr": 1e-3},
    ]


def _batches(lengths: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield rows of batches of about one length, pass after pass."""
    while True:
        yield from random_batches(lengths, size, BATCHES_PER_CHUNK, rng)


def encoder_words(encoder: Transformer) -> PretrainedWords | None:
    """Return the words that the encoder's tokenizer reads as one piece, with their embeddings.

    Words are of two letters or more and nothing else, in scripts that put spaces between them. None
    if the encoder has no word pieces.
    """
    if encoder.word_table is None:
        return None
    tokenizer = encoder.tokenizer
    table = encoder.word_table.detach().float().cpu().numpy()

    def read(words: Sequence[str]) -> list[list[int]]:
        # After a space, since some vocabularies tell a word's beginning by it.
        spaced = [f" {word}" for word in words]
        rows = tokenizer(spaced, add_special_tokens=False)["input_ids"] if spaced else []
        return [[i for i in ids if i != tokenizer.unk_token_id] for ids in rows]

    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(min(len(tokenizer), len(table))) if i not in special]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    names = [tokenizer.convert_tokens_to_string([token]).strip().lower() for token in tokens]
    usable = [
        (i, word)
        for i, word in zip(ids, names)
        if word[1:] and word.isalpha() and not spaceless(word)
    ]
    place: dict[str, int] = {}
    for (i, word), pieces in zip(usable, read([word for _, word in usable])):
        if pieces == [i]:
            place.setdefault(word, i)
    return PretrainedWords(tuple(place), table, np.array(list(place.values()), np.int64), read)
