"""A changed default is noticed: each number of the tables decides at least one golden plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import golden_plans
import pytest
from edge_lstm_export.train.plan import defaults

# These decide the statistics, not the plan: tests/export/test_teachers.py tries them.
STATISTICS = {
    "UNSEGMENTED_SHARE",
    *(name for name in dir(defaults) if name.startswith("TRIAL_")),
}
# Batches are halved from 32 or 64, so that 9 means 8.
EQUIVALENT = {("SMALLEST_BATCH", "9")}
CASES = [golden_plans.read_case(name) for name in golden_plans.NAMES]


def changed(value: Any) -> Iterator[Any]:
    """Yield the value a tenth larger and a tenth smaller; a truth value turned round."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        step = max(1, value // 10)
        yield value + step
        yield value - step
    elif isinstance(value, float):
        yield value * 1.1
        yield value * 0.9
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            for other in changed(part):
                yield (*value[:i], other, *value[i + 1 :])
    elif is_dataclass(value):
        for field in fields(value):
            part = getattr(value, field.name)
            # Options that a table leaves at their defaults stand in every golden plan.
            if part != field.default:
                for other in changed(part):
                    yield replace(value, **{field.name: other})  # type: ignore[type-var]
    elif isinstance(value, Mapping):
        for name, part in value.items():
            for other in changed(part):
                yield {**value, name: other}


TABLES = [
    name
    for name, value in vars(defaults).items()
    if name.isupper() and name not in STATISTICS and not isinstance(value, str)
]


def is_noticed() -> bool:
    """Whether a plan of CASES changed. The case that noticed comes first the next time."""
    for i, case in enumerate(CASES):
        if golden_plans.plan_of(case) != case["plan"]:
            CASES.insert(0, CASES.pop(i))
            return True
    return False


@pytest.mark.parametrize("name", TABLES)
def test_a_golden_plan_notices_a_changed_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = []
    for other in changed(getattr(defaults, name)):
        with monkeypatch.context() as patch:
            patch.setattr(defaults, name, other)
            if name == "PRESETS":
                for module in ("decisions", "sizes"):
                    patch.setattr(f"edge_lstm_export.train.plan.{module}.PRESETS", other)
            if (name, str(other)) not in EQUIVALENT and not is_noticed():
                missed.append(other)
    assert not missed
