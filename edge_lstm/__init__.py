"""edge-lstm: classify text with one small ONNX file on a low-power CPU.

>>> from edge_lstm import Classifier
>>> Classifier.load().predict(["A wonderful film."])[0].label
'pos'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier, Prediction

__version__ = "0.1.0"

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
    "__version__",
]

# Loaded when first used, so that 'edge-lstm --help' does not import onnxruntime.
_LAZY = {"Classifier": "edge_lstm.classifier", "Prediction": "edge_lstm.classifier"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
