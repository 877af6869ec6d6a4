"""Every device command works where Linux's own things are missing, or says what it leaves out.

On Linux each test runs in processes without what macOS and Windows lack (``without_linux/``); what
Linux has, the other tests use. One process runs most commands (``command_server.py``). On macOS and
Windows themselves this file is what is run, as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import finished
from model_files import SMALL

from edge_lstm import Classifier

SHIMS = Path(__file__).parent / "without_linux"
SERVER = Path(__file__).with_name("command_server.py")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(
    scope="module", params=["macos", "windows"] if sys.platform == "linux" else ["as it is"]
)
def system(request: pytest.FixtureRequest) -> str:
    """Whose lacks the processes of a test have."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def environment(system: str) -> dict[str, str]:
    """Of a process that has these lacks."""
    shim = [] if system == "as it is" else [str(SHIMS / system)]
    sources = os.environ.get("PYTHONPATH")  # where the package is not installed
    path = os.pathsep.join([*shim, *([sources] if sources else [])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that runs command after command."""
    streams = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "text": True,
        "encoding": "utf-8",
    }
    with subprocess.Popen([sys.executable, str(SERVER)], env=environment, **streams) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def run(server: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Runs a command of edge-lstm in ``tmp_path``; whatever goes wrong shows its traceback."""

    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        assert server.stdin is not None and server.stdout is not None
        asked = {"folder": str(tmp_path), "arguments": ["--debug", *arguments]}
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert answer["code"] == code, answer["stderr"]
        return subprocess.CompletedProcess(arguments, code, answer["stdout"], answer["stderr"])

    return call


@pytest.fixture
def run_alone(environment: dict[str, str], tmp_path: Path) -> Run:
    """As ``run``, in a process of its own: for what a command does with a pipe, or with further
    processes."""

    def call(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge_lstm", "--debug", *arguments]
        streams = {"input": text, "capture_output": True, "text": True, "encoding": "utf-8"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=120, **streams)
        assert done.returncode == 0, done.stderr
        return done

    return call


TEXTS = ["A wonderful film.", "Dull from start to end.", "I want my money back."]
REVIEWS = (
    "text,label\n"
    + "".join(f"{text},{label}\n" for text, label in zip(TEXTS, ("pos", "neg", "neg"))) * 8
)


@pytest.fixture(autouse=True)
def reviews() -> None:
    """Labelled reviews, where every command runs."""
    Path("reviews.csv").write_text(REVIEWS, encoding="utf-8", newline="")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has what is taken away")
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "macos",
            """
            import pathlib; pathlib.Path('/proc/self/status').read_text()
            import os; os.sched_getaffinity(0)
            """,
        ),
        (
            "windows",
            """
            open('/proc/meminfo')
            import fcntl
            import os; os.fork()
            import signal; signal.pthread_sigmask
            import subprocess, sys; subprocess.run([sys.executable, '-V'], pass_fds=(1,))
            import os; open('a', 'w').close(); f = open('a'); os.replace('a', 'b')
            import os, select; select.select([os.pipe()[0]], [], [], 0)
            """,
        ),
    ],
)
def test_what_is_taken_away_is_gone(name: str, lines: str, tmp_path: Path) -> None:
    tries = "".join(
        f"try:\n    {line}\n    print({line!r}, 'works')\nexcept Exception: pass\n"
        for line in map(str.strip, lines.strip().splitlines())
    )
    done = finished(
        [sys.executable, "-c", tries],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SHIMS / name)},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_predict(run: Run, run_alone: Run) -> None:
    lines = run("predict", *TEXTS).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        p.label for p in Classifier.load().predict(TEXTS)
    ]
    assert run_alone("predict", text="\n".join(TEXTS) + "\n").stdout.splitlines() == lines


@pytest.mark.parametrize(
    "suffix", [".jsonl.gz", pytest.param(".parquet", marks=pytest.mark.needs("pyarrow"))]
)
def test_score_writes_a_whole_file_and_nothing_beside_it(
    run: Run, tmp_path: Path, suffix: str
) -> None:
    scored = Path(f"scored{suffix}")
    run("score", "reviews.csv", "-o", scored.name)
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.csv", scored.name}
    first = scored.read_bytes()
    run("score", "reviews.csv", "-o", scored.name)  # over one that is there
    assert scored.read_bytes() == first


def test_score_with_more_workers_gives_the_same_bytes_or_says_that_there_is_one(
    run: Run, run_alone: Run, system: str
) -> None:
    alone = run("score", "reviews.csv", "-o", "one.csv", "--workers", "1")
    multi_label = run_alone("score", "reviews.csv", "-o", "two.csv", "--workers", "2")
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()
    assert ("cannot start more" in multi_label.stderr) == (system == "windows" or os.name == "nt")
    assert "cannot start more" not in alone.stderr


def test_score_answers_a_pipe(run_alone: Run) -> None:
    done = run_alone("score", "-", "--input-format", "csv", text=REVIEWS)
    assert len(done.stdout.splitlines()) == len(REVIEWS.splitlines())


def test_a_second_run_is_kept_from_the_same_output(
    environment: dict[str, str], run: Run, tmp_path: Path
) -> None:
    holder = "import sys; from edge_lstm.scoring.output import FileOutput; "
    holder += "it = FileOutput('scored.csv'); "
    command = [sys.executable, "-c", holder + "print('held', flush=True); sys.stdin.read()"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **streams) as other:
        assert other.stdout is not None and other.stdout.readline().strip() == b"held"
        refused = run("score", "reviews.csv", "-o", "scored.csv", code=1)
        other.kill()
    assert "another run is writing scored.csv" in refused.stderr


def test_a_run_goes_on_where_another_was_killed(run: Run) -> None:
    run("score", "reviews.csv", "-o", "whole.csv")
    Path("scored.csv.partial").write_bytes(b"cut")
    run("score", "reviews.csv", "-o", "scored.csv", "--resume")
    assert Path("scored.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert not Path("scored.csv.partial").exists()


def test_latency_measures_and_writes_what_it_measured(run: Run) -> None:
    quick = ("-m", str(SMALL), "--runs", "20", "--cold-starts", "0")
    done = run("latency", *quick, "-o", "result.json")
    result = json.loads(Path("result.json").read_text(encoding="utf-8"))
    assert result["settings"][0]["both"]["mean_us"] > 0
    assert "error" not in done.stderr


def test_the_other_commands_answer(run: Run) -> None:
    assert json.loads(run("evaluate", "reviews.csv", "--json").stdout)["texts"] == 24
    assert "wonderful" in run("explain", TEXTS[0]).stdout
    result = json.loads(run("doctor", "--json").stdout)
    assert result["fit"] and result["golden_rows"], result["verdict"]
    assert json.loads(run("inspect", "--json").stdout)["labels"] == ["neg", "pos"]
    run("page", "-o", "page.html")
    assert Path("page.html").stat().st_size > 100_000
