"""``edge-lstm suggest``: which texts of a log to label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_lstm.cli.options import ThreadsOption


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file.")],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Texts without labels: text, CSV, TSV, JSONL, Parquet; - is standard input.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="CSV with the columns text and label.")
    ],
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", min=1, help="Texts to label.")] = 50,
    labelled: Annotated[
        list[Path] | None,
        typer.Option(
            "--labelled",
            metavar="FILE",
            help="Texts that have labels already, and what resembles them, are left out; repeatable.",
            show_default=False,
        ),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format", metavar="FORMAT", help="text, csv, tsv, jsonl or parquet, where no name says."
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option("--text-column", metavar="NAME", help="Column that holds the text.")
    ] = None,
    threads: ThreadsOption = 1,
) -> None:
    """Choose the texts that are most worth labelling next: those the model is unsure of, no two alike.

    The label column holds the model's guess: correct it in a spreadsheet, add the rows to your labelled
    ones, and train again. Of more than 20,000 different texts a random part is looked at.
    """
    from edge_lstm.atomic import check_distinct, check_writable
    from edge_lstm.classifier import Classifier
    from edge_lstm.suggest import suggest, write_suggestions
    from edge_lstm.tables import read_rows

    check_writable(output)
    check_distinct([output], [model, *(name for name in inputs if name != "-"), *(labelled or ())])
    classifier = Classifier.load(model, threads=threads)
    known = [row.text for path in labelled or () for row in read_rows([path]) if row.text]
    rows = read_rows(inputs, format=input_format, text_column=text_column)
    found = suggest(classifier, (row.text for row in rows if row.text), count, labelled=known)
    kept = write_suggestions(found, output)
    looked = "" if found.judged == found.texts else f" (a random {found.judged:,} of them looked at)"
    less = "" if len(found.rows) == count else f"; no more of them differ, {count:,} were asked for"
    print(
        f"{output}: {len(found.rows):,} of {found.texts:,} different texts{looked}, the most worth "
        f"labelling first{less}"
    )
    if kept is not None:
        print(f"the earlier {output.name} may hold labels of yours: kept as {kept.name}")
    print("correct the column label, then train on these rows and the earlier ones together")
