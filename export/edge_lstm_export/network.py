"""The PyTorch model, all of it: embedding → LSTM → pooling → dense head, and beside them a linear part.

The preset ``seed`` is Keras's IMDB example, exactly: ``Embedding(5001, 32)``, ``LSTM(100)``,
``Dense(1, activation="sigmoid")``, 213,333 trainable parameters. Shapes in comments: B batch, T time
steps, E embedding, H hidden units, D directions, L labels.

The linear part is optional ("wide and deep", Cheng et al., 2016): a weight per word and per pair of
neighbouring words, added up over the text. It remembers single expressions, which a small LSTM cannot,
and costs two look-ups a token.

In its place a network for short texts or many labels has **n-gram vectors** (as fastText; Joulin et al.,
2017): one small vector for each word and word pair that was chosen by how often it occurs. Those that
stand in the text, each counted once, are added up, divided by the square root of the text's length, and
read by the head beside what the LSTM gives. So the number of labels costs rows of the head only.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_lstm.errors import DataError

Pooling = Literal["last", "mean", "max", "mean+max"]
Weights = dict[str, npt.NDArray[np.float32]]

# The hash of a pair of neighbouring ids, see pair_bucket. A trained table fits this hash only.
PAIR_LEFT, PAIR_RIGHT, PAIR_SHIFT = 40503, 7, 123457


# Far above what a low-power device runs: whatever is larger is a slip, or a file that asks for all memory.
LARGEST: Mapping[str, int] = {
    "num_words": 10_000_000,
    "embedding_dim": 4096,
    "hidden": 4096,
    "layers": 16,
    "labels": 100_000,
    "pair_buckets": 1 << 26,
    "ngrams": 1_000_000,
    "ngram_dim": 4096,
}


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes the network's shape.

    num_words: ids below it are in use (``num_words`` of ``keras.datasets.imdb``); the embedding has one
        row more, as in Keras's example.
    pooling: what the head reads: the ``last`` state of each direction, or the ``mean`` or ``max`` (or
        both) of the top layer's outputs over the text's own tokens. ``max`` is of these and 0: what an
        LSTM gives for padding is 0 too, so that the model file need not tell the two apart.
    labels: 2 gives one logit with a sigmoid, more give a softmax.
    several: a text may have several labels, or none: a logit with a sigmoid for each, two labels too.
    dropout: probability, in training, on the embedding and on what the head reads.
    pair_buckets: rows that the linear part has for word pairs; 0 leaves the linear part out.
    ngrams: words and word pairs that have a vector; ngram_dim: how wide it is. 0 leaves that part out.
    """

    num_words: int = 5000
    embedding_dim: int = 32
    hidden: int = 100
    layers: int = 1
    bidirectional: bool = False
    pooling: Pooling = "last"
    labels: int = 2
    dropout: float = 0.0
    pair_buckets: int = 0
    ngrams: int = 0
    ngram_dim: int = 0
    several: bool = False

    def __post_init__(self) -> None:
        smallest = {
            "num_words": 5,
            "embedding_dim": 1,
            "hidden": 1,
            "layers": 1,
            "labels": 2,
            "pair_buckets": 0,
            "ngrams": 0,
            "ngram_dim": 1 if self.ngrams else 0,
        }
        for name, least in smallest.items():
            value = getattr(self, name)
            if type(value) is not int:
                raise DataError(f"{name} must be a whole number, not {value!r:.40}")
            if not least <= value <= LARGEST[name]:
                raise DataError(f"{name} must be from {least} to {LARGEST[name]:,}, not {value}")
        for name in ("bidirectional", "several"):
            if type(getattr(self, name)) is not bool:
                raise DataError(f"{name} must be true or false, not {getattr(self, name)!r:.40}")
        if self.pooling not in get_args(Pooling):
            raise DataError(f"pooling must be one of {', '.join(get_args(Pooling))}, not {self.pooling!r}")
        if not (isinstance(self.dropout, (int, float)) and 0 <= self.dropout < 1):
            raise DataError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    @property
    def directions(self) -> int:
        """1, or 2 where the LSTM also reads from the end."""
        return 2 if self.bidirectional else 1

    @property
    def pooled_dim(self) -> int:
        """Values that the head reads of the LSTM."""
        return self.hidden * self.directions * (2 if self.pooling == "mean+max" else 1)

    @property
    def logits(self) -> int:
        """Columns of the head: two labels, of which a text has one, need one."""
        return 1 if self.labels == 2 and not self.several else self.labels

    @property
    def pair_start(self) -> int:
        """The row of the linear part's table where the pairs begin; the rows before are the words'."""
        return self.num_words + 1

    @property
    def head_inputs(self) -> int:
        """Values that the head reads: of the LSTM, then of the n-grams."""
        return self.pooled_dim + (self.ngram_dim if self.ngrams else 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON. Without n-grams or several labels nothing is said of them: earlier versions
        know none."""
        values = asdict(self)
        if not self.several:
            del values["several"]
        return values if self.ngrams else {k: v for k, v in values.items() if not k.startswith("ngram")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """From :meth:`to_dict`. DataError where a name is unknown or a value does not fit."""
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError(f"network settings do not fit this version ({error})") from None


class Network(nn.Module):
    """The classifier. ``forward`` gives logits; :meth:`probabilities` what the model file gives."""

    def __init__(self, config: NetworkConfig, *, blank: bool = False) -> None:
        """blank: shapes without values, for ``load_state_dict(…, assign=True)``; no memory is taken."""
        super().__init__()
        self.config = config
        with torch.device("meta") if blank else nullcontext():
            self._make(config, blank)
        if not blank:
            self._initialise()

    def _make(self, config: NetworkConfig, blank: bool) -> None:
        # Training may run the LSTM in bfloat16 (40 % less time where the CPU multiplies it); answers
        # are always computed in float32.
        self.lstm_in_bfloat16 = False
        self.embedding = _table(config.num_words + 1, config.embedding_dim, blank)
        # One nn.LSTM per layer and direction: each is dense and one-directional, which is 10 times
        # faster on a CPU than packed sequences, and lengths are handled outside (see _direction).
        self.lstm = nn.ModuleDict()
        for layer in range(config.layers):
            inputs = config.embedding_dim if layer == 0 else config.hidden * config.directions
            for direction in range(config.directions):
                self.lstm[lstm_name(layer, direction)] = nn.LSTM(inputs, config.hidden, batch_first=True)
        self.head = nn.Linear(config.head_inputs, config.logits)
        self.pairs: nn.Embedding | None = None
        if config.pair_buckets:
            rows = config.pair_start + config.pair_buckets
            self.pairs = _table(rows, config.logits, blank, padding=0)
            # Fitted before the training, see linear_part.py; gradients do not reach it.
            self.pairs.weight.requires_grad_(False)
        self.ngrams = NGramVectors(config, blank) if config.ngrams else None

    def _initialise(self) -> None:
        """Keras's defaults: uniform embedding, Glorot kernels, orthogonal recurrence, forget bias 1."""
        hidden = self.config.hidden
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        for lstm in self.lstm.values():
            parameters = dict(lstm.named_parameters())
            nn.init.xavier_uniform_(parameters["weight_ih_l0"])
            nn.init.orthogonal_(parameters["weight_hh_l0"])
            bias, second_bias = parameters["bias_ih_l0"], parameters["bias_hh_l0"]
            nn.init.zeros_(bias)
            nn.init.ones_(bias[hidden : 2 * hidden])  # gates: input, forget, cell, output
            # Keras (and ONNX, summed) has one bias where PyTorch adds two: the second stays zero.
            nn.init.zeros_(second_bias)
            second_bias.requires_grad_(False)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if self.pairs is not None:
            nn.init.zeros_(self.pairs.weight)

    def forward(self, ids: Tensor, lengths: Tensor, embedding_noise: Tensor | None = None) -> Tensor:
        """ids: int64 [B, T], 0 = padding on the right; lengths: int64 [B], at least 1 → logits [B, 1 or L].

        embedding_noise: float [B, T, E], added to the embedded tokens (adversarial training).
        """
        read = self.pool(self.embed(ids, embedding_noise), lengths)
        if self.ngrams is not None:
            read = torch.cat([read, self.ngrams(ids, lengths)], dim=1)
        logits: Tensor = self.head(read)
        return logits if self.pairs is None else logits + self.linear(ids)

    def linear(self, ids: Tensor) -> Tensor:
        """The linear part. ids: int64 [B, T], 0 = padding on the right → [B, 1 or L], to add to the logits.

        Words and pairs count as often as they occur. DataError where the network has no such part.
        """
        if self.pairs is None:
            raise DataError("this network has no linear part; set pair_buckets")
        return self.pairs(table_rows(ids, self.config)).sum(dim=1)  # type: ignore[no-any-return]

    def embed(self, ids: Tensor, embedding_noise: Tensor | None = None) -> Tensor:
        """ids: int64 [B, T] → [B, T, E], with dropout in training."""
        x = self.embedding(ids)  # B, T, E
        if embedding_noise is not None:
            x = x + embedding_noise
        return functional.dropout(x, self.config.dropout, self.training)

    def pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x: embedded tokens [B, T, E] → what the head reads: [B, pooled_dim]."""
        config = self.config
        last: list[Tensor] = []
        for layer in range(config.layers):
            outputs = []
            last = []
            for direction in range(config.directions):
                output, state = self._direction(layer, direction, x, lengths)
                outputs.append(output)
                last.append(state)
            x = torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0]  # B, T, D·H
        if config.pooling == "last":
            pooled = torch.cat(last, dim=1)  # B, D·H
        else:
            mask = _mask(lengths, x.shape[1]).unsqueeze(2)  # B, T, 1
            parts = []
            if "mean" in config.pooling:
                parts.append((x * mask).sum(dim=1) / lengths.unsqueeze(1))
            if "max" in config.pooling:
                parts.append((x * mask).amax(dim=1).clamp_min(0))
            pooled = torch.cat(parts, dim=1)
        return functional.dropout(pooled, config.dropout, self.training)

    def _direction(self, layer: int, direction: int, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """One LSTM over x [B, T, I] → outputs [B, T, H] and the state after the text's last step [B, H].

        Padding is on the right, so it cannot reach the outputs before it. The second direction reads
        each row reversed within its own length.
        """
        lstm = self.lstm[lstm_name(layer, direction)]
        if direction == 1:
            x = _reverse(x, lengths)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.training and self.lstm_in_bfloat16):
            output, _ = lstm(x)  # B, T, H
        output = output.to(x.dtype)  # from bfloat16
        at = (lengths - 1).view(-1, 1, 1).expand(-1, 1, output.shape[2])
        last = output.gather(1, at).squeeze(1)  # B, H
        return (_reverse(output, lengths) if direction == 1 else output), last

    def probabilities(self, logits: Tensor) -> Tensor:
        """logits [B, 1 or L] → [B, L], rows sum to 1 unless a text may have several labels."""
        if self.config.several:
            return torch.sigmoid(logits)
        if self.config.labels == 2:
            positive = torch.sigmoid(logits)
            return torch.cat([1 - positive, positive], dim=1)
        return torch.softmax(logits, dim=1)

    def parameter_table(self) -> list[tuple[str, str, int]]:
        """(layer, shape of its output, trainable parameters), as ``model.summary()`` of Keras."""
        c = self.config
        rows = [("embedding (Embedding)", f"(None, T, {c.embedding_dim})", _count(self.embedding))]
        for layer in range(c.layers):
            names = [lstm_name(layer, d) for d in range(c.directions)]
            top = layer == c.layers - 1 and c.pooling == "last"
            shape = f"(None, {'' if top else 'T, '}{c.hidden * c.directions})"
            kind = "Bidirectional LSTM" if c.bidirectional else "LSTM"
            rows.append((f"lstm_{layer} ({kind})", shape, sum(_count(self.lstm[name]) for name in names)))
        if c.pooling != "last":
            rows.append((f"pooling ({c.pooling})", f"(None, {c.pooled_dim})", 0))
        if self.ngrams is not None:
            rows.append(("ngrams (Vectors)", f"(None, {c.ngram_dim})", self.ngrams.vectors.weight.numel()))
        rows.append(("head (Dense)", f"(None, {c.logits})", _count(self.head)))
        if self.pairs is not None:
            rows.append(("pairs (Linear)", f"(None, {c.logits})", self.pairs.weight.numel()))
        return rows

    def weights(self) -> Weights:
        """Every weight as float32 numpy arrays, by PyTorch's names."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}


class NGramVectors(nn.Module):
    """The sum of the vectors of a text's words and word pairs, over the square root of its length.

    ids: int64 [ngrams, 2]: the left and the right id of a pair, or an id and 0 for a word; words come first,
    each part in the order of the ids, none twice. Part of the weights; set it with :meth:`choose`.
    """

    ids: Tensor
    # Probability, in training, that an n-gram of a text is left out.
    dropout = 0.0
    # While the vectors are zero, so is their sum: no n-gram need be looked up.
    silent = False

    def __init__(self, config: NetworkConfig, blank: bool = False) -> None:
        super().__init__()
        self.base = config.num_words + 1
        # Row 0 is what is no n-gram: padding, unknown pairs, second occurrences.
        self.vectors = _table(config.ngrams + 1, config.ngram_dim, blank, padding=0)
        if not blank:
            nn.init.normal_(self.vectors.weight, 0, 0.1)
            with torch.no_grad():
                self.vectors.weight[0] = 0
        self.register_buffer("ids", torch.zeros(config.ngrams, 2, dtype=torch.int64))
        self._index: tuple[Tensor, Tensor, Tensor] | None = None
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
            lambda module, _: module.forget_index()
        )

    def choose(self, ids: npt.NDArray[np.int64]) -> None:
        """Sets the n-grams, see above. ids: int64 [ngrams, 2]."""
        self.ids.copy_(torch.from_numpy(ids))
        self.forget_index()

    def check(self) -> None:
        """ValueError where ``ids`` are not what they must be."""
        left, right = self.ids.unbind(dim=1)
        pair = right > 0
        keys = torch.where(pair, (left + self.base) * self.base + right, left)
        inside = (self.ids >= 0).all() and (self.ids < self.base).all() and (left > 0).all()
        if not inside or not (keys[1:] > keys[:-1]).all():
            raise ValueError("its n-grams are not in order, or no ids of its words")

    def forget_index(self) -> None:
        """To be called when ``ids`` changed."""
        self._index = None

    def index(self) -> tuple[Tensor, Tensor, Tensor]:
        """(row of each word id [num_words + 1], keys of the pairs in ascending order, the row of each)."""
        if self._index is None or self._index[0].device != self.ids.device:
            rows = torch.arange(1, len(self.ids) + 1, device=self.ids.device)
            pair = self.ids[:, 1] > 0
            words = torch.zeros(self.base, dtype=torch.int64, device=self.ids.device)
            words[self.ids[~pair, 0]] = rows[~pair]
            keys, order = (self.ids[pair, 0] * self.base + self.ids[pair, 1]).sort()
            if not len(keys):  # searchsorted needs one
                keys, order = keys.new_full((1,), -1), order.new_zeros(1)
                self._index = words, keys, order
            else:
                self._index = words, keys, rows[pair][order]
        return self._index

    def rows(self, ids: Tensor) -> Tensor:
        """ids: int64 [B, T], 0 = padding on the right → int64 [B, 2T - 1]: the rows of the n-grams that each
        text holds, each once, and 0."""
        words, keys, pairs = self.index()
        wanted = ids[:, :-1] * self.base + ids[:, 1:]
        place = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        there = torch.where(keys[place] == wanted, pairs[place], 0)
        rows = torch.cat([words[ids], there], dim=1).sort(dim=1).values
        again = torch.zeros_like(rows, dtype=torch.bool)
        again[:, 1:] = rows[:, 1:] == rows[:, :-1]
        return rows.masked_fill(again, 0)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids: int64 [B, T]; lengths: int64 [B] → [B, ngram_dim]."""
        if self.silent:
            return torch.zeros(len(ids), self.vectors.embedding_dim, device=ids.device)
        rows = self.rows(ids)
        scale = lengths.sqrt().unsqueeze(1)
        if self.training and self.dropout:
            rows = rows.masked_fill(torch.rand(rows.shape, device=rows.device) < self.dropout, 0)
            scale = scale * (1 - self.dropout)
        total: Tensor = self.vectors(rows).sum(dim=1)
        return total / scale


def pair_bucket(left: Tensor, right: Tensor, buckets: int) -> Tensor:
    """The bucket, from 0, of two neighbouring ids: feature hashing (Weinberger et al., 2009), so that the
    table's size is chosen, not given by how many pairs there are; pairs in one bucket share a weight.

    left, right: int64, any shape. ``graph.py`` says the same in ONNX operators.
    """
    return (left * PAIR_LEFT + right * PAIR_RIGHT + PAIR_SHIFT) % buckets


def table_rows(ids: Tensor, config: NetworkConfig) -> Tensor:
    """The table's rows that a text adds up: its ids, then its pairs. Row 0, which is zero, is padding.

    ids: int64 [B, T], 0 = padding on the right → int64 [B, 2T - 1].
    """
    left, right = ids[:, :-1], ids[:, 1:]  # B, T - 1
    rows = config.pair_start + pair_bucket(left, right, config.pair_buckets)
    return torch.cat([ids, torch.where(right > 0, rows, 0)], dim=1)


def lstm_name(layer: int, direction: int) -> str:
    """The name of one LSTM among the weights: layer from 0, direction 0 = forward."""
    return f"layer{layer}_{'backward' if direction else 'forward'}"


def _table(rows: int, width: int, blank: bool, padding: int | None = None) -> nn.Embedding:
    """With PyTorch's first values; blank: on the meta device without, where drawing them imports PyTorch's
    compiler, a second's work."""
    values = torch.empty(rows, width) if blank else None
    return nn.Embedding(rows, width, padding_idx=padding, _weight=values)


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _mask(lengths: Tensor, steps: int) -> Tensor:
    """lengths [B] → bool [B, T], True on the text's own tokens."""
    return torch.arange(steps, device=lengths.device).unsqueeze(0) < lengths.unsqueeze(1)


def _reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """x [B, T, E] with each row reversed within its length; the padding stays where it is."""
    steps = torch.arange(x.shape[1], device=x.device).unsqueeze(0)  # 1, T
    ends = lengths.unsqueeze(1)  # B, 1
    order = torch.where(steps < ends, ends - 1 - steps, steps)  # B, T
    return x.gather(1, order.unsqueeze(2).expand_as(x))
