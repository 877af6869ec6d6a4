"""The PyTorch model, all of it: embedding → LSTMs → dense layers → head, and n-gram vectors.

The preset ``seed`` is Keras's IMDB example, exactly: ``Embedding(5001, 32)``, ``LSTM(100)``,
``Dense(1, activation="sigmoid")``, 213,333 trainable parameters. Shapes in comments: B batch, T
time steps, E embedding, H hidden units, D directions, L labels.

The **n-gram vectors** (fastText; Joulin et al., 2017) remember single expressions, which a small
LSTM cannot ("wide and deep", Cheng et al., 2016): see :class:`NGramVectors`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from edge_lstm.core.layers import Activation, Lstm, NetworkConfig, padding_in_words
from edge_lstm.core.text import DEFAULT_LENGTH, OOV_ID, PAD_ID
from edge_lstm_export.arrays import Array
from edge_lstm_export.network.pairs import FINGERPRINTS, MOST_DISPLACEMENT, PairTable, buckets_of

Weights = dict[str, npt.NDArray[np.float32]]

# h and c, [1, B, H] each.
State = tuple[Tensor, Tensor]

SETTLED = 5e-8  # by which states may still move, a rounding of float32

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": lambda values: values,
}


@dataclass(frozen=True)
class Recorded:
    """The values in a network when it reads texts.

    ids: int64 [steps], of the steps of all texts. outputs: of each LSTM at these steps, float32
    [steps, D · H]. dense: the inputs of each hidden dense layer and of the head, float32
    [texts, inputs].
    """

    ids: npt.NDArray[np.int64]
    outputs: list[npt.NDArray[np.float32]]
    dense: list[npt.NDArray[np.float32]]


class Network(nn.Module):
    """The classifier as a PyTorch module.

    ``forward`` gives logits, from which logits.probabilities makes the file's answers.

    length: ids of a text that the model reads; a checkpoint sets it. It matters if the LSTM reads
        padding (NetworkConfig.padding), or has a table of first states.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        dropout: float = 0.0,
        blank: bool = False,
    ) -> None:
        """Make a network with random first values.

        dropout: probability, in training, on the embedding and on the outputs of the LSTM.
        blank: shapes without values, for ``load_state_dict(…, assign=True)``; no memory is taken.
        """
        super().__init__()
        self.config = config
        self.dropout = dropout
        self.length = DEFAULT_LENGTH
        with torch.device("meta") if blank else nullcontext():
            self.embedding = _table(config.num_words + 1, config.embedding_dim, blank)
            self.lstms = nn.ModuleList()
            inputs = config.embedding_dim
            for lstm in config.lstms:
                self.lstms.append(LstmLayer(lstm, inputs))
                inputs = lstm.values()
            self.dense = nn.ModuleList()
            for dense in config.dense:
                self.dense.append(nn.Linear(inputs, dense.units))
                inputs = dense.units
            self.head = nn.Linear(config.head_inputs(), config.logits)
            self.ngrams = NGramVectors(config, blank) if config.ngrams else None
        if not blank:
            self._initialise()

    def _initialise(self) -> None:
        """Draw Keras's first values.

        They are a uniform embedding, Glorot kernels, orthogonal recurrence, and a bias.
        """
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        for layer in self.layers:
            hidden = layer.settings.units
            for lstm in layer.directions:
                kernel, recurrent, bias, second_bias = lstm.parameters()
                nn.init.xavier_uniform_(kernel)
                nn.init.orthogonal_(recurrent)
                nn.init.zeros_(bias)
                nn.init.ones_(bias[hidden : 2 * hidden])  # gates: input, forget, cell, output
                # Keras (and ONNX, summed) has one bias where PyTorch adds two: the second stays
                # zero.
                nn.init.zeros_(second_bias)
                second_bias.requires_grad_(False)
        for dense in [*self.dense.children(), self.head]:
            weight, bias = dense.parameters()
            nn.init.xavier_uniform_(weight)
            nn.init.zeros_(bias)
        nn.init.zeros_(self.head.weight[:, self.config.layer_values() :])  # they read the n-grams

    @property
    def layers(self) -> list[LstmLayer]:
        """The LSTMs, the first to read a text first."""
        return [each for each in self.lstms if isinstance(each, LstmLayer)]

    @property
    def padding_line(self) -> str:
        """The cost of padding in words; empty if it reads none."""
        tables = [layer.h for layer in self.layers if layer.h is not None]
        rows = tables[0].shape[1] if tables else 0
        return padding_in_words(self.config, self.length, rows)

    def set_starts(self, starts: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Set the tables of first states of all LSTMs.

        starts: for each LSTM its outputs h and its cells c, float32 [D, S + 1, H]. A text of T ids
            begins in row min(length - T, S). S is the same for all.

        Raises ValueError for tables of other shapes, or an output beyond -1 to 1.
        """
        rows = starts[0][0].shape[1]
        for layer, (h, c) in zip(self.layers, starts, strict=True):
            shape = layer.settings.directions, rows, layer.settings.units
            if h.shape != shape or c.shape != shape or not rows or h.abs().max() > 1:
                raise ValueError("its tables of first states do not fit its LSTMs")
            layer.h = h
            layer.c = c

    @torch.no_grad()
    def padding_starts(self) -> list[tuple[Tensor, Tensor]]:
        """Return the states of each LSTM after 0, 1, … steps of padding, for :meth:`set_starts`.

        A table ends at ``length``, or at a step from which the states stay within SETTLED.

        With them, a network that learnt from texts with padding before their ids need run no step
        of it, if its LSTMs have one direction, and only the last output is read.
        """
        network = copy.deepcopy(self).double()
        layers = network.layers
        states = [layer.zeros() for layer in layers]
        rows: list[list[Tensor]] = [[torch.cat(state)] for state in states]
        for _ in range(self.length):
            x = network.embedding.weight[PAD_ID].view(1, 1, -1)
            for k, layer in enumerate(layers):
                x, states[k] = layer.steps(layer.directions[0], x, states[k])
                rows[k].append(torch.cat(states[k]))
        tables = [torch.stack(each, dim=1).squeeze(2) for each in rows]  # 2, length + 1, H
        needed = settled_rows([table.numpy() for table in tables], SETTLED)
        return [(t[:1, :needed].float(), t[1:, :needed].float()) for t in tables]

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids: int64 [B, T], 0 = padding on the right; lengths: int64 [B] → logits [B, 1 or L]."""
        logits: Tensor = self.head(self._dense_inputs(ids, lengths)[-1])
        return logits

    def _dense_inputs(self, ids: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return what each hidden dense layer and the head read, [B, inputs]."""
        inputs = [self._pooled(ids, lengths)]
        for layer, dense in zip(self.config.dense, self.dense):
            inputs.append(ACTIVATIONS[layer.activation](dense(inputs[-1])))
        if self.ngrams is not None:
            inputs[-1] = torch.cat([inputs[-1], self.ngrams(ids, lengths)], dim=1)
        return inputs

    def _pooled(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids: int64 [B, T]; lengths: int64 [B] → what the next layer reads of the last LSTM."""
        if not self.config.lstms:
            return self.head.weight.new_zeros(len(ids), 0)
        layer = self.config.lstms[-1]
        outputs, last, steps = self._run(ids, lengths)
        if layer.gives == "last":
            pooled = last
        else:
            is_step = _is_step(outputs, steps)
            outputs = outputs * is_step
            parts = []
            if layer.gives != "max":
                parts.append(outputs.sum(dim=1) / steps.clamp_min(1).unsqueeze(1))
            if layer.has_maximum:
                parts.append(_maximum(outputs, is_step, layer.floor))
            pooled = torch.cat(parts, dim=1)
        return functional.dropout(pooled, self.dropout, self.training)

    def _run(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run all LSTMs → outputs, last outputs and steps of each text.

        They are the outputs of the last LSTM [B, T, D·H], its outputs after the last step of each
        direction [B, D·H], and the number of steps of each text [B].
        """
        ids, steps = self._read(ids, lengths)
        x = functional.dropout(self.embedding(ids), self.dropout, self.training)
        last = x
        for layer in self.layers:
            x, last = layer(x, steps, self.length)
        return x, last, steps

    def _read(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ids of the LSTM's steps and their number.

        Both stay as given unless the LSTM reads padding.
        """
        if self.config.padding == "none":
            return functional.pad(ids, (0, int(not ids.shape[1]))), lengths
        ids = functional.pad(ids, (0, self.length - ids.shape[1]))
        if self.config.padding == "front":
            places = torch.arange(self.length) - (self.length - lengths).unsqueeze(1)
            ids = ids.gather(1, places.clamp_min(0)).masked_fill(places < 0, PAD_ID)
        return ids, torch.full_like(lengths, self.length)

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(weight.isfinite().all()) for weight in self.state_dict().values())

    @torch.no_grad()
    def room(self, ids: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return how far each unit stays below the most that it can reach, per LSTM [D, H].

        It is the least of all texts and steps. At step t a unit can reach tanh(t); 1 if the LSTM
        begins in a table's state.

        ids: int64 [B, T].
        lengths: int64 [B].
        """
        ids, steps = self._read(ids, lengths)
        x = self.embedding(ids)
        rooms = []
        for layer in self.layers:
            outputs, _ = layer(x, steps, self.length)
            most = layer.most_output(outputs)
            room = (most - outputs.abs()).masked_fill(~_is_step(outputs, steps), 1)
            rooms.append(room.amin(dim=(0, 1)).view(layer.settings.directions, -1))
            x = outputs
        return rooms

    @torch.no_grad()
    def recorded(self, rows: Sequence[Sequence[int]]) -> Recorded:
        """Return the values in the network when it reads texts. rows: their token ids."""
        all_ids: list[Tensor] = []
        outputs: list[list[Tensor]] = [[] for _ in self.layers]
        dense: list[list[Tensor]] = [[] for _ in [*self.dense, self.head]]
        for row in rows:
            of_row = torch.tensor([row], dtype=torch.int64)
            length = torch.tensor([len(row)])
            ids, count = self._read(of_row, length)
            steps = slice(int(count))
            all_ids.append(ids[0, steps])
            x = self.embedding(ids)
            for layer, of_layer in zip(self.layers, outputs):
                x, _ = layer(x, count, self.length)
                of_layer.append(x[0, steps])
            for values, of_dense in zip(self._dense_inputs(of_row, length), dense):
                of_dense.append(values)
        joined = [[torch.cat(parts).numpy() for parts in each] for each in (outputs, dense)]
        return Recorded(torch.cat(all_ids).numpy(), *joined)

    @torch.no_grad()
    def scale_output_gates(self, factors: Sequence[Tensor]) -> None:
        """Multiply each unit's output gate, its weights and biases.

        factors: for each LSTM [D, H].
        """
        for layer, of_layer in zip(self.layers, factors):
            for lstm, of_direction in zip(layer.directions, of_layer):
                for weight in lstm.parameters():
                    of_unit = of_direction.view(-1, *[1] * (weight.ndim - 1))
                    weight[-layer.settings.units :] *= of_unit  # the last gate is the output's

    def parameter_count(self) -> int:
        """Return the number of trained parameters.

        The other bias of PyTorch's LSTM is not trained, and not counted.
        """
        count = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return count if self.ngrams is None else count + self.ngrams.vectors.weight.numel()

    def weights(self) -> Weights:
        """Every weight as float32 numpy arrays, by PyTorch's names."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}


class LstmLayer(nn.Module):
    """One LSTM of one or both directions.

    settings: of the layer. h, c: the table of first states, float32 [D, S + 1, H] both; None: it
    begins with zeros.
    """

    h: Tensor | None
    c: Tensor | None

    def __init__(self, settings: Lstm, inputs: int) -> None:
        super().__init__()
        self.settings = settings
        # One nn.LSTM per direction: packed sequences are slow on a CPU, so lengths are handled
        # here.
        for direction in range(settings.directions):
            lstm = nn.LSTM(inputs, settings.units, batch_first=True)
            self.add_module(lstm_name(direction), lstm)
        self.register_buffer("h", None)
        self.register_buffer("c", None)

    @property
    def directions(self) -> list[nn.LSTM]:
        """The LSTM that reads forwards and, if there is one, the other."""
        return [each for each in self.children() if isinstance(each, nn.LSTM)]

    def most_output(self, outputs: Tensor) -> Tensor | float:
        """Return the most that a unit's output can be, of each step: [1, T, 1], or of all."""
        if self.h is not None:
            return 1.0
        steps = torch.arange(1, outputs.shape[1] + 1)
        return torch.tanh(steps.to(outputs.dtype)).view(1, -1, 1)

    def forward(self, x: Tensor, lengths: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Run the LSTM → outputs [B, T, D·H], and those after each direction's last step [B, D·H].

        x: [B, T, inputs].
        lengths: steps of each text.

        Padding is on the right, so it cannot reach the outputs before it. The second direction
        reads each row reversed within its own length. Without a step, the last output is the first
        state's.
        """
        outputs = []
        lasts = []
        for direction, lstm in enumerate(self.directions):
            read = _reverse(x, lengths) if direction == 1 else x
            state = self._first_state(direction, lengths, length)
            output, _ = self.steps(lstm, read, state)  # B, T, H
            at = (lengths - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, output.shape[2])
            last = output.gather(1, at).squeeze(1)  # B, H
            lasts.append(torch.where(lengths.unsqueeze(1) > 0, last, state[0][0]))
            outputs.append(_reverse(output, lengths) if direction == 1 else output)
        return torch.cat(outputs, dim=2), torch.cat(lasts, dim=1)

    def _first_state(self, direction: int, lengths: Tensor, length: int) -> State:
        """Return the states before the first step, of a direction."""
        if self.h is None or self.c is None:
            return self.zeros(len(lengths))
        rows = (length - lengths).clamp(0, self.h.shape[1] - 1)
        return self.h[direction][rows].unsqueeze(0), self.c[direction][rows].unsqueeze(0)

    def zeros(self, texts: int = 1) -> State:
        """Return states of zeros."""
        zeros = next(self.parameters()).new_zeros(1, texts, self.settings.units)
        return zeros, zeros

    def steps(self, lstm: nn.LSTM, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run an LSTM over x [B, T, inputs] → outputs [B, T, H] and the last states."""
        slope = self.settings.hard_sigmoid
        if slope is None:
            outputs, state = lstm(x, state)
            return outputs, state
        kernel, recurrent, bias, second_bias = lstm.parameters()
        of_inputs = x @ kernel.T + bias + second_bias
        h, c = state[0][0], state[1][0]
        every = []
        for step in range(x.shape[1]):
            i, f, g, o = (of_inputs[:, step] + h @ recurrent.T).chunk(4, dim=1)
            i, f, o = (torch.clamp(slope * gate + 0.5, 0, 1) for gate in (i, f, o))
            c = f * c + i * torch.tanh(g)
            h = o * torch.tanh(c)
            every.append(h)
        return torch.stack(every, dim=1), (h.unsqueeze(0), c.unsqueeze(0))


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
        # Each further occurrence of an n-gram adds this to its count.
        self.gains = np.diff(config.ngram_counts, prepend=0).tolist()
        # Row 0 stands for padding, unknown pairs and occurrences that do not count.
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
        """Check that the numbers of the table of pairs are in range.

        Raises ValueError if not.
        """
        for numbers, most in (
            (self.displacements, MOST_DISPLACEMENT),
            (self.fingerprints, FINGERPRINTS),
        ):
            if not ((numbers >= 0) & (numbers <= most)).all():
                raise ValueError("its table of pairs holds numbers out of range")

    def occurrences(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of the n-grams that each text holds, and what each occurrence adds.

        Both are [B, 2T - 1], int64 and float32. Row 0 stands for what adds nothing.
        ids: int64 [B, T], 0 = padding on the right.
        """
        is_word = (ids >= OOV_ID) & (ids < OOV_ID + self.words)
        parts = [torch.where(is_word, ids - OOV_ID + 1, 0)]
        if len(self.fingerprints):
            slots, is_pair = self.pairs.find(ids[:, :-1], ids[:, 1:])
            parts.append(torch.where(is_pair, slots + self.words + 1, 0))
        rows = torch.cat(parts, dim=1).sort(dim=1).values
        adds = torch.full_like(rows, self.gains[0])
        for earlier in range(1, len(self.gains) + 1):
            gain = self.gains[earlier] if earlier < len(self.gains) else 0
            adds[:, earlier:][rows[:, earlier:] == rows[:, :-earlier]] = gain
        return rows.masked_fill(adds == 0, 0), adds.float()

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the vectors of texts: [B, ngram_dim].

        ids: int64 [B, T].
        lengths: int64 [B].
        """
        if self.silent:
            return self.vectors.weight.new_zeros(len(ids), self.vectors.embedding_dim)
        rows, adds = self.occurrences(ids)
        total: Tensor = (self.vectors(rows) * adds.unsqueeze(2)).sum(dim=1)
        return total / lengths.sqrt().unsqueeze(1)


def lstm_name(direction: int) -> str:
    """Return the name of one direction of an LSTM among the weights: 0 = forward."""
    return "backwards" if direction else "forwards"  # a module has a method named forward


def _is_step(outputs: Tensor, steps: Tensor) -> Tensor:
    """Return whether each output [B, T, H] is of one of the text's steps [B]: bool [B, T, 1]."""
    return (torch.arange(outputs.shape[1]) < steps.unsqueeze(1)).unsqueeze(2)


def _maximum(outputs: Tensor, is_step: Tensor, floor: int) -> Tensor:
    """Return the maximum over the steps [B, H] of outputs [B, T, H]; 0 without any."""
    if floor == 0:
        # What an LSTM gives for padding is 0: the maximum counts it too, so that the model file
        # need not tell the two apart.
        return outputs.amax(dim=1).clamp_min(0)
    most = outputs.masked_fill(~is_step, floor).amax(dim=1)
    return torch.where(is_step.any(dim=1), most, 0)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch and libraries of linear algebra use this number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        # Only libraries that are loaded already can be limited.
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def _table(rows: int, width: int, blank: bool, padding: int | None = None) -> nn.Embedding:
    """With PyTorch's first values.

    blank: on the meta device without, where drawing them imports PyTorch's compiler, a second's
        work.
    """
    values = torch.empty(rows, width) if blank else None
    return nn.Embedding(rows, width, padding_idx=padding, _weight=values)


def _reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Return x [B, T, E] with each row reversed within its length; padding keeps its place."""
    steps = torch.arange(x.shape[1], device=x.device).unsqueeze(0)  # 1, T
    ends = lengths.unsqueeze(1)  # B, 1
    order = torch.where(steps < ends, ends - 1 - steps, steps)  # B, T
    return x.gather(1, order.unsqueeze(2).expand_as(x))


def settled_rows(tables: Sequence[Array], tolerance: float) -> int:
    """Return how many rows tables of first states need: later ones hardly differ.

    tables: float [..., rows, H].
    tolerance: by which the rows that are left out may differ from the last one.
    """
    by_row = []
    for table in tables:
        rows = table.swapaxes(0, -2)
        by_row.append(rows.reshape(len(rows), -1))
    states = np.concatenate(by_row, axis=1)
    moves = np.abs(states - states[-1]).max(axis=1)
    return int(np.flatnonzero(moves > tolerance).max(initial=-1)) + 2
