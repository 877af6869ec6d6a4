"""A network that was trained elsewhere: a list of layers with their weights.

All arrays are float32. Shapes in comments: I inputs, H hidden units, D directions, E embedding.
The gates of an LSTM stand in the order of Keras and PyTorch: input, forget, cell, output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from edge_lstm.core.layers import MAX_DENSE, MAX_LSTMS, Padding
from edge_lstm.core.layers import Activation as HiddenActivation
from edge_lstm.errors import DataError

Array: TypeAlias = npt.NDArray[Any]
PoolingKind = Literal["last", "end", "mean", "max", "mean+max", "max+mean"]
Answer = Literal["sigmoid", "softmax"]
Truncation = Literal["front", "behind"]
# Sides of a text by the names of Keras's pad_sequences, and as a model file has them.
Side = Literal["pre", "post"]
SIDES: dict[str, Truncation] = {"pre": "front", "post": "behind"}

ACTIVATIONS: tuple[str, ...] = get_args(HiddenActivation)
# The first letters of the layers, but for normalizations and activations.
_ORDER = re.compile(f"EL{{1,{MAX_LSTMS}}}PD{{1,{MAX_DENSE + 1}}}")

# The most that is read, in numbers of all layers together: 256 MiB of float32.
MOST_NUMBERS = 2**26
MOST_LENGTH = 100_000

_STATES: dict[PoolingKind, str] = {
    "last": "the last state",
    "end": "the outputs at the last step",
    "mean": "the mean over the steps",
    "max": "the largest over the steps",
    "mean+max": "the mean and the largest over the steps",
    "max+mean": "the largest and the mean over the steps",
}


@dataclass(frozen=True)
class Embedding:
    """A vector per id. weights: [ids, E]. name: the layer's name in its file."""

    name: str
    weights: Array

    def __str__(self) -> str:
        return "embedding, {:,} ids × {}".format(*self.weights.shape)

    def gives(self, _: int) -> int:
        """See :attr:`AnyLayer`."""
        check_weights(self, self.weights.shape[:1] + self.weights.shape[-1:])
        return int(self.weights.shape[1])


@dataclass(frozen=True)
class LSTM:
    """One LSTM, of one or both directions, the forward one first.

    w: [D, 4H, I]; r: [D, 4H, H]; b: [D, 4H], all biases added up.
    hard_sigmoid: slope of the gates' hard sigmoid; None: they are the logistic function.
    """

    name: str
    w: Array
    r: Array
    b: Array
    hard_sigmoid: float | None = None

    def __str__(self) -> str:
        directions = "both directions" if self.directions == 2 else "one direction"
        gates = "" if self.hard_sigmoid is None else ", hard_sigmoid gates"
        return f"LSTM, {self.hidden} units, {directions}{gates}"

    def gives(self, width: int) -> int:
        """See :attr:`AnyLayer`."""
        rows = (self.directions, 4 * self.hidden)
        check_weights(self, (*rows, width), (*rows, self.hidden), rows)
        return self.directions * self.hidden

    @property
    def directions(self) -> int:
        """1 or 2."""
        return len(self.w)

    @property
    def hidden(self) -> int:
        """Units of one direction."""
        return int(self.r.shape[-1])

    def of_normalized(self, by: Normalization) -> LSTM:
        """Return the LSTM that reads what a normalization reads."""
        return replace(self, w=self.w * by.factors, b=self.b + self.w @ by.shifts)


@dataclass(frozen=True)
class Pooling:
    """The values that are read of the last LSTM's outputs.

    kind: ``last``: the state of each direction after its last token. ``end``: the outputs at the
        last step, at which a backward direction has read one token. ``mean``, ``max``,
        ``mean+max``, ``max+mean``: over the steps.
    """

    name: str
    kind: PoolingKind

    def __str__(self) -> str:
        return _STATES[self.kind]

    def gives(self, width: int) -> int:
        """See :attr:`AnyLayer`."""
        return width * len(self.kind.split("+"))


@dataclass(frozen=True)
class Dense:
    """A dense layer. w: [I, O]; b: [O]. activation: ``softmax`` only of the last one."""

    name: str
    w: Array
    b: Array
    activation: str = "linear"

    def __str__(self) -> str:
        return f"dense, {len(self.b)} units, {self.activation}"

    def gives(self, width: int) -> int:
        """See :attr:`AnyLayer`."""
        outputs = self.w.shape[1:]
        check_weights(self, (width, *outputs), outputs)
        return len(self.b)

    def normalized(self, by: Normalization) -> Dense:
        """Return the layer with normalized outputs."""
        return replace(self, w=self.w * by.factors, b=self.b * by.factors + by.shifts)

    def of_normalized(self, by: Normalization) -> Dense:
        """Return the layer that reads what a normalization reads."""
        return replace(self, w=self.w * by.factors[:, None], b=self.b + by.shifts @ self.w)


@dataclass(frozen=True)
class Normalization:
    """A batch normalization as factors and shifts of its inputs, float32 [I]."""

    name: str
    factors: Array
    shifts: Array

    def gives(self, width: int) -> int:
        """See :attr:`AnyLayer`."""
        check_weights(self, (width,), (width,))
        return width

    @classmethod
    def of(
        cls,
        name: str,
        mean: Array,
        variance: Array,
        epsilon: float,
        scale: Array | None = None,
        shift: Array | None = None,
    ) -> Normalization:
        """Make it of the values that frameworks hold; without a scale it is 1, a shift 0.

        Raises DataError for other shapes.
        """
        scale = np.ones_like(mean) if scale is None else scale
        shift = np.zeros_like(mean) if shift is None else shift
        shapes = {each.shape for each in (mean, variance, scale, shift)}
        if shapes != {(mean.size,)}:
            raise DataError(f"layer {name!r} lacks weights; save the model again")
        # In float64, in which a negative variance is NaN, and found as such later on.
        with np.errstate(invalid="ignore", divide="ignore"):
            factors = scale / np.sqrt(variance.astype(np.float64) + epsilon)
        shifts = shift - factors * mean
        return cls(name, factors.astype(np.float32), shifts.astype(np.float32))


@dataclass(frozen=True)
class Activation:
    """The function behind a dense layer, if it is a layer of its own."""

    name: str
    kind: str

    def gives(self, width: int) -> int:
        """See :attr:`AnyLayer`."""
        return width


@dataclass(frozen=True)
class ImportOptions:
    """The facts that a file does not hold. None: not given.

    labels: in the order of the probabilities; of one sigmoid, the second is the probable one.
    padding, truncation: the side of a text that is filled up, or cut off. "none": no text is filled
    up. "masked": the network passes over padding. length: of the input.

    state: the values that are read of the last LSTM. activation: of hidden dense layers.
    logits: the last layer gives logits. multi_label: each label has a probability of its own.
    num_words: ids from here on count as unknown.

    For a dict of words: lower: lower case. pattern: a regular expression of a word, such as [a-z]+.
    """

    labels: tuple[str, ...] | None = None
    padding: Side | Literal["none", "masked"] | None = None
    truncation: Side | None = None
    length: int | None = None
    state: PoolingKind | None = None
    activation: HiddenActivation | None = None
    logits: bool = False
    multi_label: bool = False
    num_words: int | None = None
    lower: bool | None = None
    pattern: str | None = None


Layer: TypeAlias = Embedding | LSTM | Pooling | Dense
# ``gives(width)`` is the number of values that a layer gives if it reads ``width``. It raises
# DataError if the layer's weights have other shapes, or are not numbers.
AnyLayer: TypeAlias = Layer | Normalization | Activation
Kind = TypeVar("Kind", Embedding, LSTM, Pooling, Dense)


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
class Vectorization:
    """A TextVectorization layer. vocabulary: its words by their ids; None: not saved."""

    config: Mapping[str, Any]
    vocabulary: Sequence[Any] | None


@dataclass(frozen=True)
class ImportedModel:
    """A network that was trained elsewhere.

    dense: the last one gives the logits, or what its activation makes of them.
    source: the kind of its file or object, for people. vectorization: the tokenizer that it holds.
    """

    embedding: Embedding
    lstms: tuple[LSTM, ...]
    pooling: Pooling
    dense: tuple[Dense, ...]
    reading: Reading
    source: str
    vectorization: Vectorization | None = None

    @classmethod
    def of(
        cls,
        found: Sequence[AnyLayer],
        reading: Reading,
        source: str,
        vectorization: Vectorization | None = None,
    ) -> ImportedModel:
        """Make it of layers in their order.

        Raises DataError unless they are a network of ours: their order, shapes and values.
        """
        kinds = "".join(
            type(layer).__name__[0]
            for layer in found
            if not isinstance(layer, (Normalization, Activation))
        )
        if not _ORDER.fullmatch(kinds):
            names = ", ".join(dict.fromkeys(layer.name for layer in found))
            raise DataError(
                f"the model's layers are {names:.300}; only this order is imported: an embedding, "
                f"1 to {MAX_LSTMS} LSTMs, a pooling, 1 to {MAX_DENSE + 1} dense layers"
            )
        layers = _folded(found)
        dense = tuple(_those(layers, Dense))
        for layer in dense:
            known = ("linear", *get_args(Answer)) if layer is dense[-1] else ACTIVATIONS
            if layer.activation not in known:
                raise DataError(
                    f"layer {layer.name!r} has the activation {layer.activation!r:.40}; only "
                    f"{', '.join(known)} are imported there"
                )
        return cls(
            _those(layers, Embedding)[0],
            tuple(_those(layers, LSTM)),
            _those(layers, Pooling)[0],
            dense,
            reading,
            source,
            vectorization,
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in their order."""
        return (self.embedding, *self.lstms, self.pooling, *self.dense)

    @property
    def logits(self) -> int:
        """The number of logits."""
        return len(self.dense[-1].b)

    @property
    def labels(self) -> int:
        """The number of labels."""
        return max(2, self.logits)

    @property
    def says_answer(self) -> bool:
        """Whether the model itself says how probabilities are made of its logits."""
        return self.dense[-1].activation != "linear"

    @property
    def answer(self) -> str:
        """The function that makes probabilities of the logits: sigmoid or softmax."""
        usual = "sigmoid" if self.logits == 1 else "softmax"
        return self.dense[-1].activation if self.says_answer else usual

    @property
    def is_multi_label(self) -> bool:
        """Whether a text may have several labels."""
        return self.answer == "sigmoid" and self.logits > 1

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(array.size for layer in self.layers for array in _arrays_of(layer))


def packed(model: ImportedModel) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a model as JSON values and arrays by name."""
    layers: list[Any] = []
    arrays: dict[str, Array] = {}
    for k, layer in enumerate(model.layers):
        values = {name: v for name, v in vars(layer).items() if not isinstance(v, np.ndarray)}
        layers.append([type(layer).__name__, values])
        arrays |= {f"{k}.{n}": v for n, v in vars(layer).items() if isinstance(v, np.ndarray)}
    own = model.vectorization
    described = {
        "layers": layers,
        "reading": vars(model.reading),
        "source": model.source,
        "vectorization": None if own is None else vars(own),
    }
    return described, arrays


def imported_model(described: dict[str, Any], arrays: Mapping[str, Array]) -> ImportedModel:
    """Return the model that :func:`packed` described."""
    kinds = {kind.__name__: kind for kind in get_args(Layer)}
    own: dict[str, list[tuple[str, Array]]] = {}
    for place, array in arrays.items():
        k, name = place.split(".")
        own.setdefault(k, []).append((name, array))
    layers: list[Layer] = [
        kinds[kind](**values, **dict(own.get(str(k), ())))
        for k, (kind, values) in enumerate(described["layers"])
    ]
    vectorization = described["vectorization"]
    return ImportedModel.of(
        layers,
        Reading(**described["reading"]),
        described["source"],
        None if vectorization is None else Vectorization(**vectorization),
    )


def _those(layers: Sequence[Layer], kind: type[Kind]) -> list[Kind]:
    """Return the layers of a kind."""
    return [layer for layer in layers if isinstance(layer, kind)]


def _arrays_of(layer: AnyLayer) -> list[Array]:
    """Return a layer's weights."""
    return [value for value in vars(layer).values() if isinstance(value, np.ndarray)]


def _folded(found: Sequence[AnyLayer]) -> list[Layer]:
    """Return the layers with activations and normalizations in the layers that they belong to.

    The layer that reads a normalization takes it in, or the dense layer that it follows.

    Raises DataError if none can.
    """
    result: list[Any] = []
    width = 0
    for layer in found:
        width = layer.gives(width)
        match result[-1:], layer:
            case [Dense(activation="linear") as dense], Activation():
                result[-1] = replace(dense, activation=layer.kind)
            case _, Activation():
                raise DataError(
                    f"layer {layer.name!r} does not follow a Dense layer without an activation; "
                    "only activations of dense layers are imported"
                )
            case [Dense(activation="linear") as dense], Normalization():
                result[-1] = dense.normalized(layer)
            case [Normalization() as before], (LSTM() | Dense()):
                result[-1] = layer.of_normalized(before)
            case [Normalization() as before], Pooling(kind="last" | "end" | "mean"):
                # The pooled values are normalized instead of the steps' values.
                result[-1:] = [layer, before]
            case [Normalization() as before], _:
                raise _not_folded(before)
            case _:
                result.append(layer)
    if isinstance(result[-1], Normalization):
        raise _not_folded(result[-1])
    return result


def _not_folded(layer: Normalization) -> DataError:
    """Return the error about a normalization that no layer can take in."""
    return DataError(
        f"layer {layer.name!r} normalizes what no LSTM or Dense layer reads, which is not "
        "imported; train it without BatchNormalization"
    )


def check_weights(layer: AnyLayer, *shapes: tuple[int, ...]) -> None:
    """Check that a layer's weights are numbers of these shapes.

    Raises DataError if not.
    """
    for array, shape in zip(_arrays_of(layer), shapes):
        if not shape or array.shape != shape or not array.size:
            given, wanted = (" × ".join(map(str, each)) for each in (array.shape, shape))
            raise DataError(
                f"layer {layer.name!r} has weights of {given or 'one number'}, where "
                f"{wanted or 'several'} are expected; save it again"
            )
        if not np.isfinite(array).all():
            raise DataError(
                f"layer {layer.name!r} has weights that are not numbers; it did not train to the "
                "end: give an earlier state of it"
            )


def check_settings(
    config: Mapping[str, Any], settings: Mapping[str, tuple[Any, ...]], name: str
) -> None:
    """Check that all settings of a layer can be imported.

    settings: the values of each that are imported, the default first. name: of the layer, or of the
        tokenizer.
    Raises DataError if not.
    """
    for key, known in settings.items():
        value = config.get(key, known[0])
        if name_of(value) not in known:
            only = " or ".join(f"{key}={each!r}" for each in known)
            raise DataError(f"{name} has {key}={value!r:.40}; only {only} is imported")


def name_of(value: Any) -> Any:
    """Return the name of an activation; other values as they are.

    Keras writes it in several ways.
    """
    match value:
        case {"class_name": "function", "config": name} | {"class_name": name}:
            return name
    return value


def check_size(numbers: int, name: str) -> None:
    """Check how many numbers are read, before memory is taken for them.

    Raises DataError if there are too many.
    """
    if numbers > MOST_NUMBERS:
        raise DataError(f"{name} claims {numbers:,} numbers; at most {MOST_NUMBERS:,} are read")
