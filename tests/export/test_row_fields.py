"""Training on rows with columns, numbers and JSON, from the command to the answer."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command, json_of, train
from edge_lstm_export import TextClassifier
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources import dataset_from, field_options, read_dataset

from edge_lstm import Classifier, DataError
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.serving.models import Models, Settings
from edge_lstm.serving.protocol import parse_texts

WORDS = ["late", "broken", "missing", "refund", "thanks", "great", "slow", "lost", "box", "courier"]


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Orders whose label is decided by which of two amounts is larger."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        amount = round(draw.lognormvariate(3, 1), 2)
        paid = round(amount * draw.choice([0.5, 1.2]), 2)
        made.append(
            {
                "subject": " ".join(draw.choices(WORDS, k=5)),
                "product": draw.choice(["lamp", "book"]),
                "amount": amount,
                "paid": paid,
                "label": "refund" if paid > amount else "remind",
            }
        )
    return made


def write(path: str | Path, table: list[dict[str, Any]]) -> Path:
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*table[0]])
        writer.writeheader()
        writer.writerows(table)
    return Path(path)


def nested(row: dict[str, Any]) -> dict[str, Any]:
    """The same order as the state of a request."""
    order = {"amount": row["amount"], "paid": row["paid"], "lines": [{"q": 1}, {"q": 2}]}
    return {"subject": row["subject"], "order": order}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """orders.csv, and m.onnx that was trained on it."""
    made = tmp_path_factory.mktemp("fields")
    write(made / "orders.csv", rows(80))
    columns = ("--text-column", "subject", "--field", "amount", "--field", "paid:number")
    options = (*columns, "--field", "product", "--preset", "tiny", "--epochs", "1")
    done = train(made / "orders.csv", "-o", made / "m.safetensors", *options)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()[-3:]] == [
        "linear, text alone",
        "linear, fields alone",
        "linear, both",
    ]
    command("export", made / "m.safetensors", "-o", made / "m.onnx", "--quantize", "int8")
    return made


def test_a_training_reads_its_fields_and_the_file_answers_by_them(folder: Path) -> None:
    classifier = Classifier.load(folder / "m.onnx")
    fields = classifier.model.fields
    assert fields is not None
    assert [(each.name, each.kind) for each in fields.fields] == [
        ("subject", "text"), ("product", "category"), ("amount", "number"), ("paid", "number"),
    ]  # fmt: skip
    assert fields.pairs == ((2, 3),)
    test = rows(40, seed=1)
    found = [each.label for each in classifier.predict(test)]
    assert np.mean([label == row["label"] for label, row in zip(found, test)]) > 0.9


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, trained on all columns of a shop's export, whose text is its last column."""
    made = tmp_path_factory.mktemp("shop")
    table = [
        {"Status note": f"{row['product']} {i % 7} {i % 11}", "label": row["label"], **row,
         "Customer comment": row["subject"]}
        for i, row in enumerate(rows(80))
    ]  # fmt: skip
    write(made / "shop.csv", [{k: v for k, v in row.items() if k != "subject"} for row in table])
    options = ("--fields", "all", "--text-column", "Customer comment", "--preset", "tiny")
    done = train(made / "shop.csv", "-o", made / "m.safetensors", *options, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    command("export", made / "m.safetensors", "-o", made / "m.onnx", "--quantize", "int8")
    return made


def test_the_text_that_is_named_is_the_text_at_every_door(shop: Path) -> None:
    model = shop / "m.onnx"
    classifier = Classifier.load(model)
    text = "late courier, great box"
    (expected,) = classifier.predict([{"Customer comment": text}])
    shown = " ".join(command("inspect", "-m", model).stdout.split())
    assert "Customer comment: text, and a plain text; Status note: text;" in shown

    assert classifier.predict([text])[0].to_json() == expected.to_json()
    done = command("predict", "-m", model, "--json", text)
    assert json.loads(done.stdout) == expected.to_json() and not done.stderr
    Path("one.txt").write_text(f"{text}\n")
    command("score", "one.txt", "-m", model, "-o", "o.jsonl")
    (line,) = map(json.loads, Path("o.jsonl").read_text().splitlines())
    assert line["probability"] == pytest.approx(expected.probability, abs=1e-6)
    asked = parse_texts(json.dumps({"texts": [text]}).encode())
    served = Models({"m": model}, Settings(OnnxRuntime()))
    (answers,) = served.classify(asked, [frozenset({"m"})])
    assert answers["m"].prediction.to_json() == expected.to_json()


def test_columns_that_cannot_help_are_left_out_each_with_its_reason() -> None:
    table = [
        {"Order No": 1000 + i, "Ticket": f"T-{i * 7}", "Mail": f"{'xy'[i % 2] * (i // 2 + 1)}@a.de",
         "Cents": i * i * 90 % 997, "Shop": "Berlin", "Item": row["product"].upper(),
         "Copy": row["amount"], "Note": "x" if i == 7 else "", **row}
        for i, row in enumerate(rows(60))
    ]  # fmt: skip
    source = write("rows.csv", table)
    shown = train(source, "--fields", "all", "--text-column", "subject", "--dry-run")
    said = " ".join((shown.stdout + shown.stderr).split())
    for line in (
        "Order No: left out: it is a key, another one in each row; --field 'Order No:number' keeps",
        "Ticket: left out: it is a key, another one in each row; --field Ticket:text keeps it",
        "Mail: left out: it is a key, another one in each row; --field Mail:text keeps it",
        "Shop: left out: all rows have the same",
        "product: left out: it repeats Item; --field product:category keeps it",
        "amount: left out: it repeats Copy; --field amount:number keeps it",
        "Note: left out: fewer than 5 rows have it; --field NAME:KIND keeps it",
    ):
        assert line in said, line
    kept = ["Order No:number", "Ticket:text", "product:category"]
    options = field_options(str(source), DataOptions(), ["subject"], kept, every=True)
    fields = read_dataset([str(source)], options).fields
    assert fields is not None
    assert {*fields.names} == {
        "subject", "Order No", "Ticket", "Cents", "product", "Copy", "paid",
    }  # fmt: skip


def test_texts_come_in_the_order_in_which_they_are_named() -> None:
    table = [{"a": f"x {i}", "b": f"y {i}", "c": f"z {i}", "label": "pn"[i % 2]} for i in range(30)]
    source = write("rows.csv", table)
    options = field_options(str(source), DataOptions(), ["c", "b"], every=True)
    fields = read_dataset([str(source)], options).fields
    assert fields is not None and fields.names == ("c", "b", "a")
    named = [{"text" if k == "b" else k: v for k, v in row.items()} for row in table]
    source = write("rows.csv", named)
    options = field_options(str(source), DataOptions(), every=True)
    fields = read_dataset([str(source)], options).fields
    assert fields is not None and fields.names[0] == "text"


def test_checkpoint_and_plan_show_the_fields(folder: Path) -> None:
    assert len(json_of("inspect", "-m", folder / "m.safetensors")["input"]["fields"]) == 4
    shown = train(folder / "orders.csv", "--fields", "all", "--dry-run").stdout
    assert "number, 15 edges (all values are numbers)" in shown
    assert "category, 2 values (each value in 5 rows or more)" in shown


def test_suggest_writes_the_rows_to_label(folder: Path) -> None:
    source = write("orders.csv", rows(30, seed=2))
    chosen = ("suggest", source, "-m", folder / "m.onnx", "-n", "3", "-o")
    assert "give -o suggestions.jsonl" in command(*chosen, "next.csv").error
    assert command(*chosen, "next.jsonl").returncode == 0
    lines = [json.loads(line) for line in Path("next.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert {*lines[0]} == {"subject", "product", "amount", "paid", "label"}


def test_kinds_are_found_in_nested_rows() -> None:
    lines = [{**nested(row), "label": row["label"], "when": "2026-01-0" + str(i % 9 + 1)}
             for i, row in enumerate(rows(60))]  # fmt: skip
    source = Path("rows.jsonl")
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = field_options(str(source), DataOptions(), every=True)
    dataset = read_dataset([str(source)], options)
    assert dataset.fields is not None
    found = {each.title: each.kind for each in dataset.fields.fields}
    assert found == {
        "subject": "text", "order.amount": "number", "order.paid": "number", "when": "number",
    }  # fmt: skip
    for path in ("order.lines", "order.lines.q"):
        assert f"{path}: left out: all rows have the same" in dataset.warnings
    (when,) = (each for each in dataset.fields.fields if each.name == "when")
    assert when.known[0] == "2026-01-01" and "when > 2026-01-08" in [*when.says()]


def fields_of(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """The fields of a table with these columns, by their names."""
    count = len(next(iter(columns.values())))
    table = [{name: values[i] for name, values in columns.items()} for i in range(count)]
    labels = ["x", "y"] * (count // 2)
    found = dataset_from([{key: value for key, value in row.items() if value is not None}
                          for row in table], labels).fields  # fmt: skip
    assert found is not None
    return {each.name: each for each in found.fields}


def test_a_category_has_at_most_50_values_each_in_five_rows() -> None:
    fifty = [f"v{i % 50}" for i in range(260)]
    found = fields_of(
        {
            "fifty": fifty,
            "one more": ["w50"] * 5 + fifty[5:255] + ["w51"] * 5,
            "a rare one": ["rare"] * 4 + ["often"] * 256,
            "in five": ["rare"] * 5 + ["often"] * 255,
            "of five rows": [f"{i % 3}" for i in range(5)] + [None] * 255,
            "of four rows": [f"{i % 3}" for i in range(4)] + [None] * 256,
        }
    )
    kinds = {name: field.kind for name, field in found.items()}
    assert kinds == {
        "fifty": "category", "one more": "text", "a rare one": "text", "in five": "category",
        "of five rows": "number",
    }  # fmt: skip
    assert len(found["fifty"].known) == 50


def test_a_number_has_15_edges_that_part_the_rows_evenly() -> None:
    draw = random.Random(0)
    amounts = [draw.lognormvariate(3, 2) for _ in range(320)]
    edges = fields_of({"amount": amounts})["amount"].known
    assert len(edges) == 15
    between = np.histogram(amounts, [-np.inf, *edges, np.inf])[0]
    assert between.min() >= 19 and between.max() <= 21
    assert len(fields_of({"amount": [1, 2, 3, 4] * 20})["amount"].known) == 3


def test_the_16_pairs_whose_order_differs_most_are_compared() -> None:
    draw = random.Random(0)
    columns: dict[str, list[Any]] = {f"n{i}": [draw.random() for _ in range(80)] for i in range(7)}
    columns["above"] = [2 + draw.random() for _ in range(80)]
    table = [{name: values[i] for name, values in columns.items()} for i in range(80)]
    found = dataset_from(table, ["x", "y"] * 40).fields
    assert found is not None and len(found.pairs) == 16
    place = found.names.index("above")
    assert not any(place in pair for pair in found.pairs), "always the larger one"


def test_numbers_that_are_none_are_counted_in_one_line() -> None:
    table = rows(60)
    for row in table[:7]:
        row["amount"] = "n/a"
    source = write("rows.csv", table)
    asked = field_options(str(source), DataOptions(), ["subject"], ["amount:number"])
    (warning,) = read_dataset([str(source)], asked).warnings
    assert warning == "amount: no number in 7 of 60 rows, such as n/a: they are read as unknown"
    plain = field_options(str(source), DataOptions(), ["subject"], ["amount"])
    fields = read_dataset([str(source)], plain).fields
    assert fields is not None and [each.kind for each in fields.fields] == ["text", "text"]


def test_a_number_field_of_other_values_is_an_error_at_that_field() -> None:
    table = [{**row, "Betrag €": str(row["amount"]).replace(".", ",") + " "} for row in rows(60)]
    source = write("rows.csv", table)
    error = train(source, "--field", "Betrag €:number", "--dry-run").error
    three = ", ".join(repr(row["Betrag €"]) for row in table[:3])
    assert f"Betrag €: 60 of 60 values are no numbers, such as {three} and 57 more; " in error
    assert error.endswith("as in 1234.5 or 2026-01-31, or give --field 'Betrag €:text'")


def test_a_number_that_half_of_the_rows_have_is_one_with_a_note() -> None:
    table = rows(60)
    for row in table[:30]:
        row["amount"] = "n/a"
    for without, said in ((30, "no number in 30 of 60 rows"), (31, "31 of 60 values are no num")):
        table[without - 1]["amount"] = "n/a"
        done = train(write("rows.csv", table), "--field", "amount:number", "--dry-run")
        assert said in " ".join((done.stdout + done.stderr).split())
        assert done.returncode == (without > 30)


def test_a_category_without_a_frequent_value_is_one_line() -> None:
    source = write("rows.csv", rows(60))
    done = train(source, "--field", "amount:category", "--field", "product", "--dry-run")
    assert "no value of amount is in 5 rows, so it is no category" in done.error


def test_a_field_that_no_row_has_names_the_nearest_first() -> None:
    source = write("rows.csv", rows(20))
    lines = [json.dumps({**nested(row), "body": "x", "label": row["label"]}) for row in rows(20)]
    Path("rows.jsonl").write_text("\n".join(lines))
    for file, options, said in (
        (source, "--field amont", "rows.csv has no column 'amont'; its columns are 'amount', "),
        (source, "--fields all --field amont:text", "its columns are 'amount', 'subject'"),
        (source, "--fields some", "--fields takes all"),
        (source, "--fields all --field paid:nmber", "NAME:KIND with the kind number (dates as 2"),
        (source, "--field paid:date", "--field paid:date: no field is of the kind 'date'; give "),
        ("rows.jsonl", "--field order.paid:date", "the kind number (dates as 2026-01-31, too), "),
        (source, "--field amont:date", "no column 'amont:date'"),
        ("rows.jsonl", "--field odrer", "no column 'odrer'; its columns are 'order', "),
        ("rows.jsonl", "--field order.piad", "'order.piad'; the rows have order.paid, "),
    ):
        assert said in train(file, "-o", "m.safetensors", *options.split()).error


def test_a_row_that_is_no_object_is_one_line_with_its_number() -> None:
    Path("rows.jsonl").write_text('{"n": 1, "label": "x"}\n{"n": NaN, "label": "y"}\n')
    error = train("rows.jsonl", "--fields", "all", "--dry-run").error
    assert "rows.jsonl row 2" in error and "NaN is not JSON" in error
    Path("rows.txt").write_text("__label__a late\n__label__b lost\n")
    assert "rows.txt has no columns" in train("rows.txt", "--fields", "all", "--dry-run").error


def test_the_requests_of_a_log_are_rows() -> None:
    source = Path("log.jsonl")
    log = [
        {"time": "2026-12-02T10:00:00Z", "text": "x", "state": nested(row), "model": "big",
         "label": row["label"], "because": {"label": {"why": "no file"}}}
        for row in rows(60)
    ]  # fmt: skip
    source.write_text("".join(json.dumps(line) + "\n" for line in log))
    for asked in ([], ["order.amount"]):
        options = DataOptions(label_column="label", left_out=("label",))
        options = field_options(str(source), options, fields=asked, every=not asked)
        fields = read_dataset([str(source)], options).fields
        assert fields is not None and "order.amount" in fields.names
        assert "model" not in fields.names


def test_dicts_and_data_frames_train_from_python() -> None:
    pandas = pytest.importorskip("pandas")
    table = rows(60)
    table[0]["paid"] = np.nan
    labels = [row.pop("label") for row in table]
    frame = pandas.DataFrame(table)
    assert dataset_from(frame, labels).train.texts == dataset_from(table, labels).train.texts
    model = TextClassifier("tiny", teacher="none", epochs=1).fit(frame, labels)
    assert model.score(table, labels) > 0.9
    assert (model.predict_proba(frame) == model.predict_proba(table)).all()
    assert len(model.predict_proba(frame[:0])) == 0


def test_a_model_of_one_text_column_is_as_before(folder: Path) -> None:
    alone = field_options("x.csv", DataOptions(), ["subject"])
    assert alone == DataOptions(text_column="subject")
    with pytest.raises(DataError, match="no field is left"):
        dataset_from([{"a": 1}] * 20, ["x", "y"] * 10)
