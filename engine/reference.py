"""The specification that runs: a model file of edge-lstm, read and run with NumPy alone.

    python engine/reference.py MODEL "A wonderful film." "Never again."

It leads from bytes to probabilities, top to bottom: protocol buffer → model file → text → ids →
LSTM → answer. docs/file-format.md says the same in words. This is written to be read, not to be
fast: a step of an LSTM takes some 50 µs.

Shapes in comments: T tokens, E embedding, H hidden units, D directions, L labels.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

F32 = np.float32
F64 = np.float64

DAMAGED = "the file is cut short or damaged; copy it again"

# Fields of a message. A model's messages have at most half as many.
MOST_FIELDS = 256


class ModelError(Exception):
    """The file is not a model that this reference runs. The text is one line with the reason."""


# --- The bytes: a protocol buffer message, https://protobuf.dev/programming-guides/encoding/ -----

# Wire types: a number; a size and as many bytes; fixed numbers of bytes.
VARINT = 0
LENGTH_DELIMITED = 2
FIXED_SIZES = {1: 8, 5: 4}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at ``at``, and its end."""
    value = 0
    # Seven bits a byte, the lowest first; the last byte has no high bit.
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise ModelError(DAMAGED)


def fields(data: bytes) -> list[tuple[int, Any]]:
    """Return a message's fields in order: (field number, int or bytes)."""
    every = []
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number = key >> 3
        wire_type = key & 7
        if wire_type == VARINT:
            value, at = varint(data, at)
        else:
            if wire_type == LENGTH_DELIMITED:
                size, at = varint(data, at)
            else:
                # Another wire type has no known size: more bytes than there are.
                size = FIXED_SIZES.get(wire_type, len(data))
            value = data[at : at + size]
            at += size
        if number == 0 or at > len(data) or len(every) == MOST_FIELDS:
            raise ModelError(DAMAGED)
        every.append((number, value))
    return every


# TensorProto.DataType → NumPy's type.
DTYPES = {1: F32, 2: np.uint8, 3: np.int8, 4: np.uint16, 6: np.int32, 7: np.int64}


def tensors(graph: bytes) -> dict[str, np.ndarray]:
    """Return a GraphProto's constants (field 5) by name.

    Fields of a TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data.
    """
    constants = {}
    for number, value in fields(graph):
        if number != 5:
            continue
        tensor = fields(value)
        parts = dict(tensor)
        if parts.get(2) in DTYPES and 9 in parts:
            values = np.frombuffer(parts[9], DTYPES[parts[2]])
            dims = [dim for n, dim in tensor if n == 1]
            constants[parts[8].decode()] = values.reshape(dims)
    return constants


# --- The model file ------------------------------------------------------------------------------

FORMAT = "11"

# The most bytes of each entry of the metadata, and the bytes that each label adds. They are checked
# first, since a text takes many times its size when it is parsed.
SIZES = {
    "vocabulary": (2**25, 0),
    "labels": (2**23, 0),
    "golden": (2**20, 512),
    "multi_label": (2**16, 32),
    "tokenizer": (2**16, 0),
    "network": (2**16, 0),
}
MOST_LABELS = 100_000
# A pair of ids is one number, 17 bits for each.
MOST_IDS = 2**17 - 1
# Slots and displacements of pairs.
MOST_SLOTS = 1_000_000

# Columns of the model's input.
MOST_COLUMNS = 100_000

# Bytes of all metadata together.
MOST_METADATA = 96 * 2**20

# Lists and objects in an entry.
MOST_LISTS = 2**18

KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces"
PIECES_RULE = "pieces-1"
START_ID = 1
OOV_ID = 2
FIRST_WORD_ID = 4
RULE = {
    "lowercase": "unicode",
    "padding": "right",
    "truncation": "keep the last ids",
    "pad_id": 0,
    "start_id": START_ID,
    "oov_id": OOV_ID,
    "first_word_id": FIRST_WORD_ID,
}
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r'


@dataclass
class Model:
    """The content of a file.

    words, pieces: string → id.
    spaced: character → its replacement before the text is split.
    length: number of ids that the network reads.
    labels: in the order of the probabilities.
    network: the architecture.
    golden: texts with the ids and probabilities that they must get.
    weights: by name; tables of 4 bits are int8 tables here.
    thresholds: for each label, the least probability of a text that has it; None if a text has one
        label.
    """

    words: dict[str, int]
    pieces: dict[str, int]
    spaced: dict[int, str]
    length: int
    labels: list[str]
    network: dict[str, Any]
    golden: list[dict[str, Any]]
    weights: dict[str, np.ndarray]
    thresholds: list[float] | None = None


def read(data: bytes) -> Model:
    """Read a file's bytes.

    Raises ModelError if it is not a model file, is damaged, or has a later format.
    """
    try:
        # Fields of a ModelProto: 7 graph, 14 metadata_props (1 key, 2 value).
        message = fields(data)
        properties = [value for number, value in message if number == 14]
        if sum(map(len, properties)) > MOST_METADATA:
            raise ModelError(DAMAGED)
        entries = [dict(fields(value)) for value in properties]
        metadata = {entry[1].decode(): entry.get(2, b"").decode() for entry in entries}
        version = metadata["edge_lstm.format"]
    except (KeyError, ValueError, AttributeError, TypeError, ModelError):
        raise ModelError("not a model file of edge-lstm, or cut short; copy it again") from None
    if version != FORMAT:
        raise ModelError(f"format version {version[:20]!r} is not supported; this reads {FORMAT}")
    # The digest of all bytes before it ends the file.
    if data[-64:] != hashlib.sha256(data[:-64]).hexdigest().encode():
        raise ModelError("the file was cut short or changed after it was written; copy it again")
    try:
        return described(dict(message)[7], metadata)
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"the file's metadata is unusable ({error!r}); export it again") from None


def described(graph: bytes, metadata: dict[str, str]) -> Model:
    """Make the model that an encoded graph and the metadata describe."""
    check_sizes(metadata, MOST_LABELS)
    network = json.loads(metadata["edge_lstm.network"])
    if not (2 <= network["labels"] <= MOST_LABELS and 0 <= network["ngram_slots"] <= MOST_SLOTS):
        raise ModelError("the file's labels or n-grams are too many; export it again")
    check_sizes(metadata, network["labels"])
    entries = vocabulary_entries(metadata["edge_lstm.vocabulary"])
    tokenizer = json.loads(metadata["edge_lstm.tokenizer"])
    count, spaced = text_rule(tokenizer, len(entries))
    multi_label = json.loads(metadata.get("edge_lstm.multi_label", "{}"))
    model = Model(
        words={word: i for i, word in enumerate(entries[:count], FIRST_WORD_ID)},
        pieces={piece: i for i, piece in enumerate(entries[count:], FIRST_WORD_ID + count)},
        spaced=spaced,
        length=tokenizer["length"],
        labels=json.loads(metadata["edge_lstm.labels"]),
        network=network,
        golden=json.loads(metadata.get("edge_lstm.golden", "[]")),
        weights=tensors(graph),
        thresholds=multi_label.get("thresholds"),
    )
    is_multi_label = model.thresholds is not None
    thresholds = model.thresholds or []
    if (
        len(model.labels) != max(2, network["labels"])
        or any(map(has_control_character, model.labels))
        or network["multi_label"] is not is_multi_label
        or len(thresholds) != is_multi_label * len(model.labels)
        or not all(type(t) in (int, float) and 0 < t <= 1 for t in thresholds)
        # It joins labels in the answer.
        or (is_multi_label and any("|" in label for label in model.labels))
        or not 0 <= count <= len(entries)
        or len(entries) + FIRST_WORD_ID != network["num_words"]
        or not 0 <= network["ngram_words"] <= network["num_words"] - OOV_ID
        or not 1 <= model.length <= MOST_COLUMNS
    ):
        raise ModelError("the file's metadata does not fit together; export it again")
    model.weights = usable_weights(model)
    return model


def has_control_character(label: str) -> bool:
    """Tell whether a label holds a character of Unicode's category Cc."""
    return any(ord(c) < 32 or 127 <= ord(c) < 160 for c in label)


def check_sizes(metadata: dict[str, str], labels: int) -> None:
    """Check that no entry is too large. labels: number of labels."""
    # A label's name stands in an entry at most four times.
    names = 4 * len(metadata["edge_lstm.labels"].encode())
    for name, (most, each) in SIZES.items():
        text = metadata.get(f"edge_lstm.{name}", "")
        size = len(text.encode())
        lists = text.count("[") + text.count("{")
        if each:
            most += each * labels + names
        if size > most or lists > MOST_LISTS:
            raise ModelError(f"the file's {name} is far too large; export it again")


# An entry of the vocabulary: a character for the number of code points that it shares with the one
# before it, and the rest.
ENTRY = re.compile("([\0-\x1f])([^\0-\x1f]*)")


def vocabulary_entries(value: str) -> list[str]:
    """Return the words and pieces of a front-coded vocabulary."""
    entries: list[str] = []
    previous = ""
    for entry in ENTRY.finditer(value):
        shared = ord(entry[1]) - 1
        word = previous[:shared] + entry[2]
        is_damaged = not 0 <= shared <= len(previous) or not word
        if is_damaged or len(entries) == MOST_IDS - FIRST_WORD_ID:
            raise ModelError("the file's words are damaged or too many; export it again")
        entries.append(word)
        previous = word
    size = sum(len(word.encode()) for word in entries)
    if value[:1] > "\x1f" or size > SIZES["vocabulary"][0]:
        raise ModelError("the file's words are damaged or too large; export it again")
    return entries


def text_rule(tokenizer: dict[str, Any], entries: int) -> tuple[int, dict[int, str]]:
    """Return the number of words, and each character's replacement before the text is split.

    entries: number of the vocabulary's entries: words, then pieces.
    """
    rule = tokenizer["rule"]
    expected = RULE | {"filters": FILTERS} if rule == KERAS_RULE else RULE
    for key, value in expected.items():
        given = tokenizer.get(key)
        if given != value:
            raise ModelError(f"the text rule's {key} is {given!r}, which is not supported")
    if rule == KERAS_RULE:
        return entries, dict.fromkeys(map(ord, FILTERS), " ")
    if rule != PIECES_RULE:
        raise ModelError(f"the text rule {rule[:40]!r} is not supported")
    spaced = dict.fromkeys(map(ord, tokenizer["separators"]), " ")
    # A mark is a word of its own.
    spaced |= {ord(mark): f" {mark} " for mark in tokenizer["marks"]}
    # The replacement of a character is replaced in turn.
    spaced |= {ord(c): spaced.get(ord(to), to) for c, to in tokenizer["replacements"].items()}
    return tokenizer["words"], spaced


def usable_weights(model: Model) -> dict[str, np.ndarray]:
    """Check every weight of the network, and return them with the tables of 4 bits unpacked."""
    network = model.network
    weights = model.weights
    if network["pooling"] not in ("last", "mean+max"):
        raise ModelError(f"pooling {network['pooling']!r} is not supported")
    int8 = "embedding_scale" in weights
    dtype = np.int8 if int8 else F32
    # An int8 file has two sentinel columns behind the embedding, which it does not store, and two
    # sentinel units in each direction.
    embedded = network["embedding_dim"] + 2 * int8
    hidden = network["hidden"] + 2 * int8
    directions = 1 + network["bidirectional"]
    vectors = 1 if network["pooling"] == "last" else 2
    pooled = directions * hidden * vectors
    slots = network["ngram_slots"]
    ngrams = network["ngram_words"] + slots
    if ngrams:
        pooled += network["ngram_dim"]
    has_one_logit = len(model.labels) == 2 and model.thresholds is None
    logits = 1 if has_one_logit else len(model.labels)
    tables = {
        "embedding": (network["num_words"] + 1, network["embedding_dim"]),
        "head_w": (pooled, logits),
    }
    others = {
        "lstm_b": (F32, (directions, 8 * hidden)),
        "head_b": (F32, (logits,)),
    }
    if ngrams:
        tables["ngram_vectors"] = (ngrams, network["ngram_dim"])
    if int8:
        others |= {
            "lstm_w": (np.int8, (directions, embedded, 4 * hidden)),
            "lstm_r": (np.int8, (directions, hidden, 4 * hidden)),
            "head_w_scales": (F32, (pooled, 1)),
            "embedding_scale": (F32, (1,)),
            "lstm_w_scale": (F32, (directions,)),
            "lstm_r_scale": (F32, (directions,)),
        }
    else:
        others |= {
            "lstm_w": (F32, (directions, 4 * hidden, embedded)),
            "lstm_r": (F32, (directions, 4 * hidden, hidden)),
        }
    if int8 and ngrams:
        others["ngram_scales"] = (F32, (network["ngram_dim"],))
    if slots:
        buckets = weights.get("pair_displacements", np.empty(0)).size
        if not 1 <= buckets <= MOST_SLOTS:
            raise ModelError("this network is not supported: it has no displacements of its pairs")
        others["pair_displacements"] = (np.uint16, (buckets,))
        others["pair_fingerprints"] = (np.uint16, (slots,))
    usable = {name: constant(weights, name, *expected) for name, expected in others.items()}
    for name, (rows, columns) in tables.items():
        if int8 and columns >= LEAST_COLUMNS_OF_4_BITS:
            usable[name] = unpacked(weights, name, rows, columns)
        else:
            usable[name] = constant(weights, name, dtype, (rows, columns))
    if int8:
        sentinels = np.tile(np.array([127, -128], np.int8), (len(usable["embedding"]), 1))
        usable["embedding"] = np.hstack([usable["embedding"], sentinels])
    if slots and usable["pair_fingerprints"].max() > MOST_FINGERPRINTS:
        raise ModelError("this network is not supported: its fingerprints are out of range")
    return usable


def constant(
    weights: dict[str, np.ndarray], name: str, dtype: type, shape: tuple[int, ...]
) -> np.ndarray:
    """Return a constant that has this type and shape, and only usable values."""
    values = weights.get(name)
    if values is None or values.dtype != dtype or values.shape != shape:
        raise ModelError(f"this network is not supported: its graph has no {name} of shape {shape}")
    least = 0 if "_scale" in name else -np.inf
    if dtype is F32 and not ((values > least) & np.isfinite(values)).all():
        raise ModelError(f"this network is not supported: its {name} is not usable")
    return values


# A narrower table is stored as bytes.
LEAST_COLUMNS_OF_4_BITS = 4
MOST_MULTIPLIER = 18


def unpacked(weights: dict[str, np.ndarray], name: str, rows: int, columns: int) -> np.ndarray:
    """Return the int8 table [rows, columns] of numbers of 4 bits times a multiplier a row."""
    packed = constant(weights, f"{name}_q", np.uint8, (rows, (columns + 1) // 2))
    multipliers = constant(weights, f"{name}_m", np.uint8, (rows, 1))
    # Even columns have the low half of a byte.
    halves = np.stack([packed & 15, packed >> 4], axis=2).reshape(rows, -1)
    is_usable = halves.all() and (halves[:, columns:] == 8).all()
    if not is_usable or multipliers.min() < 1 or multipliers.max() > MOST_MULTIPLIER:
        raise ModelError(f"this network is not supported: its {name} is not usable")
    return (halves[:, :columns].astype(np.int8) - 8) * multipliers.astype(np.int8)


# --- Text → ids ----------------------------------------------------------------------------------


def encode(model: Model, text: str) -> tuple[list[int], str]:
    """Return a text's ids, at most ``length`` of them, and its status.

    The status is ok, empty, unknown_words or truncated.
    """
    # A surrogate pair is its character, a lone surrogate is U+FFFD.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    # Lower-case the whole text: the letters around a capital sigma tell whether it is final.
    spaced = text.lower().translate(model.spaced)
    # Split at U+0020 only.
    words = [word for word in spaced.split(" ") if word]
    ids = [START_ID]
    for word in words:
        if word not in model.words and model.pieces:
            ids += pieces_of(model, word)
        else:
            ids.append(model.words.get(word, OOV_ID))
    kept = ids[-model.length :]
    if max(ids) >= FIRST_WORD_ID:
        return kept, "truncated" if len(ids) > model.length else "ok"
    return kept, "unknown_words" if words else "empty"


def pieces_of(model: Model, word: str) -> list[int]:
    """Return the ids of a word's pieces: the longest piece at each place.

    Unknown characters in a row are one OOV_ID.
    """
    ids: list[int] = []
    longest = max(map(len, model.pieces))
    at = 0
    while at < len(word):
        for size in range(min(len(word) - at, longest), 0, -1):
            piece = word[at : at + size]
            if piece in model.pieces:
                ids.append(model.pieces[piece])
                at += size
                break
        else:
            if ids[-1:] != [OOV_ID]:
                ids.append(OOV_ID)
            at += 1
    return ids


# --- ids → probabilities -------------------------------------------------------------------------


def polynomial(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Compute a polynomial by Horner's rule in float32, each a · b + c rounded once.

    x: float32. coefficients: the highest power's first.
    """
    value = F32(coefficients[0])
    for coefficient in coefficients[1:]:
        # A product of float32 numbers is exact in float64.
        value = (x.astype(F64) * value.astype(F64) + F64(F32(coefficient))).astype(F32)
    return value


# The exact functions give as good an answer (1e-3 of a probability). These are the rational
# functions that ONNX Runtime computes on x86 with AVX2 (Eigen's). With them, int8 rounds as there.
SIGMOID_P = [
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
]
SIGMOID_Q = [
    6.10247389755681e-13,
    5.76102136993427e-09,
    6.29106785017040e-06,
    1.70198817374094e-03,
    1.16817656904453e-01,
    9.93151921023180e-01,
]
TANH_P = [
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
]
TANH_Q = [
    1.19825839466702e-06,
    1.18534705686654e-04,
    2.26843463243900e-03,
    4.89352518554385e-03,
]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Compute the logistic function, from float32 to float32."""
    x = np.clip(x, F32(-18), F32(18))
    odd = polynomial(x * x, SIGMOID_P) * x / polynomial(x * x, SIGMOID_Q)
    return np.clip(odd + F32(0.5), 0, 1)


def tanh(x: np.ndarray) -> np.ndarray:
    """Compute the hyperbolic tangent, from float32 to float32."""
    x = np.clip(x, F32(-9), F32(9))
    return polynomial(x * x, TANH_P) * x / polynomial(x * x, TANH_Q)


def product(x: np.ndarray, weights: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """Multiply x, float32 [T, I], by the weights of one direction: float32 [T, 4H].

    weights: fp32 [4H, I], or int8 [I, 4H].
    scale: of int8 weights; None for fp32.
    """
    if scale is None:
        return x @ weights.T
    # x is rounded to 8 bits over its range, all of x at once.
    low = min(F32(0), x.min())
    high = max(F32(0), x.max())
    step = F32(1) if low == high else F32((high - low) / F32(255))
    # np.rint rounds to the nearest, halves to the even one.
    zero = np.rint(np.clip(-low / step, F32(0), F32(255)))
    rounded = np.clip(np.rint(x / step) + zero, 0, 255) - zero
    # The products and sums are whole numbers below 2^53, so they are exact.
    exact = rounded.astype(F64) @ weights.astype(F64)
    return exact.astype(F32) * F32(step * scale)


def lstm(x: np.ndarray, weights: dict[str, np.ndarray], direction: int) -> np.ndarray:
    """Run one direction.

    x: float32 [T, inputs], in reading order.

    Returns its outputs, float32 [T, H].
    """
    w = weights["lstm_w"][direction]
    r = weights["lstm_r"][direction]
    b = weights["lstm_b"][direction]
    # An fp32 file has no scales.
    w_scale = weights["lstm_w_scale"][direction] if "lstm_w_scale" in weights else None
    r_scale = weights["lstm_r_scale"][direction] if "lstm_r_scale" in weights else None
    hidden = len(b) // 8
    bias = b[: 4 * hidden] + b[4 * hidden :]
    h = np.zeros(hidden, F32)
    c = np.zeros(hidden, F32)
    from_input = product(x, w, w_scale)  # T, 4H
    outputs = np.empty((len(x), hidden), F32)
    for t in range(len(x)):
        gates = from_input[t] + product(h[None], r, r_scale)[0] + bias
        # Input, output and forget gate, and the cell's candidate.
        i, o, f, g = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        outputs[t] = h
    return outputs


# A prime, and multipliers by which products modulo it look random (Fishman and Moore, 1986). All
# products fit in 62 bits.
PRIME = 2**31 - 1
MULTIPLIERS = (950706376, 742938285)
MOST_FINGERPRINTS = 65521


def slot_of_pair(a: int, b: int, displacements: np.ndarray, slots: int) -> tuple[int, int]:
    """Return the only slot that a pair of ids may have, and its fingerprint there."""
    key = (a * 2**17 + b) % PRIME
    h = key * MULTIPLIERS[0] % PRIME
    g = key * MULTIPLIERS[1] % PRIME
    buckets = len(displacements)
    displacement = int(displacements[h % buckets])
    step = 1 + h // buckets % max(slots - 1, 1)
    return (g % slots + displacement * step) % slots, 1 + g % MOST_FINGERPRINTS


def ngram_rows(model: Model, ids: list[int]) -> list[int]:
    """Return the rows of the vectors of the text's n-grams, each once."""
    words = model.network["ngram_words"]
    slots = model.network["ngram_slots"]
    rows = {i - OOV_ID for i in ids if OOV_ID <= i < OOV_ID + words}
    for a, b in pairwise(ids) if slots else ():
        slot, fingerprint = slot_of_pair(a, b, model.weights["pair_displacements"], slots)
        is_stored = model.weights["pair_fingerprints"][slot] == fingerprint
        # Padding is in no pair.
        if is_stored and min(a, b) > 0:
            rows.add(words + slot)
    return sorted(rows)


def ngram_part(model: Model, ids: list[int]) -> np.ndarray:
    """Add up the vectors of the text's n-grams, each once, and divide by √T: float32 [width]."""
    vectors = model.weights["ngram_vectors"][ngram_rows(model, ids)]  # n, width
    scales = model.weights["ngram_scales"] if vectors.dtype == np.int8 else F32(1)
    return vectors.sum(axis=0, dtype=F32) * scales / np.sqrt(F32(len(ids)))


def probabilities(model: Model, ids: list[int]) -> np.ndarray:
    """Return float32 [L], in the order of the labels. ids: at least one."""
    w = model.weights
    x = w["embedding"][ids] * w.get("embedding_scale", F32(1))  # T, E
    outputs = [lstm(x, w, 0)]
    if model.network["bidirectional"]:
        # The second direction reads from the end. Its outputs are put in the order of the tokens.
        outputs.append(lstm(x[::-1], w, 1)[::-1])
    if model.network["pooling"] == "last":
        # The state of each direction after its last step.
        parts = [outputs[0][-1], *(output[0] for output in outputs[1:])]
    else:
        y = np.concatenate(outputs, axis=1)  # T, D·H
        mean = y.sum(axis=0, dtype=F32) / F32(len(ids))
        # The maximum counts the 0 of padding, even of a text without any.
        parts = [mean, np.maximum(y.max(axis=0), F32(0))]
    if "ngram_vectors" in w:
        parts.append(ngram_part(model, ids))
    head = w["head_w"] * w.get("head_w_scales", F32(1))
    logits = np.concatenate(parts) @ head + w["head_b"]
    if model.thresholds is not None:
        return sigmoid(logits)
    if len(model.labels) == 2:
        # The only logit is the second label's.
        second = sigmoid(logits)
        return np.concatenate([F32(1) - second, second])
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def labels_of(model: Model, answer: np.ndarray) -> str:
    """Return the label, or the labels that reach their thresholds, the most probable first."""
    if model.thresholds is None:
        return model.labels[answer.argmax()]
    order = np.argsort(-answer, kind="stable")
    reached = [i for i in order if float(answer[i]) >= model.thresholds[i]]
    return "|".join(model.labels[i] for i in reached)


def answer_texts(model: Model, texts: list[str]) -> None:
    """Print each text's labels, highest probability and status, as ``edge-lstm predict`` does."""
    for text in texts:
        ids, status = encode(model, text)
        answer = probabilities(model, ids)
        print(f"{labels_of(model, answer)!r}\t{answer.max():.6f}\t{status}")


def check_golden_rows(model: Model) -> None:
    """Print whether the file's golden rows get their answers here."""
    for row in model.golden:
        ids, _ = encode(model, row["text"])
        answer = probabilities(model, ids)
        # Of the most probable labels: the number of the label, its probability.
        best = dict(row["probabilities"])
        apart = max((abs(float(answer[i]) - p) for i, p in best.items()), default=1.0)
        is_right = ids == row["ids"] and apart <= 1e-3 and len(best) == min(5, len(answer))
        print(f"{'ok' if is_right else 'WRONG'}\t{apart:.1e}\t{row['text'][:60]!r}")


def main() -> None:
    """Answer the texts of the command line; without texts, check the file's golden rows."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    path = sys.argv[1]
    texts = sys.argv[2:]
    try:
        model = read(Path(path).read_bytes())
    except (ModelError, OSError) as error:
        sys.exit(f"error: {path!r}: {error}")
    if texts:
        answer_texts(model, texts)
    else:
        check_golden_rows(model)


if __name__ == "__main__":
    main()
