"""The engine's C: what it calls, where it may lie, how exact its functions are, that no damage
crashes it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
import unicode_tables

from edge_lstm.core import onnx_file
from tests.engine.conftest import (
    ENGINE,
    HERE,
    PROJECT,
    SANITIZED,
    STRICT,
    Compile,
    answers,
    finished,
)
from tests.model_files import DATA, edited
from tests.ports.conftest import Case

# In the order of the header.
PROPERTIES = (unicode_tables.UNCASED, unicode_tables.CASED, unicode_tables.CASE_IGNORABLE)
FUZZ_SECONDS = int(os.environ.get("EDGE_LSTM_FUZZ_SECONDS", "5"))
LONG_SECONDS = 60  # from here on optimization gains more than it takes
COLUMNS = 100


def test_a_long_text_and_a_long_word(program: list[str], models: list[Case]) -> None:
    texts = [
        b"good film " * 100_000,
        b"w" * 1_000_000,
        b"\xce\xa3'" * 100_000,
        b"\xcf\x83" * 100_000,
    ]
    for model in models[:2]:
        statuses, _, bits = answers(program, model.path, texts=texts, many=True)
        assert (
            statuses[0] == "truncated"
            and (bits == answers(program, model.path, texts=texts)[2]).all()
        )


def test_functions_are_as_exact_as_they_say(compiled: Compile) -> None:
    program = compiled("gcc", "-std=c99", "-O2", "-w", sources=[str(HERE / "functions.c"), "-lm"])
    run = finished([program, "1009"], check=True)
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


CHANGED = ("tiny.int8.onnx", "multi_label-2.int8.onnx", "begins.int8.onnx", "stacked.fp32.onnx")


def test_parts_hold_at_their_ends_and_any_value_of_the_metadata_may_be_another(
    compiled: Compile, models: list[Case]
) -> None:
    flags = ["-DCPU"] if platform.machine() == "x86_64" else []  # CPUID without its features
    program = compiled("gcc", "-std=gnu99", *SANITIZED, *flags, sources=[str(HERE / "parts.c")])
    paths = [model.path for model in models if model.name in CHANGED]
    run = finished([program, *paths])
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr[-2000:]


def test_the_words_take_little_memory(compiled: Compile) -> None:
    """Decoded, with their index: 7 bytes of letters a word, and less than 8 more."""
    path = PROJECT / "export" / "edge_lstm_export" / "sentiment-small.int8.onnx"
    command = ("gcc", "-std=c99", "-shared", "-fPIC")
    library = compiled(*command, sources=[str(ENGINE / "edge_lstm.c")])
    needs = ctypes.CDLL(str(library)).edge_lstm_needs
    needs.restype = ctypes.c_size_t
    data = path.read_bytes()
    error = ctypes.c_char_p()
    size = needs(data, ctypes.c_size_t(len(data)), b"plain", ctypes.byref(error))
    assert not error.value and 0 < size <= 235_000


def test_words_of_any_length_are_found(program: list[str], tmp_path: Path) -> None:
    """Also those that leave no room for others in a block of 64 kB."""
    rule = json.loads(onnx_file.parse(DATA).metadata["edge_lstm.tokenizer"])
    words = [f"w{i}" + "x" * (i**3 % 300) for i in range(rule["words"] - 2)]
    words[7:7] = ["y" * 70_000, "z" * 40_000]
    path = tmp_path / "m.onnx"
    path.write_bytes(edited({"vocabulary": "".join("\x01" + word for word in words)}))
    ids = answers(program, path, texts=[word.encode() for word in words])[1]
    told = [row.split(";")[0] for row in ids]
    assert told == [f"1,{rule['first_word_id'] + i}" for i in range(len(words))]


@pytest.mark.parametrize("compiler", ["gcc", "arm-linux-gnueabihf-gcc", "riscv64-linux-gnu-gcc"])
def test_it_calls_memory_and_string_functions_alone(compiler: str, tmp_path: Path) -> None:
    if not (shutil.which(compiler) and shutil.which("nm")):
        pytest.skip(f"no {compiler}")
    object_file = tmp_path / "edge_lstm.o"
    subprocess.run(
        [compiler, "-std=c99", "-O1", "-c", ENGINE / "edge_lstm.c", "-o", object_file], check=True
    )
    names = finished(["nm", "-u", object_file], check=True).stdout
    called = {line.split()[-1] for line in names.splitlines()}
    allowed = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strlen"}
    compilers = ("__aeabi", "__stack_chk_fail", "_GLOBAL_OFFSET")
    assert {name for name in called if not name.startswith(compilers)} <= allowed


def line_ends(match: re.Match[str]) -> str:
    """Return the line ends of a match."""
    return "\n" * match[0].count("\n")


def code_of(path: Path) -> str:
    """Return a C file without comments and strings, in as many lines."""
    code = re.sub(r'"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\])+\'', "0", path.read_text())
    return re.sub(r"/\*.*?\*/", line_ends, code, flags=re.DOTALL)


def statements(path: Path) -> list[str]:
    """Return the lines of a C file without comments, strings, and what stands in parentheses."""
    code = code_of(path)
    while "(" in code:
        code, found = re.subn(r"\([^()]*\)", line_ends, code)
        assert found, path
    return code.splitlines()


@pytest.mark.skipif(not shutil.which("clang"), reason="no clang")
@pytest.mark.parametrize(
    ("processor", "reason"),
    [("avr", "an int of 32 bits"), ("msp430", "an int of 32 bits"), ("powerpc64", "big-endian")],
)
def test_a_processor_that_it_is_not_for_is_refused(processor: str, reason: str) -> None:
    command = ["clang", f"--target={processor}", "-std=c99", "-ffreestanding", "-fsyntax-only"]
    run = finished([*command, ENGINE / "edge_lstm.c"])
    first = next(line for line in run.stderr.splitlines() if "error: " in line)
    assert reason in first and "compiler.h" in first, run.stderr


@pytest.mark.parametrize("path", sorted(ENGINE.rglob("*.[ch]")), ids=lambda path: path.name)
def test_each_line_of_c_has_one_statement_and_fits_a_screen(path: Path) -> None:
    assert max(map(len, path.read_text().splitlines())) <= COLUMNS
    for number, line in enumerate(statements(path), 1):
        is_folded = re.search(r";\s*[^\s}\\]", line)
        has_comma = re.search(r"^[^{}]*=[^{}]*,[^{}]*;$", line)
        assert not is_folded and not has_comma, (number, line)


def test_letters_become_lower_case_as_in_python(compiled: Compile) -> None:
    program = compiled("gcc", "-std=c99", "-O0", sources=[str(HERE / "lower.c")])
    table = finished([program], check=True).stdout.splitlines()
    version = re.search(r"Unicode (\d+\.\d+\.\d+)\.", unicode_tables.HEADER.read_text())
    assert version
    ours, theirs = (
        tuple(map(int, v.split("."))) for v in (version[1], unicodedata.unidata_version)
    )
    wrong = []
    for c, line in enumerate(table):
        if 0xD800 <= c < 0xE000 or c == 0x130 or unicodedata.category(chr(c)) == "Cn":
            continue
        lower, number = line.split()
        expected = (chr(c).lower(), unicode_tables.case_property(chr(c)))
        if (chr(int(lower)), PROPERTIES[int(number)]) != expected:
            wrong.append(c)
    # A later Unicode than the table's: only letters that the table does not know may differ.
    assert not wrong or (theirs > ours and len(wrong) < 300), [hex(c) for c in wrong[:20]]


@pytest.mark.slow
def test_no_damage_crashes_it(compiled: Compile, models: list[Case]) -> None:
    """EDGE_LSTM_FUZZ_SECONDS says how long. Behind the digest, which is then not checked, and
    before it."""
    sources = [str(HERE / "fuzz.c"), str(ENGINE / "edge_lstm.c")]
    optimization = "-O1" if FUZZ_SECONDS > LONG_SECONDS else "-O0"
    running = []
    for flags in (["-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"], []):
        program = compiled("gcc", *STRICT, *SANITIZED, optimization, *flags, sources=sources)
        command = [program, str(FUZZ_SECONDS), "7", *(model.path for model in models)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0, output[:5000]
        print(output)
