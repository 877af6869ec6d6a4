"""A network that was trained elsewhere, as plain arrays: a list of layers.

All arrays are float32. Shapes in comments: I inputs, H hidden units, D directions, E embedding.
The gates of an LSTM stand in ONNX's order: input, output, forget, cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

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
    hard_sigmoid: the steepness of the gates' hard sigmoid; 0: they are the logistic function.
    """

    name: str
    w: Array
    r: Array
    b: Array
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

    @property
    def reads(self) -> int:
        """The number of its inputs."""
        return len(self.w)

    def normalized(self, by: Normalization) -> Dense:
        """Return the layer with normalized outputs."""
        return replace(self, w=self.w * by.factors, b=self.b * by.factors + by.shifts)


@dataclass(frozen=True)
class Normalization:
    """A batch normalization as factors and shifts of its inputs, float32."""

    name: str
    factors: Array
    shifts: Array

    @property
    def reads(self) -> int:
        """The number of its inputs."""
        return len(self.factors)

    @classmethod
    def of(
        cls,
        name: str,
        mean: Array,
        variance: Array,
        epsilon: float,
        scale: Array | float = 1.0,
        shift: Array | float = 0.0,
    ) -> Normalization:
        """Make it of the values that frameworks hold. Raises DataError for other shapes."""
        for values in (mean, variance, scale, shift):
            if isinstance(values, np.ndarray) and (values.ndim != 1 or len(values) != len(mean)):
                raise DataError(f"layer {name!r} lacks weights; save the model again")
        factors = scale / np.sqrt(variance.astype(np.float64) + epsilon)
        shifts = shift - factors * mean
        return cls(name, factors.astype(np.float32), shifts.astype(np.float32))


@dataclass(frozen=True)
class Head:
    """The function that makes probabilities of the last dense layer's values, the logits.

    is_known: the model itself says so; otherwise it is the usual one for the number of logits.
    """

    name: str
    answer: Answer
    is_known: bool = True

    @classmethod
    def of(cls, last: Dense, *, is_sigmoid: bool = False, is_known: bool = False) -> Head:
        """Return the head of a last dense layer: a sigmoid for one logit, or if it says so."""
        is_sigmoid = is_sigmoid or len(last.b) == 1
        return cls(last.name, "sigmoid" if is_sigmoid else "softmax", is_known)


Layer: TypeAlias = Embedding | LSTM | Pooling | Dense | Head


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

    dense: the last one gives the logits. source: the kind of its file or object, for people.
    """

    embedding: Embedding
    lstms: tuple[LSTM, ...]
    pooling: Pooling
    dense: tuple[Dense, ...]
    head: Head
    reading: Reading
    source: str

    @classmethod
    def of(
        cls, found: Sequence[Layer | Normalization], reading: Reading, source: str
    ) -> ImportedModel:
        """Make it of layers in their order.

        Raises DataError unless they are a network of ours: their order, shapes and values.
        """
        layers = _folded(found)
        lstms = tuple(layer for layer in layers if isinstance(layer, LSTM))
        dense = tuple(layer for layer in layers if isinstance(layer, Dense))
        kinds = "".join(type(layer).__name__[0] for layer in layers)
        if not lstms or kinds != "E" + "L" * len(lstms) + "P" + "D" * len(dense) + "H":
            names = ", ".join(dict.fromkeys(layer.name for layer in layers))
            order = "embedding, LSTMs, pooling, dense layers"
            raise DataError(f"the model's layers are {names}; only this order is imported: {order}")
        for what, count, most in (
            ("LSTM layers", len(lstms), MOST_LSTMS),
            ("dense layers before the last one", len(dense) - 1, MOST_HIDDEN_DENSE),
        ):
            if count > most:
                raise DataError(f"the model has {count} {what}; at most {most} are imported")
        width = 0
        for layer in layers:
            width = _width_behind(layer, width)
        embedding, pooling, head = (layers[at] for at in (0, len(lstms) + 1, -1))
        assert isinstance(embedding, Embedding)
        assert isinstance(pooling, Pooling)
        assert isinstance(head, Head)
        return cls(embedding, lstms, pooling, dense, head, reading, source)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in their order, without the head."""
        return (self.embedding, *self.lstms, self.pooling, *self.dense)

    @property
    def logits(self) -> int:
        """The number of logits."""
        return len(self.dense[-1].b)

    @property
    def is_multi_label(self) -> bool:
        """Whether a text may have several labels."""
        return self.head.answer == "sigmoid" and self.logits > 1

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(array.size for layer in self.layers for array in arrays_of(layer))

    def with_reading(self, **changes: Any) -> ImportedModel:
        """Return the model with other values of its :class:`Reading`."""
        return replace(self, reading=replace(self.reading, **changes))


def arrays_of(layer: Layer) -> list[Array]:
    """Return a layer's weights."""
    return [value for value in vars(layer).values() if isinstance(value, np.ndarray)]


def with_gates(array: Array, order: Sequence[int]) -> Array:
    """Return an array whose four gates, along its first axis, are taken in this order."""
    gates = np.split(array, 4)
    return np.concatenate([gates[gate] for gate in order])


def _folded(layers: Sequence[Layer | Normalization]) -> tuple[Layer, ...]:
    """Return the layers without normalizations: the layer that reads one takes it in.

    Raises DataError for one that no layer can take in.
    """
    result: list[Layer] = []
    waiting: Normalization | None = None
    for layer in layers:
        if waiting is None and isinstance(layer, Normalization):
            waiting = layer
        elif waiting is None:
            assert not isinstance(layer, Normalization)
            result.append(layer)
        elif isinstance(layer, LSTM):
            b = layer.b + layer.w @ waiting.shifts
            result.append(replace(layer, w=layer.w * waiting.factors, b=b))
            waiting = None
        elif isinstance(layer, Dense):
            b = layer.b + waiting.shifts @ layer.w
            result.append(replace(layer, w=layer.w * waiting.factors[:, None], b=b))
            waiting = None
        elif isinstance(layer, Pooling) and layer.kind in ("last", "mean"):
            result.append(layer)
        else:
            what = f"layer {waiting.name!r} normalizes what {layer.name!r} reads"
            raise DataError(f"{what}, which is not imported; train it without BatchNormalization")
    if waiting is not None or not isinstance(result[-1], Head):
        raise DataError("the model does not end with a Dense layer; only classifiers are imported")
    return tuple(result)


def pooled_dim(lstm: LSTM, kind: PoolingKind) -> int:
    """Return the number of values that are read of the last LSTM."""
    return lstm.directions * lstm.hidden * (2 if kind == "mean+max" else 1)


def _width_behind(layer: Layer, width: int) -> int:
    """Return the number of values that a layer gives.

    width: number of values that it reads.

    Raises DataError if its weights have other shapes, or are not numbers.
    """
    wanted: list[tuple[int, ...]] = []
    if isinstance(layer, Embedding):
        wanted = [layer.weights.shape[:1] + layer.weights.shape[-1:]]
        width = layer.weights.shape[-1]
    elif isinstance(layer, LSTM):
        directions = layer.directions
        hidden = layer.r.shape[-1]
        rows = 4 * hidden
        wanted = [(directions, rows, width), (directions, rows, hidden), (directions, rows)]
        width = directions * hidden
    elif isinstance(layer, Dense):
        wanted = [(width, layer.w.shape[-1]), layer.w.shape[-1:]]
        width = layer.w.shape[-1]
    elif isinstance(layer, Pooling) and layer.kind == "mean+max":
        width *= 2
    for array, shape in zip(arrays_of(layer), wanted):
        if array.shape != shape or not array.size:
            given, right = (" × ".join(f"{n:,}" for n in each) for each in (array.shape, shape))
            what = f"layer {layer.name!r} has weights of {given or 'one number'}"
            raise DataError(f"{what}, where {right or 'several'} are expected")
        if not np.isfinite(array).all():
            fix = "it did not train to the end"
            raise DataError(f"layer {layer.name!r} has weights that are not numbers; {fix}")
    return width


def check_size(numbers: int, name: str) -> None:
    """Raise DataError for more numbers than are read, before memory is taken for them."""
    if numbers > MOST_NUMBERS:
        most = f"at most {MOST_NUMBERS:,} are read"
        raise DataError(f"{name} claims {numbers:,} numbers; {most}")
