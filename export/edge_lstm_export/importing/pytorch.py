"""PyTorch models: a state_dict in a file, or a live module → an ImportedModel.

A state_dict holds names and arrays, and nothing of how they are used: shapes tell the layers, the
caller tells the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.importing.files import readable
from edge_lstm_export.importing.model import (
    ACTIVATIONS,
    LSTM,
    Activation,
    Array,
    Dense,
    Embedding,
    Head,
    ImportedModel,
    Normalization,
    Pooling,
    PoolingKind,
    Reading,
    check_size,
    pooled_dim,
    with_gates,
)

_LSTM_WEIGHT = re.compile(
    r"(?:(.*)\.)?(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(\d+)(_reverse)?"
)
_FROM_IFGO = (0, 3, 1, 2)  # PyTorch's order of the gates → input, output, forget, cell
_GATES = {1: "an RNN", 3: "a GRU"}  # matrices of other recurrent layers
_EPSILON = 1e-5  # of a BatchNorm1d, as in PyTorch
# Classes of live modules that have no effect when a text is classified, or that are known.
_KNOWN = {"Embedding", "LSTM", "Linear", "BatchNorm1d", "Dropout", "Dropout1d", "Dropout2d"}
_KNOWN |= {"Sequential", "ModuleList", "ModuleDict", "Identity", "Softmax", "LogSoftmax", "Flatten"}
_ACTIVATIONS: dict[str, Activation] = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
_OF_TORCH = "torch.nn.modules."
SAFETENSORS = "safetensors"  # its names stand in the order of the alphabet
MOST_ORDERED = 6  # layers whose order is looked for


def read_torch(path: Path) -> dict[str, Array]:
    """Read the state_dict of a .pt or .pth file; no code of it is run. Raises DataError."""
    import pickle

    import torch

    try:
        with readable(path):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"names {found[1]}, which is not run" if found else "is not a file of weights"
        how = "save the weights alone: torch.save(model.state_dict(), …)"
        raise DataError(f"{path} {what}; {how}") from None
    return arrays_of_state(_state_of(loaded, path))


def read_safetensors(path: Path) -> dict[str, Array]:
    """Read the arrays of a .safetensors file. Raises DataError."""
    from safetensors import safe_open

    with readable(path), safe_open(path, "np") as file:
        names = list(file.keys())
        sizes = [np.prod(file.get_slice(name).get_shape(), dtype=object) for name in names]
        check_size(int(sum(sizes)), f"{path}")
        return _as_float32({name: np.asarray(file.get_tensor(name)) for name in names})


def _state_of(loaded: Any, path: Path) -> Mapping[str, Any]:
    """Return the state_dict in a loaded value: the value itself, or one of a dict's."""
    candidates = [loaded]
    if isinstance(loaded, dict):
        candidates += [value for value in loaded.values() if isinstance(value, dict)]
    for value in candidates:
        if isinstance(value, Mapping) and any(hasattr(part, "numpy") for part in value.values()):
            return value
    raise DataError(f"{path} holds no state_dict; save it: torch.save(model.state_dict(), …)")


def arrays_of_state(state: Mapping[str, Any]) -> dict[str, Array]:
    """Return a state_dict's tensors as arrays by their names; other values are passed over."""
    tensors = {str(name): value for name, value in state.items() if hasattr(value, "numpy")}
    check_size(sum(int(np.prod(t.shape, dtype=object)) for t in tensors.values()), "the model")
    arrays = {}
    for name, tensor in tensors.items():
        if tensor.is_quantized or tensor.is_sparse:
            raise DataError(f"{name} is quantized or sparse; import the model before that")
        arrays[name] = tensor.detach().cpu().float().numpy()
    return _as_float32(arrays)


def _as_float32(arrays: Mapping[str, Array]) -> dict[str, Array]:
    kept = {name: a for name, a in arrays.items() if a.dtype.kind in "fiu"}
    return {name: np.ascontiguousarray(a, np.float32) for name, a in kept.items()}


def model_of_arrays(
    arrays: Mapping[str, Array],
    state: PoolingKind | None,
    activation: Activation | None,
    source: str,
) -> ImportedModel:
    """Return the model of a state_dict's arrays. Raises DataError for layers that are not known.

    state: the values that are read of the last LSTM; None: not known. activation: the function
        behind hidden dense layers.
    """
    rest = dict(arrays)
    lstms = _lstms(rest)
    embedding = _embedding(rest, lstms[0].w.shape[2])
    if state is None:
        how = "give --state last, end, mean, max or mean+max"
        raise DataError(f"a state_dict does not say what is read of the LSTM; {how}")
    width = pooled_dim(lstms[-1], state)
    dense = _dense(rest, activation, width, in_order=source != SAFETENSORS)
    pooling = Pooling(lstms[-1].name, state)
    heads = [Head.of(last, is_known=True) for last in dense[-1:] if isinstance(last, Dense)]
    return ImportedModel.of([embedding, *lstms, pooling, *dense, *heads], Reading(), source)


def read_live(module: Any) -> tuple[dict[str, Array], Activation | None]:
    """Return the arrays of a live nn.Module, and the activation behind its linear layers.

    It is known if it is the same behind all of them, in nn.Sequential parts.

    Raises DataError for a layer that is not known.
    """
    found: set[Activation] = set()
    for name, part in module.named_modules():
        kind = type(part).__name__
        if not type(part).__module__.startswith(_OF_TORCH):
            continue  # a class of the caller's, made of the parts that follow
        if kind not in _KNOWN and kind not in _ACTIVATIONS:
            raise DataError(f"layer {name!r} is a {kind}, which is not imported")
        if kind == "Sequential":
            kinds = [type(child).__name__ for child in part.children()]
            behind = (after for kind, after in pairwise(kinds) if kind == "Linear")
            found.update(_ACTIVATIONS[after] for after in behind if after in _ACTIVATIONS)
    arrays = arrays_of_state(module.state_dict())
    return arrays, found.pop() if len(found) == 1 else None


def _lstms(rest: dict[str, Array]) -> list[LSTM]:
    """Take the LSTMs out of the arrays, in the order of their names in the file."""
    found: dict[tuple[str, int], dict[str, Array]] = {}
    for name in list(rest):
        if match := _LSTM_WEIGHT.fullmatch(name):
            prefix, part, number, reverse = match.groups()
            of_layer = found.setdefault((prefix or "lstm", int(number)), {})
            of_layer[part + (reverse or "")] = rest.pop(name)
    if not found:
        raise DataError("the model has no LSTM layer; only LSTM classifiers of text are imported")
    return [
        _lstm(f"{prefix}, layer {number}" if number else prefix, parts)
        for (prefix, number), parts in found.items()
    ]


def _lstm(name: str, parts: Mapping[str, Array]) -> LSTM:
    """Return an LSTM of the arrays of a layer, by the first parts of their names."""
    if "weight_hr" in parts:
        raise DataError(f"layer {name!r} has a projection (proj_size), which is not imported")
    ends = ["", "_reverse"] if "weight_ih_reverse" in parts else [""]
    try:
        kernels = [parts["weight_ih" + end] for end in ends]
        recurrents = [parts["weight_hh" + end] for end in ends]
        if kernels[0].ndim != 2 or recurrents[0].ndim != 2:
            raise ValueError
        gates = len(recurrents[0]) // recurrents[0].shape[1]
        if gates != 4:
            what = _GATES.get(gates, "no LSTM")
            raise DataError(f"layer {name!r} is {what} by its shape; only LSTMs are imported")
        none = np.zeros(len(recurrents[0]), np.float32)
        biases = [
            parts.get("bias_ih" + end, none) + parts.get("bias_hh" + end, none) for end in ends
        ]
        w, r, b = (
            np.stack([with_gates(array, _FROM_IFGO) for array in arrays])
            for arrays in (kernels, recurrents, biases)
        )
    except (LookupError, ValueError, ArithmeticError):
        raise DataError(f"layer {name!r} lacks weights of an LSTM; save the model again") from None
    return LSTM(name, w, r, b)


def _embedding(rest: dict[str, Array], width: int) -> Embedding:
    """Take the only matrix without a bias that has the width of the LSTM's inputs."""
    found = [
        name
        for name, array in rest.items()
        if name.endswith("weight") and array.ndim == 2 and array.shape[1] == width
        if f"{name.removesuffix('weight')}bias" not in rest
    ]
    found = [name for name in found if "emb" in name.lower()] or found
    if len(found) != 1:
        count = len(found) or "no"
        raise DataError(f"the model has {count} embeddings of {width} columns, as its LSTM reads")
    return Embedding(found[0].removesuffix(".weight"), rest.pop(found[0]))


def _dense(
    rest: Mapping[str, Array], activation: Activation | None, width: int, *, in_order: bool
) -> list[Dense | Normalization]:
    """Return the dense layers and normalizations.

    width: of what the first one reads. in_order: the names stand in the order in which the module
        defines its layers; otherwise their widths must tell it.
    """
    parts: dict[str, dict[str, Array]] = {}
    for name, array in rest.items():
        prefix, _, kind = name.rpartition(".")
        parts.setdefault(prefix, {})[kind] = array
    found = [_dense_or_normalization(prefix, part) for prefix, part in parts.items()]
    orders = list(islice(_orders(found, width), 2)) if len(found) <= MOST_ORDERED else []
    if len(orders) != 1 and not (orders and in_order):
        names = ", ".join(layer.name for layer in found)
        if orders:
            how = "save the state_dict with torch.save, which keeps their order"
            raise DataError(f"the layers {names} fit each other in several orders; {how}")
        what = f"the layers {names} do not follow an LSTM that gives {width:,} values"
        how = "give another --state; attention and other layers between them are not imported"
        raise DataError(f"{what}; {how}")
    layers = orders[0]
    hidden = [layer for layer in layers if isinstance(layer, Dense)][:-1]
    if hidden and activation is None:
        what = f"a state_dict does not say what follows its dense layer {hidden[0].name!r}"
        raise DataError(f"{what}; give --activation {', '.join(ACTIVATIONS)}")
    return [
        replace(layer, activation=activation)
        if isinstance(layer, Dense) and layer is not layers[-1] and activation
        else layer
        for layer in layers
    ]


def _dense_or_normalization(prefix: str, part: Mapping[str, Array]) -> Dense | Normalization:
    """Return the layer of these arrays. Raises DataError for another layer."""
    weight = part.get("weight", np.zeros(0))
    if {"running_mean", "running_var"} <= set(part):
        scale = part.get("weight", 1.0)
        mean, variance = part["running_mean"], part["running_var"]
        return Normalization.of(prefix, mean, variance, _EPSILON, scale, part.get("bias", 0.0))
    if weight.ndim != 2 or not set(part) <= {"weight", "bias"}:
        kinds = {1: "a normalization", 3: "a convolution", 4: "a convolution"}
        kind = kinds.get(weight.ndim, "not a dense layer")
        raise DataError(f"layer {prefix!r} is {kind} by its weights, which is not imported")
    bias = part.get("bias", np.zeros(len(weight), np.float32))
    return Dense(prefix, weight.T, bias, "linear")


def _orders(
    layers: Sequence[Dense | Normalization], width: int
) -> Iterator[list[Dense | Normalization]]:
    """Yield each order in which the layers fit each other, their own before others.

    width: of what the first one reads.
    """
    if not layers:
        yield []
    for layer in layers:
        if layer.reads == width:
            rest = [each for each in layers if each is not layer]
            gives = len(layer.b) if isinstance(layer, Dense) else width
            for order in _orders(rest, gives):
                yield [layer, *order]
