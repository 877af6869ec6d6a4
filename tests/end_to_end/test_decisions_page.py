"""docs/how-to/decisions.md: its readers turn logs into rows that train reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from table_files import read_rows

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "decisions.md"
READERS = {
    name: block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name in re.findall(r'open\("([\w.-]+)"\) as', block)
}
TEXTS = ["Why was I charged twice?", "Where is my parcel?"]
TEAMS = ["billing", "returns"]


PAIRS = list(zip(TEXTS, TEAMS))


def of_each(call: str) -> list[str]:
    """A call for each text and its team."""
    return [call.replace("TEXT", text).replace("TEAM", team) for text, team in PAIRS]


# Calls as each program writes them.
SYSTEMONE = of_each(
    """\
{"request": {"state": "TEXT"}, "response": {"model": "m", "answers": {\
"team": {"type": "choice", "choice": "TEAM", "confidence": 1, "probabilities": {"TEAM": 1}}, \
"urgent": {"type": "noul", "noul": 0.2}, \
"anger": {"type": "score", "score": 1.7, "probabilities": {}, "legend": {}}}}}"""
)
CHAT = """\
{"request": {"messages": [{"role": "system", "content": "Which team?"}, \
{"role": "user", "content": "TEXT"}]}, \
"response": {"choices": [{"index": 0, "message": MESSAGE}]}}"""
ANSWER = r"""{"role": "assistant", "content": "{\"team\": \"TEAM\"}"}"""
CALL = r"""{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", """
CALL += r""""function": {"name": "f", "arguments": "{\"team\": \"TEAM\"}"}}]}"""
REFUSAL = """{"role": "assistant", "content": "I cannot say."}"""
LITELLM = """\
{"status": "success", "messages": [{"role": "user", "content": "TEXT"}], \
"response": {"choices": [{"index": 0, "message": MESSAGE}]}}"""
LABEL_STUDIO = """\
{"id": 1, "data": {"text": "TEXT"}, "annotations": [{"was_cancelled": false, "result": [\
{"from_name": "team", "type": "choices", "value": {"choices": ["TEAM"]}}]}, \
{"was_cancelled": true, "result": [\
{"from_name": "team", "type": "choices", "value": {"choices": ["other"]}}]}]}"""
LLM = of_each(r"""{"id": "1", "prompt": "TEXT", "response": " TEAM\n"}""")
LOGS = {
    "systemone.jsonl": "\n".join(SYSTEMONE),
    "chat.jsonl": "\n".join(
        [
            of_each(CHAT.replace("MESSAGE", ANSWER))[0],
            of_each(CHAT.replace("MESSAGE", CALL))[1],
            CHAT.replace("MESSAGE", REFUSAL),
        ]
    ),
    "llm.json": f"[{','.join(LLM)}]",
    "litellm.jsonl": "\n".join(
        [
            *of_each(LITELLM.replace("MESSAGE", ANSWER)),
            '{"status": "failure", "messages": [], "response": {}}',
        ]
    ),
    "label-studio.json": f"[{','.join(of_each(LABEL_STUDIO))}]",
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
    rows = read_rows("log.jsonl")
    assert [(row["text"], row["team"]) for row in rows] == PAIRS
    if log == "systemone.jsonl":  # the other types become labels too
        assert (rows[0]["urgent"], rows[0]["anger"]) == ("no", 2)
