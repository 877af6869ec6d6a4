"""The workstation side of edge-lstm: train and export.

>>> from edge_lstm_export import TextClassifier                              # doctest: +SKIP
>>> model = TextClassifier(preset="small").fit(texts, labels)                # doctest: +SKIP
>>> model.export("tickets.onnx", quantize="int8")                            # doctest: +SKIP

Importing this package is cheap: torch, scikit-learn and onnx are imported when a name is first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_lstm._version import __version__

if TYPE_CHECKING:
    from edge_lstm_export.estimator import TextClassifier
    from edge_lstm_export.options import Plan, TrainingRequest
    from edge_lstm_export.train.job import Columns
    from edge_lstm_export.train.plan import DatasetStats, make_plan
    from edge_lstm_export.train.run import train_files, train_questions

__all__ = [
    "Columns",
    "DatasetStats",
    "Plan",
    "TextClassifier",
    "TrainingRequest",
    "__version__",
    "make_plan",
    "train_files",
    "train_questions",
]
_MODULES = {
    "TextClassifier": "edge_lstm_export.estimator",
    "train_files": "edge_lstm_export.train.run",
    "train_questions": "edge_lstm_export.train.run",
    "Columns": "edge_lstm_export.train.job",
    "DatasetStats": "edge_lstm_export.train.plan.stats",
    "Plan": "edge_lstm_export.options",
    "TrainingRequest": "edge_lstm_export.options",
    "make_plan": "edge_lstm_export.train.plan.decisions",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
