"""docs/how-to/decisions.md: its readers turn logs into rows that train reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge_lstm.serving.decisions import DecisionLog
from edge_lstm.tables.labelled import LabelOptions, read_labelled

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "decisions.md"
READERS = {
    name: block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name in re.findall(r'open\("([\w.-]+)"\) as', block)
}
TEXTS = ["Why was I charged twice?", "Where is my parcel?"]
TEAMS = ["billing", "returns"]


def completion(answer: str | None, arguments: str | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer}
    if arguments is not None:
        call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
        message["tool_calls"] = [{"id": "1", **call}]
    return {"choices": [{"index": 0, "message": message}]}


def prompt(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Which team?"}, {"role": "user", "content": text}]


def systemone(text: str, team: str) -> dict[str, Any]:
    answers = {
        "team": {"type": "choice", "choice": team, "confidence": 1, "probabilities": {team: 1}},
        "urgent": {"type": "noul", "noul": 0.2},
        "anger": {"type": "score", "score": 1.7, "probabilities": {}, "legend": {}},
    }
    return {"request": {"state": text}, "response": {"model": "m", "answers": answers}}


def task(text: str, team: str) -> dict[str, Any]:
    result = [{"from_name": "team", "type": "choices", "value": {"choices": [team]}}]
    wrong = [{"from_name": "team", "type": "choices", "value": {"choices": ["other"]}}]
    annotations = [
        {"result": result, "was_cancelled": False},
        {"result": wrong, "was_cancelled": True},
    ]
    return {"id": 1, "data": {"text": text}, "annotations": annotations}


def lines(calls: list[Any]) -> str:
    return "".join(json.dumps(call) + "\n" for call in calls)


PAIRS = list(zip(TEXTS, TEAMS))
TEAM = [json.dumps({"team": team}) for team in TEAMS]
LOGS = {
    "systemone.jsonl": lines([systemone(*pair) for pair in PAIRS]),
    "chat.jsonl": lines(
        [
            {"request": {"messages": prompt(TEXTS[0])}, "response": completion(TEAM[0])},
            {"request": {"messages": prompt(TEXTS[1])}, "response": completion(None, TEAM[1])},
            {"request": {"messages": prompt("x")}, "response": completion("I cannot say.")},
        ]
    ),
    "llm.json": json.dumps(
        [{"id": "1", "prompt": text, "response": f" {team.title()}\n"} for text, team in PAIRS]
    ),
    "litellm.jsonl": lines(
        [
            {"status": "success", "messages": prompt(text), "response": completion(answer)}
            for text, answer in zip(TEXTS, TEAM)
        ]
        + [{"status": "failure", "messages": prompt("x"), "response": {}}]
    ),
    "label-studio.json": json.dumps([task(*pair) for pair in PAIRS]),
}


def test_every_log_of_the_page_is_tried() -> None:
    assert READERS.keys() == LOGS.keys()
    assert all(len(block.splitlines()) <= 12 for block in READERS.values())


@pytest.mark.parametrize("log", LOGS)
def test_a_reader_of_the_page_makes_rows_to_train_on(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(log).write_text(LOGS[log])
    exec(compile(READERS[log], log, "exec"), {})
    labelled = read_labelled("log.jsonl", options=LabelOptions(label_column="team"))
    assert (labelled.texts, labelled.names) == (TEXTS, TEAMS)


def test_the_types_of_system_one_become_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("systemone.jsonl").write_text(LOGS["systemone.jsonl"])
    exec(compile(READERS["systemone.jsonl"], "page", "exec"), {})
    row = json.loads(Path("log.jsonl").read_text().splitlines()[0])
    assert (row["urgent"], row["anger"]) == ("no", 2)


def test_the_log_of_serve_needs_no_reader(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    for text, team in PAIRS:
        log.write(text, {"team": (team, 0.9)}, model="m", answered={"team": team})
    log.write("Help!", {"urgent": ("yes", None)}, model="m", answered={})
    labelled = read_labelled(
        log.path, options=LabelOptions(label_column="team", skip_unlabelled=True)
    )
    assert (labelled.texts, labelled.names) == (TEXTS, TEAMS)
    urgent = read_labelled(
        log.path, options=LabelOptions(label_column="urgent", skip_unlabelled=True)
    )
    assert (urgent.texts, urgent.names) == (["Help!"], ["yes"])
