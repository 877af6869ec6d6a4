"""Keras models: files of Keras 1, 2 and 3, and live models → an ImportedModel.

A file's configuration is JSON, its weights are arrays. Nothing of it is executed, and Keras need
not be installed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edge_lstm.core.layers import HARD_SIGMOIDS
from edge_lstm.errors import DataError
from edge_lstm_export.importing import hdf5
from edge_lstm_export.importing.model import (
    LSTM,
    MOST_LENGTH,
    Activation,
    AnyLayer,
    Array,
    Dense,
    Embedding,
    ImportedModel,
    ImportOptions,
    Normalization,
    Pooling,
    PoolingKind,
    Reading,
    Vectorization,
    check_settings,
    name_of,
)

KNOWN = "known are Embedding, LSTM, Bidirectional, pooling, Dense, BatchNormalization and dropouts"
# CuDNNLSTM is an LSTM whose weights are stored otherwise.
_LSTMS = ("LSTM", "CuDNNLSTM")
_GATES = ("sigmoid", "hard_sigmoid")
_OF_AN_LSTM: dict[str, tuple[Any, ...]] = {
    "go_backwards": (False,),
    "stateful": (False,),
    "return_state": (False,),
    "activation": ("tanh",),
    "recurrent_activation": _GATES,
    "inner_activation": _GATES,  # the same, in Keras 1
}
# Settings of classes, with the values that are imported, the default first.
_SETTINGS: dict[str, dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(_LSTMS, _OF_AN_LSTM),
    "Bidirectional": {"merge_mode": ("concat",)},
    "ReLU": {"max_value": (None,), "negative_slope": (0,), "threshold": (0,)},
}
# Places of a layer's arrays within its folder of a .keras archive, in the order of get_weights().
_PLACES = ("", "/cell", "/forward_layer/cell", "/backward_layer/cell")


@dataclass(frozen=True)
class LayerConfig:
    """A layer as the configuration describes it.

    inputs: names of the layers that it reads. stored: reads its weights. version: of Keras.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    stored: Callable[[LayerConfig], Sequence[Array]] = lambda _: ()
    version: str = "3"

    def __str__(self) -> str:
        return f"layer {self.name!r} ({self.kind})"

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting."""
        return self.config.get(key, default)

    def weights(self, *counts: int) -> Sequence[Array]:
        """Return its weights. counts: how many there may be. Raises DataError for others."""
        arrays = self.stored(self)
        if not arrays:
            raise self.refused("has no weights; the model was saved before it was trained")
        if len(arrays) not in counts:
            raise self.refused(f"has {len(arrays)} weights; save the model again")
        return arrays

    def check_settings(self) -> None:
        """Check that all settings of a layer can be imported.

        Raises DataError if not.
        """
        check_settings(self.config, _SETTINGS.get(self.kind, {}), str(self))

    def refused(self, reason: str) -> DataError:
        """Return the error that names the layer."""
        return DataError(f"{self} {reason}")


def read_hdf5(path: Path, options: ImportOptions) -> ImportedModel:
    """Read a whole model of the .h5 format. Raises DataError."""
    with hdf5.opened(path) as store:
        config = store.text("model_config")
        if config is None:
            raise DataError(
                f"{path} holds no model's configuration, but weights alone; save the whole model: "
                "model.save(…), not save_weights"
            )
        version = store.text("keras_version") or "1"
        place = "/model_weights" if store.names("/model_weights") else "/"

        def stored(layer: LayerConfig) -> Sequence[Array]:
            group = f"{place}/{layer.name}"
            return [store.array(f"{group}/{name}") for name in store.texts("weight_names", group)]

        return _model(json.loads(config), stored, version, f"Keras {version}, HDF5", options)


def read_zip(path: Path, options: ImportOptions) -> ImportedModel:
    """Read a model of the .keras format. Raises DataError."""
    with hdf5.opened_in_zip(path) as (config, store, vocabulary):
        root = "_layer_checkpoint_dependencies"
        if not store.names(root):
            root = "layers"
        places = _places(config)

        def stored(layer: LayerConfig) -> Sequence[Array]:
            folders = [f"{root}/{places[layer.name]}{place}/vars" for place in _PLACES]
            return [
                store.array(f"{folder}/{name}")
                for folder in folders
                for name in sorted(store.names(folder), key=int)
            ]

        return _model(config, stored, "3", "Keras 3, .keras", options, vocabulary)


def read_live(model: Any, options: ImportOptions) -> ImportedModel:
    """Read a live keras.Model, as the file that it saves. Raises DataError."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return replace(read_zip(path, options), source="a Keras model")


# --- The configuration ----------------------------------------------------------------------------


def _layers_of(config: Any) -> list[LayerConfig]:
    """Return the layers of a model's configuration in their order. Raises DataError."""
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind not in ("Sequential", "Functional", "Model"):
        raise DataError(
            f"the model is a {kind!s:.40}, whose layers no file names; only Sequential and "
            "Functional models are read from files"
        )
    body = config["config"]
    entries = body["layers"] if isinstance(body, dict) else body
    return [_layer(entry, f"layer {i}") for i, entry in enumerate(entries, 1)]


def _layer(entry: Mapping[str, Any], default: str) -> LayerConfig:
    """Return a layer. default: its name, if it has none."""
    config = entry["config"]
    name = config.get("name") or entry.get("name") or default
    calls = entry.get("inbound_nodes")
    inputs = _input_names(calls[0]) if calls else []
    kind = str(entry.get("class_name")).split(">")[-1]
    return LayerConfig(kind, str(name), config, tuple(inputs))


def _input_names(node: Any) -> list[str]:
    """Return the names of the layers that a call of a layer reads, of Keras 2 or 3."""
    match node:
        case {"args": args}:  # Keras 3 also names the mask that the layer is given, among "kwargs"
            return _input_names(args)
        case dict():
            return _input_names(list(node.values()))
        case [str(name), int(), _, *_]:  # [name, number of the node, number of the tensor, …]
            return [name]
        case list() | tuple():
            return [name for part in node for name in _input_names(part)]
    return []


def _places(config: Any) -> dict[str, str]:
    """Return each layer's folder in a .keras archive: its class in snake case, and a number."""
    used: Counter[str] = Counter()
    places = {}
    for layer in _layers_of(config):
        base = re.sub(r"\W+", "", layer.kind)
        base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", base)
        base = re.sub(r"([a-z])([A-Z])", r"\1_\2", base).lower()
        places[layer.name] = f"{base}_{used[base]}" if used[base] else base
        used[base] += 1
    return places


def _with_joined_poolings(layers: Sequence[LayerConfig]) -> list[LayerConfig]:
    """Return the layers with two poolings that are concatenated as one, in the last one's place."""
    known = {layer.name: layer for layer in layers}
    result = list(layers)
    for layer in layers:
        parts = [known[name] for name in layer.inputs if name in known]
        kind = "+".join(_POOLINGS.get(part.kind, "") for part in parts)
        if kind in ("mean+max", "max+mean") and parts[0].inputs == parts[1].inputs:
            joined = replace(layer, inputs=parts[0].inputs, config={"pooling": kind})
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
    for shape in shapes:
        match shape:
            case [_, size] if _length(size):
                return _length(size)
    return None


def _length(value: Any) -> int | None:
    """Return a number of steps; None for any other value."""
    return value if type(value) is int and 0 < value <= MOST_LENGTH else None


# --- The layers -----------------------------------------------------------------------------------


def _model(
    config: Any,
    stored: Callable[[LayerConfig], Sequence[Array]],
    version: str,
    source: str,
    options: ImportOptions,
    vocabulary: Sequence[str] | None = None,
) -> ImportedModel:
    """Return the model that a configuration describes.

    stored: see :class:`LayerConfig`. version: of Keras. vocabulary: of its TextVectorization,
        unless the configuration holds it.
    """
    layers = _layers_of(config)
    if not any(layer.kind in (*_LSTMS, "Bidirectional") for layer in layers):
        kinds = ", ".join(layer.kind for layer in layers) or "none"
        raise DataError(
            f"the model has no LSTM layer; its layers are {kinds:.120}; only LSTM classifiers of "
            "text are imported"
        )
    masked = any(layer.kind == "Embedding" and layer.get("mask_zero") for layer in layers)
    if masked:  # Keras 3 lists the comparison with 0 that makes the mask
        layers = [layer for layer in layers if layer.kind != "NotEqual"]
    found: list[AnyLayer] = []
    before = ""
    for layer in _with_joined_poolings(layers):
        if layer.kind not in _READERS:
            raise layer.refused(f"is not imported; {KNOWN}")
        if layer.inputs not in ((), (before,)):
            names = ", ".join(layer.inputs)
            raise layer.refused(f"reads {names:.200}; only one chain of layers is imported")
        before = layer.name
        layer.check_settings()
        reads_steps = not any(isinstance(each, Pooling) for each in found)
        if found and reads_steps and layer.kind in _OF_A_TEXT:
            raise layer.refused(
                "reads every step, which is not imported; train it with GlobalMaxPooling1D before "
                "it, or without return_sequences"
            )
        found += _READERS[layer.kind](replace(layer, stored=stored, version=version))
    reading = Reading(_input_length(config, layers), masked=masked)
    texts = next((layer for layer in layers if layer.kind == "TextVectorization"), None)
    vectorization = None
    if texts is not None:
        length = _length(texts.get("output_sequence_length"))
        reading = replace(
            reading, length=length, padding="behind" if length else "none", truncation="behind"
        )
        match texts.get("vocabulary"):
            case list(words) | {"config": {"value": list(words)}}:
                vocabulary = vocabulary or words
        vectorization = Vectorization(texts.config, vocabulary)
    model = ImportedModel.of(found, reading, source, vectorization)
    _check_options(model, options)
    return model


def _check_options(model: ImportedModel, options: ImportOptions) -> None:
    """Check that no option says what the model itself says.

    Raises DataError if not.
    """
    for name in ("state", "activation"):
        if getattr(options, name) is not None:
            raise DataError(f"a Keras model says its {name} itself; leave --{name} out")
    if options.multi_label and model.says_answer and not model.is_multi_label:
        raise DataError("the model gives each text one label; leave --multi-label out")


def _embedding(layer: LayerConfig) -> Iterator[AnyLayer]:
    yield Embedding(layer.name, layer.weights(1)[0])


def _lstm(layer: LayerConfig) -> Iterator[AnyLayer]:
    return _lstms(layer, layer, 1)


def _bidirectional(layer: LayerConfig) -> Iterator[AnyLayer]:
    inner = _layer(layer.get("layer"), layer.name)
    if inner.kind not in _LSTMS:
        raise layer.refused(f"is made of {inner.kind}, which is not imported; {KNOWN}")
    inner.check_settings()
    return _lstms(layer, inner, 2)


def _lstms(layer: LayerConfig, settings: LayerConfig, directions: int) -> Iterator[AnyLayer]:
    """Yield an LSTM. settings: the configuration of one direction."""
    slope = None
    gates = settings.get("recurrent_activation") or settings.get("inner_activation")
    if name_of(gates) == "hard_sigmoid":
        is_old = layer.version.split(".")[0] in ("1", "2")
        slope = HARD_SIGMOIDS[0] if is_old else HARD_SIGMOIDS[1]
    arrays = layer.weights(2 * directions, 3 * directions, 12 * directions)
    each = len(arrays) // directions
    halves = arrays[:each], arrays[each:]
    w, r, b = zip(*map(_lstm_weights, halves[:directions]))
    yield LSTM(layer.name, np.stack(w), np.stack(r), np.stack(b), slope)
    if not settings.get("return_sequences", False):
        yield Pooling(layer.name, "last")


def _pooling(layer: LayerConfig) -> Iterator[AnyLayer]:
    """Yield a pooling over the steps, or two that are concatenated."""
    kind = _POOLINGS.get(layer.kind, layer.get("pooling"))
    if kind is None:
        raise layer.refused("is not imported, but for a mean and a maximum over the same steps")
    yield Pooling(layer.name, kind)


def _dense(layer: LayerConfig) -> Iterator[AnyLayer]:
    w, *biases = layer.weights(1, 2)
    yield Dense(layer.name, w, _bias(biases, w))
    yield from _activation(layer)


def _activation(layer: LayerConfig) -> Iterator[AnyLayer]:
    default = "linear" if layer.kind == "Dense" else layer.kind.lower()
    name = name_of(layer.get("activation")) or default
    if name != "linear":
        yield Activation(layer.name, str(name))


def _normalization(layer: LayerConfig) -> Iterator[AnyLayer]:
    has_scale = bool(layer.get("scale", True))
    has_shift = bool(layer.get("center", True))
    arrays = list(layer.weights(2 + has_scale + has_shift))
    scale = arrays.pop(0) if has_scale else None
    shift = arrays.pop(0) if has_shift else None
    mean, variance = arrays
    epsilon = float(layer.get("epsilon", 1e-3))  # Keras's default
    yield Normalization.of(layer.name, mean, variance, epsilon, scale, shift)


def _nothing(_: LayerConfig) -> Iterator[AnyLayer]:
    """Pass over a layer that changes nothing when a text is classified."""
    return iter(())


_POOLINGS: dict[str, PoolingKind] = {
    "GlobalMaxPooling1D": "max",
    "GlobalAveragePooling1D": "mean",
}
# Every class of Keras that is read.
_READERS: dict[str, Callable[[LayerConfig], Iterator[AnyLayer]]] = {
    "Embedding": _embedding,
    "Bidirectional": _bidirectional,
    "Concatenate": _pooling,
    "Dense": _dense,
    "BatchNormalization": _normalization,
    **dict.fromkeys(("Activation", "ReLU", "Softmax"), _activation),
    **dict.fromkeys(_LSTMS, _lstm),
    **dict.fromkeys(_POOLINGS, _pooling),
    **dict.fromkeys(("InputLayer", "TextVectorization", "Flatten"), _nothing),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "AlphaDropout"), _nothing),
    **dict.fromkeys(("GaussianNoise", "GaussianDropout"), _nothing),
}
# They read one vector of a text. A Flatten before them would put all steps side by side.
_OF_A_TEXT = ("Dense", "Flatten")


def _lstm_weights(arrays: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return one direction's w [4H, I], r [4H, H] and b [4H] of Keras's 2, 3 or 12 arrays."""
    if len(arrays) == 12:  # Keras 1: three of each gate, in the order input, cell, forget, output
        gates = [arrays[at : at + 3] for at in (0, 6, 3, 9)]
        arrays = [np.concatenate(part, axis=-1) for part in zip(*gates)]
    kernel, recurrent, *biases = arrays
    bias = _bias(biases, kernel)
    if len(bias) == 2 * kernel.shape[1]:
        return _from_cudnn(kernel, recurrent, bias)
    return kernel.T, recurrent.T, bias


def _bias(given: Sequence[Array], kernel: Array) -> Array:
    """Return a layer's biases; zeros if it has none."""
    return given[0] if given else np.zeros(kernel.shape[-1:], np.float32)


def _from_cudnn(kernel: Array, recurrent: Array, bias: Array) -> tuple[Array, Array, Array]:
    """Return the weights of a CuDNNLSTM as :func:`_lstm_weights` does.

    The memory of each gate's kernel is its matrix [H, I], and its recurrent kernel is transposed.
    It has two biases.
    """
    gates = np.split(kernel, 4, axis=1)
    rows = np.concatenate([gate.reshape(gate.shape[::-1]) for gate in gates])
    recurrent_rows = np.concatenate(np.split(recurrent, 4, axis=1))
    return rows, recurrent_rows, bias[: len(rows)] + bias[len(rows) :]
