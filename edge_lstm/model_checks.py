"""What must fit together in a model file before it is run: its metadata, and the graph with it.

The digest shows that a file is as it was written. These checks are for files that were made to do
harm: a graph may use what the export writes and nothing else, so that it reads no other file, runs
no loop and makes no constant out of nothing. (What memory a run may take is bounded where sessions
are made, in classifier.py.)

Text becomes many times larger when it is parsed, so its size is checked before (:class:`Room`).
Values are checked once, here: no later part of the package meets one of another type or range.
Functions raise ValueError with a few words on what does not fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from edge_lstm.onnx_file import Graph, OnnxFile, Tensor
from edge_lstm.printable import CONTROL_CHARACTER
from edge_lstm.text import LABEL_JOINT, PIECES_RULE, REPLACEMENT, Tokenizer

MAX_LENGTH = 100_000  # columns of the input; the export allows no more
# fmt: off
OPERATORS = {
    "": {
        "Add", "Cast", "Concat", "DequantizeLinear", "Div", "Gather", "LSTM", "MatMul", "MatMulInteger",
        "Max", "Min", "Mul", "ReduceMax", "ReduceSum", "Reshape", "Sigmoid", "Slice", "Softmax", "Sqrt",
        "TfIdfVectorizer", "Transpose", "Unsqueeze",
    },
    "com.microsoft": {"DynamicQuantizeLSTM"},
}
# fmt: on
MAX_OPERATORS = 48  # the largest graph has 38
# Bytes of the encoded operators, and those that each n-gram adds: its ids and its place, as
# varints.
MAX_OPERATOR_BYTES, NGRAM_BYTES = 2**16, 16
# The export makes no larger file: ids in use, labels, n-grams, sizes of a layer, golden rows.
MAX_IDS, MAX_LABELS, MAX_NGRAMS, MAX_UNITS, MAX_GOLDEN = 1_000_000, 100_000, 1_000_000, 2**14, 64
MAX_VOCABULARY = 32 * 2**20  # bytes
MAX_DEPTH = 20  # of JSON; the export's has 5
MAX_DIGITS = 20  # of a whole number; a seed has 19
POOLINGS = ("last", "mean+max")
MOST_PROBABLE = 1.01  # a softmax may end a little above 1


class Room(NamedTuple):
    """How much JSON an entry of the metadata may hold.

    size: bytes. each: what a label adds to the bytes, the values, and the names of values.
    """

    size: int
    each: tuple[int, int, int] = (0, 0, 0)

    def check(self, name: str, text: str, labels: str = "", count: int = 0) -> None:
        """Raise if the text is larger. labels: the JSON list of the labels; count: how many there
        are."""
        # A parsed name takes three times as much memory as a value: names are counted apart.
        most = (self.size, _MANY, _MANY)
        names = map(_measures, (text, labels))
        for size, of_labels, fixed, each in zip(*names, most, self.each):
            # A label's name stands in an entry at most four times.
            _require(size <= fixed + each * count + 4 * of_labels, f"its {name} is far too large")


_MANY = 2**18  # values, or names of values, of an entry that says nothing of labels


def _measures(text: str) -> tuple[int, int, int]:
    """The bytes of a JSON text, and the most values and names of values that it can have."""
    values = text.count(",") + text.count("[") + text.count("{")
    return _bytes_of(text), values, text.count(":")


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class GoldenRow:
    """A text with the ids and probabilities it had where the file was made.

    example: whether a person put the text into the file to be shown; the others are the file's own
        test.
    """

    text: str
    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    example: bool = False


def load_json(text: str) -> Any:
    """JSON as the export writes it: numbers are finite and short, no name has two values, and lists
    and objects are not nested without end."""
    try:
        value = json.loads(
            text,
            parse_constant=_no_number,
            parse_int=_whole_number,
            parse_float=_finite_number,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    _require(_depth(value) <= MAX_DEPTH, "nested too deep")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _whole_number(digits: str) -> int:
    _require(len(digits) <= MAX_DIGITS, f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _finite_number(text: str) -> float:
    value = float(text)
    _require(math.isfinite(value), f"{text[:MAX_DIGITS]} is too large a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two values of one name they take."""
    values = dict(pairs)
    _require(len(values) == len(pairs), "a name is given two values")
    return values


def _depth(value: Any) -> int:
    """How deep lists and objects lie in each other, as far as MAX_DEPTH + 1."""
    level = [value]
    for depth in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return depth
    return MAX_DEPTH + 1


def _inside(value: Any) -> Sequence[Any]:
    """The lists and objects that a value holds."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return ()
    return [inner for inner in value if isinstance(inner, (list, dict))]


def labels_from(value: Any) -> tuple[str, ...]:
    """The labels of the metadata, each a text of its own."""
    _require(
        isinstance(value, list) and all(isinstance(label, str) for label in value),
        "labels are not a list of strings",
    )
    _require(len(value) >= 2, "it has fewer than two labels")
    _require(len(value) <= MAX_LABELS, f"it has more than {MAX_LABELS:,} labels")
    _require(len(set(value)) == len(value), "a label is repeated")
    _require(not any(map(CONTROL_CHARACTER.search, value)), "a label holds a control character")
    for label in value:
        # a lone surrogate cannot be written anywhere: UnicodeEncodeError is a ValueError
        label.encode()
    return tuple(value)


def thresholds_from(value: Any, labels: Sequence[str]) -> tuple[float, ...]:
    """The thresholds of a model that gives several labels per text, one for each label."""
    _require(
        isinstance(value, dict) and isinstance(value["thresholds"], list),
        "thresholds are not a list",
    )
    thresholds = value["thresholds"]
    _require(len(thresholds) == len(labels), "it does not have one threshold per label")
    _require(
        all(type(t) in (float, int) and 0 < t <= 1 for t in thresholds),
        "a threshold is not in (0, 1]",
    )
    _require(not any(LABEL_JOINT in label for label in labels), f"a label holds {LABEL_JOINT!r}")
    return tuple(map(float, thresholds))


def tokenizer_from(settings: Any, vocabulary: str) -> Tokenizer:
    """Metadata → Tokenizer. A rule that this version does not implement is a ValueError, never a
    guess."""
    _require(isinstance(settings, dict), "the tokenizer's settings are not an object")
    _require(vocabulary.count("\n") < MAX_IDS, f"its vocabulary has more than {MAX_IDS:,} lines")
    _require(_bytes_of(vocabulary) <= MAX_VOCABULARY, "its vocabulary is far too large")
    _require(
        _is_whole(settings["length"], 1, MAX_LENGTH),
        f"its length is not between 1 and {MAX_LENGTH:,}",
    )
    if settings.get("rule") == PIECES_RULE:
        lines = len(vocabulary.split("\n")) if vocabulary else 0
        _require(
            _is_whole(settings["words"], 0, lines),
            "it has more words than its vocabulary has lines",
        )
    _require(
        REPLACEMENT not in vocabulary,
        "its vocabulary holds U+FFFD, which stands for unreadable text",
    )
    tokenizer = Tokenizer.from_metadata(settings, vocabulary)
    _require(
        len(set(tokenizer.words)) == len(tokenizer.words), "a word of the vocabulary is repeated"
    )
    pieces = tokenizer.pieces or ()
    _require(len(set(pieces)) == len(pieces) and all(pieces), "a subword is repeated or empty")
    return tokenizer


def check_metadata(
    tokenizer: Tokenizer,
    labels: Sequence[str],
    network: Any,
    training: Any,
    quantization: Any,
    *,
    several: bool,
) -> None:
    """The parts of the metadata against each other. several: it has thresholds."""
    for name, value in (
        ("network", network),
        ("training", training),
        ("quantization", quantization),
    ):
        _require(isinstance(value, dict), f"its {name} is not an object")
    _require(network["labels"] == len(labels), "the network has another number of labels")
    _require(network["several"] is several, "its thresholds are not those of its network")
    _require(
        network["num_words"] == tokenizer.num_ids,
        "the vocabulary has another size than the network's",
    )
    _require(
        _is_whole(network["hidden"], 1, MAX_UNITS), "its number of hidden units is out of range"
    )
    _require(
        _is_whole(network["embedding_dim"], 1, 2**16), "its size of embeddings is out of range"
    )
    _require(_is_whole(network["ngrams"], 0, MAX_NGRAMS), "its number of n-grams is out of range")
    least = 1 if network["ngrams"] else 0
    _require(
        _is_whole(network["ngram_dim"], least, 2**16), "its size of n-gram vectors is out of range"
    )
    _require(type(network["bidirectional"]) is bool, "its network is neither bidirectional nor not")
    _require(network["pooling"] in POOLINGS, f"pooling {network['pooling']!r:.40} is not supported")


def golden_from(rows: Any, labels: Sequence[str], tokenizer: Tokenizer) -> tuple[GoldenRow, ...]:
    """The golden rows of the metadata: texts, ids and probabilities of this network."""
    _require(isinstance(rows, list), "the golden rows are not a list")
    _require(len(rows) <= MAX_GOLDEN, f"it has more than {MAX_GOLDEN} golden rows")
    for row in rows:
        _require(isinstance(row, dict) and isinstance(row["text"], str), "a golden row has no text")
        ids, answers = row["ids"], row["probabilities"]
        _require(
            isinstance(ids, list) and isinstance(answers, list), "a golden row lacks ids or answers"
        )
        _require(0 < len(ids) <= tokenizer.length, "a golden row is longer than the input")
        most = tokenizer.num_ids - 1
        _require(all(_is_whole(i, 0, most) for i in ids), "a golden row has an unknown id")
        _require(len(answers) == len(labels), "a golden row does not have one answer per label")
        is_answer = (type(p) in (int, float) and 0 <= p <= MOST_PROBABLE for p in answers)
        _require(all(is_answer), "a golden answer is no probability")
        _require(
            type(row.get("example", False)) is bool, "a golden row is neither an example nor none"
        )
    return tuple(
        GoldenRow(
            row["text"], tuple(row["ids"]), tuple(row["probabilities"]), row.get("example", False)
        )
        for row in rows
    )


def check_graph(onnx: OnnxFile, graph: Graph) -> None:
    """The graph alone: made of what the export writes, with every constant in the file."""
    _require(not onnx.others, f"field {onnx.others[:1]} of the file is unexpected")
    _require(set(onnx.opsets) <= set(OPERATORS), "it needs operators of another domain")
    _require(not graph.sparse, "it has sparse constants")
    for node in graph.nodes:
        if node.op_type not in OPERATORS.get(node.domain, ()):
            raise ValueError(
                f"operator {f'{node.domain}.{node.op_type}'.strip('.')[:60]!r} is unexpected"
            )
    _require(len(graph.nodes) <= MAX_OPERATORS, "it has too many operators")
    names = [tensor.name for tensor in graph.initializers]
    _require(len(set(names)) == len(names), "it has two constants of one name")
    for tensor in graph.initializers:
        _require(tensor.held is not None, f"constant {tensor.name[:40]!r} is not in the file")
        _require(
            tensor.held == tensor.nbytes, f"constant {tensor.name[:40]!r} does not fit its shape"
        )
        _check_values(tensor)


def _check_values(tensor: Tensor) -> None:
    """What no export writes, and engines take in different ways."""
    import numpy as np

    name = f"constant {tensor.name[:40]!r}"
    if tensor.name.endswith(("_zero", "zero_float")):
        _require(not np.frombuffer(tensor.raw, np.uint8).any(), f"{name} is not 0")
    if tensor.dtype != "float32" or not tensor.nbytes:
        return
    values = np.frombuffer(tensor.raw, "<f4")
    least, most = values.min(), values.max()  # NaN, if one of them is
    _require(math.isfinite(least) and math.isfinite(most), f"{name} has values that are not finite")
    if tensor.name.endswith(("_scale", "_scales")):
        _require(least > 0, f"{name} is not above 0")
    if tensor.name == "signs":
        _require(values.tolist() == [-1, 1], f"{name} is not -1 and 1")


def rows_of_embedding(graph: Graph) -> int:
    """How many ids the embedding has rows for; its constants have been checked."""
    shapes = [tensor.shape for tensor in graph.initializers if tensor.name == "embedding"]
    _require(shapes and shapes[0], "its graph has no embedding")
    return shapes[0][0]


def check_fit(
    graph: Graph,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    network: dict[str, Any],
    *,
    quantized: bool,
) -> None:
    """The graph: of the sizes that the metadata say. Both have been checked alone."""
    _require(
        quantized == any(node.domain for node in graph.nodes),
        "its quantization does not fit its graph",
    )
    room = MAX_OPERATOR_BYTES + NGRAM_BYTES * network["ngrams"]
    _require(sum(node.nbytes for node in graph.nodes) <= room, "its operators are far too large")
    constants = {tensor.name: tensor for tensor in graph.initializers}
    for name, (dtype, *shape) in _constants(network, quantized=quantized).items():
        _require(name in constants, f"its graph has no constant {name!r}")
        constant = constants[name]
        fits = constant.dtype == dtype and constant.shape == tuple(shape)
        _require(fits, f"constant {name!r} is not {dtype} {shape}, as its network asks for")
    (output,) = graph.outputs if len(graph.outputs) == 1 else (None,)
    _require(
        output is not None
        and output.name == "probabilities"
        and output.dtype == "float32"
        and len(output.shape) == 2
        and output.shape == (graph.inputs[0].shape[0], len(labels)),
        f"its output is not probabilities float32 [batch, {len(labels)}], one for each label",
    )


def _constants(network: dict[str, Any], *, quantized: bool) -> dict[str, tuple[Any, ...]]:
    """Name → element type and shape of each constant that the network has (docs/file-format.md)."""
    sentinels = 2 if quantized else 0
    weights = "int8" if quantized else "float32"
    embedded = network["embedding_dim"] + sentinels
    hidden = network["hidden"] + sentinels
    directions = 2 if network["bidirectional"] else 1
    width = network["ngram_dim"] if network["ngrams"] else 0
    pooled = directions * hidden * (1 if network["pooling"] == "last" else 2)
    one_logit = network["labels"] == 2 and not network["several"]
    logits = 1 if one_logit else network["labels"]
    constants: dict[str, tuple[Any, ...]] = {
        "embedding": (weights, network["num_words"] + 1, embedded),
        "lstm_b": ("float32", directions, 8 * hidden),
        "head_w": (weights, pooled + width, logits),
        "head_b": ("float32", logits),
    }
    if quantized:
        constants |= {
            "embedding_scale": ("float32", 1),
            "lstm_w": (weights, directions, embedded, 4 * hidden),
            "lstm_r": (weights, directions, hidden, 4 * hidden),
            "lstm_w_scale": ("float32", directions),
            "lstm_r_scale": ("float32", directions),
            "head_w_scales": ("float32", pooled + width, 1),
        }
    else:
        constants["lstm_w"] = (weights, directions, 4 * hidden, embedded)
        constants["lstm_r"] = (weights, directions, 4 * hidden, hidden)
    if width:
        constants["ngram_vectors"] = (weights, network["ngrams"], width)
    if width and quantized:
        constants["ngram_scales"] = ("float32", width)
    if one_logit:
        constants["signs"] = ("float32", 1, 2)
    return constants


def _is_whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _require(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
