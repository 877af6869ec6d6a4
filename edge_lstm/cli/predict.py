"""``edge-lstm predict``: texts from arguments or standard input, answered one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli import options
from edge_lstm.cli.streams import decoded, say_what_is_a_file, standard_input
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.core.decide import Prediction


def command(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts.  [default: lines of standard input]"),
    ] = None,
    model: options.ModelsOption = None,
    top: options.TopOption = 1,
    abstain: options.AbstainOption = None,
    threshold: options.ThresholdOption = None,
    unfamiliar: options.UnfamiliarOption = None,
    engine: options.EngineOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Classify texts: one line per text, "label <tab> probability <tab> status".

    The status is ok, empty (no words), unknown_words (no word of the vocabulary), truncated (only
    the end of the text was read); with --unfamiliar also unfamiliar (unlike the training texts);
    with --abstain or --threshold also abstained, without a label. With --top K, K pairs of label
    and probability come before the status. If a text has several labels, they are joined by |, and
    the probability is the highest one. With --json, a line is an object: label (or labels and
    thresholds), probability, probabilities, status, and with --top also top. If the labels are
    numbers on a scale, a line begins with "score <tab> low <tab> high"; with --json these are keys.

    A model with fields takes JSON objects, as in '{"subject": "Late", "amount": 12}'. If a
    line begins as one but is not JSON, the command ends there.

    Several models can answer one question each, as in -m team=team.onnx -m urgent=urgent.onnx. A
    line then has the fields of all models, one after the other; with --json, each name has an
    object.
    """
    from edge_lstm.cli.questions import one_or_several
    from edge_lstm.core.decide import Policy
    from edge_lstm.core.questions import Questions
    from edge_lstm.errors import DataError

    models = one_or_several(model)
    paths = models if isinstance(models, dict) else {"": models}
    questions = Questions.load(paths, engine=engine)
    # The errors of the options come before texts are read.
    policies = {
        name: Policy.of(
            classifier.model,
            abstain=abstain,
            threshold=threshold,
            unfamiliar=unfamiliar,
            top=top,
        )
        for name, classifier in questions.classifiers.items()
    }
    say_what_is_a_file(texts or ())
    lines = texts or map(decoded, standard_input("type one text per line; Ctrl-D ends"))
    for number, text in enumerate(lines, 1):
        try:
            found = questions.classify([text], policies)
        except DataError as error:
            where = "" if texts else f"standard input line {number}: "
            raise DataError(f"{where}{error}") from None
        predictions = {name: each.predictions[0] for name, each in found.items()}
        if as_json:
            values = {name: _values(each, top) for name, each in predictions.items()}
            print(to_json(values.get("", values)), flush=True)
        else:
            columns = [field for each in predictions.values() for field in _fields(each, top)]
            print("\t".join(columns), flush=True)


def _values(prediction: Prediction, top: int) -> dict[str, Any]:
    """Return a prediction for JSON."""
    values = prediction.to_json()
    if top > 1:
        best = prediction.top(top)
        values["top"] = [{"label": name, "probability": p} for name, p in best]
    return values


def _fields(prediction: Prediction, top: int) -> list[str]:
    """Return a prediction as the fields of a line."""
    from edge_lstm.core.decide import ScorePrediction
    from edge_lstm.printable import LABEL_JOINT

    fields = []
    if isinstance(prediction, ScorePrediction):
        score = (prediction.value, prediction.low, prediction.high)
        fields = ["" if value is None else f"{value:.6g}" for value in score]
    if top > 1:
        best = prediction.top(top)
    else:
        best = [(LABEL_JOINT.join(prediction.labels), prediction.probability)]
    for name, probability in best:
        fields += [printable(name), f"{probability:.6f}"]
    return [*fields, prediction.status]
