"""Every CPU gives the file's answer: the device wheel on emulated CPUs (tools/emulated.py prepares
them)."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import emulated

TEXTS = 240
CPUS = {cpu.name: cpu for cpu in emulated.CPUS}


def chosen(name: str) -> object:
    """The CPU; a skip with the reason where it is not prepared."""
    cpu = CPUS[name]
    try:
        emulated.check_prepared(cpu, emulated.work_folder())
    except emulated.NotPreparedError as error:
        pytest.skip(str(error))
    return cpu


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return emulated.sample_texts(TEXTS)


@pytest.fixture(scope="module")
def refreshed() -> Path:
    """The prepared folder with the wheel of this checkout in it."""
    folder = emulated.work_folder()
    if not (folder / "packages-x86_64").exists():
        pytest.skip("run: python tools/emulated.py")
    emulated.refresh(folder)
    return folder


@pytest.fixture(scope="module")
def native(refreshed: Path, texts: list[str]) -> np.ndarray:
    return emulated.answers(None, refreshed, texts)


@pytest.mark.emulated
@pytest.mark.parametrize("name", CPUS)
def test_an_emulated_cpu_gives_the_answers_of_this_machine(
    name: str, refreshed: Path, texts: list[str], native: np.ndarray
) -> None:
    cpu = chosen(name)
    difference = emulated.compare(native, emulated.answers(cpu, refreshed, texts))
    assert difference.texts >= 200
    assert emulated.holds(cpu, difference), difference


@pytest.mark.emulated
def test_a_batch_on_an_emulated_cpu_gives_the_bits_of_the_texts_alone(
    refreshed: Path, texts: list[str]
) -> None:
    cpu = chosen("Haswell")
    alone, batched = (
        emulated.answers(cpu, refreshed, texts[:60], batch_size=size) for size in (1, 16)
    )
    assert (alone == batched).all()
