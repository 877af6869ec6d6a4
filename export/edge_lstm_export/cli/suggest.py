"""``edge-lstm suggest``: which texts of a log to label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_lstm.cli.notes import wrapped
from edge_lstm.cli.options import (
    EncodingOption,
    InputFormatOption,
    TextColumnOption,
    check_outputs,
)
from edge_lstm_export.cli.options import option


def command(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Texts, in any format of score.")
    ],
    model: Annotated[Path, option("FILE", "Model file.", None, "--model", "-m")],
    output: Annotated[
        Path,
        option(
            "FILE",
            "CSV file to write, with the columns text and label; of a model with fields, JSONL.",
            None,
            "--output",
            "-o",
        ),
    ],
    count: Annotated[
        int, option("N", "Texts to label.", None, "--count", "-n", default="50", min=1)
    ] = 50,
    labelled: Annotated[
        list[Path] | None,
        option("FILE", "Labelled texts; leave them and similar ones out. Repeatable."),
    ] = None,
    input_format: InputFormatOption = None,
    encoding: EncodingOption = None,
    text_column: TextColumnOption = None,
) -> None:
    """Choose texts to label next: the model is least sure of them, and no two are alike.

    The label column holds the predicted label. Correct it, add the rows to the labelled ones, and
    train again. If there are more than 20,000 distinct texts, only a random sample is considered.
    """
    from edge_lstm.core.classifier import Classifier
    from edge_lstm.errors import DataError
    from edge_lstm.system.atomic import is_stream
    from edge_lstm.tables import ReadOptions, read_rows
    from edge_lstm.tables.schema import with_fields
    from edge_lstm_export.progress import Display
    from edge_lstm_export.suggest import JSONL_SUFFIX, suggest, write_suggestions

    files = [name for name in inputs if name != "-"]
    check_outputs([output], [model, *files, *(labelled or ())])
    if output.exists() and not is_stream(output):
        raise DataError(f"{output} exists and may hold your labels; give another -o, or delete it")
    classifier = Classifier.load(model)
    fields = [classifier.model.fields]
    if (fields[0] is not None) != (output.suffix == JSONL_SUFFIX):
        kind = "rows with fields are JSONL" if fields[0] is not None else "texts are CSV"
        raise DataError(f"{kind}; give -o suggestions{'.jsonl' if fields[0] else '.csv'}")
    plain = with_fields(ReadOptions(), fields)
    others = (row for path in labelled or () for row in read_rows([path], options=plain))
    have_labels = [row.text for row in others if row.text]
    reading = ReadOptions(text_column, format=input_format, encoding=encoding)
    rows = read_rows(inputs, options=with_fields(reading, fields))
    pool = (row.text for row in rows if row.text)
    with Display(quiet=True):
        chosen, texts, classified = suggestions = suggest(
            classifier, pool, count, labelled=have_labels
        )
    write_suggestions(suggestions, output)
    part = f" (a random {classified:,} considered)" if classified < texts else ""
    alike = "; the others are near-duplicates" if len(chosen) < min(count, texts) else ""
    print(wrapped(f"{output}: {len(chosen):,} of {texts:,} distinct texts{part}{alike}"))
    print(wrapped("Correct the column label, then train on these and the earlier rows together."))
