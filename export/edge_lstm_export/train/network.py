"""The PyTorch model, all of it: embedding → LSTM → pooling → dense head, and n-gram vectors.

The preset ``seed`` is Keras's IMDB example, exactly: ``Embedding(5001, 32)``, ``LSTM(100)``,
``Dense(1, activation="sigmoid")``, 213,333 trainable parameters. Shapes in comments: B batch, T
time steps, E embedding, H hidden units, D directions, L labels.

The **n-gram vectors** (fastText; Joulin et al., 2017) remember single expressions, which a small
LSTM cannot ("wide and deep", Cheng et al., 2016): see :class:`NGramVectors`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_lstm.text import OOV_ID
from edge_lstm_export.graph.pairs import (
    FINGERPRINTS,
    MOST_DISPLACEMENT,
    PairTable,
    buckets_of,
)
from edge_lstm_export.options import LoopOptions, NetworkConfig

Weights = dict[str, npt.NDArray[np.float32]]


class Network(nn.Module):
    """The classifier.

    ``forward`` gives logits, from which logits.probabilities makes the file's answers.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        embedding_range: float = LoopOptions.embedding_range,
        blank: bool = False,
    ) -> None:
        """Make a network with random first values.

        embedding_range: first values of the embedding lie within ± this.
        blank: shapes without values, for ``load_state_dict(…, assign=True)``; no memory is taken.
        """
        super().__init__()
        self.config = config
        # Training may run the LSTM in bfloat16; answers are always computed in float32.
        self.lstm_in_bfloat16 = False
        with torch.device("meta") if blank else nullcontext():
            self.embedding = _table(config.num_words + 1, config.embedding_dim, blank)
            # One nn.LSTM per direction: packed sequences are slow on a CPU, so _direction handles
            # lengths.
            directions = map(lstm_name, range(config.directions))
            size = (config.embedding_dim, config.hidden)
            self.lstm = nn.ModuleDict(
                {name: nn.LSTM(*size, batch_first=True) for name in directions}
            )
            self.head = nn.Linear(config.head_inputs, config.logits)
            self.ngrams = NGramVectors(config, blank) if config.ngrams else None
        if not blank:
            self._initialise(embedding_range)

    def _initialise(self, embedding_range: float) -> None:
        """Draw Keras's first values.

        Uniform embedding, Glorot kernels, orthogonal recurrence, bias.
        """
        hidden = self.config.hidden
        nn.init.uniform_(self.embedding.weight, -embedding_range, embedding_range)
        for lstm in self.lstm.values():
            kernel, recurrent, bias, second_bias = lstm.parameters()
            nn.init.xavier_uniform_(kernel)
            nn.init.orthogonal_(recurrent)
            nn.init.zeros_(bias)
            nn.init.ones_(bias[hidden : 2 * hidden])  # gates: input, forget, cell, output
            # Keras (and ONNX, summed) has one bias where PyTorch adds two: the second stays zero.
            nn.init.zeros_(second_bias)
            second_bias.requires_grad_(False)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        nn.init.zeros_(self.head.weight[:, self.config.pooled_dim :])  # columns of n-grams

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits: [B, 1 or L].

        ids: int64 [B, T], 0 = padding on the right.
        lengths: int64 [B], at least 1.
        """
        embedded = functional.dropout(self.embedding(ids), self.config.dropout, self.training)
        features = self.pool(embedded, lengths)
        if self.ngrams is not None:
            features = torch.cat([features, self.ngrams(ids, lengths)], dim=1)
        logits: Tensor = self.head(features)
        return logits

    def pool(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x: embedded tokens [B, T, E] → what the head reads of the LSTM: [B, pooled_dim]."""
        directions = [
            self._direction(direction, x, lengths) for direction in range(self.config.directions)
        ]
        if self.config.pooling == "last":
            pooled = torch.cat([last for _, last in directions], dim=1)  # B, D·H
        else:
            outputs = torch.cat([output for output, _ in directions], dim=2)  # B, T, D·H
            is_token = torch.arange(x.shape[1]) < lengths.unsqueeze(
                1
            )  # B, T: the text's own tokens
            outputs = outputs * is_token.unsqueeze(2)
            mean = outputs.sum(dim=1) / lengths.unsqueeze(1)
            # What an LSTM gives for padding is 0: the maximum counts it too, so that the model file
            # need not tell the two apart.
            pooled = torch.cat([mean, outputs.amax(dim=1).clamp_min(0)], dim=1)
        return functional.dropout(pooled, self.config.dropout, self.training)

    def _direction(self, direction: int, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run one LSTM over x [B, T, E].

        Return outputs [B, T, H] and the state after the text's last step [B, H].

        Padding is on the right, so it cannot reach the outputs before it. The second direction
        reads each row reversed within its own length.
        """
        lstm = self.lstm[lstm_name(direction)]
        if direction == 1:
            x = _reverse(x, lengths)
        with torch.autocast(
            x.device.type, torch.bfloat16, enabled=self.training and self.lstm_in_bfloat16
        ):
            output, _ = lstm(x)  # B, T, H
        output = output.to(x.dtype)  # from bfloat16
        at = (lengths - 1).view(-1, 1, 1).expand(-1, 1, output.shape[2])
        last = output.gather(1, at).squeeze(1)  # B, H
        return (_reverse(output, lengths) if direction == 1 else output), last

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(weight.isfinite().all()) for weight in self.parameters())

    @torch.no_grad()
    def room(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return how far each unit stays below its largest output: [D, H].

        The most that a unit can reach at step t is tanh(t). The least counts,
        over all texts and steps.

        ids: int64 [B, T].
        lengths: int64 [B].
        """
        x = self.embedding(ids)
        steps = torch.arange(1, ids.shape[1] + 1)
        most = torch.tanh(steps.to(x.dtype)).view(1, -1, 1)
        is_padding = (steps > lengths.unsqueeze(1)).unsqueeze(2)  # B, T, 1
        rooms = []
        for direction in range(self.config.directions):
            output, _ = self.lstm[lstm_name(direction)](
                _reverse(x, lengths) if direction == 1 else x
            )
            rooms.append((most - output.abs()).masked_fill(is_padding, 1).amin(dim=(0, 1)))
        return torch.stack(rooms)

    @torch.no_grad()
    def least_room(self) -> Tensor:
        """[D, H]: what :meth:`room` is of no text below.

        At step t a unit's output is at most tanh(t) times its output gate, whose opening no id and
        no earlier outputs, at most 1 each, bring above a bound.
        """
        rooms = []
        hidden = self.config.hidden
        for direction in range(self.config.directions):
            kernel, recurrent, *biases = (
                w[-hidden:] for w in self.lstm[lstm_name(direction)].parameters()
            )
            of_ids = (self.embedding.weight @ kernel.T).amax(dim=0)
            open_at_most = of_ids + recurrent.abs().sum(dim=1) + biases[0] + biases[1]
            rooms.append(math.tanh(1) * torch.sigmoid(-open_at_most))
        return torch.stack(rooms)

    @torch.no_grad()
    def scale_output_gates(self, factors: Tensor) -> None:
        """Multiply each unit's output gate, its weights and biases.

        factors: [D, H].
        """
        for direction in range(self.config.directions):
            for weight in self.lstm[lstm_name(direction)].parameters():
                of_unit = factors[direction].view(-1, *[1] * (weight.ndim - 1))
                weight[-self.config.hidden :] *= of_unit  # the last gate is the output's

    def parameter_counts(self) -> dict[str, int]:
        """Count the trained numbers of each part.

        The second bias of PyTorch's LSTM is not trained.
        """
        parts = {"embedding": self.embedding, "lstm": self.lstm, "head": self.head}
        counts = {
            name: sum(p.numel() for p in part.parameters() if p.requires_grad)
            for name, part in parts.items()
        }
        return counts | (
            {"ngrams": self.ngrams.vectors.weight.numel()} if self.ngrams is not None else {}
        )

    def weights(self) -> Weights:
        """Every weight as float32 numpy arrays, by PyTorch's names."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}


class NGramVectors(nn.Module):
    """The sum of the vectors of a text's words and word pairs, over the square root of its length.

    The ids from 2 on have a vector, ``ngram_words`` of them, then each slot of the table of pairs.
    The table is part of the weights; set it with :meth:`choose`. The vectors are fitted outside the
    training loop (ngrams.py) and are zero until then.
    """

    displacements: Tensor
    fingerprints: Tensor

    def __init__(self, config: NetworkConfig, blank: bool = False) -> None:
        super().__init__()
        self.words = config.ngram_words
        # Row 0 is what is no n-gram: padding, unknown pairs, second occurrences.
        self.vectors = _table(config.ngrams + 1, config.ngram_dim, blank, padding=0)
        self.vectors.weight.requires_grad_(False)
        if not blank:
            nn.init.zeros_(self.vectors.weight)
        self.silent = not blank  # while the vectors are zero, no n-gram need be looked up
        slots = config.ngram_slots
        for name, size in (("displacements", buckets_of(slots)), ("fingerprints", slots)):
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))

    @property
    def pairs(self) -> PairTable:
        """The table of pairs, in PyTorch's tensors."""
        return PairTable(self.displacements, self.fingerprints)

    def choose(self, pairs: PairTable) -> None:
        """Set the table of pairs, in NumPy's arrays."""
        self.displacements = torch.from_numpy(pairs.displacements)
        self.fingerprints = torch.from_numpy(pairs.fingerprints)

    def set_vectors(self, vectors: npt.NDArray[np.float32]) -> None:
        """Set the vectors of all n-grams: float32 [words + slots, ngram_dim]."""
        weight = torch.from_numpy(np.pad(vectors, ((1, 0), (0, 0))))
        rows, width = weight.shape
        self.vectors = nn.Embedding(rows, width, padding_idx=0, _weight=weight)
        self.vectors.weight.requires_grad_(False)
        self.silent = False

    def check(self) -> None:
        """Raise ValueError if the table of pairs holds numbers out of range."""
        for numbers, most in (
            (self.displacements, MOST_DISPLACEMENT),
            (self.fingerprints, FINGERPRINTS),
        ):
            if not ((numbers >= 0) & (numbers <= most)).all():
                raise ValueError("its table of pairs holds numbers out of range")

    def rows(self, ids: Tensor) -> Tensor:
        """ids: int64 [B, T], 0 = padding on the right → int64 [B, 2T - 1]: the rows of the n-grams
        that each text holds, each once, and 0."""
        is_word = (ids >= OOV_ID) & (ids < OOV_ID + self.words)
        parts = [torch.where(is_word, ids - OOV_ID + 1, 0)]
        if len(self.fingerprints):
            slots, is_pair = self.pairs.find(ids[:, :-1], ids[:, 1:])
            parts.append(torch.where(is_pair, slots + self.words + 1, 0))
        rows = torch.cat(parts, dim=1).sort(dim=1).values
        again = torch.zeros_like(rows, dtype=torch.bool)
        again[:, 1:] = rows[:, 1:] == rows[:, :-1]
        return rows.masked_fill(again, 0)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the vectors of texts: [B, ngram_dim].

        ids: int64 [B, T].
        lengths: int64 [B].
        """
        if self.silent:
            return self.vectors.weight.new_zeros(len(ids), self.vectors.embedding_dim)
        total: Tensor = self.vectors(self.rows(ids)).sum(dim=1)
        return total / lengths.sqrt().unsqueeze(1)


def lstm_name(direction: int) -> str:
    """Return the name of one LSTM among the weights: 0 = forward."""
    return "backwards" if direction else "forwards"  # nn.ModuleDict has a method named forward


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use this number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 products (AVX512-BF16, AMX).

    Without them, they are slower than float32.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _table(rows: int, width: int, blank: bool, padding: int | None = None) -> nn.Embedding:
    """With PyTorch's first values.

    blank: on the meta device without, where drawing them imports PyTorch's compiler, a second's
        work.
    """
    values = torch.empty(rows, width) if blank else None
    return nn.Embedding(rows, width, padding_idx=padding, _weight=values)


def _reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """x [B, T, E] with each row reversed within its length; the padding stays where it is."""
    steps = torch.arange(x.shape[1], device=x.device).unsqueeze(0)  # 1, T
    ends = lengths.unsqueeze(1)  # B, 1
    order = torch.where(steps < ends, ends - 1 - steps, steps)  # B, T
    return x.gather(1, order.unsqueeze(2).expand_as(x))
