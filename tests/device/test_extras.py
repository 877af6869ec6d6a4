"""Packages beyond the device's install: which extra brings them, and what is said where they are
missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge_lstm.extras import EXTRAS, install_command, needs

PROJECT = Path(__file__).parents[2]
IMPORTED_AS = {"scikit-learn": "sklearn"}


@pytest.mark.parametrize(
    ("written", "command"),
    [
        (None, "pip install 'edge-lstm[train]'"),
        ({"url": "{here}", "dir_info": {}}, "pip install '{folder}[train]'"),
        ({"url": "{here}/gone", "dir_info": {}}, "pip install '.[train]', in a clone of edge-lstm"),
        (
            {"url": "https://example.org/edge-lstm", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "pip install 'edge-lstm[train] @ git+https://example.org/edge-lstm'",
        ),
        (
            {"url": "https://example.org/edge_lstm.whl", "archive_info": {}},
            "pip install 'edge-lstm[train] @ https://example.org/edge_lstm.whl'",
        ),
    ],
    ids=["by its name", "of a folder", "of a folder that is gone", "of a repository", "of a wheel"],
)
def test_an_extra_is_installed_from_what_the_package_came_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, written: dict[str, Any] | None, command: str
) -> None:
    module = folder / "site/edge_lstm/extras.py"
    monkeypatch.setattr("edge_lstm.extras.__file__", str(module))

    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return written and json.dumps(written).replace("{here}", folder.as_uri())

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed())
    assert install_command("train") == command.replace("{folder}", str(folder))
    assert install_command("native") == "pip install ./engine/python, in a clone of edge-lstm"


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
