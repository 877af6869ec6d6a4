"""What must fit together in a model file before it is run: its metadata, and the graph with it.

The digest shows that a file is as it was written. These checks are for files that were made to do harm: a
graph may use what the export writes and nothing else, so that it reads no other file, runs no loop and makes
no constant out of nothing. (What memory a run may take is bounded where sessions are made, in classifier.py.)
Functions raise ValueError with a few words on what does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from edge_lstm.onnx_file import Graph, OnnxFile
from edge_lstm.printable import CONTROL_CHARACTER
from edge_lstm.text import LABEL_JOINT, PIECES_RULE, Tokenizer

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


@dataclass(frozen=True)
class GoldenRow:
    """A text with the ids and probabilities it had where the file was made.

    example: whether a person put the text into the file to be shown; the others are the file's own test.
    """

    text: str
    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    example: bool = False


def load_json(text: str) -> Any:
    """JSON as the export writes it: no NaN, no infinity, not nested without end."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def labels_from(value: Any) -> tuple[str, ...]:
    """The labels of the metadata, each a text of its own."""
    _require(
        isinstance(value, list) and all(isinstance(label, str) for label in value),
        "labels are not a list of strings",
    )
    _require(len(value) >= 2, "it has fewer than two labels")
    _require(len(set(value)) == len(value), "a label is repeated")
    _require(not any(map(CONTROL_CHARACTER.search, value)), "a label holds a control character")
    for label in value:
        label.encode()  # a lone surrogate cannot be written anywhere: UnicodeEncodeError is a ValueError
    return tuple(value)


def thresholds_from(value: Any, labels: Sequence[str]) -> tuple[float, ...]:
    """The thresholds of a model that gives several labels per text, one for each label."""
    _require(isinstance(value, dict) and isinstance(value["thresholds"], list), "thresholds are not a list")
    thresholds = value["thresholds"]
    _require(len(thresholds) == len(labels), "it does not have one threshold per label")
    _require(all(type(t) in (float, int) and 0 < t <= 1 for t in thresholds), "a threshold is not in (0, 1]")
    _require(not any(LABEL_JOINT in label for label in labels), f"a label holds {LABEL_JOINT!r}")
    return tuple(map(float, thresholds))


def tokenizer_from(settings: Any, vocabulary: str) -> Tokenizer:
    """Metadata → Tokenizer. A rule that this version does not implement is a ValueError, never a guess."""
    _require(isinstance(settings, dict), "the tokenizer's settings are not an object")
    _require(_is_whole(settings["length"], 1, MAX_LENGTH), f"its length is not between 1 and {MAX_LENGTH:,}")
    if settings.get("rule") == PIECES_RULE:
        lines = len(vocabulary.split("\n")) if vocabulary else 0
        _require(_is_whole(settings["words"], 0, lines), "it has more words than its vocabulary has lines")
    tokenizer = Tokenizer.from_metadata(settings, vocabulary)
    _require(len(set(tokenizer.words)) == len(tokenizer.words), "a word of the vocabulary is repeated")
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
    for name, value in (("network", network), ("training", training), ("quantization", quantization or {})):
        _require(isinstance(value, dict), f"its {name} is not an object")
    _require(network["labels"] == len(labels), "the network has another number of labels")
    _require(network.get("several", False) is several, "its thresholds are not those of its network")
    _require(_is_whole(network["hidden"], 1, 2**31), "its number of hidden units is not a whole number")
    _require(network["num_words"] == tokenizer.num_ids, "the vocabulary has another size than the network's")


def golden_from(rows: Any, labels: Sequence[str], tokenizer: Tokenizer) -> tuple[GoldenRow, ...]:
    """The golden rows of the metadata: texts, ids and probabilities of this network."""
    _require(isinstance(rows, list), "the golden rows are not a list")
    for row in rows:
        _require(isinstance(row, dict) and isinstance(row["text"], str), "a golden row has no text")
        ids, answers = row["ids"], row["probabilities"]
        _require(isinstance(ids, list) and isinstance(answers, list), "a golden row lacks ids or answers")
        _require(0 < len(ids) <= tokenizer.length, "a golden row is longer than the input")
        most = tokenizer.num_ids - 1
        _require(all(_is_whole(i, 0, most) for i in ids), "a golden row has an unknown id")
        _require(len(answers) == len(labels), "a golden row does not have one answer per label")
        _require(all(type(p) is float or _is_whole(p, 0, 1) for p in answers), "a golden answer is no number")
        _require(type(row.get("example", False)) is bool, "a golden row is neither an example nor none")
    return tuple(
        GoldenRow(row["text"], tuple(row["ids"]), tuple(row["probabilities"]), row.get("example", False))
        for row in rows
    )


def check_graph(
    onnx: OnnxFile, graph: Graph, tokenizer: Tokenizer, labels: Sequence[str], *, quantized: bool
) -> None:
    """The graph: made of what the export writes, and of the metadata's sizes."""
    _require(not onnx.others, f"field {onnx.others[:1]} of the file is unexpected")
    _require(set(onnx.opsets) <= set(OPERATORS), "it needs operators of another domain")
    _require(not graph.sparse, "it has sparse constants")
    for node in graph.nodes:
        if node.op_type not in OPERATORS.get(node.domain, ()):
            raise ValueError(f"operator {f'{node.domain}.{node.op_type}'.strip('.')[:60]!r} is unexpected")
    _require(len(graph.nodes) <= MAX_OPERATORS, "it has too many operators")
    _require(quantized == any(node.domain for node in graph.nodes), "its quantization does not fit its graph")
    for tensor in graph.initializers:
        _require(tensor.held is not None, f"constant {tensor.name[:40]!r} is not in the file")
        _require(tensor.held == tensor.nbytes, f"constant {tensor.name[:40]!r} does not fit its shape")
        if tensor.name == "embedding":
            rows = tensor.shape[0] if tensor.shape else 0
            _require(rows >= tokenizer.num_ids, "the vocabulary has more words than the embedding")
    (output,) = graph.outputs if len(graph.outputs) == 1 else (None,)
    _require(
        output is not None
        and output.name == "probabilities"
        and output.dtype == "float32"
        and len(output.shape) == 2
        and output.shape == (graph.inputs[0].shape[0], len(labels)),
        f"its output is not probabilities float32 [batch, {len(labels)}], one for each label",
    )


def _is_whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _require(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
