"""Do the two engines give a model file's texts the same probabilities?

ONNX Runtime runs the graph. The native engine takes the weights alone and computes what the
metadata say. Whoever makes a file by hand can make the two differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edge_lstm.native import NATIVE

if TYPE_CHECKING:
    from edge_lstm.modelfile import ModelFile

_LONG = 300  # words of the longest made text
ADVICE = "do not use the file: its graph does not do what its metadata say; get another"


def both_installed() -> bool:
    """Whether ONNX Runtime and edge-lstm-native are; neither is imported."""
    return all(find_spec(name) for name in ("onnxruntime", "edge_lstm_native"))


def compare(model: ModelFile) -> dict[str, Any] | None:
    """Run a model file's golden texts and some made ones with both engines.

    → ``texts``, how many; ``difference``, the largest of a probability. None where an engine cannot
    be imported. Raises ModelFileError where one refuses the file, or gives no probabilities.
    """
    import numpy as np

    from edge_lstm.classifier import Classifier

    try:
        engines = [Classifier.from_model(model), Classifier.from_model(model, provider=NATIVE)]
    except ImportError:
        return None
    texts = [row.text for row in model.golden] + made_texts(model.tokenizer.words)
    one, other = (engine.probabilities(texts, batch_size=1) for engine in engines)
    return {"texts": len(texts), "difference": float(np.abs(one - other).max())}


def made_texts(words: Sequence[str]) -> list[str]:
    """Texts of a vocabulary: the most and the least frequent words, and words from all of it."""
    step = len(words) // 25 + 1
    chosen = [words[:15], words[-15:], words[::step], words[step // 2 :: step], words[:_LONG]]
    return ["", *(" ".join(each) for each in chosen), " ".join(reversed(words[:_LONG]))]
