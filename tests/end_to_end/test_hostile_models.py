"""Hostile model files: damaged, changed after the export, foreign, or made to do harm.

Each row is a model file and a part of the one line that every command says of it. Most carry a right digest,
as whoever makes them on purpose would give them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hostile import Case, check
from model_files import DATA, SMALL, edited, entry, field
from onnx import TensorProto, helper, numpy_helper

from edge_lstm import EdgeLSTMError
from edge_lstm.modelfile import FORMAT_VERSION, open_model, parse_model
from edge_lstm.text import Tokenizer

MODEL = open_model(SMALL)
METADATA = MODEL.onnx.metadata
WORDS = tuple(METADATA["edge_lstm.vocabulary"].split("\n"))
TEXTS = ["A wonderful, moving film.", "Dull, and far too long.", "The cast is fine, the script is not."]


@dataclass(frozen=True)
class Hostile:
    """A model file, and what is said of it. digest: see :func:`model_files.edited`."""

    name: str
    says: str
    data: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name


def tokenizer(**changes: Any) -> str:
    return json.dumps({**json.loads(METADATA["edge_lstm.tokenizer"]), **changes})


def subwords(**changes: Any) -> str:
    """Settings of the other text rule."""
    return json.dumps({**Tokenizer(WORDS[:-9], pieces=WORDS[-9:]).to_metadata(), **changes})


def network(**changes: Any) -> str:
    return json.dumps({**MODEL.network, **changes})


def metadata(name: str, says: str, changes: dict[str, str | None], *, digest: str = "right") -> Hostile:
    return Hostile(f"{name} ({digest} digest)", says, lambda: edited(changes, digest=digest))


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
        tensor.CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(tensor))), name)
        )

    return apply


def with_nodes(*nodes: onnx.NodeProto) -> Callable[[onnx.GraphProto], object]:
    def apply(g: onnx.GraphProto) -> None:
        rest = list(g.node)
        del g.node[:]
        g.node.extend([*nodes, *rest])

    return apply


def as_external(g: onnx.GraphProto) -> None:
    tensor = constant("embedding")(g)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def other_value(values: str, **changes: Any) -> Callable[[onnx.GraphProto], object]:
    """A graph whose input or output is another one. values: "input" or "output"."""
    ids = {"name": "input_ids", "elem_type": TensorProto.INT32, "shape": ["batch", 600]}
    answers = {"name": "probabilities", "elem_type": TensorProto.FLOAT, "shape": ["batch", 2]}
    value = helper.make_tensor_value_info(**{**(ids if values == "input" else answers), **changes})
    return lambda g: getattr(g, values)[0].CopyFrom(value)


def asks_for_all_memory(g: onnx.GraphProto) -> None:
    """n values by n values, from the operators that every model has: 16 TB."""
    n = 2_000_000
    g.initializer.extend(
        [
            numpy_helper.from_array(np.zeros(n, np.float32), "many"),
            numpy_helper.from_array(np.array([n, 1]), "as_column"),
            numpy_helper.from_array(np.array([1, n]), "as_row"),
        ]
    )
    sum_of_all = [
        helper.make_node("ReduceMax", ["logits"], ["highest_answer"], keepdims=0),
        helper.make_node("Add", ["many", "highest_answer"], ["moved"]),
        helper.make_node("Reshape", ["moved", "as_column"], ["column"]),
        helper.make_node("Reshape", ["moved", "as_row"], ["row"]),
        helper.make_node("Add", ["column", "row"], ["square"]),
        helper.make_node("ReduceMax", ["square"], ["square_highest"], keepdims=0),
        helper.make_node("Add", ["probabilities_before", "square_highest"], ["probabilities"]),
    ]
    g.node[-1].output[0] = "probabilities_before"
    g.node.extend(sum_of_all)


def reads_beyond_the_embedding(g: onnx.GraphProto) -> None:
    g.initializer.append(numpy_helper.from_array(np.array([10**6], np.int32), "million"))
    at = next(i for i, node in enumerate(g.node) if node.op_type == "Gather")
    g.node.insert(at, helper.make_node("Add", [g.node[at].input[1], "million"], ["beyond"]))
    g.node[at + 1].input[1] = "beyond"


def foreign() -> bytes:
    made = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    return helper.make_model(made, producer_name="pytorch").SerializeToString()


CHANGED = "changed after it was written"
APART = "does not fit together"
# fmt: off
HOSTILE = [
    # After the export, with the digest of before.
    metadata("labels exchanged", CHANGED, {"labels": '["pos","neg"]'}, digest="old"),
    metadata("the first word removed", CHANGED, {"vocabulary": "\n".join(WORDS[1:])}, digest="old"),
    metadata("two words exchanged", CHANGED, {"vocabulary": "\n".join([WORDS[1], WORDS[0], *WORDS[2:]])},
             digest="old"),
    metadata("another length", CHANGED, {"tokenizer": tokenizer(length=599)}, digest="old"),
    metadata("other training data", CHANGED, {"training": "{}"}, digest="old"),
    metadata("no digest", CHANGED, {}, digest="none"),
    Hostile("bytes behind the digest", CHANGED, lambda: DATA + field(25, b"")),
    # Labels.
    metadata("labels are a text", "no list of texts", {"labels": '"ab"'}),
    metadata("labels are an object", "no list of texts", {"labels": '{"a":1,"b":2}'}),
    metadata("labels are null", "no list of texts", {"labels": "null"}),
    metadata("labels are numbers", "no list of texts", {"labels": "[0,1]"}),
    metadata("a label twice", "twice", {"labels": '["a","a"]'}),
    metadata("no labels", "fewer than two", {"labels": "[]"}),
    metadata("three labels for two outputs", "another number of labels", {"labels": '["a","b","c"]'}),
    metadata("labels nested 100,000 deep", "nested", {"labels": "[" * 100_000 + "]" * 100_000}),
    metadata("a label that steers a terminal", "control character", {"labels": '["a","\\u001b[31m"]'}),
    metadata("a label that ends for C", "control character", {"labels": '["a\\u0000b","a\\u0000c"]'}),
    metadata("a label that is a lone surrogate", "surrogate", {"labels": '["a","\\ud800"]'}),
    metadata("labels are no JSON", APART, {"labels": "[1"}),
    # Text rule and vocabulary.
    metadata("a vocabulary longer than the network's", "another size",
             {"vocabulary": "\n".join([*WORDS, "x1"])}),
    metadata("and a network that says so", "more words than the embedding",
             {"vocabulary": "\n".join([*WORDS, "x1", "x2"]), "network": network(num_words=len(WORDS) + 6)}),
    metadata("fewer lines than words", "more than its vocabulary's lines",
             {"tokenizer": subwords(words=10**6)}),
    metadata("another rule for unknown words", "unknown_words",
             {"tokenizer": subwords(unknown_words="none")}),
    metadata("a word twice", "twice", {"vocabulary": "\n".join([*WORDS[:-1], WORDS[0]])}),
    metadata("oov_id 1,000,000", "oov_id", {"tokenizer": tokenizer(oov_id=10**6)}),
    metadata("oov_id -1", "oov_id", {"tokenizer": tokenizer(oov_id=-1)}),
    metadata("another lower-casing", "lowercase", {"tokenizer": tokenizer(lowercase="turkish")}),
    metadata("no tokenizer settings", "missing", {"tokenizer": "{}"}),
    metadata("tokenizer settings are a list", "no object", {"tokenizer": "[]"}),
    metadata("a length of 200,000,000", "its length", {"tokenizer": tokenizer(length=200_000_000)}),
    metadata("another length than the graph's", "another length", {"tokenizer": tokenizer(length=60)}),
    metadata("a length that is a text", "its length", {"tokenizer": tokenizer(length="600")}),
    # The rest of the metadata.
    metadata("network is no object", "network is no object", {"network": "7"}),
    metadata("training is no object", "training is no object", {"training": "[]"}),
    metadata("quantization is no object", "quantization is no object", {"quantization": "[1]"}),
    metadata("int8 that says it is fp32", "quantization is not that of its graph", {"quantization": None}),
    metadata("units without number", "hidden", {"network": network(hidden="x")}),
    metadata("NaN in the metadata", "NaN is no number", {"training": '{"seed": NaN}'}),
    metadata("golden rows are a number", "no list", {"golden": "7"}),
    metadata("a golden row of other ids", "id of no word",
             {"golden": '[{"text":"","ids":[99999],"probabilities":[1,0]}]'}),
    metadata("a golden row of three answers", "for each label",
             {"golden": '[{"text":"","ids":[1],"probabilities":[1,0,0]}]'}),
    metadata("a golden row without ids", "missing", {"golden": '[{"text":""}]'}),
    metadata("a format number of 5,000 digits", "is not a number", {"format": "1" * 5000}),
    metadata("a format number of other digits", "is not a number", {"format": "١"}),
    metadata("a negative format number", "is not a number", {"format": "-1"}),
    metadata("a later format", "upgrade", {"format": str(FORMAT_VERSION + 1)}),
    metadata("an earlier format", "made by a version before 1.0; export it again", {"format": "3"}),
    metadata("another digest", CHANGED, {"digest": "0" * 64}, digest="old"),
    Hostile("a metadata key twice", "twice",
            lambda: edited(after=entry("edge_lstm.labels", '["pos","neg"]'))),
    Hostile("two graphs", "two graphs", lambda: edited(after=field(7, MODEL.onnx.graph))),
    Hostile("an opset twice", "two opsets", lambda: edited(after=field(8, field(1, b"") + field(2, 13)))),
    Hostile("local functions", "not one of a model's", lambda: edited(after=field(25, field(1, b"Add")))),
    Hostile("operators of another domain", "another domain", lambda: edited(opsets={"": 17, "com.evil": 1})),
    # The graph.
    graph("another input", "asks for another input", other_value("input", name="tokens")),
    graph("an input of another type", "asks for another input",
          other_value("input", elem_type=TensorProto.INT64)),
    graph("an input of another shape", "asks for another input",
          other_value("input", shape=["batch", 600, 1])),
    graph("a free length", "asks for another input", other_value("input", shape=["batch", "length"])),
    graph("a fixed batch", "asks for another input", other_value("input", shape=[1, 600])),
    graph("a batch of 1,000,000,000", "asks for another input", other_value("input", shape=[10**9, 600])),
    graph("an input of 200,000,000 columns", "another length",
          other_value("input", shape=["batch", 200_000_000])),
    graph("another output", "output is not probabilities", other_value("output", name="logits")),
    graph("an output of another type", "output is not probabilities",
          other_value("output", elem_type=TensorProto.DOUBLE)),
    graph("an output that is a scalar", "output is not probabilities", other_value("output", shape=[])),
    graph("an output of three columns", "output is not probabilities",
          other_value("output", shape=["batch", 3])),
    graph("two outputs", "output is not probabilities", lambda g: g.output.extend([g.output[0]])),
    graph("external data", "not in the file", as_external),
    graph("a constant of 10^15 bytes", "as large as its shape",
          lambda g: constant("embedding")(g).dims.extend([10**9])),
    graph("a constant of negative size", "as large as its shape",
          lambda g: constant("embedding")(g).dims.extend([-1])),
    graph("a constant of 1,000 axes", "too many axes",
          lambda g: constant("embedding")(g).dims.extend([1] * 1_000)),
    graph("a sparse constant", "sparse", lambda g: g.sparse_initializer.add()),
    graph("an embedding with fewer rows than words", "more words than the embedding",
          replaced("embedding", lambda e: e[:50])),
    graph("a constant made of nothing", "'ConstantOfShape' is not one",
          with_nodes(helper.make_node("ConstantOfShape", ["axis_1"], ["all_memory"]))),
    graph("a loop", "'Loop' is not one", with_nodes(helper.make_node("Loop", ["", ""], ["x"]))),
    graph("an operator of another domain", "'evil.Add' is not one",
          with_nodes(helper.make_node("Add", ["a"], ["b"], domain="evil"))),
    graph("10,000 operators", "too many operators",
          with_nodes(*[helper.make_node("Cast", ["a"], [f"b{i}"], to=1) for i in range(10_000)])),
    graph("200,000 operators", "far more fields", lambda g: g.node.extend([onnx.NodeProto()] * 200_000)),
    # What only the run shows.
    graph("all memory asked for", "needs more memory", asks_for_all_memory),
    graph("NaN answers", "not probabilities", replaced("head_b", lambda b: b * np.nan)),
    graph("an operator without its input", "cannot load",
          with_nodes(helper.make_node("Add", ["a", "b"], ["c"]))),
    graph("shapes that do not fit", "cannot", replaced("head_w", lambda w: w[:-1])),
    graph("an index out of range", "cannot run", reads_beyond_the_embedding),
    # No model file at all.
    Hostile("empty", "is empty", lambda: b""),
    Hostile("a text", "not an ONNX file", lambda: b"not a model"),
    Hostile("zeros", "not an ONNX file", lambda: b"\0" * 10_000),
    Hostile("ONNX of another project", "not a model file of edge-lstm", foreign),
    Hostile("a field that claims 2^60 bytes", "cut short",
            lambda: DATA[:20] + field(7, b"")[:1] + b"\xff" * 8 + b"\x0f"),
]
# fmt: on


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_predict_says_in_one_line_what_is_wrong(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = hostile.data()
    case = Case(
        name=hostile.name,
        arguments=("predict", "-m", "m.onnx", *TEXTS),
        given=lambda folder: (folder / "m.onnx").write_bytes(data),
        says=hostile.says,
    )
    start = time.monotonic()
    done = check(case, tmp_path, monkeypatch)
    assert done.stdout == b""
    assert time.monotonic() - start < 20  # a hang, not a slow day


COMMANDS = {
    "inspect": ("inspect", "m.onnx"),
    "explain": ("explain", "fine", "-m", "m.onnx"),
    "score": ("score", "t.txt", "-m", "m.onnx", "-o", "o.csv", "-w", "1"),
}
EVERY_KIND = [HOSTILE[i] for i in (0, 6, 12, 20, 30)] + [
    h for h in HOSTILE if h.name in ("external data", "a loop", "empty")
]


@pytest.mark.parametrize("hostile", EVERY_KIND, ids=str)
@pytest.mark.parametrize("command", COMMANDS)
def test_so_does_every_command(
    command: str, hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(folder: Path) -> None:
        (folder / "m.onnx").write_bytes(hostile.data())
        (folder / "t.txt").write_text("fine\n")

    case = Case(name=hostile.name, arguments=COMMANDS[command], given=given, says=hostile.says)
    check(case, tmp_path, monkeypatch)


@pytest.mark.parametrize("hostile", EVERY_KIND, ids=str)
def test_doctor_calls_it_not_fit(hostile: Hostile, tmp_path: Path) -> None:
    from edge_lstm.doctor.checks import examine

    path = tmp_path / "m.onnx"
    path.write_bytes(hostile.data())
    diagnosis = examine(path, in_process=True)
    assert not diagnosis.fit
    assert hostile.says in diagnosis.verdict


def test_a_label_that_steers_the_terminal_is_shown_as_an_escape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = json.dumps(["\u202eneg", "\u2066pos"])
    for arguments in (
        ("predict", "-m", "m.onnx", *TEXTS),
        ("predict", "-m", "m.onnx", *TEXTS, "--json"),
        ("explain", "-m", "m.onnx", TEXTS[0]),
        ("inspect", "m.onnx"),
        ("inspect", "m.onnx", "--json"),
    ):
        case = Case(
            name="",
            arguments=arguments,
            given=lambda folder: (folder / "m.onnx").write_bytes(edited({"labels": labels})),
            exit=0,
        )
        shown = check(case, tmp_path, monkeypatch).stdout.decode()
        assert all(line.isprintable() for line in shown.replace("\t", " ").splitlines()), shown


@pytest.mark.parametrize("step", [997, pytest.param(20, marks=pytest.mark.slow)])
def test_a_file_that_is_cut_anywhere_is_refused(step: int) -> None:
    for size in range(0, len(DATA) - 1, step):
        with pytest.raises(EdgeLSTMError):
            parse_model(DATA[:size], Path("m.onnx"))


def test_a_file_that_is_cut_between_two_entries_is_refused() -> None:
    at = 0
    while (at := DATA.find(b"edge_lstm.", at + 1)) > 0:
        for size in range(at - 8, at + 1):
            with pytest.raises(EdgeLSTMError):
                parse_model(DATA[:size], Path("m.onnx"))
