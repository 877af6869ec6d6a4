"""Networks that were trained elsewhere: Keras and PyTorch models with their tokenizers.

>>> options = ImportOptions(padding="pre")
>>> found = from_keras("model.h5", "tokenizer.pickle", options)  # doctest: +SKIP
>>> save(found, "model.safetensors")                             # doctest: +SKIP
"""

from __future__ import annotations

from edge_lstm_export.importing.checkpoint import save
from edge_lstm_export.importing.model import ImportedModel, ImportOptions
from edge_lstm_export.importing.reading import Imported, from_keras, from_torch, read

__all__ = ["ImportOptions", "Imported", "ImportedModel", "from_keras", "from_torch", "read", "save"]
