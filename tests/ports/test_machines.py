"""ports/c on other machines: emulated ARM and RISC-V, a static binary of musl, and a microcontroller."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ports.conftest import PROJECT, Case, some_texts
from tests.ports.test_c import FOLDER, check_case

# name: (compiler, emulator, flags). Static: no libraries of that machine are needed to run.
MACHINES = {
    "x86-64 without AVX": ("gcc", "qemu-x86_64", ["-O2", "-cpu=Nehalem"]),
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64", ["-O1"]),
    "armhf": ("arm-linux-gnueabihf-gcc", "qemu-arm", ["-O1"]),
    "riscv64": ("riscv64-linux-gnu-gcc", "qemu-riscv64", ["-O1"]),
    "musl": ("musl-gcc", "", ["-O1"]),
}
CASES = {"tiny.int8.onnx", "short.fp32.onnx", "seed.int8.onnx", "low-rank.int8.onnx", "several.int8.onnx"}


@pytest.mark.parametrize("name", MACHINES)
def test_it_runs_on(name: str, cases: list[Case], tmp_path: Path) -> None:
    compiler, emulator, flags = MACHINES[name]
    for tool in filter(None, (compiler, emulator)):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}")
    program = tmp_path / "edge-lstm-c"
    cpu = [flag.replace("=", " ").split() for flag in flags if flag.startswith("-cpu")]
    sources = [FOLDER / "main.c", FOLDER / "edge_lstm.c"]
    optimised = [flag for flag in flags if not flag.startswith("-cpu")]
    command = [compiler, "-std=c99", "-static", *optimised, *sources, "-o", program, "-lm"]
    subprocess.run(command, check=True)
    run = [emulator, *(cpu[0] if cpu else []), str(program)] if emulator else [str(program)]
    for case in cases:
        if case.name in CASES:
            check_case(run, some_texts(case, 3), tolerance=1e-3)


def test_tiny_fits_a_cortex_m(tiny: Path) -> None:
    """160 kB of flash and 64 kB of RAM: more does not link. The golden rows are answered on the board."""
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}")
    command = [PROJECT / "ports" / "cortex-m" / "run", tiny]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.search(r"(\d+) of (\d+) golden rows, largest difference (\d+)e-9", run.stdout)
    assert found and found[1] == found[2] != "0" and int(found[3]) <= 1_000_000, run.stdout
    flash = re.search(r"flash (\d+) bytes", run.stdout)
    ram = re.search(r"RAM (\d+) bytes", run.stdout)
    assert flash and int(flash[1]) <= 160_000 and ram and int(ram[1]) <= 64_000, run.stdout
    print(run.stdout)
