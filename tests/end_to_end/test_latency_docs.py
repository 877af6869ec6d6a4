"""docs/latency.md describes the JSON as it is."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands import json_of
from model_files import SMALL

from edge_lstm.latency.energy import Energy
from edge_lstm.latency.result import SCHEMA, VERSION

PROJECT = Path(__file__).parents[2]
ENERGY = Energy("RAPL", "CPU", 1.0, 1.0, 1.0, 1.0)
DOCUMENTATION = (PROJECT / "docs" / "latency.md").read_text(encoding="utf-8")


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def test_every_key_of_a_result_is_described_and_every_described_one_is_there(
    tmp_path: Path,
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join("good " * n for n in range(64)))
    quick = ("-m", SMALL, "--texts", texts, "--runs", "64", "--cold-starts", "1")
    document = json_of("latency", *quick)
    document["settings"][0] |= {
        "energy": asdict(ENERGY),
        "ratio": {"value": 1.0, "low": 1.0, "high": 1.0},
    }
    document["warnings"] = [{"code": "x", "text": "y"}]
    described = DOCUMENTATION.partition("## The JSON")[2]
    names = set(re.findall(r"`([a-z][a-z0-9_]*)`", described))
    there = set(keys(document))
    assert there - names == set()
    assert names - there == {"null", "fp32", "int8"}
    assert f'`"{SCHEMA}"`, `{VERSION}`' in described


def test_every_warning_is_explained() -> None:
    folder = PROJECT / "edge_lstm" / "latency"
    source = "".join(
        (folder / name).read_text(encoding="utf-8") for name in ("conditions.py", "measure.py")
    )
    codes = set(re.findall(r'ConditionWarning\(\s*"([a-z-]+)"', source))
    assert len(codes) == 7
    assert {code for code in codes if f"`{code}`" not in DOCUMENTATION} == set()
