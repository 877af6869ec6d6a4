"""Turns of the loop: what a log stands for, and which file is in use after one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Result, train
from edge_lstm_export.train import turn
from edge_lstm_export.train.sources.dataset import Dataset, as_traffic
from made import (
    opened,
    read,
    rows,
)

from edge_lstm.errors import DataError, OutputError

UNSURE = {"why": "abstained", "chance": 1.0}
CHECKED = {"why": "shadow", "chance": 0.05}
PASSED = {"why": "no file", "chance": 1.0, "label": None}
# Enough texts for a part that judges.
TURN = ((500, UNSURE), (100, {**CHECKED, "chance": 0.5}))
QUICK = ("--preset", "seed", "--epochs", "1", "--teacher", "none")


def write_log(*kinds: tuple[int, dict[str, Any] | None], day: str = "2026-01-01") -> None:
    """Add rows of each kind to log.jsonl. Without a reason they are as of another program."""
    made = iter(rows(sum(count for count, _ in kinds), seed=Path("log.jsonl").exists()))
    with Path("log.jsonl").open("a") as file:
        for count, reason in kinds:
            for _ in range(count):
                text, label = next(made)
                row = {"time": f"{day}T08:00:00", "text": text, "team": label}
                if reason is not None:
                    row["because"] = {"team": {"label": label, **reason}}
                file.write(json.dumps(row) + "\n")


def read_log(**options: Any) -> Dataset:
    return read("log.jsonl", label_column="team", **options)


def noted(dataset: Dataset) -> str:
    return "\n".join(dataset.warnings)


def test_rows_are_found_among_the_traffic_by_their_weight() -> None:
    weights = np.array([1.0] * 600 + [20.0] * 70, np.float32)
    found = as_traffic(weights)
    heavy = (found >= 600).sum() / len(found)
    assert heavy == pytest.approx(1400 / 2000, abs=0.01)
    # Kish's effective number of rows.
    assert len(found) == pytest.approx(2000**2 / (600 + 70 * 400), abs=1)
    assert (as_traffic(np.ones(5, np.float32)) == np.arange(5)).all()


def test_a_checked_answer_stands_for_those_that_were_not_checked() -> None:
    write_log((30, PASSED), (40, UNSURE), (10, CHECKED), (2, {"why": "shadow", "chance": 1e-4}))
    dataset = read_log()
    assert dataset.train.weights is not None
    assert sorted({*dataset.train.weights.tolist()}) == [1, 20, 100]
    said = "30 requests that no file answered, 40 handed back, 12 sure answers checked"
    assert f"{said}; they stand for 470 requests" in noted(dataset)
    assert "needs 45 checked sure answers or more, 33 are missing" in noted(dataset)


def test_a_log_without_checked_answers_says_what_it_cannot_tell() -> None:
    write_log((60, UNSURE))
    assert "no sure answer was ever checked" in noted(read_log())


def test_rows_of_other_files_stand_for_themselves() -> None:
    write_log((40, UNSURE), (10, CHECKED))
    Path("old.csv").write_text("text,team\n" + "".join(f"{a},{b}\n" for a, b in rows(30, seed=5)))
    weights = read("old.csv", "log.jsonl", label_column="team").train.weights
    assert weights is not None and weights.tolist() == [1.0] * 70 + [20.0] * 10
    assert read("old.csv", label_column="team").train.weights is None


@pytest.mark.parametrize("chance", [0, -1, 2, "often", "nan", None, [1]])
def test_a_reason_that_no_server_wrote_is_refused(chance: object) -> None:
    write_log((5, UNSURE), (1, {"why": "shadow", "chance": chance}))
    with pytest.raises(DataError, match=r"log.jsonl row 6: 'because'"):
        read_log()


def test_another_program_may_have_a_column_of_that_name() -> None:
    table = "".join(f"{text},{label},so it is\n" for text, label in rows(20))
    Path("other.csv").write_text(f"text,team,because\n{table}")
    assert read("other.csv", label_column="team").train.weights is None


def test_one_line_says_what_changed_on_the_last_day() -> None:
    write_log((200, UNSURE), day="2026-01-01")
    write_log((200, UNSURE), day="2026-01-02")
    assert "days before" not in noted(read_log())
    write_log((50, UNSURE), (50, {"why": "unfamiliar", "chance": 1.0}), day="2026-01-03")
    (line,) = [each for each in read_log().warnings if "days before" in each]
    assert "unfamiliar texts: 50.0% on 2026-01-03, 0.0% on the days before" in line


def test_the_same_fifth_is_held_out_whatever_else_there_is() -> None:
    write_log((200, UNSURE))
    first = read_log(by_digest=True).test
    write_log((200, UNSURE))
    second = read_log(by_digest=True).test
    assert first is not None and second is not None
    assert 20 <= len(first) <= 60 and {*first.texts} < {*second.texts}


def turned(*more: str) -> Result:
    command = ("log.jsonl", "--label-column", "team", "-o", "team.safetensors", *QUICK)
    return train(*command, "--replace", "team.onnx", *more)


@pytest.mark.parametrize(
    "more", [("--group-column", "time"), ("--test", "log.jsonl"), ("--label-column", "text")]
)
def test_a_turn_holds_out_its_own_texts_of_one_question(more: tuple[str, str]) -> None:
    write_log((5, UNSURE))
    done = turned(*more)
    assert done.returncode == 1 and "--replace is for one question" in done.stderr


@pytest.fixture(scope="module")
def first_turn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with what a turn leaves, and what the turn said."""
    folder = tmp_path_factory.mktemp("turn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_log(*TURN)
        return folder, turned()


def test_a_turn_puts_the_better_file_in_place_or_leaves_the_old_one(
    first_turn: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = first_turn
    assert done.returncode == 0, done.stderr
    assert "at ≤ 5.00% error: " in done.stderr and "; replaced; now in use: " in done.stderr
    whole = (folder / "team.onnx").read_bytes()
    assert opened(whole).labels == ("sea", "shop")
    shutil.copytree(folder, ".", dirs_exist_ok=True)
    # Of two files the first one is asked first: the new one.
    counts = iter([1, 2])
    monkeypatch.setattr(turn, "answered_well", lambda *_: next(counts))
    done = turned("--seed", "1")
    assert done.returncode == 3
    refused = done.stderr.splitlines()[-1]
    assert "; not replaced: the file in use answers more; now in use: " in refused
    # Judged anew, on the rows of this turn.
    assert re.search(r"% agree with the log \(95 %: [\d.]+ to [\d.]+\)$", refused)
    assert Path("team.onnx").read_bytes() == whole
    # As many are enough.
    counts = iter([2, 2])
    done = turned("--seed", "2")
    assert done.returncode == 0 and "; replaced; now in use: " in done.stderr
    assert Path("team.onnx").read_bytes() != whole


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OutputError("cannot write: it is full")])
def test_whatever_ends_a_turn_the_old_file_is_whole(
    fault: BaseException,
    first_turn: tuple[Path, Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(first_turn[0], ".", dirs_exist_ok=True)
    whole = Path("team.onnx").read_bytes()

    def fail(*_: object) -> None:
        raise fault

    # The new file is the better one, or nothing would be written.
    counts = iter([2, 1])
    monkeypatch.setattr(turn, "answered_well", lambda *_: next(counts))
    monkeypatch.setattr(turn, "write_atomically", fail)
    assert turned("--seed", "1").returncode not in (0, 3)
    assert Path("team.onnx").read_bytes() == whole
    assert [path.name for path in Path().glob(".team.onnx*")] == []


def test_sure_answers_are_counted_while_few_are_wrong() -> None:
    highest = np.array([0.6, 0.9, 0.8, 0.7], np.float32)
    is_right = np.array([True, True, True, False])
    assert turn.answered_well(highest, is_right, 0.0, 0.05) == 2
    assert turn.answered_well(highest, is_right, 0.0, 0.25) == 4
    assert turn.answered_well(highest, is_right, 0.65, 0.25) == 2
    assert turn.answered_well(highest, is_right, 0.85, 0.25) == 1
    assert turn.answered_well(highest, ~is_right, 0.0, 0.05) == 0
