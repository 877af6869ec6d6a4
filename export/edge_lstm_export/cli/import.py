"""``edge-lstm import``: an LSTM that Keras or PyTorch trained → a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_lstm.cli.options import check_outputs, column_names
from edge_lstm.core.layers import Activation
from edge_lstm_export.cli.options import option

# Headings of options.
_TEXTS = "Texts"
_NETWORK = "Network"
_MODEL = "A .h5 or .keras file of Keras, or weights of PyTorch (.pt, .pth, .safetensors)."
_LENGTH = "Number of steps of the network's input."
_MULTI_LABEL = "A text may have several labels: each logit has a sigmoid."

Side = Literal["pre", "post"]


def command(
    model: Annotated[Path, typer.Argument(metavar="NETWORK", help=_MODEL)],
    words: Annotated[
        Path | None,
        option(
            "FILE",
            "The network's tokenizer: Keras's as a pickle or JSON, word to id as JSON or a pickle, "
            "imdb_word_index.json, or vocabulary.txt.",
            _TEXTS,
        ),
    ] = None,
    output: Annotated[
        Path | None, option("FILE", "Checkpoint to write.", None, "--output", "-o")
    ] = None,
    labels: Annotated[
        str | None,
        option(
            "NAMES",
            "Labels in the network's order, as neg,pos; one sigmoid is the probability of the "
            "second.",
            _NETWORK,
        ),
    ] = None,
    padding: Annotated[
        Literal["pre", "post", "none", "masked"] | None,
        option(
            "SIDE",
            "Side on which texts were padded in training: pre, post, none, or masked if the "
            "network passes over padding (PyTorch: packed sequences).",
            _TEXTS,
        ),
    ] = None,
    truncation: Annotated[
        Side | None, option("SIDE", "Side on which long texts were cut.  [default: pre]", _TEXTS)
    ] = None,
    length: Annotated[int | None, option("N", _LENGTH, _TEXTS, min=1, max=100_000)] = None,
    num_words: Annotated[
        int | None, option("N", "Ids from this one on count as unknown words.", _TEXTS, min=1)
    ] = None,
    lower: Annotated[
        bool | None,
        option(
            None,
            "For word to id: whether texts are put in lower case.",
            _TEXTS,
            "--lower/--no-lower",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        option("REGEX", "For word to id: a regular expression of a word, such as [a-z]+.", _TEXTS),
    ] = None,
    state: Annotated[
        Literal["last", "end", "mean", "max", "mean+max"] | None,
        option(
            "NAME",
            "PyTorch: output of the LSTM that is read: last, end, mean, max or mean+max.",
            _NETWORK,
        ),
    ] = None,
    activation: Annotated[
        Activation | None,
        option(
            "NAME",
            "PyTorch: activation of hidden dense layers: relu, tanh, sigmoid or linear.",
            _NETWORK,
        ),
    ] = None,
    logits: Annotated[
        bool,
        option(
            None, "Keras: a last layer without an activation gives logits.", _NETWORK, "--logits"
        ),
    ] = False,
    multi_label: Annotated[bool, option(None, _MULTI_LABEL, _NETWORK, "--multi-label")] = False,
    dry_run: Annotated[
        bool, option(None, "Show what was found, and write nothing.", None, "--dry-run")
    ] = False,
) -> None:
    """Make a checkpoint of an LSTM that Keras or PyTorch trained.

    Files are read without TensorFlow and Keras, and no code in them is run. Options give the facts
    that no file holds; --dry-run shows the findings and the missing options.
    """
    from edge_lstm.cli.notes import wrapped
    from edge_lstm_export.progress import Display, message

    if output is None and not dry_run:
        raise typer.BadParameter("no output; give -o FILE.safetensors, or --dry-run")
    check_outputs([output], [model, words], parents=True)
    with Display(quiet=True):
        from edge_lstm_export.importing import ImportOptions, checkpoint_of, read, rows_of

        options = ImportOptions(
            labels=column_names(labels) or None,
            padding=padding,
            truncation=truncation,
            length=length,
            state=state,
            activation=activation,
            logits=logits,
            multi_label=multi_label,
            num_words=num_words,
            lower=lower,
            pattern=pattern,
        )
        imported = read(model, words, options)
        if not dry_run:
            imported.require_complete()
        checkpoint = None if imported.missing else checkpoint_of(imported)
        if checkpoint is not None and output is not None and not dry_run:
            from edge_lstm_export.checkpoint import save_checkpoint

            save_checkpoint(checkpoint, output)
    found = [*rows_of(imported)]
    if checkpoint is not None and (cost := checkpoint.network.padding_line):
        found.append(("steps", cost))
    for name, value in found:
        print(wrapped(value, name=name, indent=13))
    for note in imported.notes:
        message(f"note: {note}")
    for reason in imported.missing:
        message(f"missing: {reason}")
    if not dry_run:
        print(f"{output}: a checkpoint; 'edge-lstm export' makes a model file of it")
