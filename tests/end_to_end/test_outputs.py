"""What README.md and docs/ show: commands and options that exist, a page a command, outputs of
today."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from commands import COMMANDS, help_of, parameters

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "outputs.py"))
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^ *```(\w*)[^\n]*\n(.*?)^ *```$|^((?: {4,}\S[^\n]*\n)+)", re.MULTILINE | re.DOTALL
)


def shell_commands(text: str) -> Iterator[list[str]]:
    """Words of every ``edge-lstm …`` in the code of a page, blocks and spans, up to the next | or
    &."""
    code = [
        block[2] or block[3] or ""
        for block in BLOCK.finditer(text)
        if block[1] not in ("js", "c", "python")
    ]
    code += re.findall(r"`(edge-lstm [^`]+)`", BLOCK.sub("", text))
    for block in code:
        for line in block.replace("\\\n", " ").splitlines():
            at = re.search(
                r"(?<!install )(?<!download )(?<![\w./-])(?:\S*/)?edge-lstm +(?=[a-z-])", line
            )
            if at is None:
                continue
            lexer = shlex.shlex(line[at.end() :], posix=True, punctuation_chars="|&;()<>")
            lexer.whitespace_split = True
            words: list[str] = []
            try:
                for word in lexer:
                    if word in ("|", "||", "&", "&&", ";", ")"):
                        break
                    words.append(word)
            except ValueError:  # an apostrophe of prose
                continue
            yield words


OPTIONS = {
    name: {*parameters(name), *re.findall(r"^  (-\w), ", help_of(name), re.MULTILINE)}
    for name in COMMANDS
}
OF_ALL = {"--version", "--help", "--debug", "--install-completion", "--show-completion"}


def unknown_in(text: str) -> list[str]:
    """What a page's commands name that does not exist."""
    wrong = []
    for words in shell_commands(text):
        if not words or words[0] == "COMMAND" or words[0].startswith("--"):
            wrong += [word for word in words[:1] if word.startswith("--") and word not in OF_ALL]
        elif words[0] not in OPTIONS:
            wrong.append(words[0])
        else:
            given = [word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)]
            wrong += [f"{words[0]} {o}" for o in given if o not in OPTIONS[words[0]] | OF_ALL]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_and_option_that_a_page_shows_exists(page: Path) -> None:
    assert unknown_in(page.read_text(encoding="utf-8")) == []


def test_a_command_or_option_that_does_not_exist_is_found() -> None:
    text = "```sh\nedge-lstm score a.csv --no-such -o b.csv | edge-lstm predict\n"
    text += "edge-lstm scor a\n```\n"
    wrong = ["score --no-such", "scor", "inspect --cards"]
    assert unknown_in(f"{text}or `edge-lstm inspect --cards`") == wrong


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_short_page_that_shows_it(name: str) -> None:
    page = ROOT / "docs" / "how-to" / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert any(words[0] == name for words in shell_commands(text))
    assert len(text.splitlines()) <= 80
    assert f"({name}.md)" in (page.parent / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_read_to_its_end() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110


@pytest.fixture
def rewrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs the tool on a page of this text → its text afterwards."""
    monkeypatch.setitem(TOOL["main"].__globals__, "ROOT", tmp_path)

    def call(text: str, *options: str) -> str:
        page = tmp_path / "page.md"
        page.write_text(text, encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["outputs.py", *options, str(page)])
        TOOL["main"]()
        return page.read_text(encoding="utf-8")

    return call


def test_a_page_is_written_anew(rewrite: Callable[..., str]) -> None:
    text = "# A\n\n```console\n$ echo one > f; seq 5\n…\n4\n{}\n\n$ cat f\n{}\n```\n"
    long = "\n```console long\n$ false\n```\n"
    assert rewrite(text.format(4, "two") + long) == text.format(5, "one") + long
    with pytest.raises(SystemExit, match="ended with 1"):
        rewrite(long, "--long")


@pytest.mark.parametrize(
    ("kind", "options", "old", "fails"),
    [
        (" near", [], "accuracy 90 in 2 s", False),
        (" near", ["--strict"], "accuracy 90 in 2 s", True),
        (" near", ["--strict"], "accuracy 51 in 2 s", False),
        ("", [], "accuracy 51 in 2 s", True),
        ("", [], "accuracy 50 in 2 s", False),
        (" here", ["--strict"], "anything", False),
    ],
)
def test_a_training_may_differ_on_another_cpu_and_nothing_else_but_times(
    kind: str, options: list[str], old: str, fails: bool, rewrite: Callable[..., str]
) -> None:
    text = f"```console{kind}\n$ echo accuracy 50 in 3 s\n{old}\n```\n"
    with pytest.raises(SystemExit, match="accuracy 50") if fails else nullcontext():
        assert rewrite(text, "--check", *options) == text
