"""Energy per text, from a meter and from nothing else: RAPL, an INA or another sensor.

Counters (RAPL, some sensors) are read before and after. Power sensors are read between runs and
added up over time. The machine at rest is measured first, so that both are known: what a text costs
in all, and what it costs on top of a machine that is switched on anyway.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.machine import read_text

POLL_S = 0.1  # sensors of this kind refresh several times a second
REST_PART = 0.3  # of the time, at rest


@dataclass(frozen=True)
class Meter:
    """Something under /sys that measures energy or power.

    scope: what it measures. files: one with the counter (µJ) or the power (µW), or one with mV and
        one with
    mA. wrap_j: the value at which a counter starts again, 0 where it says none.
    """

    name: str
    scope: str
    files: tuple[Path, ...]
    is_counter: bool
    wrap_j: float = 0.0

    def read(self) -> float | None:
        """J for counters, W otherwise; None where it cannot be read."""
        try:
            return math.prod(float(read_text(file)) for file in self.files) / 1e6
        except ValueError:
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


def find_meter(root: Path = Path("/")) -> tuple[Meter | None, str]:
    """The best meter that can be read, and a line that says what it is or why there is none."""
    candidates = [*_rapl(root), *_sensors(root)]
    for meter in candidates:
        if meter.read() is not None:
            return meter, f"energy from {meter.name} ({meter.scope})"
    if candidates:
        first = candidates[0]
        return (
            None,
            f"no energy: {first.name} cannot be read; run as root or allow reading {first.files[0]}",
        )
    return None, "no energy: this machine has no meter under /sys (RAPL, power sensor)"


def _rapl(root: Path) -> list[Meter]:
    """CPU packages; the whole platform (psys) first where there is one."""
    meters = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name = read_text(zone / "name").strip()
        if (zone / "energy_uj").exists() and zone.name.count(":") == 1:
            scope = "the whole platform" if name == "psys" else "the CPU package"
            wrap = read_text(zone / "max_energy_range_uj").strip()
            wrap_j = int(wrap) / 1e6 if wrap.isdecimal() else 0.0
            meters.append(Meter(f"RAPL {name}", scope, (zone / "energy_uj",), True, wrap_j))
    return sorted(meters, key=lambda meter: meter.scope != "the whole platform")


def _sensors(root: Path) -> Iterator[Meter]:
    """Sensors under hwmon: an energy counter, else power, else voltage and current (INA219,
    INA3221, …)."""
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = read_text(chip / "name").strip() or chip.name
        for inputs in (("energy1",), ("power1",), ("in1", "curr1")):
            files = tuple(chip / f"{input_}_input" for input_ in inputs)
            # Other chips with a voltage and a current measure something else: a fan, a battery.
            if all(file.exists() for file in files) and (len(files) == 1 or name.startswith("ina")):
                yield Meter(name, "what the sensor is wired to", files, inputs == ("energy1",))
                break


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


def _joules(
    meter: Meter, run: Callable[[], int], seconds: float
) -> tuple[float, float, int] | None:
    """(J, seconds, texts) of running for about ``seconds``; None where the meter cannot be read."""
    begun = read_at = time.perf_counter()
    last = meter.read()
    joules, texts = 0.0, 0
    while last is not None:
        texts += run()
        now = time.perf_counter()
        is_over = now - begun >= seconds
        if is_over or now - read_at >= POLL_S:
            value = meter.read()
            if value is None:
                break
            if meter.is_counter:
                # it may have gone round
                joules += value - last + (meter.wrap_j if value < last else 0.0)
            else:
                joules += (last + value) / 2 * (now - read_at)
            last, read_at = value, now
        if is_over:
            return joules, now - begun, texts
    return None
