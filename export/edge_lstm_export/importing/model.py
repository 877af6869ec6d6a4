"""A network that was trained elsewhere, as plain arrays: a list of layers.

All arrays are float32. Shapes in comments: I inputs, H hidden units, D directions, E embedding.
The gates of an LSTM stand in ONNX's order: input, output, forget, cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError

Array: TypeAlias = npt.NDArray[Any]
Activation = Literal["linear", "relu", "tanh", "sigmoid"]
PoolingKind = Literal["last", "end", "mean", "max", "mean+max"]
Answer = Literal["sigmoid", "softmax"]
Padding = Literal["front", "behind", "none"]
Truncation = Literal["front", "behind"]

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid")

# The steepness of the hard sigmoid: Keras 1 and 2, then Keras 3.
HARD_SIGMOID_OF_KERAS_2 = 0.2
HARD_SIGMOID_OF_KERAS_3 = 1 / 6

# The most that is read, in numbers of all layers together: 256 MiB of float32.
MOST_NUMBERS = 2**26
MOST_LSTMS = 3
MOST_HIDDEN_DENSE = 2
MOST_LENGTH = 100_000


@dataclass(frozen=True)
class Embedding:
    """A vector per id. weights: [ids, E]. name: the layer's name in its file."""

    name: str
    weights: Array


@dataclass(frozen=True)
class LSTM:
    """One LSTM, of one or both directions, the forward one first.

    w: [D, 4H, I]; r: [D, 4H, H]; b: [D, 4H], all biases added up.
    return_sequences: it gives all its outputs, not the last states alone.
    hard_sigmoid: the steepness of the gates' hard sigmoid; 0: they are the logistic function.
    """

    name: str
    w: Array
    r: Array
    b: Array
    return_sequences: bool
    hard_sigmoid: float = 0.0

    @property
    def directions(self) -> int:
        """1 or 2."""
        return len(self.w)

    @property
    def hidden(self) -> int:
        """Units of one direction."""
        return int(self.r.shape[2])


@dataclass(frozen=True)
class Pooling:
    """The values that are read of the last LSTM's outputs.

    kind: ``last``: the state of each direction after its last token. ``end``: the outputs at the
        last step, at which a backward direction has read one token. ``mean``, ``max``,
        ``mean+max``: over the steps.
    """

    name: str
    kind: PoolingKind


@dataclass(frozen=True)
class Dense:
    """A dense layer. w: [I, O]; b: [O]."""

    name: str
    w: Array
    b: Array
    activation: Activation


@dataclass(frozen=True)
class Head:
    """The function that makes probabilities of the last dense layer's values, the logits.

    is_known: the model itself says so; otherwise it is the usual one for the number of logits.
    """

    name: str
    answer: Answer
    is_known: bool = True


Layer: TypeAlias = Embedding | LSTM | Pooling | Dense | Head
_Kind = TypeVar("_Kind", Embedding, LSTM, Pooling, Dense, Head)
Reads = TypeVar("Reads", LSTM, Dense)


@dataclass(frozen=True)
class Reading:
    """How a text's ids reach the network.

    length: steps of its input; None: as many as the text has ids.
    padding: the side of the ids that is filled up to ``length``; None: not known.
    masked: the network passes over padding.
    truncation: the side of a long text that is cut off. pad_id: the id of padding.
    """

    length: int | None = None
    padding: Padding | None = None
    masked: bool = False
    truncation: Truncation = "front"
    pad_id: int = 0

    @property
    def reads_padding(self) -> bool:
        """Whether padding is a part of the answer."""
        return self.padding in ("front", "behind") and not self.masked


@dataclass(frozen=True)
class ImportedModel:
    """A network that was trained elsewhere.

    layers: embedding, LSTMs, pooling, dense layers (the last gives logits), head.
    source: the kind of its file or object, for people.
    """

    layers: tuple[Layer, ...]
    reading: Reading
    source: str

    def __post_init__(self) -> None:
        _check(self.layers)

    @property
    def embedding(self) -> Embedding:
        """The first layer."""
        return next(self._of(Embedding))

    @property
    def lstms(self) -> tuple[LSTM, ...]:
        """The LSTMs, in their order."""
        return tuple(self._of(LSTM))

    @property
    def pooling(self) -> Pooling:
        """What is read of the last LSTM."""
        return next(self._of(Pooling))

    @property
    def dense(self) -> tuple[Dense, ...]:
        """The dense layers; the last gives the logits."""
        return tuple(self._of(Dense))

    @property
    def head(self) -> Head:
        """The last layer."""
        return next(self._of(Head))

    @property
    def logits(self) -> int:
        """The number of logits."""
        return len(self.dense[-1].b)

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(array.size for layer in self.layers for array in arrays_of(layer))

    def with_reading(self, **changes: Any) -> ImportedModel:
        """Return the model with other values of its :class:`Reading`."""
        return replace(self, reading=replace(self.reading, **changes))

    def with_answer(self, answer: Answer) -> ImportedModel:
        """Return the model with another function of the logits."""
        return replace(self, layers=(*self.layers[:-1], replace(self.head, answer=answer)))

    def _of(self, kind: type[_Kind]) -> Iterator[_Kind]:
        return (layer for layer in self.layers if isinstance(layer, kind))


def arrays_of(layer: Layer) -> list[Array]:
    """Return a layer's weights."""
    return [value for value in vars(layer).values() if isinstance(value, np.ndarray)]


def with_gates(array: Array, order: Sequence[int]) -> Array:
    """Return an array whose four gates, along its first axis, are taken in this order."""
    gates = np.split(array, 4)
    return np.concatenate([gates[gate] for gate in order])


def normalization(
    mean: Array, variance: Array, epsilon: float, scale: Array | float, shift: Array | float
) -> tuple[Array, Array]:
    """Return a batch normalization as factors and shifts of its inputs, float32."""
    factors = scale / np.sqrt(variance.astype(np.float64) + epsilon)
    shifts = shift - factors * mean
    return factors.astype(np.float32), shifts.astype(np.float32)


def normalized(layer: Embedding | Dense, factors: Array, shifts: Array) -> Embedding | Dense:
    """Return a layer whose outputs are multiplied by factors, and shifted."""
    if isinstance(layer, Embedding):
        return replace(layer, weights=layer.weights * factors + shifts)
    return replace(layer, w=layer.w * factors, b=layer.b * factors + shifts)


def with_normalized_inputs(layer: Reads, factors: Array, shifts: Array) -> Reads:
    """Return a layer that multiplies its inputs by factors, and shifts them."""
    if isinstance(layer, LSTM):
        return replace(layer, w=layer.w * factors, b=layer.b + layer.w @ shifts)
    return replace(layer, w=layer.w * factors[:, None], b=layer.b + shifts @ layer.w)


def pooled_dim(lstm: LSTM, kind: PoolingKind) -> int:
    """Return the number of values that are read of the last LSTM."""
    return lstm.directions * lstm.hidden * (2 if kind == "mean+max" else 1)


def _check(layers: tuple[Layer, ...]) -> None:
    """Raise DataError unless the layers are a network of ours: their order, shapes and values."""
    kinds = "".join(type(layer).__name__[0] for layer in layers)
    stripped = kinds.strip("EH")
    lstms = kinds.count("L")
    dense = kinds.count("D")
    if not lstms:
        raise DataError("the model has no LSTM layer; only LSTM classifiers of text are imported")
    if not isinstance(layers[0], Embedding):
        raise DataError(
            "the model has no embedding before its LSTM; only models of ids are imported"
        )
    if not kinds.startswith("EL") or stripped != "L" * lstms + "P" + "D" * dense or not dense:
        names = ", ".join(layer.name for layer in layers)
        order = "embedding, LSTMs, pooling, dense layers"
        raise DataError(f"the model's layers are {names}; only this order is imported: {order}")
    if lstms > MOST_LSTMS:
        raise DataError(f"the model has {lstms} LSTM layers; at most {MOST_LSTMS} are imported")
    if dense > MOST_HIDDEN_DENSE + 1:
        most = f"at most {MOST_HIDDEN_DENSE} are imported"
        raise DataError(f"the model has {dense - 1} dense layers before the last one; {most}")
    width = 0
    for layer in layers:
        for array in arrays_of(layer):
            if not array.size:
                raise DataError(f"layer {layer.name!r} has an empty weight; save the model again")
            if not np.isfinite(array).all():
                fix = "it did not train to the end"
                raise DataError(f"layer {layer.name!r} has weights that are not numbers; {fix}")
        width = _width_behind(layer, width)


def _width_behind(layer: Layer, width: int) -> int:
    """Return the number of values that a layer gives.

    width: number of values that it reads.

    Raises DataError if they do not fit.
    """
    if isinstance(layer, Embedding):
        _require_shape(layer, layer.weights, (None, None))
        return int(layer.weights.shape[1])
    if isinstance(layer, LSTM):
        hidden = layer.hidden if layer.r.ndim == 3 else 0
        _require_shape(layer, layer.w, (layer.directions, 4 * hidden, width))
        _require_shape(layer, layer.r, (layer.directions, 4 * hidden, hidden))
        _require_shape(layer, layer.b, (layer.directions, 4 * hidden))
        return layer.directions * hidden
    if isinstance(layer, Pooling):
        return width * (2 if layer.kind == "mean+max" else 1)
    if isinstance(layer, Dense):
        _require_shape(layer, layer.w, (width, None))
        _require_shape(layer, layer.b, (layer.w.shape[1],))
        return int(layer.w.shape[1])
    return width


def _require_shape(layer: Layer, array: Array, shape: tuple[int | None, ...]) -> None:
    """Raise DataError unless an array has a shape; None in it is any size."""
    sizes = array.shape
    fits = len(sizes) == len(shape) and all(
        wanted in (None, size) for size, wanted in zip(sizes, shape)
    )
    if not fits:
        wanted = " × ".join("any" if size is None else f"{size:,}" for size in shape)
        given = " × ".join(f"{size:,}" for size in sizes) or "one number"
        raise DataError(f"layer {layer.name!r} has weights of {given}, where {wanted} are expected")


def check_size(numbers: int, name: str) -> None:
    """Raise DataError for more numbers than are read, before memory is taken for them."""
    if numbers > MOST_NUMBERS:
        most = f"at most {MOST_NUMBERS:,} are read"
        raise DataError(f"{name} claims {numbers:,} numbers; {most}")
