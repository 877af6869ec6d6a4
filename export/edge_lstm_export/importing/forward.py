"""The forward pass of an imported network with NumPy: the measure for all that is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_lstm_export.importing.model import LSTM, Array, ImportedModel, Reading

BATCH = 128  # texts that are run together


def probabilities(
    model: ImportedModel, rows: Sequence[Sequence[int]], dtype: type = np.float32
) -> Array:
    """Return the answers to texts, [n, probabilities], as the network itself gives them.

    A single sigmoid gives one probability.

    rows: the texts' ids, of any length, without padding.
    dtype: np.float32 or np.float64.
    """
    z = logits(model, rows, dtype)
    if model.head.answer == "sigmoid":
        return _logistic(z)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def logits(model: ImportedModel, rows: Sequence[Sequence[int]], dtype: type = np.float32) -> Array:
    """Return [n, logits]. See :func:`probabilities`."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    answers: Array = np.zeros((len(rows), model.logits), dtype)
    for start in range(0, len(rows), BATCH):
        batch = order[start : start + BATCH]
        ids, is_step = padded([rows[i] for i in batch], model.reading)
        answers[batch] = _logits(model, ids, is_step, dtype)
    return answers


def padded(rows: Sequence[Sequence[int]], reading: Reading) -> tuple[Array, Array]:
    """Return the ids as the network reads them, int64 [B, T], and its steps, bool [B, T]."""
    cut = [cut_to(row, reading) for row in rows]
    columns = max(1, *map(len, cut))
    if reading.reads_padding or reading.masked:
        columns = reading.length or columns
    ids = np.full((len(cut), columns), reading.pad_id, np.int64)
    for i, row in enumerate(cut):
        start = columns - len(row) if reading.padding == "front" else 0
        ids[i, start : start + len(row)] = row
    if reading.masked:
        return ids, ids != reading.pad_id
    steps = [columns if reading.reads_padding else len(row) for row in cut]
    return ids, np.arange(columns) < np.array(steps)[:, None]


def cut_to(row: Sequence[int], reading: Reading) -> Sequence[int]:
    """Return the ids of a text that are kept."""
    if reading.length is None:
        return row
    return row[-reading.length :] if reading.truncation == "front" else row[: reading.length]


def _logits(model: ImportedModel, ids: Array, is_step: Array, dtype: type) -> Array:
    x: Array = model.embedding.weights[ids].astype(dtype)  # B, T, E
    for lstm in model.lstms:
        x, ends = _run(lstm, x, is_step)
    values = _pool(model, x, ends, is_step)
    for layer in model.dense:
        values = values @ layer.w.astype(dtype) + layer.b.astype(dtype)
        values = ACTIVATIONS[layer.activation](values)
    return values


def _run(lstm: LSTM, x: Array, is_step: Array) -> tuple[Array, Array]:
    """Run an LSTM over x [B, T, I] → its outputs [B, T, D·H], and its last states [B, D·H]."""
    outputs = []
    ends = []
    for direction in range(lstm.directions):
        turn = -1 if direction else 1
        h = _states(lstm, x[:, ::turn], is_step[:, ::turn], direction)
        ends.append(h[:, -1])
        outputs.append(h[:, ::turn])
    return np.concatenate(outputs, axis=2), np.concatenate(ends, axis=1)


def _states(lstm: LSTM, x: Array, is_step: Array, direction: int) -> Array:
    """Run one direction over x [B, T, I] → its state h after each step, [B, T, H]."""
    dtype = x.dtype
    from_input = x @ lstm.w[direction].T.astype(dtype) + lstm.b[direction].astype(dtype)
    recurrent = lstm.r[direction].T.astype(dtype)
    gate = _gate(lstm.hard_sigmoid)
    c = h = np.zeros((len(x), lstm.hidden), dtype)
    states = []
    for t in range(x.shape[1]):
        i, o, f, g = np.split(from_input[:, t] + h @ recurrent, 4, axis=1)
        new_c = gate(f) * c + gate(i) * np.tanh(g)
        new_h = gate(o) * np.tanh(new_c)
        step = is_step[:, t, None]
        c = np.where(step, new_c, c)
        h = np.where(step, new_h, h)
        states.append(h)
    return np.stack(states, axis=1)


def _pool(model: ImportedModel, outputs: Array, ends: Array, is_step: Array) -> Array:
    """Return the values that the dense layers read: [B, pooled]. outputs: [B, T, D·H]."""
    kind = model.pooling.kind
    if kind == "last":
        return ends
    if kind == "end":
        lengths = np.maximum(is_step.sum(axis=1), 1)
        last = np.where(is_step[:, -1], outputs.shape[1] - 1, lengths - 1)
        at_end: Array = outputs[np.arange(len(outputs)), last]
        return at_end
    steps = is_step[:, :, None]
    mean = np.where(steps, outputs, 0).sum(axis=1) / np.maximum(steps.sum(axis=1), 1)
    largest = np.where(steps, outputs, -1).max(axis=1)
    if model.reading.masked:
        # Keras's maximum knows no mask: it sees what stands at the masked steps as well.
        largest = outputs.max(axis=1)
    largest = np.where(steps.any(axis=1), largest, 0)  # as the mean of a text without any step
    values = {"mean": [mean], "max": [largest], "mean+max": [mean, largest]}[kind]
    return np.concatenate(values, axis=1).astype(outputs.dtype)


def _logistic(x: Array) -> Array:
    # Of a large negative number the power is infinite, and its inverse 0, as it should be.
    with np.errstate(over="ignore"):
        result: Array = 1 / (1 + np.exp(-x))
    return result


def _gate(hard_sigmoid: float) -> Callable[[Array], Array]:
    """Return the function of an LSTM's gates."""
    if not hard_sigmoid:
        return _logistic
    return lambda x: np.clip(x * x.dtype.type(hard_sigmoid) + x.dtype.type(0.5), 0, 1)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": _logistic,
}
