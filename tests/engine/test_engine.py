"""The engine's C: what it calls, where it may lie, how exact its functions are, that no damage crashes it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.engine.conftest import ENGINE, HERE, SANITIZED, STRICT, Compile, answers
from tests.engine.unicode_table import around_sigma
from tests.ports.conftest import Case

FUZZ_SECONDS = int(os.environ.get("EDGE_LSTM_FUZZ_SECONDS", "20"))
LINES, ALL_LINES = 1733, 2900  # at most: edge_lstm.c and .h together, all code of the engine


def test_a_long_text_and_a_long_word(program: list[str], models: list[Case]) -> None:
    texts = [
        b"good film " * 500_000,
        b"w" * 3_000_000,
        b"\xce\xa3'" * 300_000,
        b"\xcf\x83" * 300_000,
    ]
    for model in models[:2]:
        statuses, _, bits = answers(program, model.path, texts=texts, many=True)
        assert (
            statuses[0] == "truncated"
            and (bits == answers(program, model.path, texts=texts)[2]).all()
        )


def test_functions_are_as_exact_as_they_say(compiled: Compile) -> None:
    program = compiled("gcc", "-std=c99", "-O2", "-w", sources=[str(HERE / "functions.c"), "-lm"])
    run = subprocess.run([program, "1009"], capture_output=True, text=True, check=True)
    sigmoid, tanh, exponential, logarithm, wrong = map(float, run.stdout.split())
    assert sigmoid <= 1.8e-7 and tanh <= 3.3e-7 and exponential <= 1e-7 and wrong == 0, run.stdout
    assert logarithm <= 3e-14


def test_memory_may_lie_anywhere_and_must_be_large_enough(
    compiled: Compile, models: list[Case]
) -> None:
    program = compiled("gcc", "-std=c99", *SANITIZED, sources=[str(HERE / "memory.c")])
    for model in models:
        if model.name in ("tiny.int8.onnx", "both.fp32.onnx"):
            assert subprocess.run([program, model.path]).returncode == 0, model.name


@pytest.mark.parametrize("compiler", ["gcc", "arm-linux-gnueabihf-gcc", "riscv64-linux-gnu-gcc"])
def test_it_calls_memory_and_string_functions_alone(compiler: str, tmp_path: Path) -> None:
    if not (shutil.which(compiler) and shutil.which("nm")):
        pytest.skip(f"no {compiler}")
    object_file = tmp_path / "edge_lstm.o"
    subprocess.run(
        [compiler, "-std=c99", "-O2", "-c", ENGINE / "edge_lstm.c", "-o", object_file], check=True
    )
    names = subprocess.run(
        ["nm", "-u", object_file], capture_output=True, text=True, check=True
    ).stdout
    called = {line.split()[-1] for line in names.splitlines()}
    allowed = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strlen"}
    compilers = ("__aeabi", "__stack_chk_fail", "_GLOBAL_OFFSET")
    assert {name for name in called if not name.startswith(compilers)} <= allowed


def test_it_is_short() -> None:
    code = [path for path in ENGINE.rglob("*.*") if path.suffix in (".c", ".h", ".py", ".mjs")]
    lines = {path: len(path.read_text().splitlines()) for path in code if "build" not in path.parts}
    assert sum(lines[ENGINE / f"edge_lstm.{end}"] for end in "ch") <= LINES
    assert sum(lines.values()) <= ALL_LINES


def test_letters_become_lower_case_as_in_python(compiled: Compile) -> None:
    program = compiled("gcc", "-std=c99", "-O2", sources=[str(HERE / "lower.c")])
    table = subprocess.run(
        [program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    version = re.search(r"/\* Of Unicode (\d+\.\d+\.\d+)\.", (ENGINE / "edge_lstm.c").read_text())
    assert version
    ours, theirs = (
        tuple(map(int, v.split("."))) for v in (version[1], unicodedata.unidata_version)
    )
    wrong = []
    for c, line in enumerate(table):
        if 0xD800 <= c < 0xE000 or c == 0x130 or unicodedata.category(chr(c)) == "Cn":
            continue
        lower, around = map(int, line.split())
        if chr(lower) != chr(c).lower() or around != around_sigma(chr(c)):
            wrong.append(c)
    # A later Unicode than the table's: only letters that the table does not know may differ.
    assert not wrong or (theirs > ours and len(wrong) < 300), [hex(c) for c in wrong[:20]]


@pytest.mark.slow
def test_no_damage_crashes_it(compiled: Compile, models: list[Case]) -> None:
    """EDGE_LSTM_FUZZ_SECONDS says how long. Behind the digest, which is then not checked, and before it."""
    sources, running = [str(HERE / "fuzz.c"), str(ENGINE / "edge_lstm.c")], []
    for flags in (["-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"], []):
        program = compiled("gcc", *STRICT, *SANITIZED, *flags, sources=sources)
        command = [program, str(FUZZ_SECONDS), "7", *(model.path for model in models)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0, output[:5000]
        print(output)
