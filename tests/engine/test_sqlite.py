"""engine/sqlite and edge_lstm.sqlite: SQL classifies as predict does, whoever made the schema."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import Classifier, Policy
from edge_lstm.core.decide import STATUSES, decide
from edge_lstm.core.modelfile import embedded_model
from edge_lstm.printable import to_json
from edge_lstm.sqlite import register
from tests.engine.conftest import (
    ENGINE,
    HERE,
    NO_COMPILER,
    PROJECT,
    RECORDS,
    finished,
    importable,
)
from tests.model_files import DATA, compact, curve, edited, multi_label
from tests.ports.test_field_bits import model as fields_file  # noqa: F401
from tests.ports.texts import VOCABULARY

ENTRY = "sqlite3_edgelstmsqlite_init"
SANITIZED = ("-O1", "-g", "-fno-sanitize-recover=all")
UNSURE = curve((0, 99, 30), (0.7, 60, 1), default=0.1)
MODELS = {
    "choice": edited(),
    "abstains": edited({"abstention": compact(json.loads(UNSURE))}),
    "several": edited(multi_label([0.35, 0.625])),
    "score": edited({"labels": compact(["10", "-2.5"]), "question": compact({"type": "score"})}),
    "quoted": edited({"labels": compact(['a "quoted" é', "\\back"])}),
}
Build = Callable[..., Path]
Query = Callable[..., list[str]]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A function: compiler, flags → the extension, by make, without a warning."""

    @functools.cache
    def make(compiler: str, *flags: str) -> Path:
        if not shutil.which(compiler):
            pytest.skip(NO_COMPILER if compiler == "gcc" else f"no {compiler}")
        folder = tmp_path_factory.mktemp("sqlite") / "engine"
        shutil.copytree(ENGINE, folder, ignore=shutil.ignore_patterns("*.so", "python", "js"))
        command = ["make", "-C", folder, "sqlite", f"CC={compiler}"]
        run = finished([*command, f"CFLAGS=-Werror {' '.join(flags)}"])
        if "no sqlite3ext.h" in run.stderr:
            pytest.skip(run.stderr.splitlines()[0])
        assert run.returncode == 0, run.stderr
        return next(folder.glob("edge_lstm_sqlite.*"))

    return make


@pytest.fixture
def query(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Query:
    """A function: SQL → what the shell prints, its errors last. Its folder has ``m.onnx``."""
    if not shutil.which("sqlite3"):
        pytest.skip("no sqlite3")
    extension = build("gcc", "-O1")
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(DATA)

    def run(*statements: str, database: str = "t.db", allow: bool = True) -> list[str]:
        load = f".load {extension} {ENTRY}"
        allowed = ["SELECT allow_model('m.onnx') IS NULL"] if allow else []
        lines = "\n".join([load, *(f"{each};" for each in (*allowed, *statements))])
        result = finished(["sqlite3", "-batch", database], input=lines, timeout=60)
        rows = result.stdout.splitlines()[len(allowed) :]
        return rows + re.findall("^\\w+ error .*", result.stderr, re.MULTILINE)

    return run


def texts_of(count: int) -> list[str]:
    """Texts of words, of several scripts and of nothing, well formed, none with a NUL."""
    rng = random.Random(82)
    made = [record.decode("utf-8", "replace").replace("\0", " ") for record in RECORDS]
    while len(made) < count:
        made.append(" ".join(rng.choices(VOCABULARY, k=rng.randint(0, 30))).replace("\0", " "))
    return made


def filled(path: str, texts: Sequence[str | bytes | None]) -> None:
    """A database with a table of texts."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)")
        database.executemany("INSERT INTO texts (text) VALUES (?)", [(text,) for text in texts])


def test_clang_builds_it_without_a_warning_too(build: Build) -> None:
    assert build("clang", "-O0").stat().st_size > 0


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_predict(query: Query, name: str) -> None:
    texts = texts_of(1000)
    filled("t.db", [*texts, None])
    Path("m.onnx").write_bytes(MODELS[name])
    classifier = Classifier.load("m.onnx")
    expected = classifier.predict(texts)
    rows = query("SELECT classify_json(text, 'm.onnx') FROM texts ORDER BY id")
    assert rows.pop() == ""
    answers = [json.loads(row) for row in rows]
    chances = np.array([[*each["probabilities"].values()] for each in answers], np.float32)
    right = [[*each.probabilities.values()] for each in expected]
    assert chances == pytest.approx(np.array(right), abs=2e-6)
    # What is decided and written of these probabilities is the same to the last digit.
    read = classifier.predict(texts, threshold=0) if name == "abstains" else expected
    codes = bytes(STATUSES.index(each.status) for each in read)
    policy = Policy.of(classifier.model)
    decided = decide(classifier.model, policy, chances.tobytes(), codes).predictions
    if name == "score":
        for answer, prediction in zip(answers, decided, strict=True):
            value = answer.pop("score")
            same = prediction.to_json()
            assert value == pytest.approx(same.pop("score"), abs=1e-9)
            assert answer == same
    else:
        assert rows == [to_json(each.to_json()) for each in decided]
    labels = ["" if each.label is None else "|".join(each.labels) for each in decided]
    assert query("SELECT classify(text, 'm.onnx') FROM texts ORDER BY id") == [*labels, ""]
    statuses = {each.status for each in decided}
    assert statuses >= {"ok", "truncated", "abstained" if name == "abstains" else "empty"}
    label = classifier.labels[1].replace("'", "''")
    least = query(
        f"SELECT max(abs(probability(text, '{label}', 'm.onnx') - json_extract("
        f"classify_json(text, 'm.onnx'), '$.probabilities.\"' || '{label}' || '\"'))) FROM texts"
    )
    assert name == "quoted" or float(least[0]) < 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_python_answers_as_predict(name: str, tmp_path: Path) -> None:
    texts = texts_of(120)[-40:]
    path = tmp_path / "m.onnx"
    path.write_bytes(MODELS[name])
    classifier = Classifier.load(path)
    connection = sqlite3.connect(":memory:")
    register(connection, path, others=[embedded_model()])
    label = classifier.labels[0]
    for text, expected in zip(texts, classifier.predict(texts, batch_size=1), strict=True):
        row = connection.execute(
            "SELECT classify(?1), probability(?1, ?2), classify_json(?1), classify(?1, ?3)",
            (text, label, f"{path}#{classifier.model.sha256()}"),
        ).fetchone()
        label_ = None if expected.label is None else "|".join(expected.labels)
        assert row[:2] == (label_, expected.probabilities[label]) and row[3] == label_
        # A score is a sum, which NumPy may order otherwise in a batch.
        assert row[2] == to_json(expected.to_json()) or name == "score"
    row = connection.execute(
        "SELECT classify(NULL), probability(NULL, ?), classify_json(NULL)", (label,)
    )
    assert row.fetchone() == (None, None, None)
    others = "SELECT classify('A wonderful film.', ?1), classify('A wonderful film.', ?1, 0.999)"
    assert connection.execute(others, (str(embedded_model()),)).fetchone() == ("pos", None)
    for wrong in ("classify(1)", "classify('a', 'b')", "probability('a', 'b')", "classify(x'00')"):
        with pytest.raises(sqlite3.OperationalError, match="user-defined function"):
            connection.execute(f"SELECT {wrong}")
    with pytest.raises(sqlite3.OperationalError, match="non-deterministic"):
        connection.executescript("CREATE TABLE t (a); CREATE INDEX i ON t (classify(a))")
    connection.execute("CREATE INDEX i ON t (classify(a, 'm#0'))")  # only a row calls it


def test_an_index_a_stored_column_and_a_trigger(query: Query) -> None:
    model = f"m.onnx#{Classifier.load('m.onnx').model.sha256()}"
    texts = [text.replace("'", "''") for text in texts_of(300) if "\n" not in text]
    schema = f"""
        CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT, label TEXT,
                            stored AS (classify(text, '{model}')) STORED);
        CREATE INDEX labels ON texts (classify(text, '{model}'));
        CREATE TRIGGER labelled AFTER INSERT ON texts BEGIN
            UPDATE texts SET label = classify(new.text, '{model}') WHERE id = new.id;
        END"""
    values = ", ".join(f"('{text}')" for text in texts)
    assert query(schema, f"INSERT INTO texts (text) VALUES {values}") == []
    count = f"SELECT count(*) FROM texts WHERE classify(text, '{model}') = 'pos'"
    (found,) = query(count)
    assert 0 < int(found) < len(texts)
    assert "INDEX labels" in query(f"EXPLAIN QUERY PLAN {count}")[-1]
    dump = finished(["sqlite3", "t.db", ".dump"]).stdout
    assert query(dump, count, database="again.db") == [found]
    same = "SELECT sum(stored = label AND label = classify(text, 'm.onnx')) = count(*) FROM texts"
    assert query("VACUUM", "REINDEX", "PRAGMA integrity_check", same, count) == ["ok", "1", found]
    # With another file in its place no row can be written, and the error says why.
    Path("m.onnx").write_bytes(MODELS["quoted"])
    (error,) = query("INSERT INTO texts (text) VALUES ('good')")
    digest = Classifier.load("m.onnx").model.sha256()
    assert "reindex" in error and digest in error
    insert = "INSERT INTO texts (text) VALUES ('good')"
    assert "function: classify" in finished(["sqlite3", "t.db", insert]).stderr


def test_the_page_shows_sql_that_runs(query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_LSTM_MODEL", "m.onnx")
    page = (PROJECT / "docs" / "how-to" / "sql.md").read_text(encoding="utf-8")
    sql = "\n".join(re.findall("```sql\n(.*?)```", page, re.DOTALL))
    sql = re.sub(r"^\.load .*", "", sql, flags=re.MULTILINE).replace("tickets.onnx", "m.onnx")
    sql = sql.replace("DIGEST", Classifier.load("m.onnx").model.sha256()).replace("billing", "pos")
    tickets = "CREATE TABLE tickets (id INTEGER PRIMARY KEY, body TEXT, label TEXT)"
    rows = query(tickets, "INSERT INTO tickets (body) VALUES ('good'), ('bad'), (NULL)", sql)
    assert rows and not any("error" in row for row in rows)
    insert = "INSERT INTO tickets (body) VALUES ('good')"
    assert query(insert, "SELECT label FROM tickets WHERE id = 4")[0] in ("neg", "pos")


HOSTILE = {
    "view": ("CREATE VIEW v{0} AS SELECT {1}",),
    "check": ("CREATE TABLE v{0} (x, CHECK ({1}))", "INSERT INTO v{0} VALUES (1)"),
    "trigger": (
        "CREATE TABLE v{0} (x)",
        "CREATE TRIGGER t{0} AFTER INSERT ON v{0} BEGIN SELECT {1}; END",
        "INSERT INTO v{0} VALUES (1)",
    ),
    "default": ("CREATE TABLE v{0} (x, y DEFAULT ({1}))", "INSERT INTO v{0} (x) VALUES (1)"),
    "column": ("CREATE TABLE v{0} (x, y AS ({1}))", "INSERT INTO v{0} (x) VALUES (1)"),
    "index": (
        "CREATE TABLE v{0} (x)",
        "CREATE INDEX i{0} ON v{0} ({1})",
        "INSERT INTO v{0} VALUES (1)",
    ),
}
CALLS = [
    call.format(path)
    for path in ("secret.onnx", "missing.onnx", "/etc/passwd", "m.onnx\n/etc/passwd")
    for call in (
        "allow_model('{}')",
        "classify('good', '{}')",
        "classify_json('good', '{}')",
        "probability('good', 'pos', '{}')",
    )
]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("trusted", ["ON", "OFF"])
def test_a_hostile_schema_opens_no_file(query: Query, kind: str, trusted: str) -> None:
    Path("secret.onnx").write_bytes(DATA)
    trust = f"PRAGMA trusted_schema = {trusted}"
    schema = [each.format(i, call) for i, call in enumerate(CALLS) for each in HOSTILE[kind]]
    uses = [each for each in schema if each.startswith("INSERT")]
    reads = [f"SELECT * FROM v{i}" for i in range(len(CALLS))]
    every = query(trust, *schema)
    every += query(trust, *uses, *reads, "PRAGMA integrity_check", "SELECT 'lives'")
    errors = [row for row in every if "error" in row]
    assert "lives" in every and len(errors) >= len(CALLS)
    # Nor does it learn whether there is such a file.
    refused = (
        "is not allowed",
        "unsafe use of allow_model",
        "no other statement runs",
        "non-deterministic",
        "no such table",
        "already exists",
        "prohibited",
    )
    for error in errors:
        assert any(reason in error for reason in refused), error


WRONG = {
    "SELECT classify(x'6131', 'm.onnx')": "CAST it AS TEXT",
    "SELECT classify(7, 'm.onnx')": "CAST it AS TEXT",
    "SELECT classify(1.5, 'm.onnx')": "CAST it AS TEXT",
    "SELECT classify(CAST(x'61ff' AS TEXT), 'm.onnx')": "not UTF-8",
    "SELECT classify(CAST(x'eda080' AS TEXT), 'm.onnx')": "not UTF-8",
    "SELECT classify('a')": "EDGE_LSTM_MODEL",
    "SELECT classify('a', NULL)": "EDGE_LSTM_MODEL",
    "SELECT classify('a', 'other.onnx')": "not allowed",
    "SELECT classify('a', 'm.onnx', 2)": "from 0 to 1",
    "SELECT classify('a', 'm.onnx', 'x')": "from 0 to 1",
    "SELECT classify('a', 'm.onnx', -1)": "from 0 to 1",
    "SELECT probability('a', 'nix', 'm.onnx')": "no label 'nix'",
    "SELECT probability('a', NULL, 'm.onnx')": "no label NULL",
    "SELECT allow_model('missing.onnx')": "not a file",
    "SELECT allow_model('.')": "not a file",
    "SELECT allow_model('/dev/zero')": "not a file",
    "SELECT allow_model(NULL)": "not a file",
    "SELECT allow_model('t.db')": "the model t.db: ",
    "SELECT allow_model('cut.onnx')": "the model cut.onnx: ",
    "CREATE TABLE g (a, b AS (classify(a)))": "non-deterministic",
    f"SELECT classify('a', 'm.onnx#{'0' * 64}')": "reindex",
}


def test_a_wrong_use_is_an_error_of_one_line(query: Query) -> None:
    Path("cut.onnx").write_bytes(DATA[:-1])
    filled("t.db", ["good"])
    for statement, reason in WRONG.items():
        rows = query(statement, "SELECT classify('good', 'm.onnx') NOT NULL")
        assert rows[0] == "1" and len(rows) == 2 and reason in rows[1], (statement, rows)
    Path("m.onnx").write_bytes(MODELS["several"])
    assert "several labels" in query("SELECT classify('a', 'm.onnx', 0.5)")[0]


def test_a_model_with_fields_reads_an_object(
    query: Query,
    fields_file: Path,  # noqa: F811
) -> None:
    Path("m.onnx").write_bytes(fields_file.read_bytes())
    texts = ('{"t":"a good film","n":2.5}', '{"t":"a good film","n":-9}', "a good film")
    calls = [f"SELECT classify_json('{text}', 'm.onnx')" for text in texts]
    made = "SELECT classify_json(json_object('t', 'a good film', 'n', 2.5), 'm.onnx')"
    *rows, error = query(*calls, made, "SELECT classify('{\"t\":', 'm.onnx')")
    assert "not the JSON object" in error and rows[0] == rows[3]
    expected = [[*p.probabilities.values()] for p in Classifier.load("m.onnx").predict(texts)]
    found = [[*json.loads(row)["probabilities"].values()] for row in rows[:3]]
    assert np.array(found) == pytest.approx(np.array(expected), abs=2e-6)
    assert found[0] != found[1]


def test_python_s_native_engine_has_the_same_bits(query: Query, installed: Path) -> None:
    texts = texts_of(500)
    filled("t.db", texts)
    with importable(installed), sqlite3.connect("t.db") as connection:
        register(connection, "m.onnx", engine="native")
        ask = "SELECT classify_json(text) FROM texts ORDER BY id"
        found = [row[0] for row in connection.execute(ask)]
    assert query(ask.replace("(text)", "(text, 'm.onnx')")) == found


WRITER = """
import sqlite3, sys
from edge_lstm.sqlite import register

connection = sqlite3.connect("t.db", timeout=60, isolation_level=None)
register(connection, "m.onnx", engine="native")
for text in sys.stdin.read().splitlines():
    connection.execute("INSERT INTO texts VALUES (?)", (text,))
"""


def test_two_processes_write_one_index(query: Query, installed: Path) -> None:
    """One by the extension, one in Python: each finds its answers in what the other wrote."""
    model = f"m.onnx#{Classifier.load('m.onnx').model.sha256()}"
    index = f"CREATE INDEX answers ON texts (classify_json(text, '{model}'))"
    assert query("CREATE TABLE texts (text)", index) == []
    words = random.Random(9)
    texts = [" ".join(words.choices(["good", "bad", "film", "never"], k=9)) for _ in range(100)]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    line = [sys.executable, "-c", WRITER]
    with subprocess.Popen(line, stdin=subprocess.PIPE, text=True, env=environment) as python:
        assert python.stdin is not None
        python.stdin.write("\n".join(texts))
        python.stdin.close()
        inserts = [f"INSERT INTO texts VALUES ('{text}')" for text in texts]
        assert query("PRAGMA busy_timeout = 60000", *inserts) == ["60000"]
    assert python.returncode == 0
    check = "PRAGMA integrity_check"
    assert query("SELECT count(*) FROM texts", check) == ["200", "ok"]
    with importable(installed), sqlite3.connect("t.db") as connection:
        register(connection, "m.onnx", engine="native")
        assert connection.execute(check).fetchall() == [("ok",)]


def test_the_environment_names_a_model(query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_LSTM_MODEL", "m.onnx")
    both = "SELECT classify('good') = classify('good', 'm.onnx'), classify_json('') NOT NULL"
    assert query(both, allow=False) == ["1|1"]
    monkeypatch.setenv("EDGE_LSTM_MODEL", "missing.onnx")
    (error,) = query("SELECT classify('good')", allow=False)
    assert "the model missing.onnx" in error


def test_a_text_of_100_mb(query: Query) -> None:
    huge = "replace(printf('%.*c', 20000000, 'x'), 'x', 'good ')"
    rows = query(f"SELECT classify({huge}, 'm.onnx') NOT NULL", "SELECT 'lives'")
    assert rows == ["1", "lives"]


def test_too_little_memory_is_an_error(query: Query) -> None:
    Path("large.onnx").write_bytes(embedded_model().read_bytes())
    outcomes = set()
    for limit in range(1_000_000, 2_600_000, 100_000):
        rows = query(
            f"PRAGMA hard_heap_limit = {limit}",
            "SELECT allow_model('large.onnx')",
            "SELECT length(classify_json('good', 'large.onnx')) > 64",
            "SELECT 'lives'",
        )
        assert "lives" in rows
        is_open = len(rows[1]) == 64
        outcomes.add(is_open)
        assert is_open or "memory" in rows[2], rows
    assert outcomes == {True, False}


@pytest.mark.slow
def test_twenty_threads_with_a_connection_each(build: Build, tmp_path: Path) -> None:
    """Under the thread sanitizer."""
    extension = build("gcc", *SANITIZED, "-fsanitize=thread")
    program = tmp_path / "threads"
    source = [str(HERE / "sql_threads.c"), "-lsqlite3", "-lpthread"]
    run = finished(["gcc", "-std=c99", *SANITIZED, "-fsanitize=thread", "-o", program, *source])
    assert run.returncode == 0, run.stderr
    database = tmp_path / "t.db"
    texts = texts_of(100)
    filled(str(database), texts)
    (tmp_path / "m.onnx").write_bytes(DATA)
    run = finished([program, extension, database, tmp_path / "m.onnx", "20"])
    assert run.returncode == 0 and not run.stderr, run.stderr[-3000:]
    assert run.stdout.count('"status"') == len(texts)


@pytest.mark.slow
def test_hostile_texts_under_the_sanitizers(build: Build, tmp_path: Path) -> None:
    extension = build("gcc", *SANITIZED, "-fsanitize=address,undefined")
    rng = random.Random(5)
    texts: list[bytes] = []
    while len(texts) < 5000:
        record = bytearray(rng.choice(RECORDS))
        for _ in range(rng.randint(0, 8)):
            at = rng.randint(0, len(record))
            record[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 4))
        texts.append(bytes(record))
    database = tmp_path / "t.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)")
        rows = ((text,) for text in texts)
        connection.executemany("INSERT INTO texts (text) VALUES (CAST(? AS TEXT))", rows)
    lines = [f".load {extension} {ENTRY}"]
    for number, (name, data) in enumerate(MODELS.items()):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(data)
        lines.append(f"SELECT allow_model('{path}');")
        both = f"SELECT classify_json(text, '{path}'), classify(text, '{path}') FROM texts"
        # Each file gets a share of them: an error ends its statement.
        lines += [f"{both} WHERE id = {i + 1};" for i in range(number, len(texts), len(MODELS))]
    library = finished(["gcc", "-print-file-name=libasan.so"]).stdout.strip()
    environment = {**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}
    run = subprocess.run(
        ["sqlite3", "-batch", database],
        input="\n".join(lines).encode(),
        capture_output=True,
        env=environment,
    )
    errors = [line for line in run.stderr.splitlines() if b"the text is not UTF-8" not in line]
    assert not errors, errors[:20]
    valid = sum(1 for text in texts if text.decode("utf-8", "replace").encode() == text)
    assert run.stdout.count(b'"status"') == valid and 500 < valid < 4500
