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
from tests.ports.conftest import Case

FUZZ_SECONDS = int(os.environ.get("EDGE_LSTM_FUZZ_SECONDS", "20"))
LINES = 1880  # edge_lstm.c and .h together, at most


def test_a_long_text_and_a_long_word(program: list[str], models: list[Case]) -> None:
    texts = [b"good film " * 500_000, b"w" * 3_000_000, b"\xce\xa3'" * 300_000, b"\xcf\x83" * 300_000]
    for model in models[:2]:
        statuses, _, bits = answers(program, model.path, texts=texts, many=True)
        assert statuses[0] == "truncated" and (bits == answers(program, model.path, texts=texts)[2]).all()


def test_functions_are_as_exact_as_they_say(compiled: Compile) -> None:
    program = compiled("gcc", "-std=c99", "-O2", "-w", sources=[str(HERE / "functions.c"), "-lm"])
    run = subprocess.run([program, "1009"], capture_output=True, text=True, check=True)
    sigmoid, tanh, exponential, wrong = map(float, run.stdout.split())
    assert sigmoid <= 1.8e-7 and tanh <= 3.3e-7 and exponential <= 1e-7 and wrong == 0, run.stdout


def test_memory_may_lie_anywhere_and_must_be_large_enough(
    compiled: Compile, tmp_path: Path, models: list[Case]
) -> None:
    source = tmp_path / "memory.c"
    source.write_text(
        """
        #include "edge_lstm.c"
        #include <stdio.h>
        #include <stdlib.h>
        int main(int count, char **arguments) {
            static unsigned char file[1 << 22];
            const char *error;
            size_t size = fread(file, 1, sizeof file, fopen(arguments[count - 1], "rb"));
            size_t needs, more, i, small = 0;
            needs = edge_lstm_needs(file, size, NULL, &error);
            for (i = 0; i < 64; i += 7) {
                unsigned char *memory = malloc(needs + i), *other;
                float p[2];
                edge_lstm *model = edge_lstm_open(file, size, NULL, memory + i, needs, &error);
                edge_lstm_worker *worker;
                if (!model) return 1;
                more = edge_lstm_worker_needs(model);
                other = malloc(more + i);
                worker = edge_lstm_worker_start(model, other + i, more);
                if (!worker || edge_lstm_check(worker, NULL, NULL)) return 1;
                edge_lstm_predict(worker, "A wonderful film.", 17, p);
                if (edge_lstm_run(worker, (const int32_t[]){-1}, 1, 1, p)) return 2;
                if (edge_lstm_run(worker, (const int32_t[]){1 << 20}, 1, 1, p)) return 2;
                if (edge_lstm_run(worker, (const int32_t[]){1}, 1, 0, p)) return 2;
                small += !edge_lstm_worker_start(model, other + i, more - 1);
                model = edge_lstm_open(file, size, NULL, memory + i, needs - 1, &error);
                small += !model && strstr(error, "memory");
                free(memory), free(other);
            }
            small += !edge_lstm_open(file, size, NULL, NULL, 0, &error) && strstr(error, "memory");
            return small == 21 ? 0 : 3;
        }
        """
    )
    program = compiled("gcc", "-std=c99", *SANITIZED, sources=[str(source)])
    for model in models:
        if model.name in ("tiny.int8.onnx", "both.fp32.onnx"):
            assert subprocess.run([program, model.path]).returncode == 0, model.name


@pytest.mark.parametrize("compiler", ["gcc", "arm-linux-gnueabihf-gcc", "riscv64-linux-gnu-gcc"])
def test_it_calls_memory_and_string_functions_alone(compiler: str, tmp_path: Path) -> None:
    if not (shutil.which(compiler) and shutil.which("nm")):
        pytest.skip(f"no {compiler}")
    object_file = tmp_path / "edge_lstm.o"
    subprocess.run([compiler, "-std=c99", "-O2", "-c", ENGINE / "edge_lstm.c", "-o", object_file], check=True)
    names = subprocess.run(["nm", "-u", object_file], capture_output=True, text=True, check=True).stdout
    called = {line.split()[-1] for line in names.splitlines()}
    allowed = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strlen"}
    own = {name for name in called if name.startswith(("__aeabi", "_GLOBAL_OFFSET"))}  # the compiler's
    assert called - own - {"__stack_chk_fail"} <= allowed


def test_it_is_short() -> None:
    assert sum(len((ENGINE / f"edge_lstm.{end}").read_text().splitlines()) for end in "ch") <= LINES


def test_letters_become_lower_case_as_in_python(compiled: Compile, tmp_path: Path) -> None:
    source = tmp_path / "lower.c"
    source.write_text(
        '#include "edge_lstm.c"\n#include <stdio.h>\nint main(void) { uint32_t c; '
        "for (c = 0; c < 0x110000; c++) "
        'printf("%u %d\\n", (unsigned)lower(c), around_sigma(c)); return 0; }\n'
    )
    program = compiled("gcc", "-std=c99", "-O2", sources=[str(source)])
    table = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    version = re.search(r"/\* Of Unicode (\d+\.\d+\.\d+)\.", (ENGINE / "edge_lstm.c").read_text())
    assert version
    newer = _numbers(unicodedata.unidata_version) > _numbers(version[1])
    wrong = []
    for c, line in enumerate(table):
        if 0xD800 <= c < 0xE000 or c == 0x130 or unicodedata.category(chr(c)) == "Cn":
            continue
        lower, around = map(int, line.split())
        character, expected = chr(c), 0
        if (character + "Σ").lower().endswith("ς"):
            expected = 1
        elif ("A" + character + "Σ").lower().endswith("ς"):
            expected = 2
        if chr(lower) != character.lower() or around != expected:
            wrong.append(c)
    # A later Unicode than the table's: only letters that the table does not know may differ.
    assert not wrong or (newer and len(wrong) < 300), [hex(c) for c in wrong[:20]]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@pytest.mark.slow
def test_no_damage_crashes_it(compiled: Compile, models: list[Case]) -> None:
    """EDGE_LSTM_FUZZ_SECONDS says how long. Behind the digest, which is then not checked, and before it."""
    paths, sources = (
        [str(model.path) for model in models],
        [str(ENGINE / "fuzz.c"), str(ENGINE / "edge_lstm.c")],
    )
    running = []
    for flags in (["-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"], []):
        command = [
            compiled("gcc", *STRICT, *SANITIZED, *flags, sources=sources),
            str(FUZZ_SECONDS),
            "7",
            *paths,
        ]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0, output[:5000]
        print(output)
