"""Where a transformer comes from: a folder in the form of the Hugging Face hub, or a name on the hub.

Weights are read from safetensors only, code that comes with a model is never run, and only a name on the hub
opens a connection.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError, EdgeLSTMError
from edge_lstm.extras import needs
from edge_lstm_export.train.data import file_digest
from edge_lstm_export.train.teachers.transformer import Encoder, SequenceClassifier

# owner/name, or a name from the days before owners.
_HUB_NAME = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
_FOLDER = "a folder with config.json, tokenizer.json and model.safetensors"


def check_source(source: str) -> None:
    """Ask before an hour of training whether there is a model. Raises DataError, MissingPackageError."""
    _configuration(source)
    folder = Path(source)
    if not folder.is_dir():
        return
    if not any(folder.glob("*.safetensors")):
        unsafe = [path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".h5")]
        weights = f"weights in {unsafe[0]}, which can hold code" if unsafe else "no weights"
        raise DataError(f"{source} has {weights}; give {_FOLDER} (save_pretrained writes them)")
    if not (folder / "tokenizer.json").is_file() and not any(folder.glob("vocab*")):
        raise DataError(f"{source} has no tokenizer; save the model's tokenizer there too")


def classifier_labels(source: str) -> tuple[str, ...] | None:
    """The labels of a classifier, in the order of its outputs; None where the source is an encoder.
    DataError where it does not choose one label of several."""
    config = _configuration(source)
    if not any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        return None
    if config.num_labels < 2 or config.problem_type not in (None, "single_label_classification"):
        raise DataError(f"the teacher {source} does not choose one label of several; give an encoder")
    return tuple(str(config.id2label[i]) for i in range(config.num_labels))


def load_encoder(source: str) -> Encoder:
    """Raises DataError where it cannot be read, MissingPackageError without transformers."""
    return Encoder(*_load(source, "AutoModel"))


def load_classifier(source: str) -> SequenceClassifier:
    """Raises DataError where it cannot be read, MissingPackageError without transformers."""
    return SequenceClassifier(*_load(source, "AutoModelForSequenceClassification"))


def source_digest(source: str) -> str:
    """sha256 (hex) of a folder's configuration, tokenizer and weights; for a name on the hub, the name."""
    digest, folder = hashlib.sha256(), Path(source)
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
    # Of a model without safetensors, transformers would ask a service to convert it.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    if not Path(source).is_dir() and not _HUB_NAME.fullmatch(source):
        raise DataError(f"no teacher {source!r}: no folder, and no name on the hub; give {_FOLDER}")
    with _errors_of(source):
        return transformers.AutoConfig.from_pretrained(source, **_options(source))


def _load(source: str, kind: str) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    _configuration(source)
    import transformers

    options = _options(source)
    with _errors_of(source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, **options)
        return getattr(transformers, kind).from_pretrained(source, use_safetensors=True, **options), tokenizer


def _options(source: str) -> dict[str, bool]:
    return {"trust_remote_code": False, "local_files_only": Path(source).is_dir()}


@contextmanager
def _errors_of(source: str) -> Iterator[None]:
    """Whatever transformers raises, as a DataError of one line."""
    try:
        yield
    except EdgeLSTMError:
        raise
    except Exception as error:
        if not Path(source).is_dir():
            reason = "no such folder, and not to be had from the Hugging Face hub"
            raise DataError(f"no teacher {source!r}: {reason}; give {_FOLDER}") from None
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"cannot use the teacher in {source} ({reason}); give {_FOLDER}") from None
