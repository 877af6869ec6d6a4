"""Models × texts → what each of them answers, and how two of them differ: for texts with one label each
(evaluate.py) and with several (several.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.evaluation.texts import OovRate, oov_rate
from edge_lstm.metrics import Interval, McNemar, mcnemar, paired_difference_interval
from edge_lstm.modelfile import ModelFile
from edge_lstm.printable import listed, shorten

CHUNK = 1024  # texts between two reports of progress: a fifth of a second on a small device

Progress = Callable[[int], None]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one model answers.

    name: the file's name, or its path where two models have the same name.
    labels: the first model's, in its order, whatever the order in this file.
    probabilities: float32 [n, labels].
    oov: the share of the texts' words that it does not know, where that was counted.
    warnings: what its training said of its data and result, a line each.
    """

    name: str
    path: str
    sha256: str
    precision: str
    bytes: int
    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    oov: OovRate | None = None
    warnings: tuple[str, ...] = ()

    @property
    def model_json(self) -> dict[str, Any]:
        """Which model it is: plain values."""
        return {
            "name": self.name,
            "path": self.path,
            "sha256": self.sha256,
            "precision": self.precision,
            "bytes": self.bytes,
        }

    @property
    def notes_json(self) -> dict[str, Any]:
        """What to know of its figures: plain values."""
        return {"oov": self.oov and self.oov.to_json(), "training_warnings": list(self.warnings)}


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The second model against the first, on the same texts.

    difference: of the shares of texts that are answered rightly, second's - first's, with its 95 % interval
    and McNemar's test. largest_change: of any probability.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    test: McNemar
    largest_change: float


def paired(first: Answers, second: Answers, right: Bools, second_right: Bools) -> Paired:
    """right, second_right: bool [n], which texts the first and the second model answer rightly."""
    only_first, only_second = int((right & ~second_right).sum()), int((second_right & ~right).sum())
    n = len(right)
    return Paired(
        first=first.name,
        second=second.name,
        difference=(only_second - only_first) / n,
        interval=paired_difference_interval(only_first, only_second, n),
        test=mcnemar(only_first, only_second),
        largest_change=float(np.abs(first.probabilities - second.probabilities).max()),
    )


def answer(
    models: Sequence[ModelFile],
    texts: Sequence[str],
    *,
    threads: int,
    provider: str,
    batch_size: int | None,
    progress: Progress | None,
) -> tuple[list[Answers], dict[str, int]]:
    """Classifies every text with every model. → their answers, in the order of the first model's labels, and
    how many texts have which status by that model. progress: called with the number of texts that were
    classified since the last call.
    """
    first, every = models[0], []
    statuses: dict[str, int] = {}
    for model, name in zip(models, _names(models)):
        classifier = Classifier.from_model(model, threads=threads, provider=provider)
        probabilities, of_texts = _probabilities(classifier, texts, batch_size, progress)
        statuses = statuses or of_texts
        every.append(
            Answers(
                name=name,
                path=str(model.path),
                sha256=model.sha256(),
                precision=model.precision,
                bytes=len(model.data),
                labels=first.labels,
                probabilities=probabilities[:, columns(model, first)],
                oov=oov_rate(model, texts),
                warnings=tuple(map(str, model.training.get("warnings", ()))),
            )
        )
    return every, statuses


def counted(statuses: Mapping[str, int]) -> str:
    """``1,200 ok, 3 truncated``."""
    return ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))


def columns(model: ModelFile, first: ModelFile) -> list[int]:
    """Where a model has the labels of the first one, in that one's order."""
    return [model.labels.index(label) for label in first.labels]


def check_texts(models: Sequence[ModelFile], texts: Sequence[str], data: str) -> None:
    """DataError where there is no text, or the models cannot be compared."""
    if not texts:
        raise DataError(f"{data or 'the data'} holds no labelled text; give a file with at least one")
    first = models[0]
    for model in models[1:]:
        if set(model.labels) != set(first.labels):
            raise DataError(
                f"{model.path} has the labels {_listed(model.labels)}, {first.path} has "
                f"{_listed(first.labels)}; evaluate them one by one"
            )


def check_label_map(
    present: Sequence[str], known: Sequence[str], label_map: Mapping[str, str], data: str
) -> dict[str, int]:
    """The labels of the data → their indices among the model's. DataError where one has none."""
    index = {label: i for i, label in enumerate(known)}
    for theirs, ours in label_map.items():
        if ours not in index:
            raise DataError(f"the label map says {ours!r}; the model's labels are {_listed(known)}")
        if theirs not in present:
            raise DataError(f"the label map says {theirs!r}; the data's labels are {_listed(present)}")
    table = {label: index.get(label_map.get(label, label), -1) for label in present}
    unknown = [label for label in present if table[label] < 0]
    if unknown:
        example = ",".join(f"{label}=LABEL" for label in unknown[:3])
        raise DataError(
            f"{data or 'the data'} has the labels {_listed(present)}, the model has {_listed(known)}; "
            f"give a model that knows them, or say which means which: --label-map {example}"
        )
    return table


def _probabilities(
    classifier: Classifier, texts: Sequence[str], batch_size: int | None, progress: Progress | None
) -> tuple[npt.NDArray[np.float32], dict[str, int]]:
    """float32 [n, labels], and how many texts have which status."""
    encode = classifier.model.tokenizer.encode_text
    answers = np.empty((len(texts), len(classifier.labels)), dtype=np.float32)
    statuses: Counter[str] = Counter()
    for start in range(0, len(texts), CHUNK):
        encoded = [encode(text) for text in texts[start : start + CHUNK]]
        answers[start : start + CHUNK] = classifier.probabilities_of(
            [text.ids for text in encoded], batch_size=batch_size
        )
        statuses.update(text.status for text in encoded)
        if progress:
            progress(len(encoded))
    return answers, dict(statuses)


def _names(models: Sequence[ModelFile]) -> list[str]:
    short = [model.path.name for model in models]
    return [str(model.path) if short.count(name) > 1 else name for model, name in zip(models, short)]


def _listed(labels: Sequence[str]) -> str:
    return listed([shorten(label, 40) for label in labels], most=8)
