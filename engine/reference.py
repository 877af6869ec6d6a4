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
from collections import Counter
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
MOST_OCCURRENCES = 15  # of an n-gram, that are told apart
MOST_COUNT = 64
# Slots and displacements of pairs.
MOST_SLOTS = 1_000_000

# Columns of the model's input.
MOST_COLUMNS = 100_000

# Bytes of all metadata together.
MOST_METADATA = 96 * 2**20

# Lists and objects in an entry.
MOST_LISTS = 2**18

# Hidden layers, and units of them.
MOST_LSTMS = 3
MOST_DENSE = 2
MOST_LSTM_UNITS = 2**14
MOST_DIMENSIONS = 2**16

PAD_ID = 0
START_ID = 1
HIGHEST_FIRST_WORD_ID = 4
# Start, unknown word and first word of a rule with pieces of words.
IDS_WITH_PIECES = (1, 2, 4)
MARKS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'
# Only A to Z.
ASCII_LOWER = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}

# The n-gram vector of an id has the row id - FIRST_NGRAM_ID.
FIRST_NGRAM_ID = 2


@dataclass
class Model:
    """The content of a file.

    words, pieces: string → id.
    rule: the text rule's settings.
    spaced: character → its replacement before the text is split.
    length: most ids that the network reads.
    labels: in the order of the probabilities.
    network: the architecture.
    golden: texts with the ids and probabilities that they must get.
    weights: by name; tables of 4 bits are int8 tables here.
    thresholds: for each label, the least probability of a text that has it; None if a text has one
        label.
    """

    words: dict[str, int]
    pieces: dict[str, int]
    rule: dict[str, Any]
    spaced: dict[int, str]
    length: int
    labels: list[str]
    network: dict[str, Any]
    golden: list[dict[str, Any]]
    weights: dict[str, np.ndarray]
    thresholds: list[float] | None = None

    @property
    def lstms(self) -> list[dict[str, Any]]:
        """The layers that are LSTMs."""
        return [layer for layer in self.network["layers"] if "lstm" in layer]

    @property
    def dense(self) -> list[dict[str, Any]]:
        """The hidden dense layers."""
        return [layer for layer in self.network["layers"] if "dense" in layer]


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
    count = tokenizer["words"]
    first_id = tokenizer["first_word_id"]
    spaced = text_rule(tokenizer, first_id + len(entries), has_pieces=count < len(entries))
    multi_label = json.loads(metadata.get("edge_lstm.multi_label", "{}"))
    model = Model(
        words={word: i for i, word in enumerate(entries[:count], first_id)},
        pieces={piece: i for i, piece in enumerate(entries[count:], first_id + count)},
        rule=tokenizer,
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
        or not len(entries) + first_id == network["num_words"] <= MOST_IDS
        or not 0 <= network["ngram_words"] <= network["num_words"] - FIRST_NGRAM_ID
        or not are_counts(network["ngram_counts"])
        or not 1 <= model.length <= MOST_COLUMNS
    ):
        raise ModelError("the file's metadata does not fit together; export it again")
    check_layers(network)
    model.weights = usable_weights(model)
    return model


def are_counts(counts: object) -> bool:
    """Return whether these are what an n-gram counts by its occurrences."""
    if not isinstance(counts, list) or not 1 <= len(counts) <= MOST_OCCURRENCES:
        return False
    return all(type(count) is int and 1 <= count <= MOST_COUNT for count in counts)


def check_layers(network: dict[str, Any]) -> None:
    """Check that this reference runs the layers: LSTMs, then dense ones."""
    kinds = ["lstm" if "lstm" in layer else "dense" for layer in network["layers"]]
    lstms = kinds.count("lstm")
    dense = kinds.count("dense")
    embedded = network["embedding_dim"]
    has_ngrams = network["ngram_words"] + network["ngram_slots"] > 0
    if (
        kinds != ["lstm"] * lstms + ["dense"] * dense
        or lstms > MOST_LSTMS
        or dense > MOST_DENSE
        or (dense and not lstms)
        or not (lstms or has_ngrams)
        or not (1 if lstms else 0) <= embedded <= (MOST_DIMENSIONS if lstms else 0)
        or network["padding"] not in ("none", "front", "behind")
        or (network["padding"] != "none" and (has_ngrams or not lstms))
    ):
        raise ModelError("this network is not supported: its layers do not fit together")
    for k, layer in enumerate(network["layers"]):
        check_layer(layer, is_last_lstm=k + 1 == lstms)


def check_layer(layer: dict[str, Any], *, is_last_lstm: bool) -> None:
    """Check the settings of a layer: it has all of its kind, and no others."""
    if "dense" in layer:
        keys = {"dense", "activation"}
        units = layer["dense"]
        most = MOST_DIMENSIONS
        is_known = layer["activation"] in ACTIVATIONS
    else:
        gives = layer["gives"]
        keys = {"lstm", "bidirectional", "gives"}
        keys |= {"floor"} if "max" in gives else set()
        keys |= {"hard_sigmoid"} & set(layer)
        units = layer["lstm"]
        most = MOST_LSTM_UNITS
        is_known = (
            gives in (("last", "mean", "max", "mean+max") if is_last_lstm else ("steps",))
            and type(layer["bidirectional"]) is bool
            and layer.get("floor", 0) in (0, -1)
            and layer.get("hard_sigmoid", 0.2) in (0.2, 1 / 6)
        )
    if set(layer) != keys or not is_known or type(units) is not int or not 1 <= units <= most:
        raise ModelError(f"layer {str(layer)[:80]!r} is not supported")


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
        if is_damaged or len(entries) == MOST_IDS - 1:
            raise ModelError("the file's words are damaged or too many; export it again")
        entries.append(word)
        previous = word
    size = sum(len(word.encode()) for word in entries)
    if value[:1] > "\x1f" or size > SIZES["vocabulary"][0]:
        raise ModelError("the file's words are damaged or too large; export it again")
    return entries


def text_rule(rule: dict[str, Any], num_ids: int, *, has_pieces: bool) -> dict[int, str]:
    """Return each character's replacement before the text is split.

    num_ids: every id is below.
    has_pieces: whether unknown words are read in pieces.
    """
    start = rule["start_id"]
    oov = rule["oov_id"]
    first = rule["first_word_id"]
    least = 1 if start is None else START_ID + 1
    given = rule["separators"] + rule["removed"] + rule["marks"]
    if (
        rule["lowercase"] not in ("unicode", "ascii", "none")
        or rule["truncation"] not in ("last", "first")
        or rule["pad_id"] != PAD_ID
        or start not in (None, START_ID)
        or not (oov is None or (type(oov) is int and least <= oov < num_ids))
        or not (type(first) is int and least <= first <= HIGHEST_FIRST_WORD_ID)
        or (has_pieces and (start, oov, first) != IDS_WITH_PIECES)
        or len(set(given)) != len(given)
        or not set(rule["marks"]) <= set(MARKS)
    ):
        raise ModelError("this text rule is not supported; use a newer reference")
    spaced = {ord(c): to for c, to in rule["replacements"].items()}
    spaced |= dict.fromkeys(map(ord, rule["removed"]), "")
    spaced |= dict.fromkeys(map(ord, rule["separators"]), " ")
    # A mark is a word of its own.
    spaced |= {ord(mark): f" {mark} " for mark in rule["marks"]}
    # What replaces a character is replaced in turn.
    return {c: spaced.get(ord(to), to) if len(to) == 1 else to for c, to in spaced.items()}


def usable_weights(model: Model) -> dict[str, np.ndarray]:
    """Check every weight of the network, and return them with the tables of 4 bits unpacked."""
    network = model.network
    weights = model.weights
    int8 = "head_w_scales" in weights
    usable: dict[str, np.ndarray] = {}
    inputs = 0
    if model.lstms:
        rows = network["num_words"] + 1
        table = usable_table(weights, "embedding", rows, network["embedding_dim"], int8=int8)
        if int8:
            # Two sentinel columns, which are not stored.
            sentinels = np.tile(np.array([127, -128], np.int8), (rows, 1))
            table = np.hstack([table, sentinels])
            usable["embedding_scale"] = constant(weights, "embedding_scale", F32, (1,))
        usable["embedding"] = table
        inputs = table.shape[1]
    for k, layer in enumerate(model.lstms):
        usable |= lstm_weights(weights, f"lstm{k}", layer, inputs, int8=int8)
        blocks = (1 + layer["bidirectional"]) * (2 if layer["gives"] == "mean+max" else 1)
        inputs = blocks * (layer["lstm"] + 2 * int8)
    usable |= first_states(model, int8=int8)
    for k, layer in enumerate(model.dense):
        shape = (inputs, layer["dense"])
        usable[f"dense{k}_w"] = constant(weights, f"dense{k}_w", np.int8 if int8 else F32, shape)
        usable |= dense_weights(weights, f"dense{k}", *shape, int8=int8)
        inputs = layer["dense"]
    slots = network["ngram_slots"]
    ngrams = network["ngram_words"] + slots
    if ngrams:
        width = network["ngram_dim"]
        inputs += width
        usable["ngram_vectors"] = usable_table(weights, "ngram_vectors", ngrams, width, int8=int8)
        if int8:
            usable["ngram_scales"] = constant(weights, "ngram_scales", F32, (width,))
    if slots:
        buckets = weights.get("pair_displacements", np.empty(0)).size
        if not 1 <= buckets <= MOST_SLOTS:
            raise ModelError("this network is not supported: it has no displacements of its pairs")
        for name, size in (("pair_displacements", buckets), ("pair_fingerprints", slots)):
            usable[name] = constant(weights, name, np.uint16, (size,))
        if usable["pair_fingerprints"].max() > MOST_FINGERPRINTS:
            raise ModelError("this network is not supported: its fingerprints are out of range")
    has_one_logit = len(model.labels) == 2 and model.thresholds is None
    logits = 1 if has_one_logit else len(model.labels)
    usable["head_w"] = usable_table(weights, "head_w", inputs, logits, int8=int8)
    return usable | dense_weights(weights, "head", inputs, logits, int8=int8)


def usable_table(
    weights: dict[str, np.ndarray], name: str, rows: int, columns: int, *, int8: bool
) -> np.ndarray:
    """Return a table, which an int8 file may have in 4 bits or codes."""
    if [name in weights, f"{name}_q" in weights, f"{name}_c" in weights].count(True) != 1:
        raise ModelError(f"this network is not supported: its graph has no or two {name}")
    if int8 and f"{name}_c" in weights:
        codes = constant(weights, f"{name}_c", np.uint8, (rows, (columns + 3) // 4))
        book = constant(weights, f"{name}_b", np.int8, (256, 4))
        return book[codes].reshape(rows, -1)[:, :columns]
    if int8 and name not in weights:
        return unpacked(weights, name, rows, columns)
    return constant(weights, name, np.int8 if int8 else F32, (rows, columns))


def dense_weights(
    weights: dict[str, np.ndarray], name: str, inputs: int, units: int, *, int8: bool
) -> dict[str, np.ndarray]:
    """Return a dense layer's constants other than its table."""
    usable = {f"{name}_b": constant(weights, f"{name}_b", F32, (units,))}
    if int8:
        usable[f"{name}_w_scales"] = constant(weights, f"{name}_w_scales", F32, (inputs, 1))
    return usable


def lstm_weights(
    weights: dict[str, np.ndarray], name: str, layer: dict[str, Any], inputs: int, *, int8: bool
) -> dict[str, np.ndarray]:
    """Return an LSTM's constants. int8 has two sentinel units in each direction."""
    directions = 1 + layer["bidirectional"]
    hidden = layer["lstm"] + 2 * int8
    shapes: dict[str, tuple[Any, ...]] = {
        "w": (F32, directions, 4 * hidden, inputs),
        "r": (F32, directions, 4 * hidden, hidden),
        "b": (F32, directions, 8 * hidden),
    }
    if int8:
        shapes["w"] = (np.int8, directions, inputs, 4 * hidden)
        shapes["r"] = (np.int8, directions, hidden, 4 * hidden)
        shapes["w_scale"] = shapes["r_scale"] = (F32, directions)
    return {
        f"{name}_{part}": constant(weights, f"{name}_{part}", dtype, tuple(shape))
        for part, (dtype, *shape) in shapes.items()
    }


def first_states(model: Model, *, int8: bool) -> dict[str, np.ndarray]:
    """Return the tables of first states: all LSTMs have them, of as many rows, or none has."""
    usable: dict[str, np.ndarray] = {}
    table = model.weights.get("lstm0_h")
    if table is None:
        if int8 and len(model.lstms) > 1:
            raise ModelError("this network is not supported: its LSTMs have no first states")
        return usable
    rows = table.shape[1]
    if not 1 <= rows <= (model.length + 1 if model.network["padding"] == "none" else 1):
        raise ModelError("this network is not supported: its first states are of another number")
    for k, layer in enumerate(model.lstms):
        shape = (1 + layer["bidirectional"], rows, layer["lstm"] + 2 * int8)
        for part, end in (("h", 1), ("c", 20)):
            name = f"lstm{k}_{part}"
            states = constant(model.weights, name, F32, shape)
            # The last two units of int8 are at both ends all the time.
            has_ends = not int8 or (states[..., -2:] == (end, -end)).all()
            if not has_ends or (part == "h" and np.abs(states).max() > 1):
                raise ModelError(f"this network is not supported: its {name} is not usable")
            usable[name] = states
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
    if model.rule["lowercase"] == "unicode":
        # The whole text: the letters around a capital sigma tell whether it is final.
        text = text.lower()
    elif model.rule["lowercase"] == "ascii":
        text = text.translate(ASCII_LOWER)
    # Split at U+0020 only.
    words = [word for word in text.translate(model.spaced).split(" ") if word]
    start = model.rule["start_id"]
    oov = model.rule["oov_id"]
    ids = [] if start is None else [start]
    for word in words:
        if word in model.words:
            ids.append(model.words[word])
        elif model.pieces:
            ids += pieces_of(model, word)
        elif oov is not None:
            ids.append(oov)
    kept = ids[: model.length] if model.rule["truncation"] == "first" else ids[-model.length :]
    if any(i >= model.rule["first_word_id"] and i != oov for i in ids):
        return kept, "truncated" if len(ids) > model.length else "ok"
    return kept, "unknown_words" if words else "empty"


def pieces_of(model: Model, word: str) -> list[int]:
    """Return the ids of a word's pieces: the longest piece at each place.

    Unknown characters in a row are one id of an unknown word.
    """
    oov = model.rule["oov_id"]
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
            if ids[-1:] != [oov]:
                ids.append(oov)
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


# What a dense layer does with its sums.
ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, F32(0)),
    "tanh": tanh,
    "sigmoid": sigmoid,
}


def product(
    x: np.ndarray, weights: np.ndarray, scale: np.ndarray | None, ends: tuple[float, float]
) -> np.ndarray:
    """Multiply x, float32 [T, I], by the weights of one direction: float32 [T, 4H].

    weights: fp32 [4H, I], or int8 [I, 4H].
    scale: of int8 weights; None for fp32.
    ends: the least range of x.
    """
    if scale is None:
        return x @ weights.T
    # x is rounded to 8 bits over its range, all of x at once.
    low = min(F32(ends[0]), x.min())
    high = max(F32(ends[1]), x.max())
    step = F32(1) if low == high else F32((high - low) / F32(255))
    # np.rint rounds to the nearest, halves to the even one.
    zero = np.rint(np.clip(-low / step, F32(0), F32(255)))
    rounded = np.clip(np.rint(x / step) + zero, 0, 255) - zero
    # The products and sums are whole numbers below 2^53, so they are exact.
    exact = rounded.astype(F64) @ weights.astype(F64)
    return exact.astype(F32) * F32(step * scale)


def lstm(model: Model, k: int, x: np.ndarray, direction: int, row: int) -> np.ndarray:
    """Run one direction of the LSTM number k.

    x: float32 [T, inputs], in reading order.
    row: that of the first states, if the file has them.

    Returns its first state and its outputs, float32 [1 + T, H].
    """
    weights = model.weights
    w, r, b = (weights[f"lstm{k}_{part}"][direction] for part in "wrb")
    # An fp32 file has no scales.
    scales = [weights.get(f"lstm{k}_{part}_scale", (None, None))[direction] for part in "wr"]
    slope = model.lstms[k].get("hard_sigmoid")
    hidden = len(b) // 8
    bias = b[: 4 * hidden] + b[4 * hidden :]
    h = np.zeros(hidden, F32)
    c = np.zeros(hidden, F32)
    ends = (0, 0)
    if f"lstm{k}_h" in weights:
        table = weights[f"lstm{k}_h"][direction]
        row = min(row, len(table) - 1)
        h = table[row]
        c = weights[f"lstm{k}_c"][direction][row]
        # The sentinels fix the range of every output.
        ends = (-1, 1)
    outputs = np.empty((1 + len(x), hidden), F32)
    outputs[0] = h
    if not len(x):
        return outputs
    # Later LSTMs read outputs. The sentinels of the embedding fix its range.
    from_input = product(x, w, scales[0], ends if k else (0, 0))  # T, 4H
    for t in range(len(x)):
        gates = from_input[t] + product(h[None], r, scales[1], ends)[0] + bias
        # Input, output and forget gate, and the cell's candidate.
        i, o, f, g = np.split(gates, 4)
        i, o, f = (gate(x, slope) for x in (i, o, f))
        c = f * c + i * tanh(g)
        h = o * tanh(c)
        outputs[1 + t] = h
    return outputs


def gate(x: np.ndarray, slope: float | None) -> np.ndarray:
    """Compute what a gate lets through. slope: of a piecewise linear one; None: logistic."""
    if slope is None:
        return sigmoid(x)
    return np.clip(F32(slope) * x + F32(0.5), F32(0), F32(1))


def run_lstms(model: Model, ids: list[int]) -> np.ndarray:
    """Return what the next layer reads of the last LSTM: float32 [values]."""
    w = model.weights
    padding = [PAD_ID] * (model.length - len(ids))
    # The table has a row for each column of padding before the text, which need not be run.
    row = len(padding)
    if model.network["padding"] != "none":
        ids = padding + ids if model.network["padding"] == "front" else ids + padding
        row = 0
    x = w["embedding"][ids] * w.get("embedding_scale", F32(1))  # T, E
    for k, layer in enumerate(model.lstms):
        outputs = [lstm(model, k, x, 0, row)]
        if layer["bidirectional"]:
            # The second direction reads from the end.
            outputs.append(lstm(model, k, x[::-1], 1, row))
        # Behind their first states; those of the second in the order of the tokens.
        parts = [output[1:][:: 1 - 2 * d] for d, output in enumerate(outputs)]
        x = np.concatenate(parts, axis=1)  # T, D·H
    gives = layer["gives"]
    if gives == "last":
        # The state of each direction after its last step, or its first one if there is none.
        return np.concatenate([output[-1] for output in outputs])
    pooled = []
    if gives != "max":
        pooled.append(x.sum(axis=0, dtype=F32) / F32(max(1, len(ids))))
    if gives != "mean":
        highest = x.max(axis=0) if len(ids) else np.zeros(x.shape[1], F32)
        # The floor 0 counts the 0 of padding, even of a text without any.
        pooled.append(np.maximum(highest, F32(layer["floor"])))
    return np.concatenate(pooled)


def dense(model: Model, name: str, values: np.ndarray) -> np.ndarray:
    """Return the sums of a dense layer."""
    w = model.weights
    return values @ (w[f"{name}_w"] * w.get(f"{name}_w_scales", F32(1))) + w[f"{name}_b"]


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


def ngram_rows(model: Model, ids: list[int]) -> dict[int, int]:
    """Return the rows of the vectors of the text's n-grams, and what each counts."""
    words = model.network["ngram_words"]
    slots = model.network["ngram_slots"]
    found = [i - FIRST_NGRAM_ID for i in ids if 0 <= i - FIRST_NGRAM_ID < words]
    for a, b in pairwise(ids) if slots else ():
        slot, fingerprint = slot_of_pair(a, b, model.weights["pair_displacements"], slots)
        is_stored = model.weights["pair_fingerprints"][slot] == fingerprint
        # Padding is in no pair.
        if is_stored and min(a, b) > 0:
            found.append(words + slot)
    counts = model.network["ngram_counts"]
    return {
        row: counts[min(times, len(counts)) - 1] for row, times in sorted(Counter(found).items())
    }


def ngram_part(model: Model, ids: list[int]) -> np.ndarray:
    """Add up the vectors of the text's n-grams and divide by √T: float32 [width]."""
    counts = ngram_rows(model, ids)
    vectors = model.weights["ngram_vectors"][list(counts)]  # n, width
    scales = model.weights["ngram_scales"] if vectors.dtype == np.int8 else F32(1)
    total = vectors.T.astype(F32) @ np.array(list(counts.values()), F32)
    return total * scales / np.sqrt(F32(max(1, len(ids))))


def probabilities(model: Model, ids: list[int]) -> np.ndarray:
    """Return float32 [L], in the order of the labels."""
    values = run_lstms(model, ids) if model.lstms else np.empty(0, F32)
    for k, layer in enumerate(model.dense):
        values = ACTIVATIONS[layer["activation"]](dense(model, f"dense{k}", values))
    if "ngram_vectors" in model.weights:
        values = np.concatenate([values, ngram_part(model, ids)])
    logits = dense(model, "head", values)
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
