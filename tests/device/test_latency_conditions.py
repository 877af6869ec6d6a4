"""Conditions, marks of distrust and energy meters, read from machines made of files."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import rows
from machines import files

from edge_lstm.latency import energy
from edge_lstm.latency.conditions import State, condition_warnings, state
from edge_lstm.latency.energy import Meter, find_meter, measure_energy
from edge_lstm.system.machine import this_machine

CPU0 = "sys/devices/system/cpu/cpu0"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
QUIET = State(0.05, 1800.0, 1800.0, "performance", (), 0, 1.0)


def codes(*states: State, cpu_quota: float | None = None) -> list[str]:
    """What is marked, on a machine of four CPUs, in ten seconds."""
    machine = replace(this_machine(), cores=4, cpu_quota=cpu_quota)
    warnings = list(condition_warnings(machine, states, seconds=10.0))
    assert all(warning.text and "\n" not in warning.text for warning in warnings)
    return [warning.code for warning in warnings]


def test_the_state_of_a_raspberry_pi_is_read(folder: Path) -> None:
    says = {
        "proc/loadavg": "0.08 0.10 0.09 1/180 1234\n",
        "proc/stat": "cpu  100 0 50 900 0 0 0 250 0 0\n",
        FIRMWARE: "50005\n",
    }
    for i in range(64):
        cpu = f"sys/devices/system/cpu/cpu{i}/cpufreq"
        says[f"{cpu}/scaling_cur_freq"] = "1500000\n"
        says[f"{cpu}/scaling_max_freq"] = "1800000\n"
        says[f"{cpu}/scaling_governor"] = "ondemand\n"
    flags = ("under-voltage", "throttled")
    read = State(0.08, 1500.0, 1800.0, "ondemand", flags, None, 2.5)
    assert state(files(folder, says)) == read


SAYS = (
    *("proc/loadavg", "proc/stat", "proc/cpuinfo", "proc/meminfo", "proc/self/cgroup", FIRMWARE),
    *("sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max"),
    *(f"{CPU0}/cpufreq/scaling_cur_freq", f"{CPU0}/thermal_throttle/core_throttle_count"),
)
ODD = (
    *("", "\n", "unknown", "nan", "inf", "0x", "-1", "9" * 400, "throttled=0x50005", "a"),
    *("0::/\nnr_throttled\n", "cpu  1 2 3 4 5 6 7 inf"),
)


@pytest.mark.parametrize("text", ODD)
def test_whatever_a_machine_says_is_no_error(tmp_path: Path, text: str) -> None:
    assert set(vars(state(tmp_path)).values()) == {None}
    now = state(files(tmp_path, dict.fromkeys(SAYS, text)))
    this_machine(tmp_path)
    assert all(value is None or value == value for value in vars(now).values()), now


@pytest.mark.parametrize(
    ("before", "after", "warned"),
    rows(
        """
        {} | {} |
        {"max_mhz": null} | {"mhz": 1710.0} |
        {"max_mhz": null} | {"mhz": 1709.0} | clock
        {"governor": "ondemand", "mhz": 600.0} | {"mhz": 600.0} | clock
        {} | {"throttled": ["throttled"]} | throttled
        {} | {"throttle_count": 3} | throttled
        {"load_average": 2.0} | {} |
        {"load_average": 2.1} | {} | busy
        {} | {"steal_s": 1.4} |
        {} | {"steal_s": 1.5} | stolen
        """
    ),
)
def test_what_disturbs_a_measurement_is_marked(before: str, after: str, warned: str) -> None:
    states = [replace(QUIET, **json.loads(changes)) for changes in (before, after)]
    assert codes(*states) == warned.split()


def test_a_clock_that_falls_in_the_middle_is_marked() -> None:
    assert codes(QUIET, replace(QUIET, mhz=900.0), QUIET) == ["clock"]


@pytest.mark.parametrize(("quota", "warned"), [(0.5, ["quota"]), (1.0, [])])
def test_less_than_a_cpu_is_marked(quota: float, warned: list[str]) -> None:
    assert codes(QUIET, QUIET, cpu_quota=quota) == warned


RAPL = {
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    "sys/class/powercap/intel-rapl:0:0/name": "core\n",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "500000\n",
}
INA = {
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon0/temp1_input": "50000\n",
    "sys/class/hwmon/hwmon1/name": "ina219\n",
    "sys/class/hwmon/hwmon1/power1_input": "2500000\n",
}
INA_OF_TWO = {
    "sys/class/hwmon/hwmon0/name": "ina3221\n",
    "sys/class/hwmon/hwmon0/in1_input": "12000\n",
    "sys/class/hwmon/hwmon0/curr1_input": "500\n",
}
OTHER = {
    "sys/class/hwmon/hwmon0/name": "zenpower\n",
    "sys/class/hwmon/hwmon0/power1_input": "1500000\n",
}


@pytest.mark.parametrize(
    ("tree", "reading"),
    [
        (RAPL, 1.0),
        (INA, 2.5),
        (INA_OF_TWO, 6.0),
        (OTHER, 1.5),
    ],
    ids=["rapl", "power", "voltage and current", "another sensor"],
)
def test_meters_are_found_and_read_in_joules_or_watts(
    tmp_path: Path, tree: dict, reading: float
) -> None:
    meter, note = find_meter(files(tmp_path, tree))
    assert meter is not None and meter.read() == reading
    assert meter.name in note


def test_without_a_meter_that_can_be_read_no_energy_is_claimed_and_it_is_said(
    tmp_path: Path,
) -> None:
    root = files(tmp_path, {"sys/class/hwmon/hwmon0/name": "cpu_thermal\n"})
    assert find_meter(root) == (
        None,
        "no energy: this machine has no meter under /sys (RAPL, power sensor)",
    )
    root = files(tmp_path, {**RAPL, "sys/class/powercap/intel-rapl:0/energy_uj": "not a number"})
    meter, note = find_meter(root)
    assert meter is None and "RAPL package-0 cannot be read" in note


class Draw(Meter):
    """A meter of a machine that draws 2 W at rest and 7 W at work; its counter goes round at 50
    J."""

    joules = 49.8
    watts = 2.0
    now = 0.0

    @classmethod
    def passes(cls, seconds: float) -> None:
        """Let time pass, which no other clock tells."""
        cls.now += seconds
        cls.joules += cls.watts * seconds

    def read(self) -> float:
        return self.joules % 50 if self.is_counter else self.watts


@pytest.mark.parametrize("is_counter", [True, False])
def test_energy_per_text_is_that_of_a_counter_that_goes_round_or_of_a_power_sensor(
    is_counter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(perf_counter=lambda: Draw.now, sleep=Draw.passes)
    monkeypatch.setattr(energy, "time", clock)
    Draw.joules = 49.8
    Draw.watts = 2.0
    begun = Draw.now
    rested = []

    def run() -> int:
        rested.append(Draw.now - begun)
        Draw.watts = 7.0
        Draw.passes(0.01)
        return 2

    used = measure_energy(Draw("made", "all", (), is_counter, 50.0), run, 0.5)
    assert used is not None
    # Three tenths of the time of work.
    assert rested[0] == pytest.approx(0.15, abs=0.1) and rested[-1] - rested[0] < 0.6
    assert used.rest_watts == pytest.approx(2.0, rel=0.05)
    # of a sensor, the first reading is that of rest
    assert used.watts == pytest.approx(7.0, rel=0.15)
    ratio = used.above_rest_joules_per_text / used.joules_per_text
    assert ratio == pytest.approx(1 - used.rest_watts / used.watts)


def test_a_meter_that_stands_still_or_cannot_be_read_gives_no_energy(tmp_path: Path) -> None:
    meter, _ = find_meter(files(tmp_path, RAPL))
    assert meter is not None and measure_energy(meter, lambda: 1, 0.01) is None
    meter.files[0].unlink()
    assert measure_energy(meter, lambda: 1, 0.01) is None
