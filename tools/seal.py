"""Gives a model file made by edge-lstm 0.1 the digest of the whole file; nothing else of it changes.

    .venv/bin/python tools/seal.py old.onnx new.onnx

Only for a file known to be good: the digest says that it stays as it is now, not that it ever was right.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

from edge_lstm.modelfile import KEY_DIGEST, UNSEALED, open_model, seal


def sealed(path: Path) -> bytes:
    """The bytes of a model file, checked, with the digest as the first entry of its metadata."""
    opened = open_model(path)
    if opened.sealed:
        return opened.data
    model = onnx.load_model_from_string(opened.data)
    entries = [onnx.StringStringEntryProto(key=KEY_DIGEST, value=UNSEALED), *model.metadata_props]
    del model.metadata_props[:]
    model.metadata_props.extend(entries)
    return seal(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    source, target = sys.argv[1:]
    Path(target).write_bytes(sealed(Path(source)))
