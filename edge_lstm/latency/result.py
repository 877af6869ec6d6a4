"""The result of a measurement, and its JSON file (docs/latency.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from edge_lstm.errors import DataError, read_error
from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.conditions import ConditionWarning, State
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.statistics import LengthFit, Ratio
from edge_lstm.machine import Machine
from edge_lstm.ranges import Range, check_ranges

Count = Annotated[int, Range(1, 10**12)]
_ABOVE_0 = Range(0, 10**12, above=True)
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
    padding: its cost in words; None if the network reads none.
    """

    path: str
    sha256: str
    bytes: int
    precision: str
    padding: str | None = None


@dataclass(frozen=True, kw_only=True)
class Times:
    """Times of a run, in µs.

    A value that needs more runs is None.

    mean_us: the mean.
    p50_us, p90_us, p95_us, p99_us: percentiles.
    p50_ci_us: 95 % interval of the median.
    max_us: the longest.
    """

    mean_us: Annotated[float, _ABOVE_0]
    p50_us: Annotated[float | None, _ABOVE_0]
    p50_ci_us: Annotated[tuple[float, float] | None, _ABOVE_0, Range(2, 2)]
    p90_us: float | None
    p95_us: float | None
    p99_us: float | None
    max_us: float


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """The times of one setting.

    name: what differs between the settings.
    model: the model file.
    threads, batch_size, provider: how it was run.
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
    batch_size: Count
    provider: str
    cold_starts: tuple[ColdStart, ...]
    memory: Memory | None
    warm_up_blocks: int
    runs: Count
    texts: Count
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
class Result:
    """A whole measurement.

    created: time in ISO 8601, UTC.
    seconds: duration of the steady state.
    texts: the texts that were answered.
    machine: the machine that was measured.
    versions: version of each package.
    states: of the machine before, each minute, and after.
    energy_note: the meter, or the reason for no energy.
    warnings: reasons to distrust the times.
    settings: the times of each setting.
    """

    created: str
    seconds: float
    texts: Texts
    machine: Machine
    versions: dict[str, str]
    states: tuple[State, ...]
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


def read_result(path: Path) -> Result:
    """Read and check a file that ``latency -o`` wrote. Raise DataError."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise read_error(path, error) from None
    return parse_result(text, str(path))


def parse_result(text: str, name: str) -> Result:
    """Parse and check JSON. name: of its file, for errors. Raise DataError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name} is not JSON ({error!s:.120}); give a file that 'latency -o FILE' wrote"
        ) from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise DataError(f"{name} is not a latency result; give a file that 'latency -o FILE' wrote")
    if value.get("version") != VERSION:
        version = str(value.get("version"))[:40]
        raise DataError(
            f"{name} has version {version}, this edge-lstm reads {VERSION}; measure again"
        )
    result: Result = _value(Result, value, name)
    for part in ("settings", "states"):
        if not getattr(result, part):
            raise DataError(f"{name} has no {part}; measure again")
    return result


def _value(kind: Any, value: Any, where: str) -> Any:
    """Convert a value of JSON to the type of a field; unknown keys are ignored.

    kind: the type.
    where: path of the value, for errors.

    Raise DataError if the value does not fit.
    """
    inner = get_args(kind)
    if NoneType in inner:
        return None if value is None else _value(inner[0], value, where)
    if is_dataclass(kind) and isinstance(value, dict):
        fields = {}
        for name, hint in get_type_hints(kind).items():
            fields[name] = _value(hint, value.get(name), f"{where}: {name}")
        made = cast(Any, kind)(**fields)
        try:
            check_ranges(made)
        except ValueError as error:
            raise DataError(f"{where}: {error}; measure again") from None
        return made
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _value(inner[1], item, where) for key, item in value.items()}
    if get_origin(kind) is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(_value(each, item, where) for each, item in zip(kinds, value))
    # type(), since True is an instance of int. The limits keep out NaN, infinity and numbers of any
    # length, which Python reads. JSON may write 2.0 as 2.
    if kind is float and type(value) in (int, float) and -1e300 < value < 1e300:
        return float(value)
    if kind is int and type(value) is int and -(2**63) < value < 2**63:
        return value
    if kind is str and type(value) is str:
        return value
    raise DataError(f"{where} is missing or of the wrong type; measure again")
