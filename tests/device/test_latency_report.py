"""``--report``: one page that shows everything, loads nothing, and opens in a browser."""

import shutil
import subprocess
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edge_lstm.charts import milliseconds
from edge_lstm.latency import report as reports
from edge_lstm.latency.measure import measure
from edge_lstm.latency.result import Result, to_result
from edge_lstm.latency.settings import Settings
from edge_lstm.modelfile import embedded_model

pytest.importorskip("matplotlib", reason="drawing needs edge-lstm[report]")

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Tags, addresses it would load, its text, and elements that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [
            value or "" for name, value in attributes if name in ("src", "href", "xlink:href")
        ]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def sweep() -> dict:
    settings = Settings(
        models=(embedded_model(),),
        threads=(1, 2),
        batch_sizes=(1, 4),
        runs=320,
        cold_starts=1,
        warm_up_s=0,
        max_warm_up_blocks=1,
    )
    return to_result(measure(settings)).to_dict()


def report(document: dict) -> str:
    """The page of a result as it is in a file."""
    return reports.report(Result.from_dict(document, "the result"))


def test_the_page_loads_and_runs_nothing_and_is_well_formed(sweep: dict) -> None:
    page = Page(report(sweep))
    assert not page.open and not page.references
    assert not {"script", "link", "img", "iframe", "metadata"} & set(page.tags)
    assert page.tags.count("svg") == 1  # times by length


def test_every_part_is_there(sweep: dict) -> None:
    text = Page(report(sweep)).text
    for part in (
        "per batch, ms",
        "times as long as",
        "Time by length",
        "cold start, ms",
        "energy",
        "µs for n tokens",
    ):
        assert part in text
    for one in sweep["settings"]:
        assert one["name"] in text
        assert one["model"]["sha256"] in text


def test_warnings_come_first_and_a_quiet_run_says_so(sweep: dict) -> None:
    quiet, loud = deepcopy(sweep), deepcopy(sweep)
    quiet["warnings"] = []
    loud["warnings"] = [{"code": "hot", "text": "the CPU reached 85 °C; cool it"}]
    assert "No condition disturbed the measurement" in report(quiet)
    page = Page(report(loud)).text
    assert page.index("85 °C") < page.index("per batch")


def test_names_of_files_cannot_inject_markup(sweep: dict) -> None:
    hostile = deepcopy(sweep)
    for one in hostile["settings"]:
        one["name"] = one["model"]["path"] = "<script>alert(1)</script>" + one["name"]
    assert "<script" not in report(hostile)


def test_a_result_without_cold_start_ratios_or_fit_is_shown_too(sweep: dict) -> None:
    bare = deepcopy(sweep)
    bare["ratios"] = []
    bare["settings"] = bare["settings"][:1]
    one = bare["settings"][0]
    one.update(cold_starts=[], memory=None, length_fit=None)
    page = Page(report(bare))
    assert not page.open
    assert "cold start" not in page.text


def test_energy_is_shown_where_there_is_any(sweep: dict) -> None:
    with_meter = deepcopy(sweep)
    with_meter["settings"][0]["energy"] = {
        "meter": "RAPL package-0", "scope": "the CPU package", "watts": 5.0,
        "rest_watts": 4.0, "joules_per_text": 0.00123, "above_rest_joules_per_text": 0.0007,
    }  # fmt: skip
    text = Page(report(with_meter)).text
    assert "1.23" in text and "RAPL package-0" in text


@pytest.mark.skipif(BROWSER is None, reason="no chromium")
def test_a_browser_opens_it_offline(sweep: dict, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(report(sweep), encoding="utf-8")
    picture = tmp_path / "report.png"
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1140,2000",
        f"--screenshot={picture}",
        (tmp_path / "report.html").as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 50_000  # a blank page of that size has about 10 kB


@pytest.mark.parametrize(
    ("us", "label"), [(1.5, "1.5 µs"), (450.4, "450 µs"), (1500, "1.5 ms"), (2e6, "2 s")]
)
def test_times_are_labelled_with_the_unit_that_makes_them_short(us: float, label: str) -> None:
    assert milliseconds(us) == label
