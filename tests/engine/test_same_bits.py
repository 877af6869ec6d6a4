"""The engine gives ONNX Runtime's answers, and the same bits with every kernel, compiler and
machine."""

from __future__ import annotations

import hashlib
import platform
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference

from edge_lstm import Classifier
from edge_lstm.core.familiarity import unfamiliarity
from tests.cases import named, rows
from tests.engine.conftest import (
    DECODED,
    HERE,
    RECORDS,
    SANITIZED,
    STRICT,
    Compile,
    answers,
    finished,
    kernels,
    zig,
)
from tests.ports.conftest import Case

TOLERANCE = 1e-6  # of a probability, against ONNX Runtime on AVX2


def test_answers_are_those_of_onnx_runtime(program: list[str], models: list[Case]) -> None:
    for model in models:
        statuses, _, bits = answers(program, model.path)
        apart = np.abs(bits.view(np.float32) - model.probabilities)
        assert statuses == model.statuses, model.name
        assert apart.max() <= TOLERANCE, (model.name, apart.max())
        assert (bits.view(np.float32).argmax(1) == model.probabilities.argmax(1)).all(), model.name


def test_texts_are_as_unfamiliar_as_in_python(program: list[str], models: list[Case]) -> None:
    for model in models:
        _, rows, bits = answers(program, model.path)
        ids, scores = zip(*(row.split(";") for row in rows))
        tokenizer = Classifier.load(model.path).model.tokenizer
        known = [[int(i) for i in row.split(",") if i] for row in ids]
        expected = unfamiliarity(bits.view(np.float32), known, tokenizer)
        told = np.array([int(score, 16) for score in scores], np.uint64).view(np.float64)
        assert np.abs(told - expected).max() <= 1e-6, model.name


def check_same_bits(
    program: list[str],
    other: list[str],
    models: list[Case],
    names: list[str],
    texts: list[bytes] = RECORDS,
    ways: tuple[bool, ...] = (False, True),
) -> None:
    """Hold another program, with each of these kernels, to the bits of the program.

    ways: False for texts alone, True for texts side by side.
    """
    for model in models:
        _, ids, bits = answers(program, model.path, texts=texts)
        for kernel in names:
            for many in ways:
                got = answers(other, model.path, kernel, texts, many)
                assert many or got[1] == ids, (model.name, kernel)
                assert (got[2] == bits).all(), (model.name, kernel, many)


def test_every_kernel_gives_the_same_bits_alone_and_side_by_side(
    program: list[str], models: list[Case]
) -> None:
    names = kernels(program)
    assert names[-1] == "plain" and (platform.machine() != "x86_64" or "sse2" in names)
    check_same_bits(program, program, models, names)


def test_any_number_of_texts_in_any_order(program: list[str], models: list[Case]) -> None:
    model = next(model for model in models if model.name == "both.int8.onnx")
    _, _, bits = answers(program, model.path)
    for count in range(12):
        order = [(7 * i + count) % len(RECORDS) for i in range(count)]
        other = answers(program, model.path, texts=[RECORDS[i] for i in order], many=True)[2]
        assert not count or (other == bits[order]).all(), count


def test_avx_vnni_gives_the_same_bits(
    program: list[str], compiled: Compile, models: list[Case]
) -> None:
    if "avx512-vnni" not in kernels(program):
        pytest.skip("no AVX-512 VNNI, by which it is tried")
    flags = ("gcc", "-std=c99", "-O2", "-mavx2")
    other = [str(compiled(*flags, sources=[str(HERE / "avx_vnni.c"), str(HERE / "answers.c")]))]
    check_same_bits(program, other, models, ["avx-vnni"])


COMPILERS = """
gnu11, contraction asked for | gcc -std=gnu11 -O3 -march=native -ffp-contract=fast
size | gcc -std=c99 -Os
clang | clang -std=c99 -O3
clang 14 | clang-14 -std=c99 -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -O2
clang, native | clang-14 -std=gnu11 -O3 -march=native
"""
BUILDS = {**dict(rows(COMPILERS)), "sanitizers": " ".join(["gcc", *STRICT, *SANITIZED])}
QUICK = ("gnu11, contraction asked for",)
# Of models and texts, for programs that are many times slower: with sanitizers, or emulated.
THIRD = slice(None, None, 3)


@pytest.mark.parametrize(
    "build",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in BUILDS],
)
def test_every_compiler_gives_the_same_bits(
    program: list[str], compiled: Compile, models: list[Case], build: str
) -> None:
    other = [str(compiled(*BUILDS[build].split()))]
    texts = RECORDS[THIRD] if build == "sanitizers" else RECORDS
    check_same_bits(program, other, models[THIRD], kernels(other), texts)


# How to compile for a machine and to run it there, and the kernels that it has (none: this
# machine's).
MACHINES = """
x86-64 without AVX | gcc | qemu-x86_64 -cpu Nehalem | sse2 plain
aarch64 | aarch64-linux-gnu-gcc | qemu-aarch64 | neon-dot neon plain
aarch64 without dot product | aarch64-linux-gnu-gcc | qemu-aarch64 -cpu cortex-a53 | neon plain
armhf | arm-linux-gnueabihf-gcc | qemu-arm | plain
riscv64 | riscv64-linux-gnu-gcc | qemu-riscv64 | plain
musl | musl-gcc |  |
"""


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize(("compiler", "emulator", "names"), named(MACHINES))
def test_every_machine_gives_the_same_bits(
    program: list[str],
    compiled: Compile,
    models: list[Case],
    compiler: str,
    emulator: str,
    names: str,
) -> None:
    runs = emulator.split()
    if runs and not shutil.which(runs[0]):
        pytest.skip(f"no {runs[0]}")
    other = [*runs, str(compiled(compiler, "-std=c99", "-O2", "-static"))]
    has = kernels(other)
    assert not names or has == names.split()
    check_same_bits(program, other, models[THIRD], has, RECORDS[THIRD], ways=(False,))


@pytest.mark.parametrize("flag", ["-msimd128", "-mno-simd128"])
def test_webassembly_gives_the_same_bits(
    program: list[str], compiled: Compile, models: list[Case], flag: str
) -> None:
    if not zig() or not shutil.which("node"):
        pytest.skip("no zig or no node")
    module = compiled(*zig(), "-target", "wasm32-wasi", "-std=c99", "-O2", flag)
    other = ["node", "--no-warnings", str(HERE / "wasi.mjs"), str(module)]
    assert kernels(other) == (["wasm-simd"] if flag == "-msimd128" else ["plain"])
    check_same_bits(program, other, models, ["-"])


def test_weights_of_all_eight_bits(program: list[str], models: list[Case], tmp_path: Path) -> None:
    """Export writes weights up to 64. A kernel that cannot add larger ones exactly refuses them.

    ONNX Runtime takes them everywhere. On AVX2 without VNNI it adds two products in 16 bits, of
    which 2 · 255 · 64 = 32,640 fits and 2 · 255 · 128 = 65,280 does not. So the answers are held
    to the reference, whose sums are exact.
    """
    rng = np.random.default_rng(1)
    for name in ("tiny.int8.onnx", "both.int8.onnx"):
        source = next(model for model in models if model.name == name)
        data = source.path.read_bytes()
        for constant in constants(data, b"lstm0_w", b"lstm0_r"):
            data = data.replace(constant, rng.integers(-128, 128, len(constant), np.int8).tobytes())
        data = data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()
        path = tmp_path / name
        path.write_bytes(data)
        model = replace(source, path=path)
        bits = answers(program, path, "plain", RECORDS[THIRD])[2]
        assert np.abs(bits.view(np.float32) - specified(data)).max() <= TOLERANCE
        exact = [name for name in kernels(program) if name not in ("avx2", "neon")]
        check_same_bits(program, program, [model], exact)
        for kernel in {*kernels(program)} - {*exact}:
            run = finished([*program, path, kernel, "one"])
            assert (run.returncode, run.stdout) == (1, "") and "weights this large" in run.stderr


def specified(data: bytes) -> np.ndarray:
    """The reference's answers to a third of RECORDS."""
    model = reference.read(data)
    ids = [reference.encode(model, text)[0] for text in DECODED[THIRD]]
    return np.array([reference.probabilities(model, row) for row in ids])


def constants(data: bytes, *names: bytes) -> list[bytes]:
    """The values of a file's constants."""
    graph = dict(reference.fields(data))[7]
    tensors = [
        dict(reference.fields(value)) for number, value in reference.fields(graph) if number == 5
    ]
    return [tensor[9] for tensor in tensors if tensor[8] in names]
