"""``edge-lstm explain``: which words of a text moved the answer, on a terminal and as an HTML page.

The text with its colours is one ``rich.text.Text`` (:func:`coloured`), which the terminal shows and
:func:`report_page` turns into HTML. rich is imported for these two only: a pipe waits for nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import JsonOption, ModelOption, ProviderOption, ThreadsOption
from edge_lstm.cli.progress import ProgressBar
from edge_lstm.cli.streams import standard_input
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from rich.text import Text

    from edge_lstm.explain import Explanation, Part

BAR_COLUMNS = {"word": 24, "sentence": 15}
LISTED_IN_REPORT = 20
WEAK = 0.05  # of the strongest effect: what is below stays without colour
TOWARDS, AWAY = (37, 99, 168), (217, 119, 43)  # RGB, as GOOD and BAD of html.py
# Opacity of the colours: the weakest is told from white paper, on the strongest black can still be read.
WEAKEST_TINT, STRONGEST_TINT = 0.2, 0.75
_STYLE = """
.reading { font-size: 1.13rem; line-height: 1.9; max-width: 72ch; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.reading span { border-radius: 3px; padding: 1px 0; }
.scale { display: inline-block; width: 160px; height: 12px; border-radius: 3px; vertical-align: middle;
  margin: 0 8px; }
.bar { display: inline-block; height: 10px; border-radius: 2px; }
"""


def command(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The text; without it, standard input.", show_default=False),
    ] = None,
    model: ModelOption = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="NAME", help="Label to explain.  [default: the answer]", show_default=False
        ),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="PART", help="What is left out: word or sentence.")
    ] = "word",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Parts to list.")] = 12,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the coloured text as an HTML page."),
    ] = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = "CPUExecutionProvider",
    as_json: JsonOption = False,
) -> None:
    """Show which words of a text moved the answer: each is left out in turn and the rest classified.

    The effect is the change of the label's log-odds: +1 makes it 2.7 times as likely against all others.
    On a terminal the text is coloured, blue towards the label and orange away from it.
    """
    from edge_lstm.classifier import Classifier
    from edge_lstm.errors import DataError
    from edge_lstm.explain import explain

    if by not in ("word", "sentence"):
        raise DataError(f"no parts called {by!r}; give --by word or --by sentence")
    if report is not None:
        from edge_lstm.atomic import check_distinct, check_writable

        check_writable(report)
        check_distinct([report], [model] if model else [])
    classifier = Classifier.load(model, threads=threads, provider=provider)
    if text is None:
        text = _standard_input()
    with ProgressBar("leaving out", 0) as progress:
        explanation = explain(
            classifier,
            text,
            label=label,
            by="sentence" if by == "sentence" else "word",
            progress=progress.show,
        )
    if report is not None:
        from edge_lstm.atomic import write_atomically

        write_atomically(report_page(explanation), report)
    if as_json:
        print(to_json(explanation.to_json(), indent=2))
        return
    print("\n".join(_answer_lines(explanation)))
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        print()
        width = min(shutil.get_terminal_size().columns, 100)
        # Not "auto": with 16 colours, as it takes them for xterm, every tint would be grey.
        many = os.environ.get("COLORTERM") in ("truecolor", "24bit")
        console = Console(width=width, highlight=False, color_system="truecolor" if many else "256")
        console.print(coloured(explanation))
    print("\n".join(_table_lines(explanation, top)))


def _standard_input() -> str:
    stream = standard_input()
    if stream.isatty():
        print("type the text; Ctrl-D ends", file=sys.stderr)
    # As predict reads a line: what is not UTF-8 becomes U+FFFD, a final line end is no part of the text.
    return stream.read().removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def _answer_lines(explanation: Explanation) -> Iterator[str]:
    yield f"{printable(explanation.label)}  {explanation.probability:.4f}  ({explanation.status})"
    answer = explanation.answer
    if answer != explanation.label:
        yield f"the answer is {printable(answer)}, {explanation.probabilities[answer]:.4f}"


def _table_lines(explanation: Explanation, top: int) -> Iterator[str]:
    # What would be shown as 0.00 is left out.
    strongest = [part for part in explanation.strongest(top) if abs(part.effect) >= 0.005]
    yield ""
    if not strongest:
        yield f"no {explanation.by} of it moves the answer"
        return
    widest = abs(strongest[0].effect)
    bar_columns = BAR_COLUMNS[explanation.by]
    room = 79 - 20 - bar_columns
    yield f"{'effect':>8} {'without':>8}  {explanation.by:<{room}} + to it, - away"
    for part in strongest:
        bar = ("+" if part.effect > 0 else "-") * max(1, round(bar_columns * abs(part.effect) / widest))
        shown = " ".join(readable(part.text).split())
        shown = shown if len(shown) <= room else shown[: room - 1] + "…"
        yield f"{part.effect:>+8.2f} {part.probability:>8.4f}  {shown:<{room}} {bar}"


def readable(text: str) -> str:
    """The text without what would steer a terminal, each character in its place; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def coloured(explanation: Explanation) -> Text:
    """The whole text: parts on blue (towards the label) or orange (away from it), the more the stronger;
    dim where the model does not read, underlined what is not in its vocabulary. The style's meta holds
    each part's title: its effect in words.
    """
    from rich.style import Style
    from rich.text import Text

    text = Text(readable(explanation.text), overflow="fold")
    strongest = _strongest_effect(explanation)
    for part in explanation.parts:
        share = abs(part.effect) / strongest if strongest else 0.0
        shown = share >= WEAK
        style = Style(
            color="black" if shown else None,
            bgcolor=f"rgb({','.join(map(str, _tint(part, share)))})" if shown else None,
            dim=not part.read or None,
            underline=not part.known or None,
            meta={"title": f"effect {part.effect:+.3f}, without it {part.probability:.2%}"},
        )
        text.stylize(style, part.start, part.end)
    return text


def _strongest_effect(explanation: Explanation) -> float:
    return max((abs(part.effect) for part in explanation.parts), default=0.0)


def _tint(part: Part, share: float) -> tuple[int, ...]:
    """RGB of the part's colour on white paper."""
    colour = TOWARDS if part.effect > 0 else AWAY
    opacity = WEAKEST_TINT + (STRONGEST_TINT - WEAKEST_TINT) * share
    return tuple(round(255 - (255 - value) * opacity) for value in colour)


def report_page(explanation: Explanation) -> str:
    """The page: HTML that loads nothing and runs no script."""
    from edge_lstm.html import page

    title = f"{explanation.label} {explanation.probability:.1%}"
    return page(title, _report_body(explanation), style=_STYLE)


def _report_body(explanation: Explanation) -> Iterator[str]:
    from html import escape

    from edge_lstm.html import table

    label = escape(explanation.label)
    yield f"<h1>{label} {explanation.probability:.1%}</h1>"
    others = ", ".join(f"{escape(name)} {value:.1%}" for name, value in explanation.probabilities.items())
    yield (
        f'<p class="muted">{others}; status {explanation.status}. Each {explanation.by} was left out '
        "in turn.</p>"
    )
    away, towards = (f"rgba({r},{g},{b},{STRONGEST_TINT})" for r, g, b in (AWAY, TOWARDS))
    unknown = " Underlined: not in the vocabulary." if not all(p.known for p in explanation.parts) else ""
    unread = " Grey: not read, the text is too long." if not all(p.read for p in explanation.parts) else ""
    yield (
        f'<p class="muted">away from {label}<span class="scale" style="background:'
        f'linear-gradient(90deg,{away},#fff,{towards})"></span>towards it.{unknown}{unread}</p>'
    )
    yield f'<p class="reading">{_as_html(coloured(explanation))}</p>'
    strongest = _strongest_effect(explanation)
    rows = (
        (
            escape(" ".join(part.text.split())),
            f"{part.effect:+.3f}",
            f"{part.probability:.2%}",
            _bar(part, abs(part.effect) / strongest),
        )
        for part in explanation.strongest(LISTED_IN_REPORT)
    )
    yield "<h2>What moved the answer most</h2>"
    header = (explanation.by, "effect", f"{explanation.label} without it", "")
    yield table(header, rows, numbers=(1, 2))
    yield (
        f'<p class="muted">The effect is the change of the log-odds of {label}: +1 makes it '
        "2.7 times as likely against everything else. It shows what the model reacts to, not why; words "
        "that only work together each show a part of it.</p>"
    )


def _as_html(text: Text) -> str:
    """A text whose spans do not overlap → HTML; the title in a span's meta becomes what a pointer shows."""
    from html import escape

    from rich.style import Style

    pieces, at = [], 0
    for span in text.spans:
        assert isinstance(span.style, Style)
        title = escape(span.style.meta["title"])
        part = escape(text.plain[span.start : span.end])
        pieces.append(escape(text.plain[at : span.start]))
        pieces.append(f'<span style="{escape(span.style.get_html_style())}" title="{title}">{part}</span>')
        at = span.end
    return "".join([*pieces, escape(text.plain[at:])])


def _bar(part: Part, share: float) -> str:
    r, g, b = _tint(part, 1.0)
    return f'<span class="bar" style="width:{180 * share:.0f}px;background:rgb({r},{g},{b})"></span>'
