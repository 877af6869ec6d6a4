"""Hostile tables: inputs of ``score`` and ``evaluate`` that are cut, mixed, huge, nested,
mislabelled, or no tables at all. Each row is a command, the condition it meets, how it ends, and
what it may leave.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import Case, check

Prepare = Callable[[Path], object]


def put(**files: bytes | str) -> Prepare:
    """Files whose names have a double underscore for the point: ``a__csv``."""

    def prepare(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name.replace("__", ".")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


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
        rows = rows_of(folder / name)
        assert [row["status"] for row in rows] == list(wanted), rows
        for row in rows:
            assert (row["status"] == "error") == bool(row["error"])

    return look


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read with other readers than the package's own."""
    if path.suffix == ".jsonl":

        def refuse(constant: str) -> None:
            raise ValueError(f"{constant} is not JSON")

        return [
            json.loads(line, parse_constant=refuse)
            for line in path.read_bytes().decode().splitlines()
        ]
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_table

        return list(read_table(path).to_pylist())
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def scored(
    name: str,
    given: Prepare,
    source: str,
    *wanted: str,
    target: str = "o.csv",
    options: tuple[str, ...] = (),
) -> Case:
    """``source`` is scored into ``target`` with rows of these statuses."""
    return Case(
        name=name,
        arguments=("score", source, "-o", target, "-q", "-w", "1", *options),
        given=given,
        exit=3 if "error" in wanted else 0,
        leaves=frozenset({target}),
        then=statuses(target, *wanted),
    )


def refused(
    name: str, given: Prepare, source: str, says: str, *options: str, target: str = "o.csv"
) -> Case:
    """``score`` ends with one line and leaves nothing."""
    arguments = ("score", source, "-o", target, "-q", "-w", "1", *options)
    return Case(name=name, arguments=arguments, given=given, says=says)


ROWS = b"id,text\n" + b"".join(b"%d,a wonderful film\n" % i for i in range(500))
HALVES = ROWS[: len(ROWS) // 2], ROWS[len(ROWS) // 2 :]


def members(damage: Callable[[bytes, bytes], bytes]) -> Prepare:
    """Two members of a gzip file, one behind the other, and then changed."""
    first, second = map(gzip.compress, HALVES)
    return put(a__csv__gz=damage(first, second))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


# fmt: off
DAMAGED = "is damaged or has a wrong suffix"
COMPRESSED = [
    refused("gz: first byte of the second member changed", members(lambda a, b: a + _flipped(b, 0)),
            "a.csv.gz", DAMAGED),
    refused("gz: cut within the second member", members(lambda a, b: a + b[:-3]), "a.csv.gz",
            "is cut short"),
    refused("gz: a text behind the members", members(lambda a, b: a + b + b"and so on"), "a.csv.gz",
            DAMAGED),
    refused("gz: not compressed at all", put(a__csv__gz=ROWS), "a.csv.gz", DAMAGED),
    scored("gz: zeros behind it", members(lambda a, b: a + b + bytes(512)), "a.csv.gz",
           *["ok"] * 500),
    refused("gz: a gigabyte of zeros", put(a__csv__gz=gzip.compress(bytes(2**20)) * 1000),
            "a.csv.gz",
            "decompress it"),
    scored(
        "gz: a gigabyte of one letter in one row",
        put(
            a__csv__gz=gzip.compress(b"id,text\n1,")
            + gzip.compress(b"x" * 2**20) * 1000
            + gzip.compress(b"\n2,b\n")
        ),
        "a.csv.gz",
        "error",
        "ok",
    ),
]

DEEP = {"lists": ("[", "]"), "objects": ('{"a":', "}")}


def nested(kind: str, levels: int) -> Prepare:
    opening, closing = DEEP[kind]
    row = f'{{"text": "good", "x": {opening * levels}1{closing * levels}}}\n'
    return put(a__jsonl='{"text": "good", "x": 1}\n' + row)


JSON_LINES = [
    *(
        scored(
            f"{levels} {kind} in each other to {target}",
            nested(kind, levels),
            "a.jsonl",
            "ok",
            "ok" if levels < 200 else "error",
            target=f"o.{target}",
            options=options,
        )
        for kind in DEEP
        for levels in (150, 300, 100_000)
        for target, options in (("csv", ()), ("jsonl", ("--keep", "x")), ("parquet", ()))
    ),
    *(
        scored(
            f"a key that is a lone surrogate to {target}",
            put(a__jsonl='{"text": "good", "\\ud800": 1}\n'),
            "a.jsonl",
            "ok",
            target=f"o.{target}",
        )
        for target in ("csv", "tsv", "jsonl", "parquet")
    ),
    *(
        scored(
            f"a text with a lone surrogate to {target}",
            put(a__jsonl='{"text": "good \\udfff film"}\n'),
            "a.jsonl",
            "ok",
            target=f"o.{target}",
        )
        for target in ("csv", "jsonl", "parquet")
    ),
    scored("rows that are no objects",
           put(a__jsonl='{"text": "good"}\n[]\n5\n"text"\nnull\ntrue\n'
               '{"text": {"a": 1}}\n{"text": ["x"]}\n'),
           "a.jsonl", "ok", *["error"] * 7, target="o.jsonl"),
    scored("a document of 100 MB",
           lambda folder: (folder / "a.jsonl").write_text(
               f'{{"text": "{"good film " * 10**7}"}}\n' + '{"text": "good"}\n'),
           "a.jsonl", "error", "ok", target="o.jsonl"),
    scored("a line of 100 MB without an end",
           lambda folder: (folder / "a.txt").write_text("good film " * 10**7), "a.txt", "error"),
    scored("a key twice", put(a__jsonl='{"text": "bad", "text": "good"}\n'), "a.jsonl", "ok",
           target="o.jsonl"),
    scored("a number of 10,000 digits", put(a__jsonl=f'{{"text": "good", "n": {"9" * 10_000}}}\n'),
           "a.jsonl", "ok"),
    scored("NaN kept", put(a__jsonl='{"text": "good", "n": NaN}\n'), "a.jsonl", "ok",
           target="o.jsonl",
           options=("--keep", "n", "--keep", "text")),
    scored("a row with a new key to CSV",
           put(a__jsonl='{"text": "good"}\n' * 30_000 + '{"text": "good", "z": 1}\n'), "a.jsonl",
           *["ok"] * 30_000, "ok"),
    refused("an array over several lines", put(a__json='[\n{"text": "a"},\n{"text": "b"}\n]\n'),
            "a.json",
            "jq -c"),
    refused("no object in sight", put(a__jsonl="1\n2\n"), "a.jsonl",
            "does not begin with a JSON object"),
]

TABLES = [
    scored("bytes of another column to CSV", put(a__csv=b"id,text\ncaf\xe9,good\n"), "a.csv", "ok"),
    scored("bytes of another column to JSONL", put(a__csv=b"id,text\ncaf\xe9,good\n"), "a.csv",
           "error",
           target="o.jsonl"),
    scored("bytes of another column to Parquet", put(a__csv=b"id,text\ncaf\xe9,good\n"), "a.csv",
           "error",
           target="o.parquet"),
    scored("NUL bytes in a row", put(a__csv=b"id,text\n1,go\0od\n2,good\n"), "a.csv", "ok", "ok"),
    scored("a quote inside a field", put(a__csv='id,text\n1,a good " film\n'), "a.csv", "ok"),
    scored("a quote that never closes", put(a__csv='id,text\n1,good\n2,"good\n3,good\n'), "a.csv",
           "ok",
           "error"),
    scored("too many and too few columns", put(a__csv="id,text\n1\n1,good,3\n1,good\n"), "a.csv",
           "error",
           "error", "ok"),
    scored("a header and nothing else", put(a__csv="id,text\n"), "a.csv"),
    scored("a header without a line end", put(a__csv="id,text"), "a.csv"),
    scored("a byte order mark", put(a__csv=b"\xef\xbb\xbfid,text\r\n1,good\r\n"), "a.csv", "ok"),
    scored("names in another case", put(a__csv="ID,Text \n1,good\n"), "a.csv", "ok"),
    scored("column names with line breaks", put(a__csv='"i\nd",text\n1,good\n'), "a.csv", "ok"),
    scored("10,000 columns",
           put(a__csv=",".join(["text", *map(str, range(9_999))]) + "\ngood" + ",x" * 9_999 + "\n"),
           "a.csv", "ok", options=("--keep", "text")),
    refused("ours and the prefixed one", put(a__csv="text,label,edge_lstm_label\ngood,a,b\n"),
            "a.csv",
            "leave it out with --keep"),
    refused("no text column", put(a__csv="id,title,stars\n1,x,2\n"), "a.csv",
            "the columns 'id', 'title', 'stars'"),
    refused("two text columns", put(a__csv="review,comment\n1,x\n"), "a.csv",
            "several may hold the text"),
    refused("a text that is binary", put(a__txt=b"\0\1" * 500), "a.txt", "is UTF-16 or binary"),
    refused("a link to itself", lambda folder: (folder / "a.csv").symlink_to("a.csv"), "a.csv",
            "cannot read"),
    refused("a link that leads nowhere", lambda folder: (folder / "a.csv").symlink_to("b.csv"),
            "a.csv",
            "no such file: b.csv, where the link a.csv leads"),
    refused("empty", put(a__csv=""), "a.csv", "is empty"),
    refused("gzip named .csv", put(a__csv=gzip.compress(b"id,text\r1,good\r")), "a.csv",
            "a.csv is compressed (gzip); name it a.csv.gz"),
    refused("gzip of gzip", put(a__csv__gz=gzip.compress(gzip.compress(b"text\ngood\n"))),
            "a.csv.gz",
            "a.csv.gz is twice compressed (gzip); decompress it once"),
    refused("line ends of old Macs", put(a__csv="id,text\r1,good\r"), "a.csv", "CR only"),
    refused("UTF-16", put(a__csv="id,text\n1,good\n".encode("utf-16")), "a.csv", "UTF-16"),
    refused("a header in latin-1", put(a__csv=b"caf\xe9,text\n1,good\n"), "a.csv",
            "header is not UTF-8"),
    refused("a column number of 5,000 digits", put(a__csv="id,text\n1,good\n"), "a.csv",
            "no column",
            "--text-column", "9" * 5000),
    refused("a delimiter beyond ASCII", put(a__csv="id,text\n1,good\n"), "a.csv", "one ASCII",
            "--delimiter", "é"),
    refused("tables of other columns", put(a__csv="id,text\n1,good\n", b__csv="text,id\ngood,1\n"),
            "?.csv",
            "have different columns"),
    refused("formats mixed", put(a__csv="text\ngood\n", a__txt="good\n"), "a.*",
            "different formats"),
    refused("a name with a line break", put(), "a\nb.csv", r"no such file: a\nb.csv"),
    refused("a name that steers a terminal", put(), "a\x1b[2J.csv",
            r"no file matches 'a\x1b[2J.csv'"),
    refused("a name of 10,000 letters", put(), "x" * 10_000 + ".csv", "cannot read"),
    refused("an unknown suffix", put(a__dat="x"), "a.dat", "--input-format"),
    scored("an empty text", put(a__txt=""), "a.txt", target="o.jsonl"),
    scored("blank lines of a text", put(a__txt="\n\r\n \ngood\n"), "a.txt", "empty", "empty",
           "empty", "ok",
           target="o.jsonl"),
]

def folder_with(**extra: Callable[[Path], object]) -> Prepare:
    def prepare(folder: Path) -> None:
        (folder / "f").mkdir()
        (folder / "f" / "a.txt").write_text("good")
        for name, make in extra.items():
            make(folder / "f" / f"{name}.txt")

    return prepare


FOLDERS = [
    scored("a link to a file outside", folder_with(b=lambda path: path.symlink_to("/etc/hostname")),
           "f",
           "ok", "error"),
    scored("a pipe without a writer", folder_with(b=os.mkfifo), "f", "ok", "error"),
    scored("a folder called .txt", folder_with(b=lambda path: path.mkdir()), "f", "ok"),
    scored("a name that is not UTF-8",
           folder_with(**{"b\udcff": lambda path: path.write_text("good")}),
           "f", "ok", "ok"),
    scored("a name that is not UTF-8, to Parquet",
           folder_with(**{"b\udcff": lambda path: path.write_text("good")}), "f", "ok", "error",
           target="o.parquet"),
    scored("a file of 17 MiB", folder_with(b=lambda path: path.write_bytes(b"x" * (17 << 20))), "f",
           "ok",
           "error"),
    scored("a file that is not UTF-8", folder_with(b=lambda path: path.write_bytes(b"caf\xe9")),
           "f", "ok",
           "error"),
    refused("no .txt in it", lambda folder: (folder / "f").mkdir(), "f", "without .txt files"),
]

PARQUET = [
    scored("numbers that are none to JSONL",
           parquet(text=["good"] * 3, x=[float("nan"), float("inf"), None]), "a.parquet", "ok",
           "ok", "ok",
           target="o.jsonl"),
    refused("a text column of numbers", parquet(text=[1, 2]), "a.parquet", "not text"),
    refused("cut short",
            lambda folder: (parquet(text=["good"])(folder), os.truncate(folder / "a.parquet", 100)),
            "a.parquet", "is not a Parquet file or is damaged"),
    refused("to standard output", parquet(text=["good"]), "a.parquet", "Parquet cannot be written",
            "--output-format", "parquet", target="-"),
    scored("a text column of nothing but null", parquet(text=[None, None]), "a.parquet", "error",
           "error"),
    scored("2,000 columns", parquet(text=["good"], **{f"c{i}": [i] for i in range(1_999)}),
           "a.parquet", "ok", target="o.parquet"),
    scored("texts of null and bytes", parquet(text=[b"good", None, b"\xff"]), "a.parquet", "ok",
           "error",
           "error"),
]


def evaluated(
    name: str, given: Prepare, *arguments: str, code: int = 0, says: str = "", shell: str = ""
) -> Case:
    if shell:
        return Case(name=f"evaluate: {name}", shell=shell, given=given, exit=code, says=says)
    return Case(
        name=f"evaluate: {name}",
        arguments=("evaluate", *arguments),
        given=given,
        exit=code,
        says=says,
    )


PAIR = put(a__csv="words,mood\ngood,pos\nbad,neg\n")
EVALUATE = [
    evaluated("a pipe of two columns", PAIR,
              shell="cat a.csv | $EL evaluate - --input-format csv --label-column mood",
              says="2 texts"),
    evaluated("an empty pipe", put(), shell="$EL evaluate - --input-format csv < /dev/null", code=1,
              says="is empty"),
    evaluated("a tar by its short suffix", put(a__tbz2=b"x"), "a.tbz2", code=1,
              says="not a complete tar archive"),
    evaluated("a part of a folder that is not there", folder_with(), "f", "--split", "dev", code=1,
              says="no split 'dev'"),
    evaluated("a label column that is not there", PAIR, "a.csv", "--label-column", "x", code=1,
              says="no column 'x'"),
    evaluated("text and label in one column", PAIR, "a.csv", "--label-column", "mood",
              "--text-column",
              "mood", code=1, says="cannot be both"),
    evaluated("labels that steer a terminal", put(a__csv="text,label\ngood,\x1b[2J\n"), "a.csv",
              code=1,
              says=r"\x1b[2J"),
    evaluated("a row without a label", put(a__csv="text,label\ngood,pos\nbad,\n"), "a.csv", code=1,
              says="row 2: no label"),
    evaluated("a row without a text", put(a__csv="text,label\ngood,pos\nbad\n"), "a.csv", code=1,
              says="row 2"),
    evaluated("one row", put(a__csv="text,label\ngood,pos\n"), "a.csv", says="1 text of"),
    evaluated("texts without words", put(a__csv='text,label\n"",pos\n"",neg\n'), "a.csv",
              says="2 empty"),
    evaluated("nested labels", put(a__jsonl='{"text": "good", "label": [1]}\n'), "a.jsonl", code=1,
              says="has several"),
    evaluated("a format that is none", PAIR, "a.csv", "--input-format", "xml", code=1,
              says="no format 'xml'"),
    evaluated("a report in no folder", PAIR, "a.csv", "--report", "x/y.html", code=1,
              says="x/y.html"),
    evaluated("a model that is the data", PAIR, "a.csv", "a.csv", "--label-column", "mood", code=1,
              says="a.csv"),
    evaluated("a link in a folder of labels",
              folder_with(b=lambda path: path.symlink_to("/etc/hostname")),
              "f", code=1, says="no labelled row"),
]
# fmt: on

CASES = [*COMPRESSED, *JSON_LINES, *TABLES, *FOLDERS, *PARQUET, *EVALUATE]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hostile_tables(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "parquet" in " ".join(case.arguments):
        pytest.importorskip("pyarrow")
    check(case, tmp_path, monkeypatch)
