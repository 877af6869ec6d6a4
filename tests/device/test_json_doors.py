"""docs/file-format.md, "JSON at every door": what a number, NaN, a repeated key and a depth are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_lstm import EdgeLSTMError
from edge_lstm.core.fields import parse_object
from edge_lstm.core.model_checks import load_json
from edge_lstm.serving.protocol import REPLY, parse_json
from edge_lstm.tables.values import RowError, json_object

DOORS: dict[str, Callable[[str], Any]] = {
    "model file": load_json,
    "row with fields": parse_object,
    "table": json_object,
    "request": lambda text: parse_json(text.encode()),
    "reply": lambda text: parse_json(text.encode(), REPLY),
}
REFUSED = object()
LONG = "9" * 21
# A value of JSON → what each door makes of it, in their order.
VALUES: dict[str, tuple[Any, ...]] = {
    "1.50": (1.5, "1.50", "1.50", "1.50", 1.5),
    LONG: (REFUSED, LONG, LONG, LONG, int(LONG)),
    "1e999": (REFUSED, "1e999", "1e999", "1e999", REFUSED),
    "NaN": (REFUSED, REFUSED, "NaN", REFUSED, REFUSED),
    "-Infinity": (REFUSED, REFUSED, "-Infinity", REFUSED, REFUSED),
    '1, "a": 2': (REFUSED, ["1", "2"], "2", REFUSED, REFUSED),
}
# The most objects inside each other.
DEPTHS = {"model file": 32, "row with fields": 32, "table": 200}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("door", DOORS)
def test_a_value_means_what_the_page_says(door: str, value: str) -> None:
    expected = dict(zip(DOORS, VALUES[value], strict=True))[door]
    text = '{"a": ' + value + "}"
    if expected is REFUSED:
        with pytest.raises((ValueError, EdgeLSTMError, RowError)):
            DOORS[door](text)
        return
    found = [each for _, each in DOORS[door](text).items()]
    assert found == (expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize("door", DOORS)
def test_a_depth_is_refused_where_the_page_says(door: str) -> None:
    def nested(deep: int) -> str:
        return '{"a":' * deep + "1" + "}" * deep

    most = DEPTHS.get(door, 500)
    assert DOORS[door](nested(most))
    with pytest.raises((ValueError, EdgeLSTMError, RowError)):
        DOORS[door](nested(most + 1 if door in DEPTHS else 100_000))


def test_the_page_says_these_depths() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "file-format.md").read_text(encoding="utf-8")
    table = page.split("## JSON at every door")[1].split("\n## ")[0]
    ends = [line.rsplit("|", 2)[1].strip() for line in table.splitlines() if line.startswith("|")]
    assert [end.split(":")[0] for end in ends[2:5]] == [str(each) for each in DEPTHS.values()]
