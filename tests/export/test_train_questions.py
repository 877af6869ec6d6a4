"""train with several label columns: a checkpoint for each, from the rows that answer it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edge_lstm_export.train.checkpoint import load_checkpoint

from edge_lstm.cli import run
from edge_lstm.errors import DataError

QUICK = ["--preset", "seed", "--epochs", "1", "--teacher", "none"]


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """log.jsonl: 60 texts, half of them with a team, all but one with an urgency."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for i in range(60):
        row = {"text": f"thing {i} {'now' if i % 3 else 'later'} of {'ab'[i // 2 % 2]}"}
        if i % 2 == 0:
            row["team"] = "ab"[i // 2 % 2]
        if i != 5:
            row["urgent"] = "yes" if i % 3 else "no"
        lines.append(json.dumps(row) + "\n")
    Path("log.jsonl").write_text("".join(lines))


def test_each_column_makes_a_checkpoint_from_the_rows_that_answer_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = ["--label-column", "team", "--label-column", "urgent"]
    run(["train", "log.jsonl", *columns, "-o", "questions", *QUICK])
    for name, labels in (("team", ("a", "b")), ("urgent", ("no", "yes"))):
        checkpoint = load_checkpoint(Path("questions", f"{name}.safetensors"))
        assert tuple(checkpoint.labels) == labels
    plans = capsys.readouterr().err
    assert plans.index("30 training") < plans.index("59 training")
    before = Path("questions/team.safetensors").stat().st_mtime_ns
    run(["train", "log.jsonl", *columns, "-o", "questions", *QUICK, "--resume"])
    assert Path("questions/team.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["team", "stars"], "stars"),
        (["team", "team"], "named twice"),
        (["team", "a/b"], "cannot name a question"),
        (["team", "../urgent"], "cannot name a question"),
    ],
)
def test_columns_that_make_no_questions_are_one_line(columns: list[str], said: str) -> None:
    options = [each for column in columns for each in ("--label-column", column)]
    with pytest.raises(DataError, match=said):
        run(["train", "log.jsonl", *options, "-o", "questions", *QUICK])
    assert not Path("questions").exists()
