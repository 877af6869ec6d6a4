"""Hostile model files: damaged, changed after the export, foreign, or made to do harm.

Each row is a file and a part of the one line that edge-lstm says of it. Most carry a right digest,
as whoever makes them on purpose would give them. ``DAMAGED`` is refused by everything that reads
model files,
``HARMFUL`` by edge-lstm alone: what only its metadata or its graph for ONNX Runtime shows, the
ports do not read.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, numpy_helper

from edge_lstm.core.modelfile import FORMAT_VERSION, parse_model
from edge_lstm.core.text import Tokenizer, front_coded
from tests.cases import rows
from tests.model_files import DATA, SMALL, compact, edited, entry, field, multi_label

MODEL = parse_model(DATA, SMALL)
METADATA = MODEL.onnx.metadata
WORDS = MODEL.tokenizer.entries


@dataclass(frozen=True)
class Hostile:
    """A model file, and what edge-lstm says of it."""

    name: str
    says: str
    data: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name


SETTINGS: dict[str, dict[str, Any]] = {
    "network": MODEL.network.to_dict(),
    "tokenizer": json.loads(METADATA["edge_lstm.tokenizer"]),
    "subwords": Tokenizer(WORDS[:-9], pieces=WORDS[-9:]).to_metadata(),
}
LSTM: dict[str, Any] = MODEL.network.layers[0].to_dict()
# What these words stand for in the tables below.
LAYERS = {
    "LSTM": compact(LSTM),
    "STEPS": '{"lstm":30,"bidirectional":true,"gives":"steps"}',
    "DENSE": '{"dense":4,"activation":"relu"}',
}


def changed(key: str, settings: dict[str, Any]) -> dict[str, str | None]:
    """The entry of the metadata with other settings; subwords are the tokenizer's."""
    entry = "tokenizer" if key == "subwords" else key
    return {entry: compact({**SETTINGS[key], **settings})}


def change_of(text: str) -> dict[str, str | None]:
    """What a row of a table changes of the metadata.

    ``key: text`` is the whole entry; ``no key`` removes it. ``key + JSON`` and ``key - setting``
    change settings; ``lstm + JSON`` those of the network's LSTM, of which null removes one.
    ``thresholds JSON`` makes the model one that gives several labels per text.
    """
    key, sign, value = re.split(r"(: ?| [+-] | )", text, maxsplit=1)
    if key == "no":
        return {value: None}
    if sign.startswith(":"):
        return {key: value}
    if sign == " - ":
        rest = {name: setting for name, setting in SETTINGS[key].items() if name != value}
        return {key: compact(rest)}
    settings = json.loads(re.sub("[A-Z]{4,}", lambda name: LAYERS[name[0]], value))
    if key == "thresholds":
        return multi_label(settings)
    if key == "lstm":
        layer = {name: each for name, each in {**LSTM, **settings}.items() if each is not None}
        return changed("network", {"layers": [layer]})
    return changed(key, settings)


def metadata(name: str, says: str, digest: str = "right", /, **changes: str | None) -> Hostile:
    """The model with other metadata. digest: see :func:`model_files.edited`."""
    return Hostile(name, says, lambda: edited(changes, digest=digest))


def metadata_of(text: str) -> Iterator[Hostile]:
    """The models of a table: perhaps a name, then what is said and what is changed."""
    for *name, says, change in rows(text):
        yield metadata("".join(name) or change, says, **change_of(change))


def graph(name: str, says: str, change: Callable[[onnx.GraphProto], object]) -> Hostile:
    """The model with another graph and a right digest."""

    def data() -> bytes:
        model = onnx.load_model_from_string(DATA)
        change(model.graph)
        return edited(graph=model.graph.SerializeToString(deterministic=True))

    return Hostile(name, says, data)


def constant(g: onnx.GraphProto, name: str) -> onnx.TensorProto:
    return next(each for each in g.initializer if each.name == name)


def set_constants(g: onnx.GraphProto, changes: dict[str, Any]) -> None:
    """Change constants: None removes one, a function makes another of its array, an array is its
    new one."""
    for name, change in changes.items():
        old = [each for each in g.initializer if each.name == name]
        for each in old:
            g.initializer.remove(each)
        if callable(change):
            change = change(numpy_helper.to_array(old[0]))
        if change is not None:
            g.initializer.append(numpy_helper.from_array(np.ascontiguousarray(change), name))


def constants(name: str, says: str, /, **changes: Any) -> Hostile:
    """The model with other constants; see :func:`set_constants`."""
    return graph(name, says, lambda g: set_constants(g, changes))


def with_first(value: int) -> Callable[[Any], Any]:
    """A change of an array: another first value."""

    def change(values: Any) -> Any:
        values = values.copy()
        values.flat[0] = value
        return values

    return change


def times(by: float) -> Callable[[Any], Any]:
    """A change of an array: each value times a number."""
    return lambda values: (values * by).astype(values.dtype)


BOOK = np.zeros((256, 4), np.int8)
CODES = np.zeros((MODEL.network.num_words + 1, (MODEL.network.embedding_dim + 3) // 4), np.uint8)


def odd_embedding() -> bytes:
    """The model with a column less of the embedding, whose half-bytes stay."""
    model = onnx.load_model_from_string(DATA)
    set_constants(model.graph, {"lstm0_w": lambda w: w[:, 1:]})
    columns = MODEL.network.embedding_dim - 1
    data = model.graph.SerializeToString(deterministic=True)
    return edited(changed("network", {"embedding_dim": columns}), graph=data)


def nodes(text: str) -> list[onnx.NodeProto]:
    """Operators, a line each, in ONNX's textual syntax."""
    return [onnx.parser.parse_node(line) for line in text.strip().splitlines()]


def with_nodes(text: str) -> Callable[[onnx.GraphProto], object]:
    """A graph with these operators before its own."""

    def apply(g: onnx.GraphProto) -> None:
        own = list(g.node)
        del g.node[:]
        g.node.extend([*nodes(text), *own])

    return apply


def first_states() -> Any:
    """Outputs and cells of the LSTM before its first step, zeros but for the sentinels."""
    states = np.zeros((2, 2, 1, MODEL.network.lstms[0].units + 2), np.float32)
    states[0, ..., -2:] = 1, -1
    states[1, ..., -2:] = 20, -20
    return states


def as_external(g: onnx.GraphProto) -> None:
    tensor = constant(g, "embedding_q")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def as_external_too(g: onnx.GraphProto) -> None:
    """The values are there, and said to be elsewhere: ONNX Runtime would read them there."""
    values = constant(g, "embedding_q").raw_data
    as_external(g)
    constant(g, "embedding_q").raw_data = values


def with_signature(text: str) -> Callable[[onnx.GraphProto], object]:
    """A graph of another input and output, in ONNX's textual syntax."""
    given, gives = text.split(" => ")
    other = onnx.parser.parse_graph(f"other ({given}) => ({gives}) {{}}")

    def apply(g: onnx.GraphProto) -> None:
        g.input[0].CopyFrom(other.input[0])
        g.output[0].CopyFrom(other.output[0])

    return apply


SQUARE = """
highest_logit = ReduceMax <keepdims = 0> (LOGITS)
zero = Mul (highest_logit, nothing)
moved = Add (many, zero)
as_column = Reshape (moved, column)
as_row = Reshape (moved, row)
square = Add (as_column, as_row)
square_highest = ReduceMax <keepdims = 0> (square)
probabilities = Add (probabilities_before, square_highest)
"""


def asks_for_memory(n: int) -> Callable[[onnx.GraphProto], object]:
    """n values by n values, 4 bytes each, from the operators that every model has; the answers
    stay."""

    def apply(g: onnx.GraphProto) -> None:
        nothing = np.zeros(1, np.float32)
        many = np.zeros(n, np.float32)
        shapes = {"column": np.array([n, 1]), "row": np.array([1, n])}
        set_constants(g, {"nothing": nothing, "many": many, **shapes})
        g.node[-1].output[0] = "probabilities_before"
        g.node.extend(nodes(SQUARE.replace("LOGITS", g.node[-1].input[0])))

    return apply


def reads_beyond_the_embedding(g: onnx.GraphProto) -> None:
    set_constants(g, {"million": np.array([10**6], np.int32)})
    at = next(i for i, node in enumerate(g.node) if node.op_type == "Gather")
    g.node.insert(at, onnx.parser.parse_node(f"beyond = Add ({g.node[at].input[1]}, million)"))
    g.node[at + 1].input[1] = "beyond"


def without_pads(g: onnx.GraphProto) -> None:
    """The first padding by what an operator gives."""
    next(node for node in g.node if node.op_type == "Pad").input[1] = g.node[0].output[0]


def pads_a_billion(g: onnx.GraphProto) -> None:
    pads = next(node for node in g.node if node.op_type == "Pad").input[1]
    set_constants(g, {pads: times(10**9)})


FOREIGN = """
<ir_version: 8, opset_import: ["": 17], producer_name: "pytorch">
other (float[1] x) => (float[1] y) { y = Relu (x) }
"""


CHANGED = "changed after export"
ASKED = "as its network asks for"
OTHERS = "none of its network's"
OUTPUTS, CELLS = first_states()
# Without the numbers of 4 bits, for a table of codes.
PLAIN = {"embedding_q": None, "embedding_m": None}
DAMAGED_METADATA = r"""
labels are a number | not a list of strings | labels: 5
labels are null | not a list of strings | labels: null
no labels | fewer than two | labels: []
one label | fewer than two | labels: ["pos"]
three labels for two outputs | another number of labels | labels: ["a","b","c"]
a label that steers a terminal | control character | labels: ["a","\\u001b[31m"]
a label that ends for C | control character | labels: ["a\\u0000b","a\\u0000c"]
a C1 control character in a label | control character | labels: ["neg","\\u009bpos"]
labels are no JSON | do not fit together | labels: [1

one threshold for two labels | one threshold per label | thresholds [0.5]
not in (0, 1] | thresholds [0.5, 0]
not in (0, 1] | thresholds [0.5, 1.5]
not in (0, 1] | thresholds [0.5, true]
not in (0, 1] | thresholds [0.5, "1"]
not a list | thresholds "0.5"

'edge_lstm.vocabulary' is missing | no vocabulary
more words than its vocabulary | subwords + {"words": 1000000}
a network of fewer words | another size | network + {"num_words": 7}

'edge_lstm.tokenizer' is missing | no tokenizer
tokenizer settings are no JSON | do not fit together | tokenizer: {
'length' is missing | tokenizer: {}
not an object | tokenizer: []
'words' is missing | tokenizer - words
'separators' is missing | tokenizer - separators
'removed' is missing | tokenizer - removed
'start_id' is missing | tokenizer - start_id
'oov_id' is missing | tokenizer - oov_id
'first_word_id' is missing | tokenizer - first_word_id
is not supported | tokenizer + {"lowercase": "turkish"}
is not supported | tokenizer + {"truncation": "middle"}
is not supported | tokenizer + {"pad_id": 3}
too large | tokenizer + {"oov_id": 1000000}
is not supported | tokenizer + {"oov_id": -1}
is not supported | tokenizer + {"oov_id": 1}
is not supported | tokenizer + {"oov_id": true}
is not supported | tokenizer + {"start_id": 0}
is not supported | tokenizer + {"start_id": 2}
first word | tokenizer + {"first_word_id": 0}
first word | tokenizer + {"first_word_id": 5}
start | tokenizer + {"first_word_id": 1}
not a text | tokenizer + {"separators": null}
twice | tokenizer + {"separators": "--"}
twice | tokenizer + {"removed": "!"}
punctuation | tokenizer + {"marks": "a"}
has other ids | subwords + {"oov_id": null}
has other ids | subwords + {"start_id": null}
its length | tokenizer + {"length": 0}
its length | tokenizer + {"length": 200000000}
its length | tokenizer + {"length": 100001}
its length | tokenizer + {"length": "600"}

'edge_lstm.network' is missing | no network
network is not an object | network: 7
as its network asks for | network + {"ngram_words": 7}
as its network asks for | network + {"ngram_slots": 7}
out of range | network + {"ngram_words": 100000}
from 0 to | network + {"ngram_slots": 10000000}
as its network asks for | network + {"ngram_dim": 2}
ngram_dim is 0 | network + {"ngram_dim": 0}
'ngram_counts' is missing | network - ngram_counts
ngram_counts must be | network + {"ngram_counts": 1}
ngram_counts must be | network + {"ngram_counts": []}
ngram_counts must be | network + {"ngram_counts": [0]}
ngram_counts must be | network + {"ngram_counts": [1, 65]}
ngram_counts must be | network + {"ngram_counts": [true]}
ngram_counts must be | network + {"ngram_counts": ["1"]}
ngram_counts must be | network + {"ngram_counts": [[1]]}
ngram_counts must be | network + {"ngram_counts": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}
as its network asks for | network + {"embedding_dim": 10}
without an embedding | network + {"embedding_dim": 0}
one of none | network + {"padding": "left"}
one of none | network + {"padding": []}
n-grams of texts with padding | network + {"padding": "front"}

'layers' is missing | network - layers
not a list | network + {"layers": 1}
not an object | network + {"layers": [1]}
'dense' is missing | network + {"layers": [{"gru": 30}]}
the reverse | network + {"layers": []}
gives one value | network + {"layers": [LSTM, LSTM]}
first states | network + {"layers": [STEPS, LSTM]}
more than 3 LSTMs | network + {"layers": [STEPS, STEPS, STEPS, LSTM]}
more than 2 hidden dense | network + {"layers": [LSTM, DENSE, DENSE, DENSE]}
no constant 'dense0_w' | network + {"layers": [LSTM, DENSE]}
before an LSTM | network + {"layers": [DENSE, LSTM]}
no LSTM | network + {"layers": [DENSE]}
units must be | network + {"layers": [LSTM, {"dense": 0, "activation": "relu"}]}
units must be | network + {"layers": [LSTM, {"dense": 70000, "activation": "relu"}]}
one of relu | network + {"layers": [LSTM, {"dense": 4, "activation": "swish"}]}

units must be | lstm + {"lstm": "x"}
units must be | lstm + {"lstm": 0}
units must be | lstm + {"lstm": 20000}
as its network asks for | lstm + {"lstm": 95}
as its network asks for | lstm + {"bidirectional": false}
bidirectional must be | lstm + {"bidirectional": 1}
one of steps | lstm + {"gives": "attention"}
one of steps | lstm + {"gives": ["last"]}
as its network asks for | lstm + {"gives": "max"}
lacks a setting, or has another | lstm + {"gives": "mean"}
as its network asks for | lstm + {"gives": "mean", "floor": null}
gives one value | lstm + {"gives": "steps", "floor": null}
from -1 to 0 | lstm + {"floor": 1}
lacks a setting, or has another | lstm + {"floor": null}
lacks a setting, or has another | lstm + {"dropout": 0.5}
are not supported | lstm + {"hard_sigmoid": 0.3}
are not supported | lstm + {"hard_sigmoid": 1}

its metadata is missing | no format
is not numeric | format: ١
is not numeric | format: -1
is not numeric | format: 010
upgrade edge-lstm | format: 2
"""
HARMFUL_METADATA = r"""
labels are a text | not a list of strings | labels: "ab"
labels are an object | not a list of strings | labels: {"a":1,"b":2}
labels are numbers | not a list of strings | labels: [0,1]
a label twice | repeated | labels: ["a","a"]
a label that is a lone surrogate | surrogate | labels: ["a","\\ud800"]
is not supported | tokenizer + {"replacements": {"a": "b"}}
another length than the graph's | length of its input | tokenizer + {"length": 60}
units must be | lstm + {"lstm": 30.0}
must be a whole number | lstm + {"floor": false}
training is not an object | training: []
quantization is not an object | quantization: [1]
int8 that says it is fp32 | quantization does not fit its graph | no quantization
NaN is not a finite number | training: {"seed": NaN}
not a list | golden: 7
an unknown id | golden: [{"text":"","ids":[99999],"probabilities":[[1,1],[0,0]]}]
most probable labels | golden: [{"text":"","ids":[1],"probabilities":[[1,1],[0,0],[0,0]]}]
label's index | golden: [{"text":"","ids":[1],"probabilities":[[1,1],[2,0]]}]
label's index | golden: [{"text":"","ids":[1],"probabilities":[[1,1],[-1,0]]}]
a label twice | golden: [{"text":"","ids":[1],"probabilities":[[1,1],[1,0]]}]
label's index | golden: [{"text":"","ids":[1],"probabilities":[1,0]}]
no probability | golden: [{"text":"","ids":[1],"probabilities":[[1,2],[0,0]]}]
missing | golden: [{"text":"","probabilities":[[1,1],[0,0]]}]
neither an ex | golden: [{"text":"","ids":[1],"probabilities":[[1,1],[0,0]],"example":1}]
"""
# The input and the output of the graph.
SIGNATURES = """
int32[batch, 600] tokens => float[batch, 2] probabilities | has the wrong input
int64[batch, 600] input_ids => float[batch, 2] probabilities | has the wrong input
int32[batch, 600, 1] input_ids => float[batch, 2] probabilities | has the wrong input
int32[batch, length] input_ids => float[batch, 2] probabilities | has the wrong input
int32[1, 600] input_ids => float[batch, 2] probabilities | has the wrong input
int32[batch, 200000000] input_ids => float[batch, 2] probabilities | length of its input
int32[batch, 600] input_ids => float[batch, 2] logits | output is not probabilities
int32[batch, 600] input_ids => double[batch, 2] probabilities | output is not probabilities
int32[batch, 600] input_ids => float probabilities | output is not probabilities
int32[batch, 600] input_ids => float[batch, 3] probabilities | output is not probabilities
"""
# Operators that no export writes.
OPERATORS = """
a constant made of nothing | 'ConstantOfShape' is unexpected | all = ConstantOfShape (a)
a loop | 'Loop' is unexpected | x = Loop (n, c)
an operator of another domain | 'evil.Add' is unexpected | b = evil.Add (a)
"""
# A constant of the graph and by what it is multiplied.
PRODUCTS = """
head_b | nan | not finite
lstm0_b | nan | not finite
head_w_scales | inf | not finite
ngram_scales | nan | not finite
embedding_scale | nan | not finite
embedding_scale | -1 | not above 0
lstm0_w_scale | -1 | not above 0
lstm0_r_scale | 0 | not above 0
head_w_scales | 0 | not above 0
ngram_scales | -1 | not above 0
"""
# A constant of the graph and its first value.
FIRST_VALUES = """
embedding_q | 0x80 | a half-byte of 0
embedding_q | 0x08 | a half-byte of 0
"""


# fmt: off
DAMAGED = [
    # After the export, with the digest of before.
    metadata("labels exchanged", CHANGED, "old", labels='["pos","neg"]'),
    metadata("the first word removed", CHANGED, "old", vocabulary=front_coded(WORDS[1:])),
    metadata("two words exchanged", CHANGED, "old",
             vocabulary=front_coded([WORDS[1], WORDS[0], *WORDS[2:]])),
    metadata("other training data", CHANGED, "old", training="{}"),
    *(metadata(f"a space behind {key}", CHANGED, "old", **{key: METADATA[f"edge_lstm.{key}"] + " "})
      for key in ("tokenizer", "network", "quantization", "golden")),
    metadata("no digest", CHANGED, "none"),
    *(metadata(f"digest {digest[:2]!r}", CHANGED, "old", digest=digest)
      for digest in ("", "0" * 64, "g" * 64, "é" * 32)),
    Hostile("a digest in a field that readers skip", CHANGED,
            lambda: b"\x32".join(DATA.rsplit(b"\x72", 1))),
    Hostile("a digest of another name", CHANGED, lambda: DATA.replace(b".digest", b".dikest")),
    Hostile("bytes behind the digest", CHANGED, lambda: DATA + field(25, b"")),
    # The metadata.
    *metadata_of(DAMAGED_METADATA),
    metadata("labels nested 100,000 deep", "nested", labels="[" * 100_000 + "]" * 100_000),
    metadata("thresholds in a list", "not a list", **{**multi_label([]), "multi_label": "[]"}),
    metadata("no thresholds", "not those of its network",
             **{**multi_label([]), "multi_label": None}),
    metadata("thresholds of one label per text", "not those of its network",
             multi_label='{"thresholds":[0.5,0.5]}'),
    metadata("a label that holds what joins labels", "holds '|'",
             **multi_label([0.5, 0.5], labels='["neg|","pos"]')),
    Hostile("several labels of one logit", ASKED,
            lambda: edited(multi_label([1, 1]), graph=bytes(MODEL.onnx.graph))),
    metadata("a vocabulary longer than the network's", "another size",
             vocabulary=front_coded([*WORDS, "x1"])),
    metadata("and a network that says so", ASKED,
             vocabulary=front_coded([*WORDS, "x1", "x2"]),
             **changed("network", {"num_words": len(WORDS) + 6})),
    *(metadata(f"a vocabulary that {name}", says,
               vocabulary=value + front_coded(WORDS)[at:])
      for name, says, value, at in (
          ("lacks half a letter pair", "letter pairs", "ab\0", 0),
          ("has a letter pair of no byte", "letter pairs", "éab\0", 0),
          ("is too large with its letter pairs", "far too large", "Aab\0" + "A" * 2**24 + "b", 0),
          ("begins within an entry", "does not begin with an entry", "a", 0),
          ("begins with another's letters", "shares more", "\x02", 1),
          ("shares more letters than there are", "shares more", "\x01ab\x04c", 4),
          ("begins with no codes", "does not begin with an entry", "\x00", 1),
          ("has an empty entry", "is empty", "\x01\x01", 2),
          ("has a million entries", "more than", "\x01a" * 10**6, 0))),
    metadata("a format of 5,000 digits", "is not numeric", format="1" * 5000),
    metadata("a later format", "upgrade", format=str(FORMAT_VERSION + 1)),
    # The graph.
    graph("200,000 operators", "far more fields",
          lambda g: g.node.extend([onnx.NodeProto()] * 200_000)),
    Hostile("no graph", "the wrong input (nothing)", lambda: edited(graph=b"")),
    Hostile("a graph of noise", "do not fit together",
            lambda: edited(graph=random.Random(1).randbytes(2000))),
    Hostile("a graph that is cut", "field cut short", lambda: edited(graph=MODEL.onnx.graph[:-70])),
    graph("external data", "not in the file", as_external),
    *(graph(f"a constant with {name}", says,
            lambda g, axes=axes: constant(g, "embedding_q").dims.extend(axes))
      for name, says, axes in (("10^15 bytes", "does not fit its shape", [10**9]),
                               ("a negative size", "does not fit its shape", [-1]),
                               ("100 axes", "too many axes", [1] * 100))),
    # Its constants.
    *(constants(f"{name} times {by}", says, **{name: times(float(by))})
      for name, by, says in rows(PRODUCTS)),
    *(constants(f"{name} of {value}", says, **{name: with_first(int(value, 0))})
      for name, value, says in rows(FIRST_VALUES)),
    Hostile("a number behind the last column", "behind its last column", odd_embedding),
    constants("multipliers of another type", ASKED, embedding_m=lambda m: m.astype(np.int8)),
    *(constants(f"codes {name}", says, **PLAIN, embedding_c=codes, embedding_b=book)
      for name, says, codes, book in (
          ("of another type", ASKED, CODES.astype(np.int8), BOOK),
          ("of fewer rows", ASKED, CODES[1:], BOOK),
          ("of fewer columns", ASKED, CODES[:, 1:], BOOK),
          ("and a short book", ASKED, CODES, BOOK[1:]),
          ("and a book of bytes", ASKED, CODES, BOOK.astype(np.uint8)),
          ("without a book", "no constant", CODES, None))),
    constants("codes beside numbers of 4 bits", OTHERS, embedding_c=CODES, embedding_b=BOOK),
    constants("fewer fingerprints than slots", ASKED, pair_fingerprints=lambda f: f[:-1]),
    *(constants(f"displacements {name}", "pair_displacements", pair_displacements=change)
      for name, change in (("of no bucket", lambda d: d[:0]),
                           ("of 16 bits", lambda d: d.astype(np.uint16)),
                           ("of too many buckets", lambda d: np.resize(d, 10**6 + 1)),
                           ("in rows", lambda d: d[:, None]))),
    constants("an embedding with fewer rows than words", ASKED, embedding_q=lambda e: e[:50]),
    constants("shapes that do not fit", ASKED, head_w=lambda w: w[:-1]),
    constants("a scale less", ASKED, ngram_scales=lambda s: s[:-1]),
    # First states of LSTMs.
    *(constants(f"first states: {name}", says, lstm0_h=outputs, lstm0_c=cells)
      for name, says, outputs, cells in (
          ("outputs alone", "no constant 'lstm0_c'", OUTPUTS, None),
          ("of other units", ASKED, OUTPUTS[..., 1:], CELLS),
          ("of two rows and one", ASKED, np.repeat(OUTPUTS, 2, axis=1), CELLS),
          ("of no row", "number of rows", OUTPUTS[:, :0], CELLS[:, :0]),
          ("of more rows than columns", "number of rows",
           np.repeat(OUTPUTS, 602, axis=1), np.repeat(CELLS, 602, axis=1)),
          ("in no table", "number of rows", OUTPUTS[0], CELLS),
          ("an output of 2", "beyond -1 to 1", OUTPUTS * 2, CELLS),
          ("outputs without sentinels", "the sentinels", OUTPUTS * 0, CELLS),
          ("cells without sentinels", "the sentinels", OUTPUTS, CELLS * 0),
          ("not a number", "not finite", OUTPUTS, CELLS * np.float32(np.nan)))),
    constants("a table twice, packed and plain", OTHERS, embedding=np.zeros((90, 14), np.int8)),
    # No model file at all.
    Hostile("empty", "is empty", lambda: b""),
    Hostile("a text", "not an ONNX file", lambda: b"not a model"),
    Hostile("zeros", "not an ONNX file", lambda: b"\0" * 10_000),
    Hostile("noise", "not an ONNX file", lambda: random.Random(1).randbytes(5000)),
    Hostile("ONNX of another project", "not a model file of edge-lstm",
            lambda: onnx.parser.parse_model(FOREIGN).SerializeToString()),
    *(Hostile(f"cut at {at}", "cut short", lambda at=at: DATA[:at])
      for at in (100, 5000, len(DATA) - 1)),
    Hostile("a field that claims 2^60 bytes", "cut short",
            lambda: DATA[:20] + field(7, b"")[:1] + b"\xff" * 8 + b"\x0f"),
]
HARMFUL = [
    graph("external data beside its own", "not in the file", as_external_too),
    *metadata_of(HARMFUL_METADATA),
    metadata("a word that stands for what could not be read", "U+FFFD",
             vocabulary=front_coded([*WORDS[:-1], "caf\ufffd"])),
    metadata("a word twice", "repeated", vocabulary=front_coded([*WORDS[:-1], WORDS[0]])),
    metadata("a name with two values", "a key is there twice",
             network=METADATA["edge_lstm.network"][:-1] + ',"padding":"front"}'),
    Hostile("a metadata key twice", "twice",
            lambda: edited(after=entry("edge_lstm.labels", '["pos","neg"]'))),
    Hostile("two graphs", "two graphs", lambda: edited(after=field(7, MODEL.onnx.graph))),
    Hostile("an opset twice", "two opsets",
            lambda: edited(after=field(8, field(1, b"") + field(2, 13)))),
    Hostile("local functions", "is unexpected", lambda: edited(after=field(25, field(1, b"Add")))),
    Hostile("operators of another domain", "another domain",
            lambda: edited(opsets={"": 17, "com.evil": 1})),
    *(graph(signature, says, with_signature(signature))
      for signature, says in rows(SIGNATURES)),
    graph("two outputs", "output is not probabilities", lambda g: g.output.extend([g.output[0]])),
    graph("a sparse constant", "sparse", lambda g: g.sparse_initializer.add()),
    *(graph(name, f"operator {says}", with_nodes(text)) for name, says, text in rows(OPERATORS)),
    graph("100 operators", "too many operators", with_nodes("b = Cast <to = 1> (a)\n" * 100)),
    # Of these ONNX Runtime and the engine would make different things.
    constants("signs the other way round", "is not -1 and 1", signs=times(-1)),
    constants("a zero point of 3", "is not 0", lstm0_zero=with_first(3)),
    constants("a maximum above 0", "is not 0", zero_float=with_first(1)),
    constants("a weight of no layer", OTHERS, dense0_w=OUTPUTS),
    graph("two constants of one name", "of one name",
          lambda g: g.initializer.append(constant(g, "head_b"))),
    graph("a billion columns of zeros", "pads by more", pads_a_billion),
    graph("a padding of unknown size", "pads by more", without_pads),
    # What only the run shows.
    graph("all memory asked for", "needs more memory", asks_for_memory(2_000_000)),
    constants("NaN answers", "not probabilities", head_w_scales=lambda s: s * 0 + 3e38),
    graph("an operator without its input", "cannot load",
          with_nodes("c = Add (a, b)")),
    graph("an index out of range", "cannot run", reads_beyond_the_embedding),
]
# fmt: on
KINDS = {
    "labels exchanged",
    "no digest",
    "no labels",
    "a later format",
    "external data",
    "a loop",
    "empty",
}
EVERY_KIND = [hostile for hostile in (*DAMAGED, *HARMFUL) if hostile.name in KINDS]
