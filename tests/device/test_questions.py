"""Several questions on the same texts: predict, score, and the Python API."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cases import rows
from commands import command, json_of
from model_files import compact, edited, multi_label
from table_files import read_rows, write_jsonl

from edge_lstm import RunOptions, ScoreOptions, score_files

TEXTS = ["A wonderful film.", "Dull, and far too long!", "the film", ""]


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    """team.onnx and urgent.onnx, with one vocabulary, in the working folder."""
    Path("team.onnx").write_bytes(edited({"labels": compact(["returns", "billing"])}))
    Path("urgent.onnx").write_bytes(edited({"labels": compact(["no", "yes"])}))
    with Path("in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *enumerate(TEXTS)])


def test_predict_writes_each_questions_fields_in_the_order_of_the_models() -> None:
    models = ["-m", "urgent=urgent.onnx", "-m", "team=team.onnx"]
    done = command("predict", *models, *TEXTS[:2], "--threshold", "0.96")
    lines = done.stdout.splitlines()
    first, second = (line.split("\t") for line in lines)
    assert [first[0], first[2], first[3], first[5]] == ["", "abstained", "", "abstained"]
    assert [second[0], second[2], second[3], second[5]] == ["no", "ok", "returns", "ok"]
    values = json_of("predict", *models, TEXTS[0], "--top", "2")
    assert list(values) == ["urgent", "team"]
    assert values["urgent"]["label"] == "yes" and len(values["team"]["top"]) == 2


def test_each_file_reads_a_text_by_its_own_vocabulary() -> None:
    texts = ["qwxyzzy", "A wonderful film, qwxyzzy!", "unfilmable"]
    models = {"pieces": "sentiment", "words": "urgent.onnx", "same": "team.onnx"}
    named = [part for name, path in models.items() for part in ("-m", f"{name}={path}")]
    together = command("predict", *named, *texts).stdout.splitlines()
    alone = [command("predict", "-m", path, *texts).stdout.splitlines() for path in models.values()]
    assert together == ["\t".join(row) for row in zip(*alone)]
    assert (
        {row.split("\t")[2] for row in alone[0]}
        == {"ok"}
        != {row.split("\t")[2] for row in alone[1]}
    )


@pytest.mark.parametrize("options", [[], ["--json"], ["--top", "2"]])
def test_one_model_without_a_name_is_written_as_ever(options: list[str]) -> None:
    alone = command("predict", "-m", "team.onnx", *options, TEXTS[0]).stdout
    named = command("predict", "-m", "team=team.onnx", *options, TEXTS[0]).stdout
    assert named == (f'{{"team": {alone.strip()}}}\n' if "--json" in options else alone)


def test_score_adds_columns_for_each_question_in_one_pass() -> None:
    models = ("-m", "team=team.onnx", "-m", "u=urgent.onnx")
    command("score", "in.csv", "-o", "out.csv", "-q", *models)
    score_files("in.csv", "team.csv", model="team.onnx")
    score_files("in.csv", "u.csv", model="urgent.onnx")
    names = "id text team team_probability team_status u u_probability u_status error"
    for row, *alone in zip(*map(read_rows, ("out.csv", "team.csv", "u.csv"))):
        added = [each[name] for each in alone for name in ("label", "probability", "status")]
        assert list(row) == names.split()
        assert list(row.values()) == [row["id"], row["text"], *added, ""]


def test_scores_of_several_questions_are_the_same_with_workers_and_after_a_resume() -> None:
    Path("stars.onnx").write_bytes(
        edited({"labels": compact(["1", "5"]), "question": compact({"type": "score"})})
    )
    models = {"team": "team.onnx", "stars": "stars.onnx"}
    options = ScoreOptions(all_probabilities=True, threshold=0.6)
    with Path("in.csv").open("a", newline="") as file:
        csv.writer(file).writerows([[i, f"{i} good films"] for i in range(50)])
    summary = score_files("in.csv", "one.csv", model=models, options=options)
    many = RunOptions(workers=2, chunk_rows=5, resume=True)
    score_files("in.csv", "two.csv", model=models, options=options, run=many)
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()
    assert summary.rows == 54
    given = [row["team"] for row in read_rows("one.csv")]
    for label in ("returns", "billing"):
        assert summary.labels[f"team={label}"] == given.count(label)
    assert summary.labels["team=returns"] > 0 and "returns" not in summary.labels
    assert summary.model == "team=team.onnx, stars=stars.onnx"
    assert ",".join(read_rows("one.csv")[0]) == (
        "id,text,team,team_probability,team_probability_returns,team_probability_billing,"
        "team_status,stars,stars_low,stars_high,stars_probability_1,stars_probability_5,"
        "stars_status,error"
    )


def test_rows_without_a_text_are_errors_of_the_row() -> None:
    write_jsonl("in.jsonl", ["good", None])
    models = {"team": "team.onnx", "urgent": "urgent.onnx"}
    summary = score_files("in.jsonl", "out.jsonl", model=models)
    good, bad = read_rows("out.jsonl")
    assert good["team_status"] == "ok" and good["error"] is None
    assert bad["team"] is None and bad["urgent_status"] == "error" and bad["error"]
    assert summary.errors == 1


def test_a_file_of_several_labels_may_be_one_of_the_questions() -> None:
    Path("many.onnx").write_bytes(edited(multi_label([0.5, 0.5])))
    score_files("in.csv", "out.csv", model={"team": "team.onnx", "many": "many.onnx"})
    assert read_rows("out.csv")[0]["many"] == "pos"


def test_names_that_the_input_has_get_a_prefix() -> None:
    Path("in.csv").write_text("text,team\ngood,x\n")
    summary = score_files("in.csv", "out.csv", model={"team": "team.onnx"})
    assert summary.added_columns[0] == "edge_lstm_team"


@pytest.mark.parametrize(
    ("arguments", "said"),
    rows(
        """
        -m team.onnx -m urgent.onnx | needs a name
        -m a=team.onnx -m urgent.onnx | needs a name
        -m a=team.onnx -m a=urgent.onnx | two models have the name a
        -m a= | names no file
        -m a=none.onnx | no model file at none.onnx
        -m a=team.onnx -m a_probability=urgent.onnx | two columns 'a_probability'
        -m error=team.onnx | two columns 'error'
        -m a=team.onnx --engine ray | takes one model
        -m a=team.onnx --abstain 0.02 | no risk-coverage curve
        """
    ),
)
def test_questions_that_do_not_fit_are_one_line(arguments: str, said: str) -> None:
    assert said in command("score", "in.csv", "-o", "out.csv", "-q", *arguments.split()).error
    assert not Path("out.csv").exists()


def test_a_file_whose_name_has_an_equals_sign_is_a_file() -> None:
    Path("urgent.onnx").rename("lr=1.onnx")
    assert command("predict", "-m", "lr=1.onnx", TEXTS[0]).stdout.startswith("yes\t")
    assert list(json_of("predict", "-m", "b=lr=1.onnx", TEXTS[0])) == ["b"]
    assert "no model file at 2.onnx" in command("predict", "-m", "lr=2.onnx", TEXTS[0]).error


LOG = [
    {"text": "A wonderful film.", "team": "billing"},
    {"text": "Dull, and far too long!", "urgent": "no"},
    {"text": "Dull, and far too long!", "team": "billing", "urgent": "no"},
]


def test_evaluate_measures_a_question_on_the_rows_that_answer_it() -> None:
    write_jsonl("log.jsonl", LOG)
    for name, accuracy in (("team", 0.5), ("urgent", 1.0)):
        asked = ("evaluate", "log.jsonl", "-m", f"{name}.onnx", "--label-column", name)
        values = json_of(*asked)
        assert (values["texts"], values["models"][0]["accuracy"]) == (2, accuracy)
