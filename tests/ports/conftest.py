"""Model files of every kind that export writes, and ONNX Runtime's answers: what each port has to
give."""

from __future__ import annotations

import fcntl
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from edge_lstm_export import TextClassifier
from edge_lstm_export.onnx.exporting import export

from edge_lstm import Classifier
from edge_lstm.core.layers import Dense, Lstm, NetworkConfig
from edge_lstm.core.text import KERAS, KERAS_FILTERS, NEVER_IN_ENTRIES, TextRule, Tokenizer
from edge_lstm.printable import LABEL_JOINT
from tests.hostile_files import DAMAGED
from tests.model_files import EMBEDDED
from tests.ports.texts import TEXTS, UNSEGMENTED, VOCABULARY

PROJECT = Path(__file__).parents[2]
sys.path.append(str(PROJECT / "engine"))  # import reference: it is in no package
sys.path.append(str(PROJECT / "tests" / "export"))  # import made
ROWS = 60
LABELS = ["neg", "pos"]
ODD_LABELS = ["no", 'a "quoted"\u202ename', "日本語", "\\back/slash", "ß", "\u061c\u2069\u202e"]
ODD_LABELS += ["a, b", "8"]  # more than a page shows of those that a text does not have
TOLERANCE = 2e-6  # of a probability, between a port and ONNX Runtime


@dataclass(frozen=True)
class Kind:
    """A training and its file. multi_label: a text may have several of the labels; spaced: its
    texts have spaces;
    length: ids of a text that the file reads."""

    preset: str
    labels: list[str]
    multi_label: bool = False
    spaced: bool = True
    length: int | None = None


KINDS = {
    "tiny": Kind("tiny", LABELS),
    "seed": Kind("seed", LABELS),
    "low-rank": Kind("tiny", [f"label {i}" for i in range(21)], length=9),
    "multi_label": Kind("tiny", ODD_LABELS, multi_label=True),
    "multi_label-2": Kind("seed", LABELS, multi_label=True),
    "unsegmented": Kind("tiny", LABELS, spaced=False),
}


# Keras's Tokenizer: unknown words are left out, and the first ids are kept.
PLAIN = TextRule(KERAS_FILTERS, start_id=None, oov_id=None, first_word_id=1, keeps="first")
# Keras's TextVectorization: the first word of its vocabulary stands for unknown ones.
VECTORIZATION = TextRule(
    "\t\n\v\f\r ",
    removed=KERAS_FILTERS.rstrip("\t\n") + "'\u2019",
    lowercase="ascii",
    start_id=None,
    oov_id=1,
    first_word_id=1,
    keeps="first",
)
AS_IT_IS = TextRule("\t\n\r\u2028\u3000", lowercase="none", oov_id=3, first_word_id=2)
NGRAMS = {"ngram_words": 60, "ngram_slots": 60, "ngram_dim": 3}


@dataclass(frozen=True)
class Layered:
    """A network of other layers than trainings make.

    begins: it has tables of first states, instead of padding before the text.
    """

    layers: tuple[Lstm | Dense, ...]
    rule: TextRule = KERAS
    settings: dict[str, Any] = field(default_factory=dict)
    begins: bool = False


STACK = (Lstm(8, True, "steps"), Lstm(7, False, "last"))
LAYERED = {
    "stacked": Layered((Lstm(9, True, "steps"), Lstm(6, False, "steps"), Lstm(5, True))),
    "stacked-plain": Layered(STACK, PLAIN, {"labels": 3}),
    "dense": Layered((*STACK, Dense(12, "relu"), Dense(5, "tanh")), KERAS, NGRAMS),
    "mean": Layered((Lstm(9, gives="mean"), Dense(4, "sigmoid")), AS_IT_IS, {"labels": 5}),
    "max": Layered((Lstm(19, True, "max", floor=-1), Dense(3, "linear")), VECTORIZATION),
    "without-lstm": Layered((), KERAS, {**NGRAMS, "embedding_dim": 0}),
    "twice": Layered((), KERAS, {**NGRAMS, "embedding_dim": 0, "ngram_counts": (1, 2)}),
    "logarithmic": Layered(
        (), KERAS, {**NGRAMS, "embedding_dim": 0, "ngram_counts": (*range(20, 35),)}
    ),
    "codes": Layered((), KERAS, {**NGRAMS, "embedding_dim": 0, "labels": 18, "ngram_dim": 18}),
    "front": Layered((Lstm(9, True, hard_sigmoid=0.2),), PLAIN, {"padding": "front"}),
    "behind": Layered((Lstm(9, True, "mean+max"),), KERAS, {"padding": "behind"}),
    "begins": Layered((Lstm(8, gives="steps"), Lstm(7, hard_sigmoid=1 / 6)), PLAIN, begins=True),
}


@dataclass(frozen=True)
class Case:
    """A model file with texts and what ONNX Runtime answers.

    answers: the labels of each text, as predict prints them; probabilities: float32 [texts,
        labels].
    """

    name: str
    path: Path
    texts: list[str]
    labels: tuple[str, ...]
    statuses: list[str]
    answers: list[str]
    probabilities: npt.NDArray[np.float32]


def trained(kind: Kind) -> TextClassifier:
    """A classifier of random words, some of which tell the label, of weights large enough to
    matter."""
    rng = random.Random(len(kind.labels))
    words = VOCABULARY if kind.spaced else UNSEGMENTED
    texts = []
    targets = []
    for row in range(ROWS):
        places = [row % len(kind.labels)]
        if kind.multi_label:
            places = [i for i in range(len(kind.labels)) if rng.random() < 0.4]
        chosen = rng.choices(words, k=rng.randint(4, 12)) + [
            words[i] for i in places for _ in range(2)
        ]
        rng.shuffle(chosen)
        texts.append((" " if kind.spaced else "").join(chosen))
        names = [kind.labels[i] for i in places]
        targets.append(set(names) if kind.multi_label else names[0])
    model = TextClassifier(kind.preset, epochs=1, teacher="none", validation=0.0).fit(
        texts, targets
    )
    with torch.no_grad():  # after one pass over 60 rows an LSTM says next to nothing
        network = model.result_.checkpoint.network
        network.embedding.weight.clamp_(-0.3, 0.3).mul_(15)
        network.head.weight.mul_(3)
    if kind.length is not None:
        checkpoint = model.result_.checkpoint
        tokenizer = replace(checkpoint.tokenizer, length=kind.length)
        model.result_ = replace(model.result_, checkpoint=replace(checkpoint, tokenizer=tokenizer))
    return model


def layered(kind: Layered, precision: str) -> bytes:
    """The file of an untrained network, with weights large enough to matter."""
    from made import checkpoint_of

    words = [word for word in VOCABULARY if not NEVER_IN_ENTRIES.search(word)]
    num_words = kind.rule.first_word_id + len(words)
    shape = {"num_words": num_words, "embedding_dim": 6, "layers": kind.layers, **kind.settings}
    checkpoint = checkpoint_of(NetworkConfig(**shape), 24, kind.rule)
    tokenizer = Tokenizer(tuple(words), 24, rule=kind.rule)
    if kind.begins:
        checkpoint.network.set_starts(checkpoint.network.padding_starts())
    checkpoint = replace(checkpoint, tokenizer=tokenizer)
    return export(checkpoint, quantize=QUANTIZE[precision]).data


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
        probabilities=np.array(
            [[*answer.probabilities.values()] for answer in predictions], np.float32
        ),
    )


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one of the test processes fills, while the others wait for it."""
    top = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        top = top.parent
    folder = top / name
    with (top / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = top / f"{name}.unfinished"
            unfinished.mkdir(exist_ok=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


QUANTIZE = {"fp32": None, "int8": "int8"}


def export_both(model: TextClassifier, folder: Path, name: str) -> None:
    """Write fp32 and int8 files of a trained model."""
    for precision, quantize in QUANTIZE.items():
        model.export(folder / f"{name}.{precision}.onnx", quantize=quantize)


def make_files(folder: Path) -> None:
    """Write fp32 and int8 files of every kind."""
    for name, kind in KINDS.items():
        export_both(trained(kind), folder, name)
    for name, shape in LAYERED.items():
        for precision in QUANTIZE:
            (folder / f"{name}.{precision}.onnx").write_bytes(layered(shape, precision))


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """fp32 and int8 files of every kind, and the package's own."""
    folder = made_once(tmp_path_factory, "models", make_files)
    names = [f"{name}.{each}.onnx" for name in (*KINDS, *LAYERED) for each in QUANTIZE]
    every = [case(name, folder / name, TEXTS) for name in names]
    return [*every, case("embedded", EMBEDDED, TEXTS)]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 file of the preset tiny, labels neg and pos."""

    def make(folder: Path) -> None:
        trained(KINDS["tiny"]).export(folder / "tiny.onnx", quantize="int8")

    return made_once(tmp_path_factory, "tiny", make) / "tiny.onnx"


@pytest.fixture(scope="session")
def damaged() -> list[tuple[str, bytes]]:
    """Files that no port may answer with: (what is wrong, bytes)."""
    return [(hostile.name, hostile.data()) for hostile in DAMAGED]
