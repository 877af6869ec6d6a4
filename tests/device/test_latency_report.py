"""``latency --report``: one page that shows everything and loads nothing."""

import json
from copy import deepcopy

import pytest
from model_files import SMALL
from pages import Page

from edge_lstm.cli.notes import table_lines
from edge_lstm.html import Table
from edge_lstm.latency import report as reports
from edge_lstm.latency.measure import measure
from edge_lstm.latency.result import parse_result
from edge_lstm.latency.settings import Sample, Settings

RUNS = 320  # as many as a ratio takes: five blocks


@pytest.fixture(scope="module")
def measured() -> dict:
    settings = Settings(
        models=(SMALL,), batch_sizes=(1, 4), runs=RUNS, cold_starts=1, max_warm_up_blocks=1
    )
    texts = Sample("made", tuple("good " * n for n in range(1, 65)))
    return json.loads(measure(settings, texts).dumps())


@pytest.fixture
def sweep(measured: dict) -> dict:
    return deepcopy(measured)


def report(document: dict) -> str:
    """The page of a result as it is in a file."""
    return reports.report(parse_result(json.dumps(document), "the result"))


def test_the_page_loads_and_runs_nothing_and_shows_every_part_the_warnings_first(
    sweep: dict,
) -> None:
    sweep["settings"][0]["energy"] = {
        "meter": "RAPL package-0",
        "scope": "the CPU package",
        "watts": 5.0,
        "rest_watts": 4.0,
        "joules_per_text": 0.00123,
        "above_rest_joules_per_text": 0.0007,
    }
    second = sweep["settings"][1]
    second["name"] = second["model"]["path"] = "<script>alert(1)</script>"
    sweep["warnings"] = [{"code": "hot", "text": "the CPU reached 85 °C; cool it"}]
    page = Page(report(sweep))
    assert page.loads_and_runs_nothing()
    assert page.tags.count("svg") == 1  # times by length
    assert page.text.index("85 °C") < page.text.index("per batch, ms")
    parts = "time over that of|Time by length|cold start, ms|µs for n tokens|1.23|RAPL package-0"
    shown = [one["name"] for one in sweep["settings"]]
    shown += [one["model"]["sha256"] for one in sweep["settings"]]
    for part in [*parts.split("|"), *shown]:
        assert part in page.text


@pytest.mark.parametrize(
    ("us", "shown"),
    [(99, "0.0990"), (100, "0.100"), (9990, "9.990"), (10_000, "10.00"), (1e5, "100")],
)
def test_a_time_has_about_three_significant_digits(us: float, shown: str) -> None:
    assert reports.ms(us) == shown


@pytest.mark.parametrize(("usable", "shown"), [(3, ", 3 of 4 CPUs;"), (4, ", 4 CPUs;")])
def test_the_cpus_that_may_be_used_are_counted(sweep: dict, usable: int, shown: str) -> None:
    sweep["machine"].update(cores=4, usable_cores=usable)
    assert shown in Page(report(sweep)).text


def test_percentiles_that_the_runs_suffice_for_are_not_said_to_need_more(sweep: dict) -> None:
    sweep["settings"][1]["runs"] = 100
    page = Page(report(sweep)).text
    assert "p95 needs at least 200" in page and "p90 needs" not in page


def test_a_quiet_result_without_cold_start_ratios_or_fit_is_shown_too(sweep: dict) -> None:
    sweep["settings"] = sweep["settings"][:1]
    sweep["settings"][0].update(cold_starts=[], memory=None, length_fit=None, by_text=[])
    sweep["warnings"] = []
    page = Page(report(sweep)).text
    assert "cold start" not in page and "No condition disturbed the measurement" in page


def test_names_that_are_too_long_for_a_terminal_are_cut_and_still_told_apart() -> None:
    alike = [f"{'x' * 60}{i}{'y' * 60}" for i in range(3)]
    for names in (alike, ["short", *alike], [f"{name}.onnx" for name in "abc"]):
        lines = table_lines(Table(("model", "p50"), [(name, "1.000") for name in names]))
        assert len(set(lines)) == len(names) + 1 and max(map(len, lines)) < 80
