"""PyTorch models: a state_dict in a file, or a live module → an ImportedModel.

A state_dict holds names and arrays, and nothing of how they are used: shapes tell the layers, the
caller tells the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
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
    Layer,
    Pooling,
    PoolingKind,
    Reading,
    check_size,
    normalization,
    pooled_dim,
    with_gates,
    with_normalized_inputs,
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


@dataclass(frozen=True)
class TorchOptions:
    """The facts that a state_dict does not hold.

    state: the values that are read of the last LSTM; None: not known. activation: the function
        behind hidden dense layers.
    """

    state: PoolingKind | None = None
    activation: Activation | None = None


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
        if isinstance(value, Mapping) and any(_LSTM_WEIGHT.fullmatch(str(name)) for name in value):
            return value
    for value in candidates:
        if (
            isinstance(value, Mapping)
            and value
            and all(hasattr(v, "numpy") for v in value.values())
        ):
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
    arrays: Mapping[str, Array], options: TorchOptions, source: str
) -> ImportedModel:
    """Return the model of a state_dict's arrays. Raises DataError for layers that are not known."""
    in_order = source != SAFETENSORS
    taken: set[str] = set()
    lstms = _lstms(arrays, taken)
    embedding = _embedding(arrays, taken, lstms[0].w.shape[2])
    last = lstms[-1]
    kind = options.state
    widths = _first_widths(arrays, taken)
    if kind is None:
        if widths and widths[0] == pooled_dim(last, "mean+max") and last.directions == 1:
            kind = "mean+max"
        else:
            given = "last, end, mean, max or mean+max"
            raise DataError(
                f"a state_dict does not say what is read of the LSTM; give --state {given}"
            )
    layers: list[Layer] = [embedding, *lstms, Pooling(last.name, kind)]
    dense_layers = _dense(arrays, taken, options, pooled_dim(last, kind), in_order=in_order)
    layers += dense_layers
    dense = dense_layers[-1]
    layers.append(Head(dense.name, "sigmoid" if len(dense.b) == 1 else "softmax"))
    return ImportedModel(tuple(layers), Reading(), source)


def read_live(module: Any) -> tuple[dict[str, Array], dict[str, Activation]]:
    """Return the arrays of a live nn.Module, and the activation behind each linear layer.

    Activations are known in its nn.Sequential parts.

    Raises DataError for a layer that is not known.
    """
    activations: dict[str, Activation] = {}
    for name, part in module.named_modules():
        kind = type(part).__name__
        if not type(part).__module__.startswith(_OF_TORCH):
            continue  # a class of the caller's, made of the parts that follow
        if kind not in _KNOWN and kind not in _ACTIVATIONS:
            raise DataError(f"layer {name!r} is a {kind}, which is not imported")
        if kind == "Sequential":
            children = list(part.named_children())
            for (child, layer), (_, after) in pairwise(children):
                if type(layer).__name__ == "Linear" and type(after).__name__ in _ACTIVATIONS:
                    activations[f"{name}.{child}"] = _ACTIVATIONS[type(after).__name__]
    return arrays_of_state(module.state_dict()), activations


def _lstms(arrays: Mapping[str, Array], taken: set[str]) -> list[LSTM]:
    """Return the LSTMs in the order of their names in the file."""
    modules: dict[tuple[str, int], dict[str, Array]] = {}
    for name, array in arrays.items():
        match = _LSTM_WEIGHT.fullmatch(name)
        if match is None:
            continue
        prefix, part, number, reverse = match.groups()
        prefix = prefix or "lstm"
        if part == "weight_hr":
            raise DataError(f"layer {prefix!r} has a projection (proj_size), which is not imported")
        modules.setdefault((prefix, int(number)), {})[part + (reverse or "")] = array
        taken.add(name)
    if not modules:
        raise DataError("the model has no LSTM layer; only LSTM classifiers of text are imported")
    return [_lstm(prefix, number, found) for (prefix, number), found in modules.items()]


def _lstm(prefix: str, number: int, found: Mapping[str, Array]) -> LSTM:
    name = f"{prefix}, layer {number}" if number else prefix
    w: list[Array] = []
    r: list[Array] = []
    b: list[Array] = []
    for end in ("", "_reverse"):
        if end and "weight_ih_reverse" not in found:
            continue
        kernel = found.get("weight_ih" + end)
        recurrent = found.get("weight_hh" + end)
        if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
            raise DataError(f"layer {name!r} lacks weights of an LSTM; save the model again")
        gates = len(recurrent) / max(1, recurrent.shape[1])
        if gates != 4:
            what = _GATES.get(int(gates), "no LSTM")
            raise DataError(f"layer {name!r} is {what} by its shape; only LSTMs are imported")
        bias = np.zeros(len(kernel), np.float32)
        for part in ("bias_ih", "bias_hh"):
            values = found.get(part + end, bias[:0])
            if values.shape not in (bias.shape, (0,)):
                raise DataError(f"layer {name!r} lacks weights of an LSTM; save the model again")
            bias = bias + values if len(values) else bias
        for list_, array in ((w, kernel), (r, recurrent), (b, bias)):
            list_.append(with_gates(array, _FROM_IFGO))
    return LSTM(name, np.stack(w), np.stack(r), np.stack(b), True)


def _embedding(arrays: Mapping[str, Array], taken: set[str], width: int) -> Embedding:
    """Return the only matrix without a bias that has the width of the LSTM's inputs."""
    found = [
        name
        for name, array in arrays.items()
        if name not in taken and array.ndim == 2 and array.shape[1] == width
        if name.endswith("weight") and f"{name.removesuffix('weight')}bias" not in arrays
    ]
    named = [name for name in found if "emb" in name.lower()]
    found = named or found
    if len(found) != 1:
        count = len(found) or "no"
        raise DataError(f"the model has {count} embeddings of {width} columns, as its LSTM reads")
    taken.add(found[0])
    return Embedding(found[0].removesuffix(".weight"), arrays[found[0]])


def _first_widths(arrays: Mapping[str, Array], taken: set[str]) -> list[int]:
    rest = [array for name, array in arrays.items() if name not in taken]
    return [array.shape[1] for array in rest if array.ndim == 2]


def _dense(
    arrays: Mapping[str, Array],
    taken: set[str],
    options: TorchOptions,
    width: int,
    *,
    in_order: bool,
) -> list[Dense]:
    """Return the dense layers, with each BatchNorm1d folded in.

    in_order: the names stand in the order in which the module defines its layers; otherwise their
        widths must tell it.
    """
    parts: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        if name not in taken:
            prefix, _, kind = name.rpartition(".")
            parts.setdefault(prefix, {})[kind] = array
    for prefix, part in parts.items():
        _check_dense(prefix, part)
    order: Sequence[str] = list(parts)
    if not in_order or not _is_chain(order, parts, width):
        order = _only_order(parts, width)
    layers: list[Dense] = []
    waiting: tuple[Array, Array] | None = None
    for prefix in order:
        part = parts[prefix]
        if "running_mean" in part:
            scale = part.get("weight", np.float32(1))
            shift = part.get("bias", np.float32(0))
            waiting = normalization(
                part["running_mean"], part["running_var"], _EPSILON, scale, shift
            )
            continue
        bias = part.get("bias", np.zeros(len(part["weight"]), np.float32))
        dense = Dense(prefix, part["weight"].T, bias, "linear")
        if waiting is not None:
            dense = with_normalized_inputs(dense, *waiting)
            waiting = None
        layers.append(dense)
    if not layers or waiting is not None:
        raise DataError("the model does not end with a dense layer; only classifiers are imported")
    if len(layers) > 1 and options.activation is None:
        what = f"a state_dict does not say what follows its dense layer {layers[0].name!r}"
        raise DataError(f"{what}; give --activation {', '.join(ACTIVATIONS)}")
    activation = options.activation or "linear"
    return [*(replace(dense, activation=activation) for dense in layers[:-1]), layers[-1]]


def _check_dense(prefix: str, part: Mapping[str, Array]) -> None:
    """Raise DataError unless these are the arrays of a dense layer or of a BatchNorm1d."""
    if "running_mean" in part and "running_var" in part:
        return
    weight = part.get("weight", np.zeros(0))
    if weight.ndim != 2 or not set(part) <= {"weight", "bias"}:
        kinds = {1: "a normalization", 3: "a convolution", 4: "a convolution"}
        kind = kinds.get(weight.ndim, "not a dense layer")
        raise DataError(f"layer {prefix!r} is {kind} by its weights, which is not imported")


def _is_chain(order: Sequence[str], parts: Mapping[str, Mapping[str, Array]], width: int) -> bool:
    """Whether each layer reads as many values as the one before it gives."""
    for prefix in order:
        part = parts[prefix]
        reads = len(part["running_mean"]) if "running_mean" in part else part["weight"].shape[1]
        if reads != width:
            return False
        width = reads if "running_mean" in part else len(part["weight"])
    return True


def _only_order(parts: Mapping[str, Mapping[str, Array]], width: int) -> Sequence[str]:
    """Return the order in which the layers fit each other.

    Raises DataError if they fit in no order, or in several.
    """
    orders: list[Sequence[str]] = []
    if len(parts) <= MOST_ORDERED:
        orders = [order for order in permutations(parts) if _is_chain(order, parts, width)]
    if len(orders) == 1:
        return orders[0]
    names = ", ".join(parts)
    if orders:
        how = "save the state_dict with torch.save, which keeps their order"
        raise DataError(f"the layers {names} fit each other in several orders; {how}")
    what = f"the layers {names} do not follow an LSTM that gives {width:,} values"
    how = "give another --state; attention and other layers between them are not imported"
    raise DataError(f"{what}; {how}")
