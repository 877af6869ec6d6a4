"""Two latency results, old and new: what got slower beyond noise. The gate of a release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.result import Result, SettingResult
from edge_lstm.latency.statistics import samples_needed, unpaired_ratio

TOO_SLOW, UNDECIDED = "too slow", "undecided"


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
    """fail_above: the limit in percent, or None; notes: what makes the two less comparable."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    fail_above: float | None


def compare(old: Result, new: Result, fail_above: float | None = None) -> Comparison:
    """Settings of the same name against each other (a single one against a single one, whatever its name).

    Raise DataError where the two did not answer the same texts or share no setting, or one has too few runs.
    """
    if fail_above is not None and not fail_above >= 0:
        raise DataError(f"--fail-above must be 0 or more, not {fail_above:g}; give a percentage, such as 5")
    if old.texts.sha256 != new.texts.sha256:
        raise DataError("the results are of different texts; measure again with the same --texts")
    pairs = _pairs(old.settings, new.settings)
    if not pairs:
        names = ", ".join(setting.name for setting in old.settings[:3])
        raise DataError(f"the results share no setting ({names}, …); measure with the same options")
    rows = tuple(_row(before, after, fail_above) for before, after in pairs)
    return Comparison(rows, tuple(_notes(old, new, len(pairs))), fail_above)


def check(comparison: Comparison) -> None:
    """Raise CheckError where a setting got slower by more than the limit, beyond noise."""
    failed = [row for row in comparison.rows if row.verdict == TOO_SLOW]
    if not failed:
        return
    worst = max(failed, key=lambda row: row.ratio)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    raise CheckError(
        f"p50 of {worst.name}{more} is {worst.ratio - 1:.1%} slower (95 % CI {worst.low - 1:+.1%} to "
        f"{worst.high - 1:+.1%}), more than the {comparison.fail_above:g} % allowed; find what slowed it down"
    )


def _pairs(
    old: Sequence[SettingResult], new: Sequence[SettingResult]
) -> list[tuple[SettingResult, SettingResult]]:
    is_single = len(old) == len(new) == 1
    return [
        (before, after)
        for after in new
        for before in old
        if (is_single or before.name == after.name)
        and (before.batch_size, before.threads, before.provider)
        == (after.batch_size, after.threads, after.provider)
    ]


def _row(before: SettingResult, after: SettingResult, fail_above: float | None) -> Row:
    medians = []
    for setting in (before, after):
        if setting.both.p50_us is None or setting.both.p50_ci_us is None:
            needed = samples_needed(50)
            raise DataError(f"{setting.name}: {setting.runs} runs are fewer than {needed}; measure longer")
        medians.append((setting.both.p50_us, *setting.both.p50_ci_us))
    old, new = medians
    ratio = unpaired_ratio(new, old)
    verdict = "slower" if ratio.low > 1 else "faster" if ratio.high < 1 else "no difference"
    limit = None if fail_above is None else 1 + fail_above / 100
    if limit is not None and ratio.value > limit:
        verdict = TOO_SLOW if ratio.low > limit else UNDECIDED
    return Row(after.name, old[0], new[0], ratio.value, ratio.low, ratio.high, verdict)


def _notes(old: Result, new: Result, pairs: int) -> Iterator[str]:
    for name, then, now in (
        ("CPU", old.machine.cpu, new.machine.cpu),
        ("number of cores", old.machine.cores, new.machine.cores),
        *((name, old.versions.get(name), new.versions.get(name)) for name in ("onnxruntime", "python")),
    ):
        if now != then:
            yield f"the {name} differs: {then} then, {now} now"
    for result, when in ((old, "then"), (new, "now")):
        yield from (f"{when}: {warning.text}" for warning in result.warnings)
    left = max(len(old.settings), len(new.settings)) - pairs
    if left:
        yield f"{left} settings are in one result only and are left out"
