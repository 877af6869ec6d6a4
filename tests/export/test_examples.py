"""What a checkpoint, a model file and a page hold of the texts of the data: none, unless a person
asks."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from cases import raw, rows
from commands import command, train
from edge_lstm_export import TextClassifier
from edge_lstm_export.checkpoint.checkpoint import load_checkpoint
from edge_lstm_export.onnx.golden import ORDERS, golden_texts
from made import (
    checkpoint_file,
    make_checkpoint,
    model_at,
    model_of,
    write_csv,
)

from edge_lstm.core.text import Tokenizer
from edge_lstm.doctor.checks import examine
from edge_lstm.errors import DataError
from edge_lstm.tables.examples import read_examples

PROJECT = Path(__file__).parents[2]
SYLLABLES = ["ba", "de", "fi", "go", "lu", "me", "ni", "po", "ra", "su", "ti", "vo"]
VOCABULARY = [a + b + c for a in SYLLABLES[:5] for b in SYLLABLES for c in SYLLABLES[:3]]
EXAMPLES = ["The harbour is calm today.", 'Dull & <b>long</b>, said "nobody" — </script>']


def personal_texts() -> list[str]:
    """Forty texts of ten to fourteen words, some of them frequent, as in any language."""
    rng = random.Random(0)
    often = [1 / (3 + rank) for rank in range(len(VOCABULARY))]
    return [" ".join(rng.choices(VOCABULARY, often, k=rng.randint(10, 14))) for _ in range(40)]


def runs_of_words(texts: list[str]) -> Iterator[str]:
    """Every four words that follow each other."""
    for text in texts:
        words = text.split()
        yield from (" ".join(words[i : i + 4]) for i in range(len(words) - 3))


@pytest.fixture(scope="module")
def personal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of these texts, what the training wrote with it, and two model
    files."""
    folder = tmp_path_factory.mktemp("personal")
    rows = [(text, ("sea", "shop")[i % 2]) for i, text in enumerate(personal_texts())]
    source = write_csv(folder / "rows.csv", rows)
    train(source, "-o", folder / "m.safetensors", "--preset", "tiny", "--epochs", "1")
    command("export", folder / "m.safetensors", "-o", folder / "fp32.onnx")
    command("export", folder / "m.safetensors", "-o", folder / "int8.onnx", "--quantize", "int8")
    source.unlink()
    return folder


def test_no_four_words_of_a_training_text_are_in_a_file_or_a_page(personal: Path) -> None:
    for name in ("fp32", "int8"):
        html = personal / f"{name}.html"
        command("page", "-m", personal / f"{name}.onnx", "-o", html)
        page = html.read_text(encoding="utf-8")
        (packed,) = re.findall(r'<script type="text/plain" class="model"[^>]*>(.*?)</script>', page)
        assert base64.b64decode(packed) == (personal / f"{name}.onnx").read_bytes()
    files = [path for path in personal.iterdir() if path.is_file()]
    assert len(files) == 6  # the checkpoint, its history, two model files and their pages
    for path in files:
        data = path.read_bytes()
        found = [run for run in runs_of_words(personal_texts()) if run.encode() in data]
        assert not found, f"{path.name} holds {found[0]!r}"
    assert model_at(personal / "int8.onnx").examples == ()


def test_the_golden_rows_try_words_pairs_subwords_and_labels(personal: Path) -> None:
    file = model_at(personal / "int8.onnx")
    rows = [row.ids for row in file.golden]
    assert len(rows) == 5 and rows[0] == (1,) and max(map(len, rows)) > 50
    ids = {i for row in rows for i in row}
    first_subword = 4 + len(file.tokenizer.words)
    assert ids & {*range(4, first_subword)} and max(ids) >= first_subword
    ngrams = load_checkpoint(personal / "m.safetensors").network.ngrams
    pairs = torch.tensor([pair for row in rows for pair in pairwise(row)])
    assert ngrams.pairs.find(pairs[:, 0], pairs[:, 1])[1].any()
    assert len({row.probabilities[0][0] for row in file.golden}) == 2


@pytest.mark.parametrize(
    "tokenizer",
    [
        Tokenizer(()),
        Tokenizer.of_subwords(("one", "two")),
        Tokenizer.of_subwords((), ("ab",)),
    ],
)
def test_any_vocabulary_has_golden_texts_and_their_order_costs_no_byte(
    tokenizer: Tokenizer,
) -> None:
    every = [golden_texts(tokenizer, order=order) for order in range(ORDERS)]
    assert len({len("".join(texts).encode()) for texts in every}) == 1
    assert all("" in texts and len(texts) == len(set(texts)) <= 5 for texts in every)


def test_examples_go_from_the_export_to_inspect_page_card_and_doctor() -> None:
    source = checkpoint_file("c.safetensors")
    output = Path("m.onnx")
    page = Path("page.html")
    given = Path("texts.txt")
    given.write_text("\n".join([*EXAMPLES, "", EXAMPLES[0]]), encoding="utf-8")
    options = ("--quantize", "int8", "--examples", given)
    said = command("export", source, "-o", output, *options).stdout
    assert "examples: the file shows 2 texts: “The harbour is calm today.”, “Dull" in said
    file = model_at(output)
    assert list(file.examples) == EXAMPLES and len(file.golden) == 5 + 2
    assert "2 texts: “The harbour is calm today.”" in command("inspect", "-m", output).stdout
    assert json.loads(command("inspect", "-m", output, "--json").stdout)["examples"] == EXAMPLES
    assert "“The harbour is calm today.”" in command("inspect", "-m", output, "--card").stdout
    assert (
        "the 2 example texts of the model file" in command("page", "-m", output, "-o", page).stderr
    )
    diagnosis = examine(output, in_process=True)
    assert diagnosis.fit and [row["text"] for row in diagnosis.golden_rows[-2:]] == EXAMPLES


def test_without_examples_nothing_is_shown() -> None:
    source = checkpoint_file("c.safetensors")
    output = Path("m.onnx")
    assert "the file shows" not in command("export", source, "-o", output).stdout
    assert re.search(r"^examples +none$", command("inspect", "-m", output).stdout, re.MULTILINE)
    assert command("page", "-m", output, "-o", "page.html").stderr == ""


def test_a_page_has_the_texts_of_a_table() -> None:
    page = Path("page.html")
    table = Path("texts.csv")
    table.write_text("text,label\nA text of a table.,a\n", encoding="utf-8")
    command("page", "-o", page, "--examples", table)
    assert '["A text of a table."]' in page.read_text(encoding="utf-8")
    table.write_text("text,label\n,a\n", encoding="utf-8")
    assert "holds no text" in command("page", "-o", page, "--examples", table).error


def test_examples_are_given_from_python() -> None:
    model = TextClassifier()
    model.result_ = SimpleNamespace(checkpoint=make_checkpoint())
    assert model_at(model.export(Path("m.onnx"))).examples == ()
    path = model.export(Path("m.onnx"), examples=[*EXAMPLES, EXAMPLES[0]])
    assert list(model_at(path).examples) == EXAMPLES  # each once
    with pytest.raises(DataError, match="the examples are one text; give a list of texts"):
        model.export(Path("m.onnx"), examples="Fine.")


LONGEST = "w" * 500


FILES = r"""
blank.txt | \n \n | holds no text; give a file with one text per line
bytes.txt | fine\nnot \xff\n | row 2: the text is not UTF-8
two.csv | text\n"two\nlines"\n | example text 1 has a line end or another control character
half.jsonl | {"text": "a\\ud800"}\n | example text 1 is not UTF-8
columns.csv | a,b\n1,2\n | none is clearly the text
absent.txt |  | no such file
"""


@pytest.mark.parametrize(("name", "content", "says"), rows(FILES))
def test_a_file_that_holds_no_examples_is_refused_in_a_line(
    name: str, content: str, says: str
) -> None:
    file = Path(name)
    if content:
        file.write_bytes(raw(content))
    assert says in refused("--examples", file)


def refused(*options: str | Path) -> str:
    """What an export with these options says; it writes nothing."""
    source = checkpoint_file("c.safetensors")
    error = command("export", source, "-o", "m.onnx", *options).error
    assert not Path("m.onnx").exists()
    return error


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([" "], "example text 1 is blank; leave it out"),
        (["fine", LONGEST + "w"], "example text 2 has 501 characters"),
        ([f"text {i}" for i in range(9)], "more than 8 example texts"),
        (["a\x9b31m"], "another control character"),
        (["a\udcff"], "is not UTF-8"),
        ([b"a"], "example text 1 is .*; give a string"),
    ],
)
def test_a_text_that_is_no_example_is_refused_in_a_line(texts: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        model_of(make_checkpoint(), examples=texts)


def test_as_many_and_as_long_examples_as_may_be_are_written() -> None:
    texts = [f"{i}{LONGEST[1:]}" for i in range(8)]
    assert list(model_of(make_checkpoint(), examples=texts).examples) == texts


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("edge_lstm/models/sentiment.int8.onnx", "tools/sentiment/examples.txt"),
        ("export/edge_lstm_export/sentiment-small.int8.onnx", None),
        ("tests/data/keras.int8.onnx", None),
    ],
)
def test_the_files_of_the_repository_hold_texts_of_the_project_alone(
    name: str, examples: str | None
) -> None:
    file = model_at(PROJECT / name)
    shown = read_examples(PROJECT / examples) if examples else ()
    assert file.examples == shown
    texts = [row.text for row in file.golden]
    assert texts in [golden_texts(file.tokenizer, shown, order=order) for order in range(ORDERS)]
    vocabulary = (*file.tokenizer.words, *file.tokenizer.pieces)
    assert not [word for word in vocabulary if "\ufffd" in word]
