"""The network of a well-known notebook, imported: its answers, speed and size beside Keras's own,
and beside networks that were trained here on the same reviews.

    python -m benchmarks.notebook FOLDER [--reviews 25000] [--timed 20] [--keras-export]

The notebook: IMDB, Keras's Tokenizer of 5,000 words, pad_sequences to 600 steps, Embedding 32, LSTM
100, Dense 1. Needs Keras with PyTorch, edge-lstm-native, and IMDB's archive (EDGE_LSTM_DATA).
A stage whose files are in FOLDER is skipped. Writes results/notebook.json.

Without TensorFlow or a GPU, Keras runs each step of an LSTM's training in Python: one batch takes a
minute. So PyTorch trains the same network, and the Keras model gets its weights.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import onnxruntime
import torch
from keras.src.legacy.preprocessing.text import Tokenizer
from keras.utils import pad_sequences
from packaging.requirements import Requirement

from benchmarks import conditions
from benchmarks.sets import imdb
from benchmarks.table import markdown_table, percent
from edge_lstm import Classifier

RESULTS = Path(__file__).parent / "results" / "notebook.json"
TINY = Path(__file__).parents[1] / "examples" / "tiny.safetensors"  # trained on the same reviews
WORDS = 5000
STEPS = 600
WIDTH = 32
HIDDEN = 100
BATCH = 64
BATCHES = 770  # that are learnt from: two epochs
PADDING_LEARNT = 60  # steps of padding before the longest row of a batch
PREDICTED = 500  # reviews in a batch of Keras's predict
ROUNDS = 15
FURTHEST = 64  # reviews, of which the exact answer is computed too
CHECKED = 500  # reviews that the files of other exporters answer
LABELS = ("neg", "pos")
ENGINES = {"ONNX Runtime": "onnxruntime", "native engine": "native"}
# The files that are compared: imported, and trained here.
FILES = {
    "fp32": "imported.onnx",
    "int8": "imported.int8.onnx",
    "small": "small.int8.onnx",
    "tiny": "tiny.int8.onnx",
}
IMPORT_OPTIONS = ("--padding", "pre", "--truncation", "pre", "--labels", ",".join(LABELS))


class Network(torch.nn.Module):
    """The notebook's network in PyTorch."""

    def __init__(self) -> None:
        """Start as Keras does: uniform embeddings, a forget bias of 1."""
        super().__init__()
        self.embedding = torch.nn.Embedding(WORDS, WIDTH)
        self.lstm = torch.nn.LSTM(WIDTH, HIDDEN, batch_first=True)
        self.dense = torch.nn.Linear(HIDDEN, 1)
        torch.nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        torch.nn.init.xavier_uniform_(self.lstm.weight_ih_l0)
        for gate in self.lstm.weight_hh_l0.detach().split(HIDDEN):
            torch.nn.init.orthogonal_(gate)
        torch.nn.init.zeros_(self.lstm.bias_hh_l0)
        torch.nn.init.zeros_(self.lstm.bias_ih_l0)
        self.lstm.bias_ih_l0.detach()[HIDDEN : 2 * HIDDEN] = 1

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the logits [B] of padded rows, int64 [B, T]."""
        _, (h, _) = self.lstm(self.embedding(ids))
        return self.dense(h[0])[:, 0]


def trained(rows: Sequence[list[int]], labels: np.ndarray) -> Network:
    """Train on rows of ids; labels: 0 or 1 each. A batch has rows of about one length."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    sizes = np.array([min(len(row), STEPS) for row in rows])
    for chosen in _batches(sizes, rng):
        steps = min(STEPS, int(sizes[chosen].max()) + PADDING_LEARNT)
        ids = torch.from_numpy(pad_sequences([rows[i] for i in chosen], steps, "int64"))
        wanted = torch.from_numpy(labels[chosen]).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(ids), wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1)
        optimizer.step()
    return network.eval()


def _batches(sizes: np.ndarray, rng: np.random.Generator) -> Iterable[np.ndarray]:
    """Yield the rows of each batch."""
    left = BATCHES
    while left:
        order = np.argsort(sizes + rng.uniform(0, 20, len(sizes)))
        batches = np.array_split(order, len(sizes) // BATCH)
        for k in rng.permutation(len(batches))[:left]:
            yield batches[k]
        left -= min(left, len(batches))


def keras_model(network: Network) -> keras.Model:
    """Return the notebook's model with a network's weights."""
    model = keras.Sequential(
        [
            keras.layers.Input((STEPS,)),
            keras.layers.Embedding(WORDS, WIDTH),
            keras.layers.LSTM(HIDDEN),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    lstm = network.lstm
    arrays = (
        network.embedding.weight,
        lstm.weight_ih_l0.T,  # its gates have Keras's order
        lstm.weight_hh_l0.T,
        lstm.bias_ih_l0 + lstm.bias_hh_l0,
        network.dense.weight.T,
        network.dense.bias,
    )
    model.set_weights([array.detach().numpy() for array in arrays])
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def make_notebook(folder: Path) -> None:
    """Write model.h5 and tokenizer.pickle, as the notebook saves them, and network.pt."""
    split = imdb().train
    tokenizer = Tokenizer(num_words=WORDS)
    tokenizer.fit_on_texts(split.texts)
    network = trained(tokenizer.texts_to_sequences(split.texts), split.labels.argmax(1))
    torch.save(network.state_dict(), folder / "network.pt")
    with (folder / "tokenizer.pickle").open("wb") as file:
        pickle.dump(tokenizer, file, protocol=pickle.HIGHEST_PROTOCOL)
    keras_model(network).save(folder / "model.h5")


def command(*arguments: str | Path) -> None:
    """Run a command of edge-lstm."""
    subprocess.run([sys.executable, "-m", "edge_lstm", *arguments], check=True)


def import_it(folder: Path) -> None:
    """Write imported.safetensors, imported.onnx and imported.int8.onnx, by the commands."""
    checkpoint = folder / "imported.safetensors"
    words = ("--words", folder / "tokenizer.pickle")
    command("import", folder / "model.h5", *words, *IMPORT_OPTIONS, "-o", checkpoint)
    command("export", checkpoint, "-o", folder / "imported.onnx")
    command("export", checkpoint, "-o", folder / "imported.int8.onnx", "--quantize", "int8")


def train_anew(folder: Path) -> None:
    """Write small.int8.onnx and tiny.int8.onnx, by the commands; small is trained, for minutes."""
    small = folder / "small.safetensors"
    if not small.exists():
        command("train", "imdb", "--preset", "small", "-o", small)
    for checkpoint in (small, TINY):
        file = folder / f"{checkpoint.stem}.int8.onnx"
        command("export", checkpoint, "-o", file, "--quantize", "int8")


def export_otherwise(folder: Path, with_keras: bool) -> dict[str, Path]:
    """Return ONNX files of 600 steps: Keras's own, PyTorch's, and PyTorch's in dynamic int8."""
    from onnxruntime.quantization import quantize_dynamic

    files = {}
    by_keras = folder / "keras.onnx"
    if with_keras:
        files["Keras's export, ONNX Runtime"] = by_keras
    if with_keras and not by_keras.exists():
        model = keras.models.load_model(folder / "model.h5")
        model(np.zeros((1, STEPS)))  # the export asks for a model that has been called
        model.export(by_keras, format="onnx", verbose=False)
    by_torch = folder / "torch.onnx"
    files["PyTorch's export, ONNX Runtime"] = by_torch
    if not by_torch.exists():
        network = Network().eval()
        network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
        answering = torch.nn.Sequential(network, torch.nn.Sigmoid())
        names: dict[str, Any] = {"input_names": ["ids"], "dynamic_axes": {"ids": {0: "batch"}}}
        ids = torch.zeros(1, STEPS, dtype=torch.int64)
        torch.onnx.export(answering, (ids,), str(by_torch), dynamo=False, **names)
    dynamic = folder / "dynamic.onnx"
    files["the same, quantize_dynamic"] = dynamic
    if not dynamic.exists():
        quantize_dynamic(by_torch, dynamic)
    return files


def opened_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer that make_notebook wrote, as programs that ship a pickle open it."""
    return pickle.loads((folder / "tokenizer.pickle").read_bytes())  # noqa: S301


def keras_answers(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """Return Keras's own probabilities of pos, float [N]; kept in the folder."""
    kept = folder / f"keras.{len(texts)}.npy"
    if not kept.exists():
        tokenizer = opened_tokenizer(folder)
        rows = pad_sequences(tokenizer.texts_to_sequences(texts), STEPS)
        model = keras.models.load_model(folder / "model.h5")
        np.save(kept, model.predict(rows, batch_size=PREDICTED, verbose=0)[:, 0])
    return np.load(kept)


def our_answers(path: Path, texts: Sequence[str], engine: str) -> np.ndarray:
    """Return the probabilities of pos by a model file, float [N]; kept beside it."""
    kept = path.with_suffix(f".{engine}.{len(texts)}.npy")
    if not kept.exists():
        classifier = Classifier.load(path, engine=engine)
        answers = classifier.predict(texts)
        np.save(kept, [answer.probabilities[LABELS[1]] for answer in answers])
    return np.load(kept)


def in_float64(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """Return the probabilities of pos in double precision, float [N]."""
    rows = pad_sequences(opened_tokenizer(folder).texts_to_sequences(texts), STEPS, "int64")
    network = Network().double().eval()
    network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
    with torch.no_grad():
        return torch.sigmoid(network(torch.from_numpy(rows))).numpy()


def compared(given: np.ndarray, wanted: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return how probabilities compare with Keras's, all float [N]; labels: 0 or 1 each."""
    other = np.flatnonzero((given > 0.5) != (wanted > 0.5))
    return {
        "accuracy": float(((given > 0.5) == labels).mean()),
        "other_labels": len(other),
        "other_label_probabilities": [[float(wanted[i]), float(given[i])] for i in other[:20]],
        "furthest_apart": float(np.abs(given - wanted).max()),
        "further_than_1e-6": int((np.abs(given - wanted) > 1e-6).sum()),
    }


def onnx_answers(session: onnxruntime.InferenceSession, rows: np.ndarray, batch: int) -> np.ndarray:
    """Return the probabilities of pos of padded rows, float [N]."""
    tensor = session.get_inputs()[0]
    kind = {"tensor(float)": "float32", "tensor(int32)": "int32"}.get(tensor.type, "int64")
    outputs = [
        session.run(None, {tensor.name: part.astype(kind)})[0].reshape(-1)
        for part in np.array_split(rows, len(rows) // batch)
    ]
    return np.concatenate(outputs)


def opened(path: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def micros(tools: dict[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, float]:
    """Return for each tool the mean over texts of the fastest of the rounds, µs.

    Tools take turns at each text, so that whatever slows the machine slows all alike.
    """
    fastest = {name: np.full(len(texts), np.inf) for name in tools}
    for _ in range(ROUNDS):
        for i, text in enumerate(texts):
            for name, answer in tools.items():
                start = time.perf_counter()
                answer(text)
                fastest[name][i] = min(fastest[name][i], time.perf_counter() - start)
    return {name: float(times.mean() * 1e6) for name, times in fastest.items()}


def installed(*names: str) -> int:
    """Return the bytes of distributions and their requirements, as installed here."""
    found: dict[str, int] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower()
        if name in found:
            continue
        found[name] = 0
        package = distribution(name)
        files = [Path(str(file.locate())) for file in package.files or ()]
        found[name] = sum(file.stat().st_size for file in files if file.is_file())
        needed = [Requirement(text) for text in package.requires or ()]
        waiting += [n.name for n in needed if not n.marker or n.marker.evaluate({"extra": ""})]
    return sum(found.values())


def folder_size(module: str) -> int:
    """Return the bytes of a package's folder, with its compiled Python files."""
    spec = find_spec(module)
    assert spec and spec.submodule_search_locations
    files = Path(spec.submodule_search_locations[0]).rglob("*")
    return sum(f.stat().st_size for f in files if f.is_file())


def measured(folder: Path, reviews: int, timed: int, with_keras: bool) -> dict[str, Any]:
    """Measure the files of a folder; return the contents of results/notebook.json."""
    split = imdb().test
    assert split is not None
    # The archive has one label after the other: take as many of each.
    chosen = np.linspace(0, len(split.texts) - 1, reviews).astype(int)
    texts = [split.texts[i] for i in chosen]
    labels = split.labels.argmax(1)[chosen]
    wanted = keras_answers(folder, texts)
    result: dict[str, Any] = {"conditions": conditions.now(), "reviews": len(texts)}
    result["keras_accuracy"] = float(((wanted > 0.5) == labels).mean())
    ours = {
        f"{name}, {words}": (folder / file, engine)
        for words, engine in ENGINES.items()
        for name, file in FILES.items()
        if (folder / file).exists()
    }
    result["answers"] = {}
    for name, (path, engine) in ours.items():
        found = compared(our_answers(path, texts, engine), wanted, labels)
        is_imported = name.startswith(("fp32", "int8"))
        result["answers"][name] = found if is_imported else {"accuracy": found["accuracy"]}
    fp32 = our_answers(folder / "imported.onnx", texts, "onnxruntime")
    furthest = np.argsort(-np.abs(fp32 - wanted))[:FURTHEST]
    exact = in_float64(folder, [texts[i] for i in furthest])
    result["furthest_from_float64"] = {
        name: float(np.abs(given[furthest] - exact).max())
        for name, given in (("Keras, predict", wanted), ("fp32, ONNX Runtime", fp32))
    }
    tokenizer = opened_tokenizer(folder)
    few = np.linspace(0, len(texts) - 1, min(CHECKED, len(texts))).astype(int)
    rows = pad_sequences(tokenizer.texts_to_sequences([texts[i] for i in few]), STEPS)
    files = export_otherwise(folder, with_keras)
    others = {name: opened(path) for name, path in files.items()}
    for name, session in others.items():
        alone = onnx_answers(session, rows, 1)
        found = compared(alone, wanted[few], labels[few]) | {"reviews": len(few)}
        with contextlib.suppress(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
            together = onnx_answers(session, rows, 10)
            found["furthest_apart_in_batches_of_10"] = float(np.abs(together - alone).max())
        result["answers"][name] = found

    model = keras.models.load_model(folder / "model.h5")

    def padded(text: str) -> np.ndarray:
        return pad_sequences(tokenizer.texts_to_sequences([text]), STEPS)

    tools: dict[str, Callable[[str], object]] = {
        "Keras, predict": lambda text: model.predict(padded(text), verbose=0)
    }
    for name, session in others.items():
        tools[name] = lambda text, session=session: onnx_answers(session, padded(text), 1)
    for name, (path, engine) in ours.items():
        classifier = Classifier.load(path, engine=engine)
        tools[name] = lambda text, classifier=classifier: classifier.predict([text])
    result["timed"] = timed
    some = np.linspace(0, len(texts) - 1, timed).astype(int)
    result["micros"] = micros(tools, [texts[i] for i in some])
    pickled = (folder / "tokenizer.pickle").stat().st_size
    result["bytes"] = {"Keras, predict": (folder / "model.h5").stat().st_size + pickled}
    for name, path in files.items():
        result["bytes"][name] = path.stat().st_size + pickled
    for name, (path, _) in ours.items():
        result["bytes"][name] = path.stat().st_size
    result["installed"] = {
        "keras and torch": installed("keras", "torch"),
        "onnxruntime": installed("onnxruntime"),
        "edge-lstm": installed("onnxruntime", "typer")
        + folder_size("edge_lstm")
        + folder_size("edge_lstm_export"),
        "edge-lstm-native": folder_size("edge_lstm_native"),
    }
    return result


def table(result: dict[str, Any]) -> str:
    """Return the page's table."""
    sizes = result["installed"]
    rows = []
    for name, micro in result["micros"].items():
        answers = result["answers"].get(name, {"accuracy": result["keras_accuracy"]})
        others = ""
        if "other_labels" in answers:
            others = f"{answers['other_labels']} of {answers.get('reviews', result['reviews']):,}"
        needed = "onnxruntime"
        if name.startswith("Keras, "):
            needed = "keras and torch"
        elif "native" in name:
            needed = "edge-lstm-native"
        elif name.startswith(tuple(FILES)):
            needed = "edge-lstm"
        accuracy = "" if "reviews" in answers else percent(answers["accuracy"])
        size = f"{result['bytes'][name] / 1000:,.0f} kB"
        megabytes = f"{sizes[needed] / 1e6:,.1f} MB"
        rows.append((name, accuracy, others, size, megabytes, f"{micro / 1000:.2f} ms"))
    heads = ("", "accuracy", "other labels than Keras", "files", "installed", "one review")
    return markdown_table(heads, rows)


def main() -> None:
    """Make the files that the folder lacks, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reviews", type=int, default=25_000)
    parser.add_argument("--timed", type=int, default=20, help="reviews that are timed")
    parser.add_argument(
        "--keras-export", action="store_true", help="Keras's own ONNX file too; needs onnxscript"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if not (folder / "model.h5").exists():
        make_notebook(folder)
    if not (folder / "imported.int8.onnx").exists():
        import_it(folder)
    if not (folder / "tiny.int8.onnx").exists():
        train_anew(folder)
    result = measured(folder, arguments.reviews, arguments.timed, arguments.keras_export)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
