"""Files of texts: every format gives the same rows, and what cannot be read says why."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_lstm.errors import DataError
from edge_lstm.tables import Position, ReadOptions, Schema, blocks, lines, open_inputs, read_rows
from edge_lstm.tables.csv import CSV, CsvLines
from edge_lstm.tables.dialect import Dialect, strip_newline
from edge_lstm.tables.stream import Stream

TEXTS = ["Plain.", 'He said "no", twice.', "Two\nlines", "Ünïcødé 漢字", "", "semi;colon\ttab|bar"]


def texts_of(*paths: Path, **options: str) -> list[str | None]:
    return [row.text for row in read_rows(paths, **options)]


def write_csv(path: Path, rows: list[list[str]], **options: str) -> Path:
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        csv.writer(file, **options).writerows(rows)
    return path


def test_a_text_file_has_one_document_a_line_whatever_ends_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\r\n\nfour, no end")
    assert texts_of(path) == ["one", "two", "", "four, no end"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_dialects_are_recognised(tmp_path: Path, delimiter: str, newline: str, encoding: str) -> None:
    rows = [["id", "review", "stars"], *[[str(i), text, "4.50"] for i, text in enumerate(TEXTS)]]
    path = write_csv(tmp_path / "a.csv", rows, delimiter=delimiter, lineterminator=newline, encoding=encoding)
    read = list(read_rows([path]))
    assert [row.text for row in read] == TEXTS
    assert read[1].values == {"id": "1", "review": TEXTS[1], "stars": "4.50"}
    assert [row.number for row in read] == [1, 2, 3, 4, 5, 6]


def test_jsonl_rows_keep_their_numbers_as_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "n": 1.50e3, "big": 123456789012345678901234567890}\n\n{"text": "b"}')
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
        (b'{"text": "a", "x": ' + b"[" * 200 + b"]" * 200 + b"}", "the row is nested more than 200 deep"),
    ],
)
def test_a_json_row_without_text_says_why_and_the_next_row_is_read(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = tmp_path / "a.jsonl"
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
def test_a_csv_row_without_text_says_why(tmp_path: Path, row: bytes, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,text\n0,first\n" + row + b"\n2,last\n")
    rows = list(read_rows([path]))
    assert [r.text for r in rows] == ["first", None, "last"]
    assert rows[1].error == reason


def test_a_quote_that_never_closes_is_an_error_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,text\n0,first\n1,"open\n2,lost\n')
    assert [row.error for row in read_rows([path])] == [None, "a quote opens in this row and never closes"]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_compressed_files_are_read_member_after_member_and_a_cut_one_is_refused(
    tmp_path: Path, suffix: str
) -> None:
    if suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        compress = zstandard.ZstdCompressor().compress
    else:
        compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    path = tmp_path / f"a.txt{suffix}"
    whole = compress(b"one\n") + compress(b"two\n" + b"more " * 1000 + b"\n")
    path.write_bytes(whole)
    assert texts_of(path)[:2] == ["one", "two"]
    path.write_bytes(whole[:-5])
    with pytest.raises(DataError, match="is cut short"):
        texts_of(path)
    path.write_bytes(b"not compressed at all")
    with pytest.raises(DataError, match="is damaged or not of the kind its suffix says"):
        texts_of(path)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", ["first byte", "behind"])
def test_what_stands_behind_a_complete_member_is_a_member_or_an_error(
    tmp_path: Path, suffix: str, damage: str
) -> None:
    if suffix == ".zst":
        compress = pytest.importorskip("zstandard").ZstdCompressor().compress
    else:
        compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    first, second = compress(b"one\n" * 1000), compress(b"two\n" * 1000)
    path = tmp_path / f"a.txt{suffix}"
    behind = bytes([second[0] ^ 255]) + second[1:] if damage == "first byte" else b"other"
    path.write_bytes(first + behind)
    with pytest.raises(DataError, match="is damaged or not of the kind its suffix says"):
        texts_of(path)


def test_zeros_may_pad_the_parts_of_an_xz_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.xz"
    first, second = lzma.compress(b"one\n"), lzma.compress(b"two\n")
    path.write_bytes(first + bytes(8) + second + bytes(4) + bytes(2**18))
    assert texts_of(path) == ["one", "two"]
    path.write_bytes(first + bytes(7) + second)
    with pytest.raises(DataError, match="7 zeros behind a complete part, not a multiple of 4"):
        texts_of(path)


def test_a_folder_is_read_in_order_at_any_depth_and_survives_a_loop_of_links(tmp_path: Path) -> None:
    for name in ("b.txt", "a/2.txt", "a/1.txt", "a/skip.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.txt").symlink_to(tmp_path / "nowhere")
    rows = list(read_rows([tmp_path]))
    assert [row.values["path"] for row in rows] == ["a/1.txt", "a/2.txt", "b.txt", "broken.txt"]
    assert rows[0].text == "text of a/1.txt"
    assert rows[3].error == "a symbolic link; read what it leads to with --follow-links"


def test_links_inside_a_folder_are_followed_only_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder, other = tmp_path / "folder", tmp_path / "other"
    for path in (folder, other):
        path.mkdir()
    (folder / "a.txt").write_text("own")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "away").symlink_to(other)
    (other / "b.txt").write_text("other's")
    (other / "back").symlink_to(folder)  # a loop
    assert texts_of(folder) == ["own", None]
    followed = open_inputs([folder], options=ReadOptions(follow_links=True))
    assert [row.text for row in followed.rows()] == ["own", "other's", "secret"]


def test_what_is_no_file_in_a_folder_is_an_error_row_and_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good")
    os.mkfifo(tmp_path / "b.txt")
    rows = list(read_rows([tmp_path]))
    assert [(row.text, row.error) for row in rows] == [("good", None), (None, "a pipe or device, no file")]


def test_globs_and_several_inputs_are_read_in_the_order_given(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(name)
    assert texts_of(tmp_path / "c.txt", tmp_path / "[ab].txt") == ["c", "a", "b"]


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = arrow.table({"review": [*TEXTS, None], "n": list(range(7))})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    rows = list(read_rows([tmp_path / "a.parquet"]))
    assert [row.text for row in rows] == [*TEXTS, None]
    assert rows[6].error == "the text is null"
    assert rows[5].values == {"review": TEXTS[5], "n": 5}


def test_a_column_is_named_by_number_where_names_repeat(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,text,id\nfirst,second,1\n")
    with pytest.raises(DataError, match="by its number: 1, 2"):
        texts_of(path, text_column="text")
    assert texts_of(path, text_column="2") == ["second"]


def test_a_file_without_header_has_numbered_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,first\n2,second\n")
    inputs = open_inputs([path], options=ReadOptions(text_column="2", header=False))
    assert [row.text for row in inputs.rows()] == ["first", "second"]


@pytest.mark.parametrize("size", [2**20 + 5, 9 * 2**20])  # read as a whole, and in several pieces
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_row_over_the_limit_is_an_error_row_and_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    for module in (blocks, lines):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 2**20)
    big = "x" * size
    rows_of = {
        "a.txt": ["one", big, "three"],
        "a.csv": ["text", "one", f'"{big}\n{big}"', "three"],
        "a.jsonl": ['{"text": "one"}', json.dumps({"text": big}), '{"text": "three"}'],
    }
    path = tmp_path / name
    path.write_text("\n".join(rows_of[name]) + "\n")
    read = list(read_rows([path]))
    assert [row.text for row in read] == ["one", None, "three"]
    assert read[1].error is not None
    assert "more than" in read[1].error


@pytest.mark.parametrize("line", ["x y\n", 'x""y\n', ",\n", '""\n'])
def test_a_quoted_field_of_many_lines_over_the_limit_is_one_error_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    for module in (blocks, lines):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 2**18)
    monkeypatch.setattr(blocks, "_BITE", 2**16 + 1)  # bites end anywhere in a line
    looked_at = []
    is_open = Dialect.is_open
    monkeypatch.setattr(Dialect, "is_open", lambda *line: looked_at.append(1) or is_open(*line))
    path = tmp_path / "a.csv"
    field = line * (6 * 2**20 // len(line))
    path.write_text(f'id,text\n1,one\n2,"{field}"\n3,"three"\n4,four\n')
    read = list(open_inputs([path], options=ReadOptions(delimiter=",")).rows())
    assert [row.text for row in read] == ["one", None, "three", "four"]
    assert read[1].error == f"the row has {len(field) + 5:,} bytes, more than 0 MiB"
    if '"' not in line:
        assert len(looked_at) < 300_000  # of 1.5 or 3 million lines: those without a quote are passed over


@pytest.mark.parametrize("line", ["x y\n", 'x""y\n'])
def test_a_field_of_many_lines_is_read_in_the_memory_of_a_few_blocks(tmp_path: Path, line: str) -> None:
    count = (64 if line == "x y\n" else 24) * 2**20 // len(line)
    (tmp_path / "a.csv").write_text('id,text\n1,one\n2,"' + line * count + '"\n3,three\n')
    program = (
        "import resource; from edge_lstm.tables import read_rows;"
        "resource.setrlimit(resource.RLIMIT_DATA, (2**27, 2**27));"  # 128 MiB
        "print([row.text for row in read_rows(['a.csv'])])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "['one', None, 'three']\n", done.stderr


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.text(st.sampled_from('ab",\n'), max_size=9), min_size=1, max_size=6),
    st.text(st.sampled_from('ab",\n'), max_size=40),
    st.integers(1, 9),
    st.integers(1, 30),
)
def test_a_record_that_is_read_line_by_line_is_the_one_that_a_piece_begins_with(
    texts: list[str], rest: str, bite: int, limit: int
) -> None:
    import tempfile

    # Regular quotes, then any: which way a record is read makes no difference.
    data = "".join('"' + text.replace('"', '""') + '",1\n' for text in texts).encode() + rest.encode()
    expected = DIALECT.cut(data)[1][0]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "a.csv"
        path.write_bytes(data)
        patch.setattr(blocks, "_BITE", bite)
        stream = Stream(str(path), None)
        patch.setattr(blocks, "MAX_ROW_BYTES", limit)
        record, length, behind = blocks._long_record(stream, CsvLines(DIALECT, 2), stream.read(1))
        assert length == expected
        assert record == (data[:expected] if expected <= limit else None)
        assert behind + stream.read(2**20) == data[expected:]
        stream.close()


FIELD = st.text(st.sampled_from('ab",\n \r;é'), max_size=6)
DIALECT = Dialect()


@given(st.lists(st.lists(FIELD, min_size=2, max_size=4), min_size=1, max_size=5))
def test_records_and_fields_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    written = b"".join(DIALECT.line(field.encode() for field in row) + b"\n" for row in rows)
    records, ends = DIALECT.cut(written)
    assert ends[-1] == len(written)
    fields = [[value.decode() for value, _ in DIALECT.spans(record)] for record in records]
    assert fields == list(csv.reader(written.decode().splitlines(keepends=True)))
    assert fields == rows


@given(st.text(st.sampled_from('ab", '), max_size=12))
def test_even_a_badly_quoted_record_has_the_fields_that_the_csv_module_sees(record: str) -> None:
    spans = DIALECT.spans(record.encode())
    expected = next(csv.reader([record]), [""])
    assert [value.decode() for value, _ in spans] == (expected or [""])
    assert b",".join(raw for _, raw in spans) == record.encode()
    assert DIALECT.read(record.encode())[0] == [value for value, _ in spans]
    # An open record goes on in the next line, exactly when csv takes the next line too.
    reader = csv.reader([record + "\n", "next"])
    next(reader, None)
    goes_on = reader.line_num == 2
    assert DIALECT.is_open(record.encode() + b"\n", False) == DIALECT.read(record.encode())[1] == goes_on


@given(st.lists(st.text(st.sampled_from('ab", '), max_size=8), min_size=2, max_size=4))
def test_a_record_of_several_lines_ends_where_the_csv_module_ends_it(lines: list[str]) -> None:
    reader = csv.reader(line + "\n" for line in lines)
    next(reader, None)
    taken, is_open = 0, False
    for line in lines:
        taken += 1
        is_open = DIALECT.is_open(line.encode() + b"\n", is_open)
        if not is_open:
            break
    assert taken == reader.line_num


@settings(deadline=None)
@given(st.text(st.sampled_from('ab",\n\r'), max_size=60), st.integers(0, 2), st.integers(1, 20))
def test_records_and_texts_of_a_piece_are_those_of_its_lines_one_by_one(
    written: str, text: int, size: int
) -> None:
    data = written.encode()
    schema = Schema("csv", ("a", "b", "c"), text, DIALECT)
    expected, ends, begin, start, is_open = list[bytes](), list[int](), 0, 0, False
    for end in [match.end() for match in re.finditer(b"\n", data)]:
        is_open = DIALECT.is_open(data[start:end], is_open)
        start = end
        if not is_open:
            expected.append(strip_newline(data[begin:end]))
            ends.append(end)
            begin = end
    if begin < len(data):
        expected.append(strip_newline(data[begin:]))
    lines = CsvLines(DIALECT, 3)
    found = lines.cut(data)
    rows = [record for record in expected if record]
    assert found.records == rows
    for record, read in zip(rows, CSV.reader(schema)(data).texts):
        fields = [value for value, _ in DIALECT.spans(record)]
        _, never_closes = DIALECT.read(record)
        if never_closes or len(fields) != 3:
            assert read[0] is None and read[1] is not None
        else:
            assert read == (fields[text].decode(), None)
    # A part of a piece has the records that end in it.
    complete = [(record, end) for record, end in zip(expected, ends) if end <= size]
    part = lines.cut(data[:size], whole=False)
    assert list(zip(part.records, part.ends)) == [(record, end) for record, end in complete if record]
    assert part.complete == (complete[-1][1] if complete else 0)


@settings(deadline=None)
@given(
    st.lists(st.text(st.sampled_from('ab",\n'), max_size=8), max_size=12),
    st.integers(1, 4),
    st.integers(1, 20),
)
def test_reading_can_start_again_at_the_end_of_any_block(texts: list[str], rows: int, size: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_csv(path, [["text", "id"], *[[text, "1"] for text in texts]])
        whole = list(open_inputs([path]).blocks(rows=rows, size=size))
        for i, block in enumerate(whole):
            assert list(open_inputs([path]).blocks(block.start, rows=rows, size=size)) == whole[i:]
        assert list(open_inputs([path]).blocks(Position(0, path.stat().st_size), rows=rows)) == []


def test_a_line_end_is_stripped_once() -> None:
    assert strip_newline(b"a\r\n") == b"a"
    assert strip_newline(b"a\n\n") == b"a\n"


def test_a_pipe_gives_its_rows_as_they_come() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\nthr")
    live = open_inputs([f"/dev/fd/{reading}"], format="text").blocks()
    assert next(live).content == b"one\ntwo\n"
    os.write(writing, b"ee\n")
    assert next(live).content == b"three\n"
    os.close(writing)
    assert list(live) == []
    os.close(reading)
