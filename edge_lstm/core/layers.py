"""The layers of a network, as a model file lists them (docs/file-format.md).

Up to MAX_LSTMS LSTMs come first, then up to MAX_DENSE hidden dense layers. The head is not among
them: every network has one. Without any layer it reads the n-grams alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from edge_lstm.checked import Range, check_fields, require

Gives = Literal["steps", "last", "mean", "max", "mean+max"]
Activation = Literal["relu", "tanh", "sigmoid", "linear"]
Padding = Literal["none", "front", "behind"]

MAX_LSTMS = 3
MAX_DENSE = 2

# Units of a direction of an LSTM.
MAX_UNITS = 2**14

# Units of a dense layer, and numbers in an embedding or in an n-gram's vector.
MAX_DIMENSIONS = 2**16

# Slopes of the piecewise linear function that some LSTMs have as their gates: in Keras 1 and 2, and
# in Keras 3.
HARD_SIGMOIDS = (0.2, 1 / 6)

# The export makes no larger file. Two ids make a pair's key, so there are fewer than 2^17.
MAX_IDS = 131_071
MAX_LABELS = 100_000
MAX_NGRAMS = 1_000_000
# The largest number of occurrences of an n-gram that are told apart, and the largest value that
# they count. MatMulInteger may keep two products of bytes in 16 bits, and they fit.
MAX_OCCURRENCES = 15
MAX_NGRAM_COUNT = 64
# Columns of n-gram vectors. With fewer, a book of codes would be as large as a hundred vectors.
FEWEST_CODED = 16

# What a graph must have: element type and shape of each constant, by its name.
Constants = dict[str, tuple[str, tuple[int, ...]]]

NGramCounts = Annotated[tuple[int, ...], Range(1, MAX_NGRAM_COUNT), Range(1, MAX_OCCURRENCES)]
_SETTINGS = ("bidirectional", "gives", "floor", "hard_sigmoid", "activation")


def is_whole(value: Any, least: int, most: int) -> bool:
    """Tell whether a value of a file is a whole number in a range; a bool is not one."""
    return type(value) is int and least <= value <= most


def sentinels(quantized: bool) -> int:
    """Return the columns of an int8 embedding, and units of an int8 direction, that fix a range."""
    return 2 if quantized else 0


@dataclass(frozen=True)
class Lstm:
    """An LSTM of one or both directions.

    units: hidden units of each direction.
    gives: what the next layer reads. ``steps``: the outputs of every step, for another LSTM.
        ``last``: the outputs of each direction's last step. ``mean``, ``max``, ``mean+max``: of the
        outputs of the text's steps. The values of the forward direction come first.
    floor: the least maximum. 0: as if a step of zeros were added; -1: the plain maximum.
    hard_sigmoid: slope of gates clip(slope * x + 0.5, 0, 1); None: gates of the logistic function.

    Raises ValueError for a value out of range.
    """

    units: Annotated[int, Range(1, MAX_UNITS)]
    bidirectional: bool = False
    gives: Gives = "last"
    floor: Annotated[int, Range(-1, 0)] = 0
    hard_sigmoid: Annotated[float | None, Range(0, 1)] = None

    def __post_init__(self) -> None:
        check_fields(self, ValueError)
        require(self.floor == 0 or self.has_maximum, "an LSTM without a maximum has a floor")
        slope = self.hard_sigmoid
        require(
            slope is None or slope in HARD_SIGMOIDS,
            f"gates of a hard sigmoid with slope {slope} are not supported",
        )

    def __str__(self) -> str:
        kind = "bidirectional LSTM" if self.bidirectional else "LSTM"
        return f"{kind} of {self.units:,} units"

    @property
    def has_maximum(self) -> bool:
        """Whether it gives a maximum over the steps."""
        return "max" in self.gives

    @property
    def directions(self) -> int:
        """1, or 2 if it also reads from the end."""
        return 2 if self.bidirectional else 1

    @property
    def blocks(self) -> int:
        """How often the next layer reads each unit: for each direction, and mean and maximum."""
        return self.directions * (2 if self.gives == "mean+max" else 1)

    def values(self, more: int = 0) -> int:
        """Return the number of values that the next layer reads.

        more: units that are added to each direction.
        """
        return (self.units + more) * self.blocks

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as JSON values."""
        layer: dict[str, Any] = {
            "lstm": self.units,
            "bidirectional": self.bidirectional,
            "gives": self.gives,
        }
        if self.has_maximum:
            layer["floor"] = self.floor
        if self.hard_sigmoid is not None:
            layer["hard_sigmoid"] = self.hard_sigmoid
        return layer

    def constants(self, name: str, inputs: int, *, quantized: bool) -> Constants:
        """Return its constants in a graph. inputs: values that a step reads."""
        directions = self.directions
        hidden = self.units + sentinels(quantized)
        gates = 4 * hidden
        wanted: Constants = {f"{name}_b": ("float32", (directions, gates))}
        if quantized:
            wanted[f"{name}_zero"] = "int8", (directions,)
        for part, columns in ((f"{name}_w", inputs), (f"{name}_r", hidden)):
            if quantized:
                wanted[part] = "int8", (directions, columns, gates)
                wanted[f"{part}_scale"] = "float32", (directions,)
            else:
                wanted[part] = "float32", (directions, gates, columns)
        return wanted

    def first_states(self, name: str, rows: int, *, quantized: bool) -> Constants:
        """Return its tables of first states. rows: of each."""
        shape = (self.directions, rows, self.units + sentinels(quantized))
        return {f"{name}_h": ("float32", shape), f"{name}_c": ("float32", shape)}


@dataclass(frozen=True)
class Dense:
    """A hidden dense layer. Raises ValueError for a value out of range."""

    units: Annotated[int, Range(1, MAX_DIMENSIONS)]
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        check_fields(self, ValueError)

    def __str__(self) -> str:
        return f"dense layer of {self.units:,} units ({self.activation})"

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as JSON values."""
        return {"dense": self.units, "activation": self.activation}

    def constants(self, name: str, inputs: int, *, quantized: bool) -> Constants:
        """Return its constants in a graph. inputs: values that it reads."""
        weights = "int8" if quantized else "float32"
        wanted: Constants = {
            f"{name}_w": (weights, (inputs, self.units)),
            f"{name}_b": ("float32", (self.units,)),
        }
        if quantized:
            wanted[f"{name}_w_scales"] = "float32", (inputs, 1)
        return wanted


Layer = Lstm | Dense


def layers_from(value: Any) -> tuple[Layer, ...]:
    """Return the layers of parsed JSON.

    Raises ValueError for values that ``to_dict`` does not write.
    """
    require(isinstance(value, list), "its layers are not a list")
    return tuple(map(_layer_from, value))


def _layer_from(value: Any) -> Layer:
    require(isinstance(value, dict), "a layer is not an object")
    settings = {name: value[name] for name in _SETTINGS if name in value}
    layer: Layer
    if "lstm" in value:
        layer = Lstm(value["lstm"], **settings)
    else:
        layer = Dense(value["dense"], **settings)
    require(layer.to_dict().keys() == value.keys(), "a layer lacks a setting, or has another")
    return layer


def described(layers: Sequence[Layer]) -> str:
    """Return the layers in words, for people."""
    return ", ".join(map(str, layers)) or "linear classifier"


def lstms_of(layers: Sequence[Layer]) -> list[Lstm]:
    """Return the LSTMs among the layers."""
    return [layer for layer in layers if isinstance(layer, Lstm)]


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes a network's shape.

    num_words: ids below it are in use (``num_words`` of ``keras.datasets.imdb``); the embedding has
        one row more, as in Keras's example.
    embedding_dim: width of the embedding; 0 without an LSTM to read it.
    layers: LSTMs, then hidden dense layers; the head reads the last of them.
    ngram_words: ids that have an n-gram vector, from 2 on.
    ngram_slots: n-gram vectors of word pairs; a few of the slots stay empty.
    ngram_dim: width of an n-gram vector; 0 without n-grams.
    ngram_counts: what an n-gram counts that occurs once, twice, …; the last also if more often.
    padding: ``none``: the LSTM reads the ids of a text alone. ``front``, ``behind``: it reads
        ``length`` ids of each text, with padding before its own, or after them.
    labels: 2 gives one logit with a sigmoid, more give a softmax.
    multi_label: a text may have several labels, or none: one logit with a sigmoid for each label.

    Raises ValueError for values that do not fit together.
    """

    num_words: Annotated[int, Range(1, MAX_IDS)] = 5000
    embedding_dim: Annotated[int, Range(0, MAX_DIMENSIONS)] = 32
    layers: tuple[Layer, ...] = (Lstm(100),)
    ngram_words: Annotated[int, Range(0, MAX_IDS)] = 0
    ngram_slots: Annotated[int, Range(0, MAX_NGRAMS)] = 0
    ngram_dim: Annotated[int, Range(0, MAX_DIMENSIONS)] = 0
    ngram_counts: NGramCounts = (1,)
    padding: Padding = "none"
    labels: Annotated[int, Range(2, MAX_LABELS)] = 2
    multi_label: bool = False

    def __post_init__(self) -> None:
        check_fields(self, ValueError)
        require(self.ngram_dim or not self.ngrams, "its ngram_dim is 0, and it has n-grams")
        lstms = self.lstms
        dense = self.dense
        require(len(lstms) <= MAX_LSTMS, f"it has more than {MAX_LSTMS} LSTMs")
        require(len(dense) <= MAX_DENSE, f"it has more than {MAX_DENSE} hidden dense layers")
        require([*lstms, *dense] == list(self.layers), "a dense layer is before an LSTM")
        require(lstms or not dense, "it has a dense layer, and no LSTM")
        require(lstms or self.ngrams, "it has neither an LSTM nor n-grams")
        has_embedding = self.embedding_dim > 0
        require(bool(lstms) == has_embedding, "an LSTM without an embedding, or the reverse")
        for lstm in lstms:
            is_last = lstm is lstms[-1]
            gives_steps = lstm.gives == "steps"
            require(gives_steps != is_last, "the last LSTM, and no other, gives one value")
        require(self.padding == "none" or not self.ngrams, "n-grams of texts with padding")
        require(self.padding == "none" or lstms, "padding without an LSTM")

    @classmethod
    def from_dict(cls, values: Any) -> NetworkConfig:
        """Make a configuration of the values of :meth:`to_dict`, as they come back from JSON.

        Names that it does not know are passed over.

        Raises ValueError for other values, KeyError if one is missing.
        """
        require(isinstance(values, dict), "its network is not an object")
        own = {each.name: values[each.name] for each in fields(cls)}
        return cls(**{**own, "layers": layers_from(values["layers"])})

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as JSON values, as a model file has them."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            **values,
            "layers": [layer.to_dict() for layer in self.layers],
            "ngram_counts": list(self.ngram_counts),
        }

    @property
    def lstms(self) -> list[Lstm]:
        """The LSTMs among the layers."""
        return lstms_of(self.layers)

    @property
    def dense(self) -> list[Dense]:
        """The hidden dense layers."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    @property
    def ngrams(self) -> int:
        """The n-gram vectors, of words and pairs."""
        return self.ngram_words + self.ngram_slots

    @property
    def codes_ngrams(self) -> bool:
        """Whether an int8 file has n-gram vectors as codes: they are most of it, a column a label.

        Several labels have thresholds, which are chosen on vectors of 4 bits.
        """
        is_alone = not (self.layers or self.multi_label)
        return is_alone and self.ngram_dim == self.logits >= FEWEST_CODED

    @property
    def logits(self) -> int:
        """Columns of the head: two labels, of which a text has one, need one."""
        return 1 if self.labels == 2 and not self.multi_label else self.labels

    def layer_values(self, more: int = 0) -> int:
        """Return how many values of the last layer the head reads.

        more: see :meth:`Lstm.values`.
        """
        if self.dense:
            return self.dense[-1].units
        return self.lstms[-1].values(more) if self.lstms else 0

    def head_inputs(self, more: int = 0) -> int:
        """Return how many values the head reads, of the last layer and then of the n-grams.

        more: see :meth:`Lstm.values`.
        """
        return self.layer_values(more) + (self.ngram_dim if self.ngrams else 0)

    def tables(self, *, quantized: bool) -> dict[str, tuple[int, int]]:
        """Return the rows and columns of its tables, which int8 may pack, by their names."""
        found = {"head_w": (self.head_inputs(sentinels(quantized)), self.logits)}
        if self.layers:
            found["embedding"] = self.num_words + 1, self.embedding_dim
        if self.ngrams:
            found["ngram_vectors"] = self.ngrams, self.ngram_dim
        return found

    def constants(self, *, quantized: bool) -> Constants:
        """Return its constants in a graph.

        Left out are its tables, the first states, and the displacements of pairs.
        """
        more = sentinels(quantized)
        inputs = self.embedding_dim + more
        wanted: Constants = {"head_b": ("float32", (self.logits,))}
        for k, layer in enumerate(self.lstms):
            wanted |= layer.constants(f"lstm{k}", inputs, quantized=quantized)
            inputs = layer.values(more)
        for j, dense in enumerate(self.dense):
            wanted |= dense.constants(f"dense{j}", inputs, quantized=quantized)
            inputs = dense.units
        if quantized:
            wanted["head_w_scales"] = "float32", (self.head_inputs(more), 1)
        if quantized and self.layers:
            wanted["embedding_scale"] = "float32", (1,)
        if quantized and self.ngrams:
            wanted["ngram_scales"] = "float32", (self.ngram_dim,)
        if self.ngram_slots:
            wanted["pair_fingerprints"] = "uint8", (self.ngram_slots,)
        if self.logits == 1:
            wanted["signs"] = "float32", (1, 2)
        return wanted


def padding_in_words(network: NetworkConfig, length: int, rows: int, more: int = 0) -> str:
    """Return the cost of padding to a network that reads it; empty for another network.

    length: steps of its input.
    rows: of the tables of first states: the states after 0, 1, … steps of padding; 0 or 1 if no
        padding comes first.
    more: units that are added to each direction.
    """
    if network.padding == "none":
        if rows < 2:
            return ""
        units = sum((lstm.units + more) * lstm.directions for lstm in network.lstms)
        size = rows * units * 2 * 4  # an output and a cell for each unit, as float32
        return (
            f"a table holds the states after up to {rows - 1:,} steps of padding ({size:,} bytes), "
            "and none of them is run"
        )
    side = "in front of" if network.padding == "front" else "behind"
    return (
        f"each text runs {length:,} steps, with padding {side} its tokens; "
        "trained anew with a mask, or with 'edge-lstm train', it runs the tokens alone"
    )
