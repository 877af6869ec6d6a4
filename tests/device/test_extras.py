"""Packages beyond the device's install: which extra brings them, and what is said where they are
missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_lstm.extras import EXTRAS, install_command, needs

PROJECT = Path(__file__).parents[2]
IMPORTED_AS = {"scikit-learn": "sklearn"}


def test_pip_adds_an_extra_to_what_is_installed() -> None:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps"]
    (requirement,) = re.findall("'(.*)'", install_command("serve"))
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    assert "Requirement already satisfied: edge-lstm[serve]" in done.stdout


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'torch._C'", name="torch._C"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        ModuleNotFoundError(
            "No module named 'edge_lstm_export.later'", name="edge_lstm_export.later"
        ),
        ImportError("libtorch.so: failed to map segment", name="torch"),
    ],
    ids=str,
)
def test_a_package_that_is_there_and_broken_is_not_called_missing(error: ImportError) -> None:
    with pytest.raises(type(error)) as caught, needs("train", "this file"):
        raise error
    assert caught.value is error


def test_every_extra_of_the_install_is_known_with_its_packages() -> None:
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    for extra, wanted in re.findall(r"^(\w+) = \[(.*?)\]$", section, re.M | re.S):
        if extra in ("test", "dev", "docs"):  # of a checkout, not of a command
            continue
        names = re.findall(r'"([\w-]+)(?:\[[^\]]*\])?[<>=~!]', wanted)
        packages = {IMPORTED_AS.get(name, name) for name in names} - {"edge-lstm", "rich"}
        assert packages <= set(EXTRAS["train" if extra == "demo" else extra]), extra
