"""What these tests are made of: texts whose words tell their labels, files of them, networks."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.checkpoint.checkpoint import Checkpoint, save_checkpoint
from edge_lstm_export.network.network import Network
from edge_lstm_export.network.pairs import table_of
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.options import DataOptions, NetworkOptions, network_config
from edge_lstm_export.train.job import Job
from edge_lstm_export.train.lstm.loop import Callbacks
from edge_lstm_export.train.run import run_job
from edge_lstm_export.train.sources.dataset import Dataset, make_split
from edge_lstm_export.train.sources.read import read_dataset

from edge_lstm import Classifier
from edge_lstm.core.layers import Dense, Layer, Lstm, NetworkConfig
from edge_lstm.core.modelfile import ModelFile, parse_model
from edge_lstm.core.text import KERAS, TextRule, Tokenizer

Rows = list[tuple[str, str]]
FILLERS = [f"filler{i}" for i in range(12)]
WORDS = {
    "sea": ["wave", "harbour", "tide"],
    "shop": ["basket", "till", "receipt"],
    "zoo": ["lion", "cage"],
}


def words_of(line: str) -> list[str]:
    return line.split()


def rows(count: int, labels: Sequence[str] = ("sea", "shop"), seed: int = 0) -> Rows:
    """(text, label): five words that say nothing, and one or two that tell the label."""
    rng = random.Random(seed)
    made = []
    for i in range(count):
        label = labels[i % len(labels)]
        words = rng.choices(FILLERS, k=rng.randint(3, 7)) + rng.choices(
            WORDS.get(label, [f"of{label}"]), k=2
        )
        rng.shuffle(words)
        made.append((" ".join(words), label))
    return made


def multi_label_rows(
    count: int, labels: Sequence[str] = ("anger", "fear", "joy"), seed: int = 0
) -> Rows:
    """(text, labels joined by |): a word for each label of the text; about a fifth have none."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        own = [label for label in labels if rng.random() < 0.4]
        words = [f"{label}{rng.choice(['ful', 'ly'])}" for label in own] + rng.choices(FILLERS, k=3)
        rng.shuffle(words)
        made.append((" ".join(words), "|".join(own)))
    return made


def write_csv(
    path: str | Path, table: Sequence[Sequence[str]], columns: Sequence[str] = ("text", "label")
) -> Path:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *(row[: len(columns)] for row in table)])
    return Path(path)


def write(path: str | Path, content: str | bytes) -> Path:
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Path(path)


def read(*sources: str | Path, **options: Any) -> Dataset:
    """The labelled texts of files. options: of DataOptions."""
    return read_dataset([*map(str, sources)], DataOptions(**options))


def dataset(table: Rows, labels: Sequence[str] = (), *, multi_label: bool = False) -> Dataset:
    """The rows as they come from a file; several: labels are joined by |."""
    names = [
        tuple(filter(None, label.split("|"))) if multi_label else (label,) for _, label in table
    ]
    every = tuple(labels) or tuple(sorted({name for row in names for name in row}))
    return Dataset(
        "made",
        every,
        make_split([text for text, _ in table], names, every, "made"),
        None,
        "0",
        multi_label,
    )


def make_checkpoint(
    length: int = 60, *, words: int = 200, seed: int = 0, **settings: Any
) -> Checkpoint:
    """An untrained network of a plan, with weights large enough to matter. settings: of
    NetworkOptions."""
    shape = {
        "num_words": words,
        "embedding_dim": 6,
        "hidden": 10,
        "pooling": "mean+max",
        **settings,
    }
    return checkpoint_of(NetworkOptions(**shape).config, length, seed=seed)


def checkpoint_file(path: str | Path, checkpoint: Checkpoint | None = None) -> Path:
    """The file of a checkpoint, or of an untrained one."""
    save_checkpoint(checkpoint or make_checkpoint(), Path(path))
    return Path(path)


def checkpoint_of(
    config: NetworkConfig, length: int = 60, rule: TextRule = KERAS, *, seed: int = 0
) -> Checkpoint:
    """An untrained network with weights large enough to matter."""
    torch.manual_seed(seed)
    network = Network(config).eval()
    with torch.no_grad():
        network.embedding.weight.mul_(10)
        network.head.weight.mul_(3)
        network.head.bias.uniform_(-0.5, 0.5)
    if network.ngrams is not None:
        places = np.arange(config.ngram_slots)
        pairs = np.stack([4 + places // 40, 4 + places % 40], axis=1)
        table, own = table_of(pairs, config.ngram_slots)
        network.config = config = replace(config, ngram_slots=len(own))
        network.ngrams.choose(table)
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(config.ngrams, config.ngram_dim)).astype(np.float32)
        network.ngrams.set_vectors(vectors)
        with torch.no_grad():
            network.head.weight[:, config.layer_values() :].normal_()
    words = tuple(f"word{i}" for i in range(config.num_words - rule.first_word_id))
    labels = tuple(f"label{i}" for i in range(config.labels))
    tokenizer = Tokenizer(words, length, rule=rule)
    training = {"data": "none", "seed": 0}
    return Checkpoint(network, tokenizer, labels, training, {"kind": "short"})


def layers_of(text: str) -> tuple[Layer, ...]:
    """The layers that a text such as ``lstm 9 both max floor=-1, dense 4 tanh`` lists."""
    layers: list[Layer] = []
    for kind, units, *words in map(str.split, filter(None, text.split(", "))):
        plain = [word for word in words if "=" not in word and word != "both"]
        if kind == "dense":
            layers.append(Dense(int(units), *plain))
            continue
        pairs = [word.split("=") for word in words if "=" in word]
        settings = {name: json.loads(value) for name, value in pairs}
        layers.append(Lstm(int(units), "both" in words, *plain, **settings))
    return tuple(layers)


def config_of(shape: dict[str, Any]) -> NetworkConfig:
    layers = shape["layers"]
    layers = layers_of(layers) if isinstance(layers, str) else layers
    return network_config(**{"num_words": 200, "embedding_dim": 6, **shape, "layers": layers})


def layered(length: int = 24, rule: TextRule = KERAS, **shape: Any) -> Checkpoint:
    """The checkpoint of a network, by other settings than the usual ones."""
    return checkpoint_of(config_of(shape), length, rule)


def tabled(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint whose network has tables of the states after padding."""
    network = checkpoint.network
    starts = network.padding_starts()
    other = Network(replace(network.config, padding="none")).eval()
    other.load_state_dict(network.state_dict())
    other.length = network.length
    other.set_starts(starts)
    return replace(checkpoint, network=other)


def stop_after_an_epoch(job: Job) -> None:
    """Run a training that is interrupted after its first epoch: its state is kept."""

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job, Callbacks(on_epoch=stop))


def opened(data: bytes) -> ModelFile:
    return parse_model(data, Path("test.onnx"))


def model_at(path: str | Path) -> ModelFile:
    return opened(Path(path).read_bytes())


def model_of(checkpoint: Checkpoint, **options: Any) -> ModelFile:
    """The model file of a checkpoint, which passed every gate. options: of export."""
    return opened(export(checkpoint, **options).data)


def classifier_of(checkpoint: Checkpoint, **options: Any) -> Classifier:
    return Classifier(model_of(checkpoint, **options))
