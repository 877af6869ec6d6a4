"""The specification that runs: a model file of edge-lstm, read and run with NumPy alone.

    python engine/reference.py MODEL "A wonderful film." "Never again."

It leads from bytes to probabilities, top to bottom: protocol buffer → model file → text → ids →
LSTM → answer. docs/file-format.md says the same in words. This is written to be read, not to be
fast, and for a file whose digest is right. A file that was made to do harm has a right digest too:
reference_checks.py refuses it, and takes the same arguments.

Shapes in comments: T tokens, E embedding, H hidden units, D directions, L labels.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Context, Decimal
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

F32 = np.float32
F64 = np.float64


class ModelError(Exception):
    """The file is not a model that this reference runs. The text is one line with the reason."""


# --- The bytes: a protocol buffer message, https://protobuf.dev/programming-guides/encoding/ -----


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at ``at``, and its end."""
    value = 0
    # Seven bits a byte, the lowest first; the last byte has no high bit.
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            break
    return value, at + i + 1


def fields(data: bytes) -> list[tuple[int, Any]]:
    """Return a message's fields in order: (field number, int or bytes)."""
    every = []
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        # The wire type 0 is a number, 2 a size and as many bytes. No file has the others.
        if key & 7 == 2:
            end = at + value
            every.append((key >> 3, data[at:end]))
            at = end
        else:
            every.append((key >> 3, value))
    return every


# TensorProto.DataType → NumPy's type.
DTYPES = {1: F32, 2: np.uint8, 3: np.int8, 4: np.uint16, 6: np.int32, 7: np.int64}


def tensors(graph: bytes) -> dict[str, np.ndarray]:
    """Return a GraphProto's constants by name."""
    constants = {}
    # Field 5 of a GraphProto; of a TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data.
    for tensor in (fields(value) for number, value in fields(graph) if number == 5):
        parts = dict(tensor)
        if parts.get(2) in DTYPES and 9 in parts:
            values = np.frombuffer(parts[9], DTYPES[parts[2]])
            constants[parts[8].decode()] = values.reshape([dim for n, dim in tensor if n == 1])
    return constants


# --- The model file ------------------------------------------------------------------------------


@dataclass
class Model:
    """The content of a file."""

    words: dict[str, int]  # string → id
    pieces: dict[str, int]
    rule: dict[str, Any]  # the text rule's settings
    labels: list[str]  # in the order of the probabilities
    network: dict[str, Any]  # the architecture
    weights: dict[str, np.ndarray]  # by name, with every table unpacked
    thresholds: list[float] | None = None  # of each label; None: a text has one label
    fields: dict[str, Any] | None = None  # that it reads of a row; None: it reads a text
    golden: Sequence[dict[str, Any]] = ()  # texts with the ids and answers that they must get

    def layers(self, kind: str) -> list[dict[str, Any]]:
        """Return its layers that are ``lstm`` or ``dense``."""
        return [layer for layer in self.network["layers"] if kind in layer]


def read(data: bytes) -> Model:
    """Read a file's bytes. Raises ModelError for another digest or another format."""
    # The digest of all bytes before it ends the file.
    if data[-64:] != hashlib.sha256(data[:-64]).hexdigest().encode():
        raise ModelError("not a model file of edge-lstm, or cut short or changed; copy it again")
    # Fields of a ModelProto: 7 graph, 14 metadata_props (1 key, 2 value).
    message = fields(data)
    entries = [dict(fields(value)) for number, value in message if number == 14]
    metadata = {entry[1].decode(): entry.get(2, b"").decode() for entry in entries}
    version = metadata["edge_lstm.format"]
    if version != "1":
        raise ModelError(f"the file was made by a newer version ({version[:20]!r}); this reads 1")
    network = json.loads(metadata["edge_lstm.network"])
    rule = json.loads(metadata["edge_lstm.tokenizer"])
    entries = vocabulary_entries(metadata["edge_lstm.vocabulary"])
    ids = [*enumerate(entries, rule["first_word_id"])]
    return Model(
        words={word: i for i, word in ids[: rule["words"]]},
        pieces={piece: i for i, piece in ids[rule["words"] :]},
        rule=rule,
        labels=json.loads(metadata["edge_lstm.labels"]),
        network=network,
        weights=with_tables(tensors(dict(message)[7]), network),
        thresholds=json.loads(metadata.get("edge_lstm.multi_label", "{}")).get("thresholds"),
        fields=json.loads(metadata.get("edge_lstm.fields", "null")),
        golden=json.loads(metadata.get("edge_lstm.golden", "[]")),
    )


def vocabulary_entries(value: str) -> list[str]:
    """Return the words and pieces of a stored vocabulary."""
    entries = [""]
    # A character for the number of code points that an entry shares with the one before it, and
    # the rest.
    for shared, rest in re.findall("([\0-\x1f])([^\0-\x1f]*)", uncoded(value)):
        entries.append(entries[-1][: ord(shared) - 1] + rest)
    return entries[1:]


def uncoded(value: str) -> str:
    """Return a stored vocabulary with two characters for each code."""
    # Before U+0000, if there is one: letter pairs, a code and the two characters.
    end = value.find("\0")
    pairs = {ord(value[i]): value[i + 1 : i + 3] for i in range(0, end, 3)}
    return value[end + 1 :].translate(pairs)


def replacements(rule: dict[str, Any]) -> dict[int, str]:
    """Return each character's replacement before the text is split."""
    spaced = {ord(c): to for c, to in rule["replacements"].items()}
    spaced |= dict.fromkeys(map(ord, rule["removed"]), "")
    spaced |= dict.fromkeys(map(ord, rule["separators"]), " ")
    # A mark is a word of its own.
    spaced |= {ord(mark): f" {mark} " for mark in rule["marks"]}
    # What replaces a character is replaced in turn.
    return {c: spaced.get(ord(to), to) if len(to) == 1 else to for c, to in spaced.items()}


def with_tables(weights: dict[str, np.ndarray], network: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the weights with their tables unpacked."""
    shapes = {}
    if network["layers"]:
        shapes["embedding"] = network["num_words"] + 1, network["embedding_dim"]
    if ngrams := network["ngram_words"] + network["ngram_slots"]:
        shapes["ngram_vectors"] = ngrams, network["ngram_dim"]
    weights |= {name: unpacked(weights, name, *shape) for name, shape in shapes.items()}
    # The head has a row for each of its inputs.
    rows = len(weights.get("head_w_scales", ()))
    weights["head_w"] = unpacked(weights, "head_w", rows, weights["head_b"].size)
    if "embedding_scale" in weights:
        # The two sentinel columns of int8 are not stored.
        sentinels = np.full((len(weights["embedding"]), 2), [127, -128], np.int8)
        weights["embedding"] = np.hstack([weights["embedding"], sentinels])
    return weights


# A table of fewer columns is narrow.
NARROWEST = 4


def unpacked(weights: dict[str, np.ndarray], name: str, rows: int, columns: int) -> np.ndarray:
    """Return a table, which an int8 file may have in codes or in 4 bits."""
    if f"{name}_c" in weights:
        # A code stands for four columns: a row of the book.
        codes = weights[f"{name}_c"]
        return weights[f"{name}_b"][codes].reshape(len(codes), -1)[:, :columns]
    if f"{name}_q" in weights:
        packed = weights[f"{name}_q"]
        multipliers = halves_of(weights[f"{name}_m"])[: len(packed), None] + 1
        numbers = (halves_of(packed) - 8) * multipliers
        if columns >= NARROWEST:
            return numbers[:, :columns]
        # A narrow table has its numbers one after another, and zeros behind the last.
        return numbers.reshape(-1)[: rows * columns].reshape(rows, columns)
    return weights[name]


def halves_of(held: np.ndarray) -> np.ndarray:
    """Return the halves of bytes, the low half of each first: uint8 [..., n] → int8 [..., 2n]."""
    halves = np.stack([held & 15, held >> 4], axis=-1)
    return halves.reshape(*held.shape[:-1], -1).astype(np.int8)


# --- Row → text ----------------------------------------------------------------------------------

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,8})?")
DATE = re.compile(
    "([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]((?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)"
    "(?:Z|([+-](?:[01][0-9]|2[0-3])):?([0-5][0-9]))?)?"
)
MOST_DEPTH = 32
CUT = Context(prec=28, rounding=ROUND_DOWN, traps=[])


def decimal(digits: str) -> Decimal:
    """Return the number that digits spell, NaN for other texts."""
    return Decimal(digits if NUMBER.fullmatch(digits) else "NaN")


# An object is a tuple of its keys and values, each key as often as it is there. int refuses NaN.
ROW = json.JSONDecoder(
    object_pairs_hook=tuple, parse_float=decimal, parse_int=decimal, parse_constant=int
)


def values(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of a row in order; of a list also the list itself."""
    if depth == MOST_DEPTH and isinstance(value, list):
        raise ModelError("the row is nested too deep")
    if isinstance(value, tuple):
        for key, item in value:
            yield from values(item, f"{path}.{key}" if path else key, depth + 1)
        return
    yield path, value
    for item in value if isinstance(value, list) else ():
        yield from values(item, path, depth + 1)


def number_of(value: Any) -> Decimal:
    """Return a number, the number that a string spells or the seconds of its date; else NaN."""
    if isinstance(value, Decimal):
        return value
    text = str(value).strip(" ") if len(str(value)) <= 64 else ""
    found = DATE.fullmatch(text)
    if not found:
        return decimal(text)
    day, time, hours, minutes = found.groups()
    zone = f"{hours}:{minutes}" if hours else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{(time or '00').partition('.')[0]}{zone}")
    except ValueError:
        return Decimal("NaN")
    return Decimal(int(moment.timestamp()))


def total(numbers: list[Decimal]) -> Decimal:
    """Return the sum of numbers that are cut to millionths; NaN if it is too large."""
    if max(number.copy_abs() for number in numbers) >= 10**12:
        return Decimal("NaN")
    sums = [*accumulate(CUT.quantize(number, Decimal("0.000001")) for number in numbers)]
    return sums[-1] if max(map(abs, sums)) <= 8 * 10**12 else Decimal("NaN")


PARTS = {"value": max, "length": sum, "least": min, "greatest": max, "sum": total}


def word_of(field: dict[str, Any], found: list[Any]) -> tuple[int, Decimal]:
    """Return the number of a field's word, from 0, and the number that the word is of, or NaN."""
    known = known_of(field)
    missing = len(known) + (field["kind"] == "number")
    part = field.get("part", "value")
    kinds = {"value": (str, Decimal, bool), "length": list}.get(part, Decimal)
    there = [each for each in found if isinstance(each, kinds) and each != ""]
    if not there:
        return missing, Decimal("NaN")
    if field["kind"] == "category":
        last = str(there[-1]).lower() if isinstance(there[-1], bool) else there[-1]
        known = known if isinstance(last, str) else [*map(number_of, known)]
        return known.index(last) if last in known else missing + 1, Decimal("NaN")
    numbers = [Decimal(len(each)) if part == "length" else number_of(each) for each in there]
    numbers = numbers[-1:] if part == "value" else numbers
    is_unknown = any(map(Decimal.is_nan, numbers))
    number = Decimal("NaN") if is_unknown else PARTS[part](numbers)
    if number.is_nan():
        return missing + 1, number
    return sum(number > number_of(edge) for edge in known), number


def known_of(field: dict[str, Any]) -> list[Any]:
    """Return the values of a category, the edges of a number."""
    return field.get("values") or field.get("edges") or []


def row_text(model: Model, row: str) -> str:
    """Return the text of a row: its texts, then the words of its fields and pairs."""
    every = model.fields["fields"]
    texts = [field["name"] for field in every if field["kind"] == "text"]
    if row.startswith("\U000ffffd"):
        return row[1:]
    if row.lstrip(" \t\r\n").startswith("{"):
        try:
            leaves = list(values(ROW.decode(row)))
        except (ValueError, RecursionError) as error:
            raise ModelError(f"not JSON: {error}") from None
    elif texts:
        leaves = [(texts[0], row)]
    else:
        raise ModelError("the file reads objects, not texts")
    parts = [v for name in texts for path, v in leaves if path == name and isinstance(v, str)]
    words = [re.sub("[\U000f0000-\U000fffff]", " ", " ".join(filter(None, parts)))]
    numbers = []
    first = 0xF0000
    for field in every:
        word, number = word_of(field, [value for path, value in leaves if path == field["name"]])
        numbers.append(number)
        if field["kind"] != "text":
            words.append(chr(first + word))
            first += len(known_of(field)) + (2 if field["kind"] == "category" else 3)
    for pair, (a, b) in enumerate(model.fields["pairs"]):
        if not numbers[a].is_nan() and not numbers[b].is_nan():
            order = 1 + (numbers[a] > numbers[b]) - (numbers[a] < numbers[b])
            words.append(chr(first + 3 * pair + order))
    return " ".join(words)


# --- Text → ids ----------------------------------------------------------------------------------


def encode(model: Model, text: str) -> tuple[list[int], str]:
    """Return a text's ids, and its status: ok, empty, unknown_words or truncated."""
    # A surrogate pair is its character, a lone surrogate is U+FFFD.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if model.rule["lowercase"] == "unicode":
        # The whole text: the letters around a capital sigma tell whether it is final.
        text = text.lower()
    elif model.rule["lowercase"] == "ascii":
        text = text.translate({capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)})
    # Split at U+0020 only.
    words = [word for word in text.translate(replacements(model.rule)).split(" ") if word]
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
    length = model.rule["length"]
    kept = ids[:length] if model.rule["truncation"] == "first" else ids[-length:]
    if any(i >= model.rule["first_word_id"] and i != oov for i in ids):
        return kept, "truncated" if len(ids) > length else "ok"
    return kept, "unknown_words" if words else "empty"


def pieces_of(model: Model, word: str) -> list[int]:
    """Return the ids of a word's pieces: the longest piece at each place."""
    oov = model.rule["oov_id"]
    ids: list[int] = []
    longest = max(map(len, model.pieces))
    at = 0
    while at < len(word):
        starts = (word[at : at + size] for size in range(longest, 0, -1))
        piece = next((start for start in starts if start in model.pieces), None)
        if piece is not None:
            ids.append(model.pieces[piece])
        elif ids[-1:] != [oov]:  # unknown characters in a row are one id
            ids.append(oov)
        at += len(piece or "?")
    return ids


# --- ids → probabilities -------------------------------------------------------------------------


def polynomial(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Compute a polynomial by Horner's rule in float32, each a · b + c rounded once."""
    value = F32(coefficients[0])
    for coefficient in coefficients[1:]:
        # A product of float32 numbers is exact in float64.
        value = (x.astype(F64) * value.astype(F64) + F64(F32(coefficient))).astype(F32)
    return value


# The exact functions give as good an answer (1e-3 of a probability). These are the rational
# functions that ONNX Runtime computes on x86 with AVX2 (Eigen's). With them, int8 rounds as there.
# fmt: off
SIGMOID_P = [4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05,
             8.51377133304701e-03, 2.48287947061529e-01]
SIGMOID_Q = [6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06,
             1.70198817374094e-03, 1.16817656904453e-01, 9.93151921023180e-01]
TANH_P = [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11,
          5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03]
TANH_Q = [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03]
# fmt: on


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
    """Multiply x, float32 [T, I], by fp32 [4H, I], or by int8 [I, 4H] with a scale: [T, 4H].

    ends: the least range of x.
    """
    if scale is None:
        return x @ weights.T
    # x is rounded to 8 bits over its range, all of x at once.
    low = x.min(initial=F32(ends[0]))
    high = x.max(initial=F32(ends[1]))
    step = F32(1) if low == high else F32((high - low) / F32(255))
    # np.rint rounds to the nearest, halves to the even one.
    zero = np.rint(np.clip(-low / step, F32(0), F32(255)))
    rounded = np.clip(np.rint(x / step) + zero, 0, 255) - zero
    # The products and sums are whole numbers below 2^53, so they are exact.
    exact = rounded.astype(F64) @ weights.astype(F64)
    return exact.astype(F32) * F32(step * scale)


def lstm(model: Model, k: int, x: np.ndarray, direction: int, row: int) -> np.ndarray:
    """Return the first state and the outputs, float32 [1 + T, H], of a direction of LSTM k.

    x: float32 [T, inputs], in reading order. row: of the first states, if the file has them.
    """
    weights = model.weights
    w, r, b = (weights[f"lstm{k}_{part}"][direction] for part in "wrb")
    # An fp32 file has no scales.
    scales = [weights.get(f"lstm{k}_{part}_scale", (None, None))[direction] for part in "wr"]
    slope = model.layers("lstm")[k].get("hard_sigmoid")
    gate = sigmoid if slope is None else lambda x: np.clip(F32(slope) * x + F32(0.5), 0, 1)
    h = np.zeros(len(b) // 4, F32)
    c = h
    ends = (0, 0)
    if f"lstm{k}_h" in weights:
        row = min(row, weights[f"lstm{k}_h"].shape[1] - 1)
        h, c = (weights[f"lstm{k}_{part}"][direction, row] for part in "hc")
        # The sentinels fix the range of every output.
        ends = (-1, 1)
    outputs = [h]
    # Later LSTMs read outputs. The sentinels of the embedding fix its range.
    for step in product(x, w, scales[0], ends if k else (0, 0)):
        gates = step + product(h[None], r, scales[1], ends)[0] + b
        # Input, output and forget gate, and the cell's candidate.
        i, o, f, g = np.split(gates, 4)
        i, o, f = map(gate, (i, o, f))
        c = f * c + i * tanh(g)
        h = o * tanh(c)
        outputs.append(h)
    return np.array(outputs)


def run_lstms(model: Model, ids: list[int]) -> np.ndarray:
    """Return what the next layer reads of the last LSTM: float32 [values]."""
    w = model.weights
    padding = [0] * (model.rule["length"] - len(ids))
    # The table has a row for each column of padding before the text, which need not be run.
    row = len(padding)
    if model.network["padding"] != "none":
        ids = padding + ids if model.network["padding"] == "front" else ids + padding
        row = 0
    x = w["embedding"][ids] * w.get("embedding_scale", F32(1))  # T, E
    for k, layer in enumerate(model.layers("lstm")):
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
    mean = x.sum(axis=0, dtype=F32) / F32(max(1, len(ids)))
    highest = x.max(axis=0) if len(ids) else np.zeros(x.shape[1], F32)
    # The floor 0 counts the 0 of padding, even of a text without any.
    pooled = {"mean": mean, "max": np.maximum(highest, F32(layer.get("floor", 0)))}
    return np.concatenate([pooled[part] for part in gives.split("+")])


def dense(model: Model, name: str, values: np.ndarray) -> np.ndarray:
    """Return the sums of a dense layer."""
    w = model.weights
    return values @ (w[f"{name}_w"] * w.get(f"{name}_w_scales", F32(1))) + w[f"{name}_b"]


# A prime, and multipliers by which products modulo it look random (Fishman and Moore, 1986).
PRIME = 2**31 - 1
MULTIPLIERS = (950706376, 742938285)


def slot_of_pair(a: int, b: int, displacements: np.ndarray, slots: int) -> tuple[int, int]:
    """Return the only slot that a pair of ids may have, and its fingerprint there."""
    key = (a * 2**17 + b) % PRIME
    h = key * MULTIPLIERS[0] % PRIME
    g = key * MULTIPLIERS[1] % PRIME
    buckets = len(displacements)
    step = 1 + h // buckets % max(slots - 1, 1)
    return (g % slots + int(displacements[h % buckets]) * step) % slots, 1 + g % 255


def ngram_rows(model: Model, ids: list[int]) -> dict[int, int]:
    """Return the rows of the vectors of the text's n-grams, and what each counts."""
    words = model.network["ngram_words"]
    slots = model.network["ngram_slots"]
    # The vector of an id has the row id - 2.
    found = [i - 2 for i in ids if 0 <= i - 2 < words]
    for a, b in pairwise(ids) if slots else ():
        slot, fingerprint = slot_of_pair(a, b, model.weights["pair_displacements"], slots)
        is_stored = model.weights["pair_fingerprints"][slot] == fingerprint
        # Padding is in no pair.
        if is_stored and min(a, b) > 0:
            found.append(words + slot)
    counts = model.network["ngram_counts"]
    times = sorted(Counter(found).items())
    return {row: counts[min(n, len(counts)) - 1] for row, n in times}


def ngram_part(model: Model, ids: list[int]) -> np.ndarray:
    """Add up the vectors of the text's n-grams and divide by √T: float32 [width]."""
    counts = ngram_rows(model, ids)
    vectors = model.weights["ngram_vectors"][list(counts)]  # n, width
    scales = model.weights["ngram_scales"] if vectors.dtype == np.int8 else F32(1)
    total = vectors.T.astype(F32) @ np.array(list(counts.values()), F32)
    return total * scales / np.sqrt(F32(max(1, len(ids))))


def probabilities(model: Model, ids: list[int]) -> np.ndarray:
    """Return float32 [L], in the order of the labels."""
    values = run_lstms(model, ids) if model.layers("lstm") else np.empty(0, F32)
    for k, layer in enumerate(model.layers("dense")):
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
    return "|".join(model.labels[i] for i in order if float(answer[i]) >= model.thresholds[i])


def main(read: Callable[[bytes], Model] = read) -> None:
    """Print each text's labels, highest probability and status, as ``edge-lstm predict`` does."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        model = read(Path(sys.argv[1]).read_bytes())
    except (ModelError, OSError) as error:
        sys.exit(f"error: {sys.argv[1]!r}: {error}")
    for text in sys.argv[2:]:
        try:
            ids, status = encode(model, row_text(model, text) if model.fields else text)
        except ModelError as error:
            sys.exit(f"error: {text[:80]!r}: {error}")
        answer = probabilities(model, ids)
        print(f"{labels_of(model, answer)!r}\t{answer.max():.6f}\t{status}")


if __name__ == "__main__":
    main()
