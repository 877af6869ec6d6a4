"""The result of a measurement: what terminal, report and compare read; a JSON file (docs/latency.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm.latency import statistics
from edge_lstm.latency.cold_start import PHASES, Memory
from edge_lstm.latency.conditions import ConditionWarning, Host, State, condition_warnings
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.measure import Measured, Measurement
from edge_lstm.latency.recorder import Minute
from edge_lstm.latency.statistics import Floats, LengthFit
from edge_lstm.latency.texts import lengths_of
from edge_lstm.latency.typed_json import FormatError, from_json, to_json

SCHEMA = "edge-lstm.latency"
VERSION = 1
DIGITS = 6  # significant; a µs of a second


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Lengths of the texts."""

    min: int
    median: float
    max: int


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts that were answered; sha256: of all of them in order."""

    source: str
    count: int
    sha256: str
    tokens: Tokens


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was asked for; runs is None where duration_s is given. block_texts: texts of a block."""

    runs: int | None
    duration_s: float | None
    interval_s: float
    pin: tuple[int, ...]
    cold_starts: int
    seed: int
    block_texts: int


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

    def percentile(self, which: int) -> float | None:
        """One of statistics.PERCENTILES, in µs."""
        value: float | None = getattr(self, f"p{which}_us")
        return value


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of several fresh processes."""

    median: float
    min: float
    max: float


@dataclass(frozen=True, kw_only=True)
class ColdStarts:
    """Start of a process → first answer, in ms, and its phases."""

    processes: int
    python_ms: Spread
    imports_ms: Spread
    load_ms: Spread
    first_ms: Spread
    total_ms: Spread

    @property
    def phases(self) -> tuple[Spread, ...]:
        """Python starts, imports, loads the model, answers the first text."""
        return self.python_ms, self.imports_ms, self.load_ms, self.first_ms


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Blocks and seconds until times were steady, or until they were given up to be."""

    blocks: int
    seconds: float
    steady: bool


@dataclass(frozen=True, kw_only=True)
class LengthFits:
    """A line through the texts for text → answer, text → ids, ids → answer."""

    both: LengthFit
    encode: LengthFit
    run: LengthFit


@dataclass(frozen=True, kw_only=True)
class KeptSamples:
    """In the order of time, a place for each kept run: the text's number (-1 in batches), tokens, µs.

    every = n: only every nth pass over the texts (of batches: block) was kept.
    """

    every: int
    text: tuple[int, ...]
    tokens: tuple[int, ...]
    encode_us: tuple[float, ...]
    run_us: tuple[float, ...]

    @property
    def both_us(self) -> Floats:
        """Text → answer: float64 [kept]."""
        both: Floats = np.add(self.encode_us, self.run_us)
        return both

    @property
    def pass_length(self) -> int:
        """Samples in a pass over the texts, 0 where they do not come in passes."""
        return statistics.pass_length(np.array(self.text, dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """One setting: how it was run, and its times.

    both, encode, run: text → answer, text → ids, ids → answer, of a run. spread: interquartile range of the
    blocks' time per token, as a part of the median. trend: change of the median over the run.
    """

    name: str
    model: Model
    threads: int
    batch_size: int
    provider: str
    length: int | None
    cold_start: ColdStarts | None
    memory: Memory | None
    warm_up: WarmUp | None
    runs: int
    texts: int
    both: Times
    encode: Times
    run: Times
    texts_per_second: float
    cpu_us_per_text: float
    spread: float | None
    length_fit: LengthFits | None
    energy: Energy | None
    minutes: tuple[Minute, ...]
    trend: float | None
    samples: KeptSamples
    blocks_us_per_text: tuple[float, ...]

    @property
    def model_name(self) -> str:
        """The model's file name, without its suffix."""
        return Path(self.model.path).name.removesuffix(".onnx")


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

    created: ISO 8601, UTC; host: where it was measured, if over ssh; seconds: of the steady-state part;
    states: before, each minute, after; energy_note: which meter, or why none; distrust: reasons to.
    """

    created: str
    host: str | None
    plan: Plan
    seconds: float
    texts: Texts
    machine: Host
    states: tuple[State, ...]
    energy_note: str
    distrust: tuple[ConditionWarning, ...]
    settings: tuple[SettingResult, ...]
    ratios: tuple[RatioResult, ...]

    @property
    def is_interrupted(self) -> bool:
        """Whether it was cut off."""
        return any(warning.code == "interrupted" for warning in self.distrust)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, six significant digits."""
        values = to_json(self, DIGITS)
        if self.host is None:
            del values["host"]
        return {"schema": SCHEMA, "version": VERSION, **values}

    @classmethod
    def from_dict(cls, value: Any, name: str) -> Result:
        """Checks what was read from JSON; ``name`` is what errors call it. Raises DataError."""
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
        """The result as JSON text: indented, lists of numbers on one line each."""
        short: list[str] = []

        def fold(value: Any) -> Any:
            if isinstance(value, list) and value and all(isinstance(item, (int, float)) for item in value):
                short.append(json.dumps(value))
                return f"\0{len(short) - 1}\0"
            if isinstance(value, dict):
                return {key: fold(item) for key, item in value.items()}
            return [fold(item) for item in value] if isinstance(value, list) else value

        text = json.dumps(fold(self.to_dict()), ensure_ascii=False, indent=1)
        return re.sub(r'"\\u0000(\d+)\\u0000"', lambda found: short[int(found[1])], text) + "\n"

    def write(self, path: Path) -> None:
        """Writes the JSON, whole or not at all. Raises OutputError."""
        write_atomically(self.dumps(), path)


def parse_result(text: str, name: str) -> Result:
    """JSON → a result, checked. ``name`` is what errors call it. Raises DataError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:120]
        raise DataError(f"{name} is not JSON ({reason}); give a file that 'latency -o FILE' wrote") from None
    return Result.from_dict(value, name)


def read_result(path: Path) -> Result:
    """Reads and checks a file that ``latency -o`` wrote. Raises DataError."""
    try:
        return parse_result(path.read_bytes().decode("utf-8", "replace"), str(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from None


def _check(result: Result) -> None:
    """What types do not say. Raises FormatError."""
    if not result.settings:
        raise FormatError("settings is empty")
    if not result.states:
        raise FormatError("states is empty")
    for i, one in enumerate(result.settings):
        samples = one.samples
        lengths = {len(samples.text), len(samples.tokens), len(samples.encode_us), len(samples.run_us)}
        if len(lengths) != 1 or not samples.text:
            raise FormatError(f"settings[{i}].samples holds no runs, or lists of different lengths")
        if (
            min(*samples.encode_us, *samples.run_us, 0.0) < 0
            or samples.both_us.min() <= 0
            or min(one.runs, one.texts, one.batch_size) < 1
        ):
            raise FormatError(f"settings[{i}] holds times or counts that are not above 0")
    for i, ratio in enumerate(result.ratios):
        if min(ratio.value, ratio.low, ratio.high) <= 0:
            raise FormatError(f"ratios[{i}] holds ratios that are not above 0")


def to_result(measurement: Measurement) -> Result:
    """A measurement → its result."""
    settings, sample = measurement.settings, measurement.sample
    tokens = lengths_of(sample.texts, measurement.measured[0].classifier.model.tokenizer)
    spread = {one.setting.name: spread_of(one) for one in measurement.measured}
    result = Result(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        host=None,
        plan=Plan(
            runs=settings.runs if settings.duration_s is None else None,
            duration_s=settings.duration_s,
            interval_s=settings.interval_s,
            pin=settings.pin,
            cold_starts=settings.cold_starts,
            seed=settings.seed,
            block_texts=settings.block_texts,
        ),
        seconds=measurement.seconds,
        texts=Texts(
            source=sample.source,
            count=len(sample.texts),
            sha256=sample.sha256(),
            tokens=Tokens(min=min(tokens), median=float(np.median(tokens)), max=max(tokens)),
        ),
        machine=measurement.host,
        states=tuple(measurement.states),
        energy_note=measurement.meters_note,
        distrust=tuple(
            condition_warnings(
                measurement.host,
                measurement.states,
                seconds=measurement.seconds,
                unsteady=[one.setting.name for one in measurement.measured if not one.steady],
                spread={name: value for name, value in spread.items() if value is not None},
                interrupted=measurement.interrupted,
            )
        ),
        settings=tuple(
            _setting_result(one, spread[one.setting.name], settings.seed) for one in measurement.measured
        ),
        ratios=_ratios(measurement.measured, settings.seed),
    )
    # What is shown here is what is written: both with the digits of the file.
    return from_json(Result, to_json(result, DIGITS))


def _setting_result(one: Measured, spread: float | None, seed: int) -> SettingResult:
    setting, recorder, model = one.setting, one.recorder, one.classifier.model
    samples = recorder.samples()
    period = statistics.pass_length(samples.text)
    texts = recorder.runs * setting.batch_size
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
        length=setting.length,
        cold_start=_cold_starts(one),
        memory=one.memory,
        warm_up=WarmUp(blocks=one.warm_up_blocks, seconds=one.warm_up_s, steady=one.steady),
        runs=recorder.runs,
        texts=texts,
        both=_times(samples.both_us, period, seed, recorder.max_ns / 1e3),
        encode=_times(samples.encode_us, period, seed),
        run=_times(samples.run_us, period, seed),
        texts_per_second=texts / (recorder.total_ns / 1e9),
        cpu_us_per_text=recorder.cpu_ns / 1e3 / texts,
        spread=spread,
        length_fit=_length_fits(one, seed),
        energy=one.energy,
        minutes=tuple(recorder.minutes),
        trend=statistics.trend([minute.p50_us for minute in recorder.minutes]),
        samples=KeptSamples(
            every=recorder.every,
            text=tuple(samples.text.tolist()),
            tokens=tuple(samples.tokens.tolist()),
            encode_us=tuple(samples.encode_us.tolist()),
            run_us=tuple(samples.run_us.tolist()),
        ),
        blocks_us_per_text=tuple(recorder.block_times().values()),
    )


def _times(samples: npt.NDArray[np.float64], period: int, seed: int, longest: float | None = None) -> Times:
    percentiles = {f"p{which}_us": statistics.percentile(samples, which) for which in statistics.PERCENTILES}
    return Times(
        mean_us=float(samples.mean()),
        p50_ci_us=statistics.median_interval(samples, period, seed),
        max_us=float(samples.max()) if longest is None else longest,
        **percentiles,
    )


def _cold_starts(one: Measured) -> ColdStarts | None:
    if not one.cold:
        return None
    phases = {
        f"{phase}_ms": [getattr(start, f"{phase}_ms") for start in one.cold] for phase in (*PHASES, "total")
    }
    return ColdStarts(
        processes=len(one.cold),
        **{
            phase: Spread(median=float(np.median(values)), min=min(values), max=max(values))
            for phase, values in phases.items()
        },
    )


def _length_fits(one: Measured, seed: int) -> LengthFits | None:
    """Lines through the texts' medians, of each part; None in batches and where the lengths are alike."""
    samples = one.recorder.samples()
    if one.setting.batch_size > 1 or not len(samples.text):
        return None
    fits = {}
    for part in ("both", "encode", "run"):
        texts, medians = statistics.per_text(samples.text, getattr(samples, f"{part}_us"))
        tokens = np.array([one.tokens[i] for i in texts], dtype=np.float64)
        fit = statistics.fit_length(tokens, medians, seed)
        if fit is None:
            return None
        fits[part] = fit
    return LengthFits(**fits)


def spread_of(one: Measured) -> float | None:
    """Interquartile range of the blocks' time per token, as a part of their median: how much the same
    work varied. None under MIN_BLOCKS.
    """
    per_token = one.recorder.block_times_per_token()
    if len(per_token) < statistics.MIN_BLOCKS:
        return None
    low, middle, high = np.percentile(per_token, [25, 50, 75])
    return float((high - low) / middle)


def _ratios(measured: Sequence[Measured], seed: int) -> tuple[RatioResult, ...]:
    """Each setting against the first that ran the same texts: time per text, times as long."""
    found = []
    first: dict[int | None, Measured] = {}
    for one in measured:
        base = first.setdefault(one.setting.length, one)
        if base is one:
            continue
        mine, others = one.recorder.block_times(), base.recorder.block_times()
        both = sorted(mine.keys() & others.keys())
        ratio = statistics.paired_ratio(
            np.array([mine[block] for block in both]), np.array([others[block] for block in both]), seed
        )
        if ratio is not None:
            found.append(RatioResult(name=one.setting.name, against=base.setting.name, **asdict(ratio)))
    return tuple(found)
