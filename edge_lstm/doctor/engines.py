"""The comparison of the two engines, which must give texts the same probabilities.

ONNX Runtime runs the graph of a model file. The native engine takes the weights alone and computes
what the metadata say. A file made by hand can make the two differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edge_lstm.core.native import Native
from edge_lstm.core.onnx_runtime import OnnxRuntime

if TYPE_CHECKING:
    from edge_lstm.core.modelfile import ModelFile

_LONG = 300  # words of the longest made text
ADVICE = "do not use the file: its graph does not do what its metadata say; get another"


def both_installed() -> bool:
    """Return whether ONNX Runtime and edge-lstm-native are installed; neither is imported."""
    return all(find_spec(name) for name in (OnnxRuntime.package, Native.package))


def compare_engines(model: ModelFile) -> dict[str, Any] | None:
    """Run a model file's golden texts and some made ones with both engines.

    Return ``texts``, their number, and ``difference``, the largest of a probability; None if an
    engine cannot be imported.

    Raise ModelFileError if an engine refuses the file or gives no probabilities.
    """
    import numpy as np

    from edge_lstm.core.classifier import Classifier

    try:
        engines = [Classifier(model), Classifier(model, Native())]
    except ImportError:
        return None
    texts = [row.text for row in model.golden] + made_texts(model.tokenizer.words)
    one, other = [engine.probabilities(texts, batch_size=1) for engine in engines]
    return {"texts": len(texts), "difference": float(np.abs(one - other).max())}


def made_texts(words: Sequence[str]) -> list[str]:
    """Return texts of a vocabulary: frequent words, rare words, and words from all of it."""
    step = len(words) // 25 + 1
    longest = words[:_LONG]
    chosen = [
        words[:0],
        words[:15],
        words[-15:],
        words[::step],
        words[step // 2 :: step],
        longest,
        longest[::-1],
    ]
    return [" ".join(each) for each in chosen]
