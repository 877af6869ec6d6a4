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
from typing import Any, cast

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
    Array,
    Dense,
    Embedding,
    Head,
    ImportedModel,
    Layer,
    Normalization,
    Padding,
    Pooling,
    PoolingKind,
    Reading,
    check_size,
    with_gates,
)

Weights = Callable[["LayerConfig"], Sequence[Array]]

_POOLINGS: dict[str, PoolingKind] = {
    "GlobalMaxPooling1D": "max",
    "GlobalMaxPool1D": "max",
    "GlobalAveragePooling1D": "mean",
    "GlobalAveragePool1D": "mean",
}
KNOWN = "known are Embedding, LSTM, Bidirectional, pooling, Dense, BatchNormalization and dropouts"
# Settings of an LSTM, with the values that are imported, the default first.
_LSTM_SETTINGS: dict[str, tuple[Any, ...]] = {
    "go_backwards": (False,),
    "stateful": (False,),
    "return_state": (False,),
    "activation": ("tanh",),
    "recurrent_activation": ("sigmoid", "hard_sigmoid"),
    "inner_activation": ("sigmoid", "hard_sigmoid"),  # the same, in Keras 1
}
# CuDNNLSTM is an LSTM whose weights are stored otherwise.
_LSTMS = ("LSTM", "CuDNNLSTM")
_MODELS = ("Sequential", "Functional", "Model")
# Keras's orders of the gates → input, output, forget, cell.
_FROM_IFCO = (0, 3, 1, 2)
_FROM_ICFO = (0, 3, 2, 1)
_DEFAULT_EPSILON = 1e-3  # of a BatchNormalization, as in Keras
# Places of a layer's arrays within its folder of a .keras archive, in the order of get_weights().
_PLACES = ("", "/cell", "/forward_layer/cell", "/backward_layer/cell")


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

    vectorization: settings and vocabulary of its TextVectorization layer; None without one.
    """

    model: ImportedModel
    vectorization: tuple[Mapping[str, Any], Sequence[str] | None] | None = None


def read_hdf5(path: Path) -> KerasModel:
    """Read a whole model of the .h5 format. Raises DataError."""
    with hdf5.opened(path) as store:
        config = store.attribute("model_config")
        if config is None:
            how = "save the whole model: model.save(…), not save_weights"
            raise DataError(f"{path} holds no model's configuration, but weights alone; {how}")
        version = str(store.attribute("keras_version") or "1")
        place = "/model_weights" if store.has("/model_weights") else "/"

        def weights(layer: LayerConfig) -> Sequence[Array]:
            group = f"{place}/{layer.name}"
            names = store.attribute("weight_names", group) if store.has(group) else None
            return [store.array(f"{group}/{name}") for name in names or ()]

        return _model(json.loads(config), weights, version, f"Keras {version}, HDF5")


def read_zip(path: Path) -> KerasModel:
    """Read a model of the .keras format. Raises DataError."""
    with hdf5.opened_in_zip(path) as (config, store, vocabulary):
        root = "_layer_checkpoint_dependencies"
        if not store.has(root):
            root = "layers"
        places = _places(config)

        def weights(layer: LayerConfig) -> Sequence[Array]:
            folders = [f"{root}/{places[layer.name]}{place}/vars" for place in _PLACES]
            return [
                store.array(f"{folder}/{name}")
                for folder in folders
                for name in sorted(store.names(folder), key=int)
            ]

        return _model(config, weights, "3", "Keras 3, .keras", vocabulary)


def read_live(model: Any) -> KerasModel:
    """Read a live keras.Model. Raises DataError."""
    by_name = {layer.name: layer for layer in model.layers}
    config = {"class_name": type(model).__name__, "config": model.get_config()}

    def weights(layer: LayerConfig) -> Sequence[Array]:
        live = by_name[layer.name]
        size = sum(int(np.prod(w.shape)) for w in live.weights)
        check_size(size, f"layer {layer.name!r}")
        return [np.asarray(w, np.float32) for w in live.get_weights()]

    version = "2" if type(model).__module__.startswith("keras.engine") else "3"
    texts = (layer for layer in model.layers if hasattr(layer, "get_vocabulary"))
    vocabulary = next((layer.get_vocabulary() for layer in texts), None)
    return _model(config, weights, version, "a Keras model", vocabulary)


# --- The configuration ----------------------------------------------------------------------------


def _layers_of(config: Any) -> list[LayerConfig]:
    """Return the layers of a model's configuration in their order. Raises DataError."""
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind not in _MODELS:
        only = "only Sequential and Functional models are read from files"
        raise DataError(f"the model is a {kind!s:.40}, whose layers no file names; {only}")
    body = config["config"]
    entries = body["layers"] if isinstance(body, dict) else body
    layers = [_layer(entry, i) for i, entry in enumerate(entries)]
    if kind == "Sequential":
        names = [layer.name for layer in layers]
        layers = [replace(layer, inputs=(name,)) for layer, name in zip(layers, ["", *names])]
    return layers


def _layer(entry: Mapping[str, Any], number: int) -> LayerConfig:
    config = entry["config"]
    name = config.get("name") or entry.get("name") or f"layer {number + 1}"
    calls = entry.get("inbound_nodes")
    inputs = _input_names(calls[0]) if calls else []
    kind = str(entry.get("class_name")).split(">")[-1]
    return LayerConfig(kind, str(name), config, tuple(inputs))


def _input_names(node: Any) -> list[str]:
    """Return the names of the layers that a call of a layer reads, of Keras 2 or 3."""
    if isinstance(node, dict):
        config = node.get("config")
        if isinstance(config, dict) and config.get("keras_history"):
            return [str(config["keras_history"][0])]
        node = list(node.values())
    if not isinstance(node, (list, tuple)):
        return []
    # Keras 2: [name, number of the node, number of the tensor, …]
    if len(node) >= 3 and isinstance(node[0], str):
        return [node[0]]
    return [name for part in node for name in _input_names(part)]


def _places(config: Any) -> dict[str, str]:
    """Return each layer's folder in a .keras archive: its class in snake case, and a number."""
    used: dict[str, int] = {}
    places = {}
    for layer in _layers_of(config):
        base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", layer.kind))
        base = re.sub(r"([a-z])([A-Z])", r"\1_\2", base).lower()
        count = used.get(base, 0)
        used[base] = count + 1
        places[layer.name] = f"{base}_{count}" if count else base
    return places


def _with_joined_poolings(layers: Sequence[LayerConfig]) -> list[LayerConfig]:
    """Return the layers with a mean and a maximum that are concatenated as one pooling."""
    known = {layer.name: layer for layer in layers}
    result = list(layers)
    for layer in layers:
        parts = [known[name] for name in layer.inputs if name in known]
        kinds = [_POOLINGS.get(part.kind) for part in parts]
        is_joined = layer.kind == "Concatenate" and sorted(map(str, kinds)) == ["max", "mean"]
        if is_joined and parts[0].inputs == parts[1].inputs:
            joined = replace(layer, inputs=parts[0].inputs, config={"turned": kinds[0] == "max"})
            result[result.index(layer)] = joined
            result = [each for each in result if each not in parts]
    return result


def _input_length(config: Any, layers: Sequence[LayerConfig]) -> int | None:
    """Return the length of the model's input; None if it is free."""
    body = config["config"]
    shapes = [body.get("build_input_shape")] if isinstance(body, dict) else []
    for layer in layers:
        shapes.append([None, layer.get("input_length")])
        shapes += [layer.get("batch_input_shape"), layer.get("batch_shape")]
    sizes = [_length(shape[1]) for shape in shapes if shape is not None and len(shape) == 2]
    return next(filter(None, sizes), None)


def _length(value: Any) -> int | None:
    """Return a number of steps; None for any other value."""
    return value if type(value) is int and 0 < value <= MOST_LENGTH else None


# --- The layers -----------------------------------------------------------------------------------


def _model(
    config: Any,
    weights: Weights,
    version: str,
    source: str,
    vocabulary: Sequence[str] | None = None,
) -> KerasModel:
    """Return the model that a configuration describes.

    version: of Keras. vocabulary: of its TextVectorization, unless the configuration holds it.
    """
    layers = _layers_of(config)
    if not any(layer.kind in (*_LSTMS, "Bidirectional") for layer in layers):
        kinds = ", ".join(layer.kind for layer in layers)[:120]
        what = f"the model has no LSTM layer; its layers are {kinds}"
        raise DataError(f"{what}; only LSTM classifiers of text are imported")
    reader = _Reader(weights, is_keras_3=version.split(".")[0] not in ("1", "2"))
    before = ""
    for layer in _with_joined_poolings(layers):
        if layer.kind not in _READERS:
            raise layer.refused(f"is not imported; {KNOWN}")
        if layer.inputs not in ((), (before,)):
            names = ", ".join(layer.inputs)
            raise layer.refused(f"reads {names}; only one chain of layers is imported")
        before = layer.name
        _READERS[layer.kind](reader, layer)
    reading = Reading(_input_length(config, layers), masked=reader.masked)
    vectorization = None
    if texts := [layer for layer in layers if layer.kind == "TextVectorization"]:
        size = _length(texts[0].get("output_sequence_length"))
        padding: Padding = "behind" if size else "none"
        reading = replace(reading, length=size, padding=padding, truncation="behind")
        held = texts[0].get("vocabulary")
        if isinstance(held, dict):
            held = held.get("config", {}).get("value")
        known = held if isinstance(held, list) else None
        vectorization = (texts[0].config, vocabulary or known)
    return KerasModel(ImportedModel.of(reader.finished(), reading, source), vectorization)


class _Reader:
    """Makes layers of configurations, one after another. See _READERS."""

    def __init__(self, weights: Weights, *, is_keras_3: bool) -> None:
        self.masked = False
        self._weights = weights
        self._is_keras_3 = is_keras_3
        self._layers: list[Layer | Normalization] = []
        self._turned = False  # a maximum stands before its mean

    @property
    def _last(self) -> Layer | Normalization | None:
        return self._layers[-1] if self._layers else None

    def finished(self) -> list[Layer | Normalization]:
        """Return all layers, the last dense one as logits and its activation as the head."""
        last = self._last
        if isinstance(last, Dense):
            if last.activation not in ("sigmoid", "linear"):
                what = f"layer {last.name!r} answers with {last.activation}"
                raise DataError(f"{what}; only sigmoid, softmax and logits are imported")
            is_known = last.activation == "sigmoid"
            self._layers[-1] = replace(last, activation="linear")
            self._layers.append(Head.of(last, is_sigmoid=is_known, is_known=is_known))
        return self._layers

    def pass_over(self, layer: LayerConfig) -> None:
        """Read a layer that changes nothing when a text is classified."""

    def embedding(self, layer: LayerConfig) -> None:
        """Read an Embedding."""
        self.masked = bool(layer.get("mask_zero", False))
        self._layers.append(Embedding(layer.name, self._arrays(layer, 1)[0]))

    def lstm(self, layer: LayerConfig) -> None:
        """Read an LSTM of one direction."""
        self._append_lstm(layer, layer, 1)

    def bidirectional(self, layer: LayerConfig) -> None:
        """Read an LSTM of both directions."""
        inner = _layer(layer.get("layer"), 0)
        mode = layer.get("merge_mode", "concat")
        if inner.kind not in _LSTMS:
            raise layer.refused(f"is made of {inner.kind}, which is not imported; {KNOWN}")
        if mode != "concat":
            raise layer.refused(f"merges by {mode!r:.40}; only 'concat' is imported")
        self._append_lstm(layer, inner, 2)

    def _append_lstm(self, layer: LayerConfig, settings: LayerConfig, directions: int) -> None:
        """Add an LSTM. settings: the configuration of one direction."""
        names = []
        for key, known in _LSTM_SETTINGS.items():
            value = settings.get(key, known[0])
            names.append(_name_of(value))
            if names[-1] not in known:
                only = " or ".join(f"{key}={each!r}" for each in known)
                raise layer.refused(f"has {key}={value!r:.40}; only {only} is imported")
        slope = HARD_SIGMOID_OF_KERAS_3 if self._is_keras_3 else HARD_SIGMOID_OF_KERAS_2
        arrays = self._arrays(layer, *(directions * count for count in (2, 3, 12)))
        each = len(arrays) // directions
        halves = [_lstm_weights(arrays[at : at + each]) for at in range(0, len(arrays), each)]
        w, r, b = map(np.stack, zip(*halves))
        self._layers.append(LSTM(layer.name, w, r, b, slope if "hard_sigmoid" in names else 0.0))
        if not settings.get("return_sequences", False):
            self._layers.append(Pooling(layer.name, "last"))

    def pooling(self, layer: LayerConfig) -> None:
        """Read a pooling over the steps, or both of them concatenated."""
        self._turned = bool(layer.get("turned"))
        self._layers.append(Pooling(layer.name, _POOLINGS.get(layer.kind, "mean+max")))

    def flatten(self, layer: LayerConfig) -> None:
        """Read a Flatten, which changes nothing unless it puts steps side by side."""
        if isinstance(self._last, (Embedding, LSTM)):
            how = "train it with GlobalMaxPooling1D in its place, or without return_sequences"
            raise layer.refused(f"gives every step to a Dense layer, which is not imported; {how}")

    def dense(self, layer: LayerConfig) -> None:
        """Read a Dense layer."""
        if not any(isinstance(each, Pooling) for each in self._layers):
            raise layer.refused("reads every step; only a pooling over the steps is imported")
        w, *biases = self._arrays(layer, 1, 2)
        if self._turned:
            w = np.concatenate(np.split(w, 2)[::-1])
            self._turned = False
        b = biases[0] if biases else np.zeros(w.shape[1], np.float32)
        self._layers.append(Dense(layer.name, w, b, "linear"))
        if layer.get("activation"):
            self.activation(layer)

    def activation(self, layer: LayerConfig) -> None:
        """Read an activation, of the last dense layer."""
        *_, dense, by = [None, None, *self._layers]
        if isinstance(by, Normalization) and isinstance(dense, Dense):
            self._layers[-2:] = [dense.normalized(by)]
        last = self._last
        if not isinstance(last, Dense) or last.activation != "linear":
            raise layer.refused("does not follow a Dense layer without an activation")
        name = _name_of(layer.get("activation")) or layer.kind.lower()
        if name == "softmax":
            self._layers.append(Head(layer.name, "softmax"))
        elif name in ACTIVATIONS:
            self._layers[-1] = replace(last, activation=cast(Activation, name))
        else:
            known = ", ".join(ACTIVATIONS)
            raise layer.refused(f"has activation {name!r:.40}; known are {known} and softmax")

    def normalization(self, layer: LayerConfig) -> None:
        """Read a BatchNormalization."""
        kept = [bool(layer.get(key, True)) for key in ("scale", "center")]
        arrays = self._arrays(layer, 2 + sum(kept))
        epsilon = float(layer.get("epsilon", _DEFAULT_EPSILON))
        scale = arrays[0] if kept[0] else 1.0
        shift = arrays[kept[0]] if kept[1] else 0.0
        mean, variance = arrays[-2:]
        self._layers.append(Normalization.of(layer.name, mean, variance, epsilon, scale, shift))

    def _arrays(self, layer: LayerConfig, *counts: int) -> Sequence[Array]:
        """Return a layer's weights. counts: how many there may be."""
        arrays = self._weights(layer)
        if not arrays:
            raise layer.refused("has no weights; the model was saved before it was trained")
        if len(arrays) not in counts:
            raise layer.refused(f"has {len(arrays)} weights; save the model again")
        return arrays


# Every class of Keras that is read.
_READERS: dict[str, Callable[[_Reader, LayerConfig], None]] = {
    "Embedding": _Reader.embedding,
    "Bidirectional": _Reader.bidirectional,
    "Concatenate": _Reader.pooling,
    "Flatten": _Reader.flatten,
    "Dense": _Reader.dense,
    "BatchNormalization": _Reader.normalization,
    **dict.fromkeys(("Activation", "ReLU", "Softmax"), _Reader.activation),
    **dict.fromkeys(_LSTMS, _Reader.lstm),
    **dict.fromkeys(_POOLINGS, _Reader.pooling),
    **dict.fromkeys(("InputLayer", "TextVectorization"), _Reader.pass_over),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "AlphaDropout"), _Reader.pass_over),
    **dict.fromkeys(("GaussianNoise", "GaussianDropout"), _Reader.pass_over),
}


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
