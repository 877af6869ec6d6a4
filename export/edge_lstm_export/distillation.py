"""Training a small network on a teacher's soft labels, of the training texts and of unlabelled ones.

The teacher sees the training part only: neither the labels of the validation part nor the test split
reach it, and a training text's own label does not decide its soft label (see teacher/).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.special import softmax

from edge_lstm import Classifier
from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm_export.datasets import DataOptions, read_dataset
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.datasets.sources import holds_splits
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.fit import Prepared
from edge_lstm_export.teacher import TEACHER_VERSION, SoftLabels, TeacherOptions, can_learn, soft_labels

TEACHERS = ("nb-svm",)
_KEY = "edge_lstm_soft_labels"


@dataclass(frozen=True)
class Distillation:
    """teacher: one of TEACHERS. unlabelled: a SOURCE of further texts, or None. kept: the file that keeps
    the soft labels, so that another training, or a resumed one, need not make them again. own_labels: how
    much a training text's own label counts beside the teacher's: 0 = only the teacher's, 1 = only its own.
    models: model files that label the unlabelled texts together with the teacher.
    """

    teacher: str
    unlabelled: str | None
    kept: Path
    options: TeacherOptions = field(default_factory=TeacherOptions)
    own_labels: float = 0.0
    models: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.teacher not in TEACHERS:
            raise DataError(f"no teacher {self.teacher!r}; choose one of {', '.join(TEACHERS)}")
        if not 0 <= self.own_labels <= 1:
            raise DataError(f"--own-labels must be from 0 to 1, not {self.own_labels}")


@dataclass(frozen=True)
class Taught:
    """examples: what the network learns from. soft: the teacher's labels alone, float32 [n, labels], rows as
    in the examples. provenance: how the texts were labelled."""

    examples: Examples
    soft: npt.NDArray[np.float32]
    provenance: dict[str, Any]


def read_unlabelled(source: str, data: DataOptions) -> tuple[str, ...]:
    """The texts of a source without their labels: IMDB's unlabelled part, or every text of a file.

    Raises DataError where there is none.
    """
    if holds_splits(source):
        texts = read_dataset(source, replace(data, unlabelled=True)).unlabelled
    else:
        from edge_lstm.tables import read_rows

        texts = tuple(row.text for row in read_rows([source]) if row.text)
    if not texts:
        raise DataError(f"{source} has no unlabelled text; give another --unlabelled, or leave it out")
    return texts


def can_teach(prepared: Prepared) -> bool:
    """Whether there are enough training texts for a teacher."""
    return can_learn(prepared.train.counts(len(prepared.dataset.labels)), TeacherOptions())


def teach(
    prepared: Prepared, unlabelled: Sequence[str], distillation: Distillation, say: Callable[[str], None]
) -> Taught:
    """The examples that the student learns from, and their provenance: how they were labelled.

    Texts that stand in the validation part or in the test split are left out of the unlabelled ones.
    """
    seen = {*prepared.validation.texts, *(prepared.dataset.test.texts if prepared.dataset.test else ())}
    further = [text for text in unlabelled if text not in seen]
    train = prepared.train
    key = _digest(train.texts, train.labels.tolist(), further, distillation.options.to_dict(), _made_by())
    labels = _kept(distillation.kept, key, (len(train), len(further)), len(prepared.dataset.labels))
    if labels is None:
        labels = soft_labels(
            train.texts, train.labels, further, len(prepared.dataset.labels), distillation.options, say
        )
        _keep(distillation.kept, key, labels)
    else:
        say(f"teacher: soft labels from {distillation.kept}")
    opinions = [labels.unlabelled]
    for model in distillation.models if further else ():
        say(f"teacher: {model} labels {len(further):,} unlabelled texts too")
        opinions.append(_answers(model, further, prepared.dataset.labels))
    soft = np.concatenate([labels.labelled, _together(opinions)]).astype(np.float32)
    own = distillation.own_labels
    targets = soft.copy()
    targets[: len(train)] *= 1 - own
    targets[: len(train)] += own * one_hot(train.labels, len(prepared.dataset.labels))
    examples = Examples.from_texts(prepared.tokenizer, [*train.texts, *further], targets)
    provenance = {
        "teacher": distillation.teacher,
        "unlabelled": distillation.unlabelled,
        "unlabelled_texts": len(further),
        "cross_fitted_accuracy": round(labels.accuracy, 4),
        "own_labels": own,
        "models_sha256": [file_digest(model) for model in distillation.models],
        "options": distillation.options.to_dict(),
    }
    return Taught(examples, soft, provenance)


def _answers(path: Path, texts: Sequence[str], labels: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """What a model file answers: float32 [n, labels]. DataError where its labels are other ones."""
    classifier = Classifier.load(path)
    if classifier.labels != labels:
        raise DataError(
            f"{path} answers {', '.join(classifier.labels)}, the data have {', '.join(labels)}; "
            "give a --teacher-model of these labels"
        )
    return classifier.probabilities(texts)


def _together(opinions: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Teachers' probabilities, each [n, labels] → those of the mean of their logits.

    The training texts must stay with NB-SVM's labels: a model that was trained on them knows them.
    """
    if len(opinions) == 1:
        return opinions[0]
    logs = np.mean([np.log(np.clip(opinion, 1e-6, 1)) for opinion in opinions], axis=0)
    return np.asarray(softmax(logs, axis=1), np.float32)


def _made_by() -> dict[str, Any]:
    """What soft labels depend on beside texts and options: another version may label otherwise."""
    return {"teacher": TEACHER_VERSION, "scikit-learn": sklearn.__version__, "numpy": np.__version__}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _keep(path: Path, key: str, labels: SoftLabels) -> None:
    arrays = {"labelled": labels.labelled, "unlabelled": labels.unlabelled}
    write_atomically(save(arrays, {_KEY: key, "accuracy": json.dumps(labels.accuracy)}), path, parents=True)


def check_kept(path: Path) -> None:
    """DataError where the file that would keep soft labels is somebody's other file."""
    if path.exists() and _metadata(path) is None:
        raise DataError(f"{path} holds no soft labels and would be overwritten; give another --soft-labels")


def _metadata(path: Path) -> dict[str, str] | None:
    """The metadata of a file of soft labels; None where the file is another one, or damaged."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return metadata if _KEY in metadata else None


def _kept(path: Path, key: str, rows: tuple[int, int], labels: int) -> SoftLabels | None:
    """The kept labels, or None where there are none for these texts, options and versions.

    rows: texts with and without a label.
    """
    if not path.is_file():
        return None
    metadata = _metadata(path)
    if metadata is None or metadata[_KEY] != key:
        return None
    try:
        with safe_open(path, framework="np") as file:
            parts = [file.get_tensor(name) for name in ("labelled", "unlabelled")]
        accuracy = json.loads(metadata["accuracy"])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
    for part, count in zip(parts, rows):
        if part.shape != (count, labels) or part.dtype != np.float32:
            return None
        if not np.allclose(part.sum(axis=1), 1, atol=1e-3) or not (part >= 0).all():  # NaN is neither
            return None
    return SoftLabels(parts[0], parts[1], accuracy) if isinstance(accuracy, float) else None
