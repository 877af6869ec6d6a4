"""The result as one JSON document, described in docs/latency.md: what table, report and compare read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm.latency import statistics
from edge_lstm.latency.cold_start import PHASES
from edge_lstm.latency.distrust import marks
from edge_lstm.latency.measure import Measured, Measurement
from edge_lstm.latency.texts import lengths_of

SCHEMA = "edge-lstm.latency"
VERSION = 1
DIGITS = 6  # significant; a µs of a second

Document = dict[str, Any]


def to_document(result: Measurement) -> Document:
    """A measurement → the document."""
    tokens = lengths_of(result.sample.texts, result.measured[0].classifier.model.tokenizer)
    spread = {one.setting.name: spread_of(one) for one in result.measured}
    found = marks(
        result.host,
        result.states,
        seconds=result.seconds,
        unsteady=[one.setting.name for one in result.measured if not one.steady],
        spread={name: value for name, value in spread.items() if value is not None},
        interrupted=result.interrupted,
    )
    plan = result.plan
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "plan": {
            "runs": plan.runs if plan.duration_s is None else None,
            "duration_s": plan.duration_s,
            "interval_s": plan.interval_s,
            "pin": list(plan.pin),
            "cold_starts": plan.cold_starts,
            "seed": plan.seed,
            "block_texts": plan.block_texts,
        },
        "seconds": result.seconds,
        "texts": {
            "source": result.sample.source,
            "count": len(result.sample.texts),
            "sha256": result.sample.sha256(),
            "tokens": {
                "min": min(tokens),
                "median": float(np.median(tokens)),
                "max": max(tokens),
            },
        },
        "machine": result.host.as_dict(),
        "states": [one.as_dict() for one in result.states],
        "energy_note": result.meters_note,
        "distrust": [asdict(mark) for mark in found],
        "settings": [_setting(one, spread[one.setting.name], plan.seed) for one in result.measured],
        "ratios": _ratios(result.measured, plan.seed),
    }
    rounded: Document = _rounded(document)
    return rounded


def _setting(one: Measured, spread: float | None, seed: int) -> dict[str, Any]:
    setting, recorder, model = one.setting, one.recorder, one.classifier.model
    samples = recorder.samples()
    period = statistics.pass_length(samples.text)
    return {
        "name": setting.name,
        "model": {
            "path": str(setting.model),
            "sha256": model.sha256(),
            "bytes": len(model.data),
            "precision": model.precision,
        },
        "threads": setting.threads,
        "batch_size": setting.batch_size,
        "provider": setting.provider,
        "length": setting.length,
        "cold_start": _cold(one),
        "memory": asdict(one.memory) if one.memory else None,
        "warm_up": {"blocks": one.warm_up_blocks, "seconds": one.warm_up_s, "steady": one.steady},
        "runs": recorder.runs,
        "texts": recorder.runs * setting.batch_size,
        "both": _times(samples.both_us, period, seed, recorder.max_ns / 1e3),
        "encode": _times(samples.encode_us, period, seed),
        "run": _times(samples.run_us, period, seed),
        "texts_per_second": recorder.runs * setting.batch_size / (recorder.total_ns / 1e9),
        "cpu_us_per_text": recorder.cpu_ns / 1e3 / (recorder.runs * setting.batch_size),
        "spread": spread,
        "length_fit": _fits(one, seed),
        "energy": asdict(one.energy) if one.energy else None,
        "minutes": [asdict(minute) for minute in recorder.minutes],
        "trend": statistics.trend([minute.p50_us for minute in recorder.minutes]),
        "samples": {
            "every": recorder.every,
            "text": samples.text.tolist(),
            "tokens": samples.tokens.tolist(),
            "encode_us": samples.encode_us.tolist(),
            "run_us": samples.run_us.tolist(),
        },
        "blocks_us_per_text": list(recorder.block_times().values()),
    }


def _times(
    samples: npt.NDArray[np.float64], period: int, seed: int, longest: float | None = None
) -> dict[str, Any]:
    found = statistics.median_interval(samples, period, seed)
    return {
        "mean_us": float(samples.mean()),
        "p50_us": statistics.percentile(samples, 50),
        "p50_ci_us": list(found) if found else None,
        **{f"p{which}_us": statistics.percentile(samples, which) for which in statistics.PERCENTILES[1:]},
        "max_us": float(samples.max()) if longest is None else longest,
    }


def _cold(one: Measured) -> dict[str, Any] | None:
    if not one.cold:
        return None
    phases = {phase: [getattr(start, f"{phase}_ms") for start in one.cold] for phase in PHASES}
    phases["total"] = [start.total_ms for start in one.cold]
    return {
        "processes": len(one.cold),
        **{
            f"{phase}_ms": {"median": float(np.median(values)), "min": min(values), "max": max(values)}
            for phase, values in phases.items()
        },
    }


def _fits(one: Measured, seed: int) -> dict[str, Any] | None:
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
        fits[part] = asdict(fit)
    return fits


def spread_of(one: Measured) -> float | None:
    """Interquartile range of the blocks' time per token, as a part of their median: how much the same
    work varied. None under MIN_BLOCKS.
    """
    per_token = one.recorder.block_times_per_token()
    if len(per_token) < statistics.MIN_BLOCKS:
        return None
    low, middle, high = np.percentile(per_token, [25, 50, 75])
    return float((high - low) / middle)


def _ratios(measured: Sequence[Measured], seed: int) -> list[dict[str, Any]]:
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
            found.append({"name": one.setting.name, "against": base.setting.name, **asdict(ratio)})
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def dumps(document: Document) -> str:
    """The document as text: indented, lists of numbers on one line each."""
    short: list[str] = []

    def fold(value: Any) -> Any:
        if isinstance(value, list) and value and all(isinstance(item, (int, float)) for item in value):
            short.append(json.dumps(value))
            return f"\0{len(short) - 1}\0"
        if isinstance(value, dict):
            return {key: fold(item) for key, item in value.items()}
        return [fold(item) for item in value] if isinstance(value, list) else value

    text = json.dumps(fold(document), ensure_ascii=False, indent=1)
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda found: short[int(found[1])], text) + "\n"


def write_document(document: Document, path: Path) -> None:
    """Writes the document, whole or not at all. Raises OutputError."""
    write_atomically(dumps(document), path)


# What a reader of this version relies on: key → type, or the same again for what is inside.
_NUMBER = (int, float)
_TIMES = {"mean_us": _NUMBER, "max_us": _NUMBER}
_SETTING: dict[str, Any] = {
    "name": str,
    "model": {"path": str, "sha256": str, "bytes": int, "precision": str},
    "threads": int,
    "batch_size": int,
    "provider": str,
    "runs": int,
    "texts": int,
    "both": _TIMES,
    "encode": _TIMES,
    "run": _TIMES,
    "texts_per_second": _NUMBER,
    "cpu_us_per_text": _NUMBER,
    "minutes": list,
    "samples": {"every": int, "text": list, "tokens": list, "encode_us": list, "run_us": list},
    "blocks_us_per_text": list,
}
_DOCUMENT: dict[str, Any] = {
    "created": str,
    "plan": dict,
    "seconds": _NUMBER,
    "texts": {"source": str, "count": int, "sha256": str, "tokens": dict},
    "machine": {"architecture": str, "cores": int, "kernel": str, "system": str, "versions": dict},
    "states": list,
    "energy_note": str,
    "distrust": list,
    "settings": list,
    "ratios": list,
}


def parse_document(text: str, name: str) -> Document:
    """A document's text → the document, checked. ``name`` is what errors call it. Raises DataError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"{name} is not JSON ({error}); give a file that 'latency --json' wrote") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise DataError(f"{name} is not a latency result; give a file that 'latency --json' wrote")
    if value.get("version") != VERSION:
        raise DataError(
            f"{name} has version {value.get('version')!r}, this edge-lstm reads {VERSION}; measure again"
        )
    wrong = _wrong(value, _DOCUMENT, "")
    for i, setting in enumerate(value.get("settings") or []):
        wrong = wrong or _wrong(setting, _SETTING, f"settings[{i}].")
    if not wrong and not value["settings"]:
        wrong = "settings"
    if wrong:
        raise DataError(f"{name}: {wrong} is missing or of the wrong type; measure again")
    return value


def read_document(path: Path) -> Document:
    """Reads and checks a file that ``latency --json`` wrote. Raises DataError."""
    try:
        return parse_document(path.read_bytes().decode("utf-8", "replace"), str(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from None


def _wrong(value: Any, wanted: Any, where: str) -> str:
    """The first key that is missing or of another type; empty where there is none."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return where.rstrip(".") or "the document"
        for key, kind in wanted.items():
            wrong = _wrong(value.get(key), kind, f"{where}{key}.") if key in value else f"{where}{key}"
            if wrong:
                return wrong
        return ""
    ok = isinstance(value, wanted) and not isinstance(value, bool)
    return "" if ok else where.rstrip(".")
