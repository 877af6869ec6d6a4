"""tools/seal.py: a file of 0.1 gets the digest of the whole file and keeps everything else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from model_files import DATA, edited

from edge_lstm.errors import DamagedModelFileError
from edge_lstm.modelfile import KEY_DIGEST, parse_model

sys.path.append(str(Path(__file__).parents[2] / "tools"))
from seal import sealed


def test_a_file_of_0_1_gets_the_digest_and_keeps_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(edited(digest="none"))
    old, new = parse_model(path.read_bytes(), path), parse_model(sealed(path), path)
    assert new.sealed
    rest = {key: value for key, value in new.onnx.metadata.items() if key != KEY_DIGEST}
    assert rest == old.onnx.metadata
    assert new.onnx.graph == old.onnx.graph
    blank = {"path": path, "data": b"", "onnx": old.onnx}
    assert replace(new, **blank) == replace(old, **blank)


def test_a_sealed_file_stays_as_it_is_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(DATA)
    assert sealed(path) == DATA
    path.write_bytes(edited({"labels": '["pos","neg"]'}, digest="old"))
    with pytest.raises(DamagedModelFileError):
        sealed(path)
