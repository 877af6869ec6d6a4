"""Model files for tests: a small one (``data/make.py``) with other metadata, written without onnx."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from edge_lstm import onnx_file
from edge_lstm.modelfile import KEY_DIGEST

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
) -> bytes:
    """The small model with other metadata (keys without "edge_lstm."; None removes one) or graph.

    digest: ``right`` for the edited file, ``old`` for that of the file before the edit, or ``none``.
    """
    onnx = onnx_file.parse(DATA)
    metadata: dict[str, str | None] = {
        **onnx.metadata,
        **{f"edge_lstm.{key}": value for key, value in (changes or {}).items()},
    }
    old = metadata.pop(KEY_DIGEST)
    kept = [(key, value) for key, value in metadata.items() if value is not None]
    data = encode(onnx.graph if graph is None else graph, kept, after=after, opsets=opsets)
    if digest == "right":
        return sealed(data)
    return data + (entry(KEY_DIGEST, old) if digest == "old" and old is not None else b"")


def several(thresholds: object, **changes: str | None) -> dict[str, str | None]:
    """What to change of the small model for one that gives several labels per text, neg and pos."""
    network = json.loads(onnx_file.parse(DATA).metadata["edge_lstm.network"])
    both = {"several": compact({"thresholds": thresholds}), "network": compact({**network, "several": True})}
    return {**both, **changes}


def sealed(data: bytes) -> bytes:
    """The file with its digest, as docs/file-format.md describes it to whoever writes a port."""
    data += entry(KEY_DIGEST, "0" * 64)[:-64]
    return data + hashlib.sha256(data).hexdigest().encode()
