"""The built site in headless Chromium: what people type is found, and no code is cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports.chromium import CHROMIUM, Chromium, served
from tests.ports.conftest import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no chromium")]
# What is typed, and the beginnings of the pages of which one is first or second.
TYPED = """
license: faq | imbalance: faq | stream: how-to/streams | regression: faq | embeddings: when-not
React Native: faq | named entities: when-not | keras lstm: how-to/import | int8: how-
raspberry pi: devices/raspberry-pi | batch: faq how-to/ | threshold: how-to/evaluate scoring
gpu: faq | svm: faq when-not comparison | fasttext: faq when-not comparison | setfit: when-not
multi-label: faq data | docker: how-to/integrations | fastapi: how-to/integrations | ray: scoring
sqlite: how-to/sql | duckdb: how-to/tables | spark: how-to/pipelines | pandas: how-to/notebooks
scikit-learn: how-to/notebooks | opset: faq | webassembly: ports | microcontroller: ports
privacy: faq | telemetry: SECURITY | calibration: how-to/evaluate | csv: tutorial how-to/
out of distribution: faq scoring | parquet: how-to/score scoring | openai: how-to/decisions-api
http server: how-to/serve | rest api: how-to/serve | retrain: faq | install: tutorial devices/
quantization: how-it-works how-to/ | android: faq | rust: faq | latency: how-to/latency latency
long texts: faq scoring | resume: faq how-to/ | encoding: scoring | dates: faq how-to/fields
hugging face: how-to/tables | similarity: when-not | few labels: tutorial | sentiment: data models/
active learning: how-to/suggest | bert: when-not | energy: how-to/latency latency
"""
QUESTIONS = dict(
    part.split(": ") for line in TYPED.strip().splitlines() for part in line.split(" | ")
)
FOUND = "[...document.querySelectorAll('.md-search-result__item')]"
FOUND += ".map(item => new URL(item.querySelector('a').href).pathname)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does."""
    python = PROJECT / ".venv-docs" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        pytest.skip("no .venv-docs: run make docs")
    folder = tmp_path_factory.mktemp("site")
    command = [python, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    subprocess.run(command, cwd=PROJECT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    return folder


@pytest.fixture(scope="module")
def browser(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser of 1,280 pixels on the home page, whose search has its words."""
    with served(site=site) as address, Chromium(tmp_path_factory.mktemp("profile")) as browser:
        browser.look(1280)
        browser.open(f"{address}/site/index.html")
        browser.run("document.querySelector('label[for=__search]').click()")
        browser.wait(f"{found_for('lstm')}.length > 0")
        yield browser


def found_for(words: str) -> str:
    """An expression: the paths of what is found, after the words are typed in."""
    typed = f"""(() => {{
        const box = document.querySelector('.md-search__input');
        if (box.value !== {json.dumps(words)}) {{
            document.querySelector('.md-search-result__list').innerHTML = '';
            box.value = {json.dumps(words)};
            box.dispatchEvent(new Event('keyup', {{bubbles: true}}));
        }}
        return {FOUND};
    }})()"""
    return " ".join(typed.split())


@pytest.mark.parametrize("words", QUESTIONS)
def test_what_people_type_is_found_first_or_second(browser: Chromium, words: str) -> None:
    browser.wait(f"{found_for(words)}.length > 0", 20)
    first = [path.removeprefix("/site/") for path in browser.run(FOUND)[:2]]
    wanted = tuple(QUESTIONS[words].split())
    assert any(path.startswith(wanted) for path in first), first


def test_no_code_is_cut_and_no_page_is_wider_than_the_window(site: Path, browser: Chromium) -> None:
    cut = "[...document.querySelectorAll('pre > code')]"
    cut += ".filter(code => code.scrollWidth > code.clientWidth + 1).length"
    address = browser.run("location.origin")
    pages = [path.relative_to(site).as_posix() for path in sorted(site.rglob("index.html"))]
    assert len(pages) > 40
    for page in pages:
        browser.open(f"{address}/site/{page}")
        assert browser.run(cut) == 0, page
        assert browser.run("document.documentElement.scrollWidth") <= 1280, page
