"""The network of a well-known notebook, imported: its answers, speed and size beside Keras's own,
and beside networks that were trained here on the same reviews.

    python -m benchmarks.notebook FOLDER [--reviews 25000] [--timed 20]

The notebook: IMDB, Keras's Tokenizer of 5,000 words, pad_sequences to 600 steps, Embedding 32, LSTM
100, Dense 1. Needs Keras with PyTorch, edge-lstm-native, and IMDB's archive (EDGE_LSTM_DATA).
A stage whose files are in FOLDER is skipped. Writes results/notebook.json.

Without TensorFlow or a GPU, Keras runs each step of an LSTM's training in Python: one batch takes a
minute. So PyTorch trains the same network, and the Keras model gets its weights.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import onnxruntime
import torch
from keras.src.legacy.preprocessing.text import Tokenizer
from keras.utils import pad_sequences

from benchmarks import conditions
from benchmarks.clock import fastest
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
OTHERS = ("PyTorch's export, ONNX Runtime", "the same, quantize_dynamic")
FEW = 50  # of so many reviews, these answer one: they take 600 steps
LABELS = ("neg", "pos")
ENGINES = {"ONNX Runtime": "onnxruntime", "native engine": "native"}
# The files that are compared: imported, and trained here.
FILES = {
    "fp32": "imported.onnx",
    "int8": "imported.int8.onnx",
    "small": "small.int8.onnx",
    "tiny": "tiny.int8.onnx",
}
Answer = Callable[[Any], np.ndarray]
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


def export_otherwise(folder: Path) -> dict[str, Path]:
    """Return ONNX files of 600 steps: PyTorch's export, and the same in dynamic int8."""
    from onnxruntime.quantization import quantize_dynamic

    by_torch = folder / "torch.onnx"
    dynamic = folder / "dynamic.onnx"
    if not dynamic.exists():
        network = Network().eval()
        network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
        answering = torch.nn.Sequential(network, torch.nn.Sigmoid())
        names: dict[str, Any] = {"input_names": ["ids"], "dynamic_axes": {"ids": {0: "batch"}}}
        ids = torch.zeros(1, STEPS, dtype=torch.int64)
        torch.onnx.export(answering, (ids,), str(by_torch), dynamo=False, **names)
        quantize_dynamic(by_torch, dynamic)
    return dict(zip(OTHERS, (by_torch, dynamic)))


def opened(path: Path) -> Answer:
    """Return what answers padded rows, int64 [N, STEPS], with probabilities of pos, float [N]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"ids": rows})[0].reshape(-1)


def answering(folder: Path) -> dict[str, tuple[int, Answer]]:
    """Return by tool the bytes of its files, and texts → probabilities of pos, float [N]."""
    # Programs that ship a pickle open it so.
    pickled = folder / "tokenizer.pickle"
    tokenizer = pickle.loads(pickled.read_bytes())  # noqa: S301
    model = keras.models.load_model(folder / "model.h5")
    padded_tools = {
        "Keras, predict": (
            folder / "model.h5",
            lambda rows: model.predict(rows, batch_size=PREDICTED, verbose=0)[:, 0],
        )
    }
    for name, path in export_otherwise(folder).items():
        padded_tools[name] = path, opened(path)
    tools: dict[str, tuple[int, Answer]] = {}
    for name, (path, answer) in padded_tools.items():

        def of_texts(texts: Sequence[str], answer: Answer = answer) -> np.ndarray:
            ids = tokenizer.texts_to_sequences(texts)
            return answer(pad_sequences(ids, STEPS, "int64"))

        tools[name] = path.stat().st_size + pickled.stat().st_size, of_texts
    for words, engine in ENGINES.items():
        for name, file in FILES.items():
            path = folder / file
            classifier = Classifier.load(path, engine=engine)

            def of_ours(texts: Sequence[str], classifier: Classifier = classifier) -> np.ndarray:
                return classifier.probabilities(texts)[:, 1]

            tools[f"{name}, {words}"] = path.stat().st_size, of_ours
    return tools


def measured(folder: Path, reviews: int, timed: int) -> dict[str, Any]:
    """Measure the files of a folder; return the contents of results/notebook.json."""
    split = imdb().test
    assert split is not None
    # The archive has one label after the other: take as many of each.
    chosen = np.linspace(0, len(split.texts) - 1, reviews).astype(int)
    texts = [split.texts[i] for i in chosen]
    labels = split.labels.argmax(1)[chosen]
    tools = answering(folder)
    wanted = tools["Keras, predict"][1](texts)
    some = np.linspace(0, len(texts) - 1, timed).astype(int)
    answers = {name: answer for name, (_, answer) in tools.items()}
    taken = fastest(answers, [[texts[i]] for i in some], ROUNDS)
    rows = {}
    for name, (size, answer) in tools.items():
        every = FEW if name in OTHERS else 1
        given = answer(texts[::every])
        rows[name] = {
            "reviews": len(given),
            "accuracy": float(((given > 0.5) == labels[::every]).mean()),
            "other_labels": int(((given > 0.5) != (wanted[::every] > 0.5)).sum()),
            "furthest_apart": float(np.abs(given - wanted[::every]).max()),
            "further_than_1e-6": int((np.abs(given - wanted[::every]) > 1e-6).sum()),
            "bytes": size,
            "micros": float(taken[name].mean()),
        }
    return {"conditions": conditions.now(), "timed": timed, "tools": rows}


def table(result: dict[str, Any]) -> str:
    """Return the page's table."""
    rows = []
    for name, told in result["tools"].items():
        is_imported = not name.startswith(("Keras", "small", "tiny"))
        others = f"{told['other_labels']} of {told['reviews']:,}" if is_imported else ""
        size = f"{told['bytes'] / 1000:,.0f} kB"
        rows.append(
            (name, percent(told["accuracy"]), others, size, f"{told['micros'] / 1000:.2f} ms")
        )
    heads = ("", "accuracy", "other labels than Keras", "files", "one review")
    return markdown_table(heads, rows)


def main() -> None:
    """Make the files that the folder lacks, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reviews", type=int, default=25_000)
    parser.add_argument("--timed", type=int, default=20, help="reviews that are timed")
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
    result = measured(folder, arguments.reviews, arguments.timed)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
