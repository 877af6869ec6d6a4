"""What a person sees: of a training the network's table, a bar or lines while it runs, the figures; of
``export`` and ``quantize`` their short tables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edge_lstm.answering import SHOWN_RISKS, RiskCoverage
from edge_lstm.cli.tables import plain_table, print_table
from edge_lstm.metrics import SetScores
from edge_lstm.printable import listed, printable, shorten, to_json
from edge_lstm_export.evaluation import Scores
from edge_lstm_export.fit import Fitted, OldTest, Prepared
from edge_lstm_export.history import EpochRecord
from edge_lstm_export.interruption import StopRequest
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.more_rows import Curve
from edge_lstm_export.network import Network
from edge_lstm_export.presets import TrainingOptions
from edge_lstm_export.training import BatchReport, Callbacks, Progress

if TYPE_CHECKING:  # a training needs no onnx and no ONNX Runtime
    from edge_lstm_export.export import Choice, Exported, Quantized

MOST_LABELS = 30  # lines or names of labels that are shown


def message(text: str) -> None:
    """A line for the person, on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def network_table(network: Network) -> list[str]:
    """Layers, output shapes and parameters, as ``model.summary()`` of Keras shows them."""
    rows = network.parameter_table()
    total = sum(count for _, _, count in rows)
    cells = [(name, shape, f"{count:,}") for name, shape, count in rows]
    total_row = ("trainable parameters", "", f"{total:,}")
    lines = plain_table(("layer", "output shape", "parameters"), [*cells, total_row], text=(0, 1))
    rule = "─" * max(map(len, lines))
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def prepared_lines(prepared: Prepared) -> list[str]:
    """Where the texts come from, and how many there are."""
    dataset = prepared.dataset
    test = f", {len(dataset.test):,} test" if dataset.test else ""
    counts = prepared.train.counts(len(dataset.labels))
    sizes = f"{len(prepared.train):,} training, {len(prepared.validation):,} validation{test} texts"
    return [
        f"data       {printable(dataset.name)}: {sizes}",
        "labels     " + listed([f"{shorten(n)} {c:,}" for n, c in zip(dataset.labels, counts)], MOST_LABELS),
        f"words      {len(prepared.tokenizer.words):,}, texts of at most {prepared.tokenizer.length} tokens",
        f"sha256     {dataset.digest}",
    ]


def score_lines(name: str, measured: Scores | SetScores) -> list[str]:
    """Accuracy with its interval (of several labels F1 and the share of texts with all of them right), then
    a line for each label."""
    shown = measured.labels
    if len(shown) > MOST_LABELS:
        worst = sorted(shown, key=lambda row: row.f1)[:MOST_LABELS]
        shown = tuple(row for row in shown if row in worst)
    rows = [
        (shorten(row.label), f"{row.precision:.1%}", f"{row.recall:.1%}", f"{row.f1:.1%}", f"{row.support:,}")
        for row in shown
    ]
    rows.append(("mean", "", "", f"{measured.macro_f1:.1%}", ""))
    more = len(measured.labels) - len(shown)
    if isinstance(measured, SetScores):
        exact = f"{measured.texts:,} texts, {measured.subset_accuracy:.2%} of them with exactly their labels"
        first = [f"{name} micro F1 {measured.micro_f1:.2%}, macro F1 {measured.macro_f1:.2%} ({exact})"]
    else:
        low, high = measured.interval.low, measured.interval.high
        interval = f"95 % interval {low:.2%} to {high:.2%}, {measured.texts:,} texts"
        first = [
            f"{name} accuracy {measured.accuracy:.2%} ({interval})",
            f"log loss {measured.log_loss:.4f}, calibration error {measured.calibration_error:.4f}",
        ]
    return [
        *first,
        *plain_table(("label", "precision", "recall", "F1", "texts"), rows),
        *([f"({more:,} more labels, with better F1)"] if more else []),
    ]


def abstention_lines(curve: RiskCoverage | None) -> list[str]:
    """How many texts are answered where few answers may be wrong."""
    if curve is None:
        return []
    rows = [
        (f"{wanted:.0%}", f"{point.threshold:.4f}", f"{point.answered / curve.texts:.0%}")
        for wanted in SHOWN_RISKS
        if (point := curve.promised(wanted))
    ]
    if not rows:
        return [f"abstention: {curve.texts:,} validation texts are too few to say which answers to leave out"]
    return plain_table(("wrong, at most", "threshold", "answered"), rows)


def old_test_lines(found: OldTest | None, *, several: bool) -> list[str]:
    """What became of the old labels, of a training that went on from a checkpoint. several: of a text."""
    if found is None:
        return []
    test = found.test
    verdict = "a difference beyond chance" if test.mid_p < 0.05 else "no difference shown"
    what = "exactly right" if several else "accuracy"
    alone = f"{test.only_first_right:,} right before alone, {test.only_second_right:,} now alone"
    return [
        f"old labels {found.texts:,} test texts: {what} {found.before:.2%} before, {found.after:.2%} now",
        f"McNemar    p = {test.mid_p:.2g}, {verdict} ({alone})",
    ]


def print_curve(job: TrainingJob, curve: Curve) -> None:
    """Accuracy over the number of rows: a table, what it means, and where it is drawn."""
    header = ["rows"]
    columns: list[list[str]] = [[f"{count:,}" for count in curve.learnt]]
    for name in curve.right:
        header += [name, "95 % interval"]
        columns.append([f"{value:.1%}" for value in curve.accuracies(name)])
        columns.append([f"{each.low:.1%} to {each.high:.1%}" for each in curve.intervals(name)])
    print()
    print_table(header, list(zip(*columns)), title="accuracy, cross-validated, by rows learnt from", text=())
    print(curve.sentence())
    print(f"curve      {printable(f'{job.curve_picture}, {job.curve_data.name}')}")


def epoch_line(record: EpochRecord, epochs: int) -> str:
    """One epoch in one line."""
    line = f"epoch {record.epoch}/{epochs}  loss {record.loss:.4f}  accuracy {record.accuracy:.2%}"
    if record.validation_loss is not None and record.validation_accuracy is not None:
        line += f"  validation {record.validation_loss:.4f}  {record.validation_accuracy:.2%}"
    return f"{line}  {record.seconds:.0f} s"


def duration(seconds: float) -> str:
    """Seconds for a person."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def written_lines(job: TrainingJob, fitted: Fitted) -> list[str]:
    """Which epoch was kept, how long it took, and where everything is."""
    result, temperature = fitted.result, fitted.checkpoint.training["temperature"]
    kept = f"epoch {result.best.epoch}" if result.best else "no complete epoch: the weights so far"
    lines = [
        f"kept       {kept} of {len(result.history)} ({result.outcome}, {duration(result.seconds)})",
        *_calibration(result.best, temperature, fitted.validation is not None),
        f"checkpoint {printable(str(job.output))}",
    ]
    if result.history:
        pictured = f", {job.picture.name}" if job.is_drawn else ""
        lines.append(f"history    {printable(f'{job.history}{pictured}')}")
    return lines


def _calibration(best: EpochRecord | None, temperature: float, judged: bool) -> list[str]:
    if best is None:
        return []
    if best.temperature is None and not judged:
        return ["not calibrated, and judged by the training loss: there is no validation part"]
    return [f"calibrated by a temperature of {temperature:.3f}, folded into the head"]


class TrainingDisplay:
    """A bar on a terminal, else one line an epoch. Use as a context manager round the job.

    quiet: results are not for a person; the network's table is left out.
    """

    def __init__(self, stop: StopRequest, *, quiet: bool = False) -> None:
        self._stop, self._quiet = stop, quiet
        self._keep: Callable[[Progress], None] = lambda _: None
        self._epochs = 0
        self._bar: Any = None
        self._task: Any = None

    def started(self, prepared: Prepared, network: Network, options: TrainingOptions) -> None:
        """Shows the network and the data, and warns of what is odd about them."""
        self._epochs = options.epochs
        if not self._quiet:
            print("\n".join([*network_table(network), "", *prepared_lines(prepared), ""]), flush=True)
        for warning in prepared.dataset.warnings:
            message(f"note: {warning}")
        if sys.stderr.isatty():
            self._start_bar()

    def say(self, line: str) -> None:
        """How far a stage before the training is."""
        message(line)
        if self._stop.requested():  # where a library has swallowed what the signal raised
            raise KeyboardInterrupt

    def callbacks(self, keep: Callable[[Progress], None]) -> Callbacks:
        """What the training loop calls."""
        self._keep = keep
        return Callbacks(
            on_begin=keep,
            on_batch=self._batch,
            on_epoch=self._epoch,
            should_stop=self._stop.requested,
            deferring=self._stop.deferred,
        )

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.1%}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            speed_estimate_period=600,
            transient=True,
        )
        self._bar.start()

    def _batch(self, report: BatchReport) -> None:
        if self._bar is None:
            return
        shown = {
            "description": f"epoch {report.epoch}/{self._epochs}",
            "completed": (report.epoch - 1) * report.batches + report.batch,
            "loss": report.loss,
            "accuracy": report.accuracy,
        }
        if self._task is None:
            self._task = self._bar.add_task(total=self._epochs * report.batches, **shown)
        else:
            self._bar.update(self._task, **shown)

    def _epoch(self, record: EpochRecord, progress: Progress) -> None:
        line = epoch_line(record, self._epochs)
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            message(line)
        self._keep(progress)


def print_as_json(
    output: Path, exported: Exported | None, quantized: Quantized | None, choice: Choice | None = None
) -> None:
    """What ``export`` or ``quantize`` found, one JSON object: sizes in bytes, times in µs, accuracies from 0
    to 1 (before: fp32, after: int8); which file ``--quantize auto`` chose, and why."""
    found: dict[str, Any] = {"output": str(output)}
    if exported is not None:
        found |= {"fp32_bytes": len(exported.data), "parity": exported.parity}
    if quantized is not None:
        found |= {name: value for name, value in asdict(quantized).items() if name != "data"}
    if choice is not None:
        found["choice"] = asdict(choice)
    print(to_json(found))


def print_export(exported: Exported) -> None:
    """Size and parity of an fp32 file."""
    print(f"fp32    {len(exported.data):>9,} bytes   at most {exported.parity:.1e} from PyTorch")


def print_written(output: Path, curve: RiskCoverage | None) -> None:
    """The end of ``export`` and ``quantize``: what the file's curve promises, of which texts; its name."""
    if curve is not None:
        print(printable(f"abstain        {_promise(curve)}"))
    print(f"wrote {printable(str(output))}")


def _promise(curve: RiskCoverage) -> str:
    alike = f"texts like these {curve.texts:,} ({curve.data})"
    if curve.default is not None:
        least = curve.threshold(curve.default)
        return f"at most {curve.default:.3g} wrong from a probability of {least:.4g} on, of {alike}"
    if any(map(curve.promised, SHOWN_RISKS)):
        return f"--abstain SHARE holds for {alike}"
    texts = f"{curve.texts:,} texts ({curve.data})"
    return f"{texts} show no threshold for {SHOWN_RISKS[-1]:.0%} wrong or less; give --data with more"


def print_quantized(result: Quantized) -> None:
    """Size, agreement, accuracy and time per text, before and after."""
    from edge_lstm_export.gates import SetsChange

    rows = [("", "fp32", "int8", "")]
    rows.append(
        (
            "size",
            f"{result.bytes_before:,} B",
            f"{result.bytes_after:,} B",
            _ratio(result.bytes_before, result.bytes_after),
        )
    )
    rows.append(
        (
            "time per text",
            f"{result.micros_before:,.0f} µs",
            f"{result.micros_after:,.0f} µs",
            _ratio(1, result.time_ratio.value),
        )
    )
    if isinstance(result.accuracy, SetsChange):
        f1 = result.accuracy.micro_f1_before * 100, result.accuracy.micro_f1_after * 100
        rows.append(("micro F1", f"{f1[0]:.2f} %", f"{f1[1]:.2f} %", f"{f1[1] - f1[0]:+.2f} points"))
    elif result.accuracy is not None:
        a = result.accuracy
        change = f"{(a.after - a.before) * 100:+.2f} points (95 %: {a.low * 100:+.2f} to {a.high * 100:+.2f})"
        rows.append(("accuracy", f"{a.before * 100:.2f} %", f"{a.after * 100:.2f} %", change))
    for name, before, after, note in rows:
        print(f"{name:<15}{before:>12}{after:>12}   {note}".rstrip())
    agree = result.agreement
    print(
        f"agreement      {agree.texts - agree.changed:,} of {agree.texts:,} texts have the same label; "
        f"|Δp| mean {agree.mean_difference:.4f}, max {agree.max_difference:.4f}"
    )
    print(
        f"same bits      {result.batch_comparisons:,} comparisons, alone and in shuffled batches: "
        "no difference"
    )


def print_choice(result: Quantized | None, choice: Choice | None = None) -> None:
    """Which file ``--quantize auto`` chose, and why; without it, that fp32 would be faster here, if so."""
    if choice is not None:
        print(f"chosen         {choice.precision}: {choice.reason}")
    elif result is not None and result.choice().precision == "fp32":
        print(f"note: fp32 is {result.choice().reason}; --quantize auto of 'edge-lstm export' would write it")


def _ratio(before: float, after: float) -> str:
    times = max(before, after) / min(before, after)
    if times < 1.05:
        return "about the same"
    return f"{times:.1f} times {'less' if after < before else 'more'}"
