"""Checks of a model file's metadata and graph, before it is run.

The digest shows that a file is as it was written. These checks are for files that were made to do
harm. A graph may use the operators that the export writes, and nothing else. So it reads no other
file, runs no loop and makes no constant out of nothing. (The memory of a run is bounded where
sessions are made, in classifier.py.)

Text becomes many times larger when it is parsed, so its size is checked before (:class:`Room`).
Values are checked once, here: no later part of the package meets one of another type or range.
Functions raise ValueError with a few words about the misfit.
"""

from __future__ import annotations

import json
import math
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge_lstm.checked import MOST_DEPTH, depth, finite, require, unrepeated
from edge_lstm.core.layers import (
    MAX_IDS,
    MAX_LABELS,
    MAX_NGRAMS,
    Constants,
    NetworkConfig,
    is_whole,
)
from edge_lstm.core.onnx_file import Graph, OnnxFile, Tensor, ValueInfo
from edge_lstm.core.text import (
    FIRST_WORD_ID,
    OOV_ID,
    REPLACEMENT,
    Tokenizer,
    front_decoded,
    uncoded,
)
from edge_lstm.printable import CONTROL_CHARACTER, LABEL_JOINT

# Columns of the input; the export allows no more.
MAX_LENGTH = 100_000

# fmt: off
OPERATORS = {
    "": {
        "Add", "And", "Cast", "Concat", "DequantizeLinear", "Div", "Equal", "Gather",
        "GatherElements", "LSTM", "Less", "MatMul", "MatMulInteger", "Max", "Min", "Mod", "Mul",
        "Pad", "ReduceMax", "ReduceSum", "Relu", "Reshape", "ScatterElements", "Sigmoid", "Slice",
        "Softmax", "Sqrt", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
    },
    "com.microsoft": {"DynamicQuantizeLSTM"},
}
# fmt: on

MAX_GOLDEN = 64

# Most probable labels that a golden row has the probabilities of.
GOLDEN_LABELS = 5

# The 4-bit numbers of a table of fewer columns than NARROWEST are packed in rows of TOGETHER.
NARROWEST = 4
TOGETHER = 16

# Bytes of all words together.
MAX_VOCABULARY = 32 * 2**20

# Digits of a whole number; a seed has 19.
MAX_DIGITS = 20

# Values, or names of values, in an entry of the metadata, if labels add none.
MAX_VALUES = 2**18

# The first cells of the units of an int8 LSTM that fix the range of its outputs, but for the sign:
# sigmoid and tanh of it are 1 to the last bit of float32.
SATURATED = 20

# Constants that are weights of layers.
_WEIGHT = re.compile("(lstm|dense)[0-9]+_.*|(embedding|head_w|ngram_vectors)(_[qmcb]|)")

# Bytes whose halves are not 0; and of the sign and exponent of a float32 that may be infinite or
# NaN.
_WHOLE_HALVES = bytes(byte for byte in range(256) if byte & 15 and byte >> 4)
_HIGHEST = b"\x7f\xff"
# Bytes of a constant whose values are checked together: a whole number of values, and no second
# copy of a large file.
_CHECKED_AT_ONCE = 1 << 20

# The largest answer: a softmax may end a little above 1.
MOST_PROBABLE = 1.01


class Room(NamedTuple):
    """The most JSON in an entry of the metadata.

    size: bytes.
    each: for each label, more bytes, more values, and more names of values.
    """

    size: int
    each: tuple[int, int, int] = (0, 0, 0)

    def check(self, name: str, text: str, labels: str = "", count: int = 0) -> None:
        """Check that no entry is larger, and raise ValueError if one is.

        name: the entry's name in the error.
        text: the entry's JSON.
        labels: the JSON list of the labels.
        count: number of labels.
        """
        # A parsed name takes three times as much memory as a value: names are counted apart.
        fixed = (self.size, MAX_VALUES, MAX_VALUES)
        sizes = zip(_measures(text), fixed, self.each, _measures(labels))
        for size, most, each, of_labels in sizes:
            # A label's name stands in an entry at most four times.
            require(size <= most + each * count + 4 * of_labels, f"its {name} is far too large")


def _measures(text: str) -> tuple[int, int, int]:
    """Return the bytes of a JSON text, and the most values and names that it can have."""
    values = text.count(",") + text.count("[") + text.count("{")
    return _bytes_of(text), values, text.count(":")


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class GoldenRow:
    """A text with the answer that it had when the file was made.

    text: the text.
    ids: its token ids, 1 to ``length`` of them.
    probabilities: pairs of a label's index and its probability, of the most probable labels.
    example: whether a person put the text into the file to be shown. The other rows are the file's
        own test.
    """

    text: str
    ids: tuple[int, ...]
    probabilities: tuple[tuple[int, float], ...]
    example: bool = False


def load_json(text: str) -> Any:
    """Parse JSON as the export writes it.

    Numbers are finite and short, each name has one value, and the nesting has a limit. Raises
    ValueError for other JSON.
    """
    try:
        value = json.loads(
            text,
            parse_constant=finite,
            parse_int=_whole_number,
            parse_float=finite,
            object_pairs_hook=unrepeated,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    require(depth(value) <= MOST_DEPTH, "nested too deep")
    return value


def _whole_number(digits: str) -> int:
    require(len(digits) <= MAX_DIGITS, f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def labels_from(value: Any) -> tuple[str, ...]:
    """Return the labels of the metadata, checked. value: parsed JSON."""
    require(
        isinstance(value, list) and all(isinstance(label, str) for label in value),
        "labels are not a list of strings",
    )
    require(len(value) >= 2, "it has fewer than two labels")
    require(len(value) <= MAX_LABELS, f"it has more than {MAX_LABELS:,} labels")
    require(len(set(value)) == len(value), "a label is repeated")
    require(not any(map(CONTROL_CHARACTER.search, value)), "a label holds a control character")
    for label in value:
        # A lone surrogate cannot be written anywhere. UnicodeEncodeError is a ValueError.
        label.encode()
    return tuple(value)


def thresholds_from(value: Any, labels: Sequence[str]) -> tuple[float, ...]:
    """Return the thresholds of a model that gives several labels per text, checked."""
    require(
        isinstance(value, dict) and isinstance(value["thresholds"], list),
        "thresholds are not a list",
    )
    thresholds = value["thresholds"]
    require(len(thresholds) == len(labels), "it does not have one threshold per label")
    require(
        all(type(t) in (float, int) and 0 < t <= 1 for t in thresholds),
        "a threshold is not in (0, 1]",
    )
    require(not any(LABEL_JOINT in label for label in labels), f"a label holds {LABEL_JOINT!r}")
    return tuple(map(float, thresholds))


def tokenizer_from(settings: Any, vocabulary: str) -> Tokenizer:
    """Make the tokenizer that the metadata describe.

    settings: parsed JSON.
    vocabulary: see text.uncoded.

    Raises ValueError for a rule that this version does not implement: it never guesses one.
    """
    require(isinstance(settings, dict), "the tokenizer's settings are not an object")
    require(isinstance(vocabulary, str), "its vocabulary is not a text")
    entries = front_decoded(uncoded(vocabulary, MAX_VOCABULARY), MAX_IDS - 1)
    require(_bytes_of("".join(entries)) <= MAX_VOCABULARY, "its vocabulary is far too large")
    require(
        is_whole(settings["length"], 1, MAX_LENGTH),
        f"its length is not between 1 and {MAX_LENGTH:,}",
    )
    require(
        is_whole(settings["words"], 0, len(entries)),
        "it has more words than its vocabulary has entries",
    )
    require(
        REPLACEMENT not in vocabulary,
        "its vocabulary holds U+FFFD, which stands for unreadable text",
    )
    tokenizer = Tokenizer.from_metadata(settings, entries)
    words = tokenizer.words
    require(len(set(words)) == len(words), "a word of the vocabulary is repeated")
    pieces = tokenizer.pieces
    require(len(set(pieces)) == len(pieces), "a subword is repeated")
    return tokenizer


def check_metadata(
    tokenizer: Tokenizer,
    labels: Sequence[str],
    network: NetworkConfig,
    training: Any,
    quantization: Any,
    *,
    multi_label: bool,
) -> None:
    """Check the parts of the metadata against each other.

    training, quantization: parsed JSON.
    multi_label: whether there are thresholds, one for each label.
    """
    require(isinstance(training, dict), "its training is not an object")
    require(isinstance(quantization, dict), "its quantization is not an object")
    require(network.labels == len(labels), "the network has another number of labels")
    require(network.multi_label is multi_label, "its thresholds are not those of its network")
    require(
        network.num_words == tokenizer.num_ids,
        "the vocabulary has another size than the network's",
    )
    require(network.ngram_words <= tokenizer.num_ids - OOV_ID, "its ngram_words is out of range")


def golden_from(rows: Any, labels: Sequence[str], tokenizer: Tokenizer) -> tuple[GoldenRow, ...]:
    """Return the golden rows of the metadata, checked. rows: parsed JSON."""
    require(isinstance(rows, list), "the golden rows are not a list")
    require(len(rows) <= MAX_GOLDEN, f"it has more than {MAX_GOLDEN} golden rows")
    return tuple(_golden_row(row, labels, tokenizer) for row in rows)


def _golden_row(row: Any, labels: Sequence[str], tokenizer: Tokenizer) -> GoldenRow:
    require(isinstance(row, dict) and isinstance(row["text"], str), "a golden row has no text")
    ids = row["ids"]
    answers = row["probabilities"]
    require(
        isinstance(ids, list) and isinstance(answers, list),
        "a golden row lacks ids or answers",
    )
    least = 0 if tokenizer.rule.start_id is None else 1
    require(least <= len(ids) <= tokenizer.length, "a golden row is longer than the input")
    most = tokenizer.num_ids - 1
    require(all(is_whole(i, 0, most) for i in ids), "a golden row has an unknown id")
    require(
        len(answers) == min(GOLDEN_LABELS, len(labels)),
        f"a golden row does not have the {GOLDEN_LABELS} most probable labels",
    )
    for answer in answers:
        require(
            isinstance(answer, list)
            and len(answer) == 2
            and is_whole(answer[0], 0, len(labels) - 1),
            "a golden answer is not a label's index and a probability",
        )
        require(
            type(answer[1]) in (int, float) and 0 <= answer[1] <= MOST_PROBABLE,
            "a golden answer is no probability",
        )
    require(
        len({index for index, _ in answers}) == len(answers), "a golden row names a label twice"
    )
    example = row.get("example", False)
    require(type(example) is bool, "a golden row is neither an example nor none")
    return GoldenRow(row["text"], tuple(ids), tuple(map(tuple, answers)), example)


def check_graph(onnx: OnnxFile, graph: Graph) -> None:
    """Check the graph alone: that it has the export's operators, and every constant's values."""
    require(not onnx.others, f"field {onnx.others[:1]} of the file is unexpected")
    require(set(onnx.opsets) <= set(OPERATORS), "it needs operators of another domain")
    for node in graph.nodes:
        if node.op_type not in OPERATORS.get(node.domain, ()):
            name = f"{node.domain}.{node.op_type}".strip(".")
            raise ValueError(f"operator {name[:60]!r} is unexpected")
    # The export's largest graph has 130.
    require(len(graph.nodes) <= 160, "it has too many operators")
    require(sum(node.nbytes for node in graph.nodes) <= 2**16, "its operators are far too large")
    for name, constant in graph.constants.items():
        for start in range(0, len(constant.raw), _CHECKED_AT_ONCE):
            raw = bytes(constant.raw[start : start + _CHECKED_AT_ONCE])
            _check_values(name, constant.dtype, raw)


def _numbers(code: str, raw: bytes) -> array[Any]:
    """Return the numbers of a constant in little-endian order. code: their type, see array."""
    numbers = array(code, raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _check_values(name: str, dtype: str, raw: bytes) -> None:
    """Refuse values that the export never writes, and that engines take in different ways.

    name, dtype: of a constant.
    raw: some of its values.
    """
    shown = f"constant {name[:40]!r}"
    if name.endswith(("_zero", "zero_float")):
        require(not raw.strip(b"\0"), f"{shown} is not 0")
    if name.endswith("_q"):
        require(not raw.translate(None, _WHOLE_HALVES), f"{shown} holds a half-byte of 0")
    if dtype != "float32":
        return
    highest = raw[3::4]
    if len(highest.translate(None, _HIGHEST)) < len(highest):
        are_finite = all(map(math.isfinite, _numbers("f", raw)))
        require(are_finite, f"{shown} has values that are not finite")
    if name.endswith(("_scale", "_scales")):
        require(min(_numbers("f", raw)) > 0, f"{shown} is not above 0")
    if name == "signs":
        require([*_numbers("f", raw)] == [-1, 1], f"{shown} is not -1 and 1")


def check_fit(
    graph: Graph,
    tokenizer: Tokenizer,
    network: NetworkConfig,
    *,
    quantized: bool,
) -> None:
    """Check that the graph has the sizes in the metadata. Both have been checked alone."""
    constants = graph.constants
    require(quantized == ("head_w_scales" in constants), "its quantization does not fit its graph")
    states = _first_states(constants, network, tokenizer.length, quantized=quantized)
    tables = _tables(constants, network, quantized=quantized)
    wanted = network.constants(quantized=quantized) | tables | states
    if network.ngram_slots:
        # As many as it has, but at least one.
        given = constants.get("pair_displacements")
        count = len(given.raw) if given else 1
        wanted["pair_displacements"] = "uint8", (min(max(count, 1), MAX_NGRAMS),)
    for name, (dtype, shape) in wanted.items():
        require(name in constants, f"its graph has no constant {name!r}")
        fits = (constants[name].dtype, constants[name].shape) == (dtype, shape)
        asked = f"{dtype} {list(shape)}"
        require(fits, f"constant {name!r} is not {asked}, as its network asks for")
    for name in constants:
        is_known = name in wanted or not _WEIGHT.fullmatch(name)
        require(is_known, f"constant {name!r} is none of its network's")
    for name in states:
        _check_states(name, constants[name], quantized=quantized)
    for name, (rows, columns) in network.tables(quantized=quantized).items():
        if f"{name}_q" in tables:
            _check_last_halves(f"{name}_q", constants[f"{name}_q"], rows, columns)
    # No other operator makes zeros of nothing. The longest padding pads the n-grams' columns.
    most = FIRST_WORD_ID + network.ngrams
    for node in graph.nodes:
        if node.op_type == "Pad":
            pads = constants.get("".join(node.inputs[1:2]))
            require(
                pads is not None and _are_pads(pads, most), "it pads by more than it has n-grams"
            )
    batch = graph.inputs[0].shape[0]
    labels = network.labels
    require(
        graph.outputs == (ValueInfo("probabilities", "float32", (batch, labels)),),
        f"its output is not probabilities float32 [batch, {labels}], one for each label",
    )


def _are_pads(tensor: Tensor, most: int) -> bool:
    """Tell whether a constant holds numbers from 0 to ``most``."""
    if tensor.dtype != "int64":
        return False
    return all(0 <= number <= most for number in _numbers("q", bytes(tensor.raw)))


def _tables(
    constants: Mapping[str, Tensor], network: NetworkConfig, *, quantized: bool
) -> Constants:
    """Return the constants of the tables, which an int8 file may have in 4 bits or in codes."""
    wanted: Constants = {}
    for name, (rows, columns) in network.tables(quantized=quantized).items():
        if quantized and f"{name}_c" in constants:
            wanted[f"{name}_c"] = "uint8", (rows, (columns + 3) // 4)
            wanted[f"{name}_b"] = "int8", (256, 4)
        elif quantized and name not in constants:
            if columns < NARROWEST:
                rows = -(-rows * columns // TOGETHER)
                columns = TOGETHER
            wanted[f"{name}_q"] = "uint8", (rows, (columns + 1) // 2)
            wanted[f"{name}_m"] = "uint8", ((rows + 1) // 2,)
        else:
            wanted[name] = "int8" if quantized else "float32", (rows, columns)
    return wanted


def _first_states(
    constants: Mapping[str, Tensor], network: NetworkConfig, length: int, *, quantized: bool
) -> Constants:
    """Return the tables of first states: all LSTMs have some, of as many rows, or none has.

    length: ids that the network reads.
    """
    if "lstm0_h" not in constants:
        is_complete = not quantized or len(network.lstms) < 2
        require(is_complete, "it has LSTMs without tables of first states")
        return {}
    shape = constants["lstm0_h"].shape
    rows = shape[1] if len(shape) == 3 else 0
    most = length + 1 if network.padding == "none" else 1
    require(1 <= rows <= most, "its tables of first states have another number of rows")
    wanted: Constants = {}
    for k, layer in enumerate(network.lstms):
        wanted |= layer.first_states(f"lstm{k}", rows, quantized=quantized)
    return wanted


def _check_states(name: str, constant: Tensor, *, quantized: bool) -> None:
    """Refuse first states whose outputs or sentinels break the range of int8."""
    import numpy as np

    is_output = name.endswith("h")
    states = np.frombuffer(constant.raw, "<f4").reshape(constant.shape)
    in_range = not is_output or np.abs(states).max() <= 1
    require(in_range, f"constant {name!r} is beyond -1 to 1")
    if quantized:
        end = 1 if is_output else SATURATED
        holds = (states[..., -2:] == (end, -end)).all()
        require(holds, f"constant {name!r} lacks the states of the sentinels")


def _check_last_halves(name: str, constant: Tensor, rows: int, columns: int) -> None:
    """Refuse a number behind the last column of a table of 4 bits, or behind a narrow one's last.

    rows, columns: of the table.
    """
    raw = constant.raw
    ends = b""
    if columns < NARROWEST:
        ends = bytes(raw[-(-rows * columns // 2) :])
        if rows * columns % 2:
            ends += bytes([raw[rows * columns // 2] & 0xF0 | 8])
    elif columns % 2:
        ends = bytes(byte & 0xF0 | 8 for byte in raw[columns // 2 :: columns // 2 + 1])
    require(not ends.strip(b"\x88"), f"constant {name!r} has a number behind its last column")
