"""A model file of edge-lstm, read and run with NumPy alone: the specification that runs.

    python ports/reference.py MODEL "A wonderful film." "Never again."

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


class ModelError(Exception):
    """The file is no model that this reference runs; one line that says why."""


# --- The bytes: a protocol buffer message, https://protobuf.dev/programming-guides/encoding/ -------------


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(the number that starts at ``at``, where it ends)"""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ModelError("the file is cut short or damaged; copy it again")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> list[tuple[int, Any]]:
    """A message's fields in order: (field number, int or bytes)."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
            found.append((number, value))
            continue
        size = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            size, at = varint(data, at)
        if number == 0 or kind not in (1, 2, 5) or at + size > len(data):
            raise ModelError("the file is cut short or damaged; copy it again")
        found.append((number, data[at : at + size]))
        at += size
    return found


DTYPES = {1: F32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}  # TensorProto.DataType


def tensors(graph: bytes) -> dict[str, np.ndarray]:
    """A GraphProto's initializers (field 5) by name.

    Of a TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data, little-endian.
    """
    found = {}
    for number, tensor in fields(graph):
        if number == 5:
            parts = dict(fields(tensor))
            dims = [dim for n, value in fields(tensor) if n == 1 for dim in integers(value)]
            if parts.get(2) in DTYPES and 9 in parts:
                values = np.frombuffer(parts[9], DTYPES[parts[2]])
                found[parts[8].decode()] = values.reshape(dims)
    return found


def ngrams(graph: bytes) -> dict[tuple[int, ...], int]:
    """The n-grams that have a vector, each with its row: the attributes of the graph's TfIdfVectorizer.

    Of a NodeProto (field 1 of the graph): 4 op_type, 5 attributes; of these: 1 name, 3 i, 8 ints.
    """
    for number, node in fields(graph):
        if number == 1 and (4, b"TfIdfVectorizer") in fields(node):
            found: dict[bytes, list[int]] = {}
            for n, attribute in fields(node):
                if n == 5:
                    parts = fields(attribute)
                    found[dict(parts)[1]] = [i for m, value in parts if m in (3, 8) for i in integers(value)]
            pool, starts = found[b"pool_int64s"], found[b"ngram_counts"]
            words = starts[1] if len(starts) > 1 else len(pool)  # single ids first, then pairs
            grams = [(i,) for i in pool[:words]] + list(zip(pool[words::2], pool[words + 1 :: 2]))
            return {gram: row for row, gram in enumerate(grams)}
    raise ModelError("this network is not supported: its graph has no TfIdfVectorizer")


def integers(value: Any) -> list[int]:
    """A repeated number's values: one a field, or packed in one."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


# --- The model file --------------------------------------------------------------------------------------

FORMATS = ("1", "2", "3")
KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces"
PIECES_RULE, MISSPELT_RULE = "pieces-1", "pieces-2"  # format 2
FEWEST_LETTERS, LONG_WORD = 4, 7  # of a misspelt word and the one that is meant; where one may be longer
RULE = {
    "lowercase": "unicode",
    "pad_id": 0,
    "padding": "right",
    "start_id": 1,
    "first_word_id": 4,
    "truncation": "keep the last ids",
}
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r'


@dataclass
class Model:
    """What a file holds. words, pieces: string → id; oov_id: None leaves unknown words out; spaced: character
    → what it becomes before the text is split; weights: by name; ngrams: (id,) or (id, id) → its row;
    thresholds: of format 3, from which on a text has each label; letters: of misspelt words."""

    words: dict[str, int]
    pieces: dict[str, int]
    spaced: dict[int, str]
    length: int
    oov_id: int | None
    labels: list[str]
    network: dict[str, Any]
    golden: list[dict[str, Any]]
    weights: dict[str, np.ndarray]
    ngrams: dict[tuple[int, ...], int]
    thresholds: list[float] | None = None
    letters: frozenset[str] = frozenset()


def read(data: bytes) -> Model:
    """A file's bytes → its model. ModelError where it is no such file, damaged, or of a later format."""
    graph, metadata = b"", {}
    try:
        for number, value in fields(data):  # ModelProto: 7 graph, 14 metadata_props (1 key, 2 value)
            if number == 7:
                graph = value
            elif number == 14:
                entry = dict(fields(value))
                metadata[entry[1].decode()] = entry.get(2, b"").decode()
        version = metadata["edge_lstm.format"]
    except (KeyError, ValueError, AttributeError, TypeError, ModelError):
        raise ModelError("not a model file of edge-lstm, or cut short; copy it again") from None
    if version not in FORMATS:
        raise ModelError(f"format version {version[:20]!r} is not supported; this reads {', '.join(FORMATS)}")
    if data[-64:] != hashlib.sha256(data[:-64]).hexdigest().encode():  # the digest: of all before it
        raise ModelError("the file was cut short or changed after it was written; copy it again")
    try:
        return described(graph, metadata)
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"the file's metadata is unusable ({error!r}); export it again") from None


def described(graph: bytes, metadata: dict[str, str]) -> Model:
    """Encoded graph and metadata → the model that they describe."""
    tokenizer = json.loads(metadata["edge_lstm.tokenizer"])
    rule = tokenizer["rule"]
    keras = {"filters": FILTERS} if rule == KERAS_RULE else {}
    for key, value in {**RULE, **keras}.items():
        if tokenizer.get(key) != value:
            raise ModelError(f"the text rule's {key} is {tokenizer.get(key)!r}, which is not supported")
    lines = metadata["edge_lstm.vocabulary"].split("\n") if metadata["edge_lstm.vocabulary"] else []
    if rule == KERAS_RULE:
        count, spaced = len(lines), dict.fromkeys(map(ord, FILTERS), " ")
    elif rule in (PIECES_RULE, MISSPELT_RULE):
        count = tokenizer["words"]
        spaced = dict.fromkeys(map(ord, tokenizer["separators"]), " ")
        spaced |= {ord(mark): f" {mark} " for mark in tokenizer["marks"]}
        spaced |= {ord(c): spaced.get(ord(to), to) for c, to in tokenizer["replacements"].items()}
    else:
        raise ModelError(f"the text rule {rule[:40]!r} is not supported")
    network = json.loads(metadata["edge_lstm.network"])
    several = network.get("several", False)  # labels a text, or none
    if network["pooling"] not in ("last", "mean", "max", "mean+max"):
        raise ModelError(f"pooling {network['pooling']!r} is not supported")
    model = Model(
        words={word: i for i, word in enumerate(lines[:count], 4)},
        pieces={piece: i for i, piece in enumerate(lines[count:], 4 + count)},
        spaced=spaced,
        length=tokenizer["length"],
        oov_id=tokenizer["oov_id"],
        labels=json.loads(metadata["edge_lstm.labels"]),
        network=network,
        golden=json.loads(metadata.get("edge_lstm.golden", "[]")),
        weights=tensors(graph),
        ngrams=ngrams(graph) if network.get("ngrams") else {},
        thresholds=json.loads(metadata["edge_lstm.several"])["thresholds"] if several else None,
        letters=frozenset(tokenizer["letters"] if rule == MISSPELT_RULE else ""),
    )
    thresholds = model.thresholds or []
    if (
        len(model.labels) != max(2, network["labels"])
        or any(ord(c) < 32 or 127 <= ord(c) < 160 for label in model.labels for c in label)
        or several != (metadata["edge_lstm.format"] == "3")
        or len(thresholds) != several * len(model.labels)
        or not all(0 < threshold <= 1 for threshold in thresholds)
        or not 0 <= count <= len(lines)
        or len(lines) + 4 > network["num_words"] + 1
        or len(model.ngrams) != network.get("ngrams", 0)
        or not 1 <= model.length <= 100_000
        or not (model.oov_id is None or 2 <= model.oov_id <= network["num_words"])
    ):
        raise ModelError("the file's metadata does not fit together; export it again")
    check_shapes(model)
    return model


def check_shapes(model: Model) -> None:
    """Every weight that the network needs is there with the shape that it must have."""
    n, weights = model.network, model.weights
    one = len(model.labels) == 2 and model.thresholds is None
    directions, logits = 1 + n["bidirectional"], 1 if one else len(model.labels)
    int8 = weights.get("embedding", np.empty(0)).dtype == np.int8
    # An int8 file has two sentinel units a direction and two sentinel columns behind the embedding.
    extra = 2 if int8 and weights["embedding"].shape[1:] == (n["embedding_dim"] + 2,) else 0
    hidden, inputs = n["hidden"] + extra, n["embedding_dim"] + extra
    expected: dict[str, tuple[int, ...]] = {"embedding": (n["num_words"] + 1, inputs)}
    for k in range(n["layers"]):
        gates = 4 * hidden
        expected[f"lstm{k}_w"] = (directions, inputs, gates) if int8 else (directions, gates, inputs)
        expected[f"lstm{k}_r"] = (directions, hidden, gates) if int8 else (directions, gates, hidden)
        expected[f"lstm{k}_b"] = (directions, 2 * gates)
        if int8:
            expected |= {f"lstm{k}_w_scale": (directions,), f"lstm{k}_r_scale": (directions,)}
        inputs = directions * hidden
    parts = 2 if n["pooling"] == "mean+max" else 1
    read = parts * inputs + (n["ngram_dim"] if n.get("ngrams") else 0)
    expected |= {"head_w": (read, logits), "head_b": (logits,)}
    if n.get("ngrams"):
        expected["ngram_vectors"] = (n["ngrams"], n["ngram_dim"])
        if int8:
            expected |= {"ngram_scales": (n["ngram_dim"],), "head_w_scales": (read, 1)}
    if n.get("pair_buckets"):
        expected["pairs"] = (logits, n["num_words"] + 1 + n["pair_buckets"])
    if int8:
        expected |= {"embedding_scale": (1,), **({"pairs_scale": (1,)} if "pairs" in expected else {})}
    for name, shape in expected.items():
        if name not in weights or weights[name].shape != shape:
            raise ModelError(f"this network is not supported: its graph has no {name} of shape {shape}")


# --- Text → ids ------------------------------------------------------------------------------------------


def encode(model: Model, text: str) -> tuple[list[int], str]:
    """A text → (its ids, at most ``length`` of them; ok, empty, unknown_words or truncated)."""
    # Lower case of the whole text: a capital sigma is final or not by what stands around it.
    words = [word for word in text.lower().translate(model.spaced).split(" ") if word]  # at U+0020 only
    ids = [1]
    for word in words:
        if word in model.words:
            ids.append(model.words[word])
        elif (meant := misspelt(model, word)) is not None:
            ids.append(meant)
        elif model.pieces:
            ids += pieces_of(model, word)
        elif model.oov_id is not None:
            ids.append(model.oov_id)
    if not any(i >= 4 for i in ids):
        status = "unknown_words" if words else "empty"
    else:
        status = "truncated" if len(ids) > model.length else "ok"
    return ids[-model.length :], status


def misspelt(model: Model, word: str) -> int | None:
    """The id of the first word of the vocabulary that is one mistake away; None where there is none."""
    if len(word) >= FEWEST_LETTERS and model.letters.issuperset(word):
        for known, i in model.words.items():
            if len(known) >= FEWEST_LETTERS and model.letters.issuperset(known) and one_mistake(word, known):
                return i
    return None


def one_mistake(word: str, known: str) -> bool:
    """Whether two words, which differ, do so by what may be a mistake."""
    if min(len(word), len(known)) >= LONG_WORD:  # equal when at most one character is left out of each
        fewer = [{w, *(w[:at] + w[at + 1 :] for at in range(len(w)))} for w in (word, known)]
        return not fewer[0].isdisjoint(fewer[1])
    apart = [at for at, (a, b) in enumerate(zip(word, known)) if a != b]
    swapped = len(apart) == 2 and apart[1] == apart[0] + 1 and word[apart[0]] == known[apart[1]]
    return len(word) == len(known) and (len(apart) == 1 or (swapped and word[apart[1]] == known[apart[0]]))


def pieces_of(model: Model, word: str) -> list[int]:
    """The ids of a word's pieces: at each place the longest that starts there; unknown characters in a row
    are one oov_id."""
    ids: list[int] = []
    at, longest = 0, max(map(len, model.pieces))
    while at < len(word):
        sizes = range(min(len(word) - at, longest), 0, -1)
        size = next((size for size in sizes if word[at : at + size] in model.pieces), None)
        if size is not None:
            ids.append(model.pieces[word[at : at + size]])
        elif model.oov_id is not None and ids[-1:] != [model.oov_id]:
            ids.append(model.oov_id)
        at += size or 1
    return ids


# --- ids → probabilities ---------------------------------------------------------------------------------


def fma(a: Any, b: Any, c: Any) -> np.ndarray:
    """a · b + c, rounded once: float32 products are exact in float64."""
    return (np.asarray(a, F64) * np.asarray(b, F64) + np.asarray(c, F64)).astype(F32)


def polynomial(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Horner's rule in float32, each step rounded once."""
    value = F32(coefficients[0])
    for coefficient in coefficients[1:]:
        value = fma(value, x, F32(coefficient))
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


def lstm(x: np.ndarray, model: Model, layer: int, direction: int) -> np.ndarray:
    """One direction of one layer. x: float32 [T, inputs], in reading order → its outputs, float32 [T, H]."""
    names = [f"lstm{layer}_{part}" for part in ("w", "r", "b", "w_scale", "r_scale")]
    w, r, b, w_scale, r_scale = [model.weights[n][direction] if n in model.weights else None for n in names]
    hidden = len(b) // 8
    bias = b[: 4 * hidden] + b[4 * hidden :]
    h, c = np.zeros(hidden, F32), np.zeros(hidden, F32)
    if w_scale is not None and model.network["layers"] > 1 and hidden > model.network["hidden"]:
        c[-2:] = 20, -20  # a stacked network's sentinel units start saturated
    from_input = product(x, w, w_scale)  # T, 4H
    outputs = np.empty((len(x), hidden), F32)
    for t in range(len(x)):
        i, o, f, g = np.split(from_input[t] + product(h[None], r, r_scale)[0] + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = outputs[t] = sigmoid(o) * tanh(c)
    return outputs


def linear_part(model: Model, ids: list[int]) -> Any:
    """The sum of the weights of every word and every pair of neighbours, [1 or L]; 0 where there is none."""
    buckets = model.network.get("pair_buckets", 0)
    if not buckets:
        return F32(0)
    start = model.network["num_words"] + 1
    pairs = [start + (a * 40503 + b * 7 + 123457) % buckets for a, b in pairwise(ids)]
    found = model.weights["pairs"][:, ids + pairs]  # 1 or L, 2T - 1
    if found.dtype == np.int8:
        return found.sum(axis=1, dtype=np.int32).astype(F32) * model.weights["pairs_scale"]
    return found.sum(axis=1, dtype=F32)


def ngram_part(model: Model, ids: list[int]) -> np.ndarray:
    """The vectors of the n-grams that the text holds, each once, added up, over √T: float32 [width]."""
    held = {model.ngrams.get(gram) for gram in [*((i,) for i in ids), *pairwise(ids)]} - {None}
    vectors = model.weights["ngram_vectors"][sorted(held)]  # n, width
    if vectors.dtype == np.int8:
        total = vectors.sum(axis=0, dtype=np.int32).astype(F32) * model.weights["ngram_scales"]
    else:
        total = vectors.sum(axis=0, dtype=F32)
    return total / np.sqrt(F32(len(ids)))


def probabilities(model: Model, ids: list[int]) -> np.ndarray:
    """Ids, at least one → float32 [L], in the order of the labels."""
    w = model.weights
    x = w["embedding"][ids]  # T, E
    if x.dtype == np.int8:
        x = x.astype(F32) * w["embedding_scale"]
    for layer in range(model.network["layers"]):
        outputs = [lstm(x, model, layer, 0)]
        if model.network["bidirectional"]:  # reads from the end; its outputs stand where their tokens do
            outputs.append(lstm(x[::-1], model, layer, 1)[::-1])
        x = np.concatenate(outputs, axis=1)  # T, D·H
    pooling = model.network["pooling"]
    parts = []
    if pooling == "last":  # each direction's state after its last step
        parts = [outputs[0][-1], *(output[0] for output in outputs[1:])]
    if "mean" in pooling:
        parts.append(x.sum(axis=0, dtype=F32) / F32(len(ids)))
    if "max" in pooling:
        parts.append(np.maximum(x.max(axis=0), F32(0)))  # of the outputs and 0
    head = w["head_w"]
    if model.ngrams:
        parts.append(ngram_part(model, ids))
    if head.dtype == np.int8:
        head = head.astype(F32) * w["head_w_scales"]
    logits = np.concatenate(parts) @ head + w["head_b"] + linear_part(model, ids)
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


def printable(text: str) -> str:
    """The text with escapes for what would steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def main() -> None:
    """Answers each text as ``edge-lstm predict`` does; without texts, runs the file's own golden rows."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        model = read(Path(sys.argv[1]).read_bytes())
    except (ModelError, OSError) as error:
        sys.exit(printable(f"error: {sys.argv[1]}: {error}"))
    for text in sys.argv[2:]:
        ids, status = encode(model, text)
        answer = probabilities(model, ids)
        print(f"{printable(labels_of(model, answer))}\t{answer.max():.6f}\t{status}")
    for row in model.golden if not sys.argv[2:] else []:
        ids, _ = encode(model, row["text"])
        apart = np.abs(probabilities(model, ids) - row["probabilities"]).max()
        right = ids == row["ids"] and apart <= 1e-3
        print(f"{'ok' if right else 'WRONG'}\t{apart:.1e}\t{printable(row['text'][:60])}")


if __name__ == "__main__":
    main()
