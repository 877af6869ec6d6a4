"""Ctrl-C and SIGTERM end every stage of a training at once, and what is done is kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_lstm_export import distillation, fit, label_issues, pipeline, training
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.interruption import StopRequest
from test_train_command import SMALL, same, write_csv
from train_command import run

OPTIONS = (*SMALL, "--preset", "tiny", "--teacher", "nb-svm", "--epochs", "2", "--words", "frequent")
# Stage by stage in their order: where it is, and what is kept when it is ended.
NOTHING, LABELS, STATE = "nothing", "soft labels", "state"
STAGES: dict[str, tuple[Any, str, str]] = {
    "the data are read": (pipeline, "read_dataset", NOTHING),
    "labels are checked": (label_issues, "soft_labels", NOTHING),
    "unlabelled texts are read": (pipeline, "unlabelled_texts", NOTHING),
    "the teacher learns": (distillation, "soft_labels", NOTHING),
    "the linear part is begun": (fit, "begin_linear_part", LABELS),
    "word vectors": (fit, "word_vectors", LABELS),
    "the linear part is finished": (fit, "finish_linear_part", STATE),
    "the answers are measured": (fit, "predict_logits", STATE),
    "the checkpoint is written": (pipeline, "save_checkpoint", STATE),
}


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "d.csv", ["no", "yes"], 100)


@pytest.fixture(scope="module")
def straight(csv: Path) -> Path:
    output = csv.with_name("straight.safetensors")
    assert run(csv, "-o", output, "--unlabelled", csv, *OPTIONS).returncode == 0
    return output


def hit_by(number: int) -> Callable[..., Any]:
    """Stands for a stage: the signal comes, and then it goes on."""

    def stage(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), number)
        for _ in range(1000):  # a handler runs between two instructions
            pass
        raise AssertionError("the stage went on")

    return stage


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_the_stage_and_what_is_done_is_kept(
    tmp_path: Path, csv: Path, straight: Path, stage: str, number: int
) -> None:
    where, name, kept = STAGES[stage]
    output = tmp_path / "m.safetensors"
    arguments = (csv, "-o", output, "--unlabelled", csv, *OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, hit_by(number))
        ended = run(*arguments)
    assert ended.returncode == 128 + number, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("interrupted; ")
    assert "Traceback" not in ended.stderr
    left = {path.name for path in tmp_path.iterdir()}
    partial, labels = "m.safetensors.partial", "m.soft-labels.safetensors"
    assert left == {NOTHING: set(), LABELS: {labels}, STATE: {labels, partial}}[kept]
    again = run(*arguments, *(["--resume"] if kept == STATE else []))
    assert again.returncode == 0, again.stderr
    assert ("soft labels from" in again.stderr) == (kept != NOTHING)
    assert ("epoch 1/" in again.stderr) == (kept != STATE)
    assert same(output, straight)


def test_a_signal_in_the_validation_of_the_last_epoch_is_heard(
    tmp_path: Path, csv: Path, straight: Path
) -> None:
    output, epochs = tmp_path / "m.safetensors", []
    arguments = (csv, "-o", output, "--unlabelled", csv, *OPTIONS)
    predict = training.predict_logits

    def hit(*arguments: Any, **settings: Any) -> Any:
        epochs.append(1)
        if len(epochs) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return predict(*arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "predict_logits", hit)
        ended = run(*arguments)
    assert ended.returncode == 128 + signal.SIGTERM
    assert "epoch 1/2" in ended.stderr and "epoch 2/2" not in ended.stderr
    assert run(*arguments, "--resume").returncode == 0
    assert same(output, straight)


def test_an_interrupted_checkpoint_is_calibrated_as_its_best_epoch(tmp_path: Path, csv: Path) -> None:
    output = tmp_path / "m.safetensors"
    keep, ended_in = pipeline.save_progress, set[int]()

    def hit(*arguments: Any) -> None:
        keep(*arguments)
        epoch = arguments[3].plain["epoch"]
        if epoch == 1 and epoch not in ended_in:
            ended_in.add(epoch)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "save_progress", hit)
        ended = run(csv, "-o", output, *OPTIONS)
    assert ended.returncode == 128 + signal.SIGINT, ended.stderr
    made = load_checkpoint(output).training
    assert (made["outcome"], made["epochs"]) == ("interrupted", 1)
    assert made["temperature"] != 1.0
    assert "calibrated by a temperature" in ended.stdout and "no validation part" not in ended.stdout


def test_a_training_that_stopped_early_and_was_killed_then_is_not_trained_further(
    tmp_path: Path, csv: Path
) -> None:
    options = (csv, "--epochs", "30", "--patience", "1", "--learning-rate", "0.05", *SMALL)
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    done = run(*options, "-o", straight)
    assert "stopped early" in done.stdout, done.stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "save_checkpoint", hit_by(signal.SIGTERM))
        run(*options, "-o", broken)
    resumed = run(*options, "-o", broken, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch" not in resumed.stderr
    assert same(straight, broken)


@pytest.fixture
def handlers() -> Iterator[None]:
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert {number: signal.getsignal(number) for number in earlier} == earlier


@pytest.mark.usefixtures("handlers")
def test_a_deferred_signal_is_noted_and_a_second_one_ends_the_program() -> None:
    with StopRequest() as stop:
        with stop.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.requested()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert stop.exit_code == 130
    with pytest.raises(KeyboardInterrupt), StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
