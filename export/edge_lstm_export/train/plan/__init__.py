"""From a data set and a request to a plan."""

from __future__ import annotations

from edge_lstm_export.train.plan.decisions import Decided, make_plan
from edge_lstm_export.train.plan.defaults import MOST_UNLABELLED
from edge_lstm_export.train.plan.in_words import fields_of
from edge_lstm_export.train.plan.planning import plan_training
from edge_lstm_export.train.plan.stats import DatasetStats

__all__ = [
    "MOST_UNLABELLED",
    "DatasetStats",
    "Decided",
    "fields_of",
    "make_plan",
    "plan_training",
]
