"""benchmarks/devices.md: each figure comes from a file, by benchmarks/devices.py."""

import json
import shutil
from pathlib import Path

import pytest
from commands import command
from model_files import SMALL

from benchmarks import devices


def test_the_tables_of_the_page_are_those_of_the_files(tmp_path: Path) -> None:
    page = shutil.copy(devices.PAGE, tmp_path / "devices.md")
    devices.write(page)
    assert page.read_text() == devices.PAGE.read_text(), "run: python -m benchmarks.devices write"


def test_a_board_that_was_measured_becomes_a_row(tmp_path: Path) -> None:
    path = tmp_path / "my-board.json"
    command("latency", "-m", SMALL, "--runs", "64", "--cold-starts", "1", "-o", path)
    _, _, row = devices.measured_table([path]).splitlines()
    cells = row.split(" | ")
    machine = json.loads(path.read_text())["machine"]
    assert cells[1] == str(machine["cpu"]) and cells[2] == SMALL.name
    assert len(cells) == 7 and float(cells[5].replace(",", "")) > 0


@pytest.mark.skipif(not shutil.which("llvm-mca"), reason="no llvm-mca")
def test_a_chain_of_additions_takes_a_cycle_each() -> None:
    here = devices.HERE[0]
    chain = ("01c0",) * 8  # add %eax, %eax
    assert devices.cycles(here, chain) == pytest.approx(8, abs=0.2)
