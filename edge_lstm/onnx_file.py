"""Reads an ONNX file's structure without the onnx package.

An ONNX file is one protocol buffer message. A device needs little of it (metadata, names, shapes,
sizes), so this reads the wire format directly: field numbers are those of ``onnx.proto3``, the
encoding that of https://protobuf.dev/programming-guides/encoding/.
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
    6: ("int32", 4),
    7: ("int64", 8),
    9: ("bool", 1),
}
# Far above any file of this kind: one that was made to keep a reader busy is refused at once.
MAX_FIELDS, MAX_AXES = 256, 8  # of a message, of a constant
MAX_NAME = 1_000  # bytes
MAX_METADATA = 96 * 2**20  # bytes of all metadata together; a str may take four times as many
_NOTHING = memoryview(b"")
_TEXT_FIELDS = (3, 4, 5)  # ModelProto: producer_version, domain, model_version


class OnnxFileError(ValueError):
    """The bytes are no complete protocol buffer message."""


class Tensor(NamedTuple):
    """A constant of the graph: name, element type, shape, and the size in bytes that these ask for.

    held: how many bytes of it the file holds as raw data, as the export writes them; None where its
        data is
    given in another way, or in another file. raw: these bytes, without a copy.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    held: int | None
    raw: memoryview


class Node(NamedTuple):
    """An operator of the graph with the names of its inputs and outputs. nbytes: its encoded
    size."""

    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nbytes: int


class ValueInfo(NamedTuple):
    """A graph input or output; an axis is a number, or a name where it is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Graph(NamedTuple):
    """What the graph is made of. sparse: whether it holds sparse constants too."""

    nodes: tuple[Node, ...]
    initializers: tuple[Tensor, ...]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    sparse: bool


class OnnxFile(NamedTuple):
    """The outermost message of an ONNX file; ``graph`` is still encoded (see :func:`parse_graph`),
    a view of the file's bytes.

    others: numbers of the fields beside these and the texts that name the file's producer and
        version.
    """

    ir_version: int
    producer: str
    opsets: dict[str, int]
    metadata: dict[str, str]
    graph: memoryview
    others: tuple[int, ...]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
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
    """(field number, value) of a message: its bytes for length-delimited fields, int for the
    others."""
    at = count = 0
    while at < len(data):
        count += 1
        if count > MAX_FIELDS:
            raise OnnxFileError("far more fields than a model has")
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
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
    """most: bytes; a longer text is refused before it is decoded."""
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


def parse(data: bytes) -> OnnxFile:
    """An ONNX file's bytes → its outermost message.

    Raises OnnxFileError where the bytes are no protocol buffer message or end early, and where they
    say
    something twice: readers differ in which of the two they take.
    """
    ir_version, producer, graph = 0, "", _NOTHING
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
            opset = dict(_fields(_bytes(value)))
            domain = _text(opset.get(1, _NOTHING))
            if domain in opsets:
                raise OnnxFileError(f"two opsets of domain {domain[:40]!r}")
            opsets[domain] = _int(opset.get(2, 0))
        elif number == 14:
            entry = dict(_fields(_bytes(value)))
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
    """The producer's name, read as far as the bytes go: also from a file that is cut short."""
    try:
        for number, value in _fields(memoryview(data)):
            if number == 2:
                return _text(value)
            if number > 2:
                break
    except OnnxFileError:
        pass
    return ""


def _tensor(data: memoryview) -> Tensor:
    name, element, elsewhere = "", 0, False
    dims: list[int] = []
    raw: memoryview | None = None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1:
            packed, at = _bytes(value), 0
            while at < len(packed) and len(dims) <= MAX_AXES:
                dim, at = _varint(packed, at)
                dims.append(dim)
        elif number == 2:
            element = _int(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        elif number in (3, 13, 14):  # segment, external_data, data_location
            elsewhere = True
    if len(dims) > MAX_AXES:
        raise OnnxFileError("a constant of too many axes")
    dtype, size = ELEMENT_TYPES.get(element, (f"type {element}", 0))
    nbytes = size * math.prod(dims)
    if elsewhere or raw is None:
        return Tensor(name, dtype, tuple(dims), nbytes, None, _NOTHING)
    return Tensor(name, dtype, tuple(dims), nbytes, len(raw), raw)


def _node(data: memoryview) -> Node:
    # inputs, outputs, op_type, domain
    texts: dict[int, list[str]] = {1: [], 2: [], 4: [""], 7: [""]}
    for number, value in _fields(data):
        if number in texts:
            texts[number].append(_text(value))
    return Node(texts[4][-1], texts[7][-1], tuple(texts[1]), tuple(texts[2]), len(data))


def _value_info(data: memoryview) -> ValueInfo:
    shape: list[int | str] = []
    info = dict(_fields(data))
    tensor_type = dict(
        _fields(_bytes(dict(_fields(_bytes(info.get(2, _NOTHING)))).get(1, _NOTHING)))
    )
    element = _int(tensor_type.get(1, 0))
    dtype = ELEMENT_TYPES.get(element, (f"type {element}", 0))[0]
    for number, value in _fields(_bytes(tensor_type.get(2, _NOTHING))):
        if number == 1:
            axis = dict(_fields(_bytes(value)))
            shape.append(_int(axis[1]) if 1 in axis else _text(axis.get(2, memoryview(b"?"))))
            if len(shape) > MAX_AXES:
                raise OnnxFileError("an input or output of too many axes")
    return ValueInfo(_text(info.get(1, _NOTHING)), dtype, tuple(shape))


def parse_graph(data: memoryview) -> Graph:
    """An encoded graph → its nodes, constants, inputs and outputs. Raises OnnxFileError as
    :func:`parse`."""
    # Nodes, constants, inputs, outputs, sparse constants.
    parts: dict[int, list[memoryview]] = {1: [], 5: [], 11: [], 12: [], 15: []}
    for number, value in _fields(data):
        if number in parts:
            parts[number].append(_bytes(value))
    inputs, outputs = (tuple(map(_value_info, parts[number])) for number in (11, 12))
    return Graph(
        tuple(map(_node, parts[1])), tuple(map(_tensor, parts[5])), inputs, outputs, bool(parts[15])
    )
