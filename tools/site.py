"""The documentation as a site: what MkDocs asks of it (``hooks`` of mkdocs.yml). ``make docs``
builds it.

Each build makes the live page from the embedded model. ``python tools/site.py`` writes the
reference, docs/reference/, from commands and docstrings. Measurements come from ``benchmarks/`` as
they are. Links to files of the repository that are no pages become their names; a link that leads
nowhere stops the build.
"""

from __future__ import annotations

import html
import inspect
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "export")]

# From this checkout: MkDocs takes the folders off the path again.
import edge_lstm  # noqa: E402
from edge_lstm import cli  # noqa: E402
from edge_lstm.core.modelfile import open_model  # noqa: E402
from edge_lstm.live_page import build_page  # noqa: E402
from edge_lstm.sqlite import register  # noqa: E402

_LINK = re.compile(r"(!?)\[((?:[^\]\\]|\\.)*)\]\(([^)#\s]+)(#[^)]*)?\)")


def commands_page() -> str:
    """The reference of all commands, Markdown."""
    parts = [
        "# Commands",
        "`edge-lstm COMMAND --help` shows the same in the terminal.",
        (
            "Results go to standard output; an error is one line on standard error, and the exit "
            "code 1."
        ),
    ]
    for name, entry in cli.COMMANDS.items():
        parts += _command(name, entry)
    return "\n\n".join(parts) + "\n"


def _command(name: str, entry: cli.CommandEntry) -> Iterator[str]:
    command = cli._command(
        name, import_module(f"{entry.package}.cli.{name}").command, entry.summary
    )
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"## {name}"
    usage = " ".join(part for part in command.collect_usage_pieces(context) if part)
    yield f"```text\nedge-lstm {name} {usage}\n```"
    if entry.package == cli.WORKSTATION:
        yield "On a workstation, with the extra `train`: in a clone `pip install '.[train]'`."
    yield from _paragraphs(command.help or "")
    records = filter(
        None, (parameter.get_help_record(context) for parameter in command.get_params(context))
    )
    rows = [f"| `{_cell(name)}` | {_cell(_plain(text))} |" for name, text in records]
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows])


def python_page() -> str:
    """The reference of the Python API, Markdown."""
    parts = [
        "# Python",
        (
            "These are the public names of `edge_lstm`, and one of `edge_lstm.sqlite`. Everything "
            "else may change in any version."
        ),
    ]
    for name in sorted(edge_lstm.__all__, key=_rank):
        thing = getattr(edge_lstm, name)
        if inspect.isclass(thing):
            parts += _class(name, thing)
        elif callable(thing):
            parts += _function(f"edge_lstm.{name}", f"## {name}", thing)
    parts += _function("edge_lstm.sqlite.register", "## sqlite.register", register)
    from edge_lstm_export import TextClassifier

    parts.append("The workstation's package, `edge_lstm_export`, trains:")
    parts += _class("TextClassifier", TextClassifier)
    return "\n\n".join(parts) + "\n"


def _rank(name: str) -> tuple[bool, bool, str]:
    """First what is called, then what it gives, then errors."""
    thing = getattr(edge_lstm, name)
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    return is_error, name not in ("Classifier", "score", "score_files"), name


def _class(name: str, thing: type) -> Iterator[str]:
    yield f"## {name}"
    if issubclass(thing, Exception):
        bases = ", ".join(f"`{base.__name__}`" for base in thing.__bases__)
        yield f"A subclass of {bases}."
    yield from _paragraphs(inspect.getdoc(thing) or "")
    for member, value in vars(thing).items():
        raw = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if member.startswith("_") or not inspect.getdoc(raw):
            continue
        if isinstance(raw, property):
            yield f"### {name}.{member}"
            yield from _paragraphs(inspect.getdoc(raw) or "")
        elif inspect.isfunction(raw):
            called = (
                name
                if isinstance(value, classmethod | staticmethod)
                else name[0].lower() + name[1:]
            )
            yield from _function(f"{called}.{member}", f"### {name}.{member}", raw)


def _function(called: str, heading: str, function: Any) -> Iterator[str]:
    signature = inspect.signature(function)
    lines: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "    *," not in lines:
            lines.append("    *,")
        if parameter.name not in ("self", "cls"):
            # annotations are strings
            lines.append(re.sub(r": '([^']*)'", r": \1", f"    {parameter},"))
    inside = "\n" + "\n".join(lines) + "\n" if lines else ""
    gives = signature.return_annotation
    arrow = "" if gives is inspect.Signature.empty else f" -> {gives}"
    yield heading
    yield f"```python\n{called}({inside}){arrow}\n```"
    yield from _paragraphs(inspect.getdoc(function) or "")


def _paragraphs(docstring: str) -> Iterator[str]:
    """A docstring as Markdown: its paragraphs, ``name: what it is`` lines as a list."""
    for block in re.split(r"\n\s*\n", _plain(inspect.cleandoc(docstring))):
        lines = block.splitlines()
        if block.startswith(">>>"):
            yield f"```python\n{block}\n```"
        elif re.match(r"[a-z_]\w*(, [a-z_]\w*)*: ", lines[0] if lines else ""):
            items: list[str] = []
            for line in lines:
                named = re.match(r"((?:[a-z_]\w*)(?:, [a-z_]\w*)*): (.*)", line)
                if named and not line.startswith(" "):
                    items.append(f"- `{named[1]}`: {named[2]}")
                else:
                    items[-1] += " " + line.strip()
            yield "\n".join(items)
        elif lines:
            yield " ".join(line.strip() for line in lines)


def _plain(text: str) -> str:
    """reStructuredText's marks → Markdown's."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    text = text.replace("``", "`")
    return re.sub(r"<(?=[a-z])", "&lt;", text)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("[", "\\[").replace("__", r"\_\_")


# Of the repository outside docs/: pages and pictures of the site, there under the same name.
OUTSIDE = (
    "benchmarks/README.md",
    "benchmarks/accuracy.md",
    "benchmarks/abstention.md",
    "benchmarks/compiled_decisions.md",
    "benchmarks/decision_models.md",
    "benchmarks/decisions.md",
    "benchmarks/devices.md",
    "benchmarks/engine.md",
    "benchmarks/fields.md",
    "benchmarks/public_sets.md",
    "benchmarks/rows.md",
    "benchmarks/scoring.md",
    "benchmarks/sentences.md",
    "benchmarks/standard.md",
    "benchmarks/streams.md",
    "engine/vectors.md",
    "tests/README.md",
    "SECURITY.md",
)
PICTURES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.svg"))
)
# Of the search: the beginning of a page's name → how much a word in it counts.
BOOSTS = {
    "benchmarks/rows": 2,
    "faq": 4,
    "when-not": 4,
    "how-to/": 2,
    "benchmarks/": 0.2,
    "engine/": 0.1,
    "tests/": 0.1,
    "models/": 0.01,
    "reference/": 0.3,
    "stability": 0.3,
    "file-format": 0.3,
}
# Pages of docs/ that are made of the code: page → text.
PAGES = {"reference/commands.md": commands_page, "reference/python.md": python_page}
# The page of "edge-lstm page", with the embedded model.
LIVE_PAGE = "demo.html"
BACK = '<nav class="muted"><a href="index.html" style="color: inherit">← edge-lstm</a></nav>'


def place(path: Path) -> str | None:
    """Where a file of the repository is on the site; None where it is not part of it."""
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    return name if name in (*OUTSIDE, *PICTURES) else None


def relinked(markdown: str, page: Path) -> str:
    """The text of a page with links that the site can follow. ValueError where one leads nowhere.

    page: where the text is, in the repository.
    """
    here = place(page)
    assert here is not None

    def replaced(link: re.Match[str]) -> str:
        picture = link[1]
        text = link[2]
        target = link[3]
        anchor = link[4] or ""
        if re.match(r"[a-z]+:", target):
            return link[0]
        path = Path(os.path.normpath(page.parent / target))
        there = place(path)
        if there != LIVE_PAGE and not path.exists():
            raise ValueError(f"{page.relative_to(ROOT)}: the link {target} leads nowhere")
        if there is None:
            return text
        return f"{picture}[{text}]({os.path.relpath(there, Path(here).parent)}{anchor})"

    return _LINK.sub(replaced, markdown)


def on_config(config: Any) -> Any:
    """MkDocs: the version in the header, and the repository's address if the package or the CI
    names one.
    """
    config.site_name = f"edge-lstm {edge_lstm.__version__}"
    named = metadata("edge-lstm").get_all("Project-URL") or ()
    address = dict(url.split(", ", 1) for url in named).get("Repository")
    if address is None and "GITHUB_REPOSITORY" in os.environ:
        address = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    config.repo_url = address
    config.repo_name = config.repo_url and "Repository"
    return config


def on_files(files: Any, config: Any) -> Any:
    """MkDocs: the live page and the measurements, in addition to the pages of docs/."""
    from mkdocs.structure.files import File

    live_page = build_page(open_model(), "Film reviews").replace("<main>", f"<main>\n{BACK}", 1)
    files.append(File.generated(config, LIVE_PAGE, content=live_page))
    for name in (*OUTSIDE, *PICTURES):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def _bar_in_code(code: re.Match[str]) -> str:
    return f"<code>{html.escape(code[1], quote=False)}</code>".replace("\\|", "&#124;")


def _of_readme(name: re.Match[str]) -> str:
    """A section of README.md, or its first block, for a page of docs/. ValueError if it is not
    there.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pattern = rf"(## {name[1]}\n.*?)\n## "
    if name[1] == "first block":
        pattern = r"(```console.*?```)"
    found = re.search(pattern, text, re.DOTALL)
    if found is None:
        raise ValueError(f"docs: README.md has no {name[1]}")
    return re.sub(r"\]\((?![a-z]+:|#)", "](../", found[1])


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs: a page's HTML. Options are marked, which the style keeps on one line."""
    return re.sub(r"<code>(--?[a-z-]+)</code>", r'<code class="option">\1</code>', content)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs: a page's text before it becomes HTML. Answers are found before figures."""
    name = page.file.src_uri
    first = [boost for start, boost in BOOSTS.items() if name.startswith(start)]
    page.meta["search"] = {"boost": first[0] if first else 1}
    markdown = re.sub(r"<!-- README: (.+) -->", _of_readme, markdown)
    # A word behind console is for tools/outputs.py.
    markdown = re.sub(r"^```console \w+$", "```console", markdown, flags=re.MULTILINE)
    # GitHub takes the backslash off a \| in a table's code, Python-Markdown leaves it there.
    markdown = re.sub(r"(?<=[ (])`([^`\n]*\\\|[^`\n]*)`", _bar_in_code, markdown)
    # An anchor has a hyphen for each space around an arrow on GitHub, one for all of them in
    # Python-Markdown.
    markdown = re.sub(r"(\]\([^)\s#]*#[^)\s]*?)--+", r"\1-", markdown)
    return relinked(markdown, ROOT / name if name in OUTSIDE else ROOT / "docs" / name)


def on_nav(nav: Any, config: Any, files: Any) -> Any:
    """MkDocs: ``llms.txt``, the pages of the menu for a program that reads them."""
    pages = "\n".join(f"- [{page.title}]({page.url or './'})" for page in nav.pages)
    folder = Path(config.site_dir)
    folder.mkdir(parents=True, exist_ok=True)
    text = f"# edge-lstm\n\n> {config.site_description}\n\n{pages}\n"
    (folder / "llms.txt").write_text(text, encoding="utf-8")
    return nav


def main() -> None:
    """Writes the reference."""
    for name, make in PAGES.items():
        path = ROOT / "docs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(make(), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
