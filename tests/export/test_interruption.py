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
from edge_lstm_export.options import DataOptions, EnsembleOptions, TrainingRequest, Validation
from edge_lstm_export.train.loop import Callbacks
from edge_lstm_export.train.plan import make_plan
from edge_lstm_export.train.run import Job, plan_job, run_job
from edge_lstm_export.train.stats import DatasetStats
from made import rows, write_csv

from edge_lstm import signals
from edge_lstm.errors import DataError

MADE = {"m.safetensors", "m.history.json"}
# What is told when the signal comes, and whether the state is kept then.
STAGES = {
    "the plan": False,
    "teacher: linear": False,
    "cross-validation 2": True,
    "the network": True,
    "batch 1 of epoch 1": True,
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
    return Job(
        (str(source),), folder / "m.safetensors", DataOptions(test=test), asked, unlabelled=str(log)
    )


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
        started=lambda *_: tell("the network"),
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
            run_job(job, callbacks, lambda _: tell("the plan"))
        assert signals.received_exit_code() == 128 + number
        signals.handle_signals()  # forgets what came, which another test would take for its own
    assert seen[-1].startswith(told), "the stage went on"
    assert {path.name for path in folder.iterdir()} <= {"m.safetensors.partial"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_the_stage_and_what_is_done_is_kept(
    tmp_path: Path, job: Job, expected: bytes, stage: str
) -> None:
    broken = replace(job, output=tmp_path / "m.safetensors")
    hit(broken, stage, (signal.SIGINT, signal.SIGTERM)[len(stage) % 2], tmp_path)
    assert broken.partial.exists() == STAGES[stage]
    run_job(replace(broken, resume=True))
    assert broken.output.read_bytes() == expected
    assert {path.name for path in tmp_path.iterdir()} == MADE


def test_with_a_part_held_out_too_every_moment_leads_to_the_same_bytes(
    tmp_path: Path, job: Job
) -> None:
    plan = replace(plan_job(job).plan, validation=Validation(0.2))
    straight = replace(job, output=tmp_path / "straight" / "m.safetensors", plan=plan)
    run_job(straight)
    for told in ("batch 2 of epoch 1", "epoch 1", "epoch 2"):
        folder = tmp_path / told
        folder.mkdir()
        broken = replace(straight, output=folder / "m.safetensors")
        hit(broken, told, signal.SIGINT, folder)
        run_job(replace(broken, resume=True))
        assert broken.output.read_bytes() == straight.output.read_bytes()


def test_the_checkpoint_says_what_ran_in_bfloat16_and_a_resume_on_another_cpu_is_refused(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(record: object) -> None:
        raise KeyboardInterrupt

    def cpu_has(products: bool) -> None:
        for module in ("run", "loop"):
            name = f"edge_lstm_export.train.{module}.multiplies_bfloat16"
            monkeypatch.setattr(name, lambda: products)

    broken = replace(job, output=tmp_path / "m.safetensors")
    cpu_has(products=True)
    with pytest.raises(KeyboardInterrupt):
        run_job(broken, Callbacks(on_epoch=stop))
    cpu_has(products=False)
    with pytest.raises(DataError, match="bfloat16 of the CPU was True and is False"):
        run_job(replace(broken, resume=True))
    other = replace(job, output=tmp_path / "other.safetensors")
    assert run_job(other).checkpoint.training["bfloat16"] is False
    cpu_has(products=True)
    resumed = run_job(replace(broken, resume=True))
    assert resumed.checkpoint.training["bfloat16"] is True


# A training that is complete, and one that is stopped after its first epoch, or resumed from there.
TWO_TRAININGS = """
import json, sys
from dataclasses import replace
from pathlib import Path
from edge_lstm_export.train.loop import Callbacks
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.run import Job, run_job

folder, complete, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
plan = Plan.from_dict(json.loads((folder / "p.json").read_text()))
job = Job((str(folder / "d.csv"),), folder / complete, plan=plan)
run_job(job)

def stop(record):
    raise KeyboardInterrupt

other = replace(job, output=folder / "resumed.safetensors", resume=how == "resume")
try:
    run_job(other, Callbacks(on_epoch=stop) if how == "stop" else Callbacks())
except KeyboardInterrupt:
    pass
"""


def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    """In processes, since libraries read it when they are loaded. The vocabulary is so large that
    BLAS shares the work on the first word vectors between two threads."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{i}" for i in rng.integers(0, 3000, 60)) for _ in range(300)]
    write_csv(tmp_path / "d.csv", [(text, "ab"[i % 2]) for i, text in enumerate(texts)])
    made = make_plan(DatasetStats(300, 2), TrainingRequest("tiny", "none", epochs=1))
    network = replace(
        made.network, num_words=3000, embedding_dim=30, hidden=4, ngram_words=0, ngram_slots=0
    )
    made = replace(
        made, network=network, teachers=(), ensemble=EnsembleOptions(), validation=Validation(0.0)
    )
    (tmp_path / "p.json").write_text(json.dumps(made.to_dict()))

    for threads, how in (("1", "stop"), ("2", "resume")):
        line = [sys.executable, "-c", TWO_TRAININGS, tmp_path, f"{threads}.safetensors", how]
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        subprocess.run(line, check=True, env={**os.environ, **dict.fromkeys(names, threads)})
    of_one, of_two, resumed = (
        (tmp_path / f"{name}.safetensors").read_bytes() for name in ("1", "2", "resumed")
    )
    assert of_two == of_one
    assert resumed == of_one


def test_a_deferred_signal_is_noted_and_a_second_one_ends_the_program() -> None:
    code = (
        "import os, signal; from edge_lstm import signals; signals.handle_signals()\n"
        "with signals.deferred():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print(signals.received(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('alive', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, "True\n")
