"""Rows per second in SQL: SQLite's extension, Python's function, and out to CSV and back.

    python -m benchmarks.sql [--model FILE] [--rows 1000000] [--documents 20000] [--rounds 3]

The rows are short ones of three to nine words, and documents of 4,000 characters made of IMDB's
reviews (EDGE_LSTM_DATA). Each entrant classifies a table of SQLite on one core, in a process of its
own, and its CPU seconds count, those of its start too. The engine alone reads the same texts as
lines. Entrants take turns; figures are medians. It needs gcc, sqlite3 and libsqlite3-dev.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import shlex
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.engine import ENGINE, compile_c
from benchmarks.scoring import documents_of, texts_of
from benchmarks.table import markdown_table
from edge_lstm.core.modelfile import embedded_model

COUNT = "SELECT classify(text) AS label, count(*) FROM texts GROUP BY label"
PYTHON = f"""
import sqlite3, sys
from edge_lstm.sqlite import register
connection = sqlite3.connect("texts.db")
register(connection, engine=sys.argv[1])
print(connection.execute("{COUNT}").fetchall())
"""
THERE_AND_BACK = f"""
sqlite3 -csv -header texts.db 'SELECT id, text FROM texts' > texts.csv
{shlex.quote(sys.executable)} -m edge_lstm score texts.csv -q -w 1 -m "$EDGE_LSTM_MODEL" \\
    --engine %s --only-columns id,label -o labels.csv
sqlite3 texts.db 'DROP TABLE IF EXISTS labels' '.import --csv labels.csv labels' \\
    'SELECT label, count(*) FROM texts JOIN labels USING (id) GROUP BY label'
"""


def seconds_of(command: str, folder: Path) -> float:
    """Return the CPU seconds of a shell command and of all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill(folder: Path, texts: Sequence[str]) -> None:
    """Write the texts as a table of a database, and as lines."""
    with sqlite3.connect(folder / "texts.db") as database:
        database.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)")
        rows = ((" ".join(text.split()),) for text in texts)
        database.executemany("INSERT INTO texts (text) VALUES (?)", rows)
    lines = (" ".join(text.split()) + "\n" for text in texts)
    with (folder / "texts.txt").open("w", encoding="utf-8") as file:
        file.writelines(lines)


def commands(program: Path) -> dict[str, str]:
    """Return the entrants by name; the first is the yardstick."""
    python = shlex.quote(sys.executable)
    engines = ["onnxruntime"]
    if importlib.util.find_spec("edge_lstm_native"):
        engines.append("native")
    found = {
        "engine alone": f'{program} "$EDGE_LSTM_MODEL" < texts.txt',
        "extension": f"sqlite3 texts.db '.load {ENGINE / 'edge_lstm_sqlite'}' '{COUNT}'",
    }
    for engine in engines:
        found[f"Python's function, {engine}"] = f"{python} -c {shlex.quote(PYTHON)} {engine}"
    for engine in engines:
        found[f"score to CSV and back, {engine}"] = THERE_AND_BACK % engine
    return found


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=str(embedded_model()))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    os.environ["EDGE_LSTM_MODEL"] = str(Path(asked.model).absolute())
    subprocess.run(["make", "-s", "-C", ENGINE, "sqlite"], check=True)
    speeds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        found = commands(compile_c(Path(name)))
        sets = {
            "short": texts_of(asked.rows, short=True),
            "documents": documents_of(asked.documents, 4_000),
        }
        for kind, texts in sets.items():
            folder = Path(name) / kind
            folder.mkdir()
            fill(folder, texts)
            rounds = [
                {entrant: seconds_of(command, folder) for entrant, command in found.items()}
                for _ in range(asked.rounds)
            ]
            for entrant in found:
                seconds = statistics.median(each[entrant] for each in rounds)
                speeds.setdefault(entrant, []).append(len(texts) / seconds)
    alone = speeds["engine alone"]
    rows = [
        [entrant, *(f"{speed:,.0f} ({speed / least:.2f})" for speed, least in zip(both, alone))]
        for entrant, both in speeds.items()
    ]
    head = ("per CPU second (by the engine alone)", "short rows", "documents of 4,000 characters")
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
