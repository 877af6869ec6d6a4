"""Hostile tables: inputs of ``score`` and ``evaluate`` that are cut, mixed, huge, nested,
mislabelled, or no tables at all. Each row is a command, the condition it meets, how it ends, and
what it may leave (see ``hostile.cases``).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile import Case, Prepare, both, cases, check, put
from table_files import read_rows


def parquet(**columns: Any) -> Prepare:
    """``a.parquet`` with these columns."""

    def prepare(folder: Path) -> None:
        arrow = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        pyarrow.parquet.write_table(arrow.table(columns), folder / "a.parquet")

    return prepare


def statuses(name: str, *wanted: str) -> Callable[[Path], object]:
    """The output's rows have these statuses, and it is of its format."""

    def look(folder: Path) -> None:
        rows = read_rows(folder / name)
        assert [row["status"] for row in rows] == list(wanted), rows
        for row in rows:
            assert (row["status"] == "error") == bool(row["error"])

    return look


def scored(table: str, given: Prepare = lambda _: None) -> list[Case]:
    """Cases of ``score``, whose end is the statuses of the output's rows; ``-o`` comes last."""
    return [
        replace(
            case,
            says="",
            exit=3 if "error" in case.says else 0,
            leaves=frozenset(case.arguments[-1:]),
            then=statuses(case.arguments[-1], *case.says.split()),
        )
        for case in cases(table, before="score -q -w 1", given=given)
    ]


def refused(table: str, given: Prepare = lambda _: None) -> list[Case]:
    """Cases of ``score`` that end with one line and leave nothing."""
    return cases(table, before="score -q -w 1 -o o.csv", given=given)


ROWS = b"id,text\n" + b"0,a wonderful film\n" * 500
FIRST = gzip.compress(ROWS[: len(ROWS) // 2])
SECOND = gzip.compress(ROWS[len(ROWS) // 2 :])
LETTERS = gzip.compress(b"x" * 2**20) * 1000
DAMAGED = "is damaged or has a wrong suffix"
COMPRESSED = [
    case
    for name, says, data in (
        ("first byte of the second member changed", DAMAGED, FIRST + b"\xe0" + SECOND[1:]),
        ("cut within the second member", "is cut short", FIRST + SECOND[:-3]),
        ("a text behind the members", DAMAGED, FIRST + SECOND + b"and so on"),
        ("not compressed at all", DAMAGED, ROWS),
        ("a gigabyte of zeros", "is binary", gzip.compress(bytes(2**20)) * 1000),
        (
            "gzip of gzip",
            "a.csv.gz is compressed (gzip), and its suffix does not say it",
            gzip.compress(FIRST),
        ),
    )
    for case in refused(f"gz: {name} | a.csv.gz | {says}", put("a.csv.gz", data))
]
COMPRESSED += scored(
    f"gz: zeros behind it | a.csv.gz -o o.csv | {'ok ' * 500}",
    put("a.csv.gz", FIRST + SECOND + bytes(512)),
)
COMPRESSED += scored(
    "gz: a gigabyte of one letter in one row | a.csv.gz -o o.csv | error ok",
    put("a.csv.gz", gzip.compress(b"id,text\n1,") + LETTERS + gzip.compress(b"\n2,b\n")),
)
COMPRESSED += refused(
    """
    gzip named .csv | a.csv | a.csv is compressed (gzip), and its suffix does not say it
    gzip named .csv, in another encoding | a.csv --encoding latin-1 | give it the suffix
    """,
    put("a.csv", FIRST),
)

DEEP = {"lists": ("[", "]"), "objects": ('{"a":', "}")}


def nested(kind: str, levels: int) -> Prepare:
    opening, closing = DEEP[kind]
    row = f'{{"text": "good", "x": {opening * levels}1{closing * levels}}}\n'
    return put("a.jsonl", '{"text": "good", "x": 1}\n' + row)


JSON_LINES = [
    case
    for kind in DEEP
    for levels, statuses_ in ((150, "ok ok"), (300, "ok error"), (100_000, "ok error"))
    for case in scored(
        f"""
        {levels} {kind} in each other to CSV | a.jsonl -o o.csv | {statuses_}
        {levels} {kind} in each other to JSONL | a.jsonl --only-columns x,status,error -o o.jsonl
            | {statuses_}
        {levels} {kind} in each other to Parquet | a.jsonl -o o.parquet | {statuses_}
        """,
        nested(kind, levels),
    )
]
JSON_LINES += [
    case
    for suffix in ("csv", "tsv", "jsonl", "parquet")
    for case in scored(
        rf"""
        a lone surrogate in a key and a text, to {suffix} | a.jsonl -o o.{suffix} | ok
            | a.jsonl: {{"text": "good \\udfff film", "\\ud800": 1}}\n
        """
    )
]
JSON_LINES += scored(
    r"""
    rows that are no objects | a.jsonl -o o.jsonl | ok error error error error error error error
        | a.jsonl: {"text": "good"}\n[]\n5\n"text"\nnull\ntrue\n{"text": {}}\n{"text": ["x"]}\n
    a key twice | a.jsonl -o o.jsonl | ok | a.jsonl: {"text": "bad", "text": "good"}\n
    NaN kept | a.jsonl --only-columns n,text,status,error -o o.jsonl | ok
        | a.jsonl: {"text": "good", "n": NaN}\n
    """
)


JSON_LINES += scored(
    "a number of 10,000 digits | a.jsonl -o o.csv | ok",
    put("a.jsonl", f'{{"text": "good", "n": {"9" * 10_000}}}\n'),
)
JSON_LINES += scored(
    f"a row with a new key to CSV | a.jsonl -o o.csv | {'ok ' * 30_001}",
    put("a.jsonl", '{"text": "good"}\n' * 30_000 + '{"text": "good", "z": 1}\n'),
)
JSON_LINES += refused(
    r"""
    an array over several lines | a.json | jq -c | a.json: [\n{"text": "a"},\n{"text": "b"}\n]\n
    no object in sight | a.jsonl | does not begin with a JSON object | a.jsonl: 1\n2\n
    """
)

BINARY = r"\0\1" * 500
TABLES = scored(
    r"""
    bytes of another column to CSV | a.csv -o o.csv | ok | a.csv: id,text\ncaf\xe9,good\n
    bytes of another column to JSONL | a.csv -o o.jsonl | error | a.csv: id,text\ncaf\xe9,good\n
    NUL bytes in a row | a.csv -o o.csv | ok ok | a.csv: id,text\n1,go\0od\n2,good\n
    a quote inside a field | a.csv -o o.csv | ok | a.csv: id,text\n1,a good " film\n
    a quote that never closes | a.csv -o o.csv | ok error
        | a.csv: id,text\n1,good\n2,"good\n3,good\n
    too many and too few columns | a.csv -o o.csv | error error ok
        | a.csv: id,text\n1\n1,good,3\n1,good\n
    a header and nothing else | a.csv -o o.csv |  | a.csv: id,text\n
    a header without a line end | a.csv -o o.csv |  | a.csv: id,text
    a byte order mark | a.csv -o o.csv | ok | a.csv: \xef\xbb\xbfid,text\r\n1,good\r\n
    names in another case | a.csv -o o.csv | ok | a.csv: ID,Text \n1,good\n
    column names with line breaks | a.csv -o o.csv | ok | a.csv: "i\nd",text\n1,good\n
    an empty text | a.txt -o o.jsonl |  | a.txt:
    blank lines of a text | a.txt -o o.jsonl | empty empty empty ok | a.txt: \n\r\n \ngood\n
    """
)
TABLES += scored(
    "10,000 columns | a.csv --only-columns text,status,error -o o.csv | ok",
    put("a.csv", ",".join(["text", *map(str, range(9_999))]) + "\ngood" + ",x" * 9_999 + "\n"),
)
TABLES += refused(
    rf"""
    ours and the prefixed one | a.csv | already has a column 'edge_lstm_label'; rename it
        | a.csv: text,label,edge_lstm_label\ngood,a,b\n
    no text column | a.csv | the columns 'id', 'title', 'stars' | a.csv: id,title,stars\n1,x,2\n
    two text columns | a.csv | several may hold the text | a.csv: review,comment\n1,x\n
    a text that is binary | a.txt | is binary, or UTF-16 without a mark | a.txt: {BINARY}
    a link to itself | a.csv | cannot read | a.csv -> a.csv
    a link that leads nowhere | a.csv | no such file: a.csv; check the path
        | a.csv -> b.csv
    empty | a.csv | is empty | a.csv:
    line ends of old Macs | a.csv | CR only | a.csv: id,text\r1,good\r
    UTF-16 without a mark | a.csv | --encoding utf-16-le | a.csv: i\0d\0,\0t\0e\0x\0t\0\n\01\0,\0a\0
    an encoding of no text | a.csv --encoding rot13 | no text encoding | a.csv: id,text\n1,good\n
    a header in latin-1 | a.csv | header is not UTF-8 | a.csv: caf\xe9,text\n1,good\n
    a column number of 5,000 digits | a.csv --text-column {"9" * 5000} | no column
        | a.csv: id,text\n1,good\n
    tables of other columns | ?.csv | have different columns
        | a.csv: id,text\n1,good\n | b.csv: text,id\ngood,1\n
    formats mixed | a.* | different formats | a.csv: text\ngood\n | a.txt: good\n
    a name with a line break | "a\nb.csv" | no such file: a\\nb.csv
    a name that steers a terminal | a\x1b[2J.csv | no file matches 'a\\x1b[2J.csv'
    a name of 10,000 letters | {"x" * 10_000}.csv | cannot read
    an unknown suffix | a.dat | --input-format | a.dat: x
    """
)


def folder(path: Path) -> None:
    """A folder of one text."""
    (path / "f").mkdir()
    (path / "f/a.txt").write_text("good")


FOLDERS = scored(
    r"""
    a link to a file outside | f -o o.csv | ok error | f/b.txt -> /etc/hostname
    a folder called .txt | f -o o.csv | ok | f/b.txt/
    a name that is not UTF-8 | f -o o.csv | ok ok | f/b\xff.txt: good
    a name that is not UTF-8, to Parquet | f -o o.parquet | ok error | f/b\xff.txt: good
    a file that is not UTF-8 | f -o o.csv | ok error | f/b.txt: caf\xe9
    """,
    folder,
)
FOLDERS += scored(
    "a pipe without a writer | f -o o.csv | ok error",
    both(folder, lambda path: os.mkfifo(path / "f/b.txt")),
)
FOLDERS += scored(
    "a file of 17 MiB | f -o o.csv | ok error",
    both(folder, put("f/b.txt", b"x" * (17 << 20))),
)
FOLDERS += refused("no .txt in it | f | without .txt files | f/")

GOOD = parquet(text=["good"])
PARQUET = [
    *scored(
        "numbers that are none to JSONL | a.parquet -o o.jsonl | ok ok ok",
        parquet(text=["good"] * 3, x=[float("nan"), float("inf"), None]),
    ),
    *scored(
        "a text column of nothing but null | a.parquet -o o.csv | error error",
        parquet(text=[None, None]),
    ),
    *scored(
        "2,000 columns | a.parquet -o o.parquet | ok",
        parquet(text=["good"], **{f"c{i}": [i] for i in range(1_999)}),
    ),
    *scored(
        "texts of null and bytes | a.parquet -o o.csv | ok error error",
        parquet(text=[b"good", None, b"\xff"]),
    ),
    *refused("a text column of numbers | a.parquet | not text", parquet(text=[1, 2])),
    *refused(
        "cut short | a.parquet | is not a Parquet file or is damaged",
        both(GOOD, lambda path: os.truncate(path / "a.parquet", 100)),
    ),
    *cases(
        "to standard output | a.parquet --output-format parquet -o - | Parquet cannot be written",
        before="score -q -w 1",
        given=GOOD,
    ),
]

EVALUATE = cases(
    """
    a link in a folder of labels | f | no labelled row | f/b.txt -> /etc/hostname
    """,
    before="evaluate",
    given=folder,
)
EVALUATE += cases(
    r"""
    a label column that is not there | a.csv --label-column x | no column 'x'
    text and label in one column | a.csv --label-column mood --text-column mood | cannot be both
    a format that is none | a.csv --input-format xml | no format 'xml'
    mistakes in no folder | a.csv --label-column mood --mistakes x/y.csv | x/y.csv
    a model that is the data | a.csv -m a.csv --label-column mood | a.csv
    """,
    before="evaluate",
    given=put("a.csv", "words,mood\ngood,pos\nbad,neg\n"),
)
EVALUATE += cases(
    r"""
    a tar by its short suffix | a.tbz2 | not a complete tar archive | a.tbz2: x
    labels that steer a terminal | a.csv | \\x1b[2J | a.csv: text,label\ngood,\x1b[2J\n
    a row without a text | a.csv | row 2 | a.csv: text,label\ngood,pos\nbad\n
    one row | a.csv | exit 0: 1 text of | a.csv: text,label\ngood,pos\n
    texts without words | a.csv | exit 0: 2 empty | a.csv: text,label\n"",pos\n"",neg\n
    nested labels | a.jsonl | has several | a.jsonl: {"text": "good", "label": [1]}\n
    """,
    before="evaluate",
)
EVALUATE += cases(
    r"""
    evaluate: a pipe of two columns
        | $ cat a.csv |$EL evaluate - --input-format csv --label-column mood | exit 0: 2 texts
        | a.csv: words,mood\ngood,pos\nbad,neg\n
    evaluate: an empty pipe | $ $EL evaluate - --input-format csv < /dev/null | is empty
    """
)


@pytest.mark.parametrize(
    "case", [*COMPRESSED, *JSON_LINES, *TABLES, *FOLDERS, *PARQUET, *EVALUATE], ids=str
)
def test_hostile_tables(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "parquet" in " ".join(case.arguments):
        pytest.importorskip("pyarrow")
    check(case, tmp_path, monkeypatch)
