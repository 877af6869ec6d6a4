"""A model file of edge-lstm, read and run with NumPy alone: the specification that runs.

    python engine/reference.py MODEL "A wonderful film." "Never again."

From bytes to probabilities, top to bottom: protocol buffer → model file → text → ids → LSTM → answer.
docs/file-format.md says the same in words. This is written to be read, not to be fast: a step of an LSTM
takes some 50 µs. Shapes in comments: T tokens, E embedding, H hidden units, D directions, L labels.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

F32, F64 = np.float32, np.float64
DAMAGED = "the file is cut short or damaged; copy it again"
MOST_FIELDS = 256  # of a message; a model's have at most half as many


class ModelError(Exception):
    """The file is no model that this reference runs; one line that says why."""


# --- The bytes: a protocol buffer message, https://protobuf.dev/programming-guides/encoding/ -------------


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(the number that starts at ``at``, where it ends)"""
    value = 0
    for shift, byte in zip(range(0, 64, 7), data[at : at + 10]):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + shift // 7 + 1
    raise ModelError(DAMAGED)


def varints(data: bytes) -> list[int]:
    """Numbers, packed one behind another."""
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


def fields(data: bytes) -> list[tuple[int, Any]]:
    """A message's fields in order: (field number, int or bytes)."""
    every, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        value, at = varint(data, at) if kind in (0, 2) else ({1: 8, 5: 4}.get(kind, len(data)), at)
        if kind != 0:  # so many bytes; of an unknown kind more than there are
            value, at = data[at : at + value], at + value
        if number == 0 or at > len(data) or len(every) == MOST_FIELDS:
            raise ModelError(DAMAGED)
        every.append((number, value))
    return every


DTYPES = {1: F32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}  # TensorProto.DataType


def tensors(graph: bytes) -> dict[str, np.ndarray]:
    """A GraphProto's constants (field 5) by name; of each: 1 dims, 2 data_type, 8 name, 9 raw_data."""
    constants = {}
    for tensor in [fields(value) for number, value in fields(graph) if number == 5]:
        parts = dict(tensor)
        if parts.get(2) in DTYPES and 9 in parts:
            values = np.frombuffer(parts[9], DTYPES[parts[2]])
            constants[parts[8].decode()] = values.reshape([value for n, value in tensor if n == 1])
    return constants


def ngrams(graph: bytes, count: int) -> dict[tuple[int, ...], int]:
    """The ``count`` n-grams that have a vector, each with its row: attributes of the graph's TfIdfVectorizer.

    Of a NodeProto (field 1 of the graph): 4 op_type, 5 attributes; of these: 1 name, 8 ints.
    """
    for number, node in fields(graph):
        if number == 1 and (4, b"TfIdfVectorizer") in fields(node):
            attributes = [dict(fields(attribute)) for n, attribute in fields(node) if n == 5]
            packed = {attribute[1]: attribute.get(8, b"") for attribute in attributes}
            if len(packed[b"pool_int64s"]) > 2 * 3 * count:  # two ids of at most three bytes
                raise ModelError("this network is not supported: its graph has too many n-grams")
            pool, starts = varints(packed[b"pool_int64s"]), varints(packed[b"ngram_counts"][:20])
            words = starts[1] if len(starts) > 1 else len(pool)  # single ids first, then pairs
            grams = [(i,) for i in pool[:words]] + list(zip(pool[words::2], pool[words + 1 :: 2]))
            return {gram: row for row, gram in enumerate(grams)}
    raise ModelError("this network is not supported: its graph has no TfIdfVectorizer")


# --- The model file --------------------------------------------------------------------------------------

FORMAT = "10"
# The most bytes of an entry of the metadata, and those that each label adds. They are checked first:
# parsed, a text takes many times its size.
SIZES = {"vocabulary": (2**25, 0), "labels": (2**23, 0), "golden": (2**20, 512), "several": (2**16, 32)}
SIZES |= dict.fromkeys(("tokenizer", "network"), (2**16, 0))
MOST_LABELS, MOST_IDS, MOST_METADATA, MOST_LISTS = 100_000, 1_000_000, 96 * 2**20, 2**18
KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces"
PIECES_RULE = "pieces-1"
OOV_ID = 2
RULE = {"lowercase": "unicode", "padding": "right", "truncation": "keep the last ids"}
RULE |= {"pad_id": 0, "start_id": 1, "oov_id": OOV_ID, "first_word_id": 4}
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r'


@dataclass
class Model:
    """What a file holds. words, pieces: string → id; spaced: character → what it becomes before the text is
    split; weights: by name; ngrams: (id,) or (id, id) → its row; thresholds: from which on a text has each
    label, None where it has one."""

    words: dict[str, int]
    pieces: dict[str, int]
    spaced: dict[int, str]
    length: int
    labels: list[str]
    network: dict[str, Any]
    golden: list[dict[str, Any]]
    weights: dict[str, np.ndarray]
    ngrams: dict[tuple[int, ...], int]
    thresholds: list[float] | None = None


def read(data: bytes) -> Model:
    """A file's bytes → its model. ModelError where it is no such file, damaged, or of a later format."""
    try:
        message = fields(data)  # ModelProto: 7 graph, 14 metadata_props (1 key, 2 value)
        if sum(len(value) for number, value in message if number == 14) > MOST_METADATA:
            raise ModelError(DAMAGED)
        entries = [dict(fields(value)) for number, value in message if number == 14]
        metadata = {entry[1].decode(): entry.get(2, b"").decode() for entry in entries}
        version = metadata["edge_lstm.format"]
    except (KeyError, ValueError, AttributeError, TypeError, ModelError):
        raise ModelError("not a model file of edge-lstm, or cut short; copy it again") from None
    if version != FORMAT:
        raise ModelError(f"format version {version[:20]!r} is not supported; this reads {FORMAT}")
    if data[-64:] != hashlib.sha256(data[:-64]).hexdigest().encode():  # the digest: of all before it
        raise ModelError("the file was cut short or changed after it was written; copy it again")
    try:
        return described(dict(message)[7], metadata)
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"the file's metadata is unusable ({error!r}); export it again") from None


def described(graph: bytes, metadata: dict[str, str]) -> Model:
    """Encoded graph and metadata → the model that they describe."""
    check_sizes(metadata, MOST_LABELS)
    network = json.loads(metadata["edge_lstm.network"])
    if not (2 <= network["labels"] <= MOST_LABELS and 0 <= network["ngrams"] <= MOST_IDS):
        raise ModelError("the file's labels or n-grams are too many; export it again")
    check_sizes(metadata, network["labels"])
    if metadata["edge_lstm.vocabulary"].count("\n") >= MOST_IDS:
        raise ModelError("the file's words are too many; export it again")
    lines = metadata["edge_lstm.vocabulary"].split("\n") if metadata["edge_lstm.vocabulary"] else []
    tokenizer = json.loads(metadata["edge_lstm.tokenizer"])
    count, spaced = text_rule(tokenizer, len(lines))
    model = Model(
        words={word: i for i, word in enumerate(lines[:count], 4)},
        pieces={piece: i for i, piece in enumerate(lines[count:], 4 + count)},
        spaced=spaced,
        length=tokenizer["length"],
        labels=json.loads(metadata["edge_lstm.labels"]),
        network=network,
        golden=json.loads(metadata.get("edge_lstm.golden", "[]")),
        weights=tensors(graph),
        ngrams=ngrams(graph, network["ngrams"]) if network["ngrams"] else {},
        thresholds=json.loads(metadata.get("edge_lstm.several", "{}")).get("thresholds"),
    )
    several, thresholds = model.thresholds is not None, model.thresholds or []
    if (
        len(model.labels) != max(2, network["labels"])
        or any(ord(c) < 32 or 127 <= ord(c) < 160 for label in model.labels for c in label)
        or network["several"] is not several
        or len(thresholds) != several * len(model.labels)
        or not all(type(t) in (int, float) and 0 < t <= 1 for t in thresholds)
        or (several and any("|" in label for label in model.labels))  # it joins labels
        or not 0 <= count <= len(lines)
        or len(lines) + 4 != network["num_words"]
        or len(model.ngrams) != network["ngrams"]
        or not 1 <= model.length <= 100_000
    ):
        raise ModelError("the file's metadata does not fit together; export it again")
    check_shapes(model)
    return model


def check_sizes(metadata: dict[str, str], labels: int) -> None:
    """No entry is too large for so many labels; a label's name stands in it at most four times."""
    named = 4 * len(metadata["edge_lstm.labels"].encode())
    for name, (most, each) in SIZES.items():
        text = metadata.get(f"edge_lstm.{name}", "")
        size, lists = len(text.encode()), text.count("[") + text.count("{")
        if size > most + (each * labels + named if each else 0) or lists > MOST_LISTS:
            raise ModelError(f"the file's {name} is far too large; export it again")


def text_rule(tokenizer: dict[str, Any], lines: int) -> tuple[int, dict[int, str]]:
    """(how many of the vocabulary's lines are words, what characters become before the text is split)"""
    rule = tokenizer["rule"]
    keras = {"filters": FILTERS} if rule == KERAS_RULE else {}
    for key, value in {**RULE, **keras}.items():
        if tokenizer.get(key) != value:
            raise ModelError(f"the text rule's {key} is {tokenizer.get(key)!r}, which is not supported")
    if rule == KERAS_RULE:
        return lines, dict.fromkeys(map(ord, FILTERS), " ")
    if rule != PIECES_RULE:
        raise ModelError(f"the text rule {rule[:40]!r} is not supported")
    spaced = dict.fromkeys(map(ord, tokenizer["separators"]), " ")
    spaced |= {ord(mark): f" {mark} " for mark in tokenizer["marks"]}
    spaced |= {ord(c): spaced.get(ord(to), to) for c, to in tokenizer["replacements"].items()}
    return tokenizer["words"], spaced


def check_shapes(model: Model) -> None:
    """Every weight that the network needs is there with the shape that it must have."""
    n, weights = model.network, model.weights
    if n["pooling"] not in ("last", "mean+max"):
        raise ModelError(f"pooling {n['pooling']!r} is not supported")
    # An int8 file has two sentinel columns behind the embedding and two sentinel units a direction.
    int8 = weights.get("embedding", np.empty(0)).dtype == np.int8
    e, h, d = n["embedding_dim"] + 2 * int8, n["hidden"] + 2 * int8, 1 + n["bidirectional"]
    p = d * h * (1 if n["pooling"] == "last" else 2) + (n["ngram_dim"] if n["ngrams"] else 0)
    z = 1 if len(model.labels) == 2 and model.thresholds is None else len(model.labels)
    shapes = {"embedding": (n["num_words"] + 1, e), "lstm_b": (d, 8 * h), "head_w": (p, z), "head_b": (z,)}
    if int8:
        shapes |= {"lstm_w": (d, e, 4 * h), "lstm_r": (d, h, 4 * h), "head_w_scales": (p, 1)}
        shapes |= {"embedding_scale": (1,), "lstm_w_scale": (d,), "lstm_r_scale": (d,)}
    else:
        shapes |= {"lstm_w": (d, 4 * h, e), "lstm_r": (d, 4 * h, h)}
    if n["ngrams"]:
        shapes["ngram_vectors"] = (n["ngrams"], n["ngram_dim"])
        shapes |= {"ngram_scales": (n["ngram_dim"],)} if int8 else {}
    for name, shape in shapes.items():
        if name not in weights or weights[name].shape != shape:
            raise ModelError(f"this network is not supported: its graph has no {name} of shape {shape}")
        least = 0 if "_scale" in name else -np.inf
        if weights[name].dtype == F32 and not ((weights[name] > least) & np.isfinite(weights[name])).all():
            raise ModelError(f"this network is not supported: its {name} has values that are not usable")


# --- Text → ids ------------------------------------------------------------------------------------------


def encode(model: Model, text: str) -> tuple[list[int], str]:
    """A text → (its ids, at most ``length`` of them; ok, empty, unknown_words or truncated)."""
    # A surrogate pair is its character, a lone surrogate is U+FFFD.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    # Lower case of the whole text: a capital sigma is final or not by what stands around it.
    words = [word for word in text.lower().translate(model.spaced).split(" ") if word]  # at U+0020 only
    ids = [1]
    for word in words:
        if word not in model.words and model.pieces:
            ids += pieces_of(model, word)
        else:
            ids.append(model.words.get(word, OOV_ID))
    if not any(i >= 4 for i in ids):
        status = "unknown_words" if words else "empty"
    else:
        status = "truncated" if len(ids) > model.length else "ok"
    return ids[-model.length :], status


def pieces_of(model: Model, word: str) -> list[int]:
    """The ids of a word's pieces: at each place the longest that starts there; unknown characters in a row
    are one OOV_ID."""
    ids: list[int] = []
    at, longest = 0, max(map(len, model.pieces))
    while at < len(word):
        sizes = range(min(len(word) - at, longest), 0, -1)
        size = next((size for size in sizes if word[at : at + size] in model.pieces), None)
        if size is not None:
            ids.append(model.pieces[word[at : at + size]])
        elif ids[-1:] != [OOV_ID]:
            ids.append(OOV_ID)
        at += size or 1
    return ids


# --- ids → probabilities ---------------------------------------------------------------------------------


def polynomial(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Horner's rule in float32, each a · b + c rounded once: products of float32 are exact in float64."""
    value = F32(coefficients[0])
    for coefficient in coefficients[1:]:
        value = (x.astype(F64) * value.astype(F64) + F64(F32(coefficient))).astype(F32)
    return value


# The exact functions are as good an answer (1e-3 of a probability). These are the rational functions that
# ONNX Runtime computes on x86 with AVX2 (they are Eigen's); with them int8 rounds where it rounds.
SIGMOID_P = [4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03]
SIGMOID_P += [2.48287947061529e-01]
SIGMOID_Q = [6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03]
SIGMOID_Q += [1.16817656904453e-01, 9.93151921023180e-01]
TANH_P = [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08]
TANH_P += [1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03]
TANH_Q = [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """float32 → float32"""
    x = np.clip(x, F32(-18), F32(18))
    return np.clip(polynomial(x * x, SIGMOID_P) * x / polynomial(x * x, SIGMOID_Q) + F32(0.5), 0, 1)


def tanh(x: np.ndarray) -> np.ndarray:
    """float32 → float32"""
    x = np.clip(x, F32(-9), F32(9))
    return polynomial(x * x, TANH_P) * x / polynomial(x * x, TANH_Q)


def product(x: np.ndarray, weights: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """x [T, I] times one direction's weights → [T, 4H], float32.

    fp32 (scale None): weights [4H, I]. int8: weights [I, 4H]; x is rounded to 8 bits over the range that it
    has, all of x at once, the integers are multiplied and added up exactly, and scaled back.
    """
    if scale is None:
        return x @ weights.T
    low, high = min(F32(0), x.min()), max(F32(0), x.max())
    step = F32(1) if low == high else F32((high - low) / F32(255))
    zero = np.rint(np.clip(-low / step, F32(0), F32(255)))  # to the nearest, halves to the even one
    rounded = np.clip(np.rint(x / step) + zero, 0, 255) - zero
    exact = rounded.astype(F64) @ weights.astype(F64)  # integers below 2^53
    return exact.astype(F32) * F32(step * scale)


def lstm(x: np.ndarray, weights: dict[str, np.ndarray], direction: int) -> np.ndarray:
    """One direction. x: float32 [T, inputs], in reading order → its outputs, float32 [T, H]."""
    names = [f"lstm_{part}" for part in ("w", "r", "b", "w_scale", "r_scale")]
    w, r, b, w_scale, r_scale = [weights[n][direction] if n in weights else None for n in names]
    hidden = len(b) // 8
    bias = b[: 4 * hidden] + b[4 * hidden :]
    h, c = np.zeros(hidden, F32), np.zeros(hidden, F32)
    from_input = product(x, w, w_scale)  # T, 4H
    outputs = np.empty((len(x), hidden), F32)
    for t in range(len(x)):
        i, o, f, g = np.split(from_input[t] + product(h[None], r, r_scale)[0] + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = outputs[t] = sigmoid(o) * tanh(c)
    return outputs


def ngram_part(model: Model, ids: list[int]) -> np.ndarray:
    """The vectors of the n-grams that the text holds, each once, added up, over √T: float32 [width]."""
    present = {model.ngrams.get(gram) for gram in [*((i,) for i in ids), *pairwise(ids)]} - {None}
    vectors = model.weights["ngram_vectors"][sorted(present)]  # n, width
    scales = model.weights["ngram_scales"] if vectors.dtype == np.int8 else F32(1)
    return vectors.sum(axis=0, dtype=F32) * scales / np.sqrt(F32(len(ids)))


def probabilities(model: Model, ids: list[int]) -> np.ndarray:
    """Ids, at least one → float32 [L], in the order of the labels."""
    w = model.weights
    x = w["embedding"][ids] * w.get("embedding_scale", F32(1))  # T, E
    outputs = [lstm(x, w, 0)]
    if model.network["bidirectional"]:  # reads from the end; its outputs stand where their tokens do
        outputs.append(lstm(x[::-1], w, 1)[::-1])
    if model.network["pooling"] == "last":  # each direction's state after its last step
        parts = [outputs[0][-1], *(output[0] for output in outputs[1:])]
    else:
        y = np.concatenate(outputs, axis=1)  # T, D·H
        parts = [y.sum(axis=0, dtype=F32) / F32(len(ids)), np.maximum(y.max(axis=0), F32(0))]
    if model.ngrams:
        parts.append(ngram_part(model, ids))
    logits = np.concatenate(parts) @ (w["head_w"] * w.get("head_w_scales", F32(1))) + w["head_b"]
    if model.thresholds is not None:
        return sigmoid(logits)
    if len(model.labels) == 2:  # one logit: the second label's
        second = sigmoid(logits)
        return np.concatenate([F32(1) - second, second])
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def labels_of(model: Model, answer: np.ndarray) -> str:
    """The label, or those that reach their thresholds, the most probable first."""
    if model.thresholds is None:
        return model.labels[answer.argmax()]
    order = np.argsort(-answer, kind="stable")
    return "|".join(model.labels[i] for i in order if float(answer[i]) >= model.thresholds[i])


def main() -> None:
    """Answers each text as ``edge-lstm predict`` does; without texts, runs the file's own golden rows."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        model = read(Path(sys.argv[1]).read_bytes())
    except (ModelError, OSError) as error:
        sys.exit(f"error: {sys.argv[1]!r}: {error}")
    for text in sys.argv[2:]:
        ids, status = encode(model, text)
        answer = probabilities(model, ids)
        print(f"{labels_of(model, answer)!r}\t{answer.max():.6f}\t{status}")
    for row in model.golden if not sys.argv[2:] else []:
        ids, _ = encode(model, row["text"])
        apart = np.abs(probabilities(model, ids) - row["probabilities"]).max()
        right = ids == row["ids"] and apart <= 1e-3
        print(f"{'ok' if right else 'WRONG'}\t{apart:.1e}\t{row['text'][:60]!r}")


if __name__ == "__main__":
    main()
