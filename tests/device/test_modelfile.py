"""A model file: opened, checked, refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import DATA, edited, entry, field, sealed

from edge_lstm import modelfile
from edge_lstm.errors import (
    DamagedModelFileError,
    DataError,
    EdgeLSTMError,
    NewerFormatError,
    NotAModelFileError,
)
from edge_lstm.modelfile import describe, open_model, parse_model

HERE = Path("model.onnx")


def with_metadata(**changes: str | None) -> bytes:
    """The embedded model with other metadata, as if it had been exported so."""
    return edited(changes)


def test_the_embedded_model_says_everything_of_itself() -> None:
    facts = describe(open_model())
    assert facts["precision"] == "int8"
    assert facts["inputs"] == [{"name": "input_ids", "dtype": "int32", "shape": ["batch", 600]}]
    assert facts["outputs"] == [{"name": "probabilities", "dtype": "float32", "shape": ["batch", 2]}]
    assert facts["labels"] == ["neg", "pos"]
    assert "com.microsoft.DynamicQuantizeLSTM" in {row["operator"] for row in facts["operators"]}
    held = sum(row["bytes"] for row in facts["operators"]) + facts["metadata_bytes"]
    assert held < facts["bytes"] < 1_000_000
    json.dumps(facts)


def test_rewritten_metadata_is_read_back() -> None:
    assert parse_model(with_metadata(labels='["a","b"]'), HERE).labels == ("a", "b")


@pytest.mark.parametrize("keep", [0, 1, 10, 1000, len(DATA) // 2, len(DATA) - 20000, len(DATA) - 1])
def test_a_file_cut_short_is_refused(keep: int) -> None:
    with pytest.raises(
        (DamagedModelFileError, NotAModelFileError), match=r"cut short|damaged|not an ONNX|empty|metadata"
    ):
        parse_model(DATA[:keep], HERE)


SWAPPED = {"labels": '["pos","neg"]'}


@pytest.mark.parametrize("key", ["tokenizer", "vocabulary", "labels", "network", "quantization", "golden"])
def test_metadata_changed_after_the_file_was_written_is_noticed(key: str) -> None:
    value = SWAPPED.get(key) or modelfile.onnx_file.parse(DATA).metadata[f"edge_lstm.{key}"] + " "
    with pytest.raises(DamagedModelFileError, match="changed after it was written"):
        parse_model(edited({key: value}, digest="old"), HERE)


@pytest.mark.parametrize("digest", ["", "0" * 64, "g" * 64, "é" * 32])
def test_a_digest_that_is_none_is_damage(digest: str) -> None:
    with pytest.raises(DamagedModelFileError, match="changed after it was written"):
        parse_model(edited({"digest": digest}, digest="old"), HERE)
    with pytest.raises(DamagedModelFileError, match="changed after it was written"):
        parse_model(edited(digest="none"), HERE)


def test_the_digest_is_what_the_documentation_says() -> None:
    assert sealed(DATA[: -len(entry("edge_lstm.digest", "0" * 64))]) == DATA


def test_a_metadata_key_given_twice_is_damage() -> None:
    with pytest.raises(DamagedModelFileError, match="twice"):
        parse_model(edited(after=entry("edge_lstm.labels", '["pos","neg"]')), HERE)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(DATA) - 1), value=st.integers(0, 255))
def test_a_changed_byte_anywhere_never_ends_in_a_traceback(at: int, value: int) -> None:
    data = bytearray(DATA)
    data[at] = value
    try:
        parse_model(bytes(data), HERE)
    except EdgeLSTMError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NotAModelFileError):
        parse_model(data, HERE)


def test_a_newer_format_says_how_to_upgrade() -> None:
    with pytest.raises(NewerFormatError, match="pip install -U edge-lstm"):
        parse_model(with_metadata(format="11"), HERE)


@pytest.mark.parametrize("key", ["tokenizer", "vocabulary", "labels"])
def test_missing_metadata_is_damage(key: str) -> None:
    with pytest.raises(DamagedModelFileError):
        parse_model(with_metadata(**{key: None}), HERE)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": "[1"},
        {"labels": '["only one"]'},
        {"tokenizer": "{}"},
        {"tokenizer": '{"lowercase":"turkish"}'},
        {"golden": "7"},
        {"format": "one"},
    ],
)
def test_unusable_metadata_is_damage(changes: dict[str, str]) -> None:
    with pytest.raises(DamagedModelFileError):
        parse_model(with_metadata(**changes), HERE)


def test_an_onnx_file_of_another_project_is_refused() -> None:
    data = b"\x08\x08" + field(2, b"pytorch") + field(7, b"")
    with pytest.raises(NotAModelFileError, match="not a model file of edge-lstm"):
        parse_model(data, HERE)


def test_another_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfile, "INPUT_NAME", "tokens")
    with pytest.raises(NotAModelFileError, match=r"asks for another input \(input_ids int32"):
        open_model()


def test_paths_that_hold_no_model_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no model file at"):
        open_model(tmp_path / "missing.onnx")
    with pytest.raises(DataError, match="is a folder"):
        open_model(tmp_path)
