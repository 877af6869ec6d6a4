"""Two latency results, old and new: what got slower beyond noise. The gate of a release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.result import Result, SettingResult
from edge_lstm.latency.statistics import interval, resampled_medians, samples_needed
from edge_lstm.latency.summary import Table, ms, table_lines, wrapped

TOO_SLOW = "too slow"


@dataclass(frozen=True)
class Row:
    """One setting, then and now: medians in µs, their ratio (above 1: slower) with its 95 % interval."""

    name: str
    old_us: float
    new_us: float
    ratio: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """fail_above: the limit as a part (0.05: 5 %), or None; notes: what makes the two less comparable."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    fail_above: float | None

    @property
    def failed(self) -> tuple[Row, ...]:
        """The settings that got slower by more than the limit, beyond noise: the interval lies above it."""
        return tuple(row for row in self.rows if row.verdict == TOO_SLOW)


def compare(old: Result, new: Result, fail_above: float | None = None) -> Comparison:
    """Settings of the same name against each other (a single one against a single one, whatever its name).

    Raises DataError where the two did not answer the same texts or share no setting.
    """
    if old.texts.sha256 != new.texts.sha256:
        raise DataError("the two results answered different texts; measure again with the same --texts")
    pairs = _pairs(old.settings, new.settings)
    if not pairs:
        names = ", ".join(one.name for one in old.settings[:3])
        raise DataError(f"the two results share no setting ({names}, …); measure with the same options")
    rows = tuple(_row(before, after, fail_above) for before, after in pairs)
    return Comparison(rows, tuple(_notes(old, new, len(pairs))), fail_above)


def check(comparison: Comparison) -> None:
    """Raises CheckError where a setting got slower by more than the limit."""
    failed = comparison.failed
    if not failed or comparison.fail_above is None:
        return
    worst = max(failed, key=lambda row: row.ratio)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    raise CheckError(
        f"p50 of {worst.name}{more} is {worst.ratio - 1:.1%} slower (95 % CI {worst.low - 1:+.1%} to "
        f"{worst.high - 1:+.1%}), more than the {comparison.fail_above:.1%} allowed; find what slowed it down"
    )


def _pairs(
    old: Sequence[SettingResult], new: Sequence[SettingResult]
) -> list[tuple[SettingResult, SettingResult]]:
    if len(old) == len(new) == 1 and _how(old[0]) == _how(new[0]):
        return [(old[0], new[0])]
    by_name = {one.name: one for one in old}
    pairs = ((by_name.get(one.name), one) for one in new)
    return [(before, after) for before, after in pairs if before is not None and _how(before) == _how(after)]


def _how(one: SettingResult) -> tuple[object, ...]:
    return one.batch_size, one.threads, one.provider


def _row(before: SettingResult, after: SettingResult, fail_above: float | None) -> Row:
    medians, draws = [], []
    for seed, one in enumerate((before, after)):
        samples = one.samples.both_us
        if len(samples) < samples_needed(50):
            raise DataError(
                f"{one.name}: {len(samples)} runs are too few to compare; it needs {samples_needed(50)}; "
                "measure longer"
            )
        medians.append(float(np.median(samples)))
        draws.append(resampled_medians(samples, one.samples.block_runs, np.random.default_rng(seed)))
    low, high = interval(draws[1] / draws[0])
    ratio = medians[1] / medians[0]
    verdict = _verdict(ratio, low, high, fail_above)
    return Row(after.name, medians[0], medians[1], ratio, low, high, verdict)


def _verdict(ratio: float, low: float, high: float, fail_above: float | None) -> str:
    if fail_above is not None and low > 1 + fail_above:
        return TOO_SLOW
    if fail_above is not None and ratio > 1 + fail_above:
        return "undecided"  # beyond the limit, but within the noise
    if low > 1:
        return "slower"
    return "faster" if high < 1 else "no difference"


def _notes(old: Result, new: Result, pairs: int) -> list[str]:
    notes = []
    for name, then, now in (
        ("CPU", old.machine.cpu, new.machine.cpu),
        ("number of cores", old.machine.cores, new.machine.cores),
        *((name, old.versions.get(name), new.versions.get(name)) for name in ("onnxruntime", "python")),
    ):
        if now != then:
            notes.append(f"another {name}: {then} then, {now} now")
    for result, when in ((old, "then"), (new, "now")):
        notes += [f"{when}: {warning.text}" for warning in result.warnings]
    left = max(len(old.settings), len(new.settings)) - pairs
    if left:
        notes.append(f"{left} settings are in one result only and were left out")
    return notes


def to_text(comparison: Comparison) -> str:
    """The comparison for a terminal of 80 columns."""
    header = ("p50 per run, ms", "then", "now", "ratio", "95 % CI", "verdict")
    cells = [
        (r.name, ms(r.old_us), ms(r.new_us), f"{r.ratio:.3f}", f"{r.low:.3f}–{r.high:.3f}", r.verdict)
        for r in comparison.rows
    ]
    lines = table_lines(Table(header, list(cells)))
    if any(row.verdict == "undecided" for row in comparison.rows):
        lines.append("undecided: beyond the limit, but within the noise; measure longer")
    for note in comparison.notes:
        lines += wrapped(note)
    return "\n".join(lines)
