"""benchmarks/devices.md: each figure comes from a file, by tools/devices.py."""

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import command
from model_files import SMALL

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(PROJECT / "tools" / "devices.py"))


def test_the_tables_of_the_page_are_those_of_the_files(tool: dict[str, Any]) -> None:
    page = tool["PAGE"].read_text(encoding="utf-8")
    assert tool["with_tables"](page) == page, "run: python tools/devices.py write"


def test_a_board_that_was_measured_becomes_a_row(tool: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "my-board.json"
    command("latency", "-m", SMALL, "--runs", "64", "--cold-starts", "1", "-o", path)
    _, _, row = tool["measured_table"]([path]).splitlines()
    cells = row.split(" | ")
    machine = json.loads(path.read_text())["machine"]
    assert cells[1] == str(machine["cpu"]) and cells[2] == SMALL.name
    assert len(cells) == 7 and float(cells[5].replace(",", "")) > 0


@pytest.mark.skipif(not shutil.which("llvm-mca"), reason="no llvm-mca")
def test_a_chain_of_additions_takes_a_cycle_each(tool: dict[str, Any]) -> None:
    here = tool["HERE"][0]
    chain = ("01c0",) * 8  # add %eax, %eax
    assert tool["cycles"](here, chain) == pytest.approx(8, abs=0.2)
