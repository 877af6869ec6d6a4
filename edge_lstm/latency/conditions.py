"""The conditions of a measurement: the machine's state before and after; whether to believe the times.

Everything is read from files of Linux (``/proc``, ``/sys``); what a machine does not say is None.
``root`` is where those file systems are, so that tests bring their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.machine import Machine, group_files

ROOT = Path("/")

# Raspberry Pi firmware: bits of get_throttled (documentation of vcgencmd).
THROTTLED_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}

CLOCK_FELL = 0.05  # of the clock before, or of the highest clock allowed
BUSY_PER_CPU = 0.5  # load average per CPU before anything was measured
STOLEN = 0.01  # of the time measured


@dataclass(frozen=True)
class State:
    """What may change: read before, during and after.

    mhz: clock of the CPUs in use, their mean. throttled: flags of the Raspberry Pi firmware that are up, None
    where there is no such firmware. throttle_count: times the CPU throttled itself since start (x86).
    quota_stops: periods in which the control group's quota stopped its processes. steal_s: time that the host
    of a virtual machine gave to others.
    """

    load_average: float | None
    mhz: float | None
    max_mhz: float | None
    governor: str | None
    throttled: tuple[str, ...] | None
    throttle_count: int | None
    quota_stops: int | None
    steal_s: float | None


def state(root: Path = ROOT) -> State:
    """Read what the machine is doing now."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    frequency = [root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq" for cpu in cpus]
    return State(
        load_average=_load_average(root),
        mhz=_mean_mhz([path / "scaling_cur_freq" for path in frequency]),
        max_mhz=_mean_mhz([path / "scaling_max_freq" for path in frequency]),
        governor=_text(frequency[0] / "scaling_governor"),
        throttled=_throttled(root),
        throttle_count=_throttle_count(root),
        quota_stops=_quota_stops(root),
        steal_s=_steal(root),
    )


@dataclass(frozen=True)
class ConditionWarning:
    """A reason to distrust a measurement: a code for programs, a line for people."""

    code: str
    text: str


def condition_warnings(machine: Machine, states: Sequence[State], seconds: float) -> list[ConditionWarning]:
    """Return the reasons to distrust times; states: before, during and after, in order."""
    before, after = states[0], states[-1]
    warnings = []
    clocks = [s.mhz for s in states if s.mhz]
    if before.mhz and min(clocks) < before.mhz * (1 - CLOCK_FELL):
        fell = f"the clock fell from {before.mhz:,.0f} to {min(clocks):,.0f} MHz; cool the CPU"
        warnings.append(ConditionWarning("clock", fell))
    elif before.max_mhz and clocks and min(clocks) < before.max_mhz * (1 - CLOCK_FELL):
        slow = f"the clock was at {min(clocks):,.0f} of {before.max_mhz:,.0f} MHz"
        advice = f"under the governor {before.governor!r}; set 'performance'"
        warnings.append(ConditionWarning("clock", f"{slow} {advice}" if before.governor else slow))
    flags = sorted({flag for s in states for flag in s.throttled or ()})
    if flags or _rose(before.throttle_count, after.throttle_count):
        why = f"the firmware reports {', '.join(flags)}" if flags else "the CPU slowed itself down for heat"
        warnings.append(ConditionWarning("throttled", f"{why}; check cooling and power supply"))
    if _rose(before.quota_stops, after.quota_stops):
        stops = "the control group's CPU quota stopped the process; raise it"
        warnings.append(ConditionWarning("quota", stops))
    elif machine.cpu_quota is not None and machine.cpu_quota < 1:
        grants = f"the control group grants only {machine.cpu_quota:.2f} CPUs; raise its quota"
        warnings.append(ConditionWarning("quota", grants))
    if before.load_average and before.load_average / machine.cores > BUSY_PER_CPU:
        load = f"load average {before.load_average:.2f} on {machine.cores} CPUs"
        warnings.append(ConditionWarning("busy", f"other processes were running ({load}); stop them"))
    if before.steal_s is not None and after.steal_s is not None and seconds > 0:
        stolen = (after.steal_s - before.steal_s) / (seconds * machine.cores)
        if stolen > STOLEN:
            text = f"the host gave {stolen:.0%} of this virtual machine's CPU time to others"
            warnings.append(ConditionWarning("stolen", text))
    return warnings


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace").strip() or None
    except OSError:
        return None


def _number(text: str | None, base: int = 10) -> int | None:
    try:
        number = int(text or "", base)
    except ValueError:
        return None
    return number if abs(number) < 2**63 else None


def _load_average(root: Path) -> float | None:
    """Of the last minute (proc(5), /proc/loadavg)."""
    match = re.match(r"\d{1,9}\.\d{1,9}\b", _text(root / "proc/loadavg") or "")
    return float(match[0]) if match else None


def _mean_mhz(paths: Sequence[Path]) -> float | None:
    """The files hold kHz (kernel documentation, admin-guide/pm/cpufreq)."""
    values = [value for path in paths if (value := _number(_text(path)))]
    return sum(values) / len(values) / 1000 if values else None


def _throttled(root: Path) -> tuple[str, ...] | None:
    """Flags of the Raspberry Pi firmware that are up now."""
    for folder in ("soc/soc:firmware", "axi/axi:firmware"):
        bits = _number(_text(root / f"sys/devices/platform/{folder}/get_throttled"), 16)
        if bits is not None:
            return tuple(name for bit, name in THROTTLED_NOW.items() if bits >> bit & 1)
    return None


def _throttle_count(root: Path) -> int | None:
    """Times x86 CPUs slowed themselves down for heat since the system started."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for file in files if (count := _number(_text(file))) is not None]
    return sum(counts) if counts else None


def _quota_stops(root: Path) -> int | None:
    stops = []
    for text in group_files(root, "cpu", "cpu.stat"):
        words = [line.split() for line in text.splitlines()]
        stops += [_number(pair[1]) for pair in words if pair[:1] == ["nr_throttled"] and len(pair) > 1]
    return max((count for count in stops if count is not None), default=None)


def _steal(root: Path) -> float | None:
    """Seconds in which the host of this virtual machine ran others, on all CPUs (proc(5), /proc/stat)."""
    fields = (_text(root / "proc/stat") or "").splitlines()[:1]
    numbers = fields[0].split() if fields else []
    ticks = _number(numbers[8]) if len(numbers) > 8 else None
    return None if ticks is None else ticks / 100
