"""edge-lstm: classify text with one small ONNX file on a low-power CPU.

>>> from edge_lstm import Classifier
>>> Classifier.load().predict(["A wonderful film."])[0].label
'pos'
"""

from __future__ import annotations

import os

from edge_lstm._version import __version__
from edge_lstm.errors import (
    CheckError,
    DamagedModelFileError,
    DataError,
    EdgeLSTMError,
    MissingPackageError,
    ModelFileError,
    NewerFormatError,
    NotAModelFileError,
    OutputError,
    ProviderError,
)

# ONNX Runtime reads it when it is imported, and without it writes an identifier of the device and sends
# telemetry. Processes that are started from here get it too; a user's own setting stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False  # as in typing, whose import would delay the moment from which Ctrl-C is heard
if TYPE_CHECKING:
    from typing import Any

    from edge_lstm.classifier import Classifier, Prediction, SeveralPrediction
    from edge_lstm.scoring import RunOptions, ScoreOptions, Summary, score_files
    from edge_lstm.scoring.rows import ScoredRow, score
    from edge_lstm.tables import ReadOptions

__all__ = [
    "CheckError",
    "Classifier",
    "DamagedModelFileError",
    "DataError",
    "EdgeLSTMError",
    "MissingPackageError",
    "ModelFileError",
    "NewerFormatError",
    "NotAModelFileError",
    "OutputError",
    "Prediction",
    "ProviderError",
    "ReadOptions",
    "RunOptions",
    "ScoreOptions",
    "ScoredRow",
    "SeveralPrediction",
    "Summary",
    "__version__",
    "score",
    "score_files",
]

# Loaded when first used, so that 'edge-lstm --help' does not import onnxruntime.
_LAZY = {
    "ReadOptions": "edge_lstm.tables",
    "RunOptions": "edge_lstm.scoring",
    "ScoreOptions": "edge_lstm.scoring",
    "ScoredRow": "edge_lstm.scoring.rows",
    "Classifier": "edge_lstm.classifier",
    "Prediction": "edge_lstm.classifier",
    "SeveralPrediction": "edge_lstm.classifier",
    "Summary": "edge_lstm.scoring",
    "score": "edge_lstm.scoring.rows",
    "score_files": "edge_lstm.scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
