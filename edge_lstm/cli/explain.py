"""``edge-lstm explain``: the words of a text that moved the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.notes import WIDTH
from edge_lstm.cli.options import (
    EngineOption,
    JsonOption,
    ModelOption,
    option,
)
from edge_lstm.cli.streams import decoded, say_what_is_a_file, standard_input
from edge_lstm.printable import cut, printable, to_json

if TYPE_CHECKING:
    from edge_lstm.explain import Explanation

BAR = 24  # columns of the longest bar
MOST_WORDS = 12  # in the table


def command(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="Text to explain.  [default: standard input]"),
    ] = None,
    model: ModelOption = None,
    label: Annotated[str | None, option("NAME", "Label to explain.  [default: predicted]")] = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which words of a text drive its prediction.

    Each word is left out in turn, and the rest is classified.

    The effect is the change of the label's log-odds: +1 multiplies its odds by 2.7.
    """
    from edge_lstm.core.classifier import Classifier
    from edge_lstm.explain import explain

    classifier = Classifier.load(model, engine=engine)
    if text is None:
        text = decoded(standard_input("type the text; Ctrl-D ends").read())
    else:
        say_what_is_a_file([text])
    explanation = explain(classifier, text, label=label)
    if as_json:
        print(to_json(asdict(explanation), indent=2))
    else:
        print("\n".join(_lines(explanation)))


def _lines(explanation: Explanation) -> Iterator[str]:
    """Yield the prediction, and a table of at most MOST_WORDS words."""
    yield (f"{printable(explanation.label)}  {explanation.probability:.4f}  ({explanation.status})")
    predicted = explanation.predicted
    if predicted != explanation.label:
        probability = explanation.probabilities[predicted]
        yield f"the predicted label is {printable(predicted)}, {probability:.4f}"
    if not explanation.words:
        yield "the text has no words to explain"
        return
    yield ""
    strongest = explanation.strongest(MOST_WORDS)
    # A smaller effect would be shown as 0.00.
    strongest = [word for word in strongest if abs(word.effect) >= 0.005]
    if not strongest:
        yield "no single word changes the probability"
        return
    room = WIDTH - 20 - BAR  # 20 columns hold the numbers
    yield f"{'effect':>8} {'without':>8}  {'word':<{room}} + towards, - away"
    for word in strongest:
        strength = explanation.strength(word)
        sign = "+" if strength > 0 else "-"
        bar = sign * max(1, round(BAR * abs(strength)))
        shown = cut(printable(word.text), room)
        yield f"{word.effect:>+8.2f} {word.probability:>8.4f}  {shown:<{room}} {bar}"
