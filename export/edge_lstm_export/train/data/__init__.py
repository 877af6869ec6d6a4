"""What a training learns from."""

from __future__ import annotations

from edge_lstm_export.train.data.predictions import EnsemblePredictions, Member, Predictions
from edge_lstm_export.train.data.pretrained import PretrainedWords, WordEmbeddings, english
from edge_lstm_export.train.data.rows import LabelledRows, hold_out_rows
from edge_lstm_export.train.data.training_data import TrainingData
from edge_lstm_export.train.data.transfer import TransferSet, make_transfer_set
from edge_lstm_export.train.data.vocabulary import LONGEST_WORD, choose_vocabulary

__all__ = [
    "LONGEST_WORD",
    "EnsemblePredictions",
    "LabelledRows",
    "Member",
    "Predictions",
    "PretrainedWords",
    "TrainingData",
    "TransferSet",
    "WordEmbeddings",
    "choose_vocabulary",
    "english",
    "hold_out_rows",
    "make_transfer_set",
]
