"""The Python of two how-tos: a log becomes rows that train reads, and a stream is stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from table_files import read_rows

from edge_lstm import Classifier
from edge_lstm.core.modelfile import open_model

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
PAIRS = [("Why was I charged twice?", "billing"), ("Where is my parcel?", "returns")]
CHAT = """\
{"request": {"messages": [{"role": "system", "content": "Which team?"}, \
{"role": "user", "content": "TEXT"}]}, \
"response": {"choices": [{"index": 0, "message": MESSAGE}]}}"""
ANSWER = r"""{"role": "assistant", "content": "{\"team\": \"TEAM\"}"}"""
CALL = r"""{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", """
CALL += r""""function": {"name": "f", "arguments": "{\"team\": \"TEAM\"}"}}]}"""
REFUSAL = """{"role": "assistant", "content": "I cannot say."}"""


def programs(page: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_reader_of_the_page_makes_rows_to_train_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (reader,) = programs("decisions.md")
    calls = [CHAT.replace("MESSAGE", REFUSAL)]
    for message, (text, team) in zip((ANSWER, CALL), PAIRS):
        call = CHAT.replace("MESSAGE", message)
        calls.append(call.replace("TEXT", text).replace("TEAM", team))
    Path("chat.jsonl").write_text("\n".join(calls))
    exec(compile(reader, "page", "exec"), {})
    assert [(row["text"], row["team"]) for row in read_rows("log.jsonl")] == PAIRS


def test_a_stream_is_stopped_at_the_token_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_lstm.Classifier.load", lambda _: classifier)
    classifier = Classifier(open_model())
    harmless = ["A dull film", "A bore from start to end"]
    names: dict[str, Any] = {"harmless": harmless}
    for program in programs("streams.md"):
        exec(program.replace("billing", "pos"), names)
    assert names["stopped"](["A ", "dull ", "film"], names["threshold"]) is None
    tokens = ["A ", "wonderful ", "film, ", "and ", "so ", "on"]
    prefix = names["stopped"](tokens, names["threshold"])
    assert prefix in ("A wonderful ", "A wonderful film, ")
    assert classifier.probabilities([prefix])[0, 1] > names["threshold"]
