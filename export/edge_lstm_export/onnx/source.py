"""Model files that a training reads: their digests, and the package's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_lstm.core.modelfile import ModelFile, embedded_model, open_model
from edge_lstm.errors import DataError
from edge_lstm_export.checkpoint import is_checkpoint, load_checkpoint
from edge_lstm_export.digests import file_digest
from edge_lstm_export.onnx.draft import model_of
from edge_lstm_export.options import SENTIMENT, SMALL_SENTIMENT, SourceFile

PACKAGED = {
    SENTIMENT: embedded_model(),
    SMALL_SENTIMENT: Path(__file__).parents[1] / "sentiment-small.int8.onnx",
}


def open_source(file: SourceFile) -> ModelFile:
    """Open a model of a plan: a model file, or a checkpoint as the model file that it makes.

    Raise DataError, ModelFileError; DataError if it was changed.
    """
    path = PACKAGED.get(file.source, Path(file.source))
    if is_checkpoint(path):
        model = replace(model_of(load_checkpoint(path)), path=path)
    else:
        model = open_model(path)
    if file.sha256 and file_digest(path) != file.sha256:
        raise DataError(f"{file.source} was changed after the plan was made; make the plan again")
    return model


def source_file(source: str) -> tuple[SourceFile, ModelFile]:
    """Open a model, and return it as a plan names it too: with its digest, unless it is packaged.

    Raise DataError, ModelFileError if it cannot be read.
    """
    file = SourceFile(source)
    model = open_source(file)
    if source not in PACKAGED:
        file = replace(file, sha256=file_digest(Path(source)))
    return file, model
