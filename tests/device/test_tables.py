"""Files of texts: every format gives the same rows, and what cannot be read says why."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cases import raw
from cases import rows as cases
from hypothesis import example, given, settings
from hypothesis import strategies as st
from model_files import SMALL
from table_files import read_rows

from edge_lstm import Classifier, DataError, ReadOptions, RunOptions, score_files
from edge_lstm.tables import open_inputs
from edge_lstm.tables.reader import LIMITS

MIB = 2**20
SMALLEST = Classifier.load(SMALL)
TEXTS = ["Plain.", 'He said "no", twice.', "Two\nlines", "Ünïcødé 漢字", "", "semi;colon\ttab|bar"]


def rows_of(*paths: str, **options: Any) -> list[dict[str, Any]]:
    """The rows that score writes. options: those of reading."""
    reading = ReadOptions(**options)
    score_files(paths, "out.jsonl", model=SMALLEST, reading=reading, run=RunOptions(workers=1))
    with Path("out.jsonl").open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line, parse_int=float) for line in file]


def texts_of(*paths: str, **options: Any) -> list[str | None]:
    """The texts of the rows; None: an error row."""
    return [None if row["error"] else row["text"] for row in rows_of(*paths, **options)]


def test_a_text_file_has_one_document_a_line_whatever_ends_the_lines() -> None:
    Path("a.txt").write_bytes(b"one\ntwo\r\n\nfour, no end")
    assert texts_of("a.txt") == ["one", "two", "", "four, no end"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(("newline", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
def test_csv_dialects_are_recognised(delimiter: str, newline: str, encoding: str) -> None:
    table = [{"id": str(i), "review": text, "stars": "4.50"} for i, text in enumerate(TEXTS, 1)]
    with Path("a.csv").open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, [*table[0]], delimiter=delimiter, lineterminator=newline)
        writer.writeheader()
        writer.writerows(table)
    assert [{name: row[name] for name in table[0]} for row in rows_of("a.csv")] == table


def test_jsonl_rows_keep_their_numbers_as_written() -> None:
    Path("a.jsonl").write_text(
        f'{{"text": "a", "n": 1.50e3, "big": {"9" * 30}}}\n\n{{"text": "b"}}'
    )
    assert texts_of("a.jsonl") == ["a", "b"]
    assert Path("out.jsonl").read_text().startswith('{"text": "a", "n": 1.50e3, "big": 999')


@pytest.mark.parametrize(
    ("name", "reason", "row"),
    cases(
        rf"""
        a.jsonl | the row is not JSON | {{broken
        a.jsonl | the row is a list, not an object | [1]
        a.jsonl | the row has no 'text' | {{}}
        a.jsonl | the text is null | {{"text": null}}
        a.jsonl | the text is a number, not a string | {{"text": 5}}
        a.jsonl | the row is not UTF-8 (byte 0xff | {{"text": "\xff"}}
        a.jsonl | the row is nested more than 200 deep | {"[" * 100_000}
        a.jsonl | the row is nested more than 200 deep
            | {{"text": "a", "x": {"[" * 200 + "]" * 200}}}
        a.csv | the row has 1 column, the header 2 | 1
        a.csv | the row has 3 columns, the header 2 | 1,a,b
        a.csv | the text is not UTF-8 (byte 0xe9 at position 3) | 1,caf\xe9
        """
    ),
)
def test_a_row_without_text_says_why_and_the_next_row_is_read(
    name: str, reason: str, row: str
) -> None:
    lines = {"a.csv": ["id,text", "0,other"], "a.jsonl": ['{"text": "other"}']}[name]
    Path(name).write_bytes(raw("\n".join([*lines, row, lines[-1]])))
    first, bad, last = rows_of(name)
    assert (first["error"], first["text"]) == (None, "other") == (last["error"], last["text"])
    assert bad["error"].startswith(reason)


GERMAN = ["id,text", "1,Schöne Grüße", "2,Schlüssel für Tür", "3,plain", "4,“so so” – nein…"]
RUSSIAN = ["id,text", "1,не пришло письмо", "2,как вернуть деньги", "3,где мой заказ"]
JAPANESE = ["id,text", "1,届きません", "2,表示", "3,plain"]
LINES = {"German": GERMAN, "Russian": RUSSIAN, "Japanese": JAPANESE}


def in_encoding(name: str, lines: str, encoding: str) -> list[str]:
    """Write a file of the lines, and return its texts."""
    rows = LINES[lines]
    texts = [row.partition(",")[2] for row in rows[1:]]
    content = rows
    if name == "a.jsonl":
        content = [f'{{"text": "{text}"}}' for text in texts]
    elif name == "a.txt":
        content = texts
    elif name == "a.tsv":
        content = [row.replace(",", "\t") for row in rows]
    Path(name).write_bytes("\n".join(content).encode(encoding))
    return texts


@pytest.mark.parametrize(
    ("name", "lines", "encoding", "said"),
    cases(
        """
        a.csv | German | cp1252 | line 2 is not UTF-8 (byte 0xf6 at position 5), like 2
        a.tsv | German | cp1252 | line 2 is not UTF-8 (byte 0xf6 at position 5), like 2
        a.jsonl | German | latin-1 | line 1 is not UTF-8 (byte 0xf6
        a.txt | German | latin-1 | line 1 is not UTF-8 (byte 0xf6
        a.csv | Russian | cp1251 | line 2 is not UTF-8 (byte 0xed
        a.csv | Japanese | shift_jis | line 2 is not UTF-8 (byte 0x93
        a.txt | Russian | gb18030 | line 1 is not UTF-8 (byte 0xa7
        a.jsonl | German | utf-16-le | name its encoding: --encoding utf-16-le
        a.txt | Russian | utf-16-be | --encoding utf-16-be
        a.csv | Japanese | utf-16-le | --encoding utf-16-le
        a.tsv | German | utf-32 | binary, or UTF-16 without a mark
        """
    ),
)
def test_a_file_in_another_encoding_is_refused_until_its_encoding_is_named(
    name: str, lines: str, encoding: str, said: str
) -> None:
    texts = in_encoding(name, lines, encoding.replace("latin-1", "cp1252"))
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        texts_of(name)
    assert "--encoding" in str(caught.value)
    named = encoding.replace("latin-1", "cp1252")
    assert texts_of(name, encoding=named) == texts


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
@pytest.mark.parametrize("lines", [*LINES])
def test_utf_16_with_a_mark_needs_no_name(name: str, lines: str) -> None:
    texts = in_encoding(name, lines, "utf-16")
    assert texts_of(name) == texts


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [("utf-16", "German"), ("utf-16-be", "Russian"), ("shift_jis", "Japanese")],
)
def test_a_character_may_lie_in_two_reads_of_a_file(encoding: str, lines: str) -> None:
    texts = [row.partition(",")[2] for row in LINES[lines][1:]]
    content = "".join(["text,long\n", *(f"{text},{text * 20_000}\n" for text in texts)])
    Path("a.csv").write_bytes(content.encode(encoding))
    Path("b.csv.gz").write_bytes(gzip.compress(content.encode(encoding), 1))
    for name in ("a.csv", "b.csv.gz"):
        rows = rows_of(name, encoding=encoding)
        assert [(row["text"], row["long"]) for row in rows] == [(t, t * 20_000) for t in texts]


@pytest.mark.parametrize("encoding", [None, "shift_jis"])
def test_bytes_that_cannot_be_decoded_make_a_bad_row(encoding: str | None) -> None:
    good = "1,届く\n".encode(encoding or "utf-8") * 200
    Path("a.csv").write_bytes(b"id,text\n" + good + b"2,ab\xff!\n" + good)
    errors = [row["error"] for row in rows_of("a.csv", encoding=encoding)]
    said = "the text is not in the file's encoding (byte 0xff after 2 characters)"
    if encoding is None:
        said = "the text is not UTF-8 (byte 0xff at position 2)"
    assert errors == [None] * 200 + [said] + [None] * 200


def test_the_texts_of_a_folder_may_have_another_encoding() -> None:
    Path("f").mkdir()
    Path("f/a.txt").write_bytes("für".encode("cp1252"))
    Path("f/b.txt").write_bytes("für".encode("utf-16"))
    assert texts_of("f") == [None, "für"]
    Path("f/b.txt").unlink()
    assert texts_of("f", encoding="cp1252") == ["für"]


@pytest.mark.parametrize(
    ("valid", "bad"), [("Mueller", 1), ("Müller", 9)], ids=["ASCII", "rows of UTF-8"]
)
def test_a_few_rows_in_another_encoding_are_error_rows(valid: str, bad: int) -> None:
    lines = [b"id,text", *[f"1,{valid}".encode()] * 500, *["2,Grüße".encode("cp1252")] * bad]
    Path("a.csv").write_bytes(b"\n".join([*lines, b"3,end"]))
    errors = [text is None for text in texts_of("a.csv")]
    assert errors == [False] * 500 + [True] * bad + [False]


def test_a_character_that_the_look_cuts_is_no_other_encoding() -> None:
    Path("a.txt").write_text("aé" * 2**19 + "\nü\n")
    assert texts_of("a.txt") == ["aé" * 2**19, "ü"]


def test_a_folder_is_read_in_order_at_any_depth_and_no_link_in_it_is_followed() -> None:
    Path("a").mkdir()
    for name in ("b.txt", "a/2.txt", "a/1.txt", "a/skip.md"):
        Path(name).write_text(f"text of {name}")
    Path("a/loop").symlink_to(Path.cwd())
    Path("link.txt").symlink_to("b.txt")
    rows = rows_of(".")
    assert [row["path"] for row in rows] == ["a/1.txt", "a/2.txt", "b.txt", "link.txt"]
    assert rows[0]["text"] == "text of a/1.txt"
    assert rows[3]["error"] == "a symbolic link, which is not followed"


def test_globs_and_several_inputs_are_read_in_the_order_given() -> None:
    for name in ("b", "a", "c"):
        Path(f"{name}.txt").write_text(name)
    assert texts_of("c.txt", "[ab].txt") == ["c", "a", "b"]


@pytest.mark.needs("pyarrow")
def test_parquet_gives_the_same_rows() -> None:
    import pyarrow.parquet

    table = pyarrow.table({"review": [*TEXTS, None], "n": list(range(7))})
    pyarrow.parquet.write_table(table, "a.parquet", row_group_size=3)
    rows = rows_of("a.parquet")
    assert [(row["review"], row["n"]) for row in rows] == [*zip([*TEXTS, None], range(7))]
    assert rows[6]["error"] == "the text is null"


def test_a_chunk_of_parquet_is_cut_by_what_its_values_take_in_memory() -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    # In the file, a value that repeats takes a few bits.
    table = {"text": [f"good {i}" for i in range(2_000)], "n": ["x" * 52_000] * 2_000}
    write_table(arrow.table(table), "a.parquet")
    assert Path("a.parquet").stat().st_size < 100_000
    blocks = [chunk.block for chunk in open_inputs(["a.parquet"]).chunks()]
    assert sum(block.count for block in blocks) == 2_000
    assert max(len(block.rows) for block in blocks) < 4 * MIB


def test_a_column_is_named_by_number_where_names_repeat() -> None:
    Path("a.csv").write_text("text,text,id\nqwxy,good,1\n")
    with pytest.raises(DataError, match="by its number: 1, 2"):
        texts_of("a.csv", text_column="text")
    (row,) = rows_of("a.csv", text_column="2")
    assert row["status"] == "ok", "qwxy is no word"


@pytest.mark.parametrize(
    ("name", "head", "before", "after"),
    [("a.txt", "", "", ""), ("a.csv", "text\n", '"', '"'), ("a.jsonl", "", '{"text": "', '"}')],
)
def test_a_row_over_the_limit_is_an_error_row(
    name: str, head: str, before: str, after: str
) -> None:
    long = "x" * (17 * MIB)
    rows = [before + text + after for text in ("one", long, "three", long)]
    Path(name).write_text(head + "\n".join(rows))
    read = rows_of(name)
    assert [row["text"] for row in read[::2]] == ["one", "three"]
    for row in read[1::2]:
        assert re.fullmatch(r"the row has 17,825,\d+ bytes, more than 16 MiB", row["error"])


def piped(content: bytes, name: str) -> list[dict[str, Any]]:
    """The rows of a pipe. name: of the format."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return rows_of(f"/dev/fd/{reading}", format=name)
    finally:
        os.close(reading)
        writer.join()


@pytest.mark.parametrize("size", [MIB - 13, MIB - 12, 17 * MIB])
@pytest.mark.parametrize("before", ["", "no JSON\n"])
def test_the_first_json_row_may_be_as_long_as_any(size: int, before: str) -> None:
    content = f'{before}{{"text": "{"x" * size}"}}\n{{"text": "second", "id": 2}}\n'
    Path("a.jsonl").write_text(content)
    for rows in (rows_of("a.jsonl"), piped(content.encode(), "jsonl")):
        *damaged, first, second = rows
        assert (len(damaged), second["text"]) == (bool(before), "second")
        if size < 16 * MIB:
            assert first["text"] == "x" * size
        else:
            assert first["error"].endswith("more than 16 MiB")


@pytest.mark.parametrize("size", [MIB - 6, MIB - 5, 2 * MIB])
@pytest.mark.parametrize("name", ["{}", '"two\nlines {}"'])
def test_a_column_may_have_a_name_of_any_length(size: int, name: str) -> None:
    name = name.format("n" * size)
    Path("a.csv").write_text(f"text,{name}\nfirst,1\n")
    (row,) = rows_of("a.csv")
    assert (row["text"], row[name.strip('"')]) == ("first", "1")


@pytest.mark.parametrize(
    ("content", "message"),
    [("n" * (17 * MIB), "longer than 16 MiB"), (f'text,"{"n" * MIB}', "not close")],
)
def test_what_is_no_header_is_refused(content: str, message: str) -> None:
    Path("a.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        texts_of("a.csv")


@pytest.mark.parametrize(
    ("line", "size"),
    [('x""y\n', 18), ("x" * 300_000 + '""\n', 40), ("é" * 40_000, 40)],
)
def test_a_quoted_field_over_the_limit_is_one_error_row(line: str, size: int) -> None:
    field = line * (size * MIB // len(line.encode()))
    Path("a.csv").write_text(f'id,text\n1,one\n2,"{field}"\n3,"three"\n4,four\n')
    program = (
        "import resource; from edge_lstm import RunOptions, score_files;"
        "limit = 400 * 2**20; resource.setrlimit(resource.RLIMIT_DATA, (limit, limit));"
        "score_files('a.csv', 'out.jsonl', run=RunOptions(workers=1))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    one, long, *others = read_rows("out.jsonl")
    assert "more than 16 MiB" in long["error"]
    assert [row["text"] for row in (one, *others)] == ["one", "three", "four"]


def ended(field: str | None) -> str | None:
    return field and field.rstrip("\n")


def csv_rows(
    content: str, limits: tuple[int, int] = LIMITS
) -> tuple[tuple[str, ...], list[list[str | None]]]:
    """The header of a file with commas, and the fields of its rows. limits: of a chunk."""
    # With tabs, so that no other delimiter is detected.
    Path("a.tsv").write_text(content.replace(",", "\t"), newline="", encoding="utf-8")
    inputs = open_inputs(["a.tsv"], options=ReadOptions("1"))

    def with_commas(fields: Iterable[str | None]) -> list[str | None]:
        return [field and field.replace("\t", ",") for field in fields]

    parsed = map(inputs.parse, inputs.chunks(limits))
    rows = [with_commas(row) for rows in parsed for row in zip(*rows.columns)]
    return tuple(map(str, with_commas(inputs.schema.columns))), rows


@settings(max_examples=200)
@given(st.text(st.sampled_from('ab",\n;é'), min_size=1, max_size=60), st.sampled_from([1, 2, 9]))
def test_any_file_has_the_rows_that_the_csv_module_sees(written: str, most: int) -> None:
    written = "a,b\n" + written
    expected = [row for row in csv.reader(io.StringIO(written, newline="")) if row]
    header, rows = csv_rows(written, (most, MIB))
    assert [*header] == expected.pop(0)
    for (first, *more), row in zip(expected, rows, strict=True):
        second = ",".join(more) if more else None
        # Of a quote that never closes, the end of the last line is no part.
        assert list(map(ended, row)) == list(map(ended, [first, second]))


WORDS = st.text(st.sampled_from('ab",\n\r\t é漢\\'), max_size=6)
VALUES = st.one_of(
    WORDS, st.integers(), st.floats(), st.none(), st.lists(st.booleans(), max_size=2)
)
DAMAGES = [bytes([byte]) for byte in b'"\r\n\0\t\xff,\\{} a0.-']


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    """Lines as a program writes them, or damaged."""
    items = draw(st.lists(st.tuples(WORDS, VALUES), min_size=1, max_size=6))
    is_ascii = draw(st.booleans())
    lines = [json.dumps({"text": a, "n": b}, ensure_ascii=is_ascii) for a, b in items]
    content = "\n".join(lines).encode()
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=3)):
        # Where a value begins or ends, damage matters most.
        edges = [i for i, byte in enumerate(content) if byte in b'"\r\n\t, ']
        place = draw(st.sampled_from(edges)) + draw(st.booleans())
        content = content[:place] + damage + content[place:]
    return content


def text_of(line: bytes) -> str | None:
    """The text of a line by the json module."""
    try:
        row = json.loads(line.decode(), parse_int=float)
    except ValueError:
        return None
    text = row.get("text") if isinstance(row, dict) else None
    return text if isinstance(text, str) else None


@settings(max_examples=300)
@given(json_lines())
@example(b'{"text": "a", "n": 05}')
@example(b'{"text": "a\tb", "n": 5}')
@example(b'{"text": "a", "n": ' + b"9" * 5_000 + b"}")
@example(b' {"text": "a", "n": NaN } \r\n{"text": "a", "text": "b"}')
def test_any_line_of_json_has_the_text_that_the_json_module_sees(lines: bytes) -> None:
    # A letter of UTF-8: without one, more than one damaged line is refused as another encoding.
    Path("a.jsonl").write_bytes('{"text": "für"}\n'.encode() + lines)
    expected = [text_of(line) for line in lines.split(b"\n") if line.decode("latin-1").strip()]
    assert texts_of("a.jsonl", text_column="text")[1:] == expected


def test_rows_across_the_pieces_of_a_file_are_those_that_the_csv_module_sees() -> None:
    long = '5,"' + 'some ""words"",\n' * 30_000 + '"\r\n'
    kinds = ["1,plain\n", '2,"a, ""b"""\n', '3,"two\nlines"\r\n', '4,a "b" é漢\n', "\n"]
    lines = random.Random(0).choices(kinds, k=120_000)
    written = "a,b\n" + "".join([*lines[:59_000], long, *lines[59_000:], long, '6,"open'])
    header, *expected = filter(None, csv.reader(io.StringIO(written, newline="")))
    assert csv_rows(written) == (tuple(header), expected)
