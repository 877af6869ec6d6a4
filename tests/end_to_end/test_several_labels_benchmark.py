"""benchmarks.several_labels: a whole run on made texts, whose words tell each of their labels."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("edge_lstm_export")

from edge_lstm_export.fit import Fitted
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.pipeline import Watcher, run_job

from benchmarks import several_labels

LABELS = ("anger", "fear", "joy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.csv, dev.csv and test.csv."""
    folder = tmp_path_factory.mktemp("several")
    rng = random.Random(0)
    for name, count in (("train", 300), ("dev", 30), ("test", 40)):
        lines = ["text,labels"]
        for _ in range(count):
            own = [label for label in LABELS if rng.random() < 0.4]
            words = [*(f"{label}ful" for label in own), *(f"filler{rng.randrange(20)}" for _ in range(3))]
            lines.append(f"{' '.join(words)},{'|'.join(own)}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def run(folder: Path, *options: str) -> list[str]:
    """The lines that it prints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(several_labels, "run_job", hurried)
        patch.setattr(sys, "argv", ["several_labels", str(folder), *options])
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *values, **_: printed.extend(map(str, values)))
        several_labels.main()
    return printed


def hurried(job: TrainingJob, watcher: Watcher) -> Fitted:
    """As run_job, with fewer passes than so few texts get: they would take a minute."""
    return run_job(replace(job, options={"epochs": 2}), watcher)


def figures(line: str) -> list[float]:
    """The shares of a line, from 0 to 100: micro F1, macro F1, exactly right."""
    return [float(share) for share in re.findall(r"([\d.]+)%", line)]


def test_both_are_measured_on_the_same_texts(folder: Path) -> None:
    header, peer, int8, fp32, agreement = run(folder, "--preset", "tiny")
    assert header.split() == ["size", "micro", "F1", "macro", "F1", "exactly", "right"]
    assert peer.startswith("scikit-learn") and int8.startswith("tiny, int8") and fp32.startswith("tiny, fp32")
    for line in (peer, int8, fp32):
        micro, macro, exact = figures(line)
        assert micro > 90 and macro > 90 and exact > 80, line
    sizes = [int(re.findall(r"([\d,]+) kB", line)[0].replace(",", "")) for line in (int8, fp32)]
    assert sizes[0] < sizes[1]
    assert "of the 40 texts the same labels" in agreement and figures(agreement)[0] >= 95


def test_the_part_and_who_is_measured_can_be_chosen(folder: Path) -> None:
    _, peer = run(folder, "--only", "peer", "--part", "dev")
    part = several_labels.part_of(folder, "dev")
    assert len(part.texts) == 30
    # Right or wrong as a whole text: a thirtieth each.
    assert figures(peer)[2] * 30 / 100 == pytest.approx(round(figures(peer)[2] * 30 / 100), abs=0.01)
