"""A safetensors file with its own digest: a file that was changed or cut short is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.numpy import load
from safetensors.torch import save

from edge_lstm.core.modelfile import PRODUCER
from edge_lstm.core.onnx_file import producer_of
from edge_lstm.errors import DataError, read_error
from edge_lstm.system.atomic import write_atomically
from edge_lstm.system.os_file import open_regular
from edge_lstm_export.bounded import Contents, bounded

_KEY = "edge_lstm_checkpoint"
HEADER_BYTES = 8  # of a safetensors file: the length of its header in JSON
# Metadata stand first in a safetensors file, behind the length of its header. They begin with the
# digest.
_DIGEST = re.compile(
    rb'.{8}\{"__metadata__":\{"edge_lstm_checkpoint":"\{\\"sha256\\": \\"([0-9a-f]{64})\\"',
    re.DOTALL,
)
# The only format so far.
CHECKPOINT_FORMAT = 1


def write_sealed(
    tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any], path: Path
) -> None:
    """Write tensors and their description, JSON values, with the format and a digest.

    The file appears under its name only when complete.

    Raise OutputError.
    """
    head = {"sha256": "0" * 64, "format": CHECKPOINT_FORMAT}
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    data = save(contiguous, {_KEY: json.dumps({**head, **description})})
    write_atomically(sealed(data), path, parents=True)


def sealed(data: bytes) -> bytes:
    """Return a checkpoint's bytes with the SHA-256 of all others in its place.

    ValueError without one.
    """
    place = _DIGEST.match(data)
    if place is None:
        raise ValueError("no digest")
    before = data[: place.start(1)]
    after = data[place.end(1) :]
    return before + hashlib.sha256(before + after).hexdigest().encode() + after


def read_sealed(
    path: Path, advice: str = "train it again"
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read what :func:`write_sealed` has written: the description and the tensors.

    advice: what to do about a damaged file.

    Raise DataError if it is damaged, of another kind, or takes more memory or time than its size
    allows.
    """
    description, arrays = bounded(path, lambda: _unsealed(path, advice))
    return description, {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _unsealed(path: Path, advice: str) -> Contents:
    """Return the description and the arrays of :func:`read_sealed`."""
    try:
        with open_regular(path) as file:
            data = file.read()
    except OSError as error:
        raise read_error(path, error) from None
    with damage(path, advice):
        if producer_of(data) == PRODUCER:
            raise DataError(
                f"{path} is a model file already; give the checkpoint that it was made from"
            )
        end = HEADER_BYTES + int.from_bytes(data[:HEADER_BYTES], "little")
        if end > 2**24:
            raise DataError(f"{path} holds no checkpoint, or is cut short; {advice}")
        tensors = load(data)
        metadata = json.loads(data[HEADER_BYTES:end]).get("__metadata__", {})
        if _KEY not in metadata:
            raise DataError(
                f"{path} comes from another project; give a checkpoint of 'edge-lstm train'"
            )
        description = json.loads(metadata[_KEY])
        if description["format"] != CHECKPOINT_FORMAT:
            raise DataError(f"{path} was made by another version; {advice}, or upgrade edge-lstm")
        if not _DIGEST.match(data) or sealed(data) != data:
            raise DataError(f"{path} was changed after it was written; copy it again, or {advice}")
        return description, tensors


@contextmanager
def damage(path: Path, advice: str) -> Iterator[None]:
    """Whatever a damaged file raises within the block, as a DataError of one line."""
    try:
        yield
    except SafetensorError as error:
        raise DataError(
            f"{path} holds no checkpoint, or is cut short ({error}); {advice}"
        ) from None
    except (KeyError, ValueError, TypeError, RuntimeError, RecursionError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: its parts do not fit together ({reason}); {advice}") from None
