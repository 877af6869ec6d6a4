"""Keras models: files of Keras 1, 2 and 3, and live models → an ImportedModel.

A file's configuration is JSON, its weights are arrays. Nothing of it is executed, and Keras need
not be installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.importing import hdf5
from edge_lstm_export.importing.model import (
    ACTIVATIONS,
    HARD_SIGMOID_OF_KERAS_2,
    HARD_SIGMOID_OF_KERAS_3,
    LSTM,
    MOST_LENGTH,
    Activation,
    Answer,
    Array,
    Dense,
    Embedding,
    Head,
    ImportedModel,
    Layer,
    Pooling,
    PoolingKind,
    Reading,
    Reads,
    check_size,
    normalization,
    normalized,
    with_gates,
    with_normalized_inputs,
)

Weights = Callable[["LayerConfig"], Sequence[Array]]

# Layers that change nothing when a text is classified.
_WITHOUT_EFFECT = {
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
}
_POOLINGS: dict[str, PoolingKind] = {
    "GlobalMaxPooling1D": "max",
    "GlobalMaxPool1D": "max",
    "GlobalAveragePooling1D": "mean",
    "GlobalAveragePool1D": "mean",
}
KNOWN = "known are Embedding, LSTM, Bidirectional, pooling, Dense, BatchNormalization and dropouts"
ONE_CHAIN = "only one chain of layers is imported"
# Settings of an LSTM, with the only value that is imported.
_LSTM_SETTINGS = {
    "go_backwards": False,
    "stateful": False,
    "return_state": False,
    "activation": "tanh",
}
# CuDNNLSTM is an LSTM whose weights are stored otherwise.
_LSTMS = ("LSTM", "CuDNNLSTM")
# Keras's orders of the gates → input, output, forget, cell.
_FROM_IFCO = (0, 3, 1, 2)
_FROM_ICFO = (0, 3, 2, 1)
_DEFAULT_EPSILON = 1e-3  # of a BatchNormalization, as in Keras


@dataclass(frozen=True)
class LayerConfig:
    """A layer as the configuration describes it. inputs: names of the layers that it reads."""

    kind: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...] = ()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting."""
        return self.config.get(key, default)

    def refused(self, reason: str) -> DataError:
        """Return the error that names the layer."""
        return DataError(f"layer {self.name!r} ({self.kind}) {reason}")


@dataclass(frozen=True)
class KerasModel:
    """What a file or live model gives.

    vocabulary: of its TextVectorization layer, with that layer's settings; None without one.
    """

    model: ImportedModel
    vectorization: tuple[Mapping[str, Any], Sequence[str] | None] | None = None


def read_hdf5(path: Path) -> KerasModel:
    """Read a whole model of the .h5 format. Raises DataError."""
    with hdf5.opened(path) as store:
        config = store.attribute("model_config")
        if config is None:
            if store.names("layers") or store.names("_layer_checkpoint_dependencies"):
                raise DataError(f"{path} holds weights alone; save the whole model: model.save(…)")
            root = store.attribute("layer_names")
            how = "save the whole model: model.save(…), not save_weights"
            what = "weights alone" if root is not None else "no Keras model"
            raise DataError(f"{path} holds {what}; {how}")
        version = store.attribute("keras_version") or "1"
        place = "/model_weights" if store.has("/model_weights") else "/"

        def weights(layer: LayerConfig) -> Sequence[Array]:
            group = f"{place}/{layer.name}"
            names = store.attribute("weight_names", group) if store.has(group) else None
            return [store.array(f"{group}/{name}") for name in names or ()]

        return _model(_parsed(config, path), weights, str(version), f"Keras {version}, HDF5")


def read_zip(path: Path) -> KerasModel:
    """Read a model of the .keras format. Raises DataError."""
    with hdf5.opened_in_zip(path) as (config, store, assets):
        root = "layers"
        if store.has("_layer_checkpoint_dependencies"):
            root = "_layer_checkpoint_dependencies"
        places = _places(config)

        def weights(layer: LayerConfig) -> Sequence[Array]:
            return _zip_weights(store, f"{root}/{places[layer.name]}", layer)

        vocabulary = next(
            (data for name, data in assets.items() if name.endswith("vocabulary.txt")), None
        )
        read = _model(config, weights, "3", "Keras 3, .keras")
        if vocabulary is not None and read.vectorization is not None:
            words = vocabulary.decode("utf-8", "replace").split("\n")
            return replace(read, vectorization=(read.vectorization[0], words))
        return read


def read_live(model: Any) -> KerasModel:
    """Read a live keras.Model. Raises DataError."""
    by_name = {layer.name: layer for layer in model.layers}
    config = {"class_name": type(model).__name__, "config": model.get_config()}

    def weights(layer: LayerConfig) -> Sequence[Array]:
        live = by_name[layer.name]
        size = sum(int(np.prod(w.shape)) for w in live.weights)
        check_size(size, f"layer {layer.name!r}")
        return [np.asarray(w, np.float32) for w in live.get_weights()]

    module = type(model).__module__
    is_keras_3 = ".src." in module or module.startswith("keras.engine") is False
    read = _model(config, weights, "3" if is_keras_3 else "2", "a Keras model")
    for layer in model.layers:
        if type(layer).__name__ == "TextVectorization":
            return replace(read, vectorization=(layer.get_config(), layer.get_vocabulary()))
    return read


# --- The configuration ----------------------------------------------------------------------------


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{path}: its configuration is not JSON; save the model again") from None


def layers_of(config: Any) -> list[LayerConfig]:
    """Return the layers of a model's configuration in their order. Raises DataError."""
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind not in ("Sequential", "Functional", "Model"):
        raise DataError(f"the model is a {kind!s:.40}, whose layers no file names; {_SUBCLASS}")
    body = config["config"]
    entries = body["layers"] if isinstance(body, dict) else body
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError("the model's layers are not a list; save the model again")
    layers = [_layer(entry, i) for i, entry in enumerate(entries)]
    nested = [layer for layer in layers if layer.kind in ("Sequential", "Functional", "Model")]
    if nested:
        raise nested[0].refused("is a model itself; only plain layers are read")
    if kind == "Sequential":
        chain = [""] + [layer.name for layer in layers]
        return [replace(layer, inputs=(name,)) for layer, name in zip(layers, chain)]
    return layers


_SUBCLASS = "only Sequential and Functional models are read from files"


def _layer(entry: Mapping[str, Any], number: int) -> LayerConfig:
    config = entry.get("config")
    config = config if isinstance(config, dict) else {}
    name = config.get("name") or entry.get("name") or f"layer {number + 1}"
    inputs = _input_names(entry.get("inbound_nodes"))
    kind = str(entry.get("class_name")).split(">")[-1]
    return LayerConfig(kind, str(name), config, tuple(inputs))


def _input_names(nodes: Any) -> list[str]:
    """Return the names of the layers that the first call of a layer reads, of Keras 2 or 3."""
    if not nodes:
        return []
    names: list[str] = []
    waiting = [nodes[0]]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, dict):
            history = node.get("config", {}).get("keras_history") if "config" in node else None
            if history:
                names.append(str(history[0]))
            else:
                waiting = [*node.values(), *waiting]
        elif isinstance(node, (list, tuple)):
            # Keras 2: [name, number of the node, number of the tensor, …]
            if node and isinstance(node[0], str) and len(node) >= 3:
                names.append(node[0])
            else:
                waiting = [*node, *waiting]
    return names


def _places(config: Any) -> dict[str, str]:
    """Return each layer's folder in a .keras archive: its class in snake case, and a number."""
    used: dict[str, int] = {}
    places = {}
    for layer in layers_of(config):
        base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer.kind))
        base = re.sub(r"([a-z])([A-Z])", r"\1_\2", base).lower()
        count = used.get(base, 0)
        used[base] = count + 1
        places[layer.name] = f"{base}_{count}" if count else base
    return places


def _zip_weights(store: hdf5.Store, place: str, layer: LayerConfig) -> list[Array]:
    """Return a layer's arrays in the order of Keras's get_weights()."""
    folders = [place]
    if layer.kind == "LSTM":
        folders = [f"{place}/cell", place]
    elif layer.kind == "Bidirectional":
        folders = [f"{place}/forward_layer/cell", f"{place}/backward_layer/cell"]
    arrays = []
    for folder in folders:
        names = store.names(f"{folder}/vars")
        arrays += [store.array(f"{folder}/vars/{name}") for name in sorted(names, key=int)]
    return arrays


# --- The layers -----------------------------------------------------------------------------------


def _model(config: Any, weights: Weights, version: str, source: str) -> KerasModel:
    """Return the model that a configuration describes. version: of Keras."""
    builder = _Builder(weights, version)
    vectorization = None
    layers = layers_of(config)
    _require_lstm(layers)
    known = {layer.name: layer for layer in layers}
    for layer in _without_twins(layers):
        if len(layer.inputs) > 1:
            raise layer.refused(f"reads several layers; {ONE_CHAIN}")
        if layer.kind == "TextVectorization":
            vectorization = (layer.config, _vocabulary(layer))
        else:
            builder.add(layer, next((known.get(name) for name in layer.inputs), None))
    length = _input_length(config, layers)
    model = ImportedModel(builder.finished(), Reading(length=length, masked=builder.masked), source)
    if vectorization is not None:
        size = vectorization[0].get("output_sequence_length")
        reading = replace(
            model.reading,
            length=size if isinstance(size, int) else None,
            padding="behind" if isinstance(size, int) else "none",
            truncation="behind",
        )
        model = replace(model, reading=reading)
    return KerasModel(model, vectorization)


def _require_lstm(layers: Sequence[LayerConfig]) -> None:
    """Raise DataError, with the layers' names, if none of them is recurrent."""
    if not any(layer.kind in (*_LSTMS, "Bidirectional") for layer in layers):
        kinds = ", ".join(layer.kind for layer in layers)[:120]
        what = f"the model has no LSTM layer; its layers are {kinds}"
        raise DataError(f"{what}; only LSTM classifiers of text are imported")


def _without_twins(layers: Sequence[LayerConfig]) -> list[LayerConfig]:
    """Return the layers with a mean and a maximum that are put side by side as one pooling."""
    known = {layer.name: layer for layer in layers}
    joined: dict[str, LayerConfig] = {}
    dropped: set[str] = set()
    for layer in layers:
        parts = [known[name] for name in layer.inputs if name in known]
        kinds = [_POOLINGS.get(part.kind) for part in parts]
        if layer.kind != "Concatenate" or kinds not in (["mean", "max"], ["max", "mean"]):
            continue
        if parts[0].inputs != parts[1].inputs:
            continue
        config = {"turned": kinds[0] == "max"}
        joined[layer.name] = LayerConfig("MeanAndMax", layer.name, config, parts[0].inputs)
        dropped |= {part.name for part in parts}
    return [joined.get(layer.name, layer) for layer in layers if layer.name not in dropped]


def _vocabulary(layer: LayerConfig) -> Sequence[str] | None:
    words = layer.get("vocabulary")
    if isinstance(words, dict):
        words = words.get("config", {}).get("value")
    return words if isinstance(words, list) else None


def _input_length(config: Any, layers: Sequence[LayerConfig]) -> int | None:
    """Return the length of the model's input; None if it is free."""
    body = config["config"]
    shapes = [body.get("build_input_shape")] if isinstance(body, dict) else []
    for layer in layers:
        size = layer.get("input_length")
        shapes.append([None, size[0] if isinstance(size, list) and size else size])
        shapes += [layer.get("batch_input_shape"), layer.get("batch_shape")]
    for shape in shapes:
        if isinstance(shape, (list, tuple)) and len(shape) == 2:
            size = shape[1]
            if type(size) is int and 0 < size <= MOST_LENGTH:
                return size
    return None


class _Builder:
    """Makes layers of configurations, one after another."""

    def __init__(self, weights: Weights, version: str) -> None:
        self.masked = False
        self._weights = weights
        self._is_keras_3 = version.split(".")[0] not in ("1", "2")
        self._layers: list[Layer] = []
        self._last = ""  # name of the layer that was added last
        # A BatchNormalization that the next layer takes in: factors and shifts of its inputs.
        self._waiting: tuple[Array, Array] | None = None
        self._turned = False  # a maximum stands before its mean
        self._methods: dict[str, Callable[[LayerConfig], None]] = {
            "Embedding": self._add_embedding,
            "Bidirectional": self._add_bidirectional,
            "MeanAndMax": self._add_pooling,
            "Dense": self._add_dense,
            "BatchNormalization": self._add_normalization,
            "Activation": self._add_activation,
            "ReLU": self._add_activation,
            "Softmax": self._add_activation,
            **dict.fromkeys(_LSTMS, self._add_lstm),
            **dict.fromkeys(_POOLINGS, self._add_pooling),
            **dict.fromkeys(_WITHOUT_EFFECT, lambda _: None),
        }

    def add(self, layer: LayerConfig, source: LayerConfig | None) -> None:
        """Add a layer, which reads ``source``.

        Raises DataError, with the layer's name, if its kind is not known.
        """
        reads = source is None or source.kind in ("InputLayer", "TextVectorization")
        if layer.kind not in self._methods:
            raise layer.refused(f"is not imported; {KNOWN}")
        if not reads and source is not None and source.name != self._last:
            raise layer.refused(f"reads {source.name!r} too; {ONE_CHAIN}")
        if layer.kind != "InputLayer":
            self._last = layer.name
        self._methods[layer.kind](layer)

    def finished(self) -> tuple[Layer, ...]:
        """Return all layers, the last dense one as logits and its activation as the head."""
        last = self._layers[-1] if self._layers else None
        if isinstance(last, Dense):
            if last.activation not in ("sigmoid", "linear"):
                what = f"layer {last.name!r} answers with {last.activation}"
                raise DataError(f"{what}; only sigmoid, softmax and logits are imported")
            is_sigmoid = last.activation == "sigmoid"
            answer: Answer = "sigmoid" if is_sigmoid or len(last.b) == 1 else "softmax"
            self._layers[-1] = replace(last, activation="linear")
            self._layers.append(Head(last.name, answer, is_known=is_sigmoid))
        elif not isinstance(last, Head) or self._waiting is not None:
            raise DataError("the model does not end with a Dense layer; only classifiers are read")
        return tuple(self._layers)

    def _add_embedding(self, layer: LayerConfig) -> None:
        arrays = self._arrays(layer, 1)
        self.masked = bool(layer.get("mask_zero", False))
        self._layers.append(Embedding(layer.name, arrays[0]))

    def _add_lstm(self, layer: LayerConfig) -> None:
        self._append_lstm(layer, layer, 1)

    def _add_bidirectional(self, layer: LayerConfig) -> None:
        inner = _layer(layer.get("layer") or {}, 0)
        mode = layer.get("merge_mode", "concat")
        if inner.kind not in _LSTMS:
            raise layer.refused(f"is made of {inner.kind}, which is not imported; {KNOWN}")
        if mode != "concat":
            raise layer.refused(f"merges by {mode!r:.40}; only 'concat' is imported")
        self._append_lstm(layer, inner, 2)

    def _append_lstm(self, layer: LayerConfig, settings: LayerConfig, directions: int) -> None:
        """Add an LSTM. settings: the configuration of one direction."""
        for key, usual in _LSTM_SETTINGS.items():
            value = settings.get(key, usual)
            if _name_of(value) != usual:
                raise layer.refused(f"has {key}={value!r:.40}; only {key}={usual!r} is imported")
        arrays = self._arrays(layer, *(directions * count for count in (2, 3, 12)))
        each = len(arrays) // directions
        halves = [_lstm_weights(arrays[at : at + each]) for at in range(0, len(arrays), each)]
        w, r, b = map(np.stack, zip(*halves))
        is_sequence = bool(settings.get("return_sequences", False))
        lstm = LSTM(layer.name, w, r, b, is_sequence, self._gate(layer, settings))
        self._layers.append(self._with_waiting(lstm))
        if not is_sequence:
            self._layers.append(Pooling(layer.name, "last"))

    def _gate(self, layer: LayerConfig, settings: LayerConfig) -> float:
        """Return the steepness of the gates' hard sigmoid, or 0."""
        value = settings.get("recurrent_activation") or settings.get("inner_activation")
        name = _name_of(value or "sigmoid")
        if name not in ("sigmoid", "hard_sigmoid"):
            known = "only 'sigmoid' and 'hard_sigmoid' are imported"
            raise layer.refused(f"has recurrent_activation={name!r:.40}; {known}")
        hard = HARD_SIGMOID_OF_KERAS_3 if self._is_keras_3 else HARD_SIGMOID_OF_KERAS_2
        return hard if name == "hard_sigmoid" else 0.0

    def _add_pooling(self, layer: LayerConfig) -> None:
        kind = _POOLINGS.get(layer.kind, "mean+max")
        if not self._layers or not isinstance(self._layers[-1], LSTM):
            raise layer.refused("follows no LSTM; only pooling over its outputs is imported")
        if self._waiting is not None and kind != "mean":
            raise layer.refused("is a maximum behind a BatchNormalization, which is not imported")
        self._turned = bool(layer.get("turned"))
        self._layers.append(Pooling(layer.name, kind))

    def _add_dense(self, layer: LayerConfig) -> None:
        if not self._layers or not isinstance(self._layers[-1], (Pooling, Dense)):
            raise layer.refused("reads every step; only a pooling over the steps is imported")
        w, *biases = self._arrays(layer, 1, 2)
        if self._turned:
            w = np.concatenate(np.split(w, 2)[::-1])
            self._turned = False
        b = biases[0] if biases else np.zeros(w.shape[1], np.float32)
        self._layers.append(self._with_waiting(Dense(layer.name, w, b, "linear")))
        self._add_activation(layer)

    def _add_activation(self, layer: LayerConfig) -> None:
        """Give the last dense layer its activation."""
        last = self._layers[-1] if self._layers else None
        if not isinstance(last, Dense) or last.activation != "linear":
            raise layer.refused("does not follow a Dense layer without an activation")
        name = _name_of(layer.get("activation")) or layer.kind.lower()
        if layer.kind == "Dense" and name == "dense":
            return
        if name == "softmax":
            self._layers.append(Head(layer.name, "softmax"))
        elif name in ACTIVATIONS:
            chosen: Activation = name  # type: ignore[assignment]
            self._layers[-1] = replace(last, activation=chosen)
        else:
            known = ", ".join(ACTIVATIONS)
            raise layer.refused(f"has activation {name!r:.40}; known are {known} and softmax")

    def _add_normalization(self, layer: LayerConfig) -> None:
        """Fold a BatchNormalization into the layer before it, or let the next one take it in."""
        kept = [bool(layer.get(key, True)) for key in ("scale", "center")]
        arrays = self._arrays(layer, 2 + sum(kept))
        epsilon = float(layer.get("epsilon", _DEFAULT_EPSILON))
        scale = arrays[0] if kept[0] else 1.0
        shift = arrays[kept[0]] if kept[1] else 0.0
        pair = normalization(arrays[-2], arrays[-1], epsilon, scale, shift)
        last = self._layers[-1] if self._layers else None
        if self._waiting is not None:
            raise layer.refused("follows another BatchNormalization, which is not imported")
        if isinstance(last, Embedding) or (isinstance(last, Dense) and last.activation == "linear"):
            self._layers[-1] = normalized(last, *pair)
        else:
            self._waiting = pair

    def _with_waiting(self, layer: Reads) -> Reads:
        """Return a layer that takes in the BatchNormalization before it."""
        pair = self._waiting
        self._waiting = None
        return layer if pair is None else with_normalized_inputs(layer, *pair)

    def _arrays(self, layer: LayerConfig, *counts: int) -> Sequence[Array]:
        """Return a layer's weights. counts: how many there may be."""
        arrays = self._weights(layer)
        if not arrays:
            raise layer.refused("has no weights; the model was saved before it was trained")
        if len(arrays) not in counts:
            raise layer.refused(f"has {len(arrays)} weights; save the model again")
        return arrays


def _lstm_weights(arrays: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return one direction's w [4H, I], r [4H, H] and b [4H] of Keras's 2, 3 or 12 arrays."""
    order = _FROM_IFCO
    if len(arrays) == 12:  # Keras 1: three of each gate, in the order input, cell, forget, output
        order = _FROM_ICFO
        arrays = [np.concatenate(arrays[part::3], axis=-1) for part in range(3)]
    kernel, recurrent, *biases = arrays
    if biases and len(biases[0]) == 2 * kernel.shape[1]:
        kernel, recurrent, *biases = _from_cudnn(*arrays)
    bias = biases[0] if biases else np.zeros(kernel.shape[1], np.float32)
    turned = (kernel.T, recurrent.T, bias)
    w, r, b = (with_gates(array, order) for array in turned)
    return w, r, b


def _from_cudnn(kernel: Array, recurrent: Array, bias: Array) -> tuple[Array, Array, Array]:
    """Return a CuDNNLSTM's weights in an LSTM's order.

    The memory of each gate's kernel is a matrix [H, I], and its recurrent kernel is transposed. It
    has two biases.
    """
    inputs, width = kernel.shape
    gates = np.split(kernel, 4, axis=1)
    kernels = [gate.reshape(width // 4, inputs).T for gate in gates]
    recurrents = [gate.T for gate in np.split(recurrent, 4, axis=1)]
    first, second = np.split(bias, 2)
    return np.concatenate(kernels, axis=1), np.concatenate(recurrents, axis=1), first + second


def _name_of(value: Any) -> Any:
    """Return the name of an activation; other values as they are.

    Keras writes it in several ways.
    """
    if not isinstance(value, dict):
        return value
    return value.get("config" if value.get("class_name") == "function" else "class_name")
