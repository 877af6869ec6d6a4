"""Ctrl-C and SIGTERM end every stage of a training at once, and what is done is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import command
from edge_lstm_export import DatasetStats, TrainingRequest, make_plan
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.job import Job
from edge_lstm_export.train.lstm.loop import Callbacks
from edge_lstm_export.train.run import run_job
from made import rows, write_csv
from threadpoolctl import threadpool_limits

from edge_lstm.system import signals

MADE = {"m.safetensors", "m.history.json"}
# What is told when the signal comes, and whether the state is kept then.
STAGES = {
    "teacher: linear": False,
    "cross-validation 2": True,
    "batch 3 of epoch 2": True,
    "epoch 2": True,
    "fitting n-grams and calibrating": True,
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("data")
    source = write_csv(folder / "d.csv", rows(60))
    test = write_csv(folder / "t.csv", rows(6, seed=3))
    log = write_csv(folder / "log.csv", rows(20, seed=4), ("text",))
    asked = TrainingRequest("tiny", epochs=2)
    reading = DataOptions(test=test, unlabelled=str(log))
    return Job((str(source),), folder / "m.safetensors", reading, asked)


@pytest.fixture(scope="module")
def expected(job: Job) -> bytes:
    """The bytes of an undisturbed training."""
    run_job(job)
    return job.output.read_bytes()


def hit(job: Job, told: str, number: int, folder: Path) -> None:
    """A training that gets the signal when this is told, as the command runs it."""
    seen: list[str] = []

    def tell(text: str) -> None:
        seen.append(text)
        if text.startswith(told) and sum(line.startswith(told) for line in seen) == 1:
            os.kill(os.getpid(), number)
            for _ in range(1000):  # a handler runs between two instructions
                pass

    callbacks = Callbacks(
        say=tell,
        on_batch=lambda record, batch, _: tell(f"batch {batch} of epoch {record.epoch}"),
        on_epoch=lambda record: tell(f"epoch {record.epoch}"),
        should_stop=signals.received,
        deferring=signals.deferred,
    )
    with signals.kept():
        # whatever a shell or pytest has set
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.handle_signals()
        with pytest.raises(KeyboardInterrupt):
            run_job(job, callbacks)
        assert signals.received_exit_code() == 128 + number
        signals.handle_signals()  # forgets what came, which another test would take for its own
    assert seen[-1].startswith(told), "the stage went on"
    assert {path.name for path in folder.iterdir()} <= {"m.safetensors.partial"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_the_stage_and_what_is_done_is_kept(
    tmp_path: Path, job: Job, expected: bytes, stage: str
) -> None:
    broken = replace(job, output=Path("m.safetensors"))
    hit(broken, stage, (signal.SIGINT, signal.SIGTERM)[len(stage) % 2], tmp_path)
    assert broken.partial.exists() == STAGES[stage]
    run_job(replace(broken, resume=True))
    assert broken.output.read_bytes() == expected
    assert {path.name for path in tmp_path.iterdir()} == MADE


# A clock that says that the machine is slower.
SLOW = """
import time
clock = time.perf_counter
time.perf_counter = lambda: 1000 * clock()
from edge_lstm.cli import main
main()
"""


def test_threads_clock_order_of_sets_and_a_full_output_change_no_byte() -> None:
    """In a process of its own, since libraries read the number of threads when they are loaded, and
    the first training of a process alone imports PyTorch's compiler, which makes temporary files.

    The vocabulary is so large that BLAS shares the work on the first word vectors between two
    threads.
    """
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{i}" for i in rng.integers(0, 3000, 60)) for _ in range(300)]
    write_csv("d.csv", [(text, "ab"[i % 2]) for i, text in enumerate(texts)])
    plan = make_plan(DatasetStats(300, 2), TrainingRequest("tiny", "none", epochs=1)).to_dict()
    plan["network"] |= {"num_words": 3000, "embedding_dim": 30, "hidden": 4}
    plan["network"] |= {"ngram_words": 0, "ngram_slots": 0}
    plan["validation"] |= {"share": 0.0, "folds": 0}
    Path("p.json").write_text(json.dumps(plan))
    planned = ("train", "d.csv", "--plan", "p.json", "-o")
    with threadpool_limits(1):
        assert command(*planned, "one.safetensors").returncode == 0
    temporary = Path("temporary")
    temporary.mkdir()
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, "2")}
    environment |= {"PYTHONHASHSEED": "1", "TMPDIR": str(temporary)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)  # which PyTorch sets in this process
    line = [sys.executable, "-c", SLOW, *planned, Path("two.safetensors")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
    assert done.returncode == 1, done.stderr
    assert "two.safetensors is complete" in done.stderr.splitlines()[-1]
    assert list(temporary.iterdir()) == []
    one, two = (Path(f"{name}.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_deferred_signal_is_noted_and_a_second_one_ends_the_program() -> None:
    code = (
        "import os, signal; from edge_lstm.system import signals; signals.handle_signals()\n"
        "with signals.deferred():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print(signals.received(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('alive', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, "True\n")
