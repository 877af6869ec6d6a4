"""An export rounds as the plan of its checkpoint says."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from edge_lstm_export.onnx.export import export
from edge_lstm_export.options import RoundingOptions
from made import make_checkpoint

from edge_lstm.errors import DataError


def rounded_by(shape: dict[str, Any], **options: Any) -> bytes:
    """Return the int8 file of an untrained network whose plan has these options."""
    plan = {"rounding": {**asdict(RoundingOptions()), **options}}
    checkpoint = replace(make_checkpoint(**shape), plan=plan)
    return export(checkpoint, quantize="int8").data


TOPICS = {"hidden": 0, "embedding_dim": 0, "ngram_words": 196, "ngram_dim": 20, "labels": 20}


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ({"embedding_dim": 16, "hidden": 4}, {"passes": 1}),
        (TOPICS, {"book_passes": 1}),
        (TOPICS, {"book_sample": 300}),
    ],
)
def test_an_export_rounds_as_the_plan_of_its_checkpoint_says(
    shape: dict[str, Any], options: dict[str, Any]
) -> None:
    usual = export(replace(make_checkpoint(**shape), plan={"kind": "short"}), quantize="int8").data
    assert rounded_by(shape) == usual
    assert rounded_by(shape, **options) != usual


def test_an_export_refuses_a_plan_that_it_cannot_round_by() -> None:
    with pytest.raises(DataError, match="checkpoint's plan, rounding: passes must be from 1 to"):
        rounded_by({}, passes=0)
