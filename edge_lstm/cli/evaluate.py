"""``edge-lstm evaluate``: accuracy and the rest on labelled data, models side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import BatchSizeOption, JsonOption, ProviderOption, ThreadsOption
from edge_lstm.cli.progress import ProgressBar
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.evaluation.evaluate import Comparison, Evaluation, ModelResult

TABLE_WIDTH = 79
NAME_WIDTH = 23  # so that every table is as wide


def command(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="SOURCE",
            help="Labelled texts: CSV, TSV, JSONL, Parquet or fastText file, a folder with a subfolder "
            "for each label, - for standard input, or imdb, its tar, Keras's imdb.npz (these with "
            "edge-lstm[train]).",
        ),
    ],
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL...", help="Model files.  [default: the embedded model]", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write a report, one HTML page that opens offline."),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format",
            metavar="FORMAT",
            help="text (fastText), csv, tsv, jsonl, parquet or folder, where the name does not tell.",
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option("--text-column", metavar="NAME", help="Column that holds the text.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option("--label-column", metavar="NAME", help="Column that holds the label.")
    ] = None,
    label_map: Annotated[
        str | None,
        typer.Option(
            "--label-map",
            metavar="DATA=MODEL,...",
            help="The model's labels for the data's, where they differ: 0=neg,1=pos.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="NAME",
            help="Part of a source that has parts.  [default: test]",
            show_default=False,
        ),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Read what symbolic links inside a folder lead to.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Folder that holds the archive of imdb already."),
    ] = None,
    word_index: Annotated[
        Path | None, typer.Option("--word-index", metavar="FILE", help="Keras's word index, for imdb.npz.")
    ] = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = "CPUExecutionProvider",
    batch_size: BatchSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate models on labelled texts: accuracy with its confidence interval, precision, recall and F1
    of each label, the confusion matrix where it fits, log loss and calibration error; several models side
    by side with McNemar's test.
    """
    from edge_lstm.evaluation.evaluate import evaluate, parse_label_map
    from edge_lstm.evaluation.sources import load_labelled
    from edge_lstm.modelfile import open_model

    if report is not None:
        from edge_lstm.atomic import check_writable

        check_writable(report)
    opened = [open_model(path) for path in models] if models else [open_model()]
    names = parse_label_map(label_map) if label_map else {}
    labelled = load_labelled(
        data,
        split=split,
        input_format=input_format,
        text_column=text_column,
        label_column=label_column,
        follow_links=follow_links,
        data_dir=data_dir,
        word_index=word_index,
        show_progress=sys.stderr.isatty(),
    )
    with ProgressBar("evaluating", len(labelled.texts) * len(opened)) as progress:
        evaluation = evaluate(
            opened,
            labelled.texts,
            labelled.labels,
            data=data,
            label_map=names,
            threads=threads,
            provider=provider,
            batch_size=batch_size,
            progress=progress.advance,
        )
    if report is not None:
        from edge_lstm.evaluation.report import write_report

        write_report(evaluation, report)
    if as_json:
        print(to_json(evaluation.to_json(), indent=2))
    else:
        print("\n".join(map(printable, _lines(evaluation))))


def _lines(evaluation: Evaluation) -> list[str]:
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(evaluation.statuses.items()))
    lines = [f"{len(evaluation.texts):,} texts of {evaluation.data} ({counts})", ""]
    lines.append(
        f"{'model':<{NAME_WIDTH}} {'size':>8} {'accuracy':>9}  {'95 % interval':<16}"
        f"{'log loss':>8} {'cal. error':>10}"
    )
    for model in evaluation.models:
        interval = f"{model.interval.low:.2%} to {model.interval.high:.2%}".replace("%", "")
        lines.append(
            f"{_short(model.name):<{NAME_WIDTH}} {model.bytes / 1000:>5,.0f} kB {model.accuracy:>9.2%}  "
            f"{interval:<16}{model.log_loss:>8.4f} {model.calibration_error:>10.2%}"
        )
    lines += [""]
    if torn := evaluation.repeats.contradictory_texts:
        lines.append(f"{torn:,} texts have the words of one with another label: correct the labels")
    for model in evaluation.models:
        if model.familiar:
            lines += wrap(f"{_short(model.name)}: {model.familiar.note}", TABLE_WIDTH, subsequent_indent="  ")
    for model in evaluation.models:
        lines += ["", *_by_label(model)]
    for comparison in evaluation.comparisons:
        lines += ["", *_comparison(comparison, len(evaluation.texts))]
    return lines


def _by_label(model: ModelResult) -> list[str]:
    """Scores of each label, then the confusion matrix where it fits."""
    name = f"{_short(model.name, 34)} by label"
    header = f"{name:<{NAME_WIDTH + 19}} {'precision':>9} {'recall':>8} {'F1':>8} {'texts':>8}"
    rows = [
        f"  {_short(row.label, 40):<{NAME_WIDTH + 17}} {row.precision:>9.2%} {row.recall:>8.2%} "
        f"{row.f1:>8.2%} {row.support:>8,}"
        for row in model.by_label
    ]
    mean = f"  {'mean':<{NAME_WIDTH + 17}} {'':>9} {'':>8} {model.macro_f1:>8.2%}"
    return [header, *rows, mean, *_confusion_matrix(model)]


def _confusion_matrix(model: ModelResult) -> list[str]:
    """A row for each true label, a column for each answer; nothing where that is wider than the tables."""
    counts = [[f"{count:,}" for count in row] for row in model.confusion.tolist()]
    names = [_short(label, 16) for label in model.labels]
    widths = [max(len(name), *(len(row[i]) for row in counts)) for i, name in enumerate(names)]
    first = max(len("  true label"), *(len(name) + 2 for name in names))
    if first + sum(width + 2 for width in widths) > TABLE_WIDTH:
        return []
    header = f"{'  true label':<{first}}" + "".join(f"  {n:>{w}}" for n, w in zip(names, widths))
    rows = [
        f"  {name:<{first - 2}}" + "".join(f"  {count:>{width}}" for count, width in zip(row, widths))
        for name, row in zip(names, counts)
    ]
    return ["", f"{_short(model.name, 34)}: texts by true label and answer", header, *rows]


def _comparison(comparison: Comparison, n: int) -> list[str]:
    test = comparison.test
    low, high = comparison.interval.low * 100, comparison.interval.high * 100
    verdict = "a difference beyond chance" if test.mid_p < 0.05 else "no difference shown"
    return [
        f"{comparison.second} against {comparison.first}",
        f"  accuracy   {comparison.difference * 100:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}",
        f"  McNemar    p = {test.mid_p:.2g}, {verdict}",
        f"  right      {test.only_second_right:,} by it alone, {test.only_first_right:,} by the other alone",
        f"  answers    {comparison.other_label:,} of {n:,} texts get another label",
        f"  change     of a probability, at most {comparison.largest_change:.2g}",
    ]


def _short(name: str, width: int = NAME_WIDTH) -> str:
    return name if len(name) <= width else "…" + name[-(width - 1) :]
