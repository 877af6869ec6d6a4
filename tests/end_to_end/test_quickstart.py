"""The README's first command: everything once, on the texts that are installed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from commands import command, finished
from table_files import read_rows

from edge_lstm import Classifier
from edge_lstm.cli import run


@pytest.mark.slow
def test_the_quickstart_does_everything_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_lstm", "quickstart"]
    done = finished(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    steps = re.findall(r"^\d\. .+\n\$ edge-lstm (\w+)", done.stdout, re.MULTILINE)
    assert steps == ["train", "export", "predict", "score", "evaluate", "latency"]
    assert len(re.findall("^→ ", done.stdout, re.MULTILINE)) == len(steps)
    assert re.search(r"^quickstart/tickets\.onnx: int8, [0-9,]+ bytes", done.stdout, re.MULTILINE)
    assert max(len(line) for line in done.stdout.splitlines() if line.startswith(("→", "  "))) <= 90
    assert Classifier.load(tmp_path / "quickstart" / "tickets.onnx").labels == (
        "billing",
        "bug",
        "question",
    )
    assert (
        len((tmp_path / "quickstart" / "scored.csv").read_text(encoding="utf-8").splitlines())
        == 601
    )


def test_a_quickstart_that_is_interrupted_ends_and_goes_on_when_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = {"train": "tickets.safetensors.partial", "score": "scored.csv.resume.json"}
    asked: list[tuple[str, bool]] = []

    def interrupted(arguments: tuple[str, ...]) -> int:
        asked.append((arguments[0], "--resume" in arguments))
        unfinished = tmp_path / left.get(arguments[0], "none")
        if unfinished.name == "none" or unfinished.exists():
            unfinished.unlink(missing_ok=True)
            return 0
        unfinished.touch()
        return 130

    monkeypatch.setattr("edge_lstm.cli.run", interrupted)
    for _ in range(2):
        assert run(["quickstart", "--folder", str(tmp_path)]) == 130
    assert asked[:2] == [("train", False), ("train", True)] and asked[-1] == ("score", False)
    (tmp_path / left["train"]).touch()  # as if the training had been complete
    run(["quickstart", "--folder", str(tmp_path)])
    assert asked[-3:] == [("score", True), ("evaluate", False), ("latency", False)]
    assert capsys.readouterr().err.count("run quickstart again to continue") == 2


def test_the_example_tickets_are_written_and_fit_together(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    line = ("quickstart", "--texts-only", "--folder", folder)
    assert command(*line).stdout.count("wrote") == len(list(folder.iterdir())) == 5
    names = ("tickets", "few", "labelled", "test")
    tickets, few, corrected, test = (
        [row["text"] for row in read_rows(folder / f"{name}.csv")] for name in names
    )
    log = (folder / "log.txt").read_text(encoding="utf-8").splitlines()
    assert (
        set(few) < set(tickets) and set(corrected) < set(log) and not set(test) & {*tickets, *log}
    )
    assert (len(few), len(test), len(set(log))) == (60, 60, 600)
    assert command(*line).returncode == 0  # again: nothing is another file
    (folder / "log.txt").write_text("mine\n", encoding="utf-8")
    (folder / "few.csv").unlink()
    assert "log.txt differs from the example file" in command(*line).error
    assert (folder / "log.txt").read_text(encoding="utf-8") == "mine\n" and not (
        folder / "few.csv"
    ).exists()
