"""Every CPU gives the file's answer: the device wheel on emulated CPUs (tools/emulated.py prepares them)."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import emulated

TEXTS = 240
NAMES = [cpu.name for cpu in emulated.CPUS]


def chosen(name: str) -> object:
    """The CPU; a skip with the reason where it is not prepared."""
    cpu = next(cpu for cpu in emulated.CPUS if cpu.name == name)
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
        pytest.skip("run: python tools/emulated.py prepare")
    emulated.refresh(folder)
    return folder


@pytest.fixture(scope="module")
def native(refreshed: Path, texts: list[str]) -> np.ndarray:
    return emulated.answers(None, refreshed, texts)


@pytest.mark.emulated
@pytest.mark.parametrize("name", NAMES)
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
    alone, batched = (emulated.answers(cpu, refreshed, texts[:60], batch_size=size) for size in (1, 16))
    assert (alone == batched).all()


@pytest.mark.parametrize(
    ("theirs", "exact", "within"),
    [
        ([[0.9, 0.1], [0.5005, 0.4995]], True, True),
        ([[0.9003, 0.0997], [0.5005, 0.4995]], False, True),  # within 1e-3
        ([[0.9, 0.1], [0.4999, 0.5001]], False, True),  # a label flips, but it was as close as that
        ([[0.902, 0.098], [0.5005, 0.4995]], False, False),
    ],
)
def test_the_promise_is_judged_as_it_is_written(theirs: list[list[float]], exact: bool, within: bool) -> None:
    difference = emulated.compare(np.array([[0.9, 0.1], [0.5005, 0.4995]]), np.array(theirs))
    by_name = {cpu.name: cpu for cpu in emulated.CPUS}
    assert emulated.holds(by_name["Haswell"], difference) == exact
    assert emulated.holds(by_name["cortex-a72"], difference) == within


def test_executed_instructions_are_counted_between_marks_only() -> None:
    log = (
        b"----------------\nIN: f\n0x7f10:  90  nop\n0x7f11:  c3  retq\n\n"
        b"Trace 0: 0x1 [0/0000000000007f10/1/2] \n"
        b"12 getppid() = 1\n"
        b"Trace 0: 0x1 [0/0000000000007f10/1/2] \n"
        b"Trace 1: 0x1 [0/0000000000007f10/1/2] \n"  # of another thread
        b"----------------\nIN: \n0x7f20:  90  nop\n0x7f21:  90  nop\n0x7f22:  c3  retq\n\n"
        b"Trace 0: 0x3 [0/0000000000007f20/1/2] \nTrace 0: 0x3 [0/0000000000007f20/1/2] \n"
        b"12 getppid() = 1\n"
        b"Trace 0: 0x1 [0/0000000000007f10/1/2] \n12 getppid() = 1\n12 getppid() = 1\n"
    )
    for size in (1, 7, 64, len(log)):  # however the log is cut in pieces
        pieces = [log[start : start + size] for start in range(0, len(log), size)]
        assert emulated.count_between_marks(pieces) == [2 + 3 + 3, 0]
