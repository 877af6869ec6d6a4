"""Energy per text, always from a meter: RAPL, an INA chip or another sensor.

Counters (RAPL, some sensors) are read before and after. Power sensors are read between runs and
added up over time. The machine at rest is measured first, so that there are two figures: the total
energy of a text, and its energy above rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.system.machine import read_text

POLL_S = 0.1  # sensors refresh several times a second


@dataclass(frozen=True)
class Meter:
    """A meter of energy or power under /sys.

    name: of the meter, for a person.
    scope: the part of the machine that it measures.
    files: one with the counter (µJ) or the power (µW), or one with mV and one with mA.
    is_counter: whether it counts energy.
    wrap_j: the value in J at which a counter starts again, 0 if unknown.
    """

    name: str
    scope: str
    files: tuple[Path, ...]
    is_counter: bool
    wrap_j: float = 0.0

    def read(self) -> float | None:
        """Return J for counters, W otherwise; None if it cannot be read."""
        try:
            return math.prod(float(read_text(file)) for file in self.files) / 1e6
        except ValueError:
            return None


@dataclass(frozen=True)
class Energy:
    """The energy of texts, by a meter.

    meter, scope: see Meter.
    watts: mean power at work.
    rest_watts: mean power at rest.
    joules_per_text: all energy during the work.
    above_rest_joules_per_text: the same without the energy at rest in that time.
    """

    meter: str
    scope: str
    watts: float
    rest_watts: float
    joules_per_text: float
    above_rest_joules_per_text: float


def find_meter(root: Path = Path("/")) -> tuple[Meter | None, str]:
    """Return the best readable meter, or None, and a line that explains the choice."""
    candidates = [*_rapl(root), *_sensors(root)]
    for meter in candidates:
        if meter.read() is not None:
            return meter, f"energy from {meter.name} ({meter.scope})"
    if candidates:
        first = candidates[0]
        return None, (
            f"no energy: {first.name} cannot be read; run as root or allow reading {first.files[0]}"
        )
    return None, "no energy: this machine has no meter under /sys (RAPL, power sensor)"


def _rapl(root: Path) -> list[Meter]:
    """Return the counters of the whole platform (psys) and of CPU packages, in this order."""
    meters = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        counter = zone / "energy_uj"
        # A second colon marks a part of a package, such as its cores.
        if not counter.exists() or zone.name.count(":") != 1:
            continue
        name = read_text(zone / "name").strip()
        scope = "the whole platform" if name == "psys" else "the CPU package"
        wrap = read_text(zone / "max_energy_range_uj").strip()
        wrap_j = int(wrap) / 1e6 if wrap.isdecimal() else 0.0
        meters.append(Meter(f"RAPL {name}", scope, (counter,), True, wrap_j))
    return sorted(meters, key=lambda meter: meter.scope != "the whole platform")


def _sensors(root: Path) -> Iterator[Meter]:
    """Yield a meter for each chip under hwmon.

    It is an energy counter, else power, else voltage and current (INA219, INA3221, …).
    """
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = read_text(chip / "name").strip() or chip.name
        for inputs in (("energy1",), ("power1",), ("in1", "curr1")):
            files = tuple(chip / f"{input_}_input" for input_ in inputs)
            # Other chips with a voltage and a current measure something else: a fan, a battery.
            is_meter = len(files) == 1 or name.startswith("ina")
            if is_meter and all(file.exists() for file in files):
                yield Meter(name, "what the sensor is wired to", files, inputs == ("energy1",))
                break


def measure_energy(meter: Meter, run: Callable[[], int], seconds: float) -> Energy | None:
    """Measure the energy of texts: first at rest, then ``run`` again and again.

    run: runs one batch and returns its number of texts.
    seconds: of work.

    Return None if the meter fails or stands still.
    """
    rest = _joules(meter, _rest, seconds * 0.3)  # the share of the time of work
    work = _joules(meter, run, seconds)
    if rest is None or work is None:
        return None
    rest_joules, rest_seconds, _ = rest
    joules, elapsed, texts = work
    if joules <= 0 or texts < 1:
        return None
    rest_watts = rest_joules / rest_seconds
    return Energy(
        meter=meter.name,
        scope=meter.scope,
        watts=joules / elapsed,
        rest_watts=rest_watts,
        joules_per_text=joules / texts,
        above_rest_joules_per_text=(joules - rest_watts * elapsed) / texts,
    )


def _rest() -> int:
    time.sleep(POLL_S)
    return 0


def _joules(
    meter: Meter, run: Callable[[], int], seconds: float
) -> tuple[float, float, int] | None:
    """Run for about ``seconds`` and return J, seconds and texts; None if the meter fails."""
    begun = time.perf_counter()
    read_at = begun
    last = meter.read()
    joules = 0.0
    texts = 0
    while last is not None:
        texts += run()
        now = time.perf_counter()
        is_over = now - begun >= seconds
        if is_over or now - read_at >= POLL_S:
            value = meter.read()
            if value is None:
                break
            if meter.is_counter:
                joules += value - last
                if value < last:  # it reached its largest value and started again
                    joules += meter.wrap_j
            else:
                joules += (last + value) / 2 * (now - read_at)
            last = value
            read_at = now
        if is_over:
            return joules, now - begun, texts
    return None
