"""``edge-lstm explain``: which words of a text moved the answer."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import JsonOption, ModelOption, ProviderOption, ThreadsOption
from edge_lstm.cli.progress import ProgressLine
from edge_lstm.cli.streams import printable, standard_input, to_json

if TYPE_CHECKING:
    from edge_lstm.explain import Explanation, Part

BAR = {"word": 24, "sentence": 15}  # columns
# 256-colour backgrounds, weak to strong: blue towards the label, orange away from it.
_TOWARDS, _AWAY = (153, 111, 69), (223, 215, 208)
_RESET = "\x1b[0m"


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
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the coloured text as an HTML page.")
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
    classifier = Classifier.load(model, threads=threads, provider=provider)
    given = text if text is not None else _standard_input()
    with ProgressLine("leaving out", 0) as progress:
        found = explain(
            classifier,
            given,
            label=label,
            by="sentence" if by == "sentence" else "word",
            progress=progress.show,
        )
    if html is not None:
        from edge_lstm.explain_page import write_explanation

        write_explanation(found, html)
    if as_json:
        print(to_json(found.to_json(), indent=2))
        return
    print("\n".join(_lines(found, top)))


def _standard_input() -> str:
    given = standard_input()
    if given.isatty():
        print("type the text; Ctrl-D ends", file=sys.stderr)
    # As predict reads a line: what is not UTF-8 becomes U+FFFD, a final line end is no part of the text.
    return given.read().removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def _lines(found: Explanation, top: int) -> Iterator[str]:
    yield f"{printable(found.label)}  {found.probability:.4f}  ({found.status})"
    if found.answer != found.label:
        yield f"the answer is {printable(found.answer)}, {found.probabilities[found.answer]:.4f}"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        yield ""
        yield from _coloured(found, min(shutil.get_terminal_size().columns, 100))
    # What would be shown as 0.00 is left out.
    strongest = [part for part in found.strongest(top) if abs(part.effect) >= 0.005]
    yield ""
    if not strongest:
        yield f"no {found.by} of it moves the answer"
        return
    widest = abs(strongest[0].effect)
    bar_width = BAR[found.by]
    room = 79 - 20 - bar_width
    yield f"{'effect':>8} {'without':>8}  {found.by:<{room}} + to it, - away"
    for part in strongest:
        bar = ("+" if part.effect > 0 else "-") * max(1, round(bar_width * abs(part.effect) / widest))
        shown = " ".join(readable(part.text).split())
        shown = shown if len(shown) <= room else shown[: room - 1] + "…"
        yield f"{part.effect:>+8.2f} {part.probability:>8.4f}  {shown:<{room}} {bar}"


def readable(text: str) -> str:
    """The text without what would steer a terminal, each character in its place; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _coloured(found: Explanation, width: int) -> Iterator[str]:
    """The text's lines, broken at spaces, its parts in colour."""
    strongest = max((abs(part.effect) for part in found.parts), default=0.0)
    starts = {part.start: part for part in found.parts}
    colour_at: list[str] = [""] * len(found.text)
    for part in starts.values():
        colour_at[part.start : part.end] = [_colour(part, strongest)] * (part.end - part.start)
    text = readable(found.text)
    at = 0
    for line in text.split("\n"):
        end = at + len(line)
        while at < end:
            stop = min(at + width, end)
            if stop < end and (space := text.rfind(" ", at, stop + 1)) > at:
                stop = space
            yield _paint(text, colour_at, at, stop)
            at = stop + (stop < end and text[stop] == " ")
        if not line:
            yield ""
        at = end + 1


def _colour(part: Part, strongest: float) -> str:
    if not part.effect:
        return "" if part.read else "\x1b[2m"
    share = abs(part.effect) / strongest
    if share < 0.05:
        return ""
    shades = _TOWARDS if part.effect > 0 else _AWAY
    return f"\x1b[38;5;16;48;5;{shades[0 if share < 0.2 else 1 if share < 0.5 else 2]}m"


def _paint(text: str, colour_at: list[str], start: int, stop: int) -> str:
    painted, now = "", ""
    for i in range(start, stop):
        if colour_at[i] != now:
            painted += (_RESET if now else "") + colour_at[i]
            now = colour_at[i]
        painted += text[i]
    return painted + (_RESET if now else "")
