"""Model files of every shape that export writes, and ONNX Runtime's answers: what each port has to give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint
from edge_lstm_export.export import export_fp32, untried_int8
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.vocabulary import letters_of

from edge_lstm import Classifier
from edge_lstm.answering import LABEL_JOINT
from edge_lstm.modelfile import embedded_model
from edge_lstm.text import Tokenizer
from tests.ports.texts import PIECES, TEXTS, VOCABULARY

PROJECT = Path(__file__).parents[2]
CHECKPOINT = PROJECT / "examples" / "tiny.safetensors"

# Every pooling, depth, direction, number of labels; with pairs and without; unknown words read and left out.
SHAPES: dict[str, dict[str, Any]] = {
    "seed": {"hidden": 10},
    "mean": {"pooling": "mean", "bidirectional": True, "labels": 6},
    "max-77": {"pooling": "max", "labels": 77, "pair_buckets": 50},
    "both": {"pooling": "mean+max", "pair_buckets": 300, "oov_id": None},
    "deep": {"layers": 2, "bidirectional": True, "pooling": "mean+max", "labels": 6, "pair_buckets": 70},
    "deep-last": {"layers": 3, "bidirectional": True, "length": 8},
    "narrow": {"hidden": 1, "embedding_dim": 1, "length": 1, "labels": 3, "pooling": "max"},
    "wide": {"hidden": 70, "embedding_dim": 33, "oov_id": None, "length": 601, "pooling": "mean+max"},
}

# Format 2: words, marks and pieces, n-gram vectors; alone and together.
NEW_SHAPES: dict[str, dict[str, Any]] = {
    "pieces": {"pooling": "mean+max", "bidirectional": True},
    "misspelt": {"labels": 6, "ngrams": 60, "ngram_dim": 5, "pooling": "mean+max"},
    "misspelt-none": {"oov_id": None, "length": 9},
    "pieces-none": {"oov_id": None, "labels": 77, "pooling": "max", "pair_buckets": 50, "length": 9},
    "ngrams": {"pooling": "mean+max", "ngrams": 60, "ngram_dim": 1},
    "ngrams-77": {"labels": 77, "ngrams": 90, "ngram_dim": 7, "bidirectional": True, "pooling": "mean"},
    "pairs-only": {"labels": 6, "ngrams": 40, "ngram_dim": 6, "layers": 2, "pooling": "max"},
    "singles-only": {"labels": 6, "ngrams": 40, "ngram_dim": 3, "oov_id": None},
}

# Format 3: any number of labels a text, two of them too, with the text rule of either format.
SEVERAL_SHAPES: dict[str, dict[str, Any]] = {
    "several": {
        "labels": 6,
        "several": True,
        "pooling": "mean+max",
        "bidirectional": True,
        "pair_buckets": 70,
    },
    "several-2": {"labels": 2, "several": True, "ngrams": 60, "ngram_dim": 4},
}


@dataclass(frozen=True)
class Case:
    """A model file with texts and what ONNX Runtime answers.

    answers: the labels of each text, as predict prints them; probabilities: float32 [texts, labels].
    """

    name: str
    path: Path
    texts: list[str]
    labels: tuple[str, ...]
    statuses: list[str]
    answers: list[str]
    probabilities: npt.NDArray[np.float32]


def checkpoint(length: int = 60, oov_id: int | None = 2, **settings: Any) -> Checkpoint:
    """An untrained network whose weights are large enough to matter."""
    torch.manual_seed(len(str(settings)))
    config = NetworkConfig(**{"num_words": len(VOCABULARY) + 4, "embedding_dim": 6, "hidden": 9, **settings})
    network = Network(config).eval()
    with torch.no_grad():
        network.embedding.weight.mul_(20)
        network.head.weight.mul_(3)
        network.head.bias.uniform_(-0.5, 0.5)
        if network.pairs is not None:
            network.pairs.weight[1:].normal_(0, 0.3)
    names = ("no", 'a "quoted"\u202ename', "日本語", "\\back/slash", "ß", "\u061c\u2069\u2028")
    labels = tuple(names[i] if i < len(names) else f"label {i}" for i in range(config.labels))
    return Checkpoint(network, Tokenizer(VOCABULARY, length, oov_id), labels, {"data": "none"})


def short_checkpoint(name: str, oov_id: int | None = 2, **settings: Any) -> Checkpoint:
    """A network of format 2. Its tokenizer reads marks and pieces, but for "ngrams": Keras's rule there; and
    misspelt words where the name says so."""
    made = checkpoint(oov_id=oov_id, **settings, num_words=len(VOCABULARY) + len(PIECES) + 4)
    more = tuple(f"more{i}" for i in range(len(PIECES)))
    words, pieces = (VOCABULARY, PIECES) if name != "ngrams" else (VOCABULARY + more, None)
    letters = letters_of(VOCABULARY) if name.startswith("misspelt") else ""
    tokenizer = Tokenizer(words, made.tokenizer.length, oov_id, pieces, letters)
    network = made.network
    if network.ngrams is not None:
        rng, count = np.random.default_rng(3), network.config.ngrams
        singles = {"pairs-only": 0, "singles-only": count}.get(name, count // 3)
        alone = np.sort(rng.choice(np.arange(1, tokenizer.num_ids), singles, replace=False))
        known = [i for i in range(1, tokenizer.num_ids) if i != 3]
        # The start before a word, words that the texts have side by side, a word twice.
        pairs = {(1, i) for i in known[:20]} | {(i, i) for i in known[2:30]} | {(2, 2), (9, 10), (6, 2)}
        pairs |= {(int(a), int(b)) for a, b in rng.choice(known, (300, 2))}
        chosen = sorted(pairs)[: 2 * (count - singles) : 2]
        grams = [[i, 0] for i in alone.tolist()] + [list(pair) for pair in chosen]
        network.ngrams.choose(np.array(grams, dtype=np.int64))
        network.ngrams.vectors.weight.data.mul_(10)
    return Checkpoint(network, tokenizer, made.labels, made.training)


def case(name: str, path: Path, texts: list[str]) -> Case:
    """The file at ``path`` with ONNX Runtime's answers to the texts, one at a time."""
    classifier = Classifier.load(path)
    predictions = classifier.predict(texts, batch_size=1)
    return Case(
        name,
        path,
        texts,
        classifier.labels,
        statuses=[str(answer.status) for answer in predictions],
        answers=[LABEL_JOINT.join(answer.labels) for answer in predictions],
        probabilities=np.array([[*answer.probabilities.values()] for answer in predictions], np.float32),
    )


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """fp32 and int8 files of every shape, the tiny preset's file and the embedded one."""
    folder = tmp_path_factory.mktemp("models")
    made = []
    for name, settings in {**SHAPES, **NEW_SHAPES, **SEVERAL_SHAPES}.items():
        old = name in SHAPES or name == "several"
        source = checkpoint(**settings) if old else short_checkpoint(name, **settings)
        if name in SEVERAL_SHAPES:
            source = replace(source, thresholds=(0.6, 0.3, 1.0, 0.05, 0.55, 0.9)[: len(source.labels)])
        for precision, data in (("fp32", export_fp32(source).data), ("int8", untried_int8(source))):
            path = folder / f"{name}.{precision}.onnx"
            path.write_bytes(data)
            made.append(case(path.name, path, TEXTS))
    made.append(case("tiny", tiny_file(folder), TEXTS))
    made.append(case("embedded", embedded_model(), TEXTS))
    return made


def tiny_file(folder: Path) -> Path:
    """The int8 file of examples/tiny.safetensors."""
    path = folder / "tiny.onnx"
    if not path.exists():
        path.write_bytes(untried_int8(load_checkpoint(CHECKPOINT)))
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny preset's int8 file."""
    return tiny_file(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def damaged() -> Iterator[list[tuple[str, bytes]]]:
    """Files that no port may answer with: (what is wrong, bytes)."""
    from tests.ports.damage import damaged_files

    yield damaged_files()
