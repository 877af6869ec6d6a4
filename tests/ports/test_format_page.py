"""docs/file-format.md: its test vectors are what the reference computes, its keys what the package writes."""

from __future__ import annotations

import json
import re
from types import ModuleType

import numpy as np
import pytest

from edge_lstm import modelfile
from edge_lstm.text import Tokenizer
from tests.ports.conftest import PROJECT
from tests.ports.test_reference import reference  # noqa: F401

PAGE = (PROJECT / "docs" / "file-format.md").read_text(encoding="utf-8")
VOCABULARY = ("σας", "οδος", "i̇", "straße", "good", "don't")


def rows(after: str) -> list[list[str]]:
    """The cells of the first table behind a heading or a line."""
    table = PAGE[PAGE.index(after) :].split("\n|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in ("|" + table).split("\n")[2:]]


def test_every_metadata_key_is_described() -> None:
    keys = {value for name, value in vars(modelfile).items() if name.startswith("KEY_")}
    told = {row[0].strip("`") for row in rows("## Metadata")}
    assert told == keys
    settings = set(Tokenizer(()).to_metadata())
    assert settings <= set(re.findall(r"`(\w+)`", PAGE))


def test_the_texts_become_these_ids(reference: ModuleType) -> None:  # noqa: F811
    tokenizer = Tokenizer(VOCABULARY, length=5)
    words = {w: i for i, w in enumerate(VOCABULARY, 4)}
    spaced = dict.fromkeys(map(ord, reference.FILTERS), " ")
    model = reference.Model(words, {}, spaced, 5, 2, [], {}, [], {}, {})
    vectors = rows("Text → words, then ids")
    assert len(vectors) == 7
    for text, words, ids, status in vectors:
        text = json.loads(text.strip("`"))
        encoded = tokenizer.encode_text(text)
        assert (encoded.ids, encoded.status) == ([int(i) for i in ids.split()], status), text
        assert reference.encode(model, text) == (encoded.ids, encoded.status)
        from edge_lstm.text import split_words

        assert split_words(text) == json.loads(words.strip("`"))


def test_the_numbers_are_right(reference: ModuleType) -> None:  # noqa: F811
    told = dict(rows("Numbers:"))

    def scale(*values: float) -> list[float]:
        x = np.array(values, np.float32)
        low, high = min(np.float32(0), x.min()), max(np.float32(0), x.max())
        step = np.float32(1) if low == high else (high - low) / np.float32(255)
        return [float(step), float(np.rint(-low / step))]

    f32 = np.float32
    one = np.zeros((1, 1), f32)
    weights = {
        "lstm0_w": np.array([[[1], [2], [3], [4]]], f32),
        "lstm0_r": np.array([[[0.1], [0.2], [0.3], [0.4]]], f32),
        "lstm0_b": np.array([[0, 0, 1, 0, 0, 0, 0, 0]], f32),
    }
    model = reference.Model({}, {}, {}, 1, 2, [], {"hidden": 1, "layers": 1}, [], weights, {})
    x = np.array([[0.5], [-0.5]], f32)
    q = np.rint(np.array([-1, -0.3, 0, 0.5, 1], f32) / f32(2 / 255)) + 127
    right = {
        "sigmoid(0.5)": [reference.sigmoid(one + f32(0.5))[0, 0], reference.tanh(one + f32(0.5))[0, 0]],
        "sigmoid(-3)": [reference.sigmoid(one - f32(3))[0, 0], reference.tanh(one - f32(3))[0, 0]],
        "step and zero of x = [-1": scale(-1, -0.3, 0, 0.5, 1),
        "its q": np.clip(q, 0, 255),
        "step and zero of x = [0.2": scale(0.2, 0.4),
        "step and zero of x = [0,": scale(0, 0, 0),
        "bucket of the pair (4": [(4 * 40503 + 5 * 7 + 123457) % 1000],
        "bucket of the pair (7999": [(7999 * 40503 + 2 * 7 + 123457) % 250_000],
        "an LSTM": reference.lstm(x, model, 0, 0)[:, 0],
    }
    assert len(right) == len(told)
    for start, values in right.items():
        name = next(key for key in told if key.startswith(start))
        shown = [float(value) for value in re.split(r",? +", told[name])]
        assert shown == pytest.approx([float(v) for v in values], rel=1e-6, abs=5e-8), name
