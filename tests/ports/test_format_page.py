"""docs/file-format.md: its test vectors are what the reference computes, its keys what the package writes."""

from __future__ import annotations

import json
import re
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_lstm import modelfile
from edge_lstm.text import Tokenizer, split_marks, split_words
from tests.ports.conftest import PROJECT
from tests.ports.test_reference import reference  # noqa: F401

PAGE = (PROJECT / "docs" / "file-format.md").read_text(encoding="utf-8")
VOCABULARY = ("σας", "οδος", "i̇", "straße", "good", "don't")
SHORT_VOCABULARY = ("good", "film", "!", "don't", "straße")
PIECES = ("fi", "film", "s", "ing", "日本", "日", "本", "'")


def rows(after: str) -> list[list[str]]:
    """The cells of the first table behind a heading or a line."""
    table = PAGE[PAGE.index(after) :].split("\n|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in ("|" + table).split("\n")[2:]]


def test_every_metadata_key_is_described() -> None:
    keys = {value for name, value in vars(modelfile).items() if name.startswith("KEY_")}
    told = {row[0].strip("`") for row in rows("## Metadata")}
    assert told == keys
    settings = {*Tokenizer(()).to_metadata(), *Tokenizer((), pieces=(), letters="a").to_metadata()}
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
        assert split_words(text) == json.loads(words.strip("`"))


def test_the_texts_become_these_pieces(reference: ModuleType) -> None:  # noqa: F811
    assert json.dumps([*SHORT_VOCABULARY], ensure_ascii=False) in PAGE.replace("\n", " ")
    assert json.dumps([*PIECES], ensure_ascii=False) in PAGE.replace("\n", " ")
    vectors = rows("Text → words and pieces, then ids")
    assert len(vectors) == 9
    for text, words, with_oov, without, status in vectors:
        text = json.loads(text.strip("`"))
        assert split_marks(text, "!") == json.loads(words.strip("`")), text
        statuses = status.split(", ")
        for oov_id, ids, told in ((2, with_oov, statuses[0]), (None, without, statuses[-1])):
            tokenizer = Tokenizer(SHORT_VOCABULARY, 6, oov_id, PIECES)
            settings = tokenizer.to_metadata()
            spaced = dict.fromkeys(map(ord, settings["separators"]), " ") | {ord("!"): " ! "}
            spaced |= {ord(c): spaced.get(ord(to), to) for c, to in settings["replacements"].items()}
            known = {word: i for i, word in enumerate(SHORT_VOCABULARY, 4)}
            pieces = {piece: i for i, piece in enumerate(PIECES, 9)}
            model = reference.Model(known, pieces, spaced, 6, oov_id, [], {}, [], {}, {})
            encoded = tokenizer.encode_text(text)
            assert (encoded.ids, encoded.status) == ([int(i) for i in ids.split()], told), text
            assert reference.encode(model, text) == (encoded.ids, encoded.status)


def test_misspelt_words_become_these(reference: ModuleType) -> None:  # noqa: F811
    words, letters = ("film", "films", "wonderful", "don't", "straße", "fine"), "adefilmnorstuwß"
    assert json.dumps([*words], ensure_ascii=False) in PAGE and f"`{letters}`" in PAGE
    vectors = rows("Unknown word → the known one")
    assert len(vectors) == 15
    tokenizer = Tokenizer(words, 20, 2, ("f",), letters)
    known = {word: i for i, word in enumerate(words, 4)}
    model = reference.Model(known, {"f": 10}, {}, 20, 2, [], {}, [], {}, {}, letters=frozenset(letters))
    for word, meant, ids in vectors:
        assert tokenizer.encode_text(word).ids[1:] == [int(i) for i in ids.split()], word
        assert reference.encode(model, word) == (
            [1, *map(int, ids.split())],
            tokenizer.encode_text(word).status,
        )
        assert (meant == "none") == (reference.misspelt(model, word) is None)


def test_the_n_grams_are_these(reference: ModuleType) -> None:  # noqa: F811
    vectors = np.array([[1, 2], [10, 20], [30, 40], [50, 60]])
    scales = np.array([0.5, 0.1], np.float32)
    assert f"`ngram_vectors` = {vectors.tolist()}" in PAGE and "`ngram_scales` = [0.5, 0.1]" in PAGE
    told = rows("Numbers of n-grams")
    assert len(told) == 4
    for row in told:
        pool, counts, ids, held, fp32, int8 = [[float(number) for number in cell.split()] for cell in row]
        settings = {"pool_int64s": [int(i) for i in pool], "ngram_counts": [int(i) for i in counts]}
        node = onnx.helper.make_node("TfIdfVectorizer", ["ids"], ["held"], mode="IDF", **settings)
        graph = onnx.helper.make_graph([node], "one", [], []).SerializeToString()
        grams = reference.ngrams(graph)
        for dtype, answer in ((np.float32, fp32), (np.int8, int8)):
            weights = {"ngram_vectors": vectors.astype(dtype), "ngram_scales": scales}
            model = reference.Model({}, {}, {}, 1, 2, [], {}, [], weights, grams)
            given = reference.ngram_part(model, [int(i) for i in ids])
            assert answer == pytest.approx(given.tolist(), rel=1e-5)
        # ONNX Runtime, with the attributes that export adds, finds the same n-grams.
        lengths = {"min_gram_length": 2 if counts == [0, 0] else 1, "max_gram_length": len(counts)}
        more = {"max_skip_count": 0, "ngram_indexes": list(range(len(held))), **lengths}
        node = onnx.helper.make_node("TfIdfVectorizer", ["ids"], ["held"], mode="IDF", **settings, **more)
        run = as_model(node, len(held)).run(None, {"ids": np.array([ids], np.int64)})
        assert run[0].tolist() == [held]


def test_the_labels_of_several_are_these(reference: ModuleType) -> None:  # noqa: F811
    assert '`["a", "b", "c"]`, `thresholds` [0.5, 0.6, 0.05]' in PAGE
    model = reference.Model({}, {}, {}, 1, 2, ["a", "b", "c"], {}, [], {}, {}, [0.5, 0.6, 0.05])
    table = PAGE[PAGE.index("| logits | probabilities | labels |") :].split("\n\n", 1)[0].split("\n")[2:]
    assert len(table) == 4
    for line in table:
        logits, told, labels = line.replace("\\|", "/").strip("| ").split(" | ")
        answer = reference.sigmoid(np.array(logits.split(), np.float32))
        assert [float(p) for p in told.split()] == pytest.approx(answer.tolist(), abs=5e-8)
        assert reference.labels_of(model, answer) == labels.strip("`").replace("/", "|").replace("none", "")


def as_model(node: onnx.NodeProto, count: int) -> onnxruntime.InferenceSession:
    """A session of one operator, int64 [1, ids] → float32 [1, count]."""
    ids = onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [1, None])
    held = onnx.helper.make_tensor_value_info("held", onnx.TensorProto.FLOAT, [1, count])
    graph = onnx.helper.make_graph([node], "one", [ids], [held])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


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
        "step and zero of x = [-127.5": scale(-127.5, 0, 127.5),
        "q of x = [-127.5": np.clip(np.rint(np.array([-127.5, 0, 127.5])) + 128, 0, 255),
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
