"""The checks of a model file that may have been made to do harm, before reference.py reads it.

    python engine/reference_checks.py MODEL "A wonderful film."

It takes the arguments of reference.py; without texts, it checks the file's golden rows.
docs/file-format.md says what to refuse.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import reference
from reference import ACTIVATIONS, F32, Model, ModelError, halves_of

DAMAGED = "the file is cut short or damaged; copy it again"

# Fields of a message. A model's messages have at most half as many.
MOST_FIELDS = 256

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

HIGHEST_FIRST_WORD_ID = 4
# Start, unknown word and first word of a rule with pieces of words.
IDS_WITH_PIECES = (1, 2, 4)
MARKS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'
# A table of fewer columns has its 4-bit numbers in rows of TOGETHER.
NARROWEST = 4
TOGETHER = 16


def read(data: bytes) -> Model:
    """Read a file's bytes as reference.read does.

    Raises ModelError for a file that it does not read, or that was made to do harm.
    """
    try:
        # Damage is told from harm.
        if data[-64:] != hashlib.sha256(data[:-64]).hexdigest().encode():
            return reference.read(data)
        message = fields(data)
        properties = [value for number, value in message if number == 14]
        if sum(map(len, properties)) > MOST_METADATA:
            raise ModelError(DAMAGED)
        entries = [dict(fields(value)) for value in properties]
        metadata = {entry[1].decode(): entry.get(2, b"").decode() for entry in entries}
        if metadata["edge_lstm.format"] == "1":
            check(dict(message)[7], metadata)
        return reference.read(data)
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(
            f"the file's parts are unusable ({error!r:.200}); export it again"
        ) from None


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at ``at``, and its end."""
    if all(byte >= 0x80 for byte in data[at : at + 10]):
        raise ModelError(DAMAGED)
    return reference.varint(data, at)


def fields(data: bytes) -> list[tuple[int, Any]]:
    """Return what reference.fields returns of a message that is whole."""
    at = 0
    count = 0
    while at < len(data):
        key, at = varint(data, at)
        size, at = varint(data, at)
        # No field that is needed has another wire type.
        if key & 7 not in (0, 2) or key >> 3 == 0 or count == MOST_FIELDS:
            raise ModelError(DAMAGED)
        at += size if key & 7 == 2 else 0
        count += 1
    if at != len(data):
        raise ModelError(DAMAGED)
    return reference.fields(data)


def check(graph: bytes, metadata: dict[str, str]) -> None:
    """Check an encoded graph and the metadata."""
    check_sizes(metadata, MOST_LABELS)
    network = json.loads(metadata["edge_lstm.network"])
    if not (2 <= network["labels"] <= MOST_LABELS and 0 <= network["ngram_slots"] <= MOST_SLOTS):
        raise ModelError("the file's labels or n-grams are too many; export it again")
    check_sizes(metadata, network["labels"])
    entries = check_entries(metadata["edge_lstm.vocabulary"])
    rule = json.loads(metadata["edge_lstm.tokenizer"])
    count = rule["words"]
    num_ids = rule["first_word_id"] + entries
    check_rule(rule, num_ids, has_pieces=count < entries)
    labels = json.loads(metadata["edge_lstm.labels"])
    thresholds = json.loads(metadata.get("edge_lstm.multi_label", "{}")).get("thresholds")
    is_multi_label = thresholds is not None
    if (
        len(labels) != max(2, network["labels"])
        or any(map(has_control_character, labels))
        or network["multi_label"] is not is_multi_label
        or len(thresholds or []) != is_multi_label * len(labels)
        or not all(type(t) in (int, float) and 0 < t <= 1 for t in thresholds or [])
        # It joins labels in the answer.
        or (is_multi_label and any("|" in label for label in labels))
        or not 0 <= count <= entries
        or not num_ids == network["num_words"] <= MOST_IDS
        or not 0 <= network["ngram_words"] <= network["num_words"] - 2
        or not are_counts(network["ngram_counts"])
        or not 1 <= rule["length"] <= MOST_COLUMNS
    ):
        raise ModelError("the file's metadata does not fit together; export it again")
    check_layers(network)
    for number, value in fields(graph):
        if number == 5:
            fields(value)
    # It has the weights as the graph does.
    model = Model({}, {}, rule, labels, network, reference.tensors(graph), thresholds)
    check_weights(model)


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


def check_entries(vocabulary: str) -> int:
    """Return the number of words and pieces of a stored vocabulary."""
    previous = ""
    count = 0
    size = 0
    codes_end = max(0, vocabulary.find("\0"))
    if codes_end % 3 or not vocabulary[:codes_end:3].isascii():
        raise ModelError("the letter pairs of the file's words are damaged; export it again")
    vocabulary = reference.uncoded(vocabulary)
    for entry in re.finditer("([\0-\x1f])([^\0-\x1f]*)", vocabulary):
        shared = ord(entry[1]) - 1
        word = previous[:shared] + entry[2]
        count += 1
        size += len(word.encode())
        is_damaged = not 0 <= shared <= len(previous) or not word
        if is_damaged or count == MOST_IDS or size > SIZES["vocabulary"][0]:
            raise ModelError("the file's words are damaged or too many; export it again")
        previous = word
    if vocabulary[:1] > "\x1f":
        raise ModelError("the file's words are damaged; export it again")
    return count


def check_rule(rule: dict[str, Any], num_ids: int, *, has_pieces: bool) -> None:
    """Check that this reference implements a text rule.

    num_ids: every id is below.
    has_pieces: whether unknown words are read in pieces.
    """
    start = rule["start_id"]
    oov = rule["oov_id"]
    first = rule["first_word_id"]
    least = 1 if start is None else 2
    given = rule["separators"] + rule["removed"] + rule["marks"]
    if (
        rule["lowercase"] not in ("unicode", "ascii", "none")
        or rule["truncation"] not in ("last", "first")
        or rule["pad_id"] != 0
        or start not in (None, 1)
        or not (oov is None or (type(oov) is int and least <= oov < num_ids))
        or not (type(first) is int and least <= first <= HIGHEST_FIRST_WORD_ID)
        or (has_pieces and (start, oov, first) != IDS_WITH_PIECES)
        or len(set(given)) != len(given)
        or not set(rule["marks"]) <= set(MARKS)
    ):
        raise ModelError("this text rule is not supported; use a newer reference")
    reference.replacements(rule)


def check_weights(model: Model) -> None:
    """Check every weight of the network."""
    network = model.network
    weights = model.weights
    int8 = "head_w_scales" in weights
    inputs = 0
    if model.layers("lstm"):
        check_table(weights, "embedding", network["num_words"] + 1, network["embedding_dim"], int8)
        if int8:
            constant(weights, "embedding_scale", F32, 1)
        inputs = network["embedding_dim"] + 2 * int8
    for k, layer in enumerate(model.layers("lstm")):
        check_lstm(weights, f"lstm{k}", layer, inputs, int8)
        blocks = (1 + layer["bidirectional"]) * (2 if layer["gives"] == "mean+max" else 1)
        inputs = blocks * (layer["lstm"] + 2 * int8)
    check_first_states(model, int8)
    for k, layer in enumerate(model.layers("dense")):
        constant(weights, f"dense{k}_w", np.int8 if int8 else F32, inputs, layer["dense"])
        check_dense(weights, f"dense{k}", inputs, layer["dense"], int8)
        inputs = layer["dense"]
    slots = network["ngram_slots"]
    ngrams = network["ngram_words"] + slots
    if ngrams:
        width = network["ngram_dim"]
        inputs += width
        check_table(weights, "ngram_vectors", ngrams, width, int8)
        if int8:
            constant(weights, "ngram_scales", F32, width)
    if slots:
        buckets = weights["pair_displacements"].size
        if not 1 <= buckets <= MOST_SLOTS:
            raise ModelError("this network is not supported: it has no displacements of its pairs")
        constant(weights, "pair_displacements", np.uint8, buckets)
        constant(weights, "pair_fingerprints", np.uint8, slots)
    has_one_logit = len(model.labels) == 2 and model.thresholds is None
    logits = 1 if has_one_logit else len(model.labels)
    check_table(weights, "head_w", inputs, logits, int8)
    check_dense(weights, "head", inputs, logits, int8)


def check_table(
    weights: dict[str, np.ndarray], name: str, rows: int, columns: int, int8: bool
) -> None:
    """Check a table, which an int8 file may have in 4 bits or codes."""
    if [name in weights, f"{name}_q" in weights, f"{name}_c" in weights].count(True) != 1:
        raise ModelError(f"this network is not supported: its graph has no or two {name}")
    if int8 and f"{name}_c" in weights:
        constant(weights, f"{name}_c", np.uint8, rows, (columns + 3) // 4)
        constant(weights, f"{name}_b", np.int8, 256, 4)
    elif int8 and name not in weights:
        check_packed(weights, name, rows, columns)
    else:
        constant(weights, name, np.int8 if int8 else F32, rows, columns)


def check_packed(weights: dict[str, np.ndarray], name: str, rows: int, columns: int) -> None:
    """Check a table of 4 bits."""
    count = rows * columns
    is_narrow = columns < NARROWEST
    if is_narrow:
        rows = -(-count // TOGETHER)
        columns = TOGETHER
    packed = constant(weights, f"{name}_q", np.uint8, rows, (columns + 1) // 2)
    constant(weights, f"{name}_m", np.uint8, (rows + 1) // 2)
    # Behind an odd number of columns is the half of a byte that stands for 0.
    is_usable = (packed & 15).all() and (packed >> 4).all()
    if columns % 2 and (packed[:, -1] >> 4 != 8).any():
        is_usable = False
    # And so behind the last number of a narrow one.
    if is_narrow and (halves_of(packed).ravel()[count:] != 8).any():
        is_usable = False
    if not is_usable:
        raise ModelError(f"this network is not supported: its {name} is not usable")


def check_dense(
    weights: dict[str, np.ndarray], name: str, inputs: int, units: int, int8: bool
) -> None:
    """Check a dense layer's constants other than its table."""
    constant(weights, f"{name}_b", F32, units)
    if int8:
        constant(weights, f"{name}_w_scales", F32, inputs, 1)


def check_lstm(
    weights: dict[str, np.ndarray], name: str, layer: dict[str, Any], inputs: int, int8: bool
) -> None:
    """Check an LSTM's constants. int8 has two sentinel units in each direction."""
    directions = 1 + layer["bidirectional"]
    hidden = layer["lstm"] + 2 * int8
    gates = 4 * hidden
    constant(weights, f"{name}_b", F32, directions, gates)
    for part, columns in ((f"{name}_w", inputs), (f"{name}_r", hidden)):
        if int8:
            constant(weights, part, np.int8, directions, columns, gates)
            constant(weights, f"{part}_scale", F32, directions)
        else:
            constant(weights, part, F32, directions, gates, columns)


def check_first_states(model: Model, int8: bool) -> None:
    """Check the tables of first states: all LSTMs have them, of as many rows, or none has."""
    lstms = model.layers("lstm")
    table = model.weights.get("lstm0_h")
    if table is None:
        if int8 and len(lstms) > 1:
            raise ModelError("this network is not supported: its LSTMs have no first states")
        return
    rows = table.shape[1]
    if not 1 <= rows <= (model.rule["length"] + 1 if model.network["padding"] == "none" else 1):
        raise ModelError("this network is not supported: its first states are of another number")
    for k, layer in enumerate(lstms):
        for part, end in (("h", 1), ("c", 20)):
            name = f"lstm{k}_{part}"
            units = layer["lstm"] + 2 * int8
            states = constant(model.weights, name, F32, 1 + layer["bidirectional"], rows, units)
            # The last two units of int8 are at both ends all the time.
            has_ends = not int8 or (states[..., -2:] == (end, -end)).all()
            if not has_ends or (part == "h" and np.abs(states).max() > 1):
                raise ModelError(f"this network is not supported: its {name} is not usable")


def constant(weights: dict[str, np.ndarray], name: str, dtype: type, *shape: int) -> np.ndarray:
    """Return a constant that has this type and shape, and only usable values."""
    values = weights.get(name)
    if values is None or values.dtype != dtype or values.shape != shape:
        raise ModelError(f"this network is not supported: its graph has no {name} of shape {shape}")
    least = 0 if "_scale" in name else -np.inf
    if dtype is F32 and not ((values > least) & np.isfinite(values)).all():
        raise ModelError(f"this network is not supported: its {name} is not usable")
    return values


def check_golden_rows(model: Model) -> None:
    """Print whether the file's golden rows get their answers here."""
    for row in model.golden:
        ids, _ = reference.encode(model, row["text"])
        answer = reference.probabilities(model, ids)
        # Of the most probable labels: the number of the label, its probability.
        best = dict(row["probabilities"])
        apart = max((abs(float(answer[i]) - p) for i, p in best.items()), default=1.0)
        is_right = ids == row["ids"] and apart <= 1e-3 and len(best) == min(5, len(answer))
        print(f"{'ok' if is_right else 'WRONG'}\t{apart:.1e}\t{row['text'][:60]!r}")


def main() -> None:
    """Answer the texts of the command line; without texts, check the file's golden rows."""
    if len(sys.argv) != 2:
        reference.main(read)
        return
    try:
        check_golden_rows(read(Path(sys.argv[1]).read_bytes()))
    except (ModelError, OSError) as error:
        sys.exit(f"error: {sys.argv[1]!r}: {error}")


if __name__ == "__main__":
    main()
