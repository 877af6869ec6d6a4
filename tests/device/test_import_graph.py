"""What imports bring. The walls between the rooms are in pyproject.toml, held by import-linter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

DEVICE = Path(__file__).parents[2] / "edge_lstm"


@pytest.mark.parametrize("package", ["pyarrow", "matplotlib", "ray", "httpx", "edge_lstm_export"])
def test_nothing_of_the_device_imports_a_heavy_package_when_it_is_imported(package: str) -> None:
    for path in DEVICE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert package not in {n.split(".")[0] for n in names}, path


@pytest.mark.needs("torch")
@pytest.mark.parametrize("module", ["train.sources.read", "progress"])
def test_sources_are_checked_and_a_line_is_shown_before_pytorch_is_loaded(module: str) -> None:
    code = f"import sys, edge_lstm_export.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
