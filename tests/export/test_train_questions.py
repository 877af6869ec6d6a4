"""train with several label columns: a checkpoint for each, from the rows that answer it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import rows
from commands import command, inspected
from edge_lstm_export import Columns, TrainingRequest, train_files, train_questions
from edge_lstm_export.checkpoint.stages import Stage, Stages
from edge_lstm_export.train import run as run_module
from edge_lstm_export.train.job import Job

from edge_lstm.errors import DataError

QUICK = ["--preset", "seed", "--epochs", "1", "--teacher", "none"]


@pytest.fixture(autouse=True)
def log() -> None:
    """log.jsonl: 60 texts, half of them with a team, all but one with an urgency."""
    lines = []
    for i in range(60):
        row = {"text": f"thing {i} {'now' if i % 3 else 'later'} of {'ab'[i // 2 % 2]}"}
        if i % 2 == 0:
            row["team"] = "ab"[i // 2 % 2]
        if i != 5:
            row["urgent"] = "yes" if i % 3 else "no"
        lines.append(json.dumps(row) + "\n")
    Path("log.jsonl").write_text("".join(lines))


def test_each_column_makes_a_checkpoint_from_the_rows_that_answer_it() -> None:
    columns = ["--label-column", "team", "--label-column", "urgent"]
    plans = command("train", "log.jsonl", *columns, "-o", "questions", *QUICK).stderr
    for name, labels in (("team", ["a", "b"]), ("urgent", ["no", "yes"])):
        assert inspected(f"questions/{name}.safetensors")["labels"] == labels
    assert plans.index("30 training") < plans.index("59 training")


def test_the_same_from_python_gives_the_same_checkpoints() -> None:
    columns = ["--label-column", "team", "--label-column", "urgent", "--field", "text:text"]
    command("train", "log.jsonl", *columns, "-o", "questions", *QUICK)
    asked = Columns(labels=("team", "urgent"), fields=("text:text",))
    request = TrainingRequest("seed", "none", epochs=1)
    trained = train_questions("log.jsonl", "own", asked, request=request)
    assert list(trained) == ["team", "urgent"]
    for name in trained:
        file = f"{name}.safetensors"
        assert Path("own", file).read_bytes() == Path("questions", file).read_bytes()

    said = list[str]()
    resumed = {"request": request, "callback": said.append, "resume": True}
    assert train_questions("log.jsonl", "own", asked, **resumed) == {}
    assert said == ["keeps own/team.safetensors, own/urgent.safetensors, of an earlier run"]

    only_team = replace(asked, labels=("team",))
    file = "team.safetensors"
    train_files("log.jsonl", f"own/one/{file}", columns=only_team, request=request)
    label = ["--label-column", "team", "--field", "text:text"]
    command("train", "log.jsonl", *label, "-o", file, *QUICK)
    assert Path("own/one", file).read_bytes() == Path(file).read_bytes()


def test_one_question_and_several_are_two_functions() -> None:
    with pytest.raises(DataError, match="use train_questions"):
        train_files("log.jsonl", "m.safetensors", columns=Columns(("team", "urgent")))
    with pytest.raises(DataError, match="use train_files"):
        train_questions("log.jsonl", "questions", Columns(("team",)))


def test_after_a_kill_between_two_questions_the_first_stands_and_the_next_run_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = ["train", "log.jsonl", "--label-column", "team", "--label-column", "urgent"]
    line += ["-o", "questions", *QUICK]
    team = Path("questions/team.safetensors")
    urgent = Path("questions/urgent.safetensors")
    unfinished = Path("questions/urgent.safetensors.partial")
    train = run_module.run_job

    def killed(job: Job, *more: Any) -> Any:
        if job.output == urgent:
            # What a kill leaves in the middle of the second training.
            Stages(unfinished).keep("a", Stage.of({"x": np.zeros(1)}))
            raise KeyboardInterrupt
        return train(job, *more)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "run_job", killed)
        assert command(*line).returncode != 0
    before = team.read_bytes()
    assert not urgent.exists()

    # Without --resume nothing is begun: the second training would fail after the first.
    assert "urgent.safetensors has an unfinished" in command(*line).error
    unfinished.unlink()

    said = command(*line, "--resume").stderr
    assert f"note: keeps {team}, of an earlier run\n" in said and "59 training" in said
    assert team.read_bytes() == before and urgent.exists()

    assert f"note: replaces {team}, {urgent}, of an earlier run\n" in command(*line).stderr


COLUMNS = """
team stars | stars
team team | named twice
team a/b | cannot name a question
team ../urgent | cannot name a question
"""


@pytest.mark.parametrize(("columns", "said"), rows(COLUMNS))
def test_columns_that_make_no_questions_are_one_line(columns: str, said: str) -> None:
    options = [each for column in columns.split() for each in ("--label-column", column)]
    assert said in command("train", "log.jsonl", *options, "-o", "questions", *QUICK).error
    assert not Path("questions").exists()
