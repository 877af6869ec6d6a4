"""PyTorch models: a state_dict in a file, or a live module → an ImportedModel.

A state_dict holds names and arrays, and nothing of how they are used: shapes tell the layers, the
caller tells the rest.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from edge_lstm.errors import DataError
from edge_lstm_export.importing.model import (
    ACTIVATIONS,
    LSTM,
    Array,
    Dense,
    Embedding,
    ImportedModel,
    ImportOptions,
    Normalization,
    Pooling,
    Reading,
    check_size,
)

_LSTM_WEIGHT = re.compile(
    r"(?:(.*)\.)?(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(\d+)(_reverse)?"
)
_GATES = {1: "an RNN", 3: "a GRU"}  # matrices of other recurrent layers
_SAVE = "save the weights alone: torch.save(model.state_dict(), …)"
SAFETENSORS = "safetensors"  # its names stand in the order of the alphabet


def read_torch(path: Path, options: ImportOptions) -> ImportedModel:
    """Read the state_dict of a .pt or .pth file; no code of it is run. Raises DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch doubts a pickle that is refused here anyway
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"names {found[1]}, which is not run" if found else "is not a file of weights"
        raise DataError(f"{path} {what}; {_SAVE}") from None
    # The state_dict itself, or a dict with one among other values.
    states = [loaded]
    if isinstance(loaded, dict):
        states += loaded.values()
    for state in states:
        if isinstance(state, dict) and any(map(torch.is_tensor, state.values())):
            return model_of_state(_arrays_of(state), options, "PyTorch state_dict")
    raise DataError(f"{path} holds no state_dict; {_SAVE}")


def read_safetensors(path: Path, options: ImportOptions) -> ImportedModel:
    """Read the weights of a .safetensors file. Raises DataError."""
    with safe_open(path, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return model_of_state(_arrays_of(state), options, SAFETENSORS)


def model_of_state(
    state: Mapping[str, Array], options: ImportOptions, source: str
) -> ImportedModel:
    """Return the model of a state_dict. Raises DataError for layers that are not known."""
    rest = dict(state)
    lstms = _lstms(rest)
    embedding = _embedding(rest, lstms[0].w.shape[2])
    if options.state is None:
        raise DataError(
            "a state_dict does not say what is read of the LSTM; give --state last, end, mean, max "
            "or mean+max"
        )
    pooling = Pooling(lstms[-1].name, options.state)
    width = pooling.gives(lstms[-1].directions * lstms[-1].hidden)
    layers = _dense(rest, width, in_order=source != SAFETENSORS)
    found = [embedding, *lstms, pooling, *layers]
    model = ImportedModel.of(found, Reading(), source)
    *hidden, last = model.dense
    activation = options.activation
    if hidden and activation is None:
        raise DataError(
            f"a state_dict does not say what follows its dense layer {hidden[0].name!r}; give "
            f"--activation {', '.join(ACTIVATIONS)}"
        )
    for pair in pairwise(layers[:-1]):
        match pair:
            case Dense(name=before), Normalization(name=name) if activation != "linear":
                raise DataError(
                    f"a state_dict does not say on which side of its activation {name!r} "
                    f"normalizes what {before!r} gives; train it without that BatchNorm1d"
                )
    dense = [replace(layer, activation=str(activation)) for layer in hidden]
    return replace(model, dense=(*dense, replace(last, activation=model.answer)))


def read_live(module: Any, options: ImportOptions) -> ImportedModel:
    """Read a state_dict, or a live nn.Module by its own. Raises DataError for another object."""
    if isinstance(module, torch.nn.Module):
        module = module.state_dict()
    if not isinstance(module, Mapping):
        raise DataError(
            f"a {type(module).__name__} is no model; give a path, a keras.Model or an nn.Module"
        )
    return model_of_state(_arrays_of(module), options, "PyTorch")


def _arrays_of(state: Mapping[str, Any]) -> dict[str, Array]:
    """Return the tensors of a state_dict as float32 arrays by name; other values go.

    Raises DataError for tensors without plain numbers.
    """
    tensors = {str(name): value for name, value in state.items() if torch.is_tensor(value)}
    check_size(sum(tensor.numel() for tensor in tensors.values()), "the model")
    arrays = {}
    for name, tensor in tensors.items():
        is_plain = tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_meta
        if not is_plain or tensor.is_quantized or tensor.is_complex():
            raise DataError(
                f"{name} is quantized, sparse, complex or without values; import the model as it "
                "was before that"
            )
        arrays[name] = tensor.detach().cpu().float().contiguous().numpy()
    return arrays


def _lstms(rest: dict[str, Array]) -> list[LSTM]:
    """Take the LSTMs out of the arrays, in the order of their names in the file."""
    found: dict[tuple[str, int], dict[str, list[Array]]] = {}
    for name in list(rest):
        if match := _LSTM_WEIGHT.fullmatch(name):
            prefix, part, number, reverse = match.groups()
            of_layer = found.setdefault((prefix or "lstm", int(number)), {})
            of_layer.setdefault(part, []).insert(bool(reverse), rest.pop(name))
    if not found:
        raise DataError("the model has no LSTM layer; only LSTM classifiers of text are imported")
    return [
        _lstm(f"{prefix}, layer {number}" if number else prefix, parts)
        for (prefix, number), parts in found.items()
    ]


def _lstm(name: str, parts: Mapping[str, Sequence[Array]]) -> LSTM:
    """Return an LSTM. parts: its arrays of each direction, by the first parts of their names."""
    if "weight_hr" in parts:
        raise DataError(f"layer {name!r} has a projection (proj_size), which is not imported")
    try:
        w = np.stack(parts["weight_ih"])
        r = np.stack(parts["weight_hh"])
        directions, rows, hidden = r.shape
        b = np.zeros((directions, rows), np.float32)
        for part in parts.keys() & {"bias_ih", "bias_hh"}:
            b += np.stack(parts[part]).reshape(b.shape)
        gates = rows // hidden
    except (LookupError, ValueError, ArithmeticError):
        raise DataError(f"layer {name!r} lacks weights of an LSTM; save the model again") from None
    if gates != 4 or w.ndim != 3:
        what = _GATES.get(gates, "no LSTM")
        raise DataError(f"layer {name!r} is {what} by its shape; only LSTMs are imported")
    return LSTM(name, w, r, b)


def _embedding(rest: dict[str, Array], width: int) -> Embedding:
    """Take the only matrix without a bias that has the width of the LSTM's inputs."""
    found = [
        name.removesuffix(".weight")
        for name, array in rest.items()
        if name.endswith(".weight") and array.ndim == 2 and array.shape[1] == width
    ]
    found = [name for name in found if f"{name}.bias" not in rest]
    found = [name for name in found if "emb" in name.lower()] or found
    if len(found) != 1:
        raise DataError(
            f"the model has {len(found) or 'no'} embeddings of {width} columns, as its LSTM reads; "
            "only one is imported"
        )
    return Embedding(found[0], rest.pop(f"{found[0]}.weight"))


def _dense(
    rest: Mapping[str, Array], width: int, *, in_order: bool
) -> Sequence[Dense | Normalization]:
    """Return the dense layers and normalizations.

    width: of what the first one reads. in_order: the names stand in the order in which the module
        defines its layers; otherwise their widths must tell it.
    """
    parts: dict[str, dict[str, Array]] = {}
    for name, array in rest.items():
        prefix, _, kind = name.rpartition(".")
        if array.ndim:  # counters are not weights
            parts.setdefault(prefix or name, {})[kind] = array
    found = [_dense_or_normalization(prefix, part) for prefix, part in parts.items()]
    names = ", ".join(layer.name for layer in found)
    orders: list[Sequence[Dense | Normalization]] = []
    if len(found) <= 6:  # the order of more is not looked for
        # The order of the names comes first, if their widths allow it.
        orders = [order for order in permutations(found) if _fit(order, width)]
    if not orders:
        raise DataError(
            f"the layers {names:.300} do not follow an LSTM that gives {width:,} values; give "
            "another --state; attention and other layers between them are not imported"
        )
    if len(orders) > 1 and not in_order:
        raise DataError(
            f"the layers {names} fit each other in several orders; save the state_dict with "
            "torch.save, which keeps their order"
        )
    return orders[0]


def _fit(layers: Sequence[Dense | Normalization], width: int) -> bool:
    """Whether each layer reads what the one before it gives. width: of what the first one reads."""
    for layer in layers:
        weights = layer.w if isinstance(layer, Dense) else layer.factors
        if len(weights) != width:
            return False
        width = weights.shape[-1]
    return True


def _dense_or_normalization(prefix: str, part: Mapping[str, Array]) -> Dense | Normalization:
    """Return the layer of these arrays. Raises DataError for another layer."""
    match part:
        case {"running_mean": mean, "running_var": variance}:
            scale = part.get("weight")
            # PyTorch's default of epsilon, which no file holds.
            return Normalization.of(prefix, mean, variance, 1e-5, scale, part.get("bias"))
    weight = part.get("weight", np.zeros(0))
    if weight.ndim != 2 or not set(part) <= {"weight", "bias"}:
        kind = "a convolution" if weight.ndim > 2 else "no dense layer"
        raise DataError(f"layer {prefix!r} is {kind} by its weights, and is not imported")
    return Dense(prefix, weight.T, part.get("bias", np.zeros(len(weight), np.float32)))
