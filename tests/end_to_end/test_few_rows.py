"""The benchmarks of few rows: their draws, their pages, and the rounds of suggested rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from edge_lstm_export import further_texts
from edge_lstm_export.datasets import read_dataset

from benchmarks import few_rows, long_log, suggested_rows
from benchmarks.few_rows import A_LABEL, MINE, OURS, WITH_LOG, Run, drawn, held_out, page, picture
from benchmarks.suggested_rows import AT_RANDOM, SUGGESTED, rounds

TRAIN = [f"text {i}" for i in range(60)], ["rare" if i == 0 else "often" for i in range(60)]


def run(column: str, draw: int, accuracy: float, said: float | None = None) -> Run:
    mine = column in MINE
    return Run("set", "200", draw, column, 200, accuracy, said, 271.4 if mine else None, 20)


def write_set(folder: Path) -> None:
    folder.mkdir()
    for part in ("train", "test"):
        few_rows.write_csv(folder / f"{part}.csv", [("text", "label"), *zip(*TRAIN)])


def test_a_draw_has_every_label_and_the_seed_decides() -> None:
    texts, labels = drawn(TRAIN, "10", 0)
    assert len(texts) == len(set(texts)) == 10
    assert "rare" in labels
    assert drawn(TRAIN, "10", 0) == (texts, labels) != drawn(TRAIN, "10", 1)
    assert len(drawn(TRAIN, A_LABEL, 0)[0]) == 11


def test_what_is_held_out_is_not_learnt_and_the_seed_decides() -> None:
    others, held = held_out(TRAIN, 15, 0)
    assert len(held[0]) == 15 and sorted(others[0] + held[0]) == sorted(TRAIN[0])
    assert dict(zip(*others)) | dict(zip(*held)) == dict(zip(*TRAIN))
    assert held_out(TRAIN, 15, 0) == (others, held) != held_out(TRAIN, 15, 1)


def test_the_page_has_the_columns_that_were_run_with_what_the_training_said() -> None:
    runs = [run(OURS, 0, 0.6, 0.65), run(OURS, 1, 0.7, 0.65), run(WITH_LOG, 0, 0.8)]
    shown = page(runs)
    assert f"| set | rows | draws | {OURS} | {WITH_LOG} |" in shown
    assert "\n| set | 200 | 2 | 65.0 ± 7.1 | 80.0 (1) |\n" in shown
    assert shown.endswith("\n| set | 200 | 2 | 65.0 ± 0.0; 271 kB, 20 s | 271 kB, 20 s |\n")
    assert "<svg" in picture(runs)


def test_no_row_is_held_out_as_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,000 rows and more a training without a test split would keep a tenth for one."""
    learnt: list[int] = []

    def run_job(job: Any, watcher: Any) -> Any:
        learnt.append(len(read_dataset(job.source, job.data).train))
        raise KeyboardInterrupt

    monkeypatch.setattr(few_rows, "run_job", run_job)
    with pytest.raises(KeyboardInterrupt):
        few_rows.ours(TRAIN, ["text"], 0)
    assert learnt == [60]


def test_the_settings_come_into_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = []

    def run_job(job: Any, watcher: Any) -> Any:
        jobs.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr(few_rows, "run_job", run_job)
    given = ["misspelt=yes", "hidden=20", "made-texts=2", "dropout=0.3"]
    with pytest.raises(KeyboardInterrupt):
        few_rows.ours(TRAIN, ["text"], 7, settings=given)
    (job,) = jobs
    assert job.vocabulary == {"pretrained": True, "misspelt": True} and job.made_texts == 2
    assert job.network == {"hidden": 20, "dropout": 0.3} and job.options == {"seed": 7}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--held-out", "10"], "add --out and --page"),
        (["--set", "misspelt=yes"], "add --out and --page"),
        (["--held-out", "0"], "add --out and --page"),
        (["--held-out", "0", "--out", "o", "--page", "p.md"], "must be from 1"),
        (["--held-out", "60", "--out", "o", "--page", "p.md"], "below the 60 rows of set"),
        (["--set", "mispelt=yes", "--out", "o", "--page", "p.md"], "do you mean misspelt?"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_a_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    write_set(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["few_rows", str(tmp_path), *given])
    with pytest.raises(SystemExit):
        few_rows.main()
    assert said in " ".join(capsys.readouterr().err.split())
    assert {path.name for path in tmp_path.iterdir()} == {"set"}


def test_a_name_with_a_point_in_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set")
    for name in ("words.a", "words.b"):
        command = [tmp_path, "--rows", 20, "--draws", 1, "--columns", few_rows.LINEAR[0], "--out", name]
        monkeypatch.setattr(sys, "argv", ["few_rows", *map(str, command), "--page", str(tmp_path / "p.md")])
        monkeypatch.chdir(tmp_path)
        few_rows.main()
    assert {path.name for path in tmp_path.glob("words*")} == {
        f"words.{letter}.{suffix}" for letter in "ab" for suffix in ("json", "svg")
    }
    assert [run["texts"] for run in json.loads((tmp_path / "words.a.json").read_text())] == [20]


def test_each_round_learns_from_more_rows_and_only_one_way_asks_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[set[str]] = []

    def chosen(model: object, texts: list[str], labelled: list[str], count: int) -> list[str]:
        assert not set(texts) & set(labelled)
        asked.append(set(labelled))
        return sorted(texts)[:count]

    monkeypatch.setattr(suggested_rows, "trained", lambda rows, seed: len(rows[0]))
    monkeypatch.setattr(suggested_rows, "accuracy", lambda model, test: model / 100)
    monkeypatch.setattr(suggested_rows, "chosen", chosen)
    found = rounds(TRAIN, ([], []), "set", 0, SUGGESTED, 3, 10)
    assert found.rows == [10, 20, 30, 40]
    assert found.accuracies == [0.1, 0.2, 0.3, 0.4]
    assert len(asked) == 3 and asked[0] < asked[1] < asked[2]
    at_random = rounds(TRAIN, ([], []), "set", 0, AT_RANDOM, 3, 10)
    assert at_random.rows == found.rows and len(asked) == 3
    assert "| suggested | 10.0 | 20.0 |" in suggested_rows.page([found, at_random])


def test_of_a_long_log_the_share_of_the_sets_own_texts_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (further_texts, long_log):
        monkeypatch.setattr(module, "MOST_FURTHER", 50)
    shop = [f"return order {i} for a refund" for i in "abcdefghijklmnopqrstuvwxyz"]
    sets = {
        "shop": (shop, ["shop"] * len(shop)),
        "film": ([f"scene {i // 26} of {'xyz'[i % 3]} was dull {chr(97 + i % 26)}" for i in range(260)],) * 2,
    }
    lines, own, share, chance = long_log.share_chosen("shop", sets, "10", 0)
    assert (lines, own) == (16 + 260, 16)
    assert share == 1.0 and chance == 50 / 276


def test_spliced_lines_are_as_many_as_asked_for_and_the_seed_decides() -> None:
    lines = [*long_log.spliced(["a b c d", "e f g h"], 9, 0)]
    assert len(lines) == 9 and {len(line.split()) for line in lines} == {4}
    assert lines == [*long_log.spliced(["a b c d", "e f g h"], 9, 0)]
