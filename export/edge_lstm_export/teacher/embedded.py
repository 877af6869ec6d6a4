"""The embedded model as a teacher: few rows of praise and complaint need not learn anew what 75,000 film
reviews have taught it.

What it says of a text is one number; what that means of the labels at hand, a regression on the rows finds
out. So labels of any name and number can use it, and none has to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import load_model, numpy_helper

from edge_lstm import Classifier
from edge_lstm.modelfile import embedded_model, open_model
from edge_lstm.text import FIRST_WORD_ID, spaceless
from edge_lstm_export.pretrained import PretrainedWords
from edge_lstm_export.teacher.labels import Floats

_LEAST = 1e-4  # of a probability: what is beyond says no more of how sure it is
_SCALE = 3.0  # so that a text's number is about 1 in size, as vectors of length 1 are


def sentiments(texts: Sequence[str]) -> Floats:
    """float32 [texts, 1]: the logit of the embedded model's second label, by 3."""
    found = Classifier.load().probabilities(texts).clip(_LEAST, 1)
    return np.asarray(np.log(found[:, 1:] / found[:, :1]) / _SCALE, np.float32)


def words() -> PretrainedWords:
    """Its words, and the vectors that it reads for them."""
    tokenizer = open_model().tokenizer
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in load_model(embedded_model()).graph.initializer
    }
    table = stored["embedding"].astype(np.float32) * stored["embedding_scale"]
    known = [
        (word, FIRST_WORD_ID + i)
        for i, word in enumerate(tokenizer.words)
        if len(word) > 1 and word.isalpha() and not spaceless(word)
    ]
    return PretrainedWords(
        tuple(word for word, _ in known),
        table,
        np.array([i for _, i in known], np.int64),
        lambda asked: [list(tokenizer.encode_text(word).ids)[1:] for word in asked],
    )
