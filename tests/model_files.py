"""Model files for tests: a small one (``data/make.py``) with other metadata, written without
onnx."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm import Classifier
from edge_lstm.core import onnx_file
from edge_lstm.core.modelfile import KEY_DIGEST, embedded_model

EMBEDDED = embedded_model()
# Of Keras's text rule, labels neg and pos, without a risk-coverage curve.
SMALL = Path(__file__).parent / "data" / "keras.int8.onnx"
DATA = SMALL.read_bytes()
compact = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))  # JSON as export writes it


def varint(number: int) -> bytes:
    """A protocol buffer's number."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(key: str, value: str) -> bytes:
    """One metadata entry of an ONNX file."""
    return field(14, field(1, key.encode()) + field(2, value.encode("utf-8", "surrogatepass")))


def encode(
    graph: bytes,
    metadata: Iterable[tuple[str, str]],
    *,
    opsets: dict[str, int] | None = None,
    producer: str = "edge-lstm",
    after: bytes = b"",
) -> bytes:
    """A file of these parts, as they are; ``after``: more fields behind them."""
    data = field(1, 8) + field(2, producer.encode()) + field(7, graph)
    for domain, version in (onnx_file.parse(DATA).opsets if opsets is None else opsets).items():
        data += field(8, field(1, domain.encode()) + field(2, version))
    return data + b"".join(entry(key, value) for key, value in metadata) + after


def edited(
    changes: dict[str, str | None] | None = None,
    *,
    graph: bytes | None = None,
    digest: str = "right",
    after: bytes = b"",
    opsets: dict[str, int] | None = None,
    of: bytes = DATA,
) -> bytes:
    """The small model with other metadata (keys without "edge_lstm."; None removes one) or graph.

    of: another file instead.
    digest: ``right`` for the edited file, ``old`` for that of the file before the edit, or
        ``none``.
    """
    onnx = onnx_file.parse(of)
    metadata: dict[str, str | None] = {
        **onnx.metadata,
        **{f"edge_lstm.{key}": value for key, value in (changes or {}).items()},
    }
    old = metadata.pop(KEY_DIGEST)
    kept = [(key, value) for key, value in metadata.items() if value is not None]
    if graph is None:
        graph = (
            graph_of_multi_label()
            if "edge_lstm.multi_label" in dict(kept) and of is DATA
            else bytes(onnx.graph)
        )
    data = encode(graph, kept, after=after, opsets=opsets)
    if digest == "right":
        return sealed(data)
    return data + (entry(KEY_DIGEST, old) if digest == "old" and old is not None else b"")


def loaded(data: bytes, name: str = "m.onnx") -> Classifier:
    """A file of the working folder with this content, loaded."""
    Path(name).write_bytes(data)
    return Classifier.load(name)


def curve(*points: tuple[float, int, int], **more: Any) -> str:
    """A risk-coverage curve. points: (threshold, texts answered, answered wrong)."""
    return json.dumps({"data": "validation part", "texts": points[0][1], "points": points, **more})


def multi_label(thresholds: object, **changes: str | None) -> dict[str, str | None]:
    """What to change of the small model for one that gives several labels per text, neg and pos."""
    network = json.loads(onnx_file.parse(DATA).metadata["edge_lstm.network"])
    both = {
        "multi_label": compact({"thresholds": thresholds}),
        "network": compact({**network, "multi_label": True}),
    }
    return {**both, **changes}


def graph_of_multi_label() -> bytes:
    """The small model's graph with a logit for each of its two labels: -z and z, of its one logit
    z."""
    parts = []
    logits = both = b""
    for number, value in onnx_file._fields(onnx_file.parse(DATA).graph):
        fields = list(onnx_file._fields(value)) if number in (1, 5) else []
        # the constant, and the operator that multiplies by it
        if any(v == b"signs" for _, v in fields):
            if number == 1:
                logits, _, both = (bytes(v) for n, v in fields if n in (1, 2))
            continue
        name = dict(fields).get(8) if number == 5 else None
        data = bytes(value) if not isinstance(value, int) else value
        if number == 1:
            data = message((n, logits if v == both else v) for n, v in fields)
        elif name == b"head_w":
            weights = np.frombuffer(dict(fields)[9], np.int8).reshape(-1, 1)
            data = tensor("head_w", 3, np.hstack([-weights, weights]))
        elif name == b"head_b":
            bias = np.frombuffer(dict(fields)[9], "<f4")
            data = tensor("head_b", 1, np.concatenate([-bias, bias]))
        parts.append(field(number, data))
    return b"".join(parts)


def graph_with(old: bytes, new: bytes) -> bytes:
    """The small model's graph with another name or operator in its operators."""
    parts = []
    for number, value in onnx_file._fields(onnx_file.parse(DATA).graph):
        if number == 1:
            value = message((n, new if v == old else v) for n, v in onnx_file._fields(value))
        parts.append((number, value))
    return message(parts)


def message(fields: Iterable[tuple[int, Any]]) -> bytes:
    """A protocol buffer message of these fields."""
    return b"".join(
        field(n, value if isinstance(value, int) else bytes(value)) for n, value in fields
    )


def tensor(name: str, kind: int, values: npt.NDArray[Any]) -> bytes:
    """A constant of a graph. kind: 1 float32, 3 int8."""
    dims = [(1, size) for size in values.shape]
    return message([*dims, (2, kind), (8, name.encode()), (9, values.tobytes())])


def sealed(data: bytes) -> bytes:
    """The file with its digest, as docs/file-format.md describes it to whoever writes a port."""
    data += entry(KEY_DIGEST, "0" * 64)[:-64]
    return data + hashlib.sha256(data).hexdigest().encode()
