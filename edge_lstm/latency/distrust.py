"""Whether to believe a measurement: the marks it gets where the machine was not at rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_lstm.latency.conditions import Host, State
from edge_lstm.printable import listed

CLOCK_FELL = 0.05  # of the clock before
HOT_C = 80.0  # a Raspberry Pi starts to slow down here, most others a little later
BUSY_PER_CPU = 0.5  # load average per CPU before anything was measured
STOLEN = 0.01  # of the time measured
SPREAD = 0.20  # interquartile range of the same texts' times, as part of their median


@dataclass(frozen=True)
class Mark:
    """A reason to distrust a measurement: a code for programs, a line for people."""

    code: str
    text: str


def marks(
    host: Host,
    states: Sequence[State],
    *,
    seconds: float,
    unsteady: Sequence[str],
    spread: dict[str, float],
    interrupted: bool = False,
) -> list[Mark]:
    """Reasons to distrust, the worst first; empty where there are none.

    states: before, during and after, in order; unsteady: settings whose warm-up did not settle;
    spread: per setting, the relative interquartile range of times of the same texts.
    """
    before, after = states[0], states[-1]
    found: list[Mark] = []

    def mark(code: str, text: str) -> None:
        found.append(Mark(code, text))

    if interrupted:
        mark("interrupted", "it was interrupted: what was measured until then is shown")
    if host.emulated:
        mark("emulated", f"emulated ({host.emulated}): times say nothing of a real CPU")
    clocks = [s.mhz for s in states if s.mhz]
    if before.mhz and min(clocks) < before.mhz * (1 - CLOCK_FELL):
        mark(
            "clock-fell",
            f"the clock fell from {before.mhz:,.0f} to {min(clocks):,.0f} MHz; cool the CPU",
        )
    flags = sorted({flag for s in states for flag in s.throttled or ()})
    if flags:
        mark("throttled", f"the firmware reports {', '.join(flags)}; check cooling and power supply")
    if _rose(before.throttle_count, after.throttle_count):
        mark("throttled", "the CPU throttled itself for heat; cool it or measure shorter")
    if _rose(before.quota_stops, after.quota_stops):
        mark("quota", "the control group's CPU quota stopped the process; raise it")
    temperatures = [s.temperature_c for s in states if s.temperature_c]
    if temperatures and max(temperatures) >= HOT_C:
        mark("hot", f"the CPU reached {max(temperatures):.0f} °C; cool it")
    cpus = host.machine.cores
    if before.load_average and before.load_average / cpus > BUSY_PER_CPU:
        mark(
            "busy",
            f"other work ran before: load average {before.load_average:.2f} on {cpus} CPUs; stop it",
        )
    if before.steal_s is not None and after.steal_s is not None and seconds > 0:
        stolen = (after.steal_s - before.steal_s) / (seconds * cpus)
        if stolen > STOLEN:
            mark("stolen", f"the virtual machine's host took {stolen:.0%} of the CPU time away")
    slow = before.mhz and before.max_mhz and min(clocks) < before.max_mhz * (1 - CLOCK_FELL)
    if slow and before.governor not in (None, "performance", "userspace"):
        clock = f"{min(clocks):,.0f} of {before.max_mhz:,.0f} MHz"
        mark("governor", f"clock at {clock} under the governor '{before.governor}'; set 'performance'")
    if before.power == "battery":
        mark("battery", "it ran on battery, where many systems lower the clock")
    if unsteady:
        mark("unsteady", f"times were not steady after warm-up ({_some(unsteady)})")
    wide = {name: part for name, part in spread.items() if part > SPREAD and not math.isnan(part)}
    if wide:
        mark(
            "spread",
            f"the same texts took different times: by {max(wide.values()):.0%} of the median, "
            f"{_some(list(wide))}",
        )
    quota = host.machine.cpu_quota
    if quota is not None and quota < 1:
        mark("quota", f"the control group grants {quota:.2f} CPUs")
    return found


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def _some(names: Sequence[str]) -> str:
    return listed(names, 2)
