"""The site: its reference is what the code says, its links lead somewhere, its picture is of the
model."""

from __future__ import annotations

import html
import re
import runpy
from pathlib import Path

import pytest
from commands import COMMANDS, parameters

import edge_lstm
from edge_lstm.core.modelfile import open_model
from edge_lstm.live_page import build_page

ROOT = Path(__file__).parents[2]
SITE = runpy.run_path(str(ROOT / "tools" / "site.py"))
DOCS = sorted((ROOT / "docs").rglob("*.md"))
LINKING = [*DOCS, *(ROOT / name for name in SITE["OUTSIDE"])]


def section(page: str, title: str) -> str:
    """A page's text from one heading of the second level to the next."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_in_the_reference(name: str) -> None:
    page = html.unescape(section(SITE["commands_page"](), name))
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page))
    assert {each for each in parameters(name) if each.startswith("--")} <= shown | {"--help"}


@pytest.mark.parametrize("name", [name for name in edge_lstm.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_reference_with_its_docstring(name: str) -> None:
    page = section(SITE["python_page"](), name)
    first = (getattr(edge_lstm, name).__doc__ or "").split("\n\n")[0].split()[:4]
    assert first and all(word.strip("`.,:;") in page for word in first if not word.startswith(":"))


@pytest.mark.parametrize("path", LINKING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_of_a_page_leads_nowhere(path: Path) -> None:
    SITE["relinked"](path.read_text(encoding="utf-8"), path)


def test_no_link_of_the_readme_leads_nowhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize(
    ("page", "link", "shown"),
    [
        (
            "docs/data.md",
            "[a](../benchmarks/accuracy.md#seeds)",
            "[a](benchmarks/accuracy.md#seeds)",
        ),
        (
            "docs/data.md",
            "![b](../benchmarks/results/curve.svg)",
            "![b](benchmarks/results/curve.svg)",
        ),
        ("benchmarks/accuracy.md", "[c](../docs/data.md)", "[c](../data.md)"),
        (
            "docs/index.md",
            "see [`C`](../engine) and [data](data.md#a)",
            "see `C` and [data](data.md#a)",
        ),
        ("docs/index.md", "[there](https://example.org)", "[there](https://example.org)"),
    ],
)
def test_a_link_leads_within_the_site_or_becomes_its_text(page: str, link: str, shown: str) -> None:
    assert SITE["relinked"](link, ROOT / page) == shown
    with pytest.raises(ValueError, match="leads nowhere"):
        SITE["relinked"]("[there](no-such-page.md)", ROOT / page)


def test_the_menu_has_every_page() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = set(re.findall(r"([\w/.-]+\.md)$", menu, re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in DOCS}
    assert listed == pages | {*SITE["OUTSIDE"]}


@pytest.mark.parametrize("page", SITE["PAGES"])
def test_the_reference_of_the_repository_is_that_of_the_code(page: str) -> None:
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written == SITE["PAGES"][page](), "run python tools/site.py"


@pytest.mark.parametrize(
    "words",
    re.split(
        r",\s+",
        """own Keras model, PyTorch, Android, iOS, Go, Rust, Java, .NET, Pi Zero, GPU,
        imbalance, class weights, unbalanced, multi-label, language, license, licence,
        privacy, retrain, update every week, compare before shipping, 100 GB,
        jsonl.zst, cluster, opset, operators, fixed 600, SVM, fastText, SetFit,
        transformer""",
    ),
)
def test_a_question_is_found_by_the_words_of_its_asker(words: str) -> None:
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8").lower()
    sections = page.split("\n## ")[1:]
    found = [text for text in sections if all(word in text for word in words.lower().split())]
    assert any("```sh\n" in text and "](" in text for text in found)


def test_the_live_page_of_the_site_leads_back() -> None:
    assert SITE["BACK"].count('href="index.html"') == 1
    assert "<main>" in build_page(open_model())
