"""``edge-lstm predict``: texts from arguments or standard input, one answer each, at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from edge_lstm.cli.options import (
    AbstainOption,
    JsonOption,
    ModelOption,
    ProviderOption,
    ThreadsOption,
    ThresholdOption,
    TopOption,
)
from edge_lstm.cli.streams import standard_input
from edge_lstm.printable import printable, to_json


def command(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT", help="Texts; without any, lines of standard input.", show_default=False
        ),
    ] = None,
    model: ModelOption = None,
    top: TopOption = 1,
    abstain: AbstainOption = None,
    threshold: ThresholdOption = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = "CPUExecutionProvider",
    as_json: JsonOption = False,
) -> None:
    """Classify texts: a line for each, "label <tab> probability <tab> status".

    The status is ok, empty (no words), unknown_words (no word of the vocabulary) or truncated (only the
    end of the text was read). With --abstain or --threshold it may be unsure, and there is no label. With
    --top K there are K labels, sure or not, each with its probability, before the status. A model that gives
    several labels a text has all of them in the first column, joined by |, and the highest probability
    behind. With --json, a line holds label, probability, probabilities and status (labels, probabilities,
    thresholds and status of several labels), with --top also top.
    """
    from edge_lstm.answering import LABEL_JOINT, check_top
    from edge_lstm.classifier import Classifier, SeveralPrediction

    classifier = Classifier.load(model, threads=threads, provider=provider)
    check_top(top, len(classifier.labels))
    least = classifier.threshold(abstain=abstain, threshold=threshold)
    for text in texts if texts else _lines():
        answer = classifier.predict([text], threshold=least)[0]
        if as_json:
            further = {"top": [{"label": name, "probability": p} for name, p in answer.top(top)]}
            print(to_json(answer.to_json() | (further if top > 1 else {})), flush=True)
        elif top == 1 and isinstance(answer, SeveralPrediction):
            names = printable(LABEL_JOINT.join(answer.labels))
            print(f"{names}\t{answer.probability:.6f}\t{answer.status}", flush=True)
        else:
            best = [(answer.label or "", answer.probability)] if top == 1 else answer.top(top)
            shown = "".join(f"{printable(name)}\t{p:.6f}\t" for name, p in best)
            print(f"{shown}{answer.status}", flush=True)


def _lines() -> Iterator[str]:
    lines = standard_input()
    if lines.isatty():
        print("type a text a line; Ctrl-D ends", file=sys.stderr)
    for line in lines:
        # Bytes that are not UTF-8 become U+FFFD: every line gets its answer.
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
