"""Rows by the native engine alone: the same bytes as row by row, and the cells that the json module
reads."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
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
from tests.engine.conftest import HERE, PROJECT, SANITIZED, STRICT, Compile, importable

# EDGE_LSTM_FILES=4000 compares that number of files, EDGE_LSTM_KILLS=50 ends a run as often.
FILES = int(os.environ.get("EDGE_LSTM_FILES", "200"))
KILLS = int(os.environ.get("EDGE_LSTM_KILLS", "2"))
FUZZ_SECONDS = int(os.environ.get("EDGE_LSTM_FUZZ_SECONDS", "2"))
MODULE = PROJECT / "engine" / "python" / "edge_lstm_native"

TEXTS = ["A wonderful film.", "Dull, and far too long!", "", "xqzzy wvvx", "漢字 é"]
WORDS = ["good", "bad", "film", "the", "never", "Übel", "漢字", "🎉", "", "\x7f", "don't", "dull,"]
ESCAPES = [r"\n", r"\"", r"\\", r"\/", r"\t", r"\b", r"\f", r"\r", r"\u00e9", r"\u0000", r"\u001F"]
PAIRS = [r"\ud83c\udf89", r"\uD83D\uDE00", r"\u2028", r"\u0022", r"\u005c"]
BROKEN = [r"\ud800", r"\udc00", r"\ud83d\ud83d\ude00", r"\x", r"\u12", "\t", "\x00", '"', "\\"]
NUMBERS = ["0", "-0", "1E5", "1.50", "9" * 400, "-1.5e-400", "12345678901234567890.12", "1e999"]
NOT_JSON = ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "True", "nul", "'a'", "{", "]"]
SPACES = ["", "", "", " ", "  ", "\t", "\r"]


class Writer:
    """Lines of JSON as programs of several kinds write them, and damaged ones."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.oddity = self.random.choice([0, 0, 0.02, 0.3])
        self.spaces = self.random.choice([[""], [" "], SPACES])

    def odd(self) -> bool:
        return self.random.random() < self.oddity

    def space(self) -> str:
        return self.random.choice(self.spaces)

    def string(self, words: int = 4) -> str:
        chosen = [*WORDS, *ESCAPES, *PAIRS, *(BROKEN if self.odd() else [])]
        return '"' + " ".join(self.random.choices(chosen, k=self.random.randint(0, words))) + '"'

    def value(self, depth: int = 0) -> str:
        kind = self.random.randrange(9 if depth < 4 else 6)
        if self.odd():
            return self.random.choice(NOT_JSON)
        if kind < 2:
            return self.string()
        if kind < 4:
            return self.random.choice(NUMBERS)
        if kind < 6:
            return self.random.choice(["true", "false", "null"])
        if kind == 6 and self.odd():
            levels = self.random.choice([30, 40, 199, 201, 3000])
            return "[" * levels + "]" * levels
        if kind == 6:
            return self.joined(
                "[", [self.value(depth + 1) for _ in range(self.random.randrange(4))]
            )
        return self.object(
            [f'"{k}"' for k in self.random.sample("abcd", k=self.random.randrange(4))]
        )

    def joined(self, bracket: str, items: list[str]) -> str:
        inner = f"{self.space()},{self.space()}".join(items)
        return f"{bracket}{self.space()}{inner}{self.space()}{'}' if bracket == '{' else ']'}"

    def object(self, keys: list[str]) -> str:
        items = [f"{key}{self.space()}:{self.space()}{self.value(2)}" for key in keys]
        return self.joined("{", items)

    def row(self) -> bytes:
        text = self.value() if self.odd() else self.string(self.random.choice([30, 30, 30, 2_000]))
        items = [f'"text":{self.space()}{text}']
        for key in ("id", "n", r"\u0069d", "label", "text", "漢"):
            wanted = 0.6 if key in ("id", "n") else self.oddity / 2
            if self.random.random() < wanted:
                items.append(f'"{key}"{self.space()}:{self.space()}{self.value()}')
        if self.odd():
            items.pop(0)
        self.random.shuffle(items)
        line = self.space() + self.joined("{", items) + self.space()
        data = line.encode("utf-8", "surrogatepass")
        if self.odd() and data:
            place = self.random.randrange(len(data))
            damage = self.random.choice(
                [b"\xff", b"\xed\xa0\x80", b"\xc0", b"}", b'"', b"", b"\x00"]
            )
            data = data[:place] + damage + data[place + self.random.randrange(3) :]
        return data.replace(b"\n", b" ") + self.random.choice([b"\n", b"\n", b"\r\n"])

    def file(self) -> bytes:
        rows = [self.row() for _ in range(self.random.randint(1, 25))]
        # With fewer valid lines, bytes that are not UTF-8 would be another encoding.
        first = '{"text": "good film é", "id": 1, "n": 2}\n'.encode()
        return 3 * first + b"".join(rows)


CELLS = [
    "good",
    "bad film",
    "",
    "a, b",
    'say ""no""',
    "two\nlines",
    "two\r\nlines",
    "Übel",
    "x;y|z\t",
]
BAD_CELLS = ["\r", 'a"b', '"a"b', "\udcff", "\udced\udca0\udc80", "\0", '"', ",,,", "\ufeff"]


class CsvWriter:
    """Rows of CSV as programs of several kinds write them, and damaged ones."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.oddity = self.random.choice([0, 0, 0.02, 0.2])
        self.delimiter = self.random.choice(",;\t|")
        self.newline = self.random.choice(["\n", "\n", "\r\n"])
        self.quoted = self.random.choice([0, 0.3, 1])
        self.plain = self.random.random() < 0.3

    def odd(self) -> bool:
        return self.random.random() < self.oddity

    def cell(self) -> str:
        if self.odd():
            return self.random.choice(BAD_CELLS)
        text = " ".join(self.random.choices(CELLS, k=self.random.choice([1, 1, 2, 300])))
        if self.plain:
            return "".join(c for c in text if c not in f'"\r\n{self.delimiter}')
        is_special = any(c in text for c in f'"\r\n{self.delimiter}')
        return f'"{text}"' if is_special or self.random.random() < self.quoted else text

    def row(self) -> str:
        cells = [self.cell() for _ in range(self.random.choice([2, 4]) if self.odd() else 3)]
        newline = self.random.choice(["\n", "\r\n", "\n\n"]) if self.odd() else self.newline
        return self.delimiter.join(cells) + newline

    def file(self) -> bytes:
        first = self.delimiter.join(["id", "text", "n"]) + self.newline
        valid = self.delimiter.join(["1", "good film é", "2"]) + self.newline
        rows = "".join(self.row() for _ in range(self.random.randint(1, 25)))
        if self.odd():
            rows += f'9{self.delimiter}"open'
        mark = self.random.choice(["", "", "\ufeff"])
        return (mark + first + 3 * valid + rows).encode("utf-8", "surrogateescape")


def text_file(seed: int) -> bytes:
    """Lines, some of which are empty or not UTF-8."""
    chance = random.Random(seed)
    odd = chance.choice([[], [], ["\udcff", "\0", "\udced\udca0\udc80", "\r"]])
    lines = [
        " ".join(chance.choices([*WORDS, *odd], k=chance.choice([0, 3, 9, 2_000])))
        for _ in range(chance.randint(1, 25))
    ]
    newline = chance.choice(["\n", "\r\n"])
    text = newline.join([*3 * ["good film é"], *lines]) + chance.choice(["", newline])
    return text.encode("utf-8", "surrogateescape")


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


OPTIONS: list[tuple[str, ScoreOptions]] = [
    ("jsonl", ScoreOptions()),
    ("jsonl", ScoreOptions(threshold=0.6)),
    ("jsonl", ScoreOptions(all_probabilities=True, top=2)),
    ("jsonl", ScoreOptions(keep=("id", "text"))),
    ("jsonl", ScoreOptions(only_columns=("id", "label"))),
    ("jsonl", ScoreOptions(only_columns=("status",))),
    ("jsonl", ScoreOptions(only_label=("pos",))),
    ("jsonl", ScoreOptions(threshold=0.7, only_abstained=True)),
    ("attributes", ScoreOptions()),
    ("jsonl", ScoreOptions(windows=True)),
]
# Other formats are written as they are read.
OPTIONS_OF_ANY = [
    *(options for written_as, options in OPTIONS if written_as == "jsonl"),
    ScoreOptions(only_columns=("id", "n", "label")),
    ScoreOptions(only_columns=("label",), threshold=0.7),
]


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
    assert fast._direct is not None
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
        return
    files = {".jsonl": Writer(seed).file, ".csv": CsvWriter(seed).file}
    path.write_bytes(files[path.suffix]() if path.suffix in files else text_file(seed))


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
        writer = Writer(seed)
        writer.oddity = 0
        path.write_bytes(writer.file())
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
    kill_at_random_moments(path, KILLS, target, seed=3, provider="native", environ=environ)


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
    "call",
    [
        lambda texts: texts.write(((b"12345", (b"a",)),), None),
        lambda texts: texts.write(((b"\x01\0\0\0", (b"a",)),), None),
        lambda texts: texts.write((5,), None),
        lambda texts: texts.write((("f", b"123"),), None),
        lambda texts: texts.write(((1, 2, 3),), None),
        lambda texts: texts.write((b"a",), b"12"),
    ],
)
def test_wrong_parts_are_refused(classifier: Classifier, call: Callable[[Any], bytes]) -> None:
    from edge_lstm_native import _engine

    texts = _engine.json_lines(b'{"text": "a"}\n', 0, (b'"text"',), ())
    with pytest.raises((ValueError, TypeError)):
        call(texts)


@pytest.mark.parametrize(
    "answers",
    [(b"1234567", b"\0", 1), (bytes(8), b"\0\0", 1), (bytes(8), b"\0", 0), (bytes(8), b"\0", 3)],
)
def test_answers_of_another_shape_are_refused(
    classifier: Classifier, answers: tuple[bytes, bytes, int]
) -> None:
    assert classifier.native is not None and len(classifier.labels) == 2
    with pytest.raises(ValueError, match="no answers of this model"):
        classifier.native.decide(*answers, 0.5)


def test_equal_labels_stay_in_order_and_the_threshold_is_compared_in_float32(
    classifier: Classifier,
) -> None:
    session = classifier.native
    assert session is not None
    rows = np.array([[0.5, 0.5], [0.25, 0.75], [0.7, 0.3], [np.nan, np.nan]], np.float32)
    decided = session.decide(rows.tobytes(), bytes([0, 1, 3, 4]), 2, 0.7)
    assert decided is not None
    (best, highest), (second, lowest) = decided.ranks
    assert np.frombuffer(best, np.int32).tolist() == [0, 1, 0, 2]
    assert np.frombuffer(second, np.int32).tolist() == [1, 0, 1, 2]
    assert np.array_equal(np.frombuffer(highest, np.float32)[:3], rows.max(axis=1)[:3])
    assert np.array_equal(np.frombuffer(lowest, np.float32)[:3], rows.min(axis=1)[:3])
    assert np.frombuffer(decided.labels, np.int32).tolist() == [2, 1, 0, 2]
    assert np.frombuffer(decided.statuses, np.int32).tolist() == [5, 1, 3, 4]
    assert decided.by_label == [1, 1] and decided.by_status == [0, 1, 0, 1, 1, 1]
    assert session.decide(rows.tobytes(), bytes(4), 1, 0.0) is None  # NaN of a text


def test_rows_are_read_and_written_within_their_memory(compiled: Compile) -> None:
    """EDGE_LSTM_FUZZ_SECONDS says how long."""
    names = ("jsonl.c", "csv.c", "rows.c")
    sources = [str(HERE / "fuzz_rows.c"), *(str(MODULE / name) for name in names)]
    program = compiled("gcc", *STRICT, *SANITIZED, f"-I{MODULE}", sources=sources)
    run = subprocess.run([program, str(FUZZ_SECONDS), "7"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
