"""What the tests of imports are made of: networks of Keras and PyTorch, files, answers."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import rows
from edge_lstm_export import importing
from edge_lstm_export.importing import Imported, ImportOptions
from edge_lstm_export.importing.checkpoint import checkpoint_of
from edge_lstm_export.network.predict import predict_probabilities
from torch import nn

from edge_lstm import Classifier
from edge_lstm.errors import DataError

h5py = pytest.importorskip("h5py")

LENGTH = 12
IDS = 50
RNG = np.random.default_rng(1)
ROWS = [RNG.integers(1, IDS, size=n).tolist() for n in (0, 1, 3, LENGTH - 1, LENGTH, LENGTH + 4)]
INDEX = {f"w{i}": i for i in range(1, IDS)}


def imported(source: Any, words: Any = INDEX, **options: Any) -> Imported:
    """The network with options, and labels that nobody named."""
    found = importing.read(source, words, ImportOptions(**options))
    labels = tuple(f"label {i}" for i in range(found.model.labels))
    return importing.read(source, words, ImportOptions(**{"labels": labels, **options}))


def texts_of(rows: list[list[int]]) -> list[str]:
    return [" ".join(f"w{i}" for i in row) for row in rows]


def answers(found: Imported, texts: list[str] | None = None) -> np.ndarray:
    """The probabilities of the network's checkpoint."""
    checkpoint = checkpoint_of(found)
    encode = checkpoint.tokenizer.encode_text
    rows = [encode(text).ids for text in texts_of(ROWS) if texts is None]
    rows += [encode(text).ids for text in texts or ()]
    return predict_probabilities(checkpoint.network, rows)


def file_answers(path: Path, engine: Any = "onnxruntime", rows: Any = ROWS) -> np.ndarray:
    """The probabilities of a model file."""
    found = Classifier.load(path, engine=engine).predict(texts_of(rows))
    return np.array([list(answer.probabilities.values()) for answer in found])


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(0, 0.4, shape).astype("f")


def of_two(wanted: np.ndarray) -> np.ndarray:
    """Probabilities of all labels; one sigmoid gives the second's."""
    return wanted if wanted.shape[1] > 1 else np.hstack([1 - wanted, wanted])


# The layers between the embedding and the answer.
KERAS = """
one LSTM | LSTM units=6; Dense units=1 activation="sigmoid"
masked | both LSTM units=6; Dense units=1 activation="sigmoid"
two labels of a softmax | LSTM units=6; Dense units=2 activation="softmax"
both directions, dropouts, hidden dense, softmax | SpatialDropout1D rate=0.2; \
    both LSTM units=6 dropout=0.1 recurrent_dropout=0.1; Dense units=5 activation="relu"; \
    BatchNormalization; Dropout rate=0.5; Dense units=3 activation="softmax"
stacked, normalized, activations apart, several sigmoids | \
    both LSTM units=6 return_sequences=true; BatchNormalization; \
    LSTM units=5 use_bias=false return_sequences=true; LSTM units=4 unit_forget_bias=false; \
    BatchNormalization scale=false; Dense units=2; BatchNormalization center=false; \
    Activation activation="tanh"; Dense units=4 activation="sigmoid"
hard_sigmoid, maximum | LSTM units=6 recurrent_activation="hard_sigmoid" return_sequences=true; \
    GlobalMaxPooling1D; Dense units=1 activation="sigmoid"
normalized mean | LSTM units=6 return_sequences=true; BatchNormalization; \
    GlobalAveragePooling1D; Dense units=1 activation="sigmoid"
masked, stacked | both LSTM units=6 return_sequences=true; LSTM units=6; \
    Dense units=1 activation="sigmoid"
maximum and mean | both LSTM units=5 return_sequences=true; \
    GlobalMaxPooling1D + GlobalAveragePooling1D; BatchNormalization; \
    Dense units=4 activation="relu"; Dense units=1 activation="sigmoid"
"""
CASES = dict(rows(KERAS))
Layer = tuple[str, dict[str, Any], list[Any]]


def weights_of(text: str) -> np.ndarray:
    """Random weights of a shape such as ``6x1``, or with a value for all: ``6x1:nan``."""
    shape, is_filled, number = text.partition(":")
    sizes = [int(size) for size in shape.split("x") if size]
    if not is_filled:
        return drawn(*sizes)
    value = complex(number)
    return np.full(sizes, value if value.imag else value.real)


def layer_of(text: str) -> Layer:
    """Class, settings and weights of a layer, of a text such as ``Dense activation="relu" 6x1 1``.

    An LSTM of both directions is ``both LSTM``.
    """
    words = text.split()
    is_both = words[0] == "both"
    settings = {}
    weights = []
    for word in words[1 + is_both :]:
        name, is_setting, value = word.partition("=")
        if is_setting:
            settings[name] = json.loads(value)
        else:
            weights.append(weights_of(word))
    if not is_both:
        return words[0], settings, weights
    mode = settings.pop("merge_mode", "concat")
    inner = {"module": "keras.layers", "class_name": words[1], "config": settings}
    return "Bidirectional", {"merge_mode": mode, "layer": inner}, weights * 2


def keras_layer(keras: Any, text: str) -> Any:
    kind, settings, _ = layer_of(text)
    values = {"module": "keras.layers", "class_name": kind, "config": settings}
    return keras.layers.deserialize(values)


def keras_model(keras: Any, name: str, length: int = LENGTH, *, sequential: bool = False) -> Any:
    """The model of a case, with weights other than the first ones; variances stay above 0."""
    start = keras.Input((length,))
    embedding = keras.layers.Embedding(IDS, 8, mask_zero="masked" in name)
    layers = CASES[name].split("; ")
    if sequential:
        made = [keras_layer(keras, layer) for layer in layers]
        model = keras.Sequential([start, embedding, *made])
    else:
        x = embedding(start)
        for layer in layers:
            found = [keras_layer(keras, each)(x) for each in layer.split(" + ")]
            x = keras.layers.Concatenate()(found) if len(found) > 1 else found[0]
        model = keras.Model(start, x)
    rng = np.random.default_rng(len(name))
    for layer in model.layers:
        drawn = [rng.normal(0, 0.5, w.shape).astype("f") for w in layer.get_weights()]
        if "batch" in layer.name:
            drawn = [np.abs(values) + 0.1 for values in drawn]
        layer.set_weights(drawn)
    return model


def padded(rows: list[list[int]], side: str) -> np.ndarray:
    """The rows as Keras's pad_sequences gives them: cut in front, filled up on one side."""
    ids = np.zeros((len(rows), LENGTH), np.int64)
    for i, row in enumerate(rows):
        kept = row[-LENGTH:]
        start = LENGTH - len(kept) if side == "pre" else 0
        ids[i, start : start + len(kept)] = kept
    return ids


def archive_of(members: dict[str, bytes]) -> bytes:
    """An archive, as Keras and torch.save write them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def members_of(model: Any) -> dict[str, bytes]:
    """The files in the archive that Keras writes of a model."""
    model.save("members.keras")
    with zipfile.ZipFile("members.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_hdf5(path: str | Path, layers: str | list[Layer], version: str = "2.4.0") -> Path:
    """Write a file as old versions of Keras do. layers: their text, or as of :func:`layer_of`."""
    entries = []
    layers = layers_of(layers) if isinstance(layers, str) else layers
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
    return Path(path)


# Layers that fit each other, by name.
LAYERS = {
    "embedding": "Embedding input_length=12 50x8",
    "lstm": 'LSTM activation="tanh" 8x24 6x24 24',
    "steps": "LSTM return_sequences=true 8x24 6x24 24",
    "deep": "LSTM return_sequences=true 6x24 6x24 24",
    "dense": 'Dense activation="sigmoid" 6x1 1',
}


def layers_of(text: str) -> list[Layer]:
    return [layer_of(LAYERS.get(layer, layer)) for layer in text.split("; ")]


EMBEDDING, DENSE = layers_of("embedding; dense")


class Net(nn.Module):
    """A network as people write it in PyTorch."""

    def __init__(self, layers: int = 1, *, both: bool = False, hidden: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.emb = nn.Embedding(IDS, 8, padding_idx=0)
        self.rnn = nn.LSTM(8, 6, layers, batch_first=True, bidirectional=both, dropout=0.0)
        width = 12 if both else 6
        self.hidden = nn.Linear(width, 5) if hidden else None
        self.fc = nn.Linear(5 if hidden else width, 3)
        self.eval()

    @torch.no_grad()
    def answers(self, ids: Any, state: str) -> np.ndarray:
        steps, (last, _) = self.rnn(self.emb(torch.as_tensor(ids)))
        ways = 2 if self.rnn.bidirectional else 1
        values = {
            "last": torch.cat(list(last[-ways:]), dim=1),
            "end": steps[:, -1],
            "mean": steps.mean(dim=1),
            "max": steps.amax(dim=1),
        }[state]
        if self.hidden is not None:
            values = torch.relu(self.hidden(values))
        return torch.softmax(self.fc(values), dim=1).numpy()


ODD = "aA bB\t\n\r\x0b'-_.!?¿éÉßẞİıΣσς日本🎬\u00a0\u2028\u3000\x00Q9"


def ids_of(wide: Path, words: Any, texts: list[str]) -> list[list[int]]:
    """The network's ids of texts, by the tokenizer of its checkpoint."""
    found = importing.read(wide, words, ImportOptions(padding="none", labels=("no", "yes")))
    rule = found.rule
    tokenizer = checkpoint_of(found).tokenizer
    # A file numbers the ids in their order.
    used = sorted({*rule.known.values(), *([] if rule.oov_id is None else [rule.oov_id])})
    if rule.start_id is not None:
        used = list(range(1, max(used) + 1))
    return [[used[i - 1] for i in tokenizer.encode_text(text).ids] for text in texts]


def written(name: str, data: bytes) -> Path:
    Path(name).write_bytes(data)
    return Path(name)


def odd_texts(count: int) -> list[str]:
    """Texts of words, punctuation, other scripts and control characters."""
    rng = np.random.default_rng(2)
    texts = ["", " ", "\n", "ΑΣ Σ ΑΣ.", "İstanbul <OOV> <oov>", "w1 w2,w3"]
    while len(texts) < count:
        letters = rng.choice(list(ODD), size=rng.integers(1, 40))
        texts.append("".join(letters.tolist()) + " ".join(rng.choice(list(INDEX), size=3).tolist()))
    return texts


def refused(*arguments: Any, **options: Any) -> str:
    """The one line that a model or tokenizer gets."""
    with pytest.raises(DataError) as caught:
        imported(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
