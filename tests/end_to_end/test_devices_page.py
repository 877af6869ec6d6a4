"""benchmarks/devices.md: each figure comes from a file, by benchmarks/devices.py."""

import shutil
from pathlib import Path

import pytest

from benchmarks import devices


def test_the_tables_of_the_page_are_those_of_the_files(tmp_path: Path) -> None:
    page = shutil.copy(devices.PAGE, tmp_path / "devices.md")
    devices.write(page)
    assert page.read_text() == devices.PAGE.read_text(), "run: python -m benchmarks.devices write"


@pytest.mark.skipif(not shutil.which("llvm-mca"), reason="no llvm-mca")
def test_a_chain_of_additions_takes_a_cycle_each() -> None:
    here = devices.HERE[0]
    chain = ("01c0",) * 8  # add %eax, %eax
    assert devices.cycles(here, chain) == pytest.approx(8, abs=0.2)
