"""``edge-lstm predict``: texts from arguments or standard input, one answer each, at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from edge_lstm.cli.options import JsonOption, ModelOption, ProviderOption, ThreadsOption
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
    threads: ThreadsOption = 1,
    provider: ProviderOption = "CPUExecutionProvider",
    as_json: JsonOption = False,
) -> None:
    """Classify texts: a line for each, "label <tab> probability <tab> status".

    The status is ok, empty (no words), unknown_words (no word of the vocabulary) or truncated (only the
    end of the text was read). With --json, a line holds label, probability, probabilities and status.
    """
    from edge_lstm.classifier import Classifier

    classifier = Classifier.load(model, threads=threads, provider=provider)
    for text in texts if texts else _lines():
        answer = classifier.predict([text])[0]
        if as_json:
            print(to_json(vars(answer)), flush=True)
        else:
            print(f"{printable(answer.label)}\t{answer.probability:.6f}\t{answer.status}", flush=True)


def _lines() -> Iterator[str]:
    lines = standard_input()
    if lines.isatty():
        print("type a text a line; Ctrl-D ends", file=sys.stderr)
    for line in lines:
        # Bytes that are not UTF-8 become U+FFFD: every line gets its answer.
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
