"""The result of a measurement: what terminal, report and compare read; a JSON file (docs/latency.md)."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError
from edge_lstm.latency import statistics
from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.conditions import ConditionWarning, State, condition_warnings
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.measure import Measured, Measurement, is_steady
from edge_lstm.latency.statistics import Floats, LengthFit
from edge_lstm.latency.typed_json import FormatError, from_json, to_json
from edge_lstm.machine import Machine, this_machine
from edge_lstm.printable import listed

SCHEMA = "edge-lstm.latency"
VERSION = 1
DIGITS = 6  # significant; a µs of a second
SPREAD = 0.20  # interquartile range of the same work's times, as part of their median


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts that were answered; sha256: of all in order; tokens: the fewest, the median, the most."""

    source: str
    count: int
    sha256: str
    tokens: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model file; precision: fp32 or int8."""

    path: str
    sha256: str
    bytes: int
    precision: str


@dataclass(frozen=True, kw_only=True)
class Times:
    """Of a run, in µs; None where there are too few runs. p50_ci_us: 95 % interval."""

    mean_us: float
    p50_us: float | None
    p50_ci_us: tuple[float, float] | None
    p90_us: float | None
    p95_us: float | None
    p99_us: float | None
    max_us: float


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The kept runs in the order of time: the text's number (-1 in batches), tokens, µs.

    every = n: only every nth block of texts was kept. block_runs: runs of a block.
    """

    every: int
    block_runs: int
    text: tuple[int, ...]
    tokens: tuple[int, ...]
    encode_us: tuple[float, ...]
    run_us: tuple[float, ...]

    @property
    def both_us(self) -> Floats:
        """Text → answer: float64 [kept]."""
        both: Floats = np.add(self.encode_us, self.run_us)
        return both


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """One setting: how it was run, and its times.

    warm_up_blocks: until times were steady, or given up to be. cold_starts: one for each fresh process.
    both, encode, run: text → answer, text → ids, ids → answer, of a run. spread: interquartile range of the
    blocks' time per token, as part of the median.
    """

    name: str
    model: Model
    threads: int
    batch_size: int
    provider: str
    cold_starts: tuple[ColdStart, ...]
    memory: Memory | None
    warm_up_blocks: int
    runs: int
    texts: int
    both: Times
    encode: Times
    run: Times
    texts_per_second: float
    cpu_us_per_text: float
    spread: float | None
    length_fit: LengthFit | None
    energy: Energy | None
    samples: Samples


@dataclass(frozen=True, kw_only=True)
class RatioResult:
    """``name`` took ``value`` times as long as ``against`` for the same texts, with its 95 % interval."""

    name: str
    against: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """A whole measurement.

    created: ISO 8601, UTC; interval_s: pause before each run; seconds: of the
    steady-state part; states: before, each minute, after; versions: of the packages; energy_note: which
    meter, or why none; warnings: reasons to distrust the times.
    """

    created: str
    interval_s: float
    seconds: float
    texts: Texts
    machine: Machine
    versions: dict[str, str]
    states: tuple[State, ...]
    energy_note: str
    warnings: tuple[ConditionWarning, ...]
    settings: tuple[SettingResult, ...]
    ratios: tuple[RatioResult, ...]

    @property
    def is_interrupted(self) -> bool:
        """Whether it was cut off."""
        return any(warning.code == "interrupted" for warning in self.warnings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, six significant digits."""
        return {"schema": SCHEMA, "version": VERSION, **to_json(self, DIGITS)}

    @classmethod
    def from_dict(cls, value: Any, name: str) -> Result:
        """Check what was read from JSON; ``name`` is what errors call it. Raises DataError."""
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise DataError(f"{name} is not a latency result; give a file that 'latency -o FILE' wrote")
        if value.get("version") != VERSION:
            version = str(value.get("version"))[:40]
            raise DataError(f"{name} has version {version}, this edge-lstm reads {VERSION}; measure again")
        try:
            result = from_json(cls, value)
            _check(result)
        except FormatError as error:
            raise DataError(f"{name}: {error}; measure again") from None
        return result

    def dumps(self) -> str:
        """The result as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False) + "\n"


def parse_result(text: str, name: str) -> Result:
    """JSON → a result, checked. ``name`` is what errors call it. Raises DataError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:120]
        raise DataError(f"{name} is not JSON ({reason}); give a file that 'latency -o FILE' wrote") from None
    return Result.from_dict(value, name)


def read_result(path: Path) -> Result:
    """Read and check a file that ``latency -o`` wrote. Raises DataError."""
    try:
        return parse_result(path.read_bytes().decode("utf-8", "replace"), str(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from None


def _check(result: Result) -> None:
    """What types do not say. Raises FormatError."""
    if not result.settings or not result.states:
        raise FormatError(f"{'states' if result.settings else 'settings'} is empty")
    for i, one in enumerate(result.settings):
        samples = one.samples
        lengths = {len(samples.text), len(samples.tokens), len(samples.encode_us), len(samples.run_us)}
        if len(lengths) != 1 or not samples.text:
            raise FormatError(f"settings[{i}].samples holds no runs, or lists of different lengths")
        if (
            min(*samples.encode_us, *samples.run_us, 0.0) < 0
            or samples.both_us.min() <= 0
            or min(one.runs, one.texts, one.batch_size, samples.block_runs) < 1
        ):
            raise FormatError(f"settings[{i}] holds times or counts that are not above 0")
    for i, ratio in enumerate(result.ratios):
        if min(ratio.value, ratio.low, ratio.high) <= 0:
            raise FormatError(f"ratios[{i}] holds ratios that are not above 0")


def to_result(measurement: Measurement) -> Result:
    """Summarise a measurement."""
    settings, sample, measured = measurement.settings, measurement.sample, measurement.measured
    tokens = measured[0].tokens
    machine, states = this_machine(), tuple(measurement.states)
    result = Result(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        interval_s=settings.interval_s,
        seconds=measurement.seconds,
        texts=Texts(
            source=sample.source,
            count=len(sample.texts),
            sha256=sample.sha256(),
            tokens=(min(tokens), float(np.median(tokens)), max(tokens)),
        ),
        machine=machine,
        versions=_versions(),
        states=states,
        energy_note=measurement.energy_note,
        warnings=(
            *_warnings(measurement),
            *condition_warnings(machine, states, measurement.seconds),
        ),
        settings=tuple(_setting_result(one) for one in measured),
        ratios=_ratios(measured),
    )
    # What is shown here is what is written: both with the digits of the file.
    return from_json(Result, to_json(result, DIGITS))


def _warnings(measurement: Measurement) -> list[ConditionWarning]:
    """What the times themselves say of their worth."""
    warnings = []
    if measurement.interrupted:
        warnings.append(ConditionWarning("interrupted", "interrupted: these are the results until then"))
    unsteady = [one.setting.name for one in measurement.measured if not is_steady(one.warm_up)]
    if unsteady:
        text = f"times were not steady after the warm-up ({listed(unsteady, 2)})"
        warnings.append(ConditionWarning("unsteady", text))
    spreads = {one.setting.name: spread_of(one) or 0.0 for one in measurement.measured}
    if max(spreads.values()) > SPREAD:
        names = listed([name for name, spread in spreads.items() if spread > SPREAD], 2)
        text = f"the time per token varied by {max(spreads.values()):.0%} of its median ({names})"
        warnings.append(ConditionWarning("spread", text))
    return warnings


def _setting_result(one: Measured) -> SettingResult:
    setting, model = one.setting, one.classifier.model
    rows = np.concatenate([block.rows for block in one.blocks])
    encode, run = rows[:, 2] / 1e3, rows[:, 3] / 1e3
    block_runs, texts = len(one.blocks[0].rows), one.runs * setting.batch_size
    return SettingResult(
        name=setting.name,
        model=Model(
            path=str(setting.model),
            sha256=model.sha256(),
            bytes=len(model.data),
            precision=model.precision,
        ),
        threads=setting.threads,
        batch_size=setting.batch_size,
        provider=setting.provider,
        cold_starts=tuple(one.cold),
        memory=one.memory,
        warm_up_blocks=len(one.warm_up),
        runs=one.runs,
        texts=texts,
        both=_times(encode + run, block_runs, one.max_ns / 1e3),
        encode=_times(encode, block_runs),
        run=_times(run, block_runs),
        texts_per_second=texts / (one.total_ns / 1e9),
        cpu_us_per_text=one.cpu_ns / 1e3 / texts,
        spread=spread_of(one),
        length_fit=_length_fit(one, rows) if setting.batch_size == 1 else None,
        energy=one.energy,
        samples=Samples(
            every=one.every,
            block_runs=block_runs,
            text=tuple(rows[:, 0].tolist()),
            tokens=tuple(rows[:, 1].tolist()),
            encode_us=tuple(encode.tolist()),
            run_us=tuple(run.tolist()),
        ),
    )


def _times(samples: Floats, block: int, longest: float | None = None) -> Times:
    percentiles = {f"p{which}_us": statistics.percentile(samples, which) for which in statistics.PERCENTILES}
    return Times(
        mean_us=float(samples.mean()),
        p50_ci_us=statistics.median_interval(samples, block),
        max_us=float(samples.max()) if longest is None else longest,
        **percentiles,
    )


def _length_fit(one: Measured, rows: npt.NDArray[np.int64]) -> LengthFit | None:
    """A line through the texts' medians; None where the lengths are alike. rows: see Block."""
    texts, medians = statistics.per_text(rows[:, 0], rows[:, 2:].sum(axis=1) / 1e3)
    return statistics.fit_length(np.array(one.tokens, dtype=np.float64)[texts], medians)


def spread_of(one: Measured) -> float | None:
    """Interquartile range of the blocks' time per token, as a part of their median; None under MIN_BLOCKS."""
    if len(one.blocks) < statistics.MIN_BLOCKS:
        return None
    low, middle, high = np.percentile([block.total_ns / block.tokens for block in one.blocks], [25, 50, 75])
    return float((high - low) / middle)


def _ratios(measured: Sequence[Measured]) -> tuple[RatioResult, ...]:
    """Each setting against the first: how many times as long it takes for the same texts."""
    ratios = []
    first = {block.number: block.total_ns for block in measured[0].blocks}
    for one in measured[1:]:
        times = {block.number: block.total_ns for block in one.blocks}
        numbers = sorted(times.keys() & first.keys())
        mine, others = (np.array([of[n] for n in numbers], np.float64) for of in (times, first))
        ratio = statistics.paired_ratio(mine, others)
        if ratio is not None:
            name, against = one.setting.name, measured[0].setting.name
            ratios.append(RatioResult(name=name, against=against, **asdict(ratio)))
    return tuple(ratios)


def _versions() -> dict[str, str]:
    import onnxruntime

    from edge_lstm import __version__

    packages = {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
    return {"edge_lstm": __version__, "python": platform.python_version(), **packages}
