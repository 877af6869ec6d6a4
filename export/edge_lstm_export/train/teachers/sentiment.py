"""The package's own sentiment model as a teacher, where labels have to do with praise and complaint.

What it predicts of a text is one number, and a regression on the labelled texts finds what that means for the
labels at hand, whatever these are. The network begins with its LSTM, or with that of a small model of the
same texts, so that it need not learn from few rows what words make of each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_lstm import Classifier
from edge_lstm.modelfile import open_model
from edge_lstm.text import FIRST_WORD_ID, Tokenizer
from edge_lstm_export.onnx.weights import lstm_weights
from edge_lstm_export.train.data import Floats
from edge_lstm_export.train.network import Weights
from edge_lstm_export.train.plan import SENTIMENT_SHAPES
from edge_lstm_export.train.teachers.base import Regression

SMALL = Path(__file__).parents[2] / "sentiment-small.int8.onnx"
_LEAST = 1e-4  # of a probability: what is beyond says no more of how sure it is
_SCALE = 3.0  # so that a text's number is about 1 in size, as vectors of length 1 are


def sentiment_features(texts: Sequence[str]) -> Floats:
    """float32 [texts, 1]: how sure the model is of praise."""
    probabilities = Classifier.load().probabilities(texts).clip(_LEAST, 1)
    return np.asarray(np.log(probabilities[:, 1:] / probabilities[:, :1]) / _SCALE, np.float32)


def sentiment_teacher(several: bool) -> Regression:
    """The model as a teacher. several: a text may have several labels."""
    return Regression("sentiment model", sentiment_features, several)


def sentiment_weights(hidden: int, tokenizer: Tokenizer) -> tuple[Weights, Floats]:
    """What a network begins with: the LSTM's weights by PyTorch's names, and float32 [ids, E], the embedding
    of a vocabulary, NaN where nothing is known. hidden: LSTM units, of plan.SENTIMENT_SHAPES."""
    model = open_model(SMALL if hidden == SENTIMENT_SHAPES[0][1] else None)
    weights = lstm_weights(model.data)
    table = weights.pop("embedding.weight")
    vectors = np.full((tokenizer.num_ids, table.shape[1]), np.nan, np.float32)
    vectors[:FIRST_WORD_ID] = table[:FIRST_WORD_ID]
    for row, entry in enumerate((*tokenizer.words, *(tokenizer.pieces or ())), FIRST_WORD_ID):
        ids = [i for i in model.tokenizer.encode_text(entry).ids if i >= FIRST_WORD_ID]
        if ids:
            vectors[row] = table[ids].mean(axis=0)
    return weights, vectors
