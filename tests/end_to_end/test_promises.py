"""The register of promises is whole: what the pages promise is in it, and its breaks apply.

``make breaks`` shows that each break turns its test red; here is what takes no time.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from tools.breaks import REGISTER, Break, breaks_of, load  # noqa: E402

REGISTERED = load(REGISTER)
ROOMS = load(ROOT / "tests" / "rooms.toml")
BREAKS = list(breaks_of(REGISTERED))
# Each of their sentences with one of these words promises something, and so does each row of the
# README's table of promises.
PAGES = ["README.md", "SECURITY.md", "docs/stability.md"]
PROMISING = re.compile(
    r"\b(never|always|nothing|cannot|refuses?|refused|promises?|guarantees?|stays?|"
    r"same (bits|bytes|answers?))\b",
    re.IGNORECASE,
)


@cache
def sections(page: str, *, commands: bool = True) -> dict[str, str]:
    """The text under each heading of a page on one line, with the blocks of commands or not."""
    texts: dict[str, list[str]] = {}
    heading = ""
    in_block = False
    for line in (ROOT / page).read_text("utf-8").splitlines():
        if line.lstrip().startswith("```"):
            in_block = not in_block
        elif not in_block and (found := re.match(r"#+ (.+)", line)):
            heading = found[1]
        elif commands or not in_block:
            texts.setdefault(heading, []).extend(line.split())
    return {name: " ".join(words) for name, words in texts.items()}


def sentences(text: str) -> Iterator[str]:
    """Each sentence of at least three words, of lines and of cells of tables."""
    for cell in re.split(r"(?:^|(?<=\s))\|(?:\s|$)", text):
        for part in re.split(r"(?<=[.;])\**\s+|(?<=:) (?=[A-Z])", cell):
            if len(part.split()) > 2:
                yield part.strip()


def quotes() -> list[tuple[str, str, str]]:
    """Page, heading and quoted words of each sentence in the register."""
    quoted = [tuple(each) for promise in REGISTERED["promise"] for each in promise["pages"]]
    return [*quoted, *((*each["at"], each["says"]) for each in REGISTERED.get("unbroken", []))]


@pytest.mark.parametrize("page", PAGES)
def test_each_sentence_that_promises_is_in_the_register(page: str) -> None:
    registered = quotes()
    missing = [
        f"{page}, {heading}: {sentence}"
        for heading, text in sections(page, commands=False).items()
        for sentence in sentences(text)
        if PROMISING.search(sentence)
        if not any(
            (where, under) == (page, heading) and (words in sentence or sentence in words)
            for where, under, words in registered
        )
    ]
    assert not missing, "\n".join(missing)


def test_each_quoted_sentence_stands_on_its_page_under_its_heading() -> None:
    gone = [
        each for each in quotes() if " ".join(each[2].split()) not in sections(each[0])[each[1]]
    ]
    assert not gone


@cache
def functions(module: str) -> list[str]:
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / module).read_text("utf-8"))
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: each.promise)
def test_a_break_applies_and_its_test_exists(each: Break) -> None:
    broken = each.applied((ROOT / each.file).read_text("utf-8"))
    if each.file.endswith(".py"):
        ast.parse(broken)
    module, _, test = each.test.partition("::")
    assert not test or test.partition("[")[0].rpartition("::")[2] in functions(module), each.test


def test_a_promise_is_registered_once() -> None:
    names = [promise["promise"] for promise in REGISTERED["promise"]]
    assert len(names) == len({*names})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_its_files_and_tests(room: str) -> None:
    assert all((ROOT / name).exists() for name in [*ROOMS[room]["files"], *ROOMS[room]["tests"]])
