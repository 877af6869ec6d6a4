"""The conditions of a measurement: the machine's state, and warnings about the times.

Everything is read from files of Linux (``/proc``, ``/sys``). A value that a machine does not report
is None. ``root`` is the folder with these file systems, so that tests can provide their own.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.system.machine import Machine, read_text

# Bits of get_throttled, by the Raspberry Pi firmware's documentation of vcgencmd.
THROTTLED_NOW = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}

# A warning is given above these.
CLOCK_FELL = 0.05  # below the clock before or the highest allowed, as a share of it


@dataclass(frozen=True)
class State:
    """The state of a machine at one moment.

    load_average: of the last minute.
    mhz: mean clock of the CPUs in use.
    max_mhz: the mean of the highest clocks allowed.
    governor: the CPU frequency governor.
    throttled: flags of the Raspberry Pi firmware that are set; None without such firmware.
    throttle_count: number of times an x86 CPU has throttled itself since its start.
    steal_s: time that the host of a virtual machine gave to others, in seconds.
    """

    load_average: float | None
    mhz: float | None
    max_mhz: float | None
    governor: str | None
    throttled: tuple[str, ...] | None
    throttle_count: int | None
    steal_s: float | None


def state(root: Path = Path("/")) -> State:
    """Read the state of the machine now."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    folder = root / "sys/devices/system/cpu"
    frequency = [folder / f"cpu{cpu}/cpufreq" for cpu in cpus]
    load = re.match(r"\d{1,9}\.\d{1,9}\b", read_text(root / "proc/loadavg"))
    throttles = _numbers(folder.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    ticks = re.match(r"cpu +(?:\d+ +){7}(\d{1,18})\b", read_text(root / "proc/stat"))
    return State(
        load_average=float(load[0]) if load else None,
        mhz=_mean_mhz(path / "scaling_cur_freq" for path in frequency),
        max_mhz=_mean_mhz(path / "scaling_max_freq" for path in frequency),
        governor=read_text(frequency[0] / "scaling_governor").strip() or None,
        throttled=_throttled(root),
        throttle_count=sum(throttles) if throttles else None,
        steal_s=int(ticks[1]) / 100 if ticks else None,
    )


@dataclass(frozen=True)
class ConditionWarning:
    """A reason to distrust a measurement.

    code: one word, for programs.
    text: one line, for people.
    """

    code: str
    text: str


def condition_warnings(
    machine: Machine, states: Sequence[State], seconds: float
) -> Iterator[ConditionWarning]:
    """Yield the reasons to distrust the times of a measurement.

    states: before, during and after, in order.
    seconds: the time of the measurement.
    """
    before = states[0]
    after = states[-1]

    slowest = min((each.mhz for each in states if each.mhz), default=math.inf)
    highest = max(before.mhz or 0.0, before.max_mhz or 0.0)
    if slowest < highest * (1 - CLOCK_FELL):
        text = f"the clock was at {slowest:,.0f} of {highest:,.0f} MHz"
        how = f"; cool the CPU, or set its governor ({before.governor or 'unknown'}) to performance"
        yield ConditionWarning("clock", text + how)

    flags: set[str] = set()
    for each in states:
        flags.update(each.throttled or ())
    if flags or (after.throttle_count or 0) > (before.throttle_count or 0):
        reported = ", ".join(sorted(flags))
        why = f"the firmware reports {reported}" if flags else "the CPU throttled itself"
        yield ConditionWarning("throttled", f"{why}; check cooling and power supply")

    if machine.cpu_quota is not None and machine.cpu_quota < 1:
        text = f"the control group grants only {machine.cpu_quota:.2f} CPUs; raise its quota"
        yield ConditionWarning("quota", text)

    if before.load_average and before.load_average / machine.cores > 0.5:
        load = f"load average {before.load_average:.2f} on {machine.cores} CPUs"
        yield ConditionWarning("busy", f"other processes were running ({load}); stop them")

    if before.steal_s is not None and after.steal_s is not None and seconds > 0:
        stolen = (after.steal_s - before.steal_s) / (seconds * machine.cores)
        if stolen > 0.01:
            text = f"the host gave {stolen:.0%} of this virtual machine's CPU time to others"
            yield ConditionWarning("stolen", text)


def _numbers(paths: Iterable[Path]) -> list[int]:
    """Return the whole numbers that files hold, except absurdly long ones."""
    texts = (read_text(path).strip() for path in paths)
    return [int(text) for text in texts if re.fullmatch(r"\d{1,18}", text)]


def _mean_mhz(paths: Iterable[Path]) -> float | None:
    """Return the mean of clocks that files hold.

    They hold kHz, by the kernel's documentation (admin-guide/pm/cpufreq).
    """
    values = [value for value in _numbers(paths) if value]
    return sum(values) / len(values) / 1000 if values else None


def _throttled(root: Path) -> tuple[str, ...] | None:
    """Return the flags of the Raspberry Pi firmware that are set now."""
    for folder in ("soc/soc:firmware", "axi/axi:firmware"):
        bits = read_text(root / f"sys/devices/platform/{folder}/get_throttled").strip()
        if re.fullmatch(r"(0x)?[0-9a-f]{1,16}", bits):
            value = int(bits, 16)
            return tuple(name for bit, name in THROTTLED_NOW.items() if value >> bit & 1)
    return None
