"""``edge-lstm predict``: texts from arguments or standard input, answered one by one."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_lstm.cli import options
from edge_lstm.cli.streams import check_text, decoded, standard_input
from edge_lstm.printable import printable, to_json

TextsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TEXT]...", help="Texts.  [default: lines of standard input]"),
]


def command(
    texts: TextsArgument = None,
    model: options.ModelOption = None,
    top: options.TopOption = 1,
    abstain: options.AbstainOption = None,
    threshold: options.ThresholdOption = None,
    unfamiliar: options.UnfamiliarOption = None,
    threads: options.ThreadsOption = 1,
    engine: options.EngineOption = None,
    provider: options.ProviderOption = "CPUExecutionProvider",
    as_json: options.JsonOption = False,
) -> None:
    """Classify texts: one line per text, "label <tab> probability <tab> status".

    The status is ok, empty (no words), unknown_words (no word of the vocabulary), truncated (only
    the end of the text was read); with --unfamiliar also unfamiliar; with --abstain or --threshold
    also abstained, without a label. With --top K, K pairs of label and probability come before the
    status. Several labels per text are joined by |, with the highest probability. With --json, a
    line is an object: label (or labels and thresholds), probability, probabilities, status, and
    with --top also top.
    """
    from edge_lstm.answering import check_top
    from edge_lstm.classifier import Classifier, MultiLabelPrediction
    from edge_lstm.text import LABEL_JOINT

    check_text(texts[0] if texts else None, model)
    classifier = Classifier.load(model, engine=engine, threads=threads, provider=provider)
    check_top(top, len(classifier.labels))
    chosen = classifier.threshold(abstain=abstain, threshold=threshold)
    classifier.model.choose_unfamiliar_threshold(
        unfamiliar
    )  # its error comes before texts are read
    for text in texts or map(decoded, standard_input("type one text per line; Ctrl-D ends")):
        prediction = classifier.predict([text], threshold=chosen, unfamiliar=unfamiliar)[0]
        if as_json:
            values = prediction.to_json()
            if top > 1:
                best = prediction.top(top)
                values["top"] = [{"label": name, "probability": p} for name, p in best]
            print(to_json(values), flush=True)
            continue
        if top > 1:
            best = prediction.top(top)
        elif isinstance(prediction, MultiLabelPrediction):
            best = [(LABEL_JOINT.join(prediction.labels), prediction.probability)]
        else:
            best = [(prediction.label or "", prediction.probability)]
        pairs = [f"{printable(name)}\t{p:.6f}" for name, p in best]
        print("\t".join([*pairs, prediction.status]), flush=True)
