"""engine/main.c: the command line answers as predict does, and microcontrollers run the engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_lstm import Classifier
from edge_lstm.printable import LABEL_JOINT, printable
from tests.engine.conftest import ENGINE, SANITIZED, STRICT, Compile, finished
from tests.model_files import compact, edited
from tests.ports.conftest import Case

SOURCES = [str(ENGINE / "main.c"), str(ENGINE / "edge_lstm.c")]
LINES = [
    b"A wonderful film.\r",
    b"",
    b"  ",
    b"\xff\xfe never \xe2\x82 again",
    b"bad\x00film",
    b"good\r\r",
]
LINES += ["\ufeffgreat\u2028great\x85".encode(), b"bad film " * 8_000, b"no line end"]


@pytest.fixture
def command(compiled: Compile, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command, with sanitizers. Its memory is given back when it ends."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    return compiled("gcc", *STRICT, *SANITIZED, sources=SOURCES)


def test_lines_are_answered_as_predict_answers_them(command: Path, models: list[Case]) -> None:
    texts = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in LINES]
    for model in models:
        if "int8" not in model.name:  # the engine's own tests have both
            continue
        run = subprocess.run(
            [command, "--all", model.path], input=b"\n".join(LINES), capture_output=True
        )
        assert not run.stderr and run.returncode == 0
        rows = [line.split("\t") for line in run.stdout.decode().split("\n")[:-1]]
        for row, answer in zip(
            rows, Classifier.load(model.path).predict(texts, batch_size=1), strict=True
        ):
            assert row[0] == printable(LABEL_JOINT.join(answer.labels)) and row[2] == answer.status
            probabilities = [*answer.probabilities.values()]
            assert [float(p) for p in row[3:]] == pytest.approx(probabilities, abs=1e-6)
            assert float(row[1]) == pytest.approx(max(map(float, row[3:])), abs=6e-7)


def test_texts_of_the_command_line_and_golden_rows(command: Path, models: list[Case]) -> None:
    path = models[0].path
    line = [command, "--kernel", "plain", path, "good\nfilm", ""]
    run = finished(line)
    assert [row.split("\t")[2] for row in run.stdout.splitlines()] == ["ok", "empty"]
    run = finished([command, "--check", path])
    assert re.fullmatch(r"(\d+) of \1 golden rows, largest difference \S+\n", run.stdout)


def test_the_same_texts_are_unfamiliar(
    command: Path, strange: tuple[Path, list[str], list[str]]
) -> None:
    path, texts, expected = strange
    lines = "\n".join(texts).encode()
    run = subprocess.run([command, "--unfamiliar", "0.05", path], input=lines, capture_output=True)
    assert [line.split("\t")[2] for line in run.stdout.decode().split("\n")[:-1]] == expected
    for share in ("0.001", "5", "none"):
        run = subprocess.run([command, "--unfamiliar", share, path, "good"], capture_output=True)
        assert (run.returncode, run.stdout) == (
            1,
            b"",
        ) and b"no threshold for this share" in run.stderr


def test_labels_that_are_no_utf8_fit(command: Path, tmp_path: Path) -> None:
    """Each of their bytes becomes the three bytes of U+FFFD."""
    path = tmp_path / "model.onnx"
    path.write_bytes(edited({"labels": compact(["\ud800" * 100_000, "b"])}))
    run = finished([command, path, "good"])
    assert run.returncode == 0, run.stderr


INVISIBLE = "\u061c\u200e\u200f\u2028\u202e\u2066\u2069"
NEAR_THEM = "\u061b\u200d\u2010\u2027\u202f\u2065\u206a\u2080\u0700"


def test_marks_of_direction_in_a_label_are_printed_as_escapes(
    command: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    for label in (INVISIBLE, NEAR_THEM):
        path.write_bytes(edited({"labels": compact([label, label + "2"])}))
        run = finished([command, path, "good"])
        told = run.stdout.split("\t")[0].removesuffix("2")
        escaped = "".join(f"\\u{ord(c):04x}" for c in label)
        assert told == (escaped if label == INVISIBLE else label)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_that_cannot_be_written_is_an_error(command: Path, models: list[Case]) -> None:
    with Path("/dev/full").open("wb") as full:
        line = [command, models[0].path, "good"]
        run = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1
    assert run.stderr == "error: standard output: it cannot be written\n"


def test_what_is_no_model_is_refused_in_one_line(
    command: Path, damaged: list[tuple[str, bytes]], models: list[Case], tmp_path: Path
) -> None:
    path = tmp_path / "damaged.onnx"
    for what, data in damaged:
        path.write_bytes(data)
        run = finished([command, path, "good"])
        assert (run.returncode, run.stdout) == (1, ""), (what, run.stdout, run.stderr)
        assert re.fullmatch(r"error: [^\n]+\n", run.stderr), (what, run.stderr)
    other = ["--kernel", "altivec", models[0].path]
    for arguments, code in (
        ([tmp_path / "none"], 1),
        ([tmp_path], 1),
        (other, 1),
        ([], 2),
        (["--what"], 2),
        (["--kernel"], 2),
        (["--unfamiliar"], 2),
    ):
        run = finished([command, *arguments])
        assert (run.returncode, run.stdout) == (code, "") and run.stderr.count("\n") == 1


def test_tiny_fits_a_cortex_m(tiny: Path) -> None:
    """160 kB of flash: more does not link. The golden rows are answered on the board, in the RAM
    that the engine asks for, and a stack of at most 4 kB."""
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}")
    run = finished([ENGINE / "cortex-m" / "run", tiny], timeout=120)
    golden = re.search(r"(\d+) of \1 golden rows, largest difference (\d+)e-9", run.stdout)
    assert run.returncode == 0 and golden and golden[1] != "0", run.stdout + run.stderr
    assert int(golden[2]) <= 1_000_000, run.stdout
    asked = re.search(r"(\d+) bytes of model, (\d+) of worker", run.stdout)
    taken = re.search(r"(\d+) bytes of RAM", run.stdout)
    assert asked and taken
    most = int(asked[1]) + int(asked[2]) + 4096
    assert int(taken[1]) <= most, run.stdout
