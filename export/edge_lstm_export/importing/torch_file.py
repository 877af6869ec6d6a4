"""The tensors in a file of torch.save, read without PyTorch, and without running anything of it.

Two layouts: a zip archive with a pickle and a file for each storage, and, before PyTorch 1.6,
pickles one after the other with the storages behind them. See torch/serialization.py.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from safetensors import deserialize

from edge_lstm.errors import DataError
from edge_lstm_export.importing.files import MOST_CONFIG_BYTES, open_zip, readable
from edge_lstm_export.importing.inert_pickle import InertUnpickler, inert
from edge_lstm_export.importing.model import Array, check_size

# NumPy's types of the classes of storages; bfloat16 is the upper half of a float32.
_BFLOAT16 = "bfloat16"
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# The same by safetensors' names.
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": _BFLOAT16, "I64": "<i8"}
_SAFETENSORS |= {"I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LENGTH = 8  # bytes of the number of a storage's numbers
_SAVE = "save the weights alone: torch.save(model.state_dict(), …)"


@dataclass(frozen=True)
class Tensor:
    """A tensor as a pickle has it: its place in a storage.

    storage: its key and the class of its numbers. offset, size, stride: in numbers.
    """

    storage: tuple[str, str]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, storages: Callable[[str], bytes]) -> Array:
        """Return its numbers as float32. storages: the bytes of a key. Raises ValueError."""
        key, kind = self.storage
        check_size(math.prod(self.size), "the model")
        numbers = _numbers(storages(key), _DTYPES[kind])
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride))
        if min((*self.size, *self.stride, self.offset), default=0) < 0 or last >= len(numbers):
            if math.prod(self.size):
                raise ValueError("a tensor lies beyond its storage")
            return np.zeros(self.size, np.float32)
        steps = [step * numbers.itemsize for step in self.stride]
        placed = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.size, steps)
        return np.array(placed, np.float32)


def _numbers(data: bytes, dtype: str) -> Array:
    """Return numbers of one of the types above, in a type of NumPy. Raises ValueError."""
    if dtype == _BFLOAT16:
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, dtype)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """Return what torch._utils._rebuild_tensor_v2 makes a tensor of. Raises ValueError."""
    whole = [offset, *size, *stride]
    is_placed = isinstance(storage, tuple) and all(type(each) is int for each in whole)
    if len(size) != len(stride) or not is_placed:
        raise ValueError("a tensor without a place")
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _parameter(data: Any, *_: Any) -> Any:
    """Return the tensor of a torch.nn.Parameter."""
    return data


def _size(values: Any = ()) -> tuple[Any, ...]:
    """Return a torch.Size."""
    return tuple(values)


_CLASSES: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _size,
    ("torch", "device"): _size,
    # A storage's class is its name, which persistent_load reads.
    **{("torch", name): name for name in _DTYPES},
}


class _Unpickler(InertUnpickler):
    """Reads tensors without their numbers. kinds: the class of each storage, by its key."""

    classes: ClassVar = {**InertUnpickler.classes, **_CLASSES}

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.kinds: dict[str, str] = {}

    def persistent_load(self, saved: Any) -> tuple[str, str]:
        """Return the key and the class of a storage. Raises ValueError for anything else."""
        match saved:
            case ("storage", str(kind), str(key), *_) if kind in _DTYPES:
                self.kinds[key] = kind
                return key, kind
        raise ValueError("a storage of another kind")


def read(path: Path) -> dict[str, Array]:
    """Return the tensors of a state_dict in a file, float32 by name, in their order.

    The state_dict is the file's value, or one among the values of a dict.

    Raises DataError for a file of anything else.
    """
    data = path.read_bytes()
    with inert(str(path), _SAVE):
        value, storages = _of_archive(path) if data.startswith(b"PK") else _of_pickles(data)
        for state in (value, *(value.values() if isinstance(value, Mapping) else ())):
            if isinstance(state, Mapping) and any(isinstance(v, Tensor) for v in state.values()):
                tensors = {str(name): v for name, v in state.items() if isinstance(v, Tensor)}
                check_size(sum(math.prod(each.size) for each in tensors.values()), str(path))
                return {name: each.array(storages) for name, each in tensors.items()}
    raise DataError(f"{path} holds no state_dict; {_SAVE}")


def read_safetensors(path: Path) -> dict[str, Array]:
    """Return the tensors of a .safetensors file, float32 by name.

    Raises DataError for a damaged one, and for numbers that are not real.
    """
    data = path.read_bytes()
    if int.from_bytes(data[:_LENGTH], "little") > MOST_CONFIG_BYTES:
        raise DataError(f"{path} has a header that is far too large; save the weights again")
    arrays = {}
    with readable(path):
        for name, tensor in deserialize(data):  # type: ignore[no-untyped-call]
            if tensor["dtype"] not in _SAFETENSORS:
                raise DataError(f"{name} holds {tensor['dtype']}, which is not imported; {_SAVE}")
            numbers = _numbers(tensor["data"], _SAFETENSORS[tensor["dtype"]])
            arrays[name] = numbers.reshape(tensor["shape"]).astype(np.float32)
    return dict(sorted(arrays.items()))


def _of_archive(path: Path) -> tuple[Any, Callable[[str], bytes]]:
    """Return what an archive holds, and what gives the bytes of a storage."""
    with open_zip(path) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    if members.get("byteorder", b"little") != b"little":
        raise ValueError("it was written on a big-endian machine")
    value = _Unpickler(io.BytesIO(members["data.pkl"])).load()
    return value, lambda key: members[f"data/{key}"]


def _of_pickles(data: bytes) -> tuple[Any, Callable[[str], bytes]]:
    """Return what a file of PyTorch before 1.6 holds, and what gives the bytes of a storage."""
    file = io.BytesIO(data)
    magic, _version, _system = (InertUnpickler(file).load() for _ in range(3))
    if magic != _LEGACY_MAGIC:
        raise ValueError("torch.save did not write it")
    unpickler = _Unpickler(file)
    value = unpickler.load()
    storages = {}
    for key in InertUnpickler(file).load():
        numbers = int.from_bytes(file.read(_LENGTH), "little")
        storages[key] = file.read(numbers * _bytes_of(unpickler.kinds[key]))
    return value, storages.__getitem__


def _bytes_of(kind: str) -> int:
    """Return the bytes of a number in a storage of this class."""
    dtype = _DTYPES[kind]
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize
