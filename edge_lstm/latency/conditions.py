"""The conditions of a measurement: what machine, in what state, before and after; whether to believe it.

Everything is read from files of Linux (``/proc``, ``/sys``); what a machine does not say is None.
``root`` is where those file systems are, so that tests bring their own.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge_lstm.machine import Machine, group_files, this_machine
from edge_lstm.printable import listed

ROOT = Path("/")

# Raspberry Pi firmware: bits of get_throttled (documentation of vcgencmd).
THROTTLED_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}


CLOCK_FELL = 0.05  # of the clock before
HOT_C = 80.0  # a Raspberry Pi starts to slow down here, most others a little later
BUSY_PER_CPU = 0.5  # load average per CPU before anything was measured
STOLEN = 0.01  # of the time measured
SPREAD = 0.20  # interquartile range of the same texts' times, as part of their median


@dataclass(frozen=True)
class Host(Machine):
    """What does not change during a measurement.

    affinity: CPUs the process may use, None where the system does not say; virtual: whether this is a
    virtual machine; emulated: the emulator, as far as it can be seen; versions: of the packages.
    """

    affinity: tuple[int, ...] | None
    virtual: bool
    emulated: str | None
    versions: dict[str, str]


@dataclass(frozen=True)
class State:
    """What may change: read before, during and after.

    mhz: clock of the CPUs in use, their mean; temperature_c: the hottest sensor of the CPU.
    throttled: flags of the Raspberry Pi firmware that are up, or None where there is no such firmware.
    throttle_count: times the CPU throttled itself since start (x86), or periods in which the cgroup's
    quota stopped it; None where not said. steal_s: time the host gave to others. power: "mains",
    "battery" or None.
    """

    load_average: float | None
    mhz: float | None
    max_mhz: float | None
    governor: str | None
    temperature_c: float | None
    throttled: tuple[str, ...] | None
    throttle_count: int | None
    quota_stops: int | None
    steal_s: float | None
    power: str | None


def host(root: Path = ROOT) -> Host:
    """Reads what the machine is."""
    return Host(
        **vars(this_machine(root)),
        affinity=_affinity(),
        virtual="hypervisor" in (_text(root / "proc/cpuinfo") or "").split(),
        emulated=_emulated(root),
        versions=_versions(),
    )


def state(root: Path = ROOT) -> State:
    """Reads what the machine is doing now."""
    cpus = _affinity() or tuple(range(os.cpu_count() or 1))
    frequency = [root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq" for cpu in cpus]
    clocks = [_number(path / "scaling_cur_freq") for path in frequency]
    limits = [_number(path / "scaling_max_freq") for path in frequency]
    load = (_text(root / "proc/loadavg") or "").split()[:1]
    return State(
        load_average=_float(load[0]) if load else None,
        mhz=_mean([c / 1000 for c in clocks if c]),
        max_mhz=_mean([c / 1000 for c in limits if c]),
        governor=_text(frequency[0] / "scaling_governor"),
        temperature_c=_temperature(root),
        throttled=_throttled(root),
        throttle_count=_throttle_count(root),
        quota_stops=_quota_stops(root),
        steal_s=_steal(root),
        power=_power(root),
    )


@dataclass(frozen=True)
class ConditionWarning:
    """A reason to distrust a measurement: a code for programs, a line for people."""

    code: str
    text: str


def condition_warnings(
    host: Host,
    states: Sequence[State],
    *,
    seconds: float,
    unsteady: Sequence[str],
    spread: dict[str, float],
    interrupted: bool = False,
) -> list[ConditionWarning]:
    """Reasons to distrust, the worst first; empty where there are none.

    states: before, during and after, in order; unsteady: settings whose warm-up did not settle;
    spread: per setting, the relative interquartile range of times of the same texts.
    """
    before, after = states[0], states[-1]
    found: list[ConditionWarning] = []

    def warn(code: str, text: str) -> None:
        found.append(ConditionWarning(code, text))

    if interrupted:
        warn("interrupted", "it was interrupted: what was measured until then is shown")
    if host.emulated:
        warn("emulated", f"emulated ({host.emulated}): times say nothing of a real CPU")
    clocks = [s.mhz for s in states if s.mhz]
    if before.mhz and min(clocks) < before.mhz * (1 - CLOCK_FELL):
        warn(
            "clock-fell",
            f"the clock fell from {before.mhz:,.0f} to {min(clocks):,.0f} MHz; cool the CPU",
        )
    flags = sorted({flag for s in states for flag in s.throttled or ()})
    if flags:
        warn("throttled", f"the firmware reports {', '.join(flags)}; check cooling and power supply")
    if _rose(before.throttle_count, after.throttle_count):
        warn("throttled", "the CPU throttled itself for heat; cool it or measure shorter")
    if _rose(before.quota_stops, after.quota_stops):
        warn("quota", "the control group's CPU quota stopped the process; raise it")
    temperatures = [s.temperature_c for s in states if s.temperature_c]
    if temperatures and max(temperatures) >= HOT_C:
        warn("hot", f"the CPU reached {max(temperatures):.0f} °C; cool it")
    cpus = host.cores
    if before.load_average and before.load_average / cpus > BUSY_PER_CPU:
        warn(
            "busy",
            f"other work ran before: load average {before.load_average:.2f} on {cpus} CPUs; stop it",
        )
    if before.steal_s is not None and after.steal_s is not None and seconds > 0:
        stolen = (after.steal_s - before.steal_s) / (seconds * cpus)
        if stolen > STOLEN:
            warn("stolen", f"the virtual machine's host took {stolen:.0%} of the CPU time away")
    slow = before.mhz and before.max_mhz and min(clocks) < before.max_mhz * (1 - CLOCK_FELL)
    if slow and before.governor not in (None, "performance", "userspace"):
        clock = f"{min(clocks):,.0f} of {before.max_mhz:,.0f} MHz"
        warn("governor", f"clock at {clock} under the governor '{before.governor}'; set 'performance'")
    if before.power == "battery":
        warn("battery", "it ran on battery, where many systems lower the clock")
    if unsteady:
        warn("unsteady", f"times were not steady after warm-up ({listed(unsteady, 2)})")
    wide = {name: part for name, part in spread.items() if part > SPREAD and not math.isnan(part)}
    if wide:
        warn(
            "spread",
            f"the same texts took different times: by {max(wide.values()):.0%} of the median, "
            f"{listed(list(wide), 2)}",
        )
    quota = host.cpu_quota
    if quota is not None and quota < 1:
        warn("quota", f"the control group grants {quota:.2f} CPUs")
    if all(value is None for s in states for value in vars(s).values()):
        warn(
            "unwatched",
            "load, clock and heat are not watched: this system has no /proc and /sys to tell them",
        )
    return found


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def _text(path: Path, zero: str = "") -> str | None:
    """A file's text; ``zero`` takes the place of zero bytes."""
    try:
        return path.read_bytes().decode("utf-8", "replace").replace("\0", zero).strip() or None
    except OSError:
        return None


def _number(path: Path) -> float | None:
    return _float(_text(path) or "")


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _integer(text: str, base: int = 10) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _affinity() -> tuple[int, ...] | None:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None


def _quota_stops(root: Path) -> int | None:
    stops = []
    for text in group_files(root, "cpu", "cpu.stat"):
        words = [line.split() for line in text.splitlines()]
        stops += [_integer(pair[1]) for pair in words if pair[:1] == ["nr_throttled"] and len(pair) > 1]
    return max((count for count in stops if count is not None), default=None)


def _temperature(root: Path) -> float | None:
    """The hottest CPU sensor, in °C: thermal zones whose type names the CPU, else all of them."""
    zones = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _number(zone / "temp")
        if value is not None and 0 < value < 150_000:
            kind = (_text(zone / "type") or "").lower()
            zones.append((any(word in kind for word in ("cpu", "pkg", "soc", "core")), value / 1000))
    cpu = [value for is_cpu, value in zones if is_cpu]
    return max(cpu or [value for _, value in zones], default=None)


def _throttled(root: Path) -> tuple[str, ...] | None:
    """Flags of the Raspberry Pi firmware that are up now."""
    paths = (
        "sys/devices/platform/soc/soc:firmware/get_throttled",
        "sys/devices/platform/axi/axi:firmware/get_throttled",
    )
    for path in paths:
        bits = _integer(_text(root / path) or "", 16)
        if bits is not None:
            return tuple(name for bit, name in THROTTLED_NOW.items() if bits >> bit & 1)
    return None


def _throttle_count(root: Path) -> int | None:
    """Times x86 CPUs slowed themselves down for heat since the system started."""
    counts = [
        _number(path)
        for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def _steal(root: Path) -> float | None:
    """Seconds in which the host of this virtual machine ran others, all CPUs together."""
    fields = (_text(root / "proc/stat") or "").splitlines()[:1]
    numbers = fields[0].split() if fields else []
    ticks = _integer(numbers[8]) if len(numbers) > 8 else None
    return None if ticks is None else ticks / 100


def _power(root: Path) -> str | None:
    found = None
    for supply in sorted((root / "sys/class/power_supply").glob("*")):
        kind = _text(supply / "type")
        if kind in ("Mains", "USB") and _text(supply / "online") == "1":
            return "mains"
        if kind == "Battery" and _text(supply / "status") == "Discharging":
            found = "battery"
    return found


def _emulated(root: Path) -> str | None:
    """The emulator this process runs in, as far as it can be seen, with the CPU it was asked for.

    qemu's user mode shows the program itself under /proc/self, but the thread's own files are the
    kernel's, which knows only of qemu.
    """
    exe = _link(root / "proc/thread-self/exe")
    if exe is None or not PurePosixPath(exe).name.startswith("qemu-"):
        return None
    command = (_text(root / f"proc/self/task/{os.getpid()}/cmdline", "\0") or "").split("\0")
    cpu = command[command.index("-cpu") + 1] if "-cpu" in command[:-1] else None
    return f"{PurePosixPath(exe).name} -cpu {cpu}" if cpu else PurePosixPath(exe).name


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def _versions() -> dict[str, str]:
    import numpy
    import onnxruntime

    from edge_lstm import __version__

    return {
        "edge_lstm": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "onnxruntime": onnxruntime.__version__,
        "numpy": numpy.__version__,
    }
