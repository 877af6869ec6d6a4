"""Energy per text, from a meter and from nothing else: RAPL, an INA or another sensor.

Counters (RAPL, some sensors) are read before and after. Power sensors are read between runs and added
up over time. The machine at rest is measured first, so that both are known: what a text costs in all,
and what it costs on top of a machine that is switched on anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.latency.conditions import ROOT

POLL_S = 0.1  # sensors of this kind refresh several times a second
REST_PART = 0.3  # of the time, at rest


@dataclass(frozen=True)
class Meter:
    """Something under /sys that measures energy or power.

    scope: what it measures.
    path: the file of the counter (µJ) or power (µW); where power is voltage × current, of the voltage,
    and ``current`` that of the current.
    wrap_j: the value at which a counter starts again, 0 where it says none.
    """

    name: str
    scope: str
    path: Path
    is_counter: bool
    current: Path | None = None
    wrap_j: float = 0.0

    def read(self) -> float | None:
        """J for counters, W otherwise; None where it cannot be read."""
        try:
            value = float(self.path.read_text())
            if self.current is not None:
                value *= float(self.current.read_text())
            return value / 1e6
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Energy:
    """What the meter said.

    joules_per_text: all that the meter saw; above_rest: less what it sees at rest in the same time.
    """

    meter: str
    scope: str
    watts: float
    rest_watts: float
    joules_per_text: float
    above_rest_joules_per_text: float


def find_meters(root: Path = ROOT) -> tuple[tuple[Meter, ...], str]:
    """Meters that can be read, the best first, and a line that says what there is or why there is none."""
    candidates = [*_rapl(root), *_sensors(root)]
    usable = tuple(meter for meter in candidates if meter.read() is not None)
    if usable:
        return usable, f"energy from {usable[0].name} ({usable[0].scope})"
    if candidates:
        first = candidates[0]
        return (), f"no energy: {first.name} cannot be read; run as root or allow reading {first.path}"
    return (), "no energy: this machine has no meter under /sys (RAPL, power sensor)"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _rapl(root: Path) -> list[Meter]:
    """CPU packages; the whole platform (psys) first where there is one."""
    meters = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name = _text(zone / "name")
        if (zone / "energy_uj").exists() and zone.name.count(":") == 1:
            scope = "the whole platform" if name == "psys" else "the CPU package"
            wrap = _text(zone / "max_energy_range_uj")
            wrap_j = int(wrap) / 1e6 if wrap.isdecimal() else 0.0
            meters.append(Meter(f"RAPL {name}", scope, zone / "energy_uj", True, wrap_j=wrap_j))
    return sorted(meters, key=lambda meter: meter.scope != "the whole platform")


def _sensors(root: Path) -> list[Meter]:
    """Sensors under hwmon: an energy counter, else power, else voltage × current (INA219, INA3221, …)."""
    meters = []
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = _text(chip / "name") or chip.name
        scope = "what the sensor is wired to"
        if (chip / "energy1_input").exists():
            meters.append(Meter(name, scope, chip / "energy1_input", True))
        elif (chip / "power1_input").exists():
            meters.append(Meter(name, scope, chip / "power1_input", False))
        elif name.startswith("ina") and (chip / "in1_input").exists() and (chip / "curr1_input").exists():
            # hwmon gives mV and mA, whose product is µW.
            meters.append(Meter(name, scope, chip / "in1_input", False, chip / "curr1_input"))
    return meters


def measure_energy(meter: Meter, run: Callable[[], int], seconds: float) -> Energy | None:
    """Energy of texts: at rest first, then ``run`` again and again for ``seconds``.

    run: runs one batch and says how many texts it held. None where the meter fails or stands still.
    """
    rest = _joules(meter, _rest, seconds * REST_PART)
    work = _joules(meter, run, seconds)
    if rest is None or work is None or work[0] <= 0 or work[2] < 1:
        return None
    joules, elapsed, texts = work
    rest_watts = rest[0] / rest[1]
    return Energy(
        meter.name, meter.scope, joules / elapsed, rest_watts,
        joules / texts, (joules - rest_watts * elapsed) / texts,
    )  # fmt: skip


def _rest() -> int:
    time.sleep(POLL_S)
    return 0


def _joules(meter: Meter, run: Callable[[], int], seconds: float) -> tuple[float, float, int] | None:
    """(J, seconds, texts) of running for about ``seconds``; None where the meter cannot be read."""
    begun = read_at = time.perf_counter()
    last = meter.read()
    if last is None:
        return None
    joules, texts = 0.0, 0
    while True:
        texts += run()
        now = time.perf_counter()
        over = now - begun >= seconds
        if over or now - read_at >= POLL_S:
            value = meter.read()
            if value is None:
                return None
            if not meter.is_counter:
                joules += (last + value) / 2 * (now - read_at)
            elif value < last:  # the counter went round
                joules += value - last + meter.wrap_j
            else:
                joules += value - last
            last, read_at = value, now
        if over:
            return joules, now - begun, texts
