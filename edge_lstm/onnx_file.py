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

_NOTHING = memoryview(b"")

# The name of a free axis without one.
_UNNAMED = memoryview(b"?")

# ModelProto: producer_version, domain, model_version.
_TEXT_FIELDS = (3, 4, 5)


class OnnxFileError(ValueError):
    """The bytes are not a complete protocol buffer message."""


class Tensor(NamedTuple):
    """A constant of the graph.

    name: its name.
    dtype: its element type, such as ``float32``.
    shape: its axes.
    nbytes: the bytes that an array of this type and shape takes.
    held: the bytes of raw data in the file, as the export writes them; None if the data is given in
        another form, or in another file.
    raw: the raw data, without a copy.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    held: int | None
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
    """The parts of a graph. sparse: whether it also holds sparse constants."""

    nodes: tuple[Node, ...]
    initializers: tuple[Tensor, ...]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    sparse: bool


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
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise OnnxFileError("number cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a message: an int for a varint, else the value's bytes."""
    at = count = 0
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
        elif kind == 1:
            size = 8
        elif kind == 5:
            size = 4
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


def _int(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise OnnxFileError("number expected")
    return value


def _message(value: int | memoryview) -> dict[int, int | memoryview]:
    """Parse a message. The last of several fields with one number counts."""
    return dict(_fields(_bytes(value)))


def parse(data: bytes) -> OnnxFile:
    """Parse an ONNX file's outermost message.

    Raises OnnxFileError if the bytes are not a protocol buffer message or end early. A repeated
    graph, opset or metadata key is an error too: readers disagree about which one to take.
    """
    ir_version = 0
    producer = ""
    graph = _NOTHING
    room = MAX_METADATA
    unexpected: list[int] = []
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    for number, value in _fields(memoryview(data)):
        if number == 1:
            ir_version = _int(value)
        elif number == 2:
            producer = _text(value)
        elif number == 7:
            if len(graph):
                raise OnnxFileError("two graphs")
            graph = _bytes(value)
        elif number == 8:
            opset = _message(value)
            domain = _text(opset.get(1, _NOTHING))
            if domain in opsets:
                raise OnnxFileError(f"two opsets of domain {domain[:40]!r}")
            opsets[domain] = _int(opset.get(2, 0))
        elif number == 14:
            entry = _message(value)
            key = _text(entry.get(1, _NOTHING))
            if key in metadata:
                raise OnnxFileError(f"metadata key {key[:40]!r} is there twice")
            text = entry.get(2, _NOTHING)
            metadata[key] = _text(text, room)
            room -= len(_bytes(text))
        elif number not in _TEXT_FIELDS:
            unexpected.append(number)
    return OnnxFile(ir_version, producer, opsets, metadata, graph, tuple(unexpected))


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


def _element_type(number: int) -> tuple[str, int]:
    """Return the name of an element type, and bytes per element, 0 if it is not expected."""
    return ELEMENT_TYPES.get(number, (f"type {number}", 0))


def _tensor(data: memoryview) -> Tensor:
    name = ""
    element = 0
    is_elsewhere = False
    dims: list[int] = []
    raw: memoryview | None = None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1:
            packed = _bytes(value)
            at = 0
            while at < len(packed) and len(dims) <= MAX_AXES:
                dim, at = _varint(packed, at)
                dims.append(dim)
        elif number == 2:
            element = _int(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        # segment, external_data, data_location
        elif number in (3, 13, 14):
            is_elsewhere = True
    if len(dims) > MAX_AXES:
        raise OnnxFileError("a constant of too many axes")
    dtype, size = _element_type(element)
    nbytes = size * math.prod(dims)
    if is_elsewhere:
        raw = None
    held = None if raw is None else len(raw)
    return Tensor(name, dtype, tuple(dims), nbytes, held, raw or _NOTHING)


def _node(data: memoryview) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    op_types = [""]
    domains = [""]
    texts = {1: inputs, 2: outputs, 4: op_types, 7: domains}
    for number, value in _fields(data):
        if number in texts:
            texts[number].append(_text(value))
    return Node(op_types[-1], domains[-1], tuple(inputs), tuple(outputs), len(data))


def _value_info(data: memoryview) -> ValueInfo:
    shape: list[int | str] = []
    info = _message(data)
    any_type = _message(info.get(2, _NOTHING))
    tensor_type = _message(any_type.get(1, _NOTHING))
    dtype, _ = _element_type(_int(tensor_type.get(1, 0)))
    for number, value in _fields(_bytes(tensor_type.get(2, _NOTHING))):
        if number == 1:
            axis = _message(value)
            shape.append(_int(axis[1]) if 1 in axis else _text(axis.get(2, _UNNAMED)))
            if len(shape) > MAX_AXES:
                raise OnnxFileError("an input or output of too many axes")
    return ValueInfo(_text(info.get(1, _NOTHING)), dtype, tuple(shape))


def parse_graph(data: memoryview) -> Graph:
    """Parse an encoded graph: its nodes, constants, inputs and outputs.

    Raises OnnxFileError as :func:`parse`.
    """
    nodes: list[memoryview] = []
    initializers: list[memoryview] = []
    inputs: list[memoryview] = []
    outputs: list[memoryview] = []
    sparse: list[memoryview] = []
    parts = {1: nodes, 5: initializers, 11: inputs, 12: outputs, 15: sparse}
    for number, value in _fields(data):
        if number in parts:
            parts[number].append(_bytes(value))
    return Graph(
        inputs=tuple(map(_value_info, inputs)),
        outputs=tuple(map(_value_info, outputs)),
        nodes=tuple(map(_node, nodes)),
        initializers=tuple(map(_tensor, initializers)),
        sparse=bool(sparse),
    )
