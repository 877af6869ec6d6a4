"""Hostile streams: closed, full, of another encoding; for the commands that answer on standard
output.

Each row is a command, the condition it meets, and how it ends. ``score`` has its own table.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hostile import Case, cases, check, in_bash, put
from model_files import SMALL

COMMANDS = {
    "predict": "$EL predict 'A fine film.'",
    "predict --json": "$EL predict 'A fine film.' --json",
    "explain": "$EL explain 'A fine film.'",
    "evaluate": "$EL evaluate t.csv",
    "latency": f"$EL latency -m '{SMALL}' --runs 5 --cold-starts 0",
    "inspect": "$EL inspect",
    "doctor": "$EL doctor",
    "help": "$EL --help",
    "version": "$EL --version",
}
CONDITIONS = {
    "standard output closed": (">&-", "standard output is closed"),
    "standard output full": (">/dev/full", "No space left on device"),
    "standard input closed": ("<&-", "exit 0"),
    "standard error closed": ("2>&-", "exit 0"),
    "standard error full": ("2>/dev/full", "exit 0"),
    "input and error closed": ("<&- 2>&-", "exit 0"),
}
# All commands prepare their streams in one place; latency starts processes of its own.
CONDITIONS_OF = {
    **{name: ["standard output full"] for name in COMMANDS},
    "predict": [*CONDITIONS],
    "latency": ["standard output closed", "input and error closed"],
}
FRENCH = "Un café 😀 déjà vu"
CASES = [
    case
    for name, line in COMMANDS.items()
    for condition in CONDITIONS_OF[name]
    for redirection, end in [CONDITIONS[condition]]
    for case in cases(
        rf"{name}: {condition} | $ {line} {redirection} | {end}",
        given=put("t.csv", "text,label\nfine,pos\ndull,neg\n"),
    )
]
CASES += cases(
    r"""
    predict without texts, input closed | $ $EL predict <&- | exit 0
    a model's name of two lines | predict -m "a\nb.onnx" x | a\\nb.onnx
    a model's name that steers | inspect -m a\x1b[2Jb.onnx | a\\x1b[2Jb.onnx
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_streams(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(case, tmp_path, monkeypatch)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "line", ["predict {} --json", "explain {} --json", "explain {}", "explain x --label {}"]
)
def test_any_encoding_of_standard_output(line: str, encoding: str, tmp_path: Path) -> None:
    shell = "$EL " + line.format(f"'{FRENCH}'")
    case = Case(name="", shell=shell, environment={"PYTHONIOENCODING": encoding})
    done = in_bash(case, tmp_path)
    assert done.exit == ("--label" in line), done.stderr
    assert b"Traceback" not in done.stderr
    if "explain" in line and "--json" in line:
        assert json.loads(done.stdout.decode(encoding))["text"] == FRENCH


def test_doctor_names_a_file_whose_name_steers(tmp_path: Path) -> None:
    done = in_bash(Case(name="", shell="$EL doctor -m $'\\e[2J.onnx'"), tmp_path)
    assert done.exit == 1
    assert b"\x1b" not in done.stdout + done.stderr
