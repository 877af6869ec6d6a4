"""The result of a measurement, and its JSON (docs/latency.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.conditions import ConditionWarning
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.statistics import LengthFit, Ratio
from edge_lstm.system.machine import Machine

SCHEMA = "edge-lstm.latency"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts of a measurement.

    source: a name for a person.
    count: number of texts.
    sha256: see texts_digest.
    tokens: least, median and most of a text.
    """

    source: str
    count: int
    sha256: str
    tokens: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model file.

    path: as it was given.
    sha256: of the file.
    bytes: its size.
    precision: fp32 or int8.
    """

    path: str
    sha256: str
    bytes: int
    precision: str


@dataclass(frozen=True, kw_only=True)
class Times:
    """Times of a run, in µs.

    A value that needs more runs is None.

    mean_us: the mean.
    p50_us, p90_us, p95_us, p99_us: percentiles.
    p50_ci_us: 95 % interval of the median.
    max_us: the longest.
    """

    mean_us: float
    p50_us: float | None
    p50_ci_us: tuple[float, float] | None
    p90_us: float | None
    p95_us: float | None
    p99_us: float | None
    max_us: float


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """The times of one setting.

    name: what differs between the settings.
    model: the model file.
    threads, batch_size, engine: how it was run.
    cold_starts: one for each fresh process.
    memory: None if it was not measured.
    warm_up_blocks: blocks before times were steady, or their limit.
    runs, texts: how many were timed.
    both, encode, run: from text to answer, from text to ids, from ids to answer.
    texts_per_second: over all runs.
    cpu_us_per_text: CPU time of the process.
    ratio: to the first setting, over the same blocks of texts; None for the first.
    length_fit: time by number of tokens; None for batches, or if the lengths are too alike.
    energy: None if it was not measured.
    by_text: number of tokens and median µs of each text; empty for batches.
    """

    name: str
    model: Model
    threads: int
    batch_size: int
    engine: str
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
    ratio: Ratio | None
    length_fit: LengthFit | None
    energy: Energy | None
    by_text: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A whole measurement.

    created: time in ISO 8601, UTC.
    seconds: duration of the steady state.
    texts: the texts that were answered.
    machine: the machine that was measured.
    versions: version of each package.
    energy_note: the meter, or the reason for no energy.
    warnings: reasons to distrust the times.
    settings: the times of each setting.
    """

    created: str
    seconds: float
    texts: Texts
    machine: Machine
    versions: dict[str, str]
    energy_note: str
    warnings: tuple[ConditionWarning, ...]
    settings: tuple[SettingResult, ...]

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the measurement early."""
        return any(warning.code == "interrupted" for warning in self.warnings)

    def dumps(self) -> str:
        """Return the result as one line of JSON."""
        values = {"schema": SCHEMA, "version": VERSION, **asdict(self)}
        return json.dumps(values, ensure_ascii=False) + "\n"
