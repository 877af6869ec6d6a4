"""An encoder as a teacher: a linear probe on its frozen vectors, or fine-tuned on the labelled texts: a copy
with a linear layer above it, which begins as the probe's regression.

Frozen it knows what texts are about, fine-tuned what the labels are about. The probe takes seconds.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from edge_lstm.printable import counted
from edge_lstm.text import spaceless
from edge_lstm_export.train.data import Bools, Floats, Ints
from edge_lstm_export.train.logits import soft_cross_entropy
from edge_lstm_export.train.pretrained import PretrainedWords
from edge_lstm_export.train.teachers.base import Predict, Regression, Say, Teacher, fit_layer, log_chances
from edge_lstm_export.train.teachers.transformer import (
    TextReader,
    Transformer,
    enough_threads,
    precision,
    progress,
    read_texts,
)

BATCH, RATE, HEAD_RATE, WARMUP = 32, 1e-4, 1e-3, 0.06
PASSES, FEWEST_STEPS = 2, 60
CROP = 128  # word pieces of a text that a step reads
MOST_PIECES = 1_000_000  # word pieces that are learnt from, in all: some five minutes
_MINILM = 384  # hidden states of the encoder for which the rate was found
_SIMILAR = 16  # batches of texts that are sorted by length together


class EncoderReader(TextReader):
    """An encoder, and its vectors of texts."""

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Means of the last layer: scaled to length 1, float32 [n, hidden], and their lengths [n]."""
        means = self.outputs(texts)
        lengths = np.linalg.norm(means, axis=1).clip(1e-9)
        return np.asarray(means / lengths[:, None], np.float32), lengths

    def probe(self, several: bool) -> Regression:
        """A logistic regression on the frozen encoder's vectors, of length 1."""
        return Regression(f"{self.name}, linear probe", lambda texts: self.vectors(texts)[0], several)


class FineTunedEncoder(Teacher):
    """The encoder, fine-tuned anew in each fit."""

    def __init__(self, reader: EncoderReader, several: bool, seed: int = 0) -> None:
        self.reader, self.several, self.seed = reader, several, seed
        self.name = f"{reader.name}, fine-tuned"

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """See Teacher."""
        texts, say = [self.texts[row] for row in rows], self.reader.say
        vectors, lengths = self.reader.vectors(texts)
        weights, bias = fit_layer(vectors, labels, self.several)
        # The head reads means that are not of length 1, but of about one length.
        model = EncoderWithHead(self.reader.model, weights / np.float32(lengths.mean()), bias)
        fine_tune(model, texts, labels, several=self.several, seed=self.seed, say=say)

        def predict(asked: Ints) -> Floats:
            return log_chances(read_texts(model, [self.texts[row] for row in asked], say), self.several)

        return predict


class EncoderWithHead(Transformer):
    """weights: float32 [L, hidden], bias: float32 [L]: what the head begins as."""

    def __init__(self, encoder: Transformer, weights: Floats, bias: Floats) -> None:
        super().__init__(copy.deepcopy(encoder.body), encoder.tokenizer)
        self.head = nn.Linear(self.width, len(bias))
        self.width = len(bias)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights))
            self.head.bias.copy_(torch.from_numpy(bias))

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T] → logits float32 [B, L]."""
        logits: Tensor = self.head(functional.dropout(super().forward(pieces, mask), 0.1, self.training))
        return logits


def fine_tune(
    model: EncoderWithHead, texts: Sequence[str], labels: Bools, *, several: bool, seed: int, say: Say
) -> None:
    """Fine-tune in place on texts with labels, bool [n, L]; several: a text may have several of them. Word
    embeddings stay as they are, since few texts hold few of them; of a long text a step reads a random part.
    """
    pieces = model.tokenize(texts)
    longest = min(CROP, model.most_pieces)
    lengths = np.array([min(len(ids), longest) for ids in pieces], np.int64)
    steps = max(FEWEST_STEPS, PASSES * math.ceil(len(texts) / BATCH))
    steps = min(steps, math.ceil(MOST_PIECES / (BATCH * max(1.0, float(lengths.mean())))))
    optimizer = torch.optim.AdamW(_parameters(model), betas=(0.9, 0.98), fused=True)
    warmup = max(1, round(WARMUP * steps))
    schedule = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warmup) * (1 - step / steps))
    targets = torch.from_numpy(labels.astype(np.float32))
    rng = np.random.default_rng([seed, 0x7D])
    done = progress(f"fine-tuning on {counted(len(texts), 'text')}", say)
    model.train()
    with torch.random.fork_rng(devices=[]), enough_threads(model):
        torch.manual_seed(seed)
        for step, rows in enumerate(itertools.islice(_batches(lengths, rng), steps), 1):
            starts = rng.integers(0, [max(1, len(pieces[row]) - longest + 1) for row in rows]).tolist()
            crops = [pieces[row][start : start + longest] for row, start in zip(rows, starts)]
            with precision():
                logits = model(*model.batch(crops)).float()
            loss = soft_cross_entropy(logits, targets[rows], several=several)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done(step / steps)
    model.eval()


def _parameters(model: EncoderWithHead) -> list[dict[str, Any]]:
    """What learns, in groups for the optimizer. A wider encoder than MiniLM learns more slowly."""
    if (table := model.word_table) is not None:
        table.requires_grad_(False)
    body = [p for p in model.body.parameters() if p.requires_grad]
    rate = RATE * min(1.0, math.sqrt(_MINILM / model.body.config.hidden_size))
    return [
        {"params": [p for p in body if p.ndim > 1], "weight_decay": 0.01, "lr": rate},
        {"params": [p for p in body if p.ndim == 1], "weight_decay": 0.0, "lr": rate},
        {"params": list(model.head.parameters()), "weight_decay": 0.0, "lr": HEAD_RATE},
    ]


def _batches(lengths: Ints, rng: np.random.Generator) -> Iterator[Ints]:
    """Rows of batches of about one length, pass after pass: of as many texts as several batches hold, drawn
    together, the shortest, the next ones, and so on."""
    while True:
        order, batches = rng.permutation(len(lengths)), []
        for i in range(0, len(order), _SIMILAR * BATCH):
            some = order[i : i + _SIMILAR * BATCH]
            some = some[np.argsort(lengths[some], kind="stable")]
            batches += [some[j : j + BATCH] for j in range(0, len(some), BATCH)]
        yield from (batches[i] for i in rng.permutation(len(batches)))


def encoder_words(encoder: Transformer) -> PretrainedWords | None:
    """The words that the encoder's tokenizer reads as one piece, and the embeddings of its pieces; None where
    it has none. Words are of letters alone, two or more, in scripts that put spaces between them."""
    if encoder.word_table is None:
        return None
    tokenizer, table = encoder.tokenizer, encoder.word_table.detach().float().cpu().numpy()

    def read(words: Sequence[str]) -> list[list[int]]:
        # After a space, since some vocabularies tell a word's beginning by it.
        spaced = [f" {word}" for word in words]
        rows = tokenizer(spaced, add_special_tokens=False)["input_ids"] if spaced else []
        return [[i for i in ids if i != tokenizer.unk_token_id] for ids in rows]

    ids = sorted({*range(min(len(tokenizer), len(table)))} - {*tokenizer.all_special_ids})
    tokens = tokenizer.convert_ids_to_tokens(ids)
    names = [tokenizer.convert_tokens_to_string([token]).strip().lower() for token in tokens]
    usable = [(i, word) for i, word in zip(ids, names) if word[1:] and word.isalpha() and not spaceless(word)]
    place: dict[str, int] = {}
    for (i, word), pieces in zip(usable, read([word for _, word in usable])):
        if pieces == [i]:
            place.setdefault(word, i)
    return PretrainedWords(tuple(place), table, np.array(list(place.values()), np.int64), read)
