"""Weights → Keras model → LiteRT files by TensorFlow's converter: fp32 and dynamic-range int8.

python -m benchmarks.convert.keras WEIGHTS.npz FOLDER BATCH…
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import tensorflow as tf

from benchmarks import seed


def main(weights: Path, folder: Path, batches: list[int]) -> None:
    """Write seed.{fp32,int8}.b{batch}.tflite.

    A free batch dimension does not convert ("TensorListReserve requires element_shape to be static"), so
    every size gets its file. Keras 3 converts to a loop whose body XNNPACK runs. Keras 2 would convert to the
    fused LSTM operator, which is slower (1.2 times in fp32, 2 times in int8) and carries its state from one
    call into the next.
    """
    for batch in batches:
        model = keras_model(seed.load(weights), batch)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        (folder / f"seed.fp32.b{batch}.tflite").write_bytes(converter.convert())
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]  # without a data set: dynamic-range int8
        (folder / f"seed.int8.b{batch}.tflite").write_bytes(converter.convert())


def keras_model(weights: seed.Weights, batch: int) -> keras.Model:
    """The seed network in Keras. Its gates come in PyTorch's order (i, f, c, o), its matrices transposed."""
    model = keras.Sequential(
        [
            keras.layers.Input(batch_shape=(batch, seed.LENGTH), dtype="int32"),
            keras.layers.Embedding(seed.VOCABULARY, seed.EMBEDDING),
            keras.layers.LSTM(seed.HIDDEN),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights(
        [
            weights["embedding.weight"],
            weights["lstm.weight_ih_l0"].T,
            weights["lstm.weight_hh_l0"].T,
            weights["lstm.bias_ih_l0"],
            weights["head.weight"].T,
            weights["head.bias"],
        ]
    )
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(batch) for batch in sys.argv[3:]])
