"""The seed network's weights, and every tool's files: ``python -m benchmarks.convert WHAT SOURCE TARGET``.

seed: the folder of the texts → weights, .npz; pytorch, keras: these weights → files in a folder; fasttext:
labelled lines → files in a folder. Each runs in an environment of its own, and imports what that one has.

The seed network is Keras's IMDB example: ids [batch, 600] → Embedding(5001, 32) → LSTM(100) over all 600
steps → Dense(1, sigmoid). Padding stands on the left, nothing masks it, and the answer is the last state.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY, EMBEDDING, HIDDEN, LENGTH = 5001, 32, 100, 600
BATCH_SIZES = (1, 8, 16, 32)
EPOCHS, BATCH, PEAK_RATE, DROPOUT = 5, 64, 3e-3, 0.2
PADDING_KEPT = 64  # after so many steps of padding the state does not move any more


def seed_network() -> Any:
    """Return the seed network, a module: ids int64 [batch, 600] → probability of the positive label, float32
    [batch, 1]; with Keras's first weights: uniform embedding, Glorot and orthogonal, forget gates open, one
    bias."""
    import torch
    from torch import nn

    class SeedNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
            self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
            self.head = nn.Linear(HIDDEN, 1)

        def forward(self, ids: Any) -> Any:
            states, _ = self.lstm(self.embedding(ids))  # [batch, 600, 100]
            return torch.sigmoid(self.head(states[:, -1]))

    network: Any = SeedNetwork()
    nn.init.uniform_(network.embedding.weight, -0.05, 0.05)
    nn.init.xavier_uniform_(network.lstm.weight_ih_l0)
    nn.init.orthogonal_(network.lstm.weight_hh_l0)
    nn.init.zeros_(network.lstm.bias_ih_l0)
    nn.init.zeros_(network.lstm.bias_hh_l0).requires_grad_(False)
    with torch.no_grad():
        network.lstm.bias_ih_l0[HIDDEN : 2 * HIDDEN] = 1.0
    return network


def seed(texts: Path, output: Path) -> None:
    """Train the seed network as Keras's example is trained, with dropout; print a line for each epoch."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    ids, lengths = np.load(texts / "train-left.npy"), np.load(texts / "train-lengths.npy")
    truth = torch.from_numpy(np.load(texts / "train-labels.npy").astype(np.float32))
    network = seed_network()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    steps = EPOCHS * -(-len(ids) // BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps + 1, pct_start=0.15)
    for epoch in range(EPOCHS):
        total, order = 0.0, np.random.default_rng(epoch)
        # Batches of similar length, never the same ones twice, drop most of their common padding.
        blurred = np.argsort(lengths + order.normal(0, 8, len(lengths)))
        batches = [blurred[start : start + BATCH] for start in range(0, len(blurred), BATCH)]
        for rows in (batches[k] for k in order.permutation(len(batches))):
            start = max(0, ids.shape[1] - int(lengths[rows].max()) - PADDING_KEPT)
            embedded = network.embedding(torch.from_numpy(ids[rows, start:].astype(np.int64)))
            embedded = nn.functional.dropout1d(embedded.transpose(1, 2), DROPOUT).transpose(1, 2)
            states, _ = network.lstm(embedded)
            logits = network.head(nn.functional.dropout(states[:, -1], DROPOUT))[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, truth[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            rates.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {total / len(ids):.4f}", flush=True)
    partial = output.with_name(f".{output.name}")
    np.savez(partial, **{name: value.numpy() for name, value in network.state_dict().items()})
    partial.replace(output)


def pytorch(weights: Path, folder: Path) -> None:
    """Write a state dict, and ONNX and ncnn files by the default exporters.

    The exporter leaves the reordering of the gates in the graph, where `quantize_dynamic` finds no constant
    weights and silently keeps the LSTM in fp32. Only the pre-processing that ONNX Runtime recommends folds
    them. Both files are benchmarked.
    """
    import pnnx
    import torch
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    network = seed_network()
    with np.load(weights) as stored:
        network.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files})
    network.eval()
    torch.save(network.state_dict(), folder / "seed.pt")
    fp32, folded = folder / "default.fp32.onnx", folder / "folded.fp32.onnx"
    example = torch.ones(2, LENGTH, dtype=torch.int64)  # the exporter takes a batch of 1 for a constant
    torch.onnx.export(network, (example,), fp32, dynamic_shapes={"ids": {0: "batch"}})
    quant_pre_process(fp32, folded)
    quantize_dynamic(fp32, folder / "default.int8.onnx")
    quantize_dynamic(folded, folder / "folded.int8.onnx")
    for precision in ("fp16", "fp32"):
        traced = folder / f"pnnx-{precision}" / "seed.pt"  # pnnx leaves seven files beside this one
        traced.parent.mkdir(exist_ok=True)
        pnnx.export(network, str(traced), (example[:1],), fp16=precision == "fp16")
        for suffix in ("param", "bin"):
            traced.with_name(f"seed.ncnn.{suffix}").rename(folder / f"ncnn.{precision}.{suffix}")


def keras(weights: Path, folder: Path) -> None:
    """Write seed.{fp32,int8}.b{batch}.tflite by TensorFlow's converter: fp32 and dynamic-range int8.

    A free batch dimension does not convert ("TensorListReserve requires element_shape to be static"), so
    every size gets its file. Keras 3 converts to a loop whose body XNNPACK runs. Keras 2 would convert to the
    fused LSTM operator, which is slower and carries its state from one call into the next.
    """
    import keras
    import tensorflow as tf

    stored = np.load(weights)
    # Keras's gates come in PyTorch's order (i, f, c, o), its matrices transposed, with one bias.
    names = ("embedding.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "head.weight")
    embedding, inputs, states, bias, head = (stored[name] for name in names)
    for batch in BATCH_SIZES:
        model = keras.Sequential(
            [
                keras.layers.Input(batch_shape=(batch, LENGTH), dtype="int32"),
                keras.layers.Embedding(*embedding.shape),
                keras.layers.LSTM(states.shape[1]),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.set_weights([embedding, inputs.T, states.T, bias, head.T, stored["head.bias"]])
        for precision, optimizations in (("fp32", []), ("int8", [tf.lite.Optimize.DEFAULT])):
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            converter.optimizations = optimizations  # without a data set: dynamic-range int8
            (folder / f"seed.{precision}.b{batch}.tflite").write_bytes(converter.convert())


def fasttext(train: Path, folder: Path) -> None:
    """Write fasttext.bin and fasttext.ftz, of words and word pairs.

    The settings did best on the last fifth of the training split. One thread, since more of them race and no
    two trainings agree.
    """
    import fasttext

    model = fasttext.train_supervised(str(train), dim=10, lr=0.5, epoch=10, wordNgrams=2, thread=1)
    model.save_model(str(folder / "fasttext.bin"))
    model.quantize(str(train), qnorm=True, retrain=True, cutoff=100_000, thread=1)
    model.save_model(str(folder / "fasttext.ftz"))


if __name__ == "__main__":
    what = {"seed": seed, "pytorch": pytorch, "keras": keras, "fasttext": fasttext}
    what[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
