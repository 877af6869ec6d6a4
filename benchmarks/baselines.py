"""A small file of edge-lstm, a linear SVM and fastText, trained on the same rows.

Each is a function of texts and their labels: a str for each text, or a set of str.
"""

from __future__ import annotations

import importlib.util
import pickle
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edge_lstm_export import TextClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from benchmarks.comparison_tools import FastText, words
from benchmarks.linear_svm import linear_svm
from edge_lstm import Classifier

Scores = npt.NDArray[np.floating[Any]]
Labels = Sequence[Any]


@dataclass(frozen=True)
class Model:
    """What was trained.

    scores: texts → float [texts, labels]. border: a label whose score is at least this is given to
        a text that may have several.
    size: bytes of its file, of the SVM compressed. classifier: of a file of edge-lstm.
    """

    labels: list[str]
    scores: Callable[[Sequence[str]], Scores]
    size: int
    border: Any = 0.5
    classifier: Classifier | None = None

    def answers(self, texts: Sequence[str]) -> npt.NDArray[np.str_]:
        """Return the label of each text that may have one."""
        return np.array(self.labels)[self.scores(texts).argmax(axis=1)]


def opened(model: TextClassifier) -> Model:
    """Return the int8 file of a training."""
    with tempfile.TemporaryDirectory() as folder:
        path = model.export(Path(folder) / "model.onnx", quantize="int8")
        classifier = Classifier.load(path)
        size = path.stat().st_size
    thresholds = classifier.model.thresholds
    border = 0.5 if thresholds is None else np.array(thresholds)
    return Model([*classifier.labels], classifier.probabilities, size, border, classifier)


def small(texts: Sequence[str], labels: Labels) -> Model:
    """Train the default."""
    return opened(TextClassifier().fit(texts, labels))


def svm(texts: Sequence[str], labels: Labels) -> Model:
    """Train a linear SVM; its scores are distances."""
    model = linear_svm()
    if isinstance(labels[0], str):
        model.fit(texts, labels)
        names = model[-1].classes_.tolist()
    else:
        binarizer = MultiLabelBinarizer().fit(labels)
        model.steps[-1] = ("svm", OneVsRestClassifier(model[-1]))
        model.fit(texts, binarizer.transform(labels))
        names = binarizer.classes_.tolist()

    def scores(asked: Sequence[str]) -> Scores:
        found = model.decision_function(asked)
        return np.stack([-found, found], axis=1) if found.ndim == 1 else found

    return Model(names, scores, len(zlib.compress(pickle.dumps(model))), 0.0)


def fasttext(texts: Sequence[str], labels: Labels) -> Model:
    """Train fastText, as its tutorial does. SystemExit says what to install."""
    if importlib.util.find_spec("fasttext") is None:
        raise SystemExit("error: no module fasttext; pip install fasttext-community")
    from fasttext import load_model

    several = not isinstance(labels[0], str)
    if several:  # a line without a label teaches nothing
        texts, labels = zip(
            *((t, " __label__".join(each)) for t, each in zip(texts, labels) if each)
        )
    with tempfile.TemporaryDirectory() as folder:
        tool = FastText("bin", loss="ova" if several else "softmax")
        tool.train([*texts], [*labels], Path(folder), "")
        path = Path(folder) / "model.bin"
        model = load_model(str(path))
        size = path.stat().st_size
    names = sorted(name.removeprefix("__label__") for name in model.get_labels())
    places = {f"__label__{name}": i for i, name in enumerate(names)}

    def scores(asked: Sequence[str]) -> Scores:
        # The list form, since the other one calls np.array(copy=False), which numpy 2 refuses.
        found = model.predict([*map(words, asked)], k=len(names))
        table = np.zeros((len(asked), len(names)), np.float32)
        for row, of_text, shares in zip(table, *found):
            row[[places[name] for name in of_text]] = shares
        return table

    return Model(names, scores, size)


TOOLS: Mapping[str, Callable[[Sequence[str], Labels], Model]] = {
    "edge-lstm `small`": small,
    "linear SVM": svm,
    "fastText": fasttext,
}
