"""``edge-lstm explain``: which words of a text moved the prediction."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import (
    EngineOption,
    JsonOption,
    ModelOption,
    ProviderOption,
    ThreadsOption,
    option,
)
from edge_lstm.cli.streams import check_text, decoded, standard_input
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.explain import Explanation

BAR = 24  # columns of the longest bar
# Of the 256 colours that terminals have, light to strong, each readable under black.
BLUES, ORANGES = (195, 153, 117, 75), (230, 223, 216, 208)

TextArgument = Annotated[
    str | None, typer.Argument(metavar="TEXT", help="Text to explain.  [default: standard input]")
]
LabelOption = Annotated[
    str | None, option("NAME", "Label to explain.  [default: predicted]", "--label")
]
WordsOption = Annotated[int, option("N", "Words to list.", "--words", min=1)]


def command(
    text: TextArgument = None,
    model: ModelOption = None,
    label: LabelOption = None,
    words: WordsOption = 12,
    threads: ThreadsOption = 1,
    engine: EngineOption = None,
    provider: ProviderOption = "CPUExecutionProvider",
    as_json: JsonOption = False,
) -> None:
    """Show which words of a text drive its prediction: leave out each in turn and classify the
    rest.

    The effect is the change of the label's log-odds: +1 multiplies its odds by 2.7. A terminal
    shows the text in colour, blue for words towards the label and orange for those away from it.
    """
    from edge_lstm.classifier import Classifier
    from edge_lstm.explain import explain

    check_text(text, model)
    classifier = Classifier.load(model, engine=engine, threads=threads, provider=provider)
    if text is None:
        text = decoded(standard_input("type the text; Ctrl-D ends").read())
    explanation = explain(classifier, text, label=label)
    print(
        to_json(asdict(explanation), indent=2) if as_json else "\n".join(_lines(explanation, words))
    )


def _lines(explanation: Explanation, most: int) -> Iterator[str]:
    label, predicted = explanation.label, explanation.predicted
    yield f"{printable(label)}  {explanation.probability:.4f}  ({explanation.status})"
    if predicted != label:
        yield f"the predicted label is {printable(predicted)}, {explanation.probabilities[predicted]:.4f}"
    if not explanation.words:
        yield "the text has no words to explain"
        return
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        yield "\n" + coloured(explanation)
    yield ""
    # What would be shown as 0.00 is left out.
    strongest = [word for word in explanation.strongest(most) if abs(word.effect) >= 0.005]
    if not strongest:
        yield "no single word changes the probability"
        return
    room = 79 - 20 - BAR
    yield f"{'effect':>8} {'without':>8}  {'word':<{room}} + towards, - away"
    for word in strongest:
        strength = explanation.strength(word)
        bar = ("+" if strength > 0 else "-") * max(1, round(BAR * abs(strength)))
        shown = " ".join(readable(word.text).split())
        shown = shown if len(shown) <= room else shown[: room - 1] + "…"
        yield f"{word.effect:>+8.2f} {word.probability:>8.4f}  {shown:<{room}} {bar}"


def coloured(explanation: Explanation) -> str:
    """The whole text with escapes of colour: blue towards the label, orange away from it; dim where
    the model does not read, underlined where no word is in the vocabulary."""
    from edge_lstm.explain import WEAK

    shown = ""
    for text, word in explanation.pieces():
        codes = []
        if word is not None:
            strength = explanation.strength(word)
            colour = (BLUES if strength > 0 else ORANGES)[min(3, int(4 * abs(strength)))]
            codes = [f"30;48;5;{colour}"] if abs(strength) >= WEAK else []
            codes += ["4"] * (not word.known) + ["2"] * (not word.read)
        shown += f"\x1b[{';'.join(codes)}m{readable(text)}\x1b[0m" if codes else readable(text)
    return shown


def readable(text: str) -> str:
    """The text without what would steer a terminal, each character in its place; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
