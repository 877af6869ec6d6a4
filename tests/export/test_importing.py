"""Networks that Keras and PyTorch trained: their answers, their tokenizers, their damaged files.

Comparisons with Keras itself run if it is installed, as the extra dev does.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import named, raw, rows
from commands import command
from edge_lstm_export import importing
from edge_lstm_export.bounded import bounded
from edge_lstm_export.importing import ImportOptions, inert_pickle
from edge_lstm_export.importing.checkpoint import checkpoint_of
from edge_lstm_export.onnx.exporting import export
from imports import (
    CASES,
    DENSE,
    EMBEDDING,
    IDS,
    INDEX,
    LENGTH,
    ROWS,
    Net,
    answers,
    archive_of,
    drawn,
    file_answers,
    ids_of,
    imported,
    keras_model,
    layer_of,
    layers_of,
    members_of,
    odd_texts,
    of_two,
    padded,
    refused,
    weights_of,
    write_hdf5,
    written,
)
from made import words_of
from safetensors.torch import save_file
from torch import nn

from edge_lstm import Classifier
from edge_lstm.core.text import NEVER_IN_ENTRIES
from edge_lstm.errors import DataError

h5py = pytest.importorskip("h5py")
ENGINES = ("onnxruntime", "native") if find_spec("edge_lstm_native") else ("onnxruntime",)
os.environ.setdefault("KERAS_BACKEND", "torch")

TOLERANCE = 1e-6
INT8_TOLERANCE = 0.02


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, with PyTorch as its backend."""
    return pytest.importorskip("keras")


# --- Answers --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("side", ["pre", "post"])
@pytest.mark.parametrize("name", CASES)
def test_a_keras_model_answers_as_keras_does_live_from_files_and_as_a_model_file(
    keras: Any, name: str, side: str
) -> None:
    is_chain = name != "maximum and mean"
    model = keras_model(keras, name, sequential=is_chain and side == "post")
    wanted = of_two(model.predict(padded(ROWS, side), verbose=0))
    for source in (model, Path("m.h5"), Path("m.keras")):
        if isinstance(source, Path):
            model.save(source)
        found = imported(source, padding=side)
        assert found.model.reading.length == LENGTH
        assert np.abs(answers(found) - wanted).max() <= TOLERANCE, source
    for quantize, tolerance in ((None, TOLERANCE), ("int8", INT8_TOLERANCE)):
        Path("m.onnx").write_bytes(export(checkpoint_of(found), quantize=quantize).data)
        assert np.abs(file_answers(Path("m.onnx")) - wanted).max() <= tolerance, quantize


@pytest.fixture
def good() -> Path:
    """A file of Keras 2."""
    return write_hdf5("good.h5", "embedding; lstm; dense")


def test_the_twelve_weights_of_keras_1_are_the_three_of_keras_2() -> None:
    # Of each gate: input, cell, forget, output in Keras 1; input, forget, cell, output since.
    gates = {
        name: (drawn(8, 6, seed=k), drawn(6, 6, seed=k), drawn(6, seed=k))
        for k, name in enumerate("ifco")
    }
    weights = {
        "1": [part for name in "icfo" for part in gates[name]],
        "2.2.4": [np.concatenate([gates[name][k] for name in "ifco"], axis=-1) for k in range(3)],
    }
    given = []
    for version, gate in (("1", "inner_activation"), ("2.2.4", "recurrent_activation")):
        lstm = ("LSTM", {gate: "hard_sigmoid"}, weights[version])
        path = write_hdf5("m.h5", [EMBEDDING, lstm, DENSE], version)
        found = imported(path, padding="pre")
        assert found.model.lstms[0].hard_sigmoid == 0.2
        given.append(answers(found))
    assert np.array_equal(*given)


def test_the_weights_of_a_cudnn_lstm_are_those_of_an_lstm_stored_otherwise() -> None:
    def stored(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """As cuDNN reads them: of each gate a matrix of a row for each unit, and two biases."""
        kernels = [gate.T.ravel().reshape(gate.shape) for gate in np.split(kernel, 4, axis=1)]
        recurrents = [gate.T for gate in np.split(recurrent, 4, axis=1)]
        return [np.hstack(kernels), np.hstack(recurrents), np.concatenate([bias * 3, bias * -2])]

    forwards, backwards = (
        [drawn(8, 24, seed=k), drawn(6, 24, seed=k), drawn(24, seed=k)] for k in range(2)
    )
    given = []
    for kind, weights in (
        ("LSTM", [*forwards, *backwards]),
        ("CuDNNLSTM", [*stored(*forwards), *stored(*backwards)]),
    ):
        settings = {"layer": {"class_name": kind, "config": {}}}
        layers = [EMBEDDING, ("Bidirectional", settings, weights), layer_of("Dense 12x3 3")]
        path = write_hdf5("m.h5", layers)
        given.append(answers(imported(path, padding="pre", logits=True)))
    assert np.abs(given[0] - given[1]).max() <= TOLERANCE


@pytest.mark.parametrize("state", ["last", "end", "mean", "max"])
@pytest.mark.parametrize("side", ["pre", "post"])
@pytest.mark.parametrize(
    "shape",
    [{}, {"both": True}, {"layers": 2, "both": True}, {"hidden": True, "layers": 3}],
    ids=str,
)
def test_a_pytorch_model_answers_as_pytorch_does(
    shape: dict[str, Any], side: str, state: Any
) -> None:
    network = Net(**shape)
    wanted = network.answers(padded(ROWS, side), state)
    torch.save({"epoch": 3, "model_state_dict": network.state_dict()}, Path("m.pt"))
    save_file(network.state_dict(), Path("m.safetensors"))
    activation = "relu" if "hidden" in shape else None
    for source in (network, network.state_dict(), Path("m.pt"), Path("m.safetensors")):
        found = imported(source, padding=side, length=LENGTH, state=state, activation=activation)
        assert np.abs(answers(found) - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("state", ["last", "end"])
def test_the_state_of_both_directions_of_a_packed_sequence_is_that_of_the_model_file(
    state: Any,
) -> None:
    """As ``output[:, -1]`` gives it, the backward direction has read the last token alone."""
    network = Net(2, both=True)
    found = imported(network, padding="none", length=LENGTH, state=state)
    rows = [row for row in ROWS if row]
    wanted = np.concatenate([network.answers([row[-LENGTH:]], state) for row in rows])
    for quantize, tolerance in ((None, TOLERANCE), ("int8", INT8_TOLERANCE)):
        path = Path(f"{quantize}.onnx")
        path.write_bytes(export(checkpoint_of(found), quantize=quantize).data)
        for engine in ENGINES:
            given = file_answers(path, engine, rows)
            assert np.abs(given - wanted).max() <= tolerance, (path, engine)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_weights_of_other_floats_are_read(dtype: Any) -> None:
    state = Net().to(dtype).state_dict()
    torch.save(state, Path("m.pt"))
    save_file(state, Path("m.safetensors"))
    wanted = Net()
    wanted.load_state_dict({name: weight.float() for name, weight in state.items()})
    for path in (Path("m.pt"), Path("m.safetensors")):
        found = imported(path, padding="pre", length=LENGTH, state="last")
        apart = answers(found) - wanted.answers(padded(ROWS, "pre"), "last")
        assert np.abs(apart).max() <= TOLERANCE


def test_padding_may_have_another_id_than_0() -> None:
    network = Net()
    index = {"<unk>": 0, "<pad>": 1, "a": 2, "b": 3}
    found = imported(network, index, padding="post", length=4, state="last")
    wanted = network.answers([[2, 0, 3, 1]], "last")
    assert np.abs(answers(found, ["a other b"]) - wanted).max() <= TOLERANCE


# --- Tokenizers -----------------------------------------------------------------------------------

# With a row of the embedding for each id of these tests.
WIDE = "Embedding input_length=10000 9000x8:1; lstm; dense"


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of any tokenizer."""
    return write_hdf5(tmp_path_factory.mktemp("wide") / "m.h5", WIDE)


def renamed(pickled: bytes, module: bytes) -> bytes:
    """A pickle of a tokenizer by another version of Keras."""
    own = b"keras.src.legacy.preprocessing.text"
    data = pickled.replace(
        b"\x8c" + bytes([len(own)]) + own, b"\x8c" + bytes([len(module)]) + module
    )
    # Without the size of its frame, which the other name changes.
    assert [op.name for op, _, _ in pickletools.genops(pickled)].count("FRAME") == 1
    start = data.index(b"\x95")
    return data[:start] + data[start + 9 :]


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
    keras: Any, wide: Path, settings: dict[str, Any]
) -> None:
    from keras.src.legacy.preprocessing.text import Tokenizer

    texts = odd_texts(600)
    tokenizer = Tokenizer(**settings)
    tokenizer.fit_on_texts(texts[:500])
    sources = {
        "new.pickle": renamed(pickle.dumps(tokenizer), b"keras.src.legacy.preprocessing.text"),
        "old.pickle": renamed(pickle.dumps(tokenizer), b"keras_preprocessing.text"),
        "2.pickle": pickle.dumps(tokenizer, protocol=2),
        "among.pickle": pickle.dumps({"maxlen": 9, "tokenizer": tokenizer}),
    }
    if settings.get("oov_token") != 1:  # JSON has no numbers as names
        as_json = tokenizer.to_json()
        sources["once.json"] = as_json.encode("utf-8", "surrogatepass")
        sources["twice.json"] = json.dumps(as_json).encode()
    # A file cannot hold a word with a control character: it is read as unknown.
    held = {i for word, i in tokenizer.word_index.items() if not NEVER_IN_ENTRIES.search(str(word))}
    unknown = [tokenizer.word_index[token]] if (token := settings.get("oov_token")) else []
    wanted = [
        [i for found in row for i in ([found] if found in held else unknown)]
        for row in tokenizer.texts_to_sequences(texts)
    ]
    # Every form of a file for one tokenizer; a pickle and JSON for the others.
    files = [*sources.items()][:: 4 if settings else 1]
    for words in (tokenizer, *(written(*each) for each in files)):
        assert ids_of(wide, words, texts) == wanted


def torch_file(value: Any) -> bytes:
    """What torch.save writes of a value."""
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


INDEX_OF_OWN = {"<pad>": 0, "<unk>": 1, "good": 2, "film!": 3}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("d.json", json.dumps(INDEX_OF_OWN).encode()),
        ("d.pkl", pickle.dumps(OrderedDict(INDEX_OF_OWN))),
        ("d.txt", "\n".join(INDEX_OF_OWN).encode()),
        ("list.json", json.dumps(list(INDEX_OF_OWN)).encode()),
        ("wrapped.json", json.dumps({"word2idx": INDEX_OF_OWN}).encode()),
        ("numpy.pickle", pickle.dumps([np.str_(word) for word in INDEX_OF_OWN])),
        ("vocab.pt", torch_file(INDEX_OF_OWN)),
    ],
    ids=["JSON", "pickle", "one word a line", "list", "wrapped", "words of NumPy", "torch.save"],
)
def test_an_own_dict_is_split_at_white_space_in_lower_case(
    wide: Path, name: str, data: bytes
) -> None:
    given = ids_of(wide, written(name, data), ["GOOD\u2003film! Film\x0bgood"])
    assert given == [[2, 3, 1, 2]]


RULES = r"""
a dict with capitals | {"Good": 1, "good": 2} | Good good GOOD | 1 2
TextVectorization | ["", "[UNK]", "its", "good", "É"]
    | It's GOOD, good\\u000bÉ é GO-OD | 2 3 3 4 1 3
tokens in brackets beside words
    | {"<PAD>": 0, "<UNK>": 1, "unknown": 2, "pad": 3, "oov": 4, "unk": 5}
    | unknown pad oov unk else | 2 3 4 5 1
bare tokens at the first ids | {"pad": 0, "unk": 1, "good": 2} | good bad pad | 2 1 1
a bare token at the last id | {"good": 1, "bad": 2, "unk": 3} | good worse | 1 3
a start in capitals | {"<PAD>": 0, "<START>": 1, "<UNK>": 2, "good": 4} | GOOD bad | 4 2
get_vocabulary as a dict | {"": 0, "[UNK]": 1, "good": 2} | good, bad | 2 1
words without a mark | {"<unk>": 1, "good": 2, "film": 3} | a good,film! | 1 2 3
words that no file can hold | {"good": 1, "bad\\r": 2, "so": 3, "": 4, "far": 9}
    | good\\u3000so far bad | 1 3 9
"""


@pytest.mark.parametrize(("words", "text", "wanted"), named(RULES))
def test_a_rule_makes_of_a_text_the_ids_of_its_words(
    wide: Path, words: str, text: str, wanted: str
) -> None:
    found = ids_of(wide, json.loads(words), [json.loads(f'"{text}"')])
    assert found == [[int(i) for i in wanted.split()]]


@pytest.mark.parametrize(
    "lines", ["\n[UNK]\nw3\nw2", "\r\n[UNK]\r\nw3\r\nw2\r\n"], ids=["Unix", "Windows"]
)
def test_the_vocabulary_in_a_keras_archive_is_its_tokenizer(keras: Any, lines: str) -> None:
    model = keras_model(keras, "one LSTM", sequential=True)
    members = members_of(model)
    config = json.loads(members["config.json"])
    settings = {"name": "texts", "output_sequence_length": LENGTH}
    layer = {"class_name": "TextVectorization", "config": settings}
    config["config"]["layers"].insert(1, layer)
    members["config.json"] = json.dumps(config).encode()
    members["assets/layers/text_vectorization/vocabulary.txt"] = lines.encode()
    archive = written("m.keras", archive_of(members))
    wanted = of_two(model.predict(padded([[3, 2, 1]], "post"), verbose=0))
    # The layer fills up behind the text, and cuts it there.
    found = imported(archive, None)
    assert found.model.reading.padding == found.model.reading.truncation == "behind"
    assert np.abs(answers(found, ["W2, w3! other"]) - wanted).max() <= TOLERANCE


def test_the_index_of_imdb_is_known_by_its_words(wide: Path) -> None:
    index = {f"w{i}": i for i in range(2, 88_585) if i != 34_701} | {"the": 1, "fawn": 34_701}
    # Words beyond the embedding are unknown to its network.
    assert ids_of(wide, index, ["The w4,  fawn unknownword"]) == [[1, 4, 7, 2, 2]]
    # As notebooks make a dictionary of it.
    shifted = {word: rank + 3 for word, rank in index.items()}
    shifted |= {"<PAD>": 0, "<START>": 1, "<UNK>": 2, "<UNUSED>": 3}
    assert ids_of(wide, shifted, ["The w4,  fawn unknownword"]) == [[1, 4, 7, 2, 2]]
    found = imported(wide, shifted, padding="none", num_words=6)
    assert checkpoint_of(found).tokenizer.encode_text("The w4, w2").ids == [1, 4, 2, 5]


# The most frequent words alone, with their tokens.
FIRST_OF_IMDB = {word: i for i, word in enumerate(words_of("the and a of to is br in it i"), 4)}
FIRST_OF_IMDB |= {"<PAD>": 0, "<START>": 1, "<UNK>": 2}


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("[a-z]+", "don t stop caf so"),
        (r"[\w']+", "don't stop caf\u00e9 2 so"),
        (r"\w+|[.,!?]", "don t stop , caf\u00e9 2 so !"),
    ],
)
def test_a_regular_expression_says_what_a_word_is(wide: Path, pattern: str, wanted: str) -> None:
    found = imported(wide, INDEX, padding="none", pattern=pattern).rule
    words = found.splits.split("Don't stop, caf\u00e9 2\u2014so!")
    assert b" ".join(words).decode() == wanted


@pytest.mark.parametrize("pattern", ["(", r"\b\w\w+\b", "[a-z]+('[a-z]+)?", r"\w+|[^\w\s]"])
def test_a_regular_expression_that_no_file_can_follow_is_refused(wide: Path, pattern: str) -> None:
    assert "--pattern" in refused(wide, INDEX, padding="none", pattern=pattern)


def test_what_a_person_should_look_at_is_noted(wide: Path) -> None:
    words = {"<pad>": 0, "<unk>": 1, "<sos>": 2, "good": 3, "bad": 4}
    few, unread = imported(wide, words, padding="none").notes
    assert few.startswith("the tokenizer has 2 words, and the network's embedding 9,000 rows")
    assert unread == "texts get no <sos> (id 2)"
    assert not imported(wide, {f"w{i}": i for i in range(1, 9000)}, padding="none").notes


# --- What is refused ------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch evil",)


def of_tokenizer(**config: Any) -> bytes:
    return json.dumps({"class_name": "Tokenizer", "config": config}).encode()


PICKLES = {
    "code": (pickle.dumps(Evil()), ".system, which is not run"),
    "code within": (pickle.dumps({"a": 1, "b": Evil()}), "which is not run"),
    "cut pickle": (pickle.dumps(INDEX)[:-30], "cut short"),
    "not fitted": (of_tokenizer(word_index="{}"), "not fitted"),
    "a dict of letters": (json.dumps({c: ord(c) for c in "abcdefghijk"}).encode(), "to letters"),
    "letters": (of_tokenizer(word_index='{"a": 1}', char_level=True), "char_level"),
    "odd unknown": (of_tokenizer(word_index='{"a": 1}', oov_token=["a"]), "oov_token are damaged"),
    "no word below the limit": (of_tokenizer(word_index='{"a": 1}', num_words=1), "no word that"),
    "odd limit": (of_tokenizer(word_index='{"a": 1}', num_words="9"), "num_words"),
    "more words than rows": (json.dumps(INDEX | {"w": IDS}).encode(), "ids up to 50, the model's"),
}
# Bytes as they are.
TOKENIZERS = r"""
eval | cbuiltins\neval\n(S'1'\ntR. | builtins.eval
a class of the script | \x80\x04c__main__\nTokenizer\n. | __main__.Tokenizer
a class by its number | \x80\x02\x82\x01. | extension code 1
memo of 2 GB | \x80\x04r\xff\xff\xff\x7f. | cut short
bytes of 4 GB | \x80\x05\x96\xff\xff\xff\xff\x00\x00\x00\x00. | cut short
odd state | \x80\x04ccollections\nOrderedDict\n}(\x8c\x01xK\x01uN\x86b. | cut short
arrays of joblib | \x80\x03cjoblib.numpy_pickle\nNumpyArrayWrapper\n\x07 | which is not run
LFS pointer | version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n | git lfs pull
cut JSON | {"a": 1 | cut short
words to words | {"a": "b"} | instead of an id
one id twice | {"a": 1, "b": 1} | one id
one word twice | ["a", "b", "a"] | different words
no words | {} | no words
a list of none | [] | no words
no words but two | ["", "[UNK]"] | no words
numbers | [1, 2] | not of different words
lists | [[1], [2]] | not of different words
a number | 3 | cut short or damaged
nothing |  | empty
zeros | \x00\x01\x02 | cut short or damaged
"""
PICKLES |= {name: (raw(data), reason) for name, data, reason in rows(TOKENIZERS)}


@pytest.mark.parametrize(("data", "reason"), PICKLES.values(), ids=PICKLES)
def test_a_tokenizer_that_is_none_is_refused_in_a_line_and_runs_nothing(
    good: Path, data: bytes, reason: str
) -> None:
    assert reason in refused(good, written("t.pickle", data))
    assert not Path("evil").exists()


def test_a_pickle_changes_no_class_for_the_next() -> None:
    module = b"ckeras_preprocessing.text\nTokenizer\n"
    # BUILD with a second dict sets attributes, here on the class itself.
    with pytest.raises(DataError):
        inert_pickle.load(b"\x80\x02" + module + b"N}U\x01xK\x01s\x86b.", "t")
    assert not hasattr(inert_pickle.TokenizerState, "x")


NETWORKS = """
GRU | no LSTM layer; its layers are Embedding, GRU | embedding; GRU; dense
Conv1D | 'conv1d_1' (Conv1D) is not imported | embedding; Conv1D; lstm; dense
Lambda | 'lambda_2' (Lambda) is not imported | embedding; lstm; Lambda; dense
attention | 'attention_2' (Attention) is | embedding; steps; Attention; dense
relu | activation='relu' | embedding; LSTM activation="relu" 8x24 6x24 24; dense
backwards | go_backwards | embedding; LSTM go_backwards=true 8x24 6x24 24; dense
both GRUs | is made of GRU | embedding; both GRU 8x24 6x24 24; dense
merged | merge_mode='sum' | embedding; both LSTM merge_mode="sum" 8x24 6x24 24; dense
leaky | 'relu_3' (ReLU) has negative_slope=0.3 | \
    embedding; lstm; Dense 6x6; ReLU negative_slope=0.3; dense
NaN | not numbers | embedding; lstm; Dense 6x1:nan 1
shape | 'dense_2' has weights of 7 × 1 | embedding; lstm; Dense 7x1 1
transposed | 'lstm_1' has weights of | embedding; LSTM 24x8 24x6 24; dense
one number | 'embedding_0' has weights of one | Embedding x; lstm; dense
a bias less | where 2 are expected | embedding; lstm; Dense 6x2 1
every step | every step | embedding; steps; dense
flat | 'flatten_2' (Flatten) reads every | embedding; steps; Flatten; dense
no weights | before it was trained | Embedding; lstm; dense
no head | only this order is imported | embedding; lstm
no embedding | layers are lstm_0, dense_1; only this order | lstm; dense
four LSTMs | 1 to 3 LSTMs | embedding; steps; deep; deep; LSTM 6x24 6x24 24; dense
elu | 'dense_2' has the activation 'elu'; only relu, tanh, sigmoid, linear | \
    embedding; lstm; Dense activation="elu" 6x6; dense
a head of relu | 'relu'; only | embedding; lstm; Dense activation="relu" 6x1
two activations | 'activation_3' does not follow a Dense layer without | \
    embedding; lstm; dense; Activation activation="tanh"
a normalized head | 'batchnormalization_3' normalizes what | \
    embedding; lstm; dense; BatchNormalization 1:1 1:1 1:1 1:1
a normalized maximum | train it without BatchNormalization | \
    embedding; steps; BatchNormalization 6:1 6:1 6:1 6:1; GlobalMaxPooling1D; dense
normalization of one | has weights of 1, where 6 | \
    embedding; lstm; BatchNormalization 1:1 1:1 1:1 1:1; dense
a masked maximum | a maximum over masked steps | \
    Embedding mask_zero=true 50x8; steps; GlobalMaxPooling1D; dense
"""


@pytest.mark.parametrize(("reason", "layers"), named(NETWORKS))
def test_a_network_of_another_kind_is_refused_with_its_layer(reason: str, layers: str) -> None:
    assert reason in refused(write_hdf5("m.h5", layers))


FILES = r"""
LFS pointer | version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n | git lfs pull
README | # My model\n\nDownload it from my drive.\n | a text ('# My model')
nothing |  | empty
noise | \x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f | not a model that is known
TensorFlow Lite | \x1c\x00\x00\x00TFL3\x00\x00\x00\x00 | TensorFlow Lite
half a zip | PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00 | cut short or damaged
a tokenizer | \x80\x04}\x94. | with --words
TensorFlow.js | {"format": "layers-model"} | a TensorFlow.js model
claimed shape | \x1e\x00\x00\x00\x00\x00\x00\x00{"a":{"dtype":"F32","shape":[9\x00 | damag
"""


@pytest.mark.parametrize(("data", "reason"), named(FILES))
def test_a_file_that_is_no_model_says_what_it_is(data: str, reason: str) -> None:
    assert reason in refused(written("m.h5", raw(data)))


def test_a_model_that_is_code_is_not_run() -> None:
    said = refused(written("m.h5", pickle.dumps(Evil())))
    assert "save the weights alone" in said


@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_a_file_that_was_cut_short_says_so(good: Path, share: float) -> None:
    whole = good.read_bytes()
    assert "damaged" in refused(written("m.h5", whole[: int(len(whole) * share)]))


def test_a_folder_a_pipe_or_a_device_is_neither_model_nor_tokenizer(good: Path) -> None:
    os.mkfifo(good.parent / "pipe")
    kinds = {good.parent: "a folder", good.parent / "pipe": "a pipe", Path("/dev/zero"): "a device"}
    for path, kind in kinds.items():
        assert kind in refused(path)
        assert kind in refused(good, path)


def test_an_lstm_of_pytorch_may_lack_one_of_its_two_biases() -> None:
    state = Net().state_dict()
    whole = imported(state, state="last", padding="none").model.lstms[0].b[0]
    (missing,) = (name for name in state if name.endswith("bias_hh_l0"))
    bias = state.pop(missing).numpy()
    (found,) = imported(state, state="last", padding="none").model.lstms[0].b
    assert found == pytest.approx(whole - bias, abs=1e-6)


def test_the_first_bytes_decide_and_not_the_name(good: Path) -> None:
    assert "HDF5" in imported(good.rename(Path("m.keras")), padding="pre").model.source
    torch.save(Net().state_dict(), Path("weights.h5"))
    found = imported(Path("weights.h5"), state="last", padding="none")
    assert "PyTorch" in found.model.source


def test_claimed_sizes_take_no_memory(good: Path) -> None:
    with h5py.File(good, "a") as file:
        group = file["model_weights/embedding_0/embedding_0"]
        del group["0:0"]
        group.create_dataset("0:0", shape=(2**22, 2**9), dtype="f", chunks=(2**10, 2**9))
    assert "claims 2,147,483,648 numbers" in refused(good)
    bomb = archive_of({"config.json": b" " * 2**25, "model.weights.h5": b""})
    assert "far too large" in refused(written("m.keras", bomb))


def test_a_place_of_thousands_of_groups_is_named_by_its_beginning(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        group = file["model_weights/embedding_0"]
        group["again"] = group
        group.attrs["weight_names"] = ["/".join(["again"] * 4000)]
    assert len(refused(good, padding="pre")) < len(str(good)) + 200


def test_a_link_to_another_file_is_not_followed(good: Path) -> None:
    other = write_hdf5("other.h5", "embedding; lstm; dense")
    place = "model_weights/dense_2/dense_2"
    with h5py.File(good, "a") as file:
        del file[place]
        file[place] = h5py.ExternalLink(str(other), place)
    assert "another file" in refused(good)
    # Nor behind a link within the file.
    with h5py.File(good, "a") as file:
        del file[place]
        file["out"] = h5py.ExternalLink(str(other), "/")
        file[place] = h5py.SoftLink(f"/out/{place}")
    assert "another file" in refused(good)


def shared(levels: int) -> bytes:
    """The middle of a pickle: a tuple of ten times the same tuple, and so on."""
    data = b"X\x05\x00\x00\x00aaaaaq\x00"
    for level in range(levels):
        data += b"(" + (b"h" + bytes([level])) * 10 + b"tq" + bytes([level + 1])
    return data


NESTED = b"\x80\x02}K\x01" + b"\x85" * 2_000_000 + b"K\x01s."
NUMBERS = [((2**61 - 1) * i + 1).to_bytes(16, "little") for i in range(60_000)]
COLLIDING = b"\x80\x02}(" + b"".join(b"\x8a\x10" + each + b"K\x01" for each in NUMBERS) + b"u."
BOMBS = {
    "8 GiB": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85R.",
    "10 GB as a text": b"\x80\x02cnumpy\ndtype\n" + shared(9) + b"\x85R.",
    "10 GB as a reason": b"\x80\x02cdill._dill\n_load_type\n" + shared(9) + b"\x85R.",
    "a key in two million tuples": NESTED,
    "numbers whose hashes collide": COLLIDING,
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and time are Linux's")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if data is COLLIDING else ())
        for name, data in BOMBS.items()
    ],
)
def test_a_file_that_takes_memory_or_time_gets_one_line_and_ends(good: Path, name: str) -> None:
    data = BOMBS[name]
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    before = children.read_text()
    assert refused(good, written("t.pickle", data))
    assert refused(written("m.pt", archive_of({"a/data.pkl": data})))
    assert children.read_text() == before, "nothing is left of the process that read it"


READS_FOR_LONG = """
import sys, time
from pathlib import Path
from edge_lstm_export.bounded import bounded

def read():
    print("reading", flush=True)
    time.sleep(600)

bounded(Path(sys.executable), read)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a child reads on Linux alone")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_child_that_reads_ends_with_its_parent(sent: signal.Signals) -> None:
    program = [sys.executable, "-c", READS_FOR_LONG]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(sent)
        # The child, too, holds the other end of this pipe.
        process.communicate(timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="a child reads on Linux alone")
def test_what_a_library_prints_in_the_child_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    bounded(Path(sys.executable), lambda: (os.write(2, b"memory allocation failed"), {}))
    assert not capfd.readouterr().err


def test_a_keras_archive_of_windows_is_read(keras: Any) -> None:
    model = keras_model(keras, "one LSTM", sequential=True)
    wanted = answers(imported(model, padding="post"))
    members = members_of(model)
    of_windows = io.BytesIO(members["model.weights.h5"])
    places: list[str] = []
    with h5py.File(of_windows, "a") as file:
        file.visit(lambda name: places.append(name) if name.endswith("/vars") else None)
        for place in places:
            file.move(place, place.removesuffix("/vars").replace("/", "\\") + "/vars")
    members["model.weights.h5"] = of_windows.getvalue()
    archive = written("w.keras", archive_of(members))
    assert (answers(imported(archive, padding="post")) == wanted).all()


def test_keras_files_of_weights_alone_are_refused() -> None:
    with h5py.File(Path("w.h5"), "w") as file:
        file.attrs["layer_names"] = [b"lstm"]
    assert "weights alone; save the whole model" in refused("w.h5")


def test_a_whole_module_of_pytorch_is_not_run() -> None:
    torch.save(Net(), Path("m.pt"))
    assert "Net, which is not run; save the weights alone" in refused("m.pt")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.GRU(8, 6), "'rnn' is a GRU by its shape"),
        (nn.RNN(8, 6), "'rnn' is an RNN by its shape"),
        (nn.LSTM(8, 6, proj_size=2), "projection"),
    ],
    ids=["GRU", "RNN", "projection"],
)
def test_another_recurrent_layer_is_known_by_its_shape(layer: nn.Module, reason: str) -> None:
    network = Net()
    network.rnn = layer
    assert reason in refused(network, state="last")


@pytest.mark.parametrize("shape", [(), (1,), (24, 7), (2, 2, 2), (0,)], ids=str)
@pytest.mark.parametrize("name", ["emb.weight", "rnn.weight_ih_l0", "rnn.bias_hh_l0", "fc.weight"])
def test_weights_of_other_shapes_are_refused_in_a_line(name: str, shape: tuple[int, ...]) -> None:
    refused(Net().state_dict() | {name: torch.ones(shape)}, state="last", padding="none")


STATES = """
a layer more | do not follow an LSTM that gives 6 | more.weight=4x4
a convolution | 'conv' is a convolution | conv.weight=4x4x3
a variance less | 'bn' is no dense layer | bn.running_mean=5
NaN | 'fc' has weights that are not numbers | fc.bias=3:nan
normalized hidden | on which side | bn.running_mean=5:1 bn.running_var=5:1
complex | complex | fc.bias=3:1j
a second embedding | 2 embeddings of 8 columns | emb2.weight=4x8
"""


@pytest.mark.parametrize(("reason", "more"), named(STATES))
def test_a_state_dict_of_another_network_is_refused_with_its_layer(reason: str, more: str) -> None:
    pairs = (word.split("=") for word in more.split())
    state = {name: torch.tensor(weights_of(shape)) for name, shape in pairs}
    whole = Net(hidden=True).state_dict() | state
    assert reason in refused(whole, state="last", activation="relu", padding="none")


def test_sparse_weights_are_refused() -> None:
    state = Net(hidden=True).state_dict() | {"fc.weight": torch.ones(3, 5).to_sparse()}
    assert "sparse" in refused(state, state="last", activation="relu", padding="none")


def test_layers_whose_order_a_safetensors_file_does_not_say_are_refused() -> None:
    network = Net(hidden=True)
    network.more = nn.Linear(5, 5)
    network.others = nn.Linear(5, 5)
    network.hidden = None
    network.fc = nn.Linear(6, 5)
    save_file(network.state_dict(), Path("m.safetensors"))
    reason = refused("m.safetensors", state="last", activation="relu", padding="none")
    assert "fc, more, others fit each other in several orders" in reason


MISSING = """
{} | --state
{"state": "last"} | --activation
{"state": "last", "activation": "tanh"} | --padding
{"state": "last", "activation": "tanh", "padding": "pre"} | --length
{"state": "last", "activation": "tanh", "padding": "none"} | --labels
"""


@pytest.mark.parametrize(("given", "option"), rows(MISSING))
def test_what_a_state_dict_does_not_say_is_asked_for_by_its_option(given: str, option: str) -> None:
    options = ImportOptions(**json.loads(given))
    with pytest.raises(DataError, match=option):
        importing.read(Net(hidden=True), INDEX, options).require_complete()


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def imdb_model() -> None:
    """A masked network that was trained on Keras's IMDB data, and its word index."""
    layers = layers_of("Embedding input_length=12 mask_zero=true 50x8; both LSTM 8x24 6x24 24")
    head = ("Dense", {"activation": "sigmoid"}, [drawn(12, 1) * 9, np.zeros(1)])
    write_hdf5(Path("m.h5"), [*layers, head])
    index = FIRST_OF_IMDB | {f"w{i}": i for i in range(14, IDS)}
    Path("imdb.json").write_text(json.dumps(index))


IMPORT = ("import", "m.h5", "--words", "imdb.json")
SAID = ["50 ids × 8", "6 units, both directions", "46 words", "start id 1", "Keras 2.4.0"]


@pytest.mark.usefixtures("imdb_model")
def test_a_dry_run_shows_what_was_found_and_which_option_is_missing() -> None:
    done = command(*IMPORT, "--dry-run")
    assert done.returncode == 0 and all(part in done.stdout for part in SAID), done.stderr
    assert "--labels" in done.stderr
    given = command(*IMPORT, "--dry-run", "--labels", "neg,pos")
    assert "missing" not in given.stderr and "neg, pos" in given.stdout
    assert {path.name for path in Path().iterdir()} == {"m.h5", "imdb.json"}


@pytest.mark.usefixtures("imdb_model")
def test_a_checkpoint_that_the_command_wrote_is_exported_as_any_other() -> None:
    done = command(*IMPORT, "--labels", "neg,pos", "-o", "m.safetensors")
    assert done.returncode == 0, done.stderr
    assert command("export", "m.safetensors", "-o", "m.onnx").returncode == 0
    texts = ["w1 w2 W3, w40", "w9 " * 20, "unknown w7", "w46 w47"]
    wanted = answers(imported(Path("m.h5"), Path("imdb.json")), texts)
    assert np.abs(Classifier.load("m.onnx").probabilities(texts) - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("padding", "said"),
    [
        ("pre", "the states after up to 12 steps of padding (624 bytes), and none of them"),
        ("post", "each text runs 12 steps, with padding behind its tokens; trained anew with"),
    ],
    ids=["pre", "post"],
)
def test_an_import_says_what_padding_costs(good: Path, padding: str, said: str) -> None:
    words = written("words.json", json.dumps(INDEX).encode())
    arguments = ("import", good, "--words", words, "--padding", padding, "--dry-run")
    done = command(*arguments, "--labels", "a,b")
    assert said in " ".join(done.stdout.split()), done.stderr


OPTIONS = """
--words imdb.json | --labels
--labels a | 2 labels
--labels a,a | repeated
--labels a, | blank
--labels a,b,c | 2 different names
--labels a,b\x01 | control character
--labels a,b --length 5 | leave --length out
--labels a,b --state last | leave --state out
--labels a,b --activation relu | leave --activation out
--labels a,b --multi-label | leave --multi-label out
--labels a,b --lower | leave --lower
--labels a,b --words m.h5 | neither a pickle nor JSON
--labels a,b --words missing.json | missing.json
"""


@pytest.mark.usefixtures("imdb_model")
@pytest.mark.parametrize(("options", "reason"), rows(OPTIONS))
def test_wrong_options_get_one_line_and_nothing_is_written(options: str, reason: str) -> None:
    done = command(*IMPORT, "-o", "out.safetensors", *options.split(" "))
    assert reason in done.error
    assert {path.name for path in Path().iterdir()} == {"m.h5", "imdb.json"}
