"""The result of a measurement: what terminal and report read; a JSON file (docs/latency.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

from edge_lstm.errors import DataError
from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.conditions import ConditionWarning, State
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.statistics import LengthFit, Ratio
from edge_lstm.machine import Machine

SCHEMA = "edge-lstm.latency"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts that were answered; sha256: see texts_digest; tokens: the fewest, the median, the
    most."""

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
class SettingResult:
    """One setting: how it was run, and its times.

    cold_starts: one for each fresh process. warm_up_blocks: until times were steady, or given up to
        be.
    both, encode, run: text → answer, text → ids, ids → answer, of a run.
    ratio: to the first setting, over the same blocks of texts; None for the first.
    by_text: in batches of one, tokens and median µs of each text.
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
    ratio: Ratio | None
    length_fit: LengthFit | None
    energy: Energy | None
    by_text: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A whole measurement.

    created: ISO 8601, UTC. seconds: of the steady-state part.
    versions: of the packages. states: before, each minute, after. energy_note: which meter, or why
        none.
    warnings: reasons to distrust the times.
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
        """Whether it was cut off."""
        return any(warning.code == "interrupted" for warning in self.warnings)

    def dumps(self) -> str:
        """The result as one line of JSON."""
        values = {"schema": SCHEMA, "version": VERSION, **asdict(self)}
        return json.dumps(values, ensure_ascii=False) + "\n"


def read_result(path: Path) -> Result:
    """Read and check a file that ``latency -o`` wrote. Raise DataError."""
    try:
        return parse_result(path.read_bytes().decode("utf-8", "replace"), str(path))
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; check the path and its permissions"
        ) from None


def parse_result(text: str, name: str) -> Result:
    """JSON → a result, checked. ``name`` is what errors call it. Raise DataError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:120]
        raise DataError(
            f"{name} is not JSON ({reason}); give a file that 'latency -o FILE' wrote"
        ) from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise DataError(f"{name} is not a latency result; give a file that 'latency -o FILE' wrote")
    if value.get("version") != VERSION:
        version = str(value.get("version"))[:40]
        raise DataError(
            f"{name} has version {version}, this edge-lstm reads {VERSION}; measure again"
        )
    result: Result = _value(Result, value, name)
    if not result.settings or not result.states:
        raise DataError(
            f"{name} has no {'states' if result.settings else 'settings'}; measure again"
        )
    for setting in result.settings:
        counts = (setting.batch_size, setting.runs, setting.texts)
        times = (setting.both.mean_us, setting.both.p50_us, *(setting.both.p50_ci_us or ()))
        if min(number for number in (*counts, *times) if number is not None) <= 0:
            raise DataError(
                f"{name}: {setting.name} has times or counts that are not above 0; measure again"
            )
    return result


def _value(kind: Any, value: Any, where: str) -> Any:
    """A value of JSON → the type that a field has. Unknown keys are passed over. Raise
    DataError."""
    inner = get_args(kind)
    if NoneType in inner:
        return None if value is None else _value(inner[0], value, where)
    if is_dataclass(kind) and isinstance(value, dict):
        make, hints = cast(Any, kind), get_type_hints(kind).items()
        return make(
            **{name: _value(hint, value.get(name), f"{where}: {name}") for name, hint in hints}
        )
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _value(inner[1], item, where) for key, item in value.items()}
    if get_origin(kind) is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(_value(each, item, where) for each, item in zip(kinds, value))
    # JSON writes 2.0 as 2; true is no number; Python reads NaN, infinity and numbers of any length.
    if kind is float and type(value) in (int, float) and -1e300 < value < 1e300:
        return float(value)
    if kind in (int, str) and type(value) is kind and (kind is str or -(2**63) < value < 2**63):
        return value
    raise DataError(f"{where} is missing or of the wrong type; measure again")
