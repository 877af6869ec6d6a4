"""edge-lstm: classify text with one small ONNX file on a low-power CPU.

>>> from edge_lstm import Classifier
>>> Classifier.load().predict(["A wonderful film."])[0].label
'pos'
"""

from __future__ import annotations

import atexit
import os
import sys

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

# ONNX Runtime reads this when it is imported. Without it, ONNX Runtime writes an identifier of the
# device and sends telemetry. Processes that are started from here inherit it. A user's own setting
# stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# As typing.TYPE_CHECKING. The import of typing would delay the handling of Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from edge_lstm.core.classifier import Classifier
    from edge_lstm.core.decide import (
        Decisions,
        MultiLabelPrediction,
        Policy,
        Prediction,
        ScorePrediction,
    )
    from edge_lstm.core.native import Native
    from edge_lstm.core.onnx_runtime import OnnxRuntime
    from edge_lstm.scoring import RunOptions, ScoreOptions, Summary, score_files
    from edge_lstm.tables import ReadOptions

# fmt: off
__all__ = [
    "CheckError",
    "Classifier",
    "DamagedModelFileError",
    "DataError",
    "Decisions",
    "EdgeLSTMError",
    "MissingPackageError",
    "ModelFileError",
    "MultiLabelPrediction",
    "Native",
    "NewerFormatError",
    "NotAModelFileError",
    "OnnxRuntime",
    "OutputError",
    "Policy",
    "Prediction",
    "ProviderError",
    "ReadOptions",
    "RunOptions",
    "ScoreOptions",
    "ScorePrediction",
    "Summary",
    "__version__",
    "score_files",
]
# fmt: on

# Loaded when first used, so that 'edge-lstm --help' does not import onnxruntime.
_LAZY = {
    "edge_lstm.core.classifier": ("Classifier",),
    "edge_lstm.core.decide": (
        "Decisions",
        "MultiLabelPrediction",
        "Policy",
        "Prediction",
        "ScorePrediction",
    ),
    "edge_lstm.core.native": ("Native",),
    "edge_lstm.core.onnx_runtime": ("OnnxRuntime",),
    "edge_lstm.scoring": ("RunOptions", "ScoreOptions", "Summary", "score_files"),
    "edge_lstm.tables": ("ReadOptions",),
}


def __getattr__(name: str) -> Any:
    """Import a name of _LAZY."""
    from importlib import import_module

    for module, names in _LAZY.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _end() -> None:
    """Let no more runs of models begin, and wait for the others."""
    module = sys.modules.get("edge_lstm.system.ending")
    if module is not None:
        module.gate.close()


# Registered here, before the module is loaded: functions that are registered later run earlier, and
# may still predict.
atexit.register(_end)
