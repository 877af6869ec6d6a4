"""``edge-lstm suggest``: which texts of a log to label next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.notes import wrapped
from edge_lstm.cli.options import (
    EncodingOption,
    InputFormatOption,
    TextColumnOption,
    check_outputs,
)
from edge_lstm_export.cli.options import option

if TYPE_CHECKING:
    from edge_lstm.tables import ReadOptions


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
    fields = classifier.model.fields
    if (fields is not None) != (output.suffix == JSONL_SUFFIX):
        kind = "rows with fields are JSONL" if fields else "texts are CSV"
        raise DataError(f"{kind}; give -o suggestions{'.jsonl' if fields else '.csv'}")

    def texts_of(paths: Sequence[str | Path], reading: ReadOptions) -> Iterator[str]:
        rows = read_rows(paths, options=with_fields(reading, [fields]))
        yield from (classifier.model.as_text(row.text) for row in rows if row.text)

    have_labels = [text for path in labelled or () for text in texts_of([path], ReadOptions())]
    pool = texts_of(inputs, ReadOptions(text_column, format=input_format, encoding=encoding))
    with Display(quiet=True):
        chosen, texts, classified = suggestions = suggest(
            classifier, pool, count, labelled=have_labels
        )
    write_suggestions(suggestions, output)
    part = f" (a random {classified:,} considered)" if classified < texts else ""
    alike = "; the others are near-duplicates" if len(chosen) < min(count, texts) else ""
    print(wrapped(f"{output}: {len(chosen):,} of {texts:,} distinct texts{part}{alike}"))
    print(wrapped("Correct the column label, then train on these and the earlier rows together."))
