"""docs/file-format.md: its test vectors are what the reference computes, its keys what the package
writes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from edge_lstm import modelfile
from edge_lstm.layers import NetworkConfig
from edge_lstm.text import (
    TextRule,
    Tokenizer,
    front_coded,
    front_decoded,
    split_marks,
    split_words,
    subword_rule,
)
from tests.ports.conftest import PROJECT
from tests.specification import reference, specification

PAGE = (PROJECT / "docs" / "file-format.md").read_text(encoding="utf-8")
VOCABULARY = ("σας", "οδος", "i̇", "straße", "good", "don't")
SHORT_VOCABULARY = ("good", "film", "!", "don't", "straße")
PIECES = ("fi", "film", "s", "ing", "日本", "日", "本", "'")


def rows(after: str) -> list[list[str]]:
    """The cells of the first table behind a heading or a line."""
    table = PAGE[PAGE.index(after) :].split("\n|", 1)[1].split("\n\n", 1)[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in ("|" + table).split("\n")[2:]
    ]


def test_every_metadata_key_is_described() -> None:
    keys = {value for name, value in vars(modelfile).items() if name.startswith("KEY_")}
    told = {row[0].strip("`") for row in rows("## Metadata")}
    assert told == keys
    assert f"| `edge_lstm.format` | `{modelfile.FORMAT_VERSION}`." in PAGE
    network = asdict(NetworkConfig())
    assert set(network) <= set(re.findall(r"`(\w+)`", PAGE))
    settings = {*Tokenizer(()).to_metadata(), *Tokenizer((), pieces=()).to_metadata()}
    assert settings <= set(
        re.findall(r"\w+", PAGE[PAGE.index("## Text → ids") : PAGE.index("encode(text):")])
    )


def check_ids(
    model: reference.Model, tokenizer: Tokenizer, text: str, row: tuple[str, str]
) -> None:
    """row: ids and status, which the package and the reference must give."""
    ids = [int(i) for i in row[0].split()]
    encoded = tokenizer.encode_text(text)
    assert (encoded.ids, encoded.status) == (ids, row[1]) == reference.encode(model, text), text


def test_the_texts_become_these_ids() -> None:
    tokenizer = Tokenizer(VOCABULARY, length=5)
    model = specification(tokenizer)
    vectors = rows("Text → words, then ids")
    assert len(vectors) == 7
    for cell, words, ids, status in vectors:
        text = json.loads(cell.strip("`"))
        check_ids(model, tokenizer, text, (ids, status))
        assert split_words(text) == json.loads(words.strip("`"))


def test_the_texts_become_these_pieces() -> None:
    assert json.dumps([*SHORT_VOCABULARY], ensure_ascii=False) in PAGE.replace("\n", " ")
    assert json.dumps([*PIECES], ensure_ascii=False) in PAGE.replace("\n", " ")
    tokenizer = Tokenizer(SHORT_VOCABULARY, 6, PIECES, subword_rule("!"))
    model = specification(tokenizer)
    vectors = rows("Text → words and pieces, then ids")
    assert len(vectors) == 9
    for cell, words, ids, status in vectors:
        text = json.loads(cell.strip("`"))
        assert split_marks(text, "!") == json.loads(words.strip("`")), text
        check_ids(model, tokenizer, text, (ids, status))


def test_the_texts_become_these_ids_by_other_rules() -> None:
    words = ("the", "\u00c9t\u00e9", "good", "dont")
    assert json.dumps(words) in PAGE
    vectors = rows("Text → ids by other rules")
    assert len(vectors) == 7
    for cell, told, ids, status in vectors:
        if told != "the same":
            values = [part.split()[-1] for part in told.replace("`", "").split(", ")]
            lowercase, separators, removed, start, oov, first, keeps = values
            rule = TextRule(
                separators.strip('"'),
                removed=removed.strip('"'),
                lowercase=lowercase,
                start_id=json.loads(start.replace("none", "null")),
                oov_id=json.loads(oov),
                first_word_id=int(first),
                keeps=keeps,
            )
        tokenizer = Tokenizer(words, 3, (), rule)
        check_ids(specification(tokenizer), tokenizer, json.loads(cell.strip("`")), (ids, status))


def test_the_entries_of_a_vocabulary_are_these() -> None:
    vectors = rows("Entries of a vocabulary")
    refused = vectors.pop()
    assert len(vectors) == 3 and refused[1] == "refused"
    for value, entries in vectors:
        text = json.loads(value.strip("`"))
        assert reference.vocabulary_entries(text) == json.loads(entries.strip("`"))
        assert [*front_decoded(text, 1000)] == json.loads(entries.strip("`"))
        assert front_coded(json.loads(entries.strip("`"))) == text
    for value in refused[0].split(", "):
        text = json.loads(value.strip("`"))
        with pytest.raises(reference.ModelError):
            reference.vocabulary_entries(text)
        with pytest.raises(ValueError):
            front_decoded(text, 1000)


def test_the_rows_of_4_bits_are_these() -> None:
    vectors = rows("Rows of a table of 4 bits")
    assert len(vectors) == 4
    for columns, packed, multiplier, row in vectors:
        weights = {
            "table_q": np.array([packed.split()], np.uint8),
            "table_m": np.array([[multiplier]], np.uint8),
        }
        if row == "refused":
            with pytest.raises(reference.ModelError):
                reference.unpacked(weights, "table", 1, int(columns))
        else:
            table = reference.unpacked(weights, "table", 1, int(columns))
            assert table.dtype == np.int8 and table.tolist() == [[int(v) for v in row.split()]]


def test_the_rows_of_codes_are_these() -> None:
    assert "`_b` has the rows 7: [1, -2, 3, -4] and 255: [127, 0, -128, 5]" in PAGE
    book = np.zeros((256, 4), np.int8)
    book[7] = [1, -2, 3, -4]
    book[255] = [127, 0, -128, 5]
    vectors = rows("Rows of a table of codes")
    assert len(vectors) == 2
    for columns, codes, row in vectors:
        weights = {"table_c": np.array([codes.split()], np.uint8), "table_b": book}
        table = reference.usable_table(weights, "table", 1, int(columns), int8=True)
        assert table.tolist() == [[int(v) for v in row.split()]]


DISPLACEMENTS = np.array([3, 40000], np.uint16)


def test_the_slots_of_pairs_are_these() -> None:
    assert f"M = 5, B = 2 and `pair_displacements` = {DISPLACEMENTS.tolist()}" in PAGE
    vectors = rows("Pairs, with M = 5")
    assert len(vectors) == 5
    for pair, *numbers in vectors:
        a, b = map(int, pair.split())
        key = (a * 2**17 + b) % reference.PRIME
        products = [key * factor % reference.PRIME for factor in reference.MULTIPLIERS]
        found = reference.slot_of_pair(a, b, DISPLACEMENTS, 5)
        assert [int(number) for number in numbers] == [key, *products, *found]


def test_the_n_grams_are_these() -> None:
    vectors = [[1, 2], [10, 20], [30, 40], [0, 0], [50, 60], [0, 0], [70, 80], [0, 0]]
    scales = np.array([0.5, 0.1], np.float32)
    fingerprints = [0, 59896, 0, 36964, 0]
    page = PAGE.replace("\n", " ")
    assert f"`pair_fingerprints` = {fingerprints}" in page
    assert f"`ngram_vectors` = {vectors}" in page and "`ngram_scales` = [0.5, 0.1]" in page
    told = rows("N-grams, with W = 3")
    assert len(told) == 9
    for cell, counts, present, *answers in told:
        ids = [int(number) for number in cell.split()]
        for dtype, answer in zip((np.float32, np.int8), answers):
            weights = {
                "ngram_vectors": np.array(vectors, dtype),
                "ngram_scales": scales,
                "pair_displacements": DISPLACEMENTS,
                "pair_fingerprints": np.array(fingerprints, np.uint16),
            }
            network = {
                "ngram_words": 3,
                "ngram_slots": 5,
                "ngram_counts": [int(count) for count in counts.split()],
            }
            model = reference.Model({}, {}, {}, {}, 1, [], network, [], weights)
            counted = reference.ngram_rows(model, ids).items()
            found = " ".join(f"{row}:{count}" for row, count in counted) or "none"
            assert found == present
            given = reference.ngram_part(model, ids)
            assert [*map(float, answer.split())] == pytest.approx(given.tolist(), rel=1e-5)


def test_the_labels_of_several_are_these() -> None:
    assert '`["a", "b", "c"]`, `thresholds` [0.5, 0.6, 0.05]' in PAGE
    model = reference.Model({}, {}, {}, {}, 1, ["a", "b", "c"], {}, [], {}, [0.5, 0.6, 0.05])
    table = (
        PAGE[PAGE.index("| logits | probabilities | labels |") :]
        .split("\n\n", 1)[0]
        .split("\n")[2:]
    )
    assert len(table) == 4
    for line in table:
        logits, told, labels = line.replace("\\|", "/").strip("| ").split(" | ")
        answer = reference.sigmoid(np.array(logits.split(), np.float32))
        assert [float(p) for p in told.split()] == pytest.approx(answer.tolist(), abs=5e-8)
        assert reference.labels_of(model, answer) == labels.strip("`").replace("/", "|").replace(
            "none", ""
        )


def test_the_numbers_are_right() -> None:
    told = dict(rows("Numbers:"))

    def scale(*values: float) -> list[float]:
        x = np.array(values, np.float32)
        low = min(np.float32(0), x.min())
        high = max(np.float32(0), x.max())
        step = np.float32(1) if low == high else (high - low) / np.float32(255)
        return [float(step), float(np.rint(-low / step))]

    f32 = np.float32
    one = np.zeros((1, 1), f32)
    weights = {
        "lstm0_w": np.array([[[1], [2], [3], [4]]], f32),
        "lstm0_r": np.array([[[0.1], [0.2], [0.3], [0.4]]], f32),
        "lstm0_b": np.array([[0, 0, 1, 0, 0, 0, 0, 0]], f32),
    }
    first = {"lstm0_h": np.full((1, 1, 1), 0.5, f32), "lstm0_c": np.full((1, 1, 1), -1, f32)}
    x = np.array([[0.5], [-0.5]], f32)

    def outputs(more: dict[str, np.ndarray], **settings: float) -> np.ndarray:
        network = {"layers": [{"lstm": 1, **settings}]}
        model = reference.Model({}, {}, {}, {}, 2, [], network, [], weights | more)
        return reference.lstm(model, 0, x, 0, 0)[1:, 0]

    q = np.rint(np.array([-1, -0.3, 0, 0.5, 1], f32) / f32(2 / 255)) + 127
    right = {
        "sigmoid(0.5)": [
            reference.sigmoid(one + f32(0.5))[0, 0],
            reference.tanh(one + f32(0.5))[0, 0],
        ],
        "sigmoid(-3)": [reference.sigmoid(one - f32(3))[0, 0], reference.tanh(one - f32(3))[0, 0]],
        "step and zero of x = [-1": scale(-1, -0.3, 0, 0.5, 1),
        "its q": np.clip(q, 0, 255),
        "step and zero of x = [-127.5": scale(-127.5, 0, 127.5),
        "q of x = [-127.5": np.clip(np.rint(np.array([-127.5, 0, 127.5])) + 128, 0, 255),
        "step and zero of x = [0.2": scale(0.2, 0.4),
        "step and zero of x = [0,": scale(0, 0, 0),
        "an LSTM": outputs({}),
        "the same with": outputs({}, hard_sigmoid=0.2),
        "the same, without": outputs(first),
    }
    assert len(right) == len(told)
    for start, values in right.items():
        name = next(key for key in told if key.startswith(start))
        shown = [float(value) for value in re.split(r",? +", told[name])]
        assert shown == pytest.approx([float(v) for v in values], rel=1e-6, abs=5e-8), name
