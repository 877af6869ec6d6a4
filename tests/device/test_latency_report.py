"""``latency --report``: one page that shows everything and loads nothing."""

from dataclasses import replace

import pytest
from model_files import SMALL
from pages import Page

from edge_lstm.cli.notes import table_lines
from edge_lstm.html import Table
from edge_lstm.latency.conditions import ConditionWarning
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.measure import measure
from edge_lstm.latency.report import report
from edge_lstm.latency.result import Measurement
from edge_lstm.latency.settings import Sample, Settings

RUNS = 320  # as many as a ratio takes: five blocks


@pytest.fixture(scope="module")
def measured() -> Measurement:
    settings = Settings(
        models=(SMALL,), batch_sizes=(1, 4), runs=RUNS, cold_starts=1, max_warm_up_blocks=1
    )
    return measure(settings, Sample("made", tuple("good " * n for n in range(1, 65))))


def test_the_page_loads_and_runs_nothing_and_shows_every_part_the_warnings_first(
    measured: Measurement,
) -> None:
    first, second = measured.settings
    energy = Energy("RAPL package-0", "the CPU package", 5.0, 4.0, 0.00123, 0.0007)
    name = "<script>alert(1)</script>"
    settings = (
        replace(first, energy=energy),
        replace(second, name=name, model=replace(second.model, path=name)),
    )
    warning = ConditionWarning("hot", "the CPU reached 85 °C; cool it")
    page = Page(report(replace(measured, settings=settings, warnings=(warning,))))
    assert page.loads_and_runs_nothing()
    assert page.text.index("85 °C") < page.text.index("per batch, ms")
    parts = "time over that of|cold start, ms|µs for n tokens|1.23|RAPL package-0"
    for part in [*parts.split("|"), first.name, name, first.model.sha256]:
        assert part in page.text


def test_names_that_are_too_long_for_a_terminal_are_cut_and_still_told_apart() -> None:
    alike = [f"{'x' * 60}{i}{'y' * 60}" for i in range(3)]
    for names in (alike, ["short", *alike], [f"{name}.onnx" for name in "abc"]):
        lines = table_lines(Table(("model", "p50"), [(name, "1.000") for name in names]))
        assert len(set(lines)) == len(names) + 1 and max(map(len, lines)) < 80
