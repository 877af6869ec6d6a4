"""ONNX files: their structure, read without the onnx package.

An ONNX file is one protocol buffer message. A device needs little of it (metadata, names, shapes,
sizes), so this reads the wire format directly. Field numbers are from ``onnx.proto3``, the encoding
is described at https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

# TensorProto.DataType → (name, bytes per element)
ELEMENT_TYPES = {
    1: ("float32", 4),
    2: ("uint8", 1),
    3: ("int8", 1),
    4: ("uint16", 2),
    6: ("int32", 4),
    7: ("int64", 8),
    9: ("bool", 1),
}
# Limits far above any file of this kind. A file that was made to keep a reader busy is refused at
# once.

# Fields of a message.
MAX_FIELDS = 256

# Axes of a constant, an input or an output.
MAX_AXES = 8

# Bytes of a name.
MAX_NAME = 1_000

# Bytes of all metadata together. A str may take four times as many.
MAX_METADATA = 96 * 2**20

# ModelProto: ir_version, producer_name, producer_version, domain, model_version, graph,
# opset_import, metadata_props.
_KNOWN_FIELDS = (1, 2, 3, 4, 5, 7, 8, 14)

# The wire types of 8 and 4 bytes.
_FIXED_SIZES = {1: 8, 5: 4}


class OnnxFileError(ValueError):
    """The bytes are not a complete protocol buffer message."""


class Tensor(NamedTuple):
    """A constant of the graph.

    dtype: its element type, such as ``float32``.
    shape: its axes.
    raw: its values, little-endian: a view of the file's bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    raw: memoryview


class Node(NamedTuple):
    """An operator of the graph.

    op_type, domain: the operator; ONNX's own have an empty domain.
    inputs, outputs: their names.
    nbytes: its encoded size.
    """

    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nbytes: int


class ValueInfo(NamedTuple):
    """A graph input or output. An axis is a number, or the name of a free axis."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Graph(NamedTuple):
    """The parts of a graph. constants: by name."""

    nodes: tuple[Node, ...]
    constants: dict[str, Tensor]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]


class OnnxFile(NamedTuple):
    """The outermost message of an ONNX file.

    opsets: the version of each domain's operators.
    graph: a view of the file's bytes, still encoded (see :func:`parse_graph`).
    others: numbers of unexpected fields, all but these and the texts about producer and version.
    """

    ir_version: int
    producer: str
    opsets: dict[str, int]
    metadata: dict[str, str]
    graph: memoryview
    others: tuple[int, ...]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that starts at ``at``, and its end."""
    value = 0
    shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise OnnxFileError("number cut short")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a message: an int for a varint, else the value's bytes."""
    at = 0
    count = 0
    while at < len(data):
        count += 1
        if count > MAX_FIELDS:
            raise OnnxFileError("far more fields than a model has")
        key, at = _varint(data, at)
        number = key >> 3
        kind = key & 7
        if number == 0:
            raise OnnxFileError("field number 0")
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise OnnxFileError(f"wire type {kind}")
        if at + size > len(data):
            raise OnnxFileError("field cut short")
        at += size
        yield number, data[at - size : at]


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise OnnxFileError("text or message expected")
    return value


def _text(value: int | memoryview, most: int = MAX_NAME) -> str:
    """Decode a text. most: bytes; a longer text is refused before."""
    data = _bytes(value)
    if len(data) > most:
        raise OnnxFileError("far longer texts than a model has")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise OnnxFileError("text is not UTF-8") from error


class _Message:
    """The fields of a message by their numbers; a missing one is empty, or 0.

    If a field that is to be there once is there several times, the last one counts.
    """

    def __init__(self, data: int | memoryview) -> None:
        self.nbytes = len(_bytes(data))
        self.fields: dict[int, list[int | memoryview]] = {}
        for number, value in _fields(_bytes(data)):
            self.fields.setdefault(number, []).append(value)

    def all(self, field: int) -> list[int | memoryview]:
        return self.fields.get(field, [])

    def last(self, field: int, default: int | memoryview) -> int | memoryview:
        return self.fields[field][-1] if field in self.fields else default

    def number(self, field: int) -> int:
        value = self.last(field, 0)
        if not isinstance(value, int):
            raise OnnxFileError("number expected")
        return value

    def bytes(self, field: int) -> memoryview:
        return _bytes(self.last(field, memoryview(b"")))

    def text(self, field: int, most: int = MAX_NAME) -> str:
        return _text(self.bytes(field), most)

    def texts(self, field: int) -> tuple[str, ...]:
        return tuple(map(_text, self.all(field)))

    def message(self, field: int) -> _Message:
        return _Message(self.bytes(field))

    def messages(self, field: int) -> list[_Message]:
        return list(map(_Message, self.all(field)))


def parse(data: bytes) -> OnnxFile:
    """Parse an ONNX file's outermost message.

    Raises OnnxFileError if the bytes are not a protocol buffer message or end early. A repeated
    graph, opset or metadata key is an error too: readers disagree about which one to take.
    """
    file = _Message(memoryview(data))
    others = tuple(number for number in file.fields if number not in _KNOWN_FIELDS)
    if len(file.all(7)) > 1:
        raise OnnxFileError("two graphs")
    opsets: dict[str, int] = {}
    for opset in file.messages(8):
        domain = opset.text(1)
        if domain in opsets:
            raise OnnxFileError(f"two opsets of domain {domain[:40]!r}")
        opsets[domain] = opset.number(2)
    room = MAX_METADATA
    metadata: dict[str, str] = {}
    for entry in file.messages(14):
        key = entry.text(1)
        if key in metadata:
            raise OnnxFileError(f"metadata key {key[:40]!r} is there twice")
        metadata[key] = entry.text(2, room)
        room -= len(entry.bytes(2))
    return OnnxFile(file.number(1), file.text(2), opsets, metadata, file.bytes(7), others)


def producer_of(data: bytes) -> str:
    """Return the producer's name, even of a file that is cut short; empty if it has none."""
    try:
        for number, value in _fields(memoryview(data)):
            if number == 2:
                return _text(value)
            if number > 2:
                break
    except OnnxFileError:
        pass
    return ""


def parse_graph(data: memoryview) -> Graph:
    """Parse an encoded graph: its nodes, constants, inputs and outputs.

    Raises OnnxFileError as :func:`parse`, and for two constants of one name, sparse ones, and ones
    whose values are not in the file.
    """
    graph = _Message(data)
    if 15 in graph.fields:
        raise OnnxFileError("it has sparse constants")
    tensors = graph.messages(5)
    constants = {tensor.text(8): _tensor(tensor) for tensor in tensors}
    if len(constants) < len(tensors):
        raise OnnxFileError("it has two constants of one name")
    return Graph(
        inputs=tuple(map(_value_info, graph.messages(11))),
        outputs=tuple(map(_value_info, graph.messages(12))),
        nodes=tuple(map(_node, graph.messages(1))),
        constants=constants,
    )


def _element_type(number: int) -> tuple[str, int]:
    """Return the name of an element type, and bytes per element, 0 if it is not expected."""
    return ELEMENT_TYPES.get(number, (f"type {number}", 0))


def _tensor(tensor: _Message) -> Tensor:
    name = f"constant {tensor.text(8)[:40]!r}"
    dims: list[int] = []
    for value in tensor.all(1):
        if isinstance(value, int):
            dims.append(value)
            continue
        at = 0
        while at < len(value) and len(dims) <= MAX_AXES:
            dim, at = _varint(value, at)
            dims.append(dim)
    if len(dims) > MAX_AXES:
        raise OnnxFileError(f"{name} has too many axes")
    raw = tensor.bytes(9)
    dtype, size = _element_type(tensor.number(2))
    # Segments, external data and the place of data say that it is elsewhere.
    if 9 not in tensor.fields or not {3, 13, 14}.isdisjoint(tensor.fields):
        raise OnnxFileError(f"{name} is not in the file")
    if len(raw) != size * math.prod(dims):
        raise OnnxFileError(f"{name} does not fit its shape")
    return Tensor(dtype, tuple(dims), raw)


def _node(node: _Message) -> Node:
    return Node(
        op_type=node.text(4),
        domain=node.text(7),
        inputs=node.texts(1),
        outputs=node.texts(2),
        nbytes=node.nbytes,
    )


def _value_info(info: _Message) -> ValueInfo:
    tensor_type = info.message(2).message(1)
    dtype, _ = _element_type(tensor_type.number(1))
    axes = tensor_type.message(2).messages(1)
    if len(axes) > MAX_AXES:
        raise OnnxFileError("an input or output of too many axes")
    shape = tuple(axis.number(1) if 1 in axis.fields else axis.text(2) for axis in axes)
    return ValueInfo(info.text(1), dtype, shape)
