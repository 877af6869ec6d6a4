"""Files of texts: every format gives the same rows, and what cannot be read says why."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_lstm.errors import DataError
from edge_lstm.tables import ReadOptions, Row, fast, open_inputs, read_rows

TEXTS = ["Plain.", 'He said "no", twice.', "Two\nlines", "Ünïcødé 漢字", "", "semi;colon\ttab|bar"]


def texts_of(*paths: Path, **options: str) -> list[str | None]:
    return [row.text for row in read_rows(paths, **options)]


def write_csv(path: Path, rows: list[list[str]], **options: str) -> Path:
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        csv.writer(file, **options).writerows(rows)
    return path


def test_a_text_file_has_one_document_a_line_whatever_ends_the_lines() -> None:
    path = Path("a.txt")
    path.write_bytes(b"one\ntwo\r\n\nfour, no end")
    assert texts_of(path) == ["one", "two", "", "four, no end"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_dialects_are_recognised(delimiter: str, newline: str, encoding: str) -> None:
    rows = [["id", "review", "stars"], *[[str(i), text, "4.50"] for i, text in enumerate(TEXTS)]]
    path = write_csv("a.csv", rows, delimiter=delimiter, lineterminator=newline, encoding=encoding)
    read = list(read_rows([path]))
    assert [row.text for row in read] == TEXTS
    assert read[1].values == {"id": "1", "review": TEXTS[1], "stars": "4.50"}
    assert [row.number for row in read] == [1, 2, 3, 4, 5, 6]


def test_jsonl_rows_keep_their_numbers_as_written() -> None:
    path = Path("a.jsonl")
    path.write_text(
        '{"text": "a", "n": 1.50e3, "big": 123456789012345678901234567890}\n\n{"text": "b"}'
    )
    rows = list(read_rows([path]))
    assert [row.text for row in rows] == ["a", "b"]
    assert rows[0].values == {"text": "a", "n": "1.50e3", "big": "123456789012345678901234567890"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{broken", "the row is not JSON"),
        (b"[1]", "the row is a list, not an object"),
        (b"{}", "the row has no 'text'"),
        (b'{"text": null}', "the text is null"),
        (b'{"text": 5}', "the text is a number, not a string"),
        (b'{"text": "\xff"}', "the row is not UTF-8 (byte 0xff"),
        (b"[" * 100_000, "the row is nested more than 200 deep"),
        (
            b'{"text": "a", "x": ' + b"[" * 200 + b"]" * 200 + b"}",
            "the row is nested more than 200 deep",
        ),
    ],
)
def test_a_json_row_without_text_says_why_and_the_next_row_is_read(
    line: bytes, reason: str
) -> None:
    path = Path("a.jsonl")
    path.write_bytes(b'{"text": "first"}\n' + line + b'\n{"text": "last"}\n')
    first, bad, last = read_rows([path])
    assert (first.text, bad.text, last.text) == ("first", None, "last")
    assert bad.error is not None
    assert bad.error.startswith(reason)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1", "the row has 1 column, the header 2"),
        (b"1,a,b", "the row has 3 columns, the header 2"),
        (b"1,caf\xe9", "the text is not UTF-8 (byte 0xe9 at position 3)"),
    ],
)
def test_a_csv_row_without_text_says_why(row: bytes, reason: str) -> None:
    path = Path("a.csv")
    path.write_bytes(b"id,text\n0,first\n" + row + b"\n2,last\n")
    rows = list(read_rows([path]))
    assert [r.text for r in rows] == ["first", None, "last"]
    assert rows[1].error == reason


GERMAN = ["id,text", "1,Schöne Grüße", "2,Schlüssel für Tür", "3,plain", "4,“so so” – nein…"]
RUSSIAN = ["id,text", "1,не пришло письмо", "2,как вернуть деньги", "3,где мой заказ"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
@pytest.mark.parametrize(
    ("lines", "encoding", "said"),
    [
        (
            GERMAN,
            "cp1252",
            "probably WINDOWS-1252; convert it with: iconv -f WINDOWS-1252 ",
        ),
        (GERMAN[:3], "latin-1", "WINDOWS-1252"),
        (RUSSIAN, "cp1251", "is not UTF-8; find its encoding (WINDOWS-1251, "),
        (RUSSIAN, "utf-16", "is UTF-16, not UTF-8; convert it with: iconv -f UTF-16 "),
        (GERMAN, "utf-16-le", "is UTF-16LE, not UTF-8; convert it with: iconv -f UTF-16LE "),
        (GERMAN, "utf-16-be", "iconv -f UTF-16BE "),
        (GERMAN, "utf-32", "iconv -f UTF-32 "),
    ],
)
def test_a_file_in_another_encoding_is_refused_with_the_command_that_converts_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    lines: list[str],
    encoding: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [line.partition(",")[2] for line in lines[1:]]
    if name == "a.jsonl":
        lines = [f'{{"text": "{text}"}}' for text in texts]
    Path(name).write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        texts_of(Path(name))
    _, command = str(caught.value).split("convert it with: ")
    subprocess.run(["bash", "-c", command.replace("ENCODING", encoding)], check=True)
    converted = Path(command.split(" > ")[1])
    delimiter = {"a.tsv": ","}.get(name)
    read = open_inputs([converted], options=ReadOptions(delimiter=delimiter)).rows()
    assert [row.text for row in read] == (lines if name == "a.txt" else texts)


@pytest.mark.parametrize(
    "bad",
    [
        1,  # row of an ASCII file
        pytest.param(9, id="rows of a file with more rows of UTF-8"),
    ],
)
def test_a_few_rows_in_another_encoding_are_error_rows(bad: int) -> None:
    valid = "Müller".encode() if bad > 1 else b"Mueller"
    lines = [b"id,text", *[b"1," + valid] * 500, *["2,Grüße".encode("cp1252")] * bad, b"3,end"]
    Path("a.csv").write_bytes(b"\n".join(lines))
    rows = list(read_rows(["a.csv"]))
    assert [row.error is not None for row in rows] == [False] * 500 + [True] * bad + [False]


def test_of_a_bad_row_it_is_said_that_the_file_may_need_converting() -> None:
    Path("a.csv").write_bytes("text,label\nGrüße,a\nend,b\n".encode("cp1252"))
    first = next(iter(read_rows(["a.csv"])))
    with pytest.raises(
        DataError, match=r"correct or remove the row, or convert the file .*iconv -f WINDOWS"
    ):
        first.required_text()


def test_a_character_that_the_look_cuts_is_no_other_encoding() -> None:
    Path("a.txt").write_text("aé" * 2**19 + "\nü\n")
    assert texts_of("a.txt") == ["aé" * 2**19, "ü"]


def test_a_folder_is_read_in_order_at_any_depth_and_no_link_in_it_is_followed(
    tmp_path: Path,
) -> None:
    for name in ("b.txt", "a/2.txt", "a/1.txt", "a/skip.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    ("a" / "loop").symlink_to(tmp_path)
    Path("link.txt").symlink_to("b.txt")
    rows = list(read_rows([tmp_path]))
    assert [row.values["path"] for row in rows] == ["a/1.txt", "a/2.txt", "b.txt", "link.txt"]
    assert rows[0].text == "text of a/1.txt"
    assert rows[3].error == "a symbolic link, which is not followed"


def test_a_link_that_leads_nowhere_is_named_as_such() -> None:
    Path("a.csv").symlink_to("moved.csv")
    with pytest.raises(DataError, match=r"no such file: moved.csv, where the link .*a.csv leads"):
        texts_of("a.csv")


def test_globs_and_several_inputs_are_read_in_the_order_given() -> None:
    for name in ("b", "a", "c"):
        Path(f"{name}.txt").write_text(name)
    assert texts_of("c.txt", "[ab].txt") == ["c", "a", "b"]


@pytest.mark.needs("pyarrow")
def test_parquet_gives_the_same_rows() -> None:
    import pyarrow as arrow
    import pyarrow.parquet

    table = arrow.table({"review": [*TEXTS, None], "n": list(range(7))})
    pyarrow.parquet.write_table(table, "a.parquet", row_group_size=3)
    rows = list(read_rows(["a.parquet"]))
    assert [row.text for row in rows] == [*TEXTS, None]
    assert rows[6].error == "the text is null"
    assert rows[5].values == {"review": TEXTS[5], "n": 5}


def test_a_column_is_named_by_number_where_names_repeat() -> None:
    path = Path("a.csv")
    path.write_text("text,text,id\nfirst,second,1\n")
    with pytest.raises(DataError, match="by its number: 1, 2"):
        texts_of(path, text_column="text")
    assert texts_of(path, text_column="2") == ["second"]


MIB = 2**20


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("a.txt", "", ""), ("a.csv", 'text\n"', '"'), ("a.jsonl", '{"text": "', '"}')],
)
def test_a_row_over_the_limit_is_an_error_row(
    tmp_path: Path, name: str, before: str, after: str
) -> None:
    head, before = before.rsplit("\n", 1) if "\n" in before else ("", before)
    rows = [before + text + after for text in ("one", "x" * (17 * MIB), "three")]
    (tmp_path / name).write_text("\n".join([*[head] * bool(head), *rows]))
    read = list(read_rows([tmp_path / name]))
    assert [row.text for row in read] == ["one", None, "three"]
    assert read[1].error is not None
    assert read[1].error.startswith("the row has 17,825,")
    assert read[1].error.endswith(" bytes, more than 16 MiB")


def piped(content: bytes, name: str) -> list[Row]:
    """The rows of a pipe. name: of the format."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return list(read_rows([f"/dev/fd/{reading}"], format=name))
    finally:
        os.close(reading)
        writer.join()


@pytest.mark.parametrize("size", [MIB - 13, MIB - 12, 2 * MIB])
@pytest.mark.parametrize("before", ["", "no JSON\n"])
def test_the_first_json_row_may_be_as_long_as_any(size: int, before: str) -> None:
    path = Path("a.jsonl")
    content = f'{before}{{"text": "{"x" * size}"}}\n{{"text": "second", "id": 2}}\n'
    path.write_text(content)
    for rows in (list(read_rows([path])), piped(content.encode(), "jsonl")):
        assert [row.text for row in rows if row.error is None] == ["x" * size, "second"]
        assert len(rows) == 2 + (before == "no JSON\n")


def test_a_first_json_row_over_the_limit_is_an_error_row() -> None:
    content = f'{{"text": "{"x" * (40 * MIB)}"}}\n{{"text": "second"}}\n'
    Path("a.jsonl").write_text(content)
    for rows in (list(read_rows(["a.jsonl"])), piped(content.encode(), "jsonl")):
        assert [row.text for row in rows] == [None, "second"]
        assert str(rows[0].error).endswith("more than 16 MiB")


@pytest.mark.parametrize("size", [MIB - 6, MIB - 5, 2 * MIB])
@pytest.mark.parametrize("name", ["{}", '"two\nlines {}"'])
def test_a_column_may_have_a_name_of_any_length(size: int, name: str) -> None:
    path = Path("a.csv")
    path.write_text(f"text,{name.format('n' * size)}\nfirst,1\n")
    (row,) = read_rows([path])
    assert row.values == {"text": "first", name.strip('"').format("n" * size): "1"}


def test_what_is_no_header_is_refused() -> None:
    for content, message in (
        ("n" * (17 * MIB), "longer than 16 MiB"),
        (f'text,"{"n" * MIB}', "not close"),
    ):
        Path("a.csv").write_text(content)
        with pytest.raises(DataError, match=message):
            texts_of("a.csv")


@pytest.mark.parametrize("line", ["x y\n", 'x""y\n', ",\n", "x" * 300_000 + '""\n', "é" * 40_000])
def test_a_quoted_field_over_the_limit_is_one_error_row(tmp_path: Path, line: str) -> None:
    field = line * (40 * MIB // len(line.encode()))
    Path("a.csv").write_text(f'id,text\n1,one\n2,"{field}"\n3,"three"\n4,four\n')
    program = (
        "import resource; from edge_lstm.tables import read_rows;"
        "limit = 320 * 2**20; resource.setrlimit(resource.RLIMIT_DATA, (limit, limit));"
        "print([(row.text, row.error) for row in read_rows(['a.csv'])])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert [text for text, _ in ast.literal_eval(done.stdout)] == ["one", None, "three", "four"], (
        done.stderr
    )
    assert "more than 16 MiB" in done.stdout


def ended(field: str | None) -> str | None:
    return field and field.rstrip("\n")


def csv_rows(path: Path) -> tuple[tuple[str, ...], list[list[str | None]]]:
    """The header of a file with commas, and the fields of its rows."""
    inputs = open_inputs([path], options=ReadOptions(delimiter=",", text_column="1"))
    parsed = [
        inputs.format.parse(chunk.rows, inputs.schema, lambda _: None) for chunk in inputs.chunks()
    ]
    return inputs.schema.columns, [list(row) for rows in parsed for row in zip(*rows.columns)]


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from('ab",\n;é'), min_size=1, max_size=60))
def test_any_file_has_the_rows_that_the_csv_module_sees(written: str) -> None:
    expected = [row for row in csv.reader(io.StringIO("a,b\n" + written, newline="")) if row]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text("a,b\n" + written, newline="")
        (header, rows) = csv_rows(path)
        width = 2
        assert [*header] == expected.pop(0)
        for fields, row in zip(expected, rows, strict=True):
            last = (
                [",".join(fields[width - 1 :])]
                if len(fields) >= width
                else [None] * (width - len(fields))
            )
            # Of a quote that never closes, the end of the last line is no part.
            assert list(map(ended, row)) == list(map(ended, [*fields[: width - 1], *last]))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.text(max_size=6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_any_table_that_the_csv_module_writes_is_read(rows: list[list[str]]) -> None:
    rows = [[re.sub("[\ud800-\udfff]", "", field) or "x" for field in row] for row in rows]
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
        written = io.StringIO(newline="")
        csv.writer(written, quoting=quoting).writerows(rows)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.csv"
            path.write_bytes(written.getvalue().encode())
            header, *further = rows
            assert csv_rows(path) == (tuple(header), further)


CELLS = st.text(st.sampled_from('ab",;\n\r\t é漢\\'), max_size=6)
VALUES = st.one_of(
    CELLS, st.integers(), st.floats(), st.none(), st.lists(st.booleans(), max_size=2)
)


DAMAGES = [bytes([byte]) for byte in b'"\r\n\0\t\xff,\\{} a0.-']


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """The name and the content of a table, as a program writes it or damaged."""
    name = draw(st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]))
    written = io.StringIO(newline="")
    if name == "a.jsonl":
        ascii_only = draw(st.booleans())
        for text, value in draw(st.lists(st.tuples(CELLS, VALUES), min_size=1, max_size=6)):
            written.write(json.dumps({"text": text, "n": value}, ensure_ascii=ascii_only) + "\n")
    else:
        cells = CELLS if draw(st.booleans()) else st.text(st.sampled_from("abé"), max_size=6)
        rows = draw(st.lists(st.tuples(cells, cells), min_size=1, max_size=6))
        newline = draw(st.sampled_from(["\n", "\r\n"]))
        delimiter = "\t" if name == "a.tsv" else ","
        writer = csv.writer(written, delimiter=delimiter, lineterminator=newline)
        writer.writerows([("text", "n"), *rows])
    content = written.getvalue().encode()
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=3)):
        # Where a row or a field begins or ends, damage matters most.
        edges = [i for i, byte in enumerate(content) if byte in b'"\r\n\t, ']
        place = max(draw(st.sampled_from(edges)) + draw(st.booleans()), len("text,n\n"))
        content = content[:place] + damage + content[place:]
    return name, content


def parsed_rows(path: Path) -> list[tuple[Any, ...]]:
    """The text, the reason and the values of each row."""
    delimiter = "," if path.suffix == ".csv" else None
    inputs = open_inputs([path], options=ReadOptions(delimiter=delimiter))
    rows: list[tuple[Any, ...]] = []
    for chunk in inputs.chunks():
        parsed = inputs.format.parse(chunk.rows, inputs.schema, lambda _: None)
        assert len(parsed.texts) == chunk.count
        rows += zip(parsed.texts, parsed.reasons, *parsed.columns)
    return rows


FAST = ["csv_row_ends", "csv_rows", "json_rows"]


@settings(deadline=None, max_examples=500)
@given(tables(), st.sampled_from([FAST, FAST[1:]]))
@example(("a.csv", b'text,n\na"b,c\nd",e\n'), FAST)
@example(("a.csv", b"text,n\na,b\r\n"), FAST)
@example(("a.jsonl", b'{"text": "a", "n": 5}\n{"text": "a", "n": 05}\n'), FAST)
@example(("a.jsonl", b'{"text": "a", "n": 5}\n{"text": "a\tb", "n": 5}\n'), FAST)
def test_fast_readers_return_the_rows_of_the_slow_ones(
    table: tuple[str, bytes], off: list[str]
) -> None:
    name, content = table
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            expected: Any = parsed_rows(path)
        except DataError as error:
            expected = str(error)
        for function in off:
            patch.setattr(fast, function, lambda *_: None)
        try:
            read: Any = parsed_rows(path)
        except DataError as error:
            read = str(error)
        assert read == expected


@pytest.mark.parametrize(
    ("name", "content", "functions"),
    [
        ("a.csv", "id,text\n1,Grüße\n2,漢字\n", FAST[:2]),
        ("a.tsv", "id\ttext\r\n1\tGrüße\r\n2\t漢字\r\n", FAST[:2]),
        ("a.csv", 'id,text\n1,"a ""b"""\n2,"two\nlines"\n', FAST[:1]),
        ("a.jsonl", '{"id": 1, "text": "Grüße"}\n{"id": -2.5e3, "text": "a\\n"}\n', FAST[2:]),
    ],
)
def test_what_programs_write_is_read_fast(
    tmp_path: Path, name: str, content: str, functions: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    read: list[Any] = []

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(data: bytes, *rest: Any) -> Any:
            found = function(data, *rest)
            if data:
                read.append(found)
            return found

        return call

    with pytest.MonkeyPatch.context() as patch:
        for function in functions:
            patch.setattr(fast, function, recorded(getattr(fast, function)))
        assert len(parsed_rows(path)) == 2
    assert len(read) == len(functions)
    assert not any(found is None for found in read)


def test_rows_across_the_pieces_of_a_file_are_those_that_the_csv_module_sees() -> None:
    long = '5,"' + 'some ""words"",\n' * 30_000 + '"\r\n'
    kinds = ["1,plain\n", '2,"a, ""b"""\n', '3,"two\nlines"\r\n', '4,a "b" é漢\n', "\n"]
    for seed in range(3):
        lines = random.Random(seed).choices(kinds, k=200_000)
        written = "a,b\n" + "".join([*lines[:99_000], long, *lines[99_000:], long, '6,"open'])
        Path("a.csv").write_text(written, newline="", encoding="utf-8")
        header, *expected = filter(None, csv.reader(io.StringIO(written, newline="")))
        assert csv_rows("a.csv") == (tuple(header), expected)


def test_carriage_returns_and_zero_bytes_are_characters() -> None:
    Path("a.csv").write_bytes(b'id,text\r\n1,a\rb\0\r\n2,"c\r\nd"\r\n3,e\r')
    assert texts_of("a.csv") == ["a\rb\0", "c\r\nd", "e"]


def test_a_pipe_gives_its_rows_as_they_come() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one\n")
    live = open_inputs([f"/dev/fd/{reading}"], options=ReadOptions(format="text")).chunks()
    assert next(live).rows == b"one\n"
    os.write(writing, b"two\nthr")
    assert next(live).rows == b"two\n"
    os.write(writing, b"ee")
    os.close(writing)
    assert [chunk.rows for chunk in live] == [b"three\n"]
    os.close(reading)
