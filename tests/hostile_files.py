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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_lstm.modelfile import FORMAT_VERSION, parse_model
from edge_lstm.text import Tokenizer, front_coded
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


def tokenizer(**changes: Any) -> str:
    return compact({**json.loads(METADATA["edge_lstm.tokenizer"]), **changes})


def tokenizer_without(key: str) -> str:
    settings = json.loads(METADATA["edge_lstm.tokenizer"])
    del settings[key]
    return compact(settings)


def subwords(**changes: Any) -> str:
    """Settings of a text rule with subwords."""
    return compact({**Tokenizer(WORDS[:-9], pieces=WORDS[-9:]).to_metadata(), **changes})


def network(**changes: Any) -> str:
    return compact({**MODEL.network.to_dict(), **changes})


def lstm(**changes: Any) -> dict[str, Any]:
    """The network's LSTM with other settings; None removes one."""
    layer = {**MODEL.network.layers[0].to_dict(), **changes}
    return {key: value for key, value in layer.items() if value is not None}


def metadata(name: str, says: str, digest: str = "right", /, **changes: str | None) -> Hostile:
    """The model with other metadata. digest: see :func:`model_files.edited`."""
    return Hostile(f"{name} ({digest} digest)", says, lambda: edited(changes, digest=digest))


def thresholds(name: str, says: str, values: object, /, **changes: str | None) -> Hostile:
    """The model as one that gives several labels per text."""
    return metadata(name, says, **multi_label(values, **changes))


def graph(name: str, says: str, change: Callable[[onnx.GraphProto], object]) -> Hostile:
    """The model with another graph and a right digest."""

    def data() -> bytes:
        model = onnx.load_model_from_string(DATA)
        change(model.graph)
        return edited(graph=model.graph.SerializeToString(deterministic=True))

    return Hostile(name, says, data)


def constant(name: str) -> Callable[[onnx.GraphProto], onnx.TensorProto]:
    return lambda g: next(c for c in g.initializer if c.name == name)


def replaced(name: str, change: Callable[[Any], Any]) -> Callable[[onnx.GraphProto], object]:
    """A graph's constant, changed as a numpy array."""

    def apply(g: onnx.GraphProto) -> None:
        tensor = constant(name)(g)
        changed = np.ascontiguousarray(change(numpy_helper.to_array(tensor)))
        tensor.CopyFrom(numpy_helper.from_array(changed, name))

    return apply


def with_first(value: int) -> Callable[[Any], Any]:
    """A change of an array: another first value."""
    return lambda values: (
        np.concatenate([[value], values.flat[1:]]).astype(values.dtype).reshape(values.shape)
    )


BOOK = np.zeros((256, 4), np.int8)
CODES = np.zeros((MODEL.network.num_words + 1, (MODEL.network.embedding_dim + 3) // 4), np.uint8)


def with_codes(codes: Any, book: Any, drops: bool) -> Callable[[onnx.GraphProto], object]:
    """A graph with the embedding in codes. book: None: none. drops: its 4 bits are left out."""

    def apply(g: onnx.GraphProto) -> None:
        if drops:
            for name in ("embedding_q", "embedding_m"):
                g.initializer.remove(constant(name)(g))
        for name, values in (("embedding_c", codes), ("embedding_b", book)):
            if values is not None:
                g.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))

    return apply


def odd_embedding() -> bytes:
    """The model with a column less of the embedding, whose half-bytes stay."""
    model = onnx.load_model_from_string(DATA)
    replaced("lstm0_w", lambda w: w[:, 1:])(model.graph)
    columns = MODEL.network.embedding_dim - 1
    data = model.graph.SerializeToString(deterministic=True)
    return edited({"network": network(embedding_dim=columns)}, graph=data)


def with_nodes(*nodes: onnx.NodeProto) -> Callable[[onnx.GraphProto], object]:
    def apply(g: onnx.GraphProto) -> None:
        rest = list(g.node)
        del g.node[:]
        g.node.extend([*nodes, *rest])

    return apply


def with_starts(outputs: Any, cells: Any) -> Callable[[onnx.GraphProto], object]:
    """A graph with tables of first states; None: without one of them."""

    def apply(g: onnx.GraphProto) -> None:
        for name, values in (("lstm0_h", outputs), ("lstm0_c", cells)):
            if values is not None:
                g.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))

    return apply


def first_states() -> list[Any]:
    """Outputs and cells of the LSTM before its first step, zeros but for the sentinels."""
    states = []
    for end in (1, 20):
        table = np.zeros((2, 1, MODEL.network.lstms[0].units + 2), np.float32)
        table[..., -2:] = end, -end
        states.append(table)
    return states


def as_external(g: onnx.GraphProto) -> None:
    tensor = constant("embedding_q")(g)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def other_value(values: str, **changes: Any) -> Callable[[onnx.GraphProto], object]:
    """A graph whose input or output is another one. values: "input" or "output"."""
    ids = {"name": "input_ids", "elem_type": TensorProto.INT32, "shape": ["batch", 600]}
    answers = {"name": "probabilities", "elem_type": TensorProto.FLOAT, "shape": ["batch", 2]}
    value = helper.make_tensor_value_info(**{**(ids if values == "input" else answers), **changes})
    return lambda g: getattr(g, values)[0].CopyFrom(value)


def asks_for_memory(n: int) -> Callable[[onnx.GraphProto], object]:
    """n values by n values, 4 bytes each, from the operators that every model has; the answers
    stay."""

    def apply(g: onnx.GraphProto) -> None:
        for name, values in (
            ("nothing", np.zeros(1, np.float32)),
            ("many", np.zeros(n, np.float32)),
            ("column", np.array([n, 1])),
            ("row", np.array([1, n])),
        ):
            g.initializer.append(numpy_helper.from_array(values, name))
        g.node[-1].output[0] = "probabilities_before"
        g.node.extend(
            [
                helper.make_node("ReduceMax", ["logits"], ["highest_logit"], keepdims=0),
                helper.make_node("Mul", ["highest_logit", "nothing"], ["zero"]),
                helper.make_node("Add", ["many", "zero"], ["moved"]),
                helper.make_node("Reshape", ["moved", "column"], ["as_column"]),
                helper.make_node("Reshape", ["moved", "row"], ["as_row"]),
                helper.make_node("Add", ["as_column", "as_row"], ["square"]),
                helper.make_node("ReduceMax", ["square"], ["square_highest"], keepdims=0),
                helper.make_node(
                    "Add", ["probabilities_before", "square_highest"], ["probabilities"]
                ),
            ]
        )

    return apply


def reads_beyond_the_embedding(g: onnx.GraphProto) -> None:
    g.initializer.append(numpy_helper.from_array(np.array([10**6], np.int32), "million"))
    at = next(i for i, node in enumerate(g.node) if node.op_type == "Gather")
    g.node.insert(at, helper.make_node("Add", [g.node[at].input[1], "million"], ["beyond"]))
    g.node[at + 1].input[1] = "beyond"


def without_pads(g: onnx.GraphProto) -> None:
    """The first padding by what an operator gives."""
    next(node for node in g.node if node.op_type == "Pad").input[1] = "row_lengths"


def foreign() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    made = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [x], [y])
    return helper.make_model(made, producer_name="pytorch").SerializeToString()


CHANGED = "changed after export"
APART = "do not fit together"
ASKED = "as its network asks for"
UNSUPPORTED = "is not supported"
OPERATOR = "is unexpected"
UNKNOWN_SETTING = "lacks a setting, or has another"
STEPS = lstm(gives="steps", floor=None)
STARTS = first_states()
DENSE = {"dense": 4, "activation": "relu"}
# fmt: off
DAMAGED = [
    # After the export, with the digest of before.
    metadata("labels exchanged", CHANGED, "old", labels='["pos","neg"]'),
    metadata("the first word removed", CHANGED, "old", vocabulary=front_coded(WORDS[1:])),
    metadata("two words exchanged", CHANGED, "old",
             vocabulary=front_coded([WORDS[1], WORDS[0], *WORDS[2:]])),
    metadata("another length", CHANGED, "old", tokenizer=tokenizer(length=599)),
    metadata("other training data", CHANGED, "old", training="{}"),
    *(metadata(f"a space behind {key}", CHANGED, "old", **{key: METADATA[f"edge_lstm.{key}"] + " "})
      for key in ("network", "quantization", "golden")),
    metadata("no digest", CHANGED, "none"),
    *(metadata(f"digest {digest[:2]!r}", CHANGED, "old", digest=digest)
      for digest in ("", "0" * 64, "g" * 64, "é" * 32)),
    Hostile("a digest in a field that readers skip", CHANGED,
            lambda: b"\x32".join(DATA.rsplit(b"\x72", 1))),
    Hostile("a digest of another name", CHANGED, lambda: DATA.replace(b".digest", b".dikest")),
    Hostile("bytes behind the digest", CHANGED, lambda: DATA + field(25, b"")),
    # Labels.
    metadata("labels are a number", "not a list of strings", labels="5"),
    metadata("labels are null", "not a list of strings", labels="null"),
    metadata("no labels", "fewer than two", labels="[]"),
    metadata("one label", "fewer than two", labels='["pos"]'),
    metadata("three labels for two outputs", "another number of labels", labels='["a","b","c"]'),
    metadata("labels nested 100,000 deep", "nested", labels="[" * 100_000 + "]" * 100_000),
    metadata("a label that steers a terminal", "control character", labels='["a","\\u001b[31m"]'),
    metadata("a label that ends for C", "control character", labels='["a\\u0000b","a\\u0000c"]'),
    metadata("a C1 control character in a label", "control character",
             labels='["neg","\u009bpos"]'),
    metadata("labels are no JSON", APART, labels="[1"),
    # Several labels per text.
    thresholds("one threshold for two labels", "one threshold per label", [0.5]),
    *(thresholds(f"a threshold of {value!r}", "not in (0, 1]", [0.5, value])
      for value in (0, 1.5, True, "1")),
    thresholds("thresholds are a text", "not a list", "0.5"),
    thresholds("thresholds in a list", "not a list", [], multi_label="[]"),
    thresholds("no thresholds", "not those of its network", [], multi_label=None),
    thresholds("thresholds of one label per text", "not those of its network", [0.5, 0.5],
               network=network()),
    thresholds("a label that holds what joins labels", "holds '|'", [0.5, 0.5],
               labels='["neg|","pos"]'),
    # Text rule and vocabulary.
    metadata("no vocabulary", "'edge_lstm.vocabulary' is missing", vocabulary=None),
    metadata("a vocabulary longer than the network's", "another size",
             vocabulary=front_coded([*WORDS, "x1"])),
    metadata("and a network that says so", ASKED,
             vocabulary=front_coded([*WORDS, "x1", "x2"]),
             network=network(num_words=len(WORDS) + 6)),
    *(metadata(f"a vocabulary that {name}", says,
               vocabulary=value + METADATA["edge_lstm.vocabulary"][at:])
      for name, says, value, at
      in (("begins within an entry", "does not begin with an entry", "a", 0),
                                    ("begins with another's letters", "shares more", "\x02", 1),
                                    ("shares more letters than there are", "shares more",
                                     "\x01ab\x04c", 4),
                                    ("holds another control character", "shares more", "\x00", 1),
                                    ("has an empty entry", "is empty", "\x01\x01", 2),
                                    ("has a million entries", "more than", "\x01a" * 10**6, 0))),
    metadata("fewer entries than words", "more words than its vocabulary",
             tokenizer=subwords(words=10**6)),
    metadata("a network of fewer words", "another size", network=network(num_words=7)),
    metadata("no tokenizer", "'edge_lstm.tokenizer' is missing", tokenizer=None),
    metadata("tokenizer settings are no JSON", APART, tokenizer="{"),
    metadata("no tokenizer settings", "missing", tokenizer="{}"),
    metadata("tokenizer settings are a list", "not an object", tokenizer="[]"),
    *(metadata(f"tokenizer settings without {key}", f"{key!r} is missing",
               tokenizer=tokenizer_without(key))
      for key in ("words", "separators", "removed", "start_id", "oov_id", "first_word_id")),
    *(metadata(f"{key} {value!r}", says, tokenizer=tokenizer(**{key: value}))
      for key, value, says in (("lowercase", "turkish", UNSUPPORTED),
                               ("truncation", "middle", UNSUPPORTED),
                               ("pad_id", 3, UNSUPPORTED),
                               ("oov_id", 10**6, "too large"), ("oov_id", -1, UNSUPPORTED),
                               ("oov_id", 1, UNSUPPORTED), ("oov_id", True, UNSUPPORTED),
                               ("start_id", 0, UNSUPPORTED), ("start_id", 2, UNSUPPORTED),
                               ("first_word_id", 0, "first word"), ("first_word_id", 5,
                                                                    "first word"),
                               ("first_word_id", 1, "start"), ("separators", None, "not a text"),
                               ("separators", "--", "twice"), ("removed", "!", "twice"),
                               ("marks", "a", "punctuation"))),
    metadata("subwords and no id of unknown words", "has other ids",
             tokenizer=subwords(oov_id=None)),
    metadata("subwords and no id of the start", "has other ids", tokenizer=subwords(start_id=None)),
    *(metadata(f"a length of {length!r}", "its length", tokenizer=tokenizer(length=length))
      for length in (0, 200_000_000, "600")),
    # The rest of the metadata.
    metadata("no network", "'edge_lstm.network' is missing", network=None),
    metadata("network is no object", "network is not an object", network="7"),
    *(metadata(f"{key} {value}", says, network=network(**{key: value}))
      for key, value, says in (("ngram_words", 7, ASKED), ("ngram_slots", 7, ASKED),
                               ("ngram_words", 10**5, "out of range"), ("ngram_slots", 10**7,
                                                                        "from 0 to"),
                               ("ngram_dim", 2, ASKED), ("ngram_dim", 0, "ngram_dim is 0"),
                               *(("ngram_counts", counts, "ngram_counts must be")
                                 for counts in (1, [], [0], [1, 65], [True], ["1"], [[1]],
                                                [1] * 16)),
                               ("embedding_dim", 10, ASKED), ("embedding_dim", 0,
                                                              "without an embedding"),
                               ("padding", "left", "one of none"), ("padding", [], "one of none"),
                               ("padding", "front", "n-grams of texts with padding"))),
    metadata("no counts of n-grams", "'ngram_counts' is missing",
             network=network().replace(',"ngram_counts":[1]', "")),
    # Its layers.
    *(metadata(f"an LSTM of {changes}", says, network=network(layers=[lstm(**changes)]))
      for changes, says in (({"lstm": "x"}, "units must be"),
                            ({"lstm": 0}, "units must be"),
                            ({"lstm": 10**6}, "units must be"), ({"lstm": 95}, ASKED),
                            ({"bidirectional": False}, ASKED), ({"bidirectional": 1},
                                                                "bidirectional must be"),
                            ({"gives": "attention"}, "one of steps"), ({"gives": "max"}, ASKED),
                            ({"gives": "mean"}, UNKNOWN_SETTING), ({"gives": "mean", "floor": None},
                                                                   ASKED),
                            ({"gives": "steps", "floor": None}, "gives one value"),
                            ({"floor": 1}, "from -1 to 0"), ({"floor": None}, UNKNOWN_SETTING),
                            ({"hard_sigmoid": 0.3}, "are not supported"), ({"dropout": 0.5},
                                                                           UNKNOWN_SETTING))),
    *(metadata(f"layers: {name}", says, network=network(layers=layers))
      for name, says, layers in (("a number", "not a list", 1), ("numbers", "not an object", [1]),
                                 ("of another kind", "missing", [{"gru": 30}]),
                                 ("none", "the reverse", []), ("two LSTMs of one value",
                                                               "gives one value", [lstm()] * 2),
                                 ("two LSTMs", "first states", [STEPS, lstm()]),
                                 ("four LSTMs", "more than 3 LSTMs", [*[STEPS] * 3, lstm()]),
                                 ("three dense layers", "more than 2 hidden dense", [lstm(),
                                                                                     *[DENSE] * 3]),
                                 ("a dense layer", "no constant", [lstm(), DENSE]),
                                 ("a dense layer before an LSTM", "before an LSTM", [DENSE,
                                                                                     lstm()]),
                                 ("a dense layer alone", "no LSTM", [DENSE]),
                                 ("a dense layer of 0 units", "units must be",
                                  [lstm(), {**DENSE, "dense": 0}]),
                                 ("another activation", "one of relu",
                                  [lstm(), {**DENSE, "activation": "swish"}]))),
    Hostile("several labels of one logit", ASKED,
            lambda: edited(multi_label([1, 1]), graph=bytes(MODEL.onnx.graph))),
    metadata("no format", "its metadata is missing", format=None),
    *(metadata(f"format {number[:5]}", "is not numeric", format=number)
      for number in ("1" * 5000, "١", "-1", "010")),
    metadata("a later format", "upgrade", format=str(FORMAT_VERSION + 1)),
    *(metadata(f"format {number}", "made by a version before 1.0; export it again", format=number)
      for number in ("3", "10")),
    # The graph.
    graph("200,000 operators", "far more fields",
          lambda g: g.node.extend([onnx.NodeProto()] * 200_000)),
    *(graph(f"a {value} in {name}", "not finite", replaced(name, lambda v, value=value: v * value))
      for name, value in (("head_b", np.nan), ("lstm0_b", np.nan), ("head_w_scales", np.inf),
                          ("ngram_scales", np.nan), ("embedding_scale", np.nan))),
    *(graph(f"{name} times {by}", "not above 0",
            replaced(name, lambda v, by=by: v * np.float32(by)))
      for name, by in (("embedding_scale", -1), ("lstm0_w_scale", -1), ("lstm0_r_scale", 0),
                       ("head_w_scales", 0), ("ngram_scales", -1))),
    Hostile("no graph", "the wrong input (nothing)", lambda: edited(graph=b"")),
    Hostile("a graph of noise", APART, lambda: edited(graph=random.Random(1).randbytes(2000))),
    Hostile("a graph that is cut", "field cut short", lambda: edited(graph=MODEL.onnx.graph[:-70])),
    graph("external data", "not in the file", as_external),
    *(graph(f"a constant with {name}", says, lambda g,
            axes=axes: constant("embedding_q")(g).dims.extend(axes))
      for name, says, axes in (("10^15 bytes", "does not fit its shape", [10**9]),
                               ("a negative size", "does not fit its shape", [-1]),
                               ("100 axes", "too many axes", [1] * 100))),
    # Tables of 4-bit numbers, and of pairs.
    graph("a half-byte of 0", "a half-byte of 0", replaced("embedding_q", with_first(0x80))),
    graph("a high half-byte of 0", "a half-byte of 0", replaced("embedding_q", with_first(0x08))),
    *(graph(f"a row times {by}", "is not 1 to 18", replaced("embedding_m", with_first(by))) for by
      in (0, 19)),
    Hostile("a number behind the last column", "behind its last column", odd_embedding),
    graph("multipliers of another type", ASKED, replaced("embedding_m",
                                                         lambda m: m.astype(np.int8))),
    *(graph(f"codes {name}", says, with_codes(codes, book, drops))
      for name, says, codes, book, drops in (
          ("of another type", ASKED, CODES.astype(np.int8), BOOK, True),
          ("of fewer rows", ASKED, CODES[1:], BOOK, True),
          ("of fewer columns", ASKED, CODES[:, 1:], BOOK, True),
          ("and a short book", ASKED, CODES, BOOK[1:], True),
          ("and a book of bytes", ASKED, CODES, BOOK.astype(np.uint8), True),
          ("without a book", "no constant", CODES, None, True),
          ("beside numbers of 4 bits", "none of its network's", CODES, BOOK, False))),
    graph("a fingerprint out of range", "above 65521", replaced("pair_fingerprints",
                                                                with_first(65522))),
    graph("fewer fingerprints than slots", ASKED, replaced("pair_fingerprints", lambda f: f[:-1])),
    *(graph(f"displacements {name}", "pair_displacements", replaced("pair_displacements",
                                                                        change))
      for name, change in (("of no bucket", lambda d: d[:0]),
                           ("of 8 bits", lambda d: d.astype(np.uint8)),
                           ("of too many buckets", lambda d: np.resize(d, 10**6 + 1)),
                           ("in rows", lambda d: d[:, None]))),
    graph("an embedding with fewer rows than words", ASKED,
          replaced("embedding_q", lambda e: e[:50])),
    graph("shapes that do not fit", ASKED, replaced("head_w", lambda w: w[:-1])),
    # First states of LSTMs.
    *(graph(f"first states: {name}", says, with_starts(h, c))
      for name, says, h, c in (("outputs alone", "no constant 'lstm0_c'", STARTS[0], None),
                               ("of other units", ASKED, STARTS[0][..., 1:], STARTS[1]),
                               ("of two rows and one", ASKED, np.repeat(STARTS[0], 2, axis=1),
                                STARTS[1]),
                               ("of no row", "number of rows", *(states[:, :0] for states
                                                                 in STARTS)),
                               ("of more rows than columns", "number of rows",
                                *(np.repeat(s, 602, axis=1) for s in STARTS)),
                               ("in no table", "number of rows", STARTS[0][0], STARTS[1]),
                               ("an output of 2", "beyond -1 to 1", STARTS[0] * 2, STARTS[1]),
                               ("outputs without sentinels", "the sentinels", STARTS[0] * 0,
                                STARTS[1]),
                               ("cells without sentinels", "the sentinels", STARTS[0],
                                STARTS[1] * 0),
                               ("not a number", "not finite", STARTS[0],
                                STARTS[1] * np.float32(np.nan)))),
    graph("a table twice, packed and plain", "none of its network's",
          lambda g: g.initializer.append(numpy_helper.from_array(np.zeros((90, 14), np.int8),
                                                                 "embedding"))),
    # No model file at all.
    Hostile("empty", "is empty", lambda: b""),
    Hostile("a text", "not an ONNX file", lambda: b"not a model"),
    Hostile("zeros", "not an ONNX file", lambda: b"\0" * 10_000),
    Hostile("noise", "not an ONNX file", lambda: random.Random(1).randbytes(5000)),
    Hostile("ONNX of another project", "not a model file of edge-lstm", foreign),
    *(Hostile(f"cut at {at}", "cut short", lambda at=at: DATA[:at])
      for at in (100, 5000, len(DATA) - 1)),
    Hostile("a field that claims 2^60 bytes", "cut short",
            lambda: DATA[:20] + field(7, b"")[:1] + b"\xff" * 8 + b"\x0f"),
]
HARMFUL = [
    metadata("labels are a text", "not a list of strings", labels='"ab"'),
    metadata("labels are an object", "not a list of strings", labels='{"a":1,"b":2}'),
    metadata("labels are numbers", "not a list of strings", labels="[0,1]"),
    metadata("a label twice", "repeated", labels='["a","a"]'),
    metadata("a label that is a lone surrogate", "surrogate", labels='["a","\\ud800"]'),
    metadata("another replacement", UNSUPPORTED, tokenizer=tokenizer(replacements={"a": "b"})),
    metadata("a word that stands for what could not be read", "U+FFFD",
             vocabulary=front_coded([*WORDS[:-1], "caf\ufffd"])),
    metadata("a word twice", "repeated", vocabulary=front_coded([*WORDS[:-1], WORDS[0]])),
    metadata("another length than the graph's", "length of its input",
             tokenizer=tokenizer(length=60)),
    metadata("training is no object", "training is not an object", training="[]"),
    metadata("quantization is no object", "quantization is not an object", quantization="[1]"),
    metadata("int8 that says it is fp32", "quantization does not fit its graph", quantization=None),
    metadata("NaN in the metadata", "NaN is not a number", training='{"seed": NaN}'),
    metadata("golden rows are a number", "not a list", golden="7"),
    *(metadata(f"a golden row {name}", says, golden=f'[{{"text":"",{rest}}}]')
      for name, says, rest
      in (("of other ids", "an unknown id", '"ids":[99999],"probabilities":[[1,1],[0,0]]'),
                               ("of three answers", "most probable labels",
                                '"ids":[1],"probabilities":[[1,1],[0,0],[0,0]]'),
                               ("of a label that is not there", "label's index",
                                '"ids":[1],"probabilities":[[1,1],[2,0]]'),
                               ("of a label -1", "label's index",
                                '"ids":[1],"probabilities":[[1,1],[-1,0]]'),
                               ("of one label twice", "a label twice",
                                '"ids":[1],"probabilities":[[1,1],[1,0]]'),
                               ("of plain numbers", "label's index",
                                '"ids":[1],"probabilities":[1,0]'),
                               ("of a probability of 2", "no probability",
                                '"ids":[1],"probabilities":[[1,2],[0,0]]'),
                               ("without ids", "missing", '"probabilities":[[1,1],[0,0]]'),
                               ("that is half an example", "neither an example nor none",
                                '"ids":[1],"probabilities":[[1,1],[0,0]],"example":1'))),
    Hostile("a metadata key twice", "twice",
            lambda: edited(after=entry("edge_lstm.labels", '["pos","neg"]'))),
    Hostile("two graphs", "two graphs", lambda: edited(after=field(7, MODEL.onnx.graph))),
    Hostile("an opset twice", "two opsets",
            lambda: edited(after=field(8, field(1, b"") + field(2, 13)))),
    Hostile("local functions", "is unexpected", lambda: edited(after=field(25, field(1, b"Add")))),
    Hostile("operators of another domain", "another domain",
            lambda: edited(opsets={"": 17, "com.evil": 1})),
    *(graph(f"an input with {name}", "has the wrong input", other_value("input", **changes))
      for name, changes in (("another name", {"name": "tokens"}),
                            ("another type", {"elem_type": TensorProto.INT64}),
                            ("another shape", {"shape": ["batch", 600, 1]}),
                            ("a free length", {"shape": ["batch", "length"]}),
                            ("a fixed batch", {"shape": [1, 600]}),
                            ("a batch of 1,000,000,000", {"shape": [10**9, 600]}))),
    graph("an input of 200,000,000 columns", "length of its input",
          other_value("input", shape=["batch", 200_000_000])),
    *(graph(f"an output with {name}", "output is not probabilities",
            other_value("output", **changes))
      for name, changes in (("another name", {"name": "logits"}),
                            ("another type", {"elem_type": TensorProto.DOUBLE}),
                            ("no axes", {"shape": []}),
                            ("three columns", {"shape": ["batch", 3]}))),
    graph("two outputs", "output is not probabilities", lambda g: g.output.extend([g.output[0]])),
    graph("a sparse constant", "sparse", lambda g: g.sparse_initializer.add()),
    graph("a constant made of nothing", f"'ConstantOfShape' {OPERATOR}",
          with_nodes(helper.make_node("ConstantOfShape", ["axis_1"], ["all_memory"]))),
    graph("a loop", f"'Loop' {OPERATOR}", with_nodes(helper.make_node("Loop", ["", ""], ["x"]))),
    graph("an operator of another domain", f"'evil.Add' {OPERATOR}",
          with_nodes(helper.make_node("Add", ["a"], ["b"], domain="evil"))),
    graph("100 operators", "too many operators",
          with_nodes(*[helper.make_node("Cast", ["a"], [f"b{i}"], to=1) for i in range(100)])),
    # Of these ONNX Runtime and the engine would make different things.
    graph("signs the other way round", "is not -1 and 1", replaced("signs", lambda v: -v)),
    graph("a zero point of 3", "is not 0", replaced("lstm0_w_zero", lambda v: v + np.int8(3))),
    graph("a maximum above 0", "is not 0", replaced("zero_float", lambda v: v + np.float32(1))),
    graph("a weight of no layer", "none of its network's",
          lambda g: g.initializer.append(numpy_helper.from_array(STARTS[0], "dense0_w"))),
    graph("two constants of one name", "of one name",
          lambda g: g.initializer.append(constant("head_b")(g))),
    metadata("a name with two values", "two values",
             network=network()[:-1] + ',"padding":"front"}'),
    graph("a billion columns of zeros", "pads by more", replaced("one_column",
                                                                 lambda v: v * 10**9)),
    graph("a padding of unknown size", "pads by more", without_pads),
    # What only the run shows.
    graph("all memory asked for", "needs more memory", asks_for_memory(2_000_000)),
    graph("NaN answers", "not probabilities",
          replaced("head_w_scales", lambda s: s * 0 + np.float32(3e38))),
    graph("an operator without its input", "cannot load",
          with_nodes(helper.make_node("Add", ["a", "b"], ["c"]))),
    graph("an index out of range", "cannot run", reads_beyond_the_embedding),
]
# fmt: on
EVERY_KIND = [
    hostile
    for hostile in (*DAMAGED, *HARMFUL)
    if hostile.name.partition(" (")[0]
    in {
        "labels exchanged",
        "no digest",
        "no labels",
        "a later format",
        "external data",
        "a loop",
        "empty",
    }
]
