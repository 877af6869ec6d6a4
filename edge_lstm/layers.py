"""The layers of a network, as a model file lists them (docs/file-format.md).

Up to MAX_LSTMS LSTMs come first, then up to MAX_DENSE hidden dense layers. The head is not among
them: every network has one. Without any layer it reads the n-grams alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

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

_SETTINGS = ("bidirectional", "gives", "floor", "hard_sigmoid", "activation")


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

    units: int
    bidirectional: bool = False
    gives: Gives = "last"
    floor: int = 0
    hard_sigmoid: float | None = None

    def __post_init__(self) -> None:
        require(is_whole(self.units, 1, MAX_UNITS), "number of LSTM units is out of range")
        require(type(self.bidirectional) is bool, "an LSTM is neither bidirectional nor not")
        require(
            isinstance(self.gives, str) and self.gives in get_args(Gives),
            f"an LSTM that gives {self.gives!r:.40} is not supported",
        )
        floors = (0, -1) if self.has_maximum else (0,)
        require(
            type(self.floor) is int and self.floor in floors,
            f"an LSTM's floor {self.floor!r:.40} is not supported",
        )
        slope = self.hard_sigmoid
        require(
            slope is None or (type(slope) is float and slope in HARD_SIGMOIDS),
            f"gates of a hard sigmoid with slope {slope!r:.40} are not supported",
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


@dataclass(frozen=True)
class Dense:
    """A hidden dense layer. Raises ValueError for a value out of range."""

    units: int
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        require(is_whole(self.units, 1, MAX_DIMENSIONS), "number of dense units is out of range")
        require(
            isinstance(self.activation, str) and self.activation in get_args(Activation),
            f"activation {self.activation!r:.40} is not supported",
        )

    def __str__(self) -> str:
        return f"dense layer of {self.units:,} units ({self.activation})"

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as JSON values."""
        return {"dense": self.units, "activation": self.activation}


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


def dense_of(layers: Sequence[Layer]) -> list[Dense]:
    """Return the hidden dense layers among the layers."""
    return [layer for layer in layers if isinstance(layer, Dense)]


def pooled_values(layers: Sequence[Layer], more: int = 0) -> int:
    """Return how many values the last LSTM gives; 0 without one. more: see :meth:`Lstm.values`."""
    lstms = lstms_of(layers)
    return lstms[-1].values(more) if lstms else 0


def values_for_head(layers: Sequence[Layer], more: int = 0) -> int:
    """Return how many values of the last layer the head reads. more: see :meth:`Lstm.values`."""
    dense = dense_of(layers)
    return dense[-1].units if dense else pooled_values(layers, more)


def check_layers(
    layers: Sequence[Layer], embedding_dim: int, ngram_dim: int, padding: object
) -> None:
    """Raise ValueError if the parts of a network do not fit together.

    ngram_dim: values that the head reads of the n-grams; 0 without any.
    """
    lstms = lstms_of(layers)
    dense = dense_of(layers)
    require(len(lstms) <= MAX_LSTMS, f"it has more than {MAX_LSTMS} LSTMs")
    require(len(dense) <= MAX_DENSE, f"it has more than {MAX_DENSE} hidden dense layers")
    require([*lstms, *dense] == list(layers), "a dense layer is before an LSTM")
    require(lstms or not dense, "it has a dense layer, and no LSTM")
    require(lstms or ngram_dim, "it has neither an LSTM nor n-grams")
    require(bool(lstms) == (embedding_dim > 0), "an LSTM without an embedding, or the reverse")
    for lstm in lstms:
        gives_steps = lstm.gives == "steps"
        require(
            gives_steps == (lstm is not lstms[-1]), "the last LSTM, and no other, gives one value"
        )
    require(
        isinstance(padding, str) and padding in get_args(Padding),
        f"padding {padding!r:.40} is not supported",
    )
    require(padding == "none" or not ngram_dim, "n-grams of texts with padding")
    require(padding == "none" or lstms, "padding without an LSTM")


@dataclass(frozen=True)
class PaddingCost:
    """The cost of padding to a network that reads it.

    length: steps of its input.
    runs: the side on which steps over padding are run for each text; ``none``: no such step is run.
    rows: of the tables of first states: the states after 0, 1, … steps of padding; 0 or 1 if no
        padding comes first.
    bytes: of these tables, as float32.
    """

    length: int
    runs: Padding
    rows: int = 0
    bytes: int = 0

    @classmethod
    def of(
        cls, layers: Sequence[Layer], padding: Padding, length: int, rows: int, more: int = 0
    ) -> PaddingCost:
        """Derive it from a network's layers. more: units that are added to each direction."""
        units = sum((lstm.units + more) * lstm.directions for lstm in lstms_of(layers))
        # Each row has an output and a cell for each unit.
        return cls(length, padding, rows, rows * units * 2 * 4)

    def line(self, tokens: float | None = None) -> str:
        """Return it in words; empty if the network reads no padding.

        tokens: of a usual text; None if no texts are known.
        """
        if self.runs == "none":
            if self.rows < 2:
                return ""
            table = f"a table holds the states after up to {self.rows - 1:,} steps of padding"
            return f"{table} ({self.bytes:,} bytes), and none of them is run"
        side = "in front of" if self.runs == "front" else "behind"
        steps = f"each text runs {self.length:,} steps, with padding {side} its tokens"
        anew = "trained anew with a mask, or with 'edge-lstm train', it runs the tokens alone"
        if tokens is None:
            return f"{steps}; {anew}"
        saved = f"{1 - tokens / self.length:.0%} fewer steps for a text of {tokens:,.0f} tokens"
        return f"{steps}; {anew}: {saved}"


def is_whole(value: Any, least: int, most: int) -> bool:
    """Tell whether a value of a file is a whole number of a range; a bool is none."""
    return type(value) is int and least <= value <= most


def require(holds: object, reason: str) -> None:
    """Raise ValueError with a reason unless something holds."""
    if not holds:
        raise ValueError(reason)
