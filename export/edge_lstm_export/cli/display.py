"""What a person sees of ``train`` and ``export``: a plan, progress, and a line for the result."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_lstm.cli.notes import wrapped
from edge_lstm.metrics import SetScores, wilson_interval
from edge_lstm.printable import counted, duration, printable, to_json
from edge_lstm_export.cli.plan_display import plan_lines
from edge_lstm_export.progress import Display, message

if TYPE_CHECKING:  # a message needs no torch, and a training no ONNX Runtime
    from edge_lstm.core.modelfile import ModelFile
    from edge_lstm_export.onnx import Exported
    from edge_lstm_export.train.fit import Fitted
    from edge_lstm_export.train.job import Job
    from edge_lstm_export.train.run import Inputs
    from edge_lstm_export.train.sparse import Baseline
    from edge_lstm_export.train.turn import Turn

# The rows that judged a network, by their names in the metadata.
HELD_OUT = {
    "own": "the source's own test split",
    "file": "rows of another file",
    "random": "random rows of the same data",
    "groups": "rows of other groups",
    "digest": "a fifth of the rows, the same in every training",
    "folds": "folds of the same rows",
    "group folds": "folds by groups",
}


def print_plan(prepared: Inputs, seconds: float) -> None:
    """Print the data and every field of the plan, with its reason."""
    print("\n".join(plan_lines(prepared, only_main=False)), end="\n\n")
    print(f"planned in {duration(seconds)}")
    print("--json prints the plan, to change it; --plan FILE runs it")
    _print_notes(prepared)


def _print_notes(prepared: Inputs) -> None:
    for line in (*prepared.dataset.warnings, *prepared.remarks):
        message(f"note: {line}")


def print_prepared(display: Display, prepared: Inputs) -> None:
    """Print the main fields of the plan, unless that is quiet, and the warnings about the data."""
    display.epochs.total = prepared.plan.loop.epochs
    if not display.quiet:
        lines = "\n".join((*plan_lines(prepared, only_main=True), ""))
        for line in lines.split("\n"):
            message(line)
    _print_notes(prepared)


def print_report(job: Job, result: Fitted) -> None:
    """Print the path of the file, how right it is, and how right linear models are."""
    training = result.checkpoint.training
    judged = "validation"
    name = "cross-validated" if training["cross_validated"] else judged
    if result.test is not None:
        judged = name = "test"
    scores = result.test or result.validation
    said = "accuracy unknown, too few texts to measure it"
    if scores is not None:
        said = score_line(name, scores, HELD_OUT[training["held_out"][judged]])
    print(wrapped(f"{job.output}: {said}"))
    if result.baseline is not None and scores is not None:
        kilobytes = result.checkpoint.plan["max_kilobytes"]
        print(wrapped(baseline_line(result.baseline, scores, kilobytes)))
    for each in result.linear:
        if each.part:
            print(f"linear, {each.part}: {each.scores.micro_f1:.2%}")


def score_line(name: str, scores: SetScores, rows: str) -> str:
    """Return the accuracy with its interval; of several labels per text F1.

    rows: what the judged texts are.
    """
    from edge_lstm_export.train.calibrate import Scores

    if not isinstance(scores, Scores):
        f1 = f"micro F1 {scores.micro_f1:.2%}, macro F1 {scores.macro_f1:.2%}"
        return f"{name} {f1} ({counted(scores.texts, 'text')}, {rows})"
    span = f"{scores.interval.low * 100:.2f} to {scores.interval.high * 100:.2f}"
    texts = counted(scores.texts, "text")
    return f"{name} accuracy {scores.subset_accuracy:.2%} (95 %: {span}, {texts}, {rows})"


def turn_line(path: str, turn: Turn) -> str:
    """Return what the new file and the one before answer, and which one is in use, how right."""

    def share(count: int, verb: str) -> str:
        interval = wilson_interval(count, turn.texts)
        return f"{count / turn.texts:.1%} {verb} (95 %: {interval})"

    before = ""
    if turn.before is not None:
        before = f", the file in use {turn.before.answered / turn.texts:.1%}"
    end = "replaced" if turn.refusal is None else f"not replaced: {turn.refusal}"
    return (
        f"{printable(path)}: at ≤ {turn.risk:.2%} error: {share(turn.new.answered, 'answered')}"
        f"{before}; of {counted(turn.texts, 'row')}; {end}; now in use: "
        f"{share(turn.in_use.agreed, 'agree with the log')}"
    )


def macro_f1_of_data(scores: SetScores) -> float:
    """Return the mean F1 of the labels that occur in the data."""
    found = [row.f1 for row in scores.labels if row.support]
    return sum(found) / max(1, len(found))


def baseline_line(baseline: Baseline, ours: SetScores, kilobytes: int) -> str:
    """Return what a linear model has on the same rows, in figures and bytes, against ours.

    kilobytes: of our int8 file, at most.
    """
    from edge_lstm_export.train.calibrate import Scores

    theirs = baseline.scores
    # With one label per text, micro F1 is the accuracy.
    name = "accuracy" if isinstance(ours, Scores) else "micro F1"
    micro = (ours.micro_f1 - theirs.micro_f1) * 100
    # Of the labels that the texts have: the answers of the two may have others.
    macro = macro_f1_of_data(theirs)
    gained = (macro_f1_of_data(ours) - macro) * 100
    return (
        f"{baseline.name}: {name} {theirs.micro_f1:.2%}, macro F1 {macro:.2%}, "
        f"{baseline.size / 1000:,.0f} kB; ours {micro:+.2f}, {gained:+.2f} points, "
        f"at most {kilobytes:,} kB"
    )


def print_exported(file: ModelFile, exported: Exported, *, as_json: bool) -> None:
    """Print the path of the file, its size and its accuracy.

    as_json: everything that was measured, as one object, with sizes in bytes, accuracies from 0 to
        1 (before: fp32, after: int8), and the example texts.
    """
    if as_json:
        shown = asdict(exported)
        named = {
            "output": str(file.path),
            "bytes": len(shown.pop("data")),
            "examples": list(file.examples),
        }
        print(to_json(named | shown))
        return
    compared = exported.comparison
    change = None
    accuracy = ""
    if compared is not None:
        kept = f"{compared.texts - compared.changed:,} of {counted(compared.texts, 'text')}"
        change = compared.accuracy
    if compared is not None and change is not None:
        before = f"fp32 {change.before:.2%}"
        if change.within_chance:
            gained = f" lost, {change.gained:,} gained" if change.gained else ""
            before += f"; {change.lost:,} of {compared.texts:,} texts{gained}, within chance"
        accuracy = f", {change.metric} {change.after:.2%} ({before})"
    print(wrapped(f"{file.path}: {file.precision}, {len(file.data):,} bytes{accuracy}"))
    if exported.chosen_bits is not None:
        print(wrapped(f"tables: {exported.chosen_bits} bits; {kept} keep their label"))
    if (curve := file.abstention) is not None and curve.default is not None:
        least = curve.threshold(curve.default)
        texts = f"{counted(curve.texts, 'text')} ({curve.data})"
        print(
            f"abstain: below {least:.4g}; at most {curve.default:.3g} of the rest wrong, by {texts}"
        )
    if file.examples:
        from edge_lstm.describe import listed_examples

        print(wrapped(f"examples: the file shows {listed_examples(file.examples)}"))
