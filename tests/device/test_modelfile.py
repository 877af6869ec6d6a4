"""A model file: opened, checked, refused with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import json_of
from hypothesis import given
from hypothesis import strategies as st
from model_files import DATA, entry, loaded, sealed

from edge_lstm import Classifier
from edge_lstm.errors import NotAModelFileError


def test_the_embedded_model_says_everything_of_itself() -> None:
    facts = json_of("inspect")
    assert facts["precision"] == "int8"
    assert facts["inputs"] == [{"name": "input_ids", "dtype": "int32", "shape": ["batch", 600]}]
    assert facts["outputs"] == [
        {"name": "probabilities", "dtype": "float32", "shape": ["batch", 2]}
    ]
    assert facts["labels"] == ["neg", "pos"]
    assert facts["operators"]["com.microsoft.DynamicQuantizeLSTM"] == 1
    assert facts["bytes"] < 1_000_000


def test_the_digest_is_what_the_documentation_says() -> None:
    assert sealed(DATA[: -len(entry("edge_lstm.digest", "0" * 64))]) == DATA


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NotAModelFileError):
        loaded(data)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["out/a.onnx", "b.onnx"], ["a.onnx", "b.onnx"]),
        (["x/1/m.onnx", "x/2/m.onnx"], ["1/m.onnx", "2/m.onnx"]),
        (["m.onnx", "x/m.onnx"], ["m.onnx", "x/m.onnx"]),
    ],
)
def test_models_of_one_file_name_are_told_apart_by_their_folders(
    paths: list[str], names: list[str]
) -> None:
    models = []
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DATA)
        models += ["-m", path]
    Path("data.csv").write_text("text,label\ngood,pos\n")
    found = json_of("evaluate", "data.csv", *models)["models"]
    assert [model["name"] for model in found] == names


def test_a_file_above_512_mib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    path.write_bytes(b"\x08")
    os.truncate(path, 512 * 2**20 + 1)  # a hole: nothing is on the disk
    with pytest.raises(NotAModelFileError, match="is too large"):
        Classifier.load(path)
