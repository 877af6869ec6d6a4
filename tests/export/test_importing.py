"""Networks that Keras and PyTorch trained: their answers, their tokenizers, their damaged files.

Comparisons with Keras itself run if it is installed, as the extra dev does.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from commands import command
from edge_lstm_export import importing
from edge_lstm_export.importing import Options, forward, inert_pickle, words
from edge_lstm_export.importing import keras as keras_files
from edge_lstm_export.importing.checkpoint import checkpoint_of, padding_cost
from edge_lstm_export.onnx.export import export
from edge_lstm_export.train.checkpoint import load_checkpoint
from edge_lstm_export.train.loop import predict_probabilities
from safetensors.torch import save_file
from torch import nn

from edge_lstm import Classifier as FileClassifier
from edge_lstm.errors import DataError

h5py = pytest.importorskip("h5py")
HAS_NATIVE = find_spec("edge_lstm_native") is not None
os.environ.setdefault("KERAS_BACKEND", "torch")

LENGTH = 12
IDS = 50
RNG = np.random.default_rng(1)
ROWS = [RNG.integers(1, IDS, size=n).tolist() for n in (0, 1, 3, LENGTH - 1, LENGTH, LENGTH + 4)]
INDEX = {f"w{i}": i for i in range(1, IDS)}
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, with PyTorch as its backend."""
    return pytest.importorskip("keras")


# --- Answers --------------------------------------------------------------------------------------


def layers_of(keras: Any, name: str) -> list[Any]:
    """The layers between the input and the answer of a network, by the name of a case."""
    make = keras.layers
    embedding = make.Embedding(IDS, 8, mask_zero="masked" in name)
    sequence = {"return_sequences": True}
    sigmoid = make.Dense(1, activation="sigmoid")
    return {
        "one LSTM": [embedding, make.LSTM(6), sigmoid],
        "masked": [embedding, make.Bidirectional(make.LSTM(6)), sigmoid],
        "both directions, dropouts, hidden dense, softmax": [
            embedding,
            make.SpatialDropout1D(0.2),
            make.Bidirectional(make.LSTM(6, dropout=0.1, recurrent_dropout=0.1)),
            make.Dense(5, activation="relu"),
            make.BatchNormalization(),
            make.Dropout(0.5),
            make.Dense(3, activation="softmax"),
        ],
        "stacked, normalized, activations apart, several sigmoids": [
            embedding,
            make.Bidirectional(make.LSTM(6, **sequence)),
            make.BatchNormalization(),
            make.LSTM(5, use_bias=False, **sequence),
            make.LSTM(4, unit_forget_bias=False),
            make.BatchNormalization(),
            make.Dense(2),
            make.BatchNormalization(),
            make.Activation("tanh"),
            make.Dense(4, activation="sigmoid"),
        ],
        "hard_sigmoid, maximum": [
            embedding,
            make.LSTM(6, recurrent_activation="hard_sigmoid", **sequence),
            make.GlobalMaxPooling1D(),
            sigmoid,
        ],
        "normalized mean": [
            embedding,
            make.LSTM(6, **sequence),
            make.BatchNormalization(),
            make.GlobalAveragePooling1D(),
            sigmoid,
        ],
        "masked, stacked": [
            embedding,
            make.Bidirectional(make.LSTM(6, **sequence)),
            make.LSTM(6),
            sigmoid,
        ],
        "masked maximum": [
            embedding,
            make.LSTM(6, **sequence),
            make.GlobalMaxPooling1D(),
            sigmoid,
        ],
    }[name]


CASES = (
    "one LSTM",
    "masked",
    "both directions, dropouts, hidden dense, softmax",
    "stacked, normalized, activations apart, several sigmoids",
    "hard_sigmoid, maximum",
    "normalized mean",
    "masked, stacked",
    "masked maximum",
)


def with_random_weights(model: Any) -> Any:
    """The model with weights other than the first ones; variances stay above 0."""
    for layer in model.layers:
        drawn = [RNG.normal(0, 0.5, w.shape).astype("f") for w in layer.get_weights()]
        if "batch" in layer.name:
            drawn = [np.abs(values) + 0.1 for values in drawn]
        layer.set_weights(drawn)
    return model


def keras_input(rows: list[list[int]], side: str) -> np.ndarray:
    """The rows as Keras's pad_sequences gives them: cut in front, filled up on one side."""
    ids = np.zeros((len(rows), LENGTH), np.int64)
    for i, row in enumerate(rows):
        kept = row[-LENGTH:]
        start = LENGTH - len(kept) if side == "front" else 0
        ids[i, start : start + len(kept)] = kept
    return ids


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("side", ["front", "behind"])
@pytest.mark.parametrize("name", CASES)
def test_a_keras_model_answers_as_keras_does_whatever_was_padded(
    keras: Any, tmp_path: Path, name: str, side: str
) -> None:
    model = keras.Sequential([keras.Input((LENGTH,)), *layers_of(keras, name)])
    with_random_weights(model)
    wanted = model.predict(keras_input(ROWS, side), verbose=0)
    for source in (model, tmp_path / "m.h5", tmp_path / "m.keras"):
        if isinstance(source, Path):
            model.save(source)
        found = importing.from_keras(source, INDEX, Options(padding=side))
        assert found.model.reading.length == LENGTH
        for dtype in (np.float32, np.float64):
            answers = forward.probabilities(found.model, ROWS, dtype)
            assert np.abs(answers - wanted).max() <= TOLERANCE, (source, dtype)


def test_the_mean_beside_the_maximum_keeps_its_order(keras: Any, tmp_path: Path) -> None:
    make = keras.layers
    start = keras.Input((LENGTH,))
    steps = make.Bidirectional(make.LSTM(5, return_sequences=True))(make.Embedding(IDS, 8)(start))
    both = [make.GlobalMaxPooling1D()(steps), make.GlobalAveragePooling1D()(steps)]
    hidden = make.Dense(4, activation="relu")(make.Concatenate()(both))
    model = keras.Model(start, make.Dense(1, activation="sigmoid")(hidden))
    wanted = with_random_weights(model).predict(keras_input(ROWS, "front"), verbose=0)
    model.save(tmp_path / "m.keras")
    for source in (model, tmp_path / "m.keras"):
        found = importing.from_keras(source, INDEX, Options(padding="front"))
        assert np.abs(forward.probabilities(found.model, ROWS) - wanted).max() <= TOLERANCE


def write_hdf5(
    path: Path, layers: list[tuple[str, dict[str, Any], list[Any]]], version: str
) -> None:
    """Write a file as old versions of Keras do. layers: class, settings, weights."""
    entries = []
    with h5py.File(path, "w") as file:
        for i, (kind, settings, weights) in enumerate(layers):
            name = f"{kind.lower()}_{i}"
            entries.append({"class_name": kind, "config": {"name": name, **settings}})
            group = file.create_group(f"model_weights/{name}")
            names = [f"{name}/{k}:0" for k in range(len(weights))]
            group.attrs["weight_names"] = [n.encode() for n in names]
            for weight_name, values in zip(names, weights):
                group[weight_name] = values
        body: Any = entries if version == "1" else {"name": "m", "layers": entries}
        config = json.dumps({"class_name": "Sequential", "config": body}).encode()
        file.attrs["model_config"] = config
        if version != "1":
            file.attrs["keras_version"] = version.encode()


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(0, 0.4, shape).astype("f")


def test_the_twelve_weights_of_keras_1_are_the_three_of_keras_2(tmp_path: Path) -> None:
    # Of each gate: input, cell, forget, output in Keras 1; input, forget, cell, output since.
    gates = {
        name: (drawn(8, 6, seed=k), drawn(6, 6, seed=k), drawn(6, seed=k))
        for k, name in enumerate("ifco")
    }
    twelve = [part for name in "icfo" for part in gates[name]]
    three = [np.concatenate([gates[name][k] for name in "ifco"], axis=-1) for k in range(3)]
    embedding = ("Embedding", {"batch_input_shape": [None, LENGTH]}, [drawn(IDS, 8)])
    dense = ("Dense", {"activation": "sigmoid"}, [drawn(6, 1), drawn(1)])
    answers = []
    for version, weights in (("1", twelve), ("2.2.4", three)):
        gate = "inner_activation" if version == "1" else "recurrent_activation"
        lstm = ("LSTM", {gate: "hard_sigmoid", "activation": "tanh"}, weights)
        path = tmp_path / f"{version}.h5"
        write_hdf5(path, [embedding, lstm, dense], version)
        found = importing.read(path, INDEX, Options(padding="front"))
        assert found.model.lstms[0].hard_sigmoid == pytest.approx(0.2)
        answers.append(forward.probabilities(found.model, ROWS))
    assert np.array_equal(*answers)


@pytest.mark.parametrize("both", [False, True])
def test_the_weights_of_a_cudnn_lstm_are_those_of_an_lstm_stored_otherwise(
    tmp_path: Path, both: bool
) -> None:
    def stored(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """As cuDNN reads them: of each gate a matrix of a row for each unit, and two biases."""
        kernels = [gate.T.ravel().reshape(gate.shape) for gate in np.split(kernel, 4, axis=1)]
        recurrents = [gate.T for gate in np.split(recurrent, 4, axis=1)]
        return [np.hstack(kernels), np.hstack(recurrents), np.concatenate([bias * 3, bias * -2])]

    weights = [[drawn(8, 24, seed=k), drawn(6, 24, seed=k), drawn(24, seed=k)] for k in range(2)]
    answers = []
    for kind, directions in (("LSTM", weights), ("CuDNNLSTM", [stored(*w) for w in weights])):
        settings: dict[str, Any] = {"return_sequences": False, "stateful": False}
        layer: Any = (kind, settings, directions[0])
        if both:
            inner = {"layer": {"class_name": kind, "config": settings}}
            layer = ("Bidirectional", inner, directions[0] + directions[1])
        dense = ("Dense", {"activation": "sigmoid"}, [drawn(12 if both else 6, 1), drawn(1)])
        path = tmp_path / f"{kind}.h5"
        write_hdf5(path, [good_layers()[0], layer, dense], "2.2.4")
        found = importing.read(path, INDEX, Options(padding="front"))
        answers.append(forward.probabilities(found.model, ROWS))
    assert np.abs(answers[0] - answers[1]).max() <= TOLERANCE


class Classifier(nn.Module):
    """A network as people write it in PyTorch."""

    def __init__(self, layers: int = 1, *, both: bool = False, hidden: bool = False) -> None:
        super().__init__()
        self.emb = nn.Embedding(IDS, 8, padding_idx=0)
        self.rnn = nn.LSTM(8, 6, layers, batch_first=True, bidirectional=both, dropout=0.0)
        width = 12 if both else 6
        self.hidden = nn.Linear(width, 5) if hidden else None
        self.fc = nn.Linear(5 if hidden else width, 3)

    def forward(self, ids: torch.Tensor, state: str) -> torch.Tensor:
        steps, (last, _) = self.rnn(self.emb(ids))
        ways = 2 if self.rnn.bidirectional else 1
        values = {
            "last": torch.cat(list(last[-ways:]), dim=1),
            "end": steps[:, -1],
            "mean": steps.mean(dim=1),
            "max": steps.amax(dim=1),
        }[state]
        if self.hidden is not None:
            values = torch.relu(self.hidden(values))
        return torch.softmax(self.fc(values), dim=1)


@pytest.mark.parametrize("state", ["last", "end", "mean", "max"])
@pytest.mark.parametrize("side", ["front", "behind"])
@pytest.mark.parametrize(
    "shape", [{}, {"both": True}, {"layers": 2, "both": True}, {"hidden": True, "layers": 3}]
)
def test_a_pytorch_model_answers_as_pytorch_does(
    tmp_path: Path, shape: dict[str, Any], side: str, state: Any
) -> None:
    torch.manual_seed(0)
    network = Classifier(**shape).eval()
    with torch.no_grad():
        wanted = network(torch.from_numpy(keras_input(ROWS, side)), state).numpy()
    torch.save({"epoch": 3, "model_state_dict": network.state_dict()}, tmp_path / "m.pt")
    save_file(network.state_dict(), tmp_path / "m.safetensors")
    options = Options(
        padding=side, length=LENGTH, state=state, activation="relu" if "hidden" in shape else None
    )
    for source in (network, tmp_path / "m.pt", tmp_path / "m.safetensors"):
        found = importing.from_torch(source, INDEX, options)
        assert np.abs(forward.probabilities(found.model, ROWS) - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("side", ["front", "behind", "none"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_output_of_both_directions_at_the_last_step_is_that_of_the_model_file(
    tmp_path: Path, layers: int, side: Any
) -> None:
    """As ``output[:, -1]`` gives it: the backward direction has read the last token alone."""
    torch.manual_seed(0)
    network = Classifier(layers, both=True).eval()
    labels = ("x", "y", "z")
    length = None if side == "none" else LENGTH
    options = Options(padding=side, length=length, state="end", labels=labels)
    found = importing.from_torch(network, INDEX, options)
    rows = [row for row in ROWS if row]
    texts = [" ".join(f"w{i}" for i in row) for row in rows]
    with torch.no_grad():
        if side == "none":
            wanted = np.concatenate([network(torch.tensor([row]), "end") for row in rows])
        else:
            wanted = network(torch.from_numpy(keras_input(rows, side)), "end").numpy()
    for quantize, tolerance in ((None, TOLERANCE), ("int8", 0.02)):
        exported = export(checkpoint_of(found), quantize=quantize)
        (tmp_path / "m.onnx").write_bytes(exported.data)
        for engine in ("onnxruntime", "native") if HAS_NATIVE else ("onnxruntime",):
            classifier = FileClassifier.load(tmp_path / "m.onnx", engine=engine)
            given = [[a.probabilities[name] for name in labels] for a in classifier.predict(texts)]
            assert np.abs(np.array(given) - wanted).max() <= tolerance, (quantize, engine)


def test_packed_sequences_are_read_without_their_padding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Classifier(both=True).eval()
    rows = [row for row in ROWS if row]
    torch.save(network.state_dict(), tmp_path / "m.pth")
    found = importing.read(tmp_path / "m.pth", INDEX, Options(padding="none", state="last"))
    answers = forward.probabilities(found.model, rows)
    for row, answer in zip(rows, answers):
        with torch.no_grad():
            alone = network(torch.tensor([row]), "last")[0].numpy()
        assert np.abs(alone - answer).max() <= TOLERANCE


def test_the_states_after_padding_are_those_of_a_text_that_is_padded_in_front(keras: Any) -> None:
    make = keras.layers
    model = keras.Sequential(
        [
            keras.Input((LENGTH,)),
            make.Embedding(IDS, 8),
            make.LSTM(6, return_sequences=True),
            make.LSTM(4),
            make.Dense(1, activation="sigmoid"),
        ]
    )
    options = Options(padding="front", labels=("a", "b"))
    found = importing.from_keras(with_random_weights(model), INDEX, options)
    first, last = (lstm.h[0].numpy() for lstm in checkpoint_of(found).network.layers)
    assert first.shape == (LENGTH + 1, 6)
    wanted = keras.Model(model.inputs, model.layers[-2].output).predict(
        np.zeros((1, LENGTH), int), verbose=0
    )
    assert np.abs(last[LENGTH] - wanted[0]).max() <= TOLERANCE
    assert not last[0].any()


# --- Tokenizers -----------------------------------------------------------------------------------

ODD = "aA bB\t\n\r\x0b'-_.!?¿éÉßẞİıΣσς日本🎬\u00a0\u2028\u3000\x00Q9"


def odd_texts(count: int) -> list[str]:
    """Texts of words, punctuation, other scripts and control characters."""
    rng = np.random.default_rng(2)
    texts = ["", " ", "\n", "ΑΣ Σ ΑΣ.", "İstanbul <OOV> <oov>", "w1 w2,w3"]
    while len(texts) < count:
        letters = rng.choice(list(ODD), size=rng.integers(1, 40))
        texts.append("".join(letters.tolist()) + " ".join(rng.choice(list(INDEX), size=3).tolist()))
    return texts


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_words": 20},
        {"num_words": 20, "oov_token": "<OOV>"},
        {"oov_token": "w3"},
        {"lower": False, "filters": "!,."},
        {"filters": ""},
        {"oov_token": 1},
    ],
    ids=str,
)
def test_ids_are_those_of_keras_on_odd_texts(
    keras: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    from keras.src.legacy.preprocessing.text import Tokenizer

    texts = odd_texts(2000)
    tokenizer = Tokenizer(**settings)
    tokenizer.fit_on_texts(texts[:500])
    wanted = tokenizer.texts_to_sequences(texts)
    pickled = pickle.dumps(tokenizer)
    rules = [words.rule_of(tokenizer)]
    # The class by the path of each version, and as JSON once or twice.
    for module in (b"keras.src.legacy.preprocessing.text", b"keras_preprocessing.text"):
        data = pickled.replace(
            b"\x8c#keras.src.legacy.preprocessing.text", b"\x8c" + bytes([len(module)]) + module
        )
        data = without_frames(data)
        rules.append(read(tmp_path, "t.pickle", data))
    rules.append(read(tmp_path, "2.pickle", pickle.dumps(tokenizer, protocol=2)))
    if settings.get("oov_token") != 1:  # JSON has no numbers as names
        as_json = tokenizer.to_json()
        rules.append(read(tmp_path, "t.json", as_json.encode("utf-8", "surrogatepass")))
        rules.append(read(tmp_path, "2.json", json.dumps(as_json).encode()))
    for rule in rules:
        assert [rule.ids(text) for text in texts] == wanted


def without_frames(data: bytes) -> bytes:
    """A pickle without the sizes of its frames, which a changed name would break."""
    import pickletools

    start = data.index(b"\x95")
    assert [op.name for op, _, _ in pickletools.genops(data)].count("FRAME") == 1
    return data[:start] + data[start + 9 :]


def read(folder: Path, name: str, data: bytes) -> words.TextRule:
    path = folder / name
    path.write_bytes(data)
    return words.read_words(path)


def test_an_own_dict_is_split_at_white_space_in_the_case_of_its_words(tmp_path: Path) -> None:
    index = {"<pad>": 0, "<unk>": 1, "good": 2, "film!": 3}
    for name, data in (
        ("d.json", json.dumps(index).encode()),
        ("d.pkl", pickle.dumps(OrderedDict(index))),
        ("d.txt", "\n".join(index).encode()),
        ("list.json", json.dumps(list(index)).encode()),
        ("wrapped.json", json.dumps({"word2idx": index}).encode()),
        ("turned.json", json.dumps({str(i): word for word, i in index.items()}).encode()),
    ):
        rule = read(tmp_path, name, data)
        assert rule.ids("GOOD\u2003film! Film\x0bgood") == [2, 3, 1, 2], name
    cased = read(tmp_path, "c.json", json.dumps({"Good": 1, "good": 2}).encode())
    assert cased.ids("Good good GOOD") == [1, 2]


def test_padding_may_have_another_id_than_0(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Classifier().eval()
    index = {"<unk>": 0, "<pad>": 1, "a": 2, "b": 3}
    options = Options(padding="behind", length=4, state="last", labels=("x", "y", "z"))
    found = importing.from_torch(network, index, options)
    ids = torch.tensor([[2, 0, 3, 1]])
    with torch.no_grad():
        wanted = network(ids, "last").numpy()
    answers = forward.probabilities(found.model, found.rows(["a other b"]))
    assert np.abs(answers - wanted).max() <= TOLERANCE


def test_a_text_vectorization_keeps_its_standardization() -> None:
    vocabulary = ["", "[UNK]", "its", "good", "É"]
    rule = words.vectorization_rule({"standardize": "lower_and_strip_punctuation"}, vocabulary, "m")
    assert rule.ids("It's GOOD, good\x0bÉ é GO-OD") == [2, 3, 3, 4, 1, 3]
    with pytest.raises(DataError, match="ngrams"):
        words.vectorization_rule({"ngrams": 2}, vocabulary, "m")


def test_the_index_of_imdb_is_known_by_its_words() -> None:
    index = {f"w{i}": i for i in range(1, 88_585)}
    index = {word: i for word, i in index.items() if i not in (1, 34_701)} | {
        "the": 1,
        "fawn": 34_701,
    }
    rule = words.rule_of(index).of_rows(5001)
    assert rule.ids("The w4,  fawn unknownword") == [1, 4, 7, 2, 2]


def test_a_word_of_numpy_in_a_pickle_is_a_word(tmp_path: Path) -> None:
    vocabulary = [np.str_(word) for word in ("", "[UNK]", "good", "é🎬")]
    rule = read(tmp_path, "v.pickle", pickle.dumps(vocabulary))
    assert rule.ids("Good é🎬 x") == [2, 3, 1]


# --- What is refused ------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch evil",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickle.dumps(Evil()), "posix.system|nt.system"),
        (pickle.dumps({"a": 1, "b": Evil()}), "which is not run"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"\x80\x04c__main__\nTokenizer\n.", "__main__.Tokenizer"),
        (pickle.dumps(INDEX)[:-30], "cut short"),
        (b"\x80\x04r\xff\xff\xff\x7f.", "."),
        (b"\x80\x05\x96\xff\xff\xff\xff\x00\x00\x00\x00.", "."),
        (b"\x80\x04ccollections\nOrderedDict\n}(\x8c\x01xK\x01uN\x86b.", "."),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b'{"a": 1', "cut short"),
        (b'{"a": "b"}', "instead of an id"),
        (b'{"a": 1, "b": 1}', "one id"),
        (b"{}", "no words"),
        (b"[1, 2]", "not of words"),
        (b"3", "cut short or damaged"),
        (b"", "empty"),
        (b"\x00\x01\x02", "cut short or damaged"),
        (
            json.dumps({"class_name": "Tokenizer", "config": {"word_index": "{}"}}).encode(),
            "not fitted",
        ),
        (
            json.dumps(
                {
                    "class_name": "Tokenizer",
                    "config": {"word_index": '{"a": 1}', "char_level": True},
                }
            ).encode(),
            "char_level",
        ),
    ],
)
def test_a_tokenizer_that_is_none_is_refused_in_a_line_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=reason) as caught:
        read(tmp_path, "t.pickle", data)
    assert "\n" not in str(caught.value)
    assert not Path("evil").exists()


def test_a_pickle_changes_no_class_for_the_next() -> None:
    module = b"ckeras_preprocessing.text\nTokenizer\n"
    # BUILD with a second dict sets attributes, here on the class itself.
    with pytest.raises(DataError):
        inert_pickle.load(b"\x80\x02" + module + b"N}U\x01xK\x01s\x86b.", "t")
    assert not hasattr(inert_pickle.TokenizerState, "x")


def good_layers() -> list[tuple[str, dict[str, Any], list[Any]]]:
    return [
        ("Embedding", {"input_length": LENGTH}, [drawn(IDS, 8)]),
        ("LSTM", {"activation": "tanh"}, [drawn(8, 24), drawn(6, 24), drawn(24)]),
        ("Dense", {"activation": "sigmoid"}, [drawn(6, 1), drawn(1)]),
    ]


def changed(at: int, layer: tuple[str, dict[str, Any], list[Any]] | None, count: int = 1) -> Any:
    layers = good_layers()
    layers[at : at + count] = [] if layer is None else [layer]
    return layers


LSTM_WEIGHTS = [drawn(8, 24), drawn(6, 24), drawn(24)]
HOSTILE = {
    "GRU": (changed(1, ("GRU", {}, [drawn(8, 18)])), "no LSTM layer.*GRU"),
    "Conv1D": (
        [*good_layers()[:1], ("Conv1D", {}, []), *good_layers()[1:]],
        "'conv1d_1' .Conv1D. is not imported",
    ),
    "Lambda": (
        [*good_layers()[:2], ("Lambda", {}, []), *good_layers()[2:]],
        "'lambda_2' .Lambda. is not imported",
    ),
    "attention": (
        [*good_layers()[:2], ("AttentionLayer", {}, []), *good_layers()[2:]],
        "'attentionlayer_2' .AttentionLayer. is",
    ),
    "CuDNN": (changed(1, ("CuDNNGRU", {}, [drawn(8, 18)])), "no LSTM layer.*CuDNNGRU"),
    "relu": (changed(1, ("LSTM", {"activation": "relu"}, LSTM_WEIGHTS)), "activation='relu'"),
    "backwards": (changed(1, ("LSTM", {"go_backwards": True}, LSTM_WEIGHTS)), "go_backwards"),
    "merged": (
        changed(
            1,
            (
                "Bidirectional",
                {"merge_mode": "sum", "layer": {"class_name": "LSTM", "config": {}}},
                LSTM_WEIGHTS * 2,
            ),
        ),
        "merges by 'sum'",
    ),
    "NaN": (changed(2, ("Dense", {}, [np.full((6, 1), np.nan), drawn(1)])), "not numbers"),
    "shape": (changed(2, ("Dense", {"activation": "sigmoid"}, [drawn(7, 1), drawn(1)])), "7 × 1"),
    "steps": (changed(1, ("LSTM", {"return_sequences": True}, LSTM_WEIGHTS)), "every step"),
    "flat": (
        [
            good_layers()[0],
            ("LSTM", {"return_sequences": True}, LSTM_WEIGHTS),
            ("Flatten", {}, []),
            ("Dense", {"activation": "sigmoid"}, [drawn(6 * LENGTH, 1), drawn(1)]),
        ],
        "'flatten_2' .Flatten. gives every step.*GlobalMaxPooling1D",
    ),
    "no weights": (changed(0, ("Embedding", {}, [])), "before it was trained"),
    "no head": (changed(2, None), "does not end with a Dense"),
    "four LSTMs": (
        [
            good_layers()[0],
            ("LSTM", {"return_sequences": True}, LSTM_WEIGHTS),
            *[("LSTM", {"return_sequences": True}, [drawn(6, 24), drawn(6, 24), drawn(24)])] * 2,
            ("LSTM", {}, [drawn(6, 24), drawn(6, 24), drawn(24)]),
            good_layers()[2],
        ],
        "4 LSTM layers",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_network_of_another_kind_is_refused_with_its_layer(tmp_path: Path, name: str) -> None:
    layers, reason = HOSTILE[name]
    write_hdf5(tmp_path / "m.h5", layers, "2.4.0")
    with pytest.raises(DataError, match=reason) as caught:
        importing.read(tmp_path / "m.h5", INDEX)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_model_says_what_it_is(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "good.h5", good_layers(), "2.4.0")
    whole = (tmp_path / "good.h5").read_bytes()
    cases = {
        b"version https://git-lfs.github.com/spec/v1\n": "git lfs pull",
        b"# My model\n\nDownload it from my drive.\n": "a text \\('# My model'\\)",
        b"": "empty",
        whole[: len(whole) // 2]: "cut short or damaged",
        whole[:100]: "cut short or damaged",
        b"\x1c\x00\x00\x00TFL3" + bytes(20): "TensorFlow Lite",
        b"PK\x03\x04" + bytes(50): "cut short or damaged",
        pickle.dumps(Evil()): "not run|not a file of weights",
        struct.pack("<Q", 30) + b'{"a":{"dtype":"F32","shape":[9' + bytes(99): "damaged",
    }
    for data, reason in cases.items():
        (tmp_path / "m.h5").write_bytes(data)
        with pytest.raises(DataError, match=reason) as caught:
            importing.read(tmp_path / "m.h5", INDEX)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="folder"):
        importing.read(tmp_path, INDEX)


def test_the_first_bytes_decide_and_not_the_name(keras: Any, tmp_path: Path) -> None:
    write_hdf5(tmp_path / "m.keras", good_layers(), "2.4.0")
    assert "HDF5" in importing.read(tmp_path / "m.keras", INDEX).model.source
    torch.save(Classifier().state_dict(), tmp_path / "weights.h5")
    found = importing.read(tmp_path / "weights.h5", INDEX, Options(state="last"))
    assert "PyTorch" in found.model.source


def test_claimed_sizes_take_no_memory(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "m.h5", good_layers(), "2.4.0")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        group = file["model_weights/embedding_0/embedding_0"]
        del group["0:0"]
        group.create_dataset("0:0", shape=(2**22, 2**9), dtype="f", chunks=(2**10, 2**9))
    with pytest.raises(DataError, match=r"claims 2,147,483,648 numbers"):
        importing.read(tmp_path / "m.h5", INDEX)
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**25)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(DataError, match="far too large"):
        importing.read(tmp_path / "m.keras", INDEX)


def test_a_link_to_another_file_is_not_followed(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "m.h5", good_layers(), "2.4.0")
    write_hdf5(tmp_path / "other.h5", good_layers(), "2.4.0")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["model_weights/dense_2/dense_2"]
        place = "model_weights/dense_2/dense_2"
        file[place] = h5py.ExternalLink(str(tmp_path / "other.h5"), place)
    with pytest.raises(DataError, match="another file"):
        importing.read(tmp_path / "m.h5", INDEX)


def test_a_whole_module_of_pytorch_is_not_run(tmp_path: Path) -> None:
    torch.save(Classifier(), tmp_path / "m.pt")
    with pytest.raises(DataError, match=r"Classifier, which is not run; save the weights alone"):
        importing.read(tmp_path / "m.pt", INDEX)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.GRU(8, 6), "'rnn' is a GRU|a GRU"),
        (nn.RNN(8, 6), "'rnn' is a RNN|an RNN"),
        (nn.LSTM(8, 6, proj_size=2), "projection"),
    ],
)
def test_another_recurrent_layer_is_known_by_its_shape(layer: nn.Module, reason: str) -> None:
    network = Classifier()
    network.rnn = layer
    with pytest.raises(DataError, match=reason):
        importing.from_torch(network.state_dict(), INDEX, Options(state="last"))
    with pytest.raises(DataError, match=reason):
        importing.from_torch(network, INDEX, Options(state="last"))


@pytest.mark.parametrize("shape", [(), (1,), (24, 7), (2, 2, 2), (0,)], ids=str)
@pytest.mark.parametrize(
    "name", ["emb.weight", "rnn.weight_ih_l0", "rnn.bias_hh_l0", "fc.weight", "bn.running_var"]
)
def test_weights_of_other_shapes_are_refused_in_a_line(name: str, shape: tuple[int, ...]) -> None:
    state = Classifier().state_dict() | {"bn.running_mean": torch.ones(3)}
    with pytest.raises(DataError) as caught:
        importing.from_torch(state | {name: torch.ones(shape)}, INDEX, Options(state="last"))
    assert "\n" not in str(caught.value)


def test_what_a_state_dict_does_not_say_is_asked_for_by_its_option() -> None:
    network = Classifier(hidden=True)
    with pytest.raises(DataError, match="--state"):
        importing.from_torch(network, INDEX)
    with pytest.raises(DataError, match="--activation"):
        importing.from_torch(network, INDEX, Options(state="last"))
    found = importing.from_torch(network, INDEX, Options(state="last", activation="tanh"))
    assert [
        option
        for reason in found.missing
        for option in ("--padding", "--labels")
        if option in reason
    ]
    with pytest.raises(DataError, match="--words"):
        importing.from_torch(network, None, Options(state="last", activation="tanh"))


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "m.h5", good_layers(), "2.4.0")
    with pytest.raises(DataError, match=r"ids up to 50, the model's embedding 50 rows"):
        importing.read(tmp_path / "m.h5", INDEX | {"more": IDS})
    assert importing.read(tmp_path / "m.h5", INDEX | {"more": IDS}, Options(num_words=IDS))


def test_keras_files_of_weights_alone_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"lstm"]
    with pytest.raises(DataError, match="weights alone; save the whole model"):
        keras_files.read_hdf5(tmp_path / "w.h5")


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def imdb_model(tmp_path: Path) -> Path:
    """A folder with a masked network that was trained on Keras's IMDB data, and its word index."""
    lstm = {"class_name": "LSTM", "config": {"activation": "tanh"}}
    both = [drawn(8, 24), drawn(6, 24), drawn(24)] * 2
    layers = [
        ("Embedding", {"input_length": LENGTH, "mask_zero": True}, [drawn(IDS, 8)]),
        ("Bidirectional", {"layer": lstm, "merge_mode": "concat"}, both),
        ("Dense", {"activation": "sigmoid"}, [drawn(12, 1) * 9, np.zeros(1)]),
    ]
    write_hdf5(tmp_path / "m.h5", layers, "2.4.0")
    index = {f"w{i}": i for i in range(1, 88_585)} | {"fawn": 34_701}
    del index["w34701"]
    (tmp_path / "imdb.json").write_text(json.dumps(index))
    return tmp_path


def test_a_dry_run_shows_what_was_found_and_which_option_is_missing(imdb_model: Path) -> None:
    arguments = ("import", imdb_model / "m.h5", "--words", imdb_model / "imdb.json", "--dry-run")
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    for part in ("Keras 2.4.0", "50 ids × 8", "6 units, both directions", "46 words", "start id 1"):
        assert part in done.stdout
    assert "--labels" in done.stderr
    given = command(*arguments, "--labels", "neg,pos")
    assert "missing" not in given.stderr and "neg, pos" in given.stdout


def test_the_model_file_of_an_imported_network_answers_as_the_network(imdb_model: Path) -> None:
    checkpoint = imdb_model / "m.safetensors"
    options = ("--words", imdb_model / "imdb.json", "--labels", "neg,pos", "-o", checkpoint)
    done = command("import", imdb_model / "m.h5", *options)
    assert done.returncode == 0, done.stderr
    file = imdb_model / "m.onnx"
    assert command("export", checkpoint, "-o", file).returncode == 0
    texts = ["w1 w2 W3, w40", "w9 " * 20, "unknown w7", "w46 w47"]
    found = importing.read(
        imdb_model / "m.h5", imdb_model / "imdb.json", Options(labels=("n", "p"))
    )
    wanted = forward.probabilities(found.model, found.rows(texts))[:, 0]
    answers = FileClassifier.load(file).predict(texts)
    given = [answer.probabilities["pos"] for answer in answers]
    assert np.abs(given - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("padding", "said"),
    [
        (
            "front",
            "the states after up to 12 steps of padding (624 bytes), and none of them",
        ),
        ("behind", "each text runs 12 steps, with padding behind its tokens; trained anew with"),
    ],
)
def test_an_import_says_what_padding_costs_and_how_much_less_a_trained_network_runs(
    tmp_path: Path, padding: str, said: str
) -> None:
    write_hdf5(tmp_path / "m.h5", good_layers(), "2.4.0")
    (tmp_path / "words.json").write_text(json.dumps(INDEX))
    (tmp_path / "texts.csv").write_text("text,label\nw1 w2 w3,a\nw4 w5 w6,b\n")
    options = ("--words", tmp_path / "words.json", "--padding", padding, "--dry-run")
    arguments = ("import", tmp_path / "m.h5", *options)
    done = command(*arguments)
    assert said in " ".join(done.stdout.split()), done.stderr
    measured = command(*arguments, "--labels", "a,b", "--data", tmp_path / "texts.csv")
    shown = " ".join(measured.stdout.split())
    assert said in shown, measured.stderr
    saved = "75% fewer steps for a text of 3 tokens"
    assert (saved in shown) == (padding == "behind")


def test_accuracy_on_labelled_texts_is_that_of_the_network_and_low_accuracy_is_explained(
    imdb_model: Path,
) -> None:
    found = importing.read(
        imdb_model / "m.h5", imdb_model / "imdb.json", Options(labels=("n", "p"))
    )
    texts = [f"w{i} w{i + 1} w{i + 2}" for i in range(1, 44)]
    answers = forward.probabilities(found.model, found.rows(texts))[:, 0]
    right = ["p" if p > 0.5 else "n" for p in answers]
    wrong = ["n" if label == "p" else "p" for label in right]
    options = ("--words", imdb_model / "imdb.json", "--labels", "n,p", "--dry-run")
    for name, labels, accuracy in (("r.csv", right, "100.00%"), ("w.csv", wrong, "0.00%")):
        rows = [f"{text},{label}" for text, label in zip(texts, labels)]
        (imdb_model / name).write_text("\n".join(["text,label", *rows]))
        done = command("import", imdb_model / "m.h5", *options, "--data", imdb_model / name)
        assert f"{accuracy} of 43 texts" in " ".join(done.stdout.split()), done.stderr
        assert ("labels in another order" in done.stderr) == (labels is wrong)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "--labels"),
        (("--labels", "a"), "2 labels"),
        (("--labels", "a,a"), "2 labels"),
        (("--labels", "a,"), "blank"),
        (("--labels", "a,b\nc"), "control character"),
        (("--labels", "a,b", "--length", "5"), "leave --length out"),
        (("--labels", "a,b", "--state", "last"), "leave --state out"),
        (("--labels", "a,b", "--lower"), "leave --lower"),
        (("--labels", "a,b", "--words", "m.h5"), "neither a pickle nor JSON"),
        (("--labels", "a,b", "--words", "missing.json"), "missing.json"),
    ],
    ids=str,
)
def test_wrong_options_get_one_line_and_nothing_is_written(
    imdb_model: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(imdb_model)
    done = command("import", "m.h5", "--words", "imdb.json", "-o", "out.safetensors", *options)
    assert reason in done.error
    assert not Path("out.safetensors").exists()


# --- The whole way --------------------------------------------------------------------------------

TEXTS = ["", "w1", "w1 w2 w3 zz w4 w44", "zz", " ".join(f"w{i}" for i in range(5, 22))]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("side", ["front", "behind"])
@pytest.mark.parametrize("name", [case for case in CASES if case != "masked maximum"])
def test_a_model_file_gives_the_answers_of_the_imported_network(
    keras: Any, tmp_path: Path, name: str, side: str
) -> None:
    model = keras.Sequential([keras.Input((LENGTH,)), *layers_of(keras, name)])
    labels = tuple("abcd"[: max(2, model.output_shape[-1])])
    options = Options(padding=side, labels=labels)
    found = importing.from_keras(with_random_weights(model), INDEX, options)
    wanted = forward.probabilities(found.model, found.rows(TEXTS))
    if wanted.shape[1] == 1:
        wanted = np.hstack([1 - wanted, wanted])
    importing.save(found, tmp_path / "m.safetensors")
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    for quantize, tolerance in ((None, TOLERANCE), ("int8", 0.02)):
        (tmp_path / "m.onnx").write_bytes(export(checkpoint, quantize=quantize).data)
        answers = FileClassifier.load(tmp_path / "m.onnx").predict(TEXTS)
        given = [[answer.probabilities[label] for label in labels] for answer in answers]
        assert np.abs(np.array(given) - wanted).max() <= tolerance, quantize


def test_padding_in_front_costs_no_step_if_a_table_can_hold_its_states(keras: Any) -> None:
    for name, side, table in (
        ("one LSTM", "front", True),
        ("one LSTM", "behind", False),
        ("masked", "front", False),
        ("normalized mean", "front", False),
    ):
        model = keras.Sequential([keras.Input((LENGTH,)), *layers_of(keras, name)])
        options = Options(padding=side, labels=("a", "b"))
        found = importing.from_keras(with_random_weights(model), INDEX, options)
        checkpoint = checkpoint_of(found)
        assert (checkpoint.network.lstms[0].h is not None) == table, name
        runs = {"front": "front", "behind": "behind"}[side] if name != "masked" else "none"
        assert checkpoint.network.config.padding == ("none" if table else runs), name
        assert padding_cost(found).line() == checkpoint.network.padding_cost.line()


def test_an_int8_file_has_the_first_states_until_they_move_less_than_it_rounds(keras: Any) -> None:
    make = keras.layers
    layers = [make.Embedding(IDS, 8), make.LSTM(6), make.Dense(1, activation="sigmoid")]
    model = with_random_weights(keras.Sequential([keras.Input((200,)), *layers]))
    found = importing.from_keras(model, INDEX, Options(padding="front", labels=("a", "b")))
    checkpoint = checkpoint_of(found)
    sizes = []
    for quantize in (None, "int8"):
        data = export(checkpoint, quantize=quantize).data
        (table,) = [t for t in onnx.load_from_string(data).graph.initializer if t.name == "lstm0_c"]
        sizes.append(table.dims[1])
    assert 2 < sizes[1] < sizes[0] < 201
    c = checkpoint.network.layers[0].c[0].numpy()
    assert np.abs(c[sizes[1] - 1 :] - c[-1]).max() <= 1e-3


def test_words_that_no_file_can_hold_are_read_as_unknown(keras: Any) -> None:
    index = {"good": 1, "bad\r": 2, "so": 3, "": 4, "far": 9}
    model = keras.Sequential([keras.Input((LENGTH,)), *layers_of(keras, "one LSTM")])
    found = importing.from_keras(model, index, Options(padding="front", labels=("a", "b")))
    tokenizer = checkpoint_of(found).tokenizer
    assert tokenizer.encode_text("good\u3000so far bad").ids == [1, 3, 5]
    assert tokenizer.encode_text("bad\r so").ids == [3]


def test_two_labels_of_a_softmax_become_one_probability(keras: Any) -> None:
    make = keras.layers
    layers = [make.Embedding(IDS, 8), make.LSTM(6), make.Dense(2, activation="softmax")]
    model = with_random_weights(keras.Sequential([keras.Input((LENGTH,)), *layers]))
    found = importing.from_keras(model, INDEX, Options(padding="front", labels=("a", "b")))
    checkpoint = checkpoint_of(found)
    assert checkpoint.network.config.logits == 1
    rows = [row for row in ROWS if row]
    given = predict_probabilities(checkpoint.network, [row[-LENGTH:] for row in rows])
    assert np.abs(given - forward.probabilities(found.model, rows)).max() <= TOLERANCE
