"""docs/file-format.md and its vectors, which are what the reference computes; its keys are what
the package writes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import reference_checks

from edge_lstm.core import modelfile
from edge_lstm.core.layers import NetworkConfig
from edge_lstm.core.text import (
    TextRule,
    Tokenizer,
    front_coded,
    front_decoded,
    split_marks,
    split_words,
    subword_rule,
    uncoded,
)
from tests.ports.conftest import PROJECT
from tests.specification import reference, specification

PAGES = [PROJECT / name for name in ("docs/file-format.md", "engine/vectors.md")]
PAGE = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
VOCABULARY = ("σας", "οδος", "i̇", "straße", "good", "don't")
SHORT_VOCABULARY = ("good", "film", "!", "don't", "straße")
PIECES = ("fi", "film", "s", "ing", "日本", "日", "本", "'")


def rows(after: str, count: int) -> list[list[str]]:
    """The cells of the first table behind a heading or a line, which has so many rows."""
    table = PAGE[PAGE.index(after) :].split("\n|", 1)[1].split("\n\n", 1)[0]
    lines = [line.strip("|").replace("\\|", "/").split("|") for line in table.split("\n")[2:]]
    assert len(lines) == count
    return [[cell.strip().strip("`") for cell in line] for line in lines]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in cell.split()]


def model_of(network: dict[str, Any], weights: dict[str, Any]) -> reference.Model:
    """The reference's model without a text rule."""
    return reference.Model({}, {}, {"length": 2}, [], network, weights)


def test_every_metadata_key_is_described() -> None:
    keys = {value for name, value in vars(modelfile).items() if name.startswith("KEY_")}
    assert {name for name, *_ in rows("## Metadata", len(keys))} == keys
    assert f"| `edge_lstm.format` | `{modelfile.FORMAT_VERSION}` |" in PAGE
    assert set(asdict(NetworkConfig())) <= set(re.findall(r"`(\w+)`", PAGE))
    settings = {*Tokenizer(()).to_metadata(), *Tokenizer((), pieces=()).to_metadata()}
    of_texts = PAGE[PAGE.index("## Text → ids") : PAGE.index("encode(text):")]
    assert settings <= set(re.findall(r"\w+", of_texts))


def check_ids(tokenizer: Tokenizer, text: str, ids: str, status: str) -> None:
    """The package and the reference give these ids and this status."""
    encoded = tokenizer.encode_text(text)
    found = reference.encode(specification(tokenizer), text)
    assert (encoded.ids, encoded.status) == (numbers(ids), status) == found, text


def test_the_texts_become_these_ids() -> None:
    tokenizer = Tokenizer(VOCABULARY, length=5)
    for text, words, ids, status in rows("Text → words, then ids", 7):
        check_ids(tokenizer, json.loads(text), ids, status)
        assert split_words(json.loads(text)) == json.loads(words)


def test_the_texts_become_these_pieces() -> None:
    assert json.dumps([*SHORT_VOCABULARY], ensure_ascii=False) in PAGE.replace("\n", " ")
    assert json.dumps([*PIECES], ensure_ascii=False) in PAGE.replace("\n", " ")
    tokenizer = Tokenizer(SHORT_VOCABULARY, 6, PIECES, subword_rule("!"))
    for text, words, ids, status in rows("Text → words and pieces, then ids", 9):
        check_ids(tokenizer, json.loads(text), ids, status)
        assert split_marks(json.loads(text), "!") == json.loads(words), text


def test_the_texts_become_these_ids_by_other_rules() -> None:
    words = ("the", "\u00c9t\u00e9", "good", "dont")
    assert json.dumps(words) in PAGE
    for text, told, ids, status in rows("Text → ids by other rules", 7):
        if told != "the same":
            values = [part.split()[-1].strip('"`') for part in told.split(", ")]
            lowercase, separators, removed, start, oov, first, keeps = values
            rule = TextRule(
                separators,
                removed=removed,
                lowercase=lowercase,
                start_id=json.loads(start),
                oov_id=json.loads(oov),
                first_word_id=int(first),
                keeps=keeps,
            )
        check_ids(Tokenizer(words, 3, (), rule), json.loads(text), ids, status)


def test_the_entries_of_a_vocabulary_are_these() -> None:
    *vectors, refused = rows("Entries of a vocabulary", 5)
    for stored, entries in vectors:
        text = json.loads(stored)
        assert reference.vocabulary_entries(text) == json.loads(entries)
        front = uncoded(text, 1000)
        assert [*front_decoded(front, 1000)] == json.loads(entries)
        assert front_coded(json.loads(entries)) == front
    assert refused[1] == "refused"
    for stored in refused[0].split(", "):
        text = json.loads(stored.strip("`"))
        with pytest.raises(reference.ModelError):
            reference_checks.check_entries(text)
        with pytest.raises(ValueError):
            front_decoded(uncoded(text, 1000), 1000)


def test_the_rows_of_4_bits_are_these() -> None:
    for columns, packed, multiplier, row in rows("Rows of a table of 4 bits", 4):
        weights = {
            "table_q": np.array([packed.split()], np.uint8),
            "table_m": np.array([multiplier], np.uint8),
        }
        if row == "refused":
            with pytest.raises(reference.ModelError):
                reference_checks.check_packed(weights, "table", 1, int(columns))
        else:
            table = reference.unpacked(weights, "table", 1, int(columns))
            assert (table.dtype, table.tolist()) == (np.int8, [numbers(row)])


def test_the_numbers_of_a_narrow_table_are_these() -> None:
    told = re.search(r"whose `_m` is (\d+) and whose `_q` is ([\d ]+) and then 4 times 136", PAGE)
    assert told is not None
    halves = [*numbers(told[2]), *[136] * 4]
    weights = {"table_q": np.array([halves], np.uint8), "table_m": np.array([told[1]], np.uint8)}
    reference_checks.check_packed(weights, "table", 3, 3)
    table = reference.unpacked(weights, "table", 3, 3)
    assert f"times 136: {table.tolist()}." in PAGE.replace("\n", " ")
    weights["table_q"][0, -1] = 120
    with pytest.raises(reference.ModelError):
        reference_checks.check_packed(weights, "table", 3, 3)


def test_the_rows_of_codes_are_these() -> None:
    assert "`_b` has the rows 7: [1, -2, 3, -4] and 255: [127, 0, -128, 5]" in PAGE
    book = np.zeros((256, 4), np.int8)
    book[7] = [1, -2, 3, -4]
    book[255] = [127, 0, -128, 5]
    for columns, codes, row in rows("Rows of a table of codes", 2):
        weights = {"table_c": np.array([codes.split()], np.uint8), "table_b": book}
        table = reference.unpacked(weights, "table", 1, int(columns))
        assert table.tolist() == [numbers(row)]


DISPLACEMENTS = np.array([3, 200], np.uint8)


def test_the_slots_of_pairs_are_these() -> None:
    assert f"M = 5, B = 2 and `pair_displacements` = {DISPLACEMENTS.tolist()}" in PAGE
    for pair, *told in rows("Pairs, with M = 5", 5):
        a, b = map(int, pair.split())
        key = (a * 2**17 + b) % reference.PRIME
        products = [key * factor % reference.PRIME for factor in reference.MULTIPLIERS]
        found = reference.slot_of_pair(a, b, DISPLACEMENTS, 5)
        assert [int(number) for number in told] == [key, *products, *found]


def test_the_n_grams_are_these() -> None:
    page = PAGE.replace("\n", " ")
    told = r"`(\w+)` = (\[[-\d., [\]]*\])"
    tables = {name: json.loads(table) for name, table in re.findall(told, page)}
    for ids, counts, present, *answers in rows("N-grams, with W = 3", 9):
        for dtype, answer in zip((np.float32, np.int8), answers):
            weights = {
                "ngram_vectors": np.array(tables["ngram_vectors"], dtype),
                "ngram_scales": np.array(tables["ngram_scales"], np.float32),
                "pair_displacements": DISPLACEMENTS,
                "pair_fingerprints": np.array(tables["pair_fingerprints"], np.uint8),
            }
            network = {
                "ngram_words": 3,
                "ngram_slots": 5,
                "ngram_counts": [*map(int, counts.split())],
            }
            model = model_of(network, weights)
            found = reference.ngram_rows(model, [*map(int, ids.split())])
            assert " ".join(f"{row}:{n}" for row, n in found.items()) == present.replace("none", "")
            given = reference.ngram_part(model, [*map(int, ids.split())])
            assert numbers(answer) == pytest.approx(given.tolist(), rel=1e-5)


def test_the_labels_of_several_are_these() -> None:
    assert '`["a", "b", "c"]`, `thresholds` [0.5, 0.6, 0.05]' in PAGE
    model = reference.Model({}, {}, {}, ["a", "b", "c"], {}, {}, [0.5, 0.6, 0.05])
    for logits, told, labels in rows("Several labels:", 4):
        answer = reference.sigmoid(np.array(logits.split(), np.float32))
        assert numbers(told) == pytest.approx(answer.tolist(), abs=5e-8)
        assert reference.labels_of(model, answer) == labels.replace("/", "|").replace("none", "")


def activations(x: float) -> list[float]:
    one = np.full((1, 1), x, np.float32)
    return [reference.sigmoid(one)[0, 0], reference.tanh(one)[0, 0]]


def quantized(*values: float) -> tuple[list[float], list[float]]:
    """The step and the zero of values, and the values as uint8."""
    x = np.array(values, np.float32)
    low = min(np.float32(0), x.min())
    high = max(np.float32(0), x.max())
    step = np.float32(1) if low == high else (high - low) / np.float32(255)
    zero = np.rint(-low / step)
    return [step, zero], [*np.clip(np.rint(x / step) + zero, 0, 255)]


def lstm(more: dict[str, Any], **settings: float) -> list[float]:
    """The outputs of the LSTM that the page shows."""
    weights = {
        "lstm0_w": np.array([[[1], [2], [3], [4]]], np.float32),
        "lstm0_r": np.array([[[0.1], [0.2], [0.3], [0.4]]], np.float32),
        "lstm0_b": np.array([[0, 0, 1, 0]], np.float32),
    }
    model = model_of({"layers": [{"lstm": 1, **settings}]}, weights | more)
    x = np.array([[0.5], [-0.5]], np.float32)
    return [*reference.lstm(model, 0, x, 0, 0)[1:, 0]]


STATES = {
    "lstm0_h": np.full((1, 1, 1), 0.5, np.float32),
    "lstm0_c": np.full((1, 1, 1), -1, np.float32),
}
SCALES = [quantized(-1, -0.3, 0, 0.5, 1), quantized(-127.5, 0, 127.5)]
SCALES += [quantized(0.2, 0.4), quantized(0, 0, 0)]
NUMBERS = [
    activations(0.5),
    activations(-3),
    *SCALES[0],
    *SCALES[1],
    SCALES[2][0],
    SCALES[3][0],
    lstm({}),
    lstm({}, hard_sigmoid=0.2),
    lstm(STATES),
]


def test_the_numbers_are_right() -> None:
    for (what, told), values in zip(rows("Numbers:", 11), NUMBERS, strict=True):
        shown = numbers(told.replace(",", " "))
        assert shown == pytest.approx([*map(float, values)], rel=1e-6, abs=5e-8), what
