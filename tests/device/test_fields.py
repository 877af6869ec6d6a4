"""Rows with fields: how an object becomes a text, and the commands with such a file."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from commands import command, json_of
from hostile import run_here
from model_files import compact, edited, loaded

from edge_lstm import Classifier, DataError, ModelFileError

PAGE = Path(__file__).parents[2] / "engine" / "vectors.md"
ROWS = Path(__file__).parents[1] / "data" / "format" / "fields.int8.onnx"
FIRST_WORD = 0xF0000
T = '{"name":"t","kind":"text"}'
N = '{"name":"n","kind":"number","edges":[1.0,2.5]}'
L = '{"name":"l","kind":"number","part":"PART","edges":[]}'
LISTED = [T, N, '{"name":"c","kind":"category","values":["a","1"]}']
LISTED += [L.replace("PART", part) for part in ("length", "least", "sum")]
FIELDS = f'{{"fields":[{",".join(LISTED)}],"pairs":[[1,4]]}}'
ALONE = '{"fields":[%s],"pairs":[]}'
MISSING = [3, 7, 10, 13, 16]  # the words of an empty row


@cache
def classifier_of(fields: str = FIELDS) -> Classifier:
    """The small model with these fields; each word of theirs has the id of a word."""
    return loaded(edited({"fields": fields}))


def words_of(row: Any, fields: str = FIELDS) -> list[int]:
    """The numbers of a row's field words."""
    text = classifier_of(fields).model.as_text(row)
    return [ord(c) - FIRST_WORD for c in text if ord(c) >= FIRST_WORD]


def read(row: Any) -> str:
    """The text of a row."""
    return classifier_of().model.as_text(row)


def test_the_rows_of_the_format_page_become_their_texts() -> None:
    section = PAGE.read_text().split("## Rows with fields")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\{.*\})` \| (?:`(.*)` )?([0-9A-F ]+) \|$", section, re.MULTILINE)
    assert len(rows) == 5
    for row, text, words in rows:
        expected = [text, *(chr(int(word, 16)) for word in words.split())]
        assert read(row) == " ".join(expected), row


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (1, 0),
        (1.0000000000000002, 1),
        ("1", 0),
        ("2.5000000000000000000000000000000001", 2),
        (float("inf"), 2),
        (float("nan"), 3),
        (-0.0, 0),
        (5e-324, 0),
        (10**400, 2),
        ("1e99999999", 2),
        ("1e999999999", 4),
        ("NaN", 4),
        ("1" * 65, 4),
        ("", 3),
        (None, 3),
        ("1969-12-31", 0),
        ("1970-01-01 00:00:02.9", 1),
        ("1970-01-01T01:00:03+01:00", 2),
        ("2026-02-30", 4),
        ("2026-01-01T24:00", 4),
    ],
)
def test_a_number_is_compared_as_it_is_written(number: Any, word: int) -> None:
    assert words_of({"n": number})[0] == word
    if isinstance(number, str):
        assert words_of(compact({"n": number}))[0] == word


def test_ten_thousand_digits_are_a_number_of_json() -> None:
    assert words_of('{"n":1' + "0" * 10_000 + "}")[0] == 2
    assert words_of('{"n":2.5' + "0" * 10_000 + "1}")[0] == 2
    assert words_of('{"n":2.5' + "0" * 10_000 + "}")[0] == 1
    with pytest.raises(DataError, match="a row is not JSON"):
        words_of({"n": 10**10_000})  # Python writes no int of so many digits


def test_a_sum_is_of_whole_millionths_and_unknown_if_it_is_too_large() -> None:
    fields = ALONE % '{"name":"x.y","kind":"number","part":"sum","edges":[0.3,1e12]}'
    assert words_of({"x": [{"y": 0.1}, {"y": 0.2}]}, fields) == [0]
    assert words_of({"x": [{"y": 0.1}, {"y": 0.2000019}]}, fields) == [1]
    assert words_of({"x": {"y": [1e12, 1]}}, fields) == [4]
    assert words_of({"x": {"y": [9e11] * 9}}, fields) == [4]
    assert words_of('{"x":{"y":[1e-99999999,999999999999.' + "9" * 40 + "]}}", fields) == [1]


def test_no_text_of_a_row_becomes_a_field_word() -> None:
    assert read({"t": f"x{chr(FIRST_WORD)}y"}).startswith("x y ")
    assert words_of({"t": chr(FIRST_WORD)}) == MISSING


def test_a_row_that_was_read_by_other_fields_is_read_again() -> None:
    assert words_of(read({"c": "a"}), ALONE % '{"name":"c","kind":"category","values":["a"]}') == [
        0
    ]


def test_a_row_too_deep_or_that_is_no_object_is_one_line() -> None:
    assert words_of('{"x":' * 31 + "{}" + "}" * 31) == MISSING
    for row in ('{"x":' * 32 + "{}" + "}" * 32, '{"x":' * 100_000, '{"n":01}', '{"n":NaN}', "{"):
        with pytest.raises(DataError) as error:
            read(row)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="reads an object with n, not a text"):
        words_of("text", ALONE % N)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pairs": [[0, 1]]}, "a pair of fields is not of two numbers"),
        ({"pairs": [[1, 9]]}, "a pair of fields is not of two numbers"),
        ({"fields": []}, "no fields"),
        ({"fields": [{"name": "", "kind": "text"}], "pairs": []}, "a field's name"),
        ({"fields": [{"name": "x", "kind": "date"}], "pairs": []}, "kind must be one of"),
        ({"fields": [{"name": "x", "kind": "text"}] * 2, "pairs": []}, "there twice"),
        ({"fields": [{"name": "x", "kind": "number", "edges": [2, 1]}], "pairs": []}, "rising"),
        (
            {"fields": [{"name": "x", "kind": "number", "edges": [], "b": 1}], "pairs": []},
            "not supported",
        ),
        (
            {
                "fields": [{"name": f"{i}", "kind": "number", "edges": []} for i in range(257)],
                "pairs": [],
            },
            "more than 256",
        ),
        ({"pairs": 3}, "its parts do not fit together"),
    ],
)
def test_a_file_whose_fields_do_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        classifier_of(compact({**json.loads(FIELDS), **changes}))


@pytest.fixture
def model(folder: Path) -> Path:
    """m.onnx, which reads these fields."""
    Path("m.onnx").write_bytes(edited({"fields": FIELDS}))
    return Path("m.onnx")


def test_an_object_has_one_answer_in_all_ways_to_ask(model: Path) -> None:
    row = {"t": "a wonderful film", "n": 2, "c": "a"}
    (answer,) = loaded(model.read_bytes()).predict([row])
    assert json_of("predict", "-m", model, compact(row)) == answer.to_json()
    Path("rows.csv").write_text('t,n,c,l,label\n"a wonderful film",2,a,,pos\n')
    Path("rows.jsonl").write_text(compact(row) + "\n")
    for name, column in (("rows.csv", "edge_lstm_label"), ("rows.jsonl", "label")):
        command("score", name, "-m", model, "-o", "o.jsonl")
        assert json.loads(Path("o.jsonl").read_text())[column] == answer.label
    evaluated = json_of("evaluate", "rows.csv", "-m", model)
    assert evaluated["texts"] == 1


def test_a_line_of_json_has_the_same_answer_in_predict_and_score(model: Path) -> None:
    rows = ['{"t":"a","t":"b","n":3,"n":1}', "{}", '{"l":[1,2]}', '{"n":NaN}']
    assert read(rows[0]).startswith("a b ") and words_of(rows[0])[0] == 0
    Path("rows.jsonl").write_text("\n".join(rows))
    assert command("score", "rows.jsonl", "-m", model, "-o", "o.jsonl").returncode == 3
    *scored, refused = map(json.loads, Path("o.jsonl").read_text().splitlines())
    answers = [json_of("predict", "-m", model, row)["probability"] for row in rows[:3]]
    assert [found["probability"] for found in scored] == pytest.approx(answers, abs=1e-6)
    for error in (refused["error"], command("predict", "-m", model, rows[3]).error):
        assert "NaN is not JSON" in error


def test_other_text_is_the_first_text_field_and_a_bad_line_is_named(model: Path) -> None:
    assert "t: text, and a plain text" in command("inspect", "-m", model).stdout
    done = run_here(["predict", "-m", str(model)], b'a film\nanother\n{"n":\n{}\n')
    assert "note" not in done.err and len(done.out.splitlines()) == 2
    assert done.exit == 1 and 'error: standard input line 3: {"n": is not JSON' in done.err


def test_bad_rows_are_one_line_or_an_error_row(model: Path) -> None:
    for name, rows in (("rows.csv", "x,t\n1,y\n"), ("rows.jsonl", '{"x": 1}\n')):
        Path(name).write_text(rows)
        error = command("score", name, "-m", model).error
        assert "has no column" in error and "; its columns are 'x'" in error
    Path("rows.txt").write_text('{"t":"x"}\n{"t":\nplain\n')
    assert command("score", "rows.txt", "-m", model, "-o", "o.jsonl").returncode == 3
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [line["status"] == "error" for line in lines] == [False, True, False]


def test_explain_says_what_a_field_word_says(model: Path) -> None:
    row = compact({"t": "film", "n": 2, "l": [1]})
    words = [word["text"] for word in json_of("explain", "-m", model, row)["words"]]
    assert words[:3] == ["film", "n > 1, <= 2.5", "c is missing"] and words[-1] == "n > least of l"


def test_a_page_is_of_models_that_all_read_fields(model: Path) -> None:
    assert command("page", "-m", model).returncode == 0
    Path("text.onnx").write_bytes(edited())
    error = command("page", "-m", f"a={model}", "-m", "b=text.onnx").error
    assert "some models read fields and others a text" in error


def test_inspect_lists_edges_and_values(model: Path) -> None:
    assert json_of("inspect", "-m", model)["input"] == json.loads(FIELDS)
    assert "n: number of 1, 2.5" in " ".join(command("inspect", "-m", model).stdout.split())


@pytest.mark.needs("httpx")
def test_a_service_reads_an_object_with_its_digits_and_the_log_keeps_it(folder: Path) -> None:
    from asked_server import URGENT, Server, replied, urgent

    server = Server(replied(urgent=urgent(0.9)))
    server.answer_with({"team": ROWS})
    # The edge is 2; a float has fewer digits.
    row = f'{{"text": "a good film", "size": 2.{"0" * 20}1}}'
    team = json_of("predict", "-m", ROWS, row)
    assert team != json_of("predict", "-m", ROWS, '{"text": "a good film", "size": 2}')
    (plain,) = server.ask("/predict", content=f'{{"texts": [{row}]}}').json()["predictions"]
    assert plain == {"team": team}
    choice = {"type": "choice", "criteria": dict.fromkeys(team["probabilities"])}
    asked = compact({"team": choice, "urgent": URGENT})
    content = f'{{"state": {row}, "questions": {asked}}}'
    answers = server.ask("/v1/systemone", content=content).json()["answers"]
    assert answers["team"]["probabilities"] == pytest.approx(team["probabilities"])
    (sent,) = server.asked
    assert row in sent.content.decode() and row in server.log.read_text()
    # An object with one text is a row too, and not that text.
    only = {"size": "3"}
    answers = server.answers(only, team=choice)
    expected = json_of("predict", "-m", ROWS, compact(only))["probabilities"]
    assert answers["team"]["probabilities"] == pytest.approx(expected)
    assert expected != json_of("predict", "-m", ROWS, "3")["probabilities"]


@pytest.mark.needs("httpx")
@pytest.mark.parametrize(
    "given",
    [
        '"{ROW}"',
        '[{"role": "user", "content": "{ROW}"}]',
        '[{"role": "user", "content": [{"type": "input_json", "data": {"text": "TEXT"}}]}]',
    ],
)
def test_the_decisions_api_answers_a_row_as_predict_does(folder: Path, given: str) -> None:
    from asked_server import Server, error_of

    server = Server()
    server.answer_with({"team": ROWS})
    # The edge is 2; a float has fewer digits.
    row = f'{{"text": "a good film", "size": 2.{"0" * 20}1}}'
    team = json_of("predict", "-m", ROWS, row)
    given = given.replace('{"text": "TEXT"}', row).replace('"{ROW}"', json.dumps(row))
    choices = [{"value": label} for label in team["probabilities"]]
    asked = {"name": "team", "type": "choice", "instructions": "Whose?", "choices": choices}
    content = f'{{"input": {given}, "questions": [{compact(asked)}]}}'
    (answer,) = server.ask("/v1/decisions", content=content).json()["answers"]
    assert answer["choice"] == team["label"]
    shares = [each["probability"] for each in answer["probabilities"]]
    assert shares == pytest.approx([*team["probabilities"].values()])
    bad = {"input": '{"size":', "questions": [asked]}
    assert "team" in error_of(server.ask("/v1/decisions", json=bad), 400)["message"]
