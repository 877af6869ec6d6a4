"""What a person sees of a training: its plan, a bar or lines while it runs, the result; of ``export`` and
``quantize`` their short tables.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from edge_lstm.answering import SHOWN_RISKS, RiskCoverage
from edge_lstm.cli.tables import plain_table, print_table
from edge_lstm.metrics import SetScores
from edge_lstm.printable import listed, printable, shorten, to_json

if TYPE_CHECKING:  # a message needs no torch, and a training no ONNX Runtime
    from edge_lstm.modelfile import ModelFile
    from edge_lstm_export.onnx.export import Choice, Exported, Quantized
    from edge_lstm_export.train.calibrate import Scores
    from edge_lstm_export.train.corpus import Corpus
    from edge_lstm_export.train.history import EpochRecord
    from edge_lstm_export.train.interruption import StopRequest
    from edge_lstm_export.train.loop import BatchReport, Callbacks
    from edge_lstm_export.train.network import Network
    from edge_lstm_export.train.run import Inputs, Job, Report

MOST_LABELS = 30  # lines or names of labels that are shown


def message(text: str) -> None:
    """A line for the person, on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def stage(text: str) -> None:
    """What is being done, on a terminal only."""
    if sys.stderr.isatty():
        message(f"{text} …")


def duration(seconds: float) -> str:
    """Seconds for a person."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


# --- The plan -----------------------------------------------------------------------------------------------


def print_plan(prepared: Inputs, seconds: float) -> None:
    """What was found in the data, and what will be done and why."""
    from edge_lstm_export.train.plan import explain

    print_table(("data", ""), _wrapped(_facts(prepared), 46), text=(0, 1))
    decisions = explain(prepared.plan, prepared.facts)
    print_table(("plan", "", "why"), _wrapped(decisions, 29), text=(0, 1, 2))
    print(f"planned in {duration(seconds)}; --dry-run --json writes the plan, --plan FILE runs it")
    for line in (*prepared.dataset.warnings, *prepared.remarks):
        message(f"note: {line}")


def _facts(prepared: Inputs) -> Iterator[tuple[str, str]]:
    dataset, facts = prepared.dataset, prepared.facts
    yield "source", dataset.name
    test = f", {len(dataset.test):,} test" if dataset.test else ", no test texts"
    yield "texts", f"{facts.rows:,} training{test}"
    counts = [f"{shorten(name)} {n:,}" for name, n in zip(dataset.labels, dataset.train.counts())]
    yield f"labels ({facts.labels}{', several per text' if facts.several else ''})", listed(counts, 8)
    unit = "characters" if facts.unsegmented else "words"
    yield "length", f"{facts.words:.0f} {unit} per text on average"
    if facts.unlabelled:
        yield "unlabelled", f"{facts.unlabelled:,} texts"


def _wrapped(rows: Iterable[Sequence[str]], width: int) -> list[tuple[str, ...]]:
    """The rows with every cell but the first in so many columns; what is longer goes on in the next row."""
    lines: list[tuple[str, ...]] = []
    for first, *cells in rows:
        parts = [textwrap.wrap(printable(cell), width) for cell in cells]
        lines += zip_longest([first], *parts, fillvalue="")
    return lines


# --- While it runs ------------------------------------------------------------------------------------------


class TrainingDisplay:
    """Stages and epochs on standard error: on a terminal with a spinner and a bar, elsewhere a line each."""

    def __init__(self, stop: StopRequest, *, quiet: bool = False) -> None:
        self._stop, self._quiet = stop, quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> TrainingDisplay:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            text, detail = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[detail]}")
            columns = SpinnerColumn(), text, BarColumn(), detail, TimeElapsedColumn()
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("reading", total=None, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """A stage begins, or got so far."""
        if self._bar is not None:
            self._bar.update(self._task, description=printable(line), total=None, detail="")
        else:
            message(line)
        if self._stop.requested():  # where a library has swallowed what was raised
            raise KeyboardInterrupt

    def prepared(self, prepared: Inputs) -> None:
        """Show in a line what is planned, and warn of what is odd about the data."""
        facts, plan = prepared.facts, prepared.plan
        if not self._quiet:
            teachers = f", teachers: {', '.join(plan.teachers)}" if plan.teachers else ""
            self._print(f"plan: preset {plan.preset} for {facts.kind} texts{teachers} (--dry-run shows all)")
        for line in (*prepared.dataset.warnings, *prepared.remarks):
            self._print(f"note: {line}")

    def started(self, corpus: Corpus, network: Network) -> None:
        """The network is made."""
        count = sum(count for _, _, count in network.parameter_table())
        self.say(f"training {count:,} parameters on {len(corpus.rows) + len(corpus.pool):,} texts")

    def callbacks(self) -> Callbacks:
        """What the training loop calls."""
        from edge_lstm_export.train.loop import Callbacks

        stop = self._stop
        return Callbacks(
            on_batch=self._batch, on_epoch=self._epoch, should_stop=stop.requested, deferring=stop.deferred
        )

    def _batch(self, report: BatchReport) -> None:
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=f"epoch {report.epoch}",
                total=report.batches,
                completed=report.batch,
                detail=f"loss {report.loss:.4f}  accuracy {report.accuracy:.1%}",
            )

    def _epoch(self, record: EpochRecord) -> None:
        if self._quiet:
            return
        line = f"epoch {record.epoch}  loss {record.loss:.4f}  accuracy {record.accuracy:.2%}"
        if record.validation_loss is not None and record.validation_accuracy is not None:
            line += f"  validation {record.validation_loss:.4f}  {record.validation_accuracy:.2%}"
        self._print(f"{line}  {record.seconds:.0f} s")

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
        else:
            message(line)


# --- The result ---------------------------------------------------------------------------------------------


def print_report(job: Job, report: Report, seconds: float) -> None:
    """How good the network is, and where everything is."""
    result = report.result
    judged = "cross-validated" if result.cross_validated else "validation"
    for name, scores in ((judged, result.validation), ("test", result.test)):
        if scores is not None:
            print("", *score_lines(name, scores), sep="\n")
    print(*abstention_lines(result.checkpoint.abstention), sep="\n")
    print("", f"checkpoint {printable(str(job.output))}", sep="\n")
    print(f"history    {printable(str(job.beside('history.json')))}, {job.beside('history.png').name}")
    print(f"finished in {duration(seconds)}")


def score_lines(name: str, measured: Scores | SetScores) -> list[str]:
    """Accuracy with its interval (of several labels F1 and the share of texts with all of them right), then
    a line for each label."""
    worst = sorted(measured.labels, key=lambda row: row.f1)[:MOST_LABELS]
    rows = [
        (shorten(row.label), f"{row.precision:.1%}", f"{row.recall:.1%}", f"{row.f1:.1%}", f"{row.support:,}")
        for row in measured.labels
        if row in worst
    ]
    more = len(measured.labels) - len(rows)
    rows.append(("mean", "", "", f"{measured.macro_f1:.1%}", ""))
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
    last = [f"({more:,} more labels, with better F1)"] if more else []
    return [*first, *plain_table(("label", "precision", "recall", "F1", "texts"), rows), *last]


def abstention_lines(curve: RiskCoverage | None) -> list[str]:
    """How many texts are answered where few answers may be wrong."""
    if curve is None:
        return []
    rows = [
        (f"{risk:.0%}", f"{point.threshold:.4f}", f"{point.answered / curve.texts:.0%}")
        for risk in SHOWN_RISKS
        if (point := curve.promised(risk))
    ]
    if not rows:
        return [f"abstention: {curve.texts:,} texts are too few to say which answers to leave out"]
    return plain_table(("wrong, at most", "threshold", "answered"), rows)


def print_written(
    file: ModelFile,
    exported: Exported | None,
    quantized: Quantized | None,
    choice: Choice | None = None,
    *,
    as_json: bool,
) -> None:
    """The end of ``export`` and ``quantize``: what was measured, and the file's name.

    as_json: one object, sizes in bytes, times in µs, accuracies from 0 to 1 (before: fp32, after: int8).
    choice: which file ``--quantize auto`` chose, and why; without it, that fp32 would be faster here, if so.
    """
    if as_json:
        content: dict[str, Any] = {"output": str(file.path)}
        if exported is not None:
            content |= {"fp32_bytes": len(exported.data), "parity": exported.parity}
        if quantized is not None:
            content |= {name: value for name, value in asdict(quantized).items() if name != "data"}
        if choice is not None:
            content["choice"] = asdict(choice)
        print(to_json(content))
        return
    if exported is not None:
        print(f"fp32    {len(exported.data):>9,} bytes   at most {exported.parity:.1e} from PyTorch")
    if quantized is not None:
        _print_quantized(quantized)
    if choice is not None:
        print(f"chosen         {choice.precision}: {choice.reason}")
    elif quantized is not None and (faster := quantized.choice()).precision == "fp32":
        print(f"note: fp32 is {faster.reason}; --quantize auto of 'edge-lstm export' would write it")
    if file.abstention is not None:
        print(printable(f"abstain        {_promise(file.abstention)}"))
    print(f"wrote {printable(str(file.path))}")


def _promise(curve: RiskCoverage) -> str:
    alike = f"texts like these {curve.texts:,} ({curve.data})"
    if curve.default is not None:
        least = curve.threshold(curve.default)
        return f"at most {curve.default:.3g} wrong from a probability of {least:.4g} on, of {alike}"
    if any(map(curve.promised, SHOWN_RISKS)):
        return f"--abstain SHARE holds for {alike}"
    texts = f"{curve.texts:,} texts ({curve.data})"
    return f"{texts} show no threshold for {SHOWN_RISKS[-1]:.0%} wrong or less; give --data with more"


def _print_quantized(result: Quantized) -> None:
    """Size, agreement, accuracy and time per text, before and after."""
    from edge_lstm_export.onnx.gates import SetsChange

    sizes, times = (result.bytes_before, result.bytes_after), (result.micros_before, result.micros_after)
    rows = [
        ("", "fp32", "int8", ""),
        ("size", *(f"{size:,} B" for size in sizes), _ratio(*sizes)),
        ("time per text", *(f"{time:,.0f} µs" for time in times), _ratio(1, result.time_ratio.value)),
    ]
    if isinstance(result.accuracy, SetsChange):
        f1 = result.accuracy.micro_f1_before * 100, result.accuracy.micro_f1_after * 100
        rows.append(("micro F1", f"{f1[0]:.2f} %", f"{f1[1]:.2f} %", f"{f1[1] - f1[0]:+.2f} points"))
    elif result.accuracy is not None:
        a = result.accuracy
        change = f"{(a.after - a.before) * 100:+.2f} points (95 %: {a.low * 100:+.2f} to {a.high * 100:+.2f})"
        rows.append(("accuracy", f"{a.before * 100:.2f} %", f"{a.after * 100:.2f} %", change))
    for name, before, after, note in rows:
        print(f"{name:<15}{before:>12}{after:>12}   {note}".rstrip())
    agree, comparisons = result.agreement, result.batch_comparisons
    print(
        f"agreement      {agree.texts - agree.changed:,} of {agree.texts:,} texts have the same label; "
        f"|Δp| mean {agree.mean_difference:.4f}, max {agree.max_difference:.4f}"
    )
    print(f"same bits      {comparisons:,} comparisons, alone and in shuffled batches: no difference")


def _ratio(before: float, after: float) -> str:
    times = max(before, after) / min(before, after)
    if times < 1.05:
        return "about the same"
    return f"{times:.1f} times {'less' if after < before else 'more'}"
