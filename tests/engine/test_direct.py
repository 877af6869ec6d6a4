"""Rows by the native engine alone: the same bytes as row by row, and the cells that the json module
reads."""

from __future__ import annotations

import csv
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kills import kill_at_random_moments

from edge_lstm import Classifier, RunOptions, ScoreOptions, score_files
from edge_lstm.scoring import direct
from edge_lstm.scoring.answers import Predictor
from edge_lstm.scoring.columns import plan_output
from edge_lstm.scoring.summary import Summary
from edge_lstm.scoring.worker import Worker
from edge_lstm.tables.compression import compressed, compression_of
from edge_lstm.tables.reader import FORMATS, Inputs, open_inputs
from tests.engine.conftest import HERE, PROJECT, SANITIZED, STRICT, Compile, finished, importable

# EDGE_LSTM_FILES=4000 compares that number of files, EDGE_LSTM_KILLS=50 ends a run as often.
FILES = int(os.environ.get("EDGE_LSTM_FILES", "200"))
KILLS = int(os.environ.get("EDGE_LSTM_KILLS", "2"))
FUZZ_SECONDS = int(os.environ.get("EDGE_LSTM_FUZZ_SECONDS", "2"))
MODULE = PROJECT / "engine" / "python" / "edge_lstm_native"

TEXTS = ["A wonderful film.", "Dull, and far too long!", "", "xqzzy wvvx", "漢字 é"]
WORDS = ["good", "bad", "film", "the", "never", "Übel", "漢字", "🎉", "", "\x7f", "don't", "dull,"]
# What files are made of: a name and its alternatives, '' for none. Those behind a question mark are
# for odd files. _ is perhaps white space.
JSON = r"""
row     {_"text"_:_<text>_} {_"id"_:_<value>_,_"text"_:_<text>_}
row     {_"text"_:_<text>_,_"n"_:_<value>_} {_"text"_:_<text>_,_"id"_:_<value>_,_"n"_:_<value>_}
row     _{_"n"_:_<value>_,_"text"_:_<text>_,_"id"_:_<value>_}_
?row    {_"text"_:_<value>_} {"n":_<value>} {} <value> '' {"\u0069d":<value>,"text":<text>}
?row    {"text":<text>,"label":<value>} {"text":"a","text":<text>} {"text":<text>,"漢":<value>}
?row    {"text":<text>,"id":1,"id":2} {"id":<value>,"text":<text>,"\u0069d":0}
text    "<word*30>" "<word*30>" "<word*30>" "<word*2000>"
?text   "<broken*3>"
value   "<word*4>" "<word*4>" <number> <number> true false null [_<items>_] {_<pairs>_}
?value  NaN Infinity -Infinity 01 1. .5 +1 True nul 'a' { ] <deep> "<broken*4>" {"a":1,"a":2}
number  0 -0 1E5 1.50 -1.5e-400 12345678901234567890.12 1e999 <digits>
items   '' <value> <value>_,_<value> <value>_,_<value>_,_<value>
pairs   '' "a"_:_<value> "b"_:_<value>_,_"c"_:_<value> "d"_:_<value>_,_"a"_:_<value>_,_"b"_:_<value>
word    good bad film the never Übel 漢字 🎉 '' <delete> don't dull,
word    \n \" \\ \/ \t \b \f \r \u00e9 \u0000 \u001F
word    \ud83c\udf89 \uD83D\uDE00 \u2028 \u0022 \u005c
broken  <word> <word> \ud800 \udc00 \ud83d\ud83d\ude00 \x \u12 <tab> <nul> " \ <byte> <half>
"""
CSV = """
row     <cell><comma><cell><comma><cell>
?row    <cell><comma><cell> <cell><comma><cell><comma><cell><comma><cell> '' 9<comma>"open
cell    <word*1> <word*2> <word*300> "<word*1>" "<quoted*2>" "<quoted*300>"
?cell   <return> a"b "a"b <byte> <half> <nul> " ,,, <mark>
quoted  good '' a,b ""no"" two<line>lines two<both>lines Übel x;y|z<tab>
word    good bad film Übel '' 漢字
"""
TEXT = """
row     '' <word*3> <word*9> <word*2000>
word    good bad film the never Übel 漢字 🎉 '' <delete> don't dull,
?row    <broken*9>
broken  <word> <word> <byte> <nul> <half> <return>
"""
PART = re.compile(r"<(?P<name>\w+)(\*(?P<most>\d+))?>|_")
DEEPEST = 6
CHARACTERS = {
    "nul": "\0",
    "tab": "\t",
    "line": "\n",
    "return": "\r",
    "both": "\r\n",
    "delete": "\x7f",
    "mark": "\ufeff",
    "byte": "\udcff",
    "half": "\udced\udca0\udc80",
    "digits": "9" * 400,
}
DEEP = ["[" * levels + "]" * levels for levels in (30, 40, 199, 201, 3000)]


class Writer:
    """Rows of a grammar as programs of several kinds write them, and damaged ones."""

    def __init__(self, grammar: str, seed: int, oddity: float | None = None) -> None:
        self.random = random.Random(seed)
        self.oddity = self.random.choice([0, 0, 0.02, 0.2]) if oddity is None else oddity
        self.end = self.random.choice(["\n", "\n", "\r\n"])
        self.comma = self.random.choice(",;\t|")
        space = self.random.choice([[""], [" "], ["", "", " ", "  ", "\t", "\r"]])
        self.rules = {"_": space, "comma": [self.comma], "deep": DEEP}
        self.rules |= {name: [character] for name, character in CHARACTERS.items()}
        for line in grammar.strip().splitlines():
            name, *alternatives = line.split()
            texts = [each.replace("''", "") for each in alternatives]
            self.rules[name] = self.rules.get(name, []) + texts

    def odd(self) -> bool:
        return self.random.random() < self.oddity

    def of(self, name: str, depth: int = 0) -> str:
        """A text of a rule; deep inside, its first alternative."""
        odd = self.rules.get(f"?{name}", [])
        alternatives = odd if odd and self.odd() else self.rules[name]
        chosen = self.random.choice(alternatives) if depth < DEEPEST else alternatives[0]
        if not PART.search(chosen):
            return chosen

        def made(found: re.Match[str]) -> str:
            if not found["most"]:
                return self.of(found["name"] or "_", depth + 1)
            count = self.random.randint(0, int(found["most"]))
            return " ".join(self.of(found["name"], depth + 1) for _ in range(count))

        return PART.sub(made, chosen)

    def row(self) -> str:
        row = self.of("row")
        if self.odd():
            place = self.random.randrange(len(row) + 1)
            damage = self.random.choice(
                ["\udcff", "\udced\udca0\udc80", "\udcc0", "}", '"', "", "\0"]
            )
            row = row[:place] + damage + row[place + self.random.randrange(3) :]
        return row

    def file(self, *first: str) -> bytes:
        """Lines that are valid, and others. With fewer valid ones, bytes that are not UTF-8 would
        be another encoding."""
        rows = [self.row() for _ in range(self.random.randint(1, 25))]
        lines = [*first, *rows, ""]
        return self.end.join(lines).encode("utf-8", "surrogateescape")


def json_file(seed: int, oddity: float | None = None) -> bytes:
    valid = '{"text": "good film é", "id": 1, "n": 2}'
    return Writer(JSON, seed, oddity).file(valid, valid, valid)


def csv_file(seed: int) -> bytes:
    writer = Writer(CSV, seed)
    mark = writer.random.choice(["", "", "\ufeff"])
    valid = writer.comma.join(["1", "good film é", "2"])
    return writer.file(mark + writer.comma.join(["id", "text", "n"]), valid, valid, valid)


def text_file(seed: int) -> bytes:
    return Writer(TEXT, seed).file("good film é", "good film é", "good film é")


def parquet_file(path: Path, seed: int) -> None:
    """Texts of each of Arrow's types for them; some are null or not UTF-8."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    chance = random.Random(seed)
    odd: list[bytes | None] = chance.choice([[], [], [None], [b"\xff", b"\xed\xa0\x80"]])
    words = [word.encode() for word in WORDS]
    texts = [b" ".join(chance.choices(words, k=chance.choice([0, 3, 9, 2_000]))) for _ in range(20)]
    values = arrow.array([*texts, *odd], arrow.binary())
    made = [arrow.string(), arrow.large_string(), arrow.binary(), arrow.dictionary]
    kind = chance.choice(made)
    if kind is arrow.dictionary:
        column = values.dictionary_encode()
    elif kind == arrow.string():
        # Not checked, as no reader of Parquet checks it.
        column = values.view(kind)
    else:
        column = values if kind == arrow.binary() else values.cast(kind, safe=not odd)
    table = arrow.table({"id": range(len(values)), "text": column, "n": [None, *values[1:]]})
    write_table(table, path, row_group_size=chance.choice([5, 100]))


SCORED = """
{}
{"threshold": 0.6}
{"all_probabilities": true, "top": 2}
{"keep": ["id", "text"]}
{"only_columns": ["id", "label"]}
{"only_columns": ["status"]}
{"only_label": ["pos"]}
{"threshold": 0.7, "only_abstained": true}
{"windows": true}
"""
# Other formats are written as they are read.
OF_OTHERS = """
{"only_columns": ["id", "n", "label"]}
{"only_columns": ["label"], "threshold": 0.7}
"""


def options_of(lines: str) -> list[ScoreOptions]:
    return [ScoreOptions(**json.loads(line)) for line in lines.strip().splitlines()]


OPTIONS = [("jsonl", options) for options in options_of(SCORED)]
OPTIONS_OF_ANY = options_of(SCORED + OF_OTHERS.strip())


@pytest.fixture(scope="module")
def classifier(installed: Path, tiny: Path) -> Iterator[Classifier]:
    with importable(installed):
        yield Classifier.load(tiny, engine="native")


def worker(
    classifier: Classifier, inputs: Inputs, written_as: str, options: ScoreOptions
) -> Worker:
    if "label" in inputs.schema.columns:  # then the added columns have other names
        options = replace(options, only_columns=None)
    models = {"": classifier.model}
    planned, output = plan_output(inputs.schema, models, options, written_as, "a file")
    return Worker(Predictor({"": classifier}, planned, None), output, "")


def scored(made: Worker, inputs: Inputs, limits: tuple[int, int]) -> tuple[bytes, dict[str, Any]]:
    data = b""
    summary = Summary()
    for chunk in inputs.chunks(limits):
        piece, part = made.score(chunk)
        data += piece
        summary.add(part)
    return data, summary.to_dict()


def compare(classifier: Classifier, path: Path, seed: int) -> tuple[bytes, int]:
    """Score a file directly and row by row. Return the output and the rows that took Python."""
    inputs = open_inputs([path])
    written_as, options = OPTIONS[seed % len(OPTIONS)]
    if inputs.format.name != "jsonl":
        written_as = inputs.format.name
        options = OPTIONS_OF_ANY[seed % len(OPTIONS_OF_ANY)]
    if inputs.format.name == "text":
        options = replace(options, keep=None, only_columns=None)
    limits = [(8192, 2**19), (3, 2**19), (8192, 500)][seed % 3]
    fast, slow = (worker(classifier, inputs, written_as, options) for _ in range(2))
    slow._direct = None
    one_by_one: list[int] = []
    row_by_row = fast._score

    def counted(chunk: Any) -> Any:
        one_by_one.append(chunk.count)
        return row_by_row(chunk)

    fast._score = counted  # type: ignore[method-assign]
    expected = scored(slow, inputs, limits)
    found = scored(fast, inputs, limits)
    if inputs.format.is_assembled:
        assert found[1] == expected[1], seed
        made = [assembled(path, slow, data) for data, _ in (found, expected)]
        assert made[0] == made[1], seed
    else:
        assert found == expected, (seed, path.read_bytes())
    return expected[0], sum(one_by_one)


def assembled(path: Path, made: Worker, data: bytes) -> bytes:
    """Return the file that a run makes of its chunks."""
    writing = FORMATS[made._output.format]
    partial = path.with_suffix(".partial")
    partial.write_bytes(writing.header(made._output) + data)
    with path.with_suffix(".made").open("wb") as output:
        writing.assemble(partial, output)
    return path.with_suffix(".made").read_bytes()


def write_file(path: Path, seed: int) -> None:
    if path.suffix == ".parquet":
        parquet_file(path, seed)
    else:
        files = {".jsonl": json_file, ".csv": csv_file, ".txt": text_file}
        path.write_bytes(files[path.suffix](seed))


# A Parquet file takes the time of twenty others.
@pytest.mark.parametrize(
    ("suffix", "files"),
    [(".jsonl", FILES), (".csv", FILES), (".txt", FILES), (".parquet", FILES // 10)],
)
def test_any_file_gets_the_bytes_that_it_gets_row_by_row(
    classifier: Classifier, tmp_path: Path, suffix: str, files: int
) -> None:
    path = tmp_path / f"a{suffix}"
    rows = 0
    for seed in range(files):
        write_file(path, seed)
        rows += compare(classifier, path, seed)[1]
    assert rows, "no row took Python"


def write_table(path: Path, texts: list[str]) -> None:
    """Numbered texts, as programs write them."""
    if path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table({"id": range(len(texts)), "text": texts}), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    elif path.suffix == ".txt":
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    else:
        lines = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)]
        path.write_bytes(compressed("".join(lines).encode(), compression_of(path.name)))


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".parquet"])
def test_rows_that_programs_write_take_no_python(
    classifier: Classifier, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    texts: list[Any] = ["good film", 'a "dull" film, and long', "", "漢字" * 900]
    if suffix == ".parquet":
        texts = [*texts, None, "good", None, None] * 20
    write_table(path, texts)
    for seed, options in enumerate(OPTIONS_OF_ANY):
        if options.only_columns is None and options.keep is None:
            assert compare(classifier, path, seed)[1] == 0


def test_the_cells_are_those_that_the_json_module_reads(
    classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    for seed in range(FILES):
        path.write_bytes(json_file(seed, oddity=0))
        data, taken_by_python = compare(classifier, path, 0)
        assert taken_by_python == 0
        for line, written in zip(path.read_bytes().split(b"\n"), data.split(b"\n"), strict=True):
            if line:
                row = json.loads(line, parse_int=str, parse_float=str)
                cells = json.loads(written, parse_int=str, parse_float=str)
                assert {name: cells[name] for name in row} == row
                probability = classifier.probabilities([row["text"]]).max()
                assert cells["probability"] == str(probability)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt", ".parquet", ".jsonl.zst"])
def test_kills_at_random_moments_and_resumes_give_the_same_bytes(
    installed: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / f"in{suffix}"
    write_table(path, [f"{TEXTS[i % len(TEXTS)]} {i}" for i in range(6_000)])
    environ = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{PROJECT}"}
    target = suffix.removeprefix(".")
    kill_at_random_moments(path, KILLS, target, seed=3, engine="native", environ=environ)


def test_rows_are_written_in_a_format_that_the_engine_does_not_write(
    classifier: Classifier, tmp_path: Path
) -> None:
    source = tmp_path / "a.jsonl"
    write_table(source, ["good, bad"])
    score_files(source, tmp_path / "a.csv", model=classifier, run=RunOptions(workers=1))
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["text"], row["label"]) == ("good, bad", classifier.predict(["good, bad"])[0].label)


def test_an_empty_cell_that_is_alone_has_quotes(classifier: Classifier, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    write_table(source, ["good", ""])
    options = ScoreOptions(only_columns=("text",))
    run = RunOptions(workers=1)
    score_files(source, tmp_path / "b.csv", model=classifier, options=options, run=run)
    assert (tmp_path / "b.csv").read_text().splitlines() == ["text", "good", '""']


def test_a_thousand_columns_are_written_row_by_row(classifier: Classifier, tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(1_024)]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "good", **dict.fromkeys(names)}) + "\n")
    inputs = open_inputs([path])
    made = worker(classifier, inputs, "jsonl", ScoreOptions(keep=tuple(names)))
    assert scored(made, inputs, (8192, 2**19))[1]["rows"] == 1


def test_probabilities_have_numpys_digits(classifier: Classifier) -> None:
    from edge_lstm_native import _engine

    rng = np.random.default_rng(1)
    bits = rng.integers(*np.array([1e-8, 1], np.float32).view(np.uint32), 20_000, np.uint32)
    powers = np.float32(2) ** np.arange(-26, 1, dtype=np.float32)
    decimals = np.array([k / 10**e for e in range(1, 8) for k in range(1, 10)], np.float32)
    values = np.concatenate([bits.view(np.float32), powers, decimals, np.arange(512) / 512])
    values = values.astype(np.float32)
    lines = b'{"text": ""}\n' * len(values)
    texts = _engine.json_lines(lines, 0, (b'"text"',), ())
    written = texts.write((("f", values.tobytes()), b"\n"), None).decode().splitlines()
    assert written == [str(value) for value in values]
    column = np.array([1e-9, 0.5, np.nextafter(np.float32(1), np.float32(2))], np.float32)
    _, table = direct._spelled(("f", column.tobytes()))
    assert [text.decode() for text in table] == [str(value) for value in column]


@pytest.mark.parametrize(
    "part", [(b"12345", (b"a",)), (b"\x01\0\0\0", (b"a",)), 5, ("f", b"123"), (1, 2, 3)], ids=str
)
def test_wrong_parts_are_refused(classifier: Classifier, part: Any) -> None:
    from edge_lstm_native import _engine

    texts = _engine.json_lines(b'{"text": "a"}\n', 0, (b'"text"',), ())
    for parts, chosen in (((part,), None), ((b"a",), b"12")):
        with pytest.raises((ValueError, TypeError)):
            texts.write(parts, chosen)


@pytest.mark.parametrize(
    "answers",
    [(b"1234567", b"\0", 1), (bytes(8), b"\0\0", 1), (bytes(8), b"\0", 0), (bytes(8), b"\0", 3)],
)
def test_answers_of_another_shape_are_refused(
    classifier: Classifier, answers: tuple[bytes, bytes, int]
) -> None:
    assert len(classifier.labels) == 2
    with pytest.raises(ValueError, match="no answers of this model"):
        classifier.native.decide(*answers, 0.5)


def test_equal_labels_stay_in_order_and_the_threshold_is_compared_in_float32(
    classifier: Classifier,
) -> None:
    session = classifier.native
    rows = np.array([[0.5, 0.5], [0.25, 0.75], [0.7, 0.3], [np.nan, np.nan]], np.float32)
    decided = session.decide(rows.tobytes(), bytes([0, 1, 3, 4]), 2, 0.7)
    (best, highest), (second, lowest) = decided.ranks
    numbers = (best, second, decided.labels, decided.statuses)
    assert [np.frombuffer(each, np.int32).tolist() for each in numbers] == [
        [0, 1, 0, 2],
        [1, 0, 1, 2],
        [2, 1, 0, 2],
        [5, 1, 3, 4],
    ]
    assert np.array_equal(np.frombuffer(highest, np.float32)[:3], rows.max(axis=1)[:3])
    assert np.array_equal(np.frombuffer(lowest, np.float32)[:3], rows.min(axis=1)[:3])
    assert decided.by_label == [1, 1] and decided.by_status == [0, 1, 0, 1, 1, 1]
    assert session.decide(rows.tobytes(), bytes(4), 1, 0.0) is None  # NaN of a text


def test_rows_are_read_and_written_within_their_memory(compiled: Compile) -> None:
    """EDGE_LSTM_FUZZ_SECONDS says how long."""
    names = ("jsonl.c", "csv.c", "rows.c")
    sources = [str(HERE / "fuzz_rows.c"), *(str(MODULE / name) for name in names)]
    program = compiled("gcc", *STRICT, *SANITIZED, f"-I{MODULE}", sources=sources)
    run = finished([program, str(FUZZ_SECONDS), "7"])
    assert run.returncode == 0, run.stdout + run.stderr
