"""``edge-lstm score`` as people use it: pipes, signals, kills, and files that are out to hurt."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import command
from kills import kill_at_random_moments
from model_files import EMBEDDED

COMMAND = [sys.executable, "-m", "edge_lstm", "score"]
TARGETS = ["csv", pytest.param("jsonl.gz", marks=pytest.mark.slow), "parquet"]
KILLS = int(os.environ.get("EDGE_LSTM_KILLS", "3"))
TEXTS = [
    "A wonderful film.",
    "Dull, and far too long!",
    "",
    "xqzzy wvvx",
    'He said "no"\nand left.',
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder of a test, with nothing in it."""
    monkeypatch.chdir(tmp_path)


def piped(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Score what comes through a pipe."""
    return subprocess.run([*COMMAND, "-", *arguments], input=data, capture_output=True)


def write_csv(name: str, count: int) -> Path:
    with Path(name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "review"])
        writer.writerows([i, f"{TEXTS[i % len(TEXTS)]} {i}"] for i in range(count))
    return Path(name)


def test_lines_in_lines_out_through_pipes() -> None:
    result = piped(b"A wonderful film.\n\nawful")
    assert result.returncode == 0
    lines = [line.split("\t") for line in result.stdout.decode().splitlines()]
    assert [(len(line), line[2]) for line in lines] == [(4, "ok"), (4, "empty"), (4, "ok")]
    assert (lines[0][0], lines[2][0]) == ("pos", "neg")


def test_a_pipe_that_stays_open_gets_its_answers_as_they_come() -> None:
    line = [*COMMAND, "-", "--workers", "2", "--quiet"]
    with subprocess.Popen(line, stdin=-1, stdout=-1, stderr=-1) as process:
        for text in (b"wonderful\n", b"awful\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[2] == b"ok"
        process.stdin.close()
        assert process.stdout.read() == b""


def test_csv_through_pipes_keeps_its_header() -> None:
    result = piped(b"id,text\n1,fine\n", "--input-format", "csv", "--quiet")
    assert (
        result.stdout.startswith(b"id,text,label,probability,status,error\n1,fine,")
        and not result.stderr
    )
    Path("in.csv").write_text("label,text\n1,fine\n")
    said = command("score", "in.csv").stderr.splitlines()
    assert said[-1] == " " * 11 + "edge_lstm_error" and max(map(len, said)) < 80


def test_error_rows_give_exit_code_3_and_a_summary_that_counts_them() -> None:
    Path("in.jsonl").write_text('{"text": "a"}\n{"text": 1}\nnothing\n{"text": ""}\n')
    result = command("score", "in.jsonl", "-o", "out.jsonl")
    assert result.returncode == 3
    for said in ("4 rows -> out.jsonl", "status:    empty 1", "errors:    2 rows without usable"):
        assert said in result.stderr
    assert "in.jsonl row 2: the text is a number, not a string" in result.stderr
    assert Path("out.jsonl").read_text().count("\n") == 4


def test_the_summary_names_the_model() -> None:
    Path("in.txt").write_text("A wonderful film.\nAn awful film.\n")
    said = command("score", "in.txt").stderr.splitlines()
    assert "model:     the embedded sentiment model" in said
    Path("m.onnx").write_bytes(EMBEDDED.read_bytes())
    Path("one.txt").write_text("A film.\n")
    said = command("score", "one.txt", "-m", "m.onnx").stderr.splitlines()
    assert said[0].startswith("1 row in ") and "model:     m.onnx" in said


@pytest.mark.parametrize("options", [(), ("--threshold", "1")])
def test_the_summary_says_of_how_many_texts_the_end_alone_was_read(
    options: tuple[str, ...],
) -> None:
    Path("in.txt").write_text("good\n" + "good " * 700 + "\n")
    said = " ".join(command("score", "in.txt", *options).stderr.split())
    assert "truncated: of 1 text longer than the model reads, only the end was read;" in said
    assert "truncated:" not in command("score", "in.txt", "--windows", *options).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_does(number: signal.Signals) -> None:
    source = write_csv("in.csv", 12_000)
    command("score", source, "-o", "whole.csv", "--quiet")
    line = [*COMMAND, source, "-o", "out.csv", "--workers", "2"]
    with subprocess.Popen(line, stdout=-1, stderr=-1) as process:
        wait_for_rows(process)
        process.send_signal(number)
        said = process.stderr.read().decode()
        assert process.wait() == 128 + number
    assert said.startswith("interrupted; continue with the same command and --resume")
    assert not Path("out.csv").exists()
    again = ("-o", "out.csv", "--resume", "--workers", "1")
    assert command("score", source, *again).returncode == 0
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def wait_for_rows(process: subprocess.Popen[bytes]) -> None:
    """Until the run has written rows, or is over."""
    partial = Path("out.csv.partial")
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 100):
        time.sleep(0.005)


@pytest.mark.parametrize("target", TARGETS)
def test_kills_at_random_moments_and_resumes_give_the_same_bytes(target: str) -> None:
    kill_at_random_moments(write_csv("in.csv", 3_000), KILLS, target, seed=1)


def test_workers_end_when_their_parent_is_killed() -> None:
    source = write_csv("in.csv", 200_000)
    reading, writing = os.pipe()
    # Every process of the run holds the pipe's other end: it closes when the last one is gone.
    command = [*COMMAND, source, "-o", "out.csv", "--workers", "2", "--quiet"]
    with subprocess.Popen(command, stdout=writing) as process:
        os.close(writing)
        wait_for_rows(process)
        process.kill()
    assert os.read(reading, 1) == b""
    os.close(reading)


MEMORY_DRIVER = """
import re, sys
from pathlib import Path
from edge_lstm import RunOptions, score_files
score_files(sys.argv[1], sys.argv[2], run=RunOptions(workers=1))
print(re.search("VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1])
"""


def test_memory_does_not_grow_with_the_file() -> None:
    peaks = []
    for count in (20_000, 80_000):
        source = write_csv("in.csv", count)
        command = [sys.executable, "-c", MEMORY_DRIVER, source, "out.csv"]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024)
    # Buffers fill up to some 100 MiB, of which 20,000 rows need less; 60,000 rows kept would be 30
    # MiB more.
    assert peaks[1] < peaks[0] + 16
    assert max(peaks) < 150, "MiB"


WAITING = """
import sys
from edge_lstm.__main__ import main
from edge_lstm.cli import progress
progress.AFTER_SECONDS = float(sys.argv.pop(1))
main()
"""


def on_terminal(*arguments: str | Path, after: float) -> tuple[int, str]:
    """Exit code and what a terminal was sent as standard error.

    after: seconds after which a line appears; what takes longer depends on the machine.
    """
    terminal, end = os.openpty()
    command = [sys.executable, "-c", WAITING, str(after), "score", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        command, stderr=end, stdout=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the last process has closed it
                break
    os.close(terminal)
    return process.returncode, shown.decode()


def test_a_terminal_shows_a_line_that_is_gone_at_the_end() -> None:
    source = write_csv("in.csv", 20_000)
    code, shown = on_terminal(source, "-o", "out.csv", "--workers", "1", after=0)
    assert code == 0
    assert re.search(r"[\d,]+ rows, [\d,]+ rows/s, 0 errors", shown)
    assert " \r20,000 rows -> " in shown, "the line is gone"


def test_short_work_and_quiet_work_show_no_line() -> None:
    source = write_csv("in.csv", 3)
    assert "rows/s, " not in on_terminal(source, "-o", "out.csv", after=3600)[1]
    assert on_terminal(source, "-o", "out.csv", "--quiet", after=0) == (0, "")
