"""Where a transformer comes from: a folder in the form of the Hugging Face hub, or a name on the hub.

Weights are read from safetensors only, and code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError, EdgeLSTMError
from edge_lstm.extras import needs
from edge_lstm.printable import shorten
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.teacher.transformer import Encoder, ReadyClassifier

# owner/name, or a name from the days before owners.
_HUB_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)


def check_source(source: str) -> None:
    """Asked before an hour of training: whether there is a model in a folder, or of a name on the hub.

    Raises DataError and MissingPackageError.
    """
    _configuration(source)
    folder = Path(source)
    if not folder.is_dir():
        return
    if not any(folder.glob("*.safetensors")):
        old = next(
            (path.name for pattern in ("*.bin", "*.pt", "*.h5") for path in folder.glob(pattern)), None
        )
        found = f"weights in {old}, which can hold code" if old else "no weights"
        raise DataError(
            f"{source} has {found}; give a folder with model.safetensors "
            "(transformers' save_pretrained writes it)"
        )
    if not (folder / "tokenizer.json").is_file() and not any(folder.glob("vocab*")):
        raise DataError(f"{source} has no tokenizer; save the model's tokenizer there too")


def classifier_labels(source: str) -> tuple[str, ...] | None:
    """The names of a classifier's labels, in its order; None where the source is an encoder.

    Raises DataError where it answers something else than one of several labels.
    """
    config = _configuration(source)
    if not any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        return None
    if config.num_labels < 2 or config.problem_type not in (None, "single_label_classification"):
        raise DataError(
            f"the teacher {source} does not choose one label of several; give a classifier that does, "
            "or an encoder"
        )
    return tuple(str(config.id2label[i]) for i in range(config.num_labels))


def load_classifier(source: str, labels: Sequence[str], names: Mapping[str, str]) -> ReadyClassifier:
    """A classifier that answers with ``labels``, in their order. names: its label → the data's, where they
    differ. Raises DataError where a label is unknown to it."""
    known = classifier_labels(source) or ()
    for name in names:
        if name not in known:
            raise DataError(
                f"the teacher {source} has no label {name!r}; it has {', '.join(map(shorten, known))}"
            )
    renamed = [names.get(name, name) for name in known]
    missing = [label for label in labels if label not in renamed]
    if missing:
        raise DataError(
            f"the teacher {source} does not know the label {shorten(missing[0])}, its labels are "
            f"{', '.join(map(shorten, known))}; say which is which: "
            f"--teacher-labels {shorten(known[0])}={shorten(labels[0])},…"
        )
    import transformers

    with _said_of(source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False
        )
    return ReadyClassifier(model, tokenizer, [renamed.index(label) for label in labels])


def load_encoder(source: str, labels: int) -> Encoder:
    """A folder in the form of the Hugging Face hub, or a name on the hub, with a fresh head for ``labels``.

    Raises DataError where there is none or it cannot be used, MissingPackageError without transformers.
    """
    _configuration(source)
    import transformers

    with _said_of(source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
        encoder = transformers.AutoModel.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False
        )
    return Encoder(encoder, tokenizer, labels)


def source_digest(source: str) -> str:
    """sha256 (hex) of a folder's configuration, tokenizer and weights; for a name on the hub, the name."""
    digest = hashlib.sha256()
    folder = Path(source)
    if not folder.is_dir():
        return f"hub: {source}"
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")):
        try:
            digest.update(f"{path.name} {file_digest(path)}".encode())
        except OSError as error:
            raise DataError(f"cannot read {path} ({error.strerror}); give another --teacher") from None
    return digest.hexdigest()


def _configuration(source: str) -> Any:
    with needs("transformers", "a transformer as teacher"):
        import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it counts its retries aloud
    if not Path(source).is_dir() and not _HUB_NAME.fullmatch(source):
        raise DataError(
            f"no teacher {source!r}: no folder, and no name on the Hugging Face hub; "
            "give nb-svm, embedded, or a folder with config.json, tokenizer.json and model.safetensors"
        )
    with _said_of(source):
        return transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)


@contextmanager
def _said_of(source: str) -> Iterator[None]:
    """What transformers raises, which may be anything, as a DataError of one line."""
    try:
        yield
    except EdgeLSTMError:
        raise
    except Exception as error:
        raise _refused(source, error) from None


def _refused(source: str, error: Exception) -> DataError:
    if Path(source).is_dir():
        reason = " ".join(str(error).split())[:160]
        return DataError(
            f"cannot use the teacher in {source} ({reason}); give a folder with config.json, tokenizer.json "
            "and model.safetensors"
        )
    return DataError(
        f"no teacher {source!r}: no such folder, and not to be had from the Hugging Face hub; "
        "give nb-svm, embedded, or a folder that holds the model"
    )
