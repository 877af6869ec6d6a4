"""ports/c: C99, in gcc and clang, under sanitizers, with damaged files; its table of lower-case letters."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_lstm import Classifier
from edge_lstm.modelfile import embedded_model
from edge_lstm.printable import printable
from tests.ports.conftest import PROJECT, TOLERANCE, Case, some_texts

FOLDER = PROJECT / "ports" / "c"
CLEAN = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wconversion"]
SANITIZED = ["-O1", "-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
BEHIND_THE_DIGEST = "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
FUZZ_SECONDS = int(os.environ.get("EDGE_LSTM_FUZZ_SECONDS", "30"))
DAMAGED = int(os.environ.get("EDGE_LSTM_DAMAGED", "200"))

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """A function that compiles a main file with edge_lstm.c, each kind once."""
    folder = tmp_path_factory.mktemp("c")
    done: dict[tuple[str, ...], Path] = {}

    def compile_with(compiler: str, *flags: str, main: str = "main.c") -> Path:
        if not shutil.which(compiler):
            pytest.skip(f"no {compiler}")
        key = (compiler, main, *flags)
        if key not in done:
            program = folder / f"program{len(done)}"
            sources = [str(FOLDER / main), str(FOLDER / "edge_lstm.c")]
            command = [compiler, *CLEAN, *flags, *sources, "-o", str(program), "-lm"]
            run = subprocess.run(command, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            done[key] = program
        return done[key]

    return compile_with


def answered(
    program: list[str], path: Path, texts: list[str]
) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """(labels, statuses, probabilities [texts, labels]) of a program, in two runs: lines and other texts."""
    rows: dict[int, list[str]] = {}
    lines = [i for i, text in enumerate(texts) if "\n" not in text and not text.endswith("\r")]
    told = b"".join(texts[i].encode("utf-8", "surrogatepass") + b"\n" for i in lines)
    others = [i for i in range(len(texts)) if i not in set(lines)]
    arguments = [texts[i].encode() for i in others]
    for places, standard_input, given in ((lines, told, []), (others, b"", arguments)):
        if not places:
            continue
        command = [*program, "--all", str(path), *given]
        run = subprocess.run(command, input=standard_input, capture_output=True)
        assert run.returncode == 0 and not run.stderr, run.stderr.decode()[:2000]
        for i, row in zip(places, run.stdout.decode().split("\n")[:-1], strict=True):
            rows[i] = row.split("\t")
    ordered = [rows[i] for i in range(len(texts))]
    labels, statuses = [row[0] for row in ordered], [row[2] for row in ordered]
    return labels, statuses, np.array([[float(p) for p in row[3:]] for row in ordered])


def check_case(program: list[str], case: Case, tolerance: float = TOLERANCE) -> None:
    """The program answers as ONNX Runtime does. Bytes that are no UTF-8 are read as U+FFFD."""
    texts = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in case.texts]
    changed = [i for i, text in enumerate(texts) if text != case.texts[i]]
    expected = case.probabilities.copy()
    if changed:
        expected[changed] = Classifier.load(case.path).probabilities(
            [texts[i] for i in changed], batch_size=1
        )
    labels, statuses, probabilities = answered(program, case.path, case.texts)
    for i in set(range(len(texts))) - set(changed):
        assert (labels[i], statuses[i]) == (printable(case.answers[i]), case.statuses[i]), case.texts[i][:80]
    apart = np.abs(probabilities - expected).max(axis=1)
    assert apart.max() <= tolerance, (case.name, case.texts[int(apart.argmax())][:80], apart.max())


AVX2 = "avx2" in cpuinfo.read_text() if (cpuinfo := Path("/proc/cpuinfo")).exists() else False
BUILDS = [("gcc", "-O3"), ("clang", "-O2"), ("gcc", "-O2", "-mavx2"), ("clang", "-O2", "-march=native")]


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
def test_every_kind_of_model_gives_onnx_runtimes_answers(
    compiled: Compile, cases: list[Case], build: tuple[str, ...]
) -> None:
    if "-mavx2" in build and not AVX2:
        pytest.skip("no AVX2")
    program = compiled(*build)
    for case in cases:
        check_case([str(program)], case)


@pytest.mark.parametrize("instructions", ["-mno-avx2", "-mavx2"])
def test_nothing_is_undefined(compiled: Compile, cases: list[Case], instructions: str) -> None:
    if not AVX2:
        pytest.skip("no AVX2")
    program = compiled("gcc", *SANITIZED, instructions)
    for case in cases:
        if case.name != "embedded":
            every_text = case.name in ("tiny.int8.onnx", "unsegmented.fp32.onnx")
            check_case([str(program)], case if every_text else some_texts(case, 4))


def test_lines_are_answered_as_predict_answers_them(compiled: Compile) -> None:
    lines = [b"A wonderful film.\r", b"", b"  ", b"\xff\xfe never \xe2\x82 again", b"bad\x00film"]
    lines += [b"good\r\r"]
    lines += ["\ufeffgreat\u2028great\x85".encode(), b"bad film " * 20_000, b"no line end"]
    run = subprocess.run(
        [compiled("gcc", "-O3"), embedded_model()], input=b"\n".join(lines), capture_output=True
    )
    answers = Classifier.load().predict(
        [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]
    )
    said = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert [(label, status) for label, _, status in said] == [(a.label, a.status) for a in answers]
    # The sixth place may be rounded to another side.
    assert [float(p) for _, p, _ in said] == pytest.approx([a.probability for a in answers], abs=1.1e-6)
    assert all(len(p) == len("0.123456") for _, p, _ in said)


def test_what_is_no_model_is_refused_in_one_line(
    compiled: Compile, damaged: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    program = compiled("gcc", *SANITIZED)
    path = tmp_path / "damaged.onnx"
    for what, data in damaged:
        path.write_bytes(data)
        run = subprocess.run([program, path, "good"], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (1, ""), (what, run.stdout, run.stderr)
        assert re.fullmatch(r"error: [^\n]+\n", run.stderr), (what, run.stderr)


def test_a_missing_file_a_folder_and_no_arguments(compiled: Compile, tmp_path: Path) -> None:
    program = compiled("gcc", "-O3")
    for arguments, code in (([tmp_path / "none"], 1), ([tmp_path], 1), ([], 2), (["--what"], 2)):
        run = subprocess.run([program, *arguments], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (code, "") and run.stderr.count("\n") == 1


@pytest.mark.slow
def test_no_damage_crashes_it(compiled: Compile, cases: list[Case]) -> None:
    """Half a minute on two cores; EDGE_LSTM_FUZZ_SECONDS says how long."""
    models = [str(case.path) for case in cases if case.name != "embedded"]
    fuzzers = [
        compiled("gcc", *SANITIZED, BEHIND_THE_DIGEST, main="fuzz.c"),
        compiled("gcc", *SANITIZED, main="fuzz.c"),
    ]
    running = [
        subprocess.Popen(
            [program, str(FUZZ_SECONDS), "7", *models], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for program in fuzzers
    ]
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0, output[:5000]
        print(output)


@pytest.mark.slow
def test_no_damaged_model_is_answered(compiled: Compile, cases: list[Case], tmp_path: Path) -> None:
    """The command with models that were cut, had bits flipped or pieces swapped."""
    program = compiled("gcc", *SANITIZED, "-mavx2" if AVX2 else "-O1")
    sources = [case.path.read_bytes() for case in cases if case.name != "embedded"]
    path, rng = tmp_path / "damaged.onnx", random.Random(int(os.environ.get("EDGE_LSTM_SEED", "5")))
    for number in range(DAMAGED):
        source = rng.choice(sources)
        data = bytearray(source)
        while data == source:
            kind, (a, b) = rng.randrange(3), sorted(rng.sample(range(len(data)), 2))
            if kind == 0:
                del data[b:]
            elif kind == 1:
                for _ in range(rng.randrange(1, 9)):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            else:
                size = min(b - a, len(data) - b, 1 << rng.randrange(12))
                data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
        path.write_bytes(data)
        run = subprocess.run([program, path, "good"], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (1, ""), (number, run.stdout, run.stderr)
        assert re.fullmatch(r"error: [^\n]+\n", run.stderr), (number, run.stderr)


def test_the_arena_may_lie_anywhere_and_must_be_large_enough(tmp_path: Path, tiny: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    source = tmp_path / "arena.c"
    source.write_text(
        """
        #include "edge_lstm.c"
        #include <stdio.h>
        #include <stdlib.h>
        int main(int count, char **arguments) {
            static unsigned char file[1 << 20];
            const char *error;
            size_t size = fread(file, 1, sizeof file, fopen(arguments[count - 1], "rb")), needs, i, small = 0;
            needs = edge_lstm_needs(file, size, &error);
            for (i = 0; i < 16; i++) {
                unsigned char *memory = malloc(needs + i);
                float p[2];
                edge_lstm *model = edge_lstm_open(file, size, memory + i, needs, &error);
                if (!model || edge_lstm_check(model, NULL, NULL)) return 1;
                edge_lstm_predict(model, "A wonderful film.", 17, p);
                if (edge_lstm_run(model, (const int32_t[]){-1}, 1, p)) return 2;
                if (edge_lstm_run(model, (const int32_t[]){1 << 20}, 1, p)) return 2;
                if (edge_lstm_run(model, (const int32_t[]){1}, 0, p)) return 2;
                small += !edge_lstm_open(file, size, memory + i, needs - 16, &error) &&
                         strstr(error, "arena");
                free(memory);
            }
            small += !edge_lstm_open(file, size, NULL, 0, &error) && strstr(error, "arena");
            return small == 17 ? 0 : 3;
        }
        """
    )
    program = tmp_path / "arena"
    command = ["gcc", "-std=c99", *SANITIZED, f"-I{FOLDER}", str(source), "-o", str(program), "-lm"]
    subprocess.run(command, check=True)
    assert subprocess.run([program, tiny]).returncode == 0


def test_it_calls_nothing_that_allocates(tmp_path: Path) -> None:
    if not (shutil.which("gcc") and shutil.which("nm")):
        pytest.skip("no gcc")
    object_file = tmp_path / "edge_lstm.o"
    subprocess.run(["gcc", "-std=c99", "-O2", "-c", FOLDER / "edge_lstm.c", "-o", object_file], check=True)
    names = subprocess.run(["nm", "-u", object_file], capture_output=True, text=True, check=True).stdout
    called = {line.split()[-1] for line in names.splitlines()}
    allowed = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strlen"}
    allowed |= {"expf", "rintf", "sqrtf"}
    assert called - {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"} <= allowed


def test_letters_become_lower_case_as_in_python(tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    source = tmp_path / "lower.c"
    source.write_text(
        '#include "edge_lstm.c"\n#include <stdio.h>\nint main(void) { uint32_t c; '
        "for (c = 0; c < 0x110000; c++) "
        'printf("%u %d\\n", (unsigned)lower(c), around_sigma(c)); return 0; }\n'
    )
    program = tmp_path / "lower"
    subprocess.run(["gcc", "-std=c99", "-O2", f"-I{FOLDER}", source, "-o", program, "-lm"], check=True)
    table = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    version = re.search(r"/\* Of Unicode (\S+)\.", (FOLDER / "edge_lstm.c").read_text())
    assert version
    newer = _numbers(unicodedata.unidata_version) > _numbers(version[1])
    wrong = []
    for c, line in enumerate(table):
        if 0xD800 <= c < 0xE000 or c == 0x130 or unicodedata.category(chr(c)) == "Cn":
            continue
        lower, around = map(int, line.split())
        character = chr(c)
        expected = 2
        if (character + "Σ").lower().endswith("ς"):
            expected = 0
        elif ("A" + character + "Σ").lower().endswith("ς"):
            expected = 1
        if chr(lower) != character.lower() or around != expected:
            wrong.append(c)
    # A later Unicode than the table's: only letters that the table does not know may differ.
    assert not wrong or (newer and len(wrong) < 300), [hex(c) for c in wrong[:20]]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
