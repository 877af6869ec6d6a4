"""docs/how-to/decisions.md: its reader turns a log into rows that train reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from table_files import read_rows

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "decisions.md"
PAIRS = [("Why was I charged twice?", "billing"), ("Where is my parcel?", "returns")]
CHAT = """\
{"request": {"messages": [{"role": "system", "content": "Which team?"}, \
{"role": "user", "content": "TEXT"}]}, \
"response": {"choices": [{"index": 0, "message": MESSAGE}]}}"""
ANSWER = r"""{"role": "assistant", "content": "{\"team\": \"TEAM\"}"}"""
CALL = r"""{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", """
CALL += r""""function": {"name": "f", "arguments": "{\"team\": \"TEAM\"}"}}]}"""
REFUSAL = """{"role": "assistant", "content": "I cannot say."}"""


def test_the_reader_of_the_page_makes_rows_to_train_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (reader,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    calls = [CHAT.replace("MESSAGE", REFUSAL)]
    for message, (text, team) in zip((ANSWER, CALL), PAIRS):
        call = CHAT.replace("MESSAGE", message)
        calls.append(call.replace("TEXT", text).replace("TEAM", team))
    Path("chat.jsonl").write_text("\n".join(calls))
    exec(compile(reader, "page", "exec"), {})
    assert [(row["text"], row["team"]) for row in read_rows("log.jsonl")] == PAIRS
