"""Networks that were trained elsewhere: Keras and PyTorch models with their tokenizers.

>>> options = ImportOptions(padding="pre")
>>> found = read("model.h5", "tokenizer.pickle", options)                # doctest: +SKIP
>>> save_checkpoint(checkpoint_of(found), Path("model.safetensors"))     # doctest: +SKIP
"""

from __future__ import annotations

from edge_lstm_export.importing.checkpoint import checkpoint_of
from edge_lstm_export.importing.display import rows_of
from edge_lstm_export.importing.model import ImportedModel, ImportOptions
from edge_lstm_export.importing.reading import Imported, read

__all__ = [
    "ImportOptions",
    "Imported",
    "ImportedModel",
    "checkpoint_of",
    "read",
    "rows_of",
]
