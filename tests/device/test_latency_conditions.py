"""Conditions, marks of distrust and energy meters, read from machines made of files."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_lstm.latency import energy
from edge_lstm.latency.conditions import State, condition_warnings, state
from edge_lstm.machine import this_machine


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def raspberry(tmp_path: Path) -> Path:
    cpu0 = "sys/devices/system/cpu/cpu0/cpufreq/"
    return files(
        tmp_path,
        {
            "proc/loadavg": "0.08 0.10 0.09 1/180 1234\n",
            "proc/cpuinfo": "Features : fp asimd crc32\nCPU implementer : 0x41\nCPU part : 0xd08\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/stat": "cpu  100 0 50 900 0 0 0 250 0 0\n",
            **{f"sys/devices/system/cpu/cpu{i}/cpufreq/scaling_cur_freq": "1500000\n" for i in range(64)},
            **{f"sys/devices/system/cpu/cpu{i}/cpufreq/scaling_max_freq": "1800000\n" for i in range(64)},
            **{f"sys/devices/system/cpu/cpu{i}/cpufreq/scaling_governor": "ondemand\n" for i in range(64)},
            cpu0 + "scaling_governor": "ondemand\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
        },
    )


QUIET = State(
    load_average=0.05,
    mhz=1800.0,
    max_mhz=1800.0,
    governor="performance",
    throttled=(),
    throttle_count=0,
    quota_stops=0,
    steal_s=1.0,
)


def codes(*states: State) -> list[str]:
    warnings = condition_warnings(replace(this_machine(), cpu_quota=None), states, seconds=10.0)
    assert all(warning.text and "\n" not in warning.text for warning in warnings)
    return [warning.code for warning in warnings]


def test_the_state_of_a_raspberry_pi_is_read(raspberry: Path) -> None:
    now = state(raspberry)
    assert (now.load_average, now.mhz, now.max_mhz, now.governor) == (0.08, 1500.0, 1800.0, "ondemand")
    assert now.throttled == ("under-voltage", "throttled")
    assert now.steal_s == 2.5


def test_a_machine_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    now = state(tmp_path)
    assert set(vars(now).values()) == {None}


SAYS = [
    "proc/loadavg",
    "proc/stat",
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/self/cgroup",
    "sys/fs/cgroup/cpu.stat",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
    "sys/devices/platform/soc/soc:firmware/get_throttled",
]
ODD = [
    "",
    "\n",
    "unknown",
    "nan",
    "inf",
    "0x",
    "-1",
    "9" * 400,
    "throttled=0x50005",
    "0::/\nnr_throttled\n",
    "a",
]


@pytest.mark.parametrize("text", ODD)
def test_whatever_a_machine_says_is_no_error(tmp_path: Path, text: str) -> None:
    root = files(tmp_path, dict.fromkeys(SAYS, text))
    now = state(root)
    this_machine(root)
    assert all(value is None or value == value for value in vars(now).values()), now


@pytest.mark.parametrize("text", ["unknown", "throttled=0x0", ""])
def test_what_the_firmware_says_in_another_way_is_not_taken_for_an_answer(tmp_path: Path, text: str) -> None:
    assert state(files(tmp_path, {SAYS[-1]: text})).throttled is None


@pytest.mark.parametrize("folder", ["sys/fs/cgroup/box", "sys/fs/cgroup"])
def test_stops_by_the_quota_are_those_of_the_group_and_of_the_groups_above(
    tmp_path: Path, folder: str
) -> None:
    stat = {f"{folder}/cpu.stat": "usage_usec 5\nnr_periods 7\nnr_throttled 3\n"}
    assert state(files(tmp_path, {"proc/self/cgroup": "0::/box\n", **stat})).quota_stops == 3


def test_a_machine_at_rest_gets_no_mark() -> None:
    assert codes(QUIET, QUIET) == []


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ({}, {"mhz": 1500.0}, "clock"),
        ({}, {"throttled": ("throttled",)}, "throttled"),
        ({}, {"throttle_count": 3}, "throttled"),
        ({}, {"quota_stops": 1}, "quota"),
        ({"load_average": 900.0}, {}, "busy"),
        ({}, {"steal_s": 5000.0}, "stolen"),
        ({"governor": "ondemand", "mhz": 600.0}, {"mhz": 600.0}, "clock"),
    ],
)
def test_what_disturbs_a_measurement_is_marked(before: dict, after: dict, code: str) -> None:
    assert codes(replace(QUIET, **before), replace(QUIET, **after)) == [code]


def test_a_clock_that_fell_in_the_middle_is_seen() -> None:
    assert codes(QUIET, replace(QUIET, mhz=900.0), QUIET) == ["clock"]


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
INA_OF_TWO = {"name": "ina3221\n", "in1_input": "12000\n", "curr1_input": "500\n"}


@pytest.mark.parametrize(
    ("tree", "reading"),
    [
        (RAPL, 1.0),
        (INA, 2.5),
        ({f"sys/class/hwmon/hwmon0/{name}": text for name, text in INA_OF_TWO.items()}, 6.0),
    ],
    ids=["rapl", "power", "voltage and current"],
)
def test_meters_are_found_and_read_in_joules_or_watts(tmp_path: Path, tree: dict, reading: float) -> None:
    meters, note = energy.find_meters(files(tmp_path, tree))
    assert len(meters) == 1  # the CPU package once, not its parts
    assert meters[0].read() == reading
    assert meters[0].name in note


def test_the_whole_platform_is_preferred_to_the_cpu_and_the_cpu_to_a_sensor(tmp_path: Path) -> None:
    psys = {"sys/class/powercap/intel-rapl:1/name": "psys", "sys/class/powercap/intel-rapl:1/energy_uj": "5"}
    meters, _ = energy.find_meters(files(tmp_path, {**RAPL, **INA, **psys}))
    assert [meter.name for meter in meters] == ["RAPL psys", "RAPL package-0", "ina219"]


def test_without_a_meter_no_energy_is_claimed_and_it_is_said(tmp_path: Path) -> None:
    meters, note = energy.find_meters(files(tmp_path, {"sys/class/hwmon/hwmon0/name": "cpu_thermal\n"}))
    assert meters == ()
    assert note.startswith("no energy")


def test_a_meter_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = files(tmp_path, {**RAPL, "sys/class/powercap/intel-rapl:0/energy_uj": "not a number"})
    meters, note = energy.find_meters(root)
    assert meters == ()
    assert "RAPL package-0 cannot be read" in note


def fake_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only sleeping and running move."""
    now = [0.0]
    monkeypatch.setattr(energy.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_energy_per_text_from_a_counter_that_goes_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = fake_clock(monkeypatch)
    root = files(tmp_path, {**RAPL, "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "50000000"})
    (meter,), _ = energy.find_meters(root)
    watts = {"rest": 2.0, "work": 7.0}

    def consume(seconds: float, power: float) -> None:
        now[0] += seconds
        value = (float(meter.path.read_text()) + power * seconds * 1e6) % 50e6
        meter.path.write_text(str(value))

    monkeypatch.setattr(energy.time, "sleep", lambda seconds: consume(seconds, watts["rest"]))

    def run() -> int:
        consume(0.01, watts["work"])
        return 2

    found = energy.measure_energy(meter, run, 3.0)
    assert found is not None
    assert found.watts == pytest.approx(7.0, rel=1e-3)
    assert found.rest_watts == pytest.approx(2.0, rel=1e-3)
    assert found.joules_per_text == pytest.approx(7.0 * 0.01 / 2, rel=1e-3)
    assert found.above_rest_joules_per_text == pytest.approx(5.0 * 0.01 / 2, rel=1e-3)


def test_energy_per_text_from_a_power_sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = fake_clock(monkeypatch)
    (meter,), _ = energy.find_meters(files(tmp_path, INA))

    def run() -> int:
        now[0] += 0.05
        return 1

    found = energy.measure_energy(meter, run, 3.0)
    assert found is not None
    assert found.joules_per_text == pytest.approx(2.5 * 0.05)
    assert found.above_rest_joules_per_text == pytest.approx(0.0, abs=1e-9)


def test_a_meter_that_stands_still_gives_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = fake_clock(monkeypatch)
    (meter,), _ = energy.find_meters(files(tmp_path, RAPL))

    def run() -> int:
        now[0] += 0.05
        return 1

    assert energy.measure_energy(meter, run, 1.0) is None
